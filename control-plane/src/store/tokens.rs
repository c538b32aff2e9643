//! Enrolment tokens: single use, short-lived, known only by their hash.

use super::{Row, StoreError, Tx};
use crate::params;
use uuid::Uuid;

/// A token as people may see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnrollmentToken {
    pub id: Uuid,
    pub region: String,
    pub created_at: i64,
    pub created_by: Uuid,
    pub expires_at: i64,
    pub used_at: Option<i64>,
    /// The agent that enrolled with it.
    pub used_by: Option<String>,
}

/// A token to store.
#[derive(Debug)]
pub struct NewToken {
    pub id: Uuid,
    /// SHA-256 of the secret.
    pub secret_hash: Vec<u8>,
    pub region_id: Uuid,
    pub created_by: Uuid,
    pub created_at: i64,
    pub expires_at: i64,
}

/// Stores a token.
pub async fn insert(tx: &mut Tx, organisation: Uuid, token: NewToken) -> Result<(), StoreError> {
    const SQL: &str = "INSERT INTO enrollment_tokens (organisation_id, id, secret_hash, region_id,
            created_at, created_by, expires_at, used_at, used_by)
        VALUES ($1, $2, $3, $4, $5, $6, $7, NULL, NULL)";
    let values = params![
        organisation,
        token.id,
        token.secret_hash,
        token.region_id,
        token.created_at,
        token.created_by,
        token.expires_at,
    ];
    tx.execute(SQL, values).await.map(drop)
}

/// A token as enrolment needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimable {
    pub organisation: Uuid,
    pub id: Uuid,
    pub region_id: Uuid,
    pub expires_at: i64,
    /// The agent that enrolled with it; the same key may ask again.
    pub used_by: Option<String>,
}

/// The token with this secret, locked until the commit, so that of two racing
/// enrolments the second sees what the first did.
pub async fn lock_by_secret(
    tx: &mut Tx,
    secret_hash: Vec<u8>,
) -> Result<Option<Claimable>, StoreError> {
    const PLAIN: &str = "SELECT organisation_id, id, region_id, expires_at, used_by
        FROM enrollment_tokens WHERE secret_hash = $1";
    const LOCKING: &str = "SELECT organisation_id, id, region_id, expires_at, used_by
        FROM enrollment_tokens WHERE secret_hash = $1 FOR UPDATE";
    let sql = tx.for_update(PLAIN, LOCKING);
    let Some(row) = tx.fetch_optional(sql, params![secret_hash]).await? else { return Ok(None) };
    Ok(Some(Claimable {
        organisation: row.get("organisation_id")?,
        id: row.get("id")?,
        region_id: row.get("region_id")?,
        expires_at: row.get("expires_at")?,
        used_by: row.get("used_by")?,
    }))
}

/// Spends a locked token on one agent.
pub async fn spend(
    tx: &mut Tx,
    organisation: Uuid,
    id: Uuid,
    agent_id: &str,
    now: i64,
) -> Result<(), StoreError> {
    const SQL: &str = "UPDATE enrollment_tokens SET used_at = $4, used_by = $3
        WHERE organisation_id = $1 AND id = $2 AND used_at IS NULL";
    tx.execute(SQL, params![organisation, id, agent_id, now]).await.map(drop)
}

/// A page of tokens, newest first: those whose id is below `before`.
pub async fn page(
    tx: &mut Tx,
    organisation: Uuid,
    before: Uuid,
    limit: i64,
) -> Result<Vec<EnrollmentToken>, StoreError> {
    const SQL: &str = "SELECT t.id, r.name AS region, t.created_at, t.created_by, t.expires_at,
            t.used_at, t.used_by
        FROM enrollment_tokens t JOIN regions r
            ON r.organisation_id = t.organisation_id AND r.id = t.region_id
        WHERE t.organisation_id = $1 AND t.id < $2 ORDER BY t.id DESC LIMIT $3";
    let rows = tx.fetch_all(SQL, params![organisation, before, limit]).await?;
    rows.iter().map(read).collect()
}

/// How many tokens could still be used.
pub async fn count_open(tx: &mut Tx, organisation: Uuid, now: i64) -> Result<i64, StoreError> {
    const SQL: &str = "SELECT COUNT(*) AS tokens FROM enrollment_tokens
        WHERE organisation_id = $1 AND used_at IS NULL AND expires_at > $2";
    let row = tx.fetch_optional(SQL, params![organisation, now]).await?;
    row.map_or(Ok(0), |row| row.get("tokens"))
}

/// Deletes a token; `false` when there is none.
pub async fn delete(tx: &mut Tx, organisation: Uuid, id: Uuid) -> Result<bool, StoreError> {
    const SQL: &str = "DELETE FROM enrollment_tokens WHERE organisation_id = $1 AND id = $2";
    Ok(tx.execute(SQL, params![organisation, id]).await? == 1)
}

fn read(row: &Row) -> Result<EnrollmentToken, StoreError> {
    Ok(EnrollmentToken {
        id: row.get("id")?,
        region: row.get("region")?,
        created_at: row.get("created_at")?,
        created_by: row.get("created_by")?,
        expires_at: row.get("expires_at")?,
        used_at: row.get("used_at")?,
        used_by: row.get("used_by")?,
    })
}
