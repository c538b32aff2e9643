//! Answers to creates that named an `Idempotency-Key`.
//!
//! The key is claimed before the work and its answer written after it, in the
//! work's own transaction: there is an answer exactly when the work is durable.
//! Of two requests with one key the second waits for the first's commit
//! (PostgreSQL: on the key; SQLite: on the writer) and then finds its answer.

use super::{StoreError, Tx};
use crate::params;
use uuid::Uuid;

/// What a key stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// SHA-256 of the request that used the key.
    pub request_hash: Vec<u8>,
    pub status: i64,
    /// As the API sealed it.
    pub body: String,
}

/// How long a key stands for its answer, ms.
const KEPT_MS: i64 = 24 * 3_600_000;

/// Claims a key. `false`: it is taken, and [`find`] in a new transaction says by what.
pub async fn claim(
    tx: &mut Tx,
    organisation: Uuid,
    key: &str,
    request_hash: Vec<u8>,
    now: i64,
) -> Result<bool, StoreError> {
    const SQL: &str = "INSERT INTO idempotency_keys
            (organisation_id, idempotency_key, request_hash, status, body, created_at)
        VALUES ($1, $2, $3, 0, '', $4) ON CONFLICT DO NOTHING";
    const FORGET: &str = "DELETE FROM idempotency_keys
        WHERE organisation_id = $1 AND idempotency_key = $2 AND created_at < $3";
    tx.execute(FORGET, params![organisation, key, now - KEPT_MS]).await?;
    Ok(tx.execute(SQL, params![organisation, key, request_hash, now]).await? == 1)
}

/// Writes the answer of a claimed key.
pub async fn settle(
    tx: &mut Tx,
    organisation: Uuid,
    key: &str,
    status: u16,
    body: &str,
) -> Result<(), StoreError> {
    const SQL: &str = "UPDATE idempotency_keys SET status = $3, body = $4
        WHERE organisation_id = $1 AND idempotency_key = $2";
    tx.execute(SQL, params![organisation, key, i32::from(status), body]).await.map(drop)
}

/// The answer a key got.
pub async fn find(
    tx: &mut Tx,
    organisation: Uuid,
    key: &str,
) -> Result<Option<Answered>, StoreError> {
    const SQL: &str = "SELECT request_hash, status, body FROM idempotency_keys
        WHERE organisation_id = $1 AND idempotency_key = $2";
    let Some(row) = tx.fetch_optional(SQL, params![organisation, key]).await? else {
        return Ok(None);
    };
    Ok(Some(Answered {
        request_hash: row.get("request_hash")?,
        status: row.get("status")?,
        body: row.get("body")?,
    }))
}
