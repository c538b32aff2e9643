//! Refresh tokens in families.
//!
//! One sign-in begins a family; each use of a token marks it used and adds the
//! next one. A used token that comes again ends the family, which also ends
//! the access tokens that name it.

use super::{Row, StoreError, Tx};
use crate::auth::Role;
use crate::params;
use uuid::Uuid;

/// One refresh token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoginSession {
    pub organisation: Uuid,
    pub id: Uuid,
    pub family: Uuid,
    pub user: Uuid,
    /// The user's generation when the family began.
    pub generation: i64,
    pub created_at: i64,
    pub expires_at: i64,
    pub used_at: Option<i64>,
    pub revoked_at: Option<i64>,
}

/// Stores a token under its hash.
pub async fn insert(
    tx: &mut Tx,
    session: &LoginSession,
    token_hash: Vec<u8>,
) -> Result<(), StoreError> {
    const SQL: &str = "INSERT INTO sessions (organisation_id, id, family_id, user_id, token_hash,
            generation, created_at, expires_at, used_at, revoked_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
    let values = params![
        session.organisation,
        session.id,
        session.family,
        session.user,
        token_hash,
        session.generation,
        session.created_at,
        session.expires_at,
        session.used_at,
        session.revoked_at,
    ];
    tx.execute(SQL, values).await.map(drop)
}

/// What using a token came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Use {
    /// The first use; the token is spent now.
    First(LoginSession),
    /// It had been used before. The caller ends its family.
    Again(LoginSession),
    /// Not known, expired or ended.
    Refused,
}

/// Spends the token with this hash. Of two that come together one is first.
pub async fn spend(tx: &mut Tx, token_hash: Vec<u8>, now: i64) -> Result<Use, StoreError> {
    const SPEND: &str = "UPDATE sessions SET used_at = $2
        WHERE token_hash = $1 AND used_at IS NULL AND revoked_at IS NULL AND expires_at > $2
        RETURNING organisation_id, id, family_id, user_id, generation, created_at, expires_at,
            used_at, revoked_at";
    const LOOK: &str = "SELECT organisation_id, id, family_id, user_id, generation, created_at,
            expires_at, used_at, revoked_at FROM sessions WHERE token_hash = $1";
    if let Some(row) = tx.fetch_optional(SPEND, params![token_hash.clone(), now]).await? {
        return Ok(Use::First(read(&row)?));
    }
    let Some(row) = tx.fetch_optional(LOOK, params![token_hash]).await? else {
        return Ok(Use::Refused);
    };
    let session = read(&row)?;
    Ok(if session.used_at.is_some() { Use::Again(session) } else { Use::Refused })
}

/// Ends a family: none of its tokens, of either sort, is good any more.
pub async fn end_family(
    tx: &mut Tx,
    organisation: Uuid,
    family: Uuid,
    now: i64,
) -> Result<(), StoreError> {
    const SQL: &str = "UPDATE sessions SET revoked_at = $3
        WHERE organisation_id = $1 AND family_id = $2 AND revoked_at IS NULL";
    tx.execute(SQL, params![organisation, family, now]).await.map(drop)
}

/// The role and generation of somebody whose family still stands.
pub async fn standing(
    tx: &mut Tx,
    organisation: Uuid,
    user: Uuid,
    family: Uuid,
) -> Result<Option<(Role, i64)>, StoreError> {
    const SQL: &str = "SELECT role, generation FROM users
        WHERE organisation_id = $1 AND id = $2 AND EXISTS (SELECT 1 FROM sessions
            WHERE sessions.organisation_id = $1 AND sessions.family_id = $3
                AND sessions.user_id = $2 AND sessions.revoked_at IS NULL)";
    let row = tx.fetch_optional(SQL, params![organisation, user, family]).await?;
    row.map(|row| Ok((row.word("role")?, row.get("generation")?))).transpose()
}

fn read(row: &Row) -> Result<LoginSession, StoreError> {
    Ok(LoginSession {
        organisation: row.get("organisation_id")?,
        id: row.get("id")?,
        family: row.get("family_id")?,
        user: row.get("user_id")?,
        generation: row.get("generation")?,
        created_at: row.get("created_at")?,
        expires_at: row.get("expires_at")?,
        used_at: row.get("used_at")?,
        revoked_at: row.get("revoked_at")?,
    })
}
