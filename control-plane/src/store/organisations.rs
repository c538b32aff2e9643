//! Organisations: the tenants, and the installation's one first owner.

use super::{StoreError, Tx};
use crate::params;
use uuid::Uuid;

/// Stores a new organisation.
pub async fn insert(tx: &mut Tx, id: Uuid, name: &str, now: i64) -> Result<(), StoreError> {
    const SQL: &str =
        "INSERT INTO organisations (organisation_id, name, created_at) VALUES ($1, $2, $3)";
    tx.execute(SQL, params![id, name, now]).await.map(drop)
}

/// The name of an organisation.
pub async fn name(tx: &mut Tx, id: Uuid) -> Result<Option<String>, StoreError> {
    const SQL: &str = "SELECT name FROM organisations WHERE organisation_id = $1";
    tx.fetch_optional(SQL, params![id]).await?.map(|row| row.get("name")).transpose()
}

/// Whether somebody has registered.
pub async fn is_installed(tx: &mut Tx) -> Result<bool, StoreError> {
    const SQL: &str = "SELECT singleton FROM installation";
    Ok(tx.fetch_optional(SQL, params![]).await?.is_some())
}

/// Makes `owner` the one who registered first. `false`: somebody else was
/// faster; on PostgreSQL the answer waits for that one's commit.
pub async fn claim_installation(
    tx: &mut Tx,
    organisation: Uuid,
    owner: Uuid,
    now: i64,
) -> Result<bool, StoreError> {
    const SQL: &str = "INSERT INTO installation (singleton, organisation_id, owner_id, created_at)
        VALUES (1, $1, $2, $3) ON CONFLICT DO NOTHING";
    Ok(tx.execute(SQL, params![organisation, owner, now]).await? == 1)
}

/// Every organisation, for work that is done for each of them in turn.
pub async fn ids(tx: &mut Tx) -> Result<Vec<Uuid>, StoreError> {
    const SQL: &str = "SELECT organisation_id FROM organisations ORDER BY organisation_id";
    let rows = tx.fetch_all(SQL, params![]).await?;
    rows.iter().map(|row| row.get("organisation_id")).collect()
}

/// Makes others who ask for this wait until the commit: what is counted over the whole
/// organisation is then counted by one at a time.
pub async fn lock(tx: &mut Tx, id: Uuid) -> Result<(), StoreError> {
    const PLAIN: &str = "SELECT 1 AS n FROM organisations WHERE organisation_id = $1";
    const LOCKING: &str = "SELECT 1 AS n FROM organisations WHERE organisation_id = $1 FOR UPDATE";
    let sql = tx.for_update(PLAIN, LOCKING);
    tx.fetch_optional(sql, params![id]).await.map(drop)
}
