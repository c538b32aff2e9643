//! Regions: the places agents watch from.
//!
//! A region is named once and for ever: results and incidents of the past name
//! it. It is therefore never deleted, only retired, and comes back by being
//! made again under its name.

use super::{Row, StoreError, Tx};
use crate::params;
use uuid::Uuid;

/// A region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Region {
    pub id: Uuid,
    /// Slug, unique in the organisation.
    pub name: String,
    pub created_at: i64,
    /// When its first agent enrolled; `["*"]` means regions that have this.
    pub first_agent_at: Option<i64>,
    pub retired_at: Option<i64>,
    /// Agents that are not revoked.
    pub agents: i64,
}

macro_rules! select {
    ($which:literal) => {
        concat!(
            "SELECT r.id, r.name, r.created_at, r.first_agent_at, r.retired_at,
                (SELECT COUNT(*) FROM agents a WHERE a.organisation_id = r.organisation_id
                    AND a.region_id = r.id AND a.state <> 'revoked') AS agents
            FROM regions r WHERE r.organisation_id = $1 AND ",
            $which
        )
    };
}

/// Stores a new region; [`StoreError::Conflict`] when the name is taken.
pub async fn insert(
    tx: &mut Tx,
    organisation: Uuid,
    id: Uuid,
    name: &str,
    now: i64,
) -> Result<(), StoreError> {
    const SQL: &str = "INSERT INTO regions
            (organisation_id, id, name, created_at, first_agent_at, retired_at)
        VALUES ($1, $2, $3, $4, NULL, NULL)";
    tx.execute(SQL, params![organisation, id, name, now]).await.map(drop)
}

/// Stores a region unless there is one of that name; either way, the one there is.
pub async fn ensure(
    tx: &mut Tx,
    organisation: Uuid,
    id: Uuid,
    name: &str,
    now: i64,
) -> Result<Option<Region>, StoreError> {
    const SQL: &str = "INSERT INTO regions
            (organisation_id, id, name, created_at, first_agent_at, retired_at)
        VALUES ($1, $2, $3, $4, NULL, NULL) ON CONFLICT DO NOTHING";
    tx.execute(SQL, params![organisation, id, name, now]).await?;
    by_name(tx, organisation, name).await
}

/// The region of that name, retired or not.
pub async fn by_name(
    tx: &mut Tx,
    organisation: Uuid,
    name: &str,
) -> Result<Option<Region>, StoreError> {
    const SQL: &str = select!("r.name = $2");
    let row = tx.fetch_optional(SQL, params![organisation, name]).await?;
    row.map(|row| read(&row)).transpose()
}

/// One region, retired or not.
pub async fn get(tx: &mut Tx, organisation: Uuid, id: Uuid) -> Result<Option<Region>, StoreError> {
    const SQL: &str = select!("r.id = $2");
    let row = tx.fetch_optional(SQL, params![organisation, id]).await?;
    row.map(|row| read(&row)).transpose()
}

/// A page of the regions that are not retired, by name.
pub async fn page(
    tx: &mut Tx,
    organisation: Uuid,
    after: &str,
    limit: i64,
) -> Result<Vec<Region>, StoreError> {
    const SQL: &str = select!("r.name > $2 AND r.retired_at IS NULL ORDER BY r.name LIMIT $3");
    let rows = tx.fetch_all(SQL, params![organisation, after, limit]).await?;
    rows.iter().map(read).collect()
}

/// How many regions an organisation has, without the retired.
pub async fn count(tx: &mut Tx, organisation: Uuid) -> Result<i64, StoreError> {
    const SQL: &str = "SELECT COUNT(*) AS regions FROM regions
        WHERE organisation_id = $1 AND retired_at IS NULL";
    let row = tx.fetch_optional(SQL, params![organisation]).await?;
    row.map_or(Ok(0), |row| row.get("regions"))
}

/// Retires a region, or brings it back (`None`).
pub async fn set_retired(
    tx: &mut Tx,
    organisation: Uuid,
    id: Uuid,
    retired_at: Option<i64>,
) -> Result<(), StoreError> {
    const SQL: &str = "UPDATE regions SET retired_at = $3 WHERE organisation_id = $1 AND id = $2";
    tx.execute(SQL, params![organisation, id, retired_at]).await.map(drop)
}

fn read(row: &Row) -> Result<Region, StoreError> {
    Ok(Region {
        id: row.get("id")?,
        name: row.get("name")?,
        created_at: row.get("created_at")?,
        first_agent_at: row.get("first_agent_at")?,
        retired_at: row.get("retired_at")?,
        agents: row.get("agents")?,
    })
}
