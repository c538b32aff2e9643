//! People and their role in the one organisation they belong to.

use super::{Row, StoreError, Tx};
use crate::auth::Role;
use crate::{among, params};
use uuid::Uuid;

/// A person who can sign in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    pub organisation: Uuid,
    pub id: Uuid,
    /// Lower case, unique in the whole installation.
    pub email: String,
    pub role: Role,
    /// Raised by whatever must end the sessions there are.
    pub generation: i64,
    pub created_at: i64,
}

/// Stores a new person; [`StoreError::Conflict`] when the address is taken.
pub async fn insert(tx: &mut Tx, user: &User, password_hash: &str) -> Result<(), StoreError> {
    const SQL: &str = "INSERT INTO users
        (organisation_id, id, email, password_hash, role, generation, created_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7)";
    let User { organisation, id, email, role, generation, created_at } = user;
    let values =
        params![*organisation, *id, email, password_hash, role.as_str(), *generation, *created_at];
    tx.execute(SQL, values).await.map(drop)
}

/// The person with this address and their password's hash.
pub async fn by_email(tx: &mut Tx, email: &str) -> Result<Option<(User, String)>, StoreError> {
    const SQL: &str =
        "SELECT organisation_id, id, email, password_hash, role, generation, created_at
        FROM users WHERE email = $1";
    let Some(row) = tx.fetch_optional(SQL, params![email]).await? else { return Ok(None) };
    Ok(Some((read(&row)?, row.get("password_hash")?)))
}

/// One person.
pub async fn get(tx: &mut Tx, organisation: Uuid, id: Uuid) -> Result<Option<User>, StoreError> {
    const SQL: &str = "SELECT organisation_id, id, email, role, generation, created_at
        FROM users WHERE organisation_id = $1 AND id = $2";
    let row = tx.fetch_optional(SQL, params![organisation, id]).await?;
    row.map(|row| read(&row)).transpose()
}

/// The addresses of these people, by id; whoever is no longer there is left out.
pub async fn emails(
    tx: &mut Tx,
    organisation: Uuid,
    ids: Vec<Uuid>,
) -> Result<Vec<(Uuid, String)>, StoreError> {
    let sql = among!(
        tx,
        "SELECT id, email FROM users WHERE organisation_id = $1 AND id ",
        uuids "$2",
        " ORDER BY id"
    );
    let rows = tx.fetch_all(sql, params![organisation, ids]).await?;
    rows.iter().map(|row| Ok((row.get("id")?, row.get("email")?))).collect()
}

/// Gives somebody another role and ends their sessions.
pub async fn change_role(
    tx: &mut Tx,
    organisation: Uuid,
    id: Uuid,
    role: Role,
) -> Result<bool, StoreError> {
    const SQL: &str = "UPDATE users SET role = $3, generation = generation + 1
        WHERE organisation_id = $1 AND id = $2";
    Ok(tx.execute(SQL, params![organisation, id, role.as_str()]).await? == 1)
}

fn read(row: &Row) -> Result<User, StoreError> {
    Ok(User {
        organisation: row.get("organisation_id")?,
        id: row.get("id")?,
        email: row.get("email")?,
        role: row.word("role")?,
        generation: row.get("generation")?,
        created_at: row.get("created_at")?,
    })
}
