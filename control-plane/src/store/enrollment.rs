//! Enrolment tokens as the gateway sees them: looked up by hash, used once.
//! Making and listing them is in [`super::tokens`].

use super::{StoreError, Tx};
use crate::params;
use uuid::Uuid;

/// A token that somebody presented.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PresentedToken {
    pub organisation_id: Uuid,
    pub id: Uuid,
    pub region_id: Uuid,
    pub region: String,
    pub expires_at: i64,
    /// The agent that used it.
    pub used_by: Option<String>,
}

/// The token with this hash, locked until the commit, so that of two who
/// present it at once the second sees what the first made of it.
pub async fn lock(tx: &mut Tx, secret_hash: &[u8]) -> Result<Option<PresentedToken>, StoreError> {
    const PLAIN: &str = "SELECT t.organisation_id, t.id, t.region_id, r.name AS region,
            t.expires_at, t.used_by
        FROM enrollment_tokens t JOIN regions r
            ON r.organisation_id = t.organisation_id AND r.id = t.region_id
        WHERE t.secret_hash = $1";
    const LOCKING: &str = "SELECT t.organisation_id, t.id, t.region_id, r.name AS region,
            t.expires_at, t.used_by
        FROM enrollment_tokens t JOIN regions r
            ON r.organisation_id = t.organisation_id AND r.id = t.region_id
        WHERE t.secret_hash = $1 FOR UPDATE OF t";
    let sql = tx.for_update(PLAIN, LOCKING);
    let row = tx.fetch_optional(sql, params![secret_hash]).await?;
    row.map(|row| {
        Ok(PresentedToken {
            organisation_id: row.get("organisation_id")?,
            id: row.get("id")?,
            region_id: row.get("region_id")?,
            region: row.get("region")?,
            expires_at: row.get("expires_at")?,
            used_by: row.get("used_by")?,
        })
    })
    .transpose()
}

/// Uses up a locked token.
pub async fn burn(
    tx: &mut Tx,
    token: &PresentedToken,
    agent_id: &str,
    now: i64,
) -> Result<(), StoreError> {
    const SQL: &str = "UPDATE enrollment_tokens SET used_at = $3, used_by = $4
        WHERE organisation_id = $1 AND id = $2 AND used_by IS NULL";
    tx.execute(SQL, params![token.organisation_id, token.id, now, agent_id]).await.map(drop)
}
