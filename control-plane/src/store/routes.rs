//! Routes: which channels hear of what, besides those a monitor names.

use super::{Row, StoreError, Tx, json_text};
use crate::limits;
use crate::params;
use hyperverge_control_core::notification::route::Route;
use uuid::Uuid;

/// A route as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRoute {
    pub id: Uuid,
    pub route: Route,
    /// 1 upward; also the ETag.
    pub revision: i64,
    pub created_at: i64,
    pub updated_at: i64,
}

/// Every route of the organisation, by name: what decides who is told.
pub async fn all(tx: &mut Tx, organisation_id: Uuid) -> Result<Vec<Route>, StoreError> {
    const SQL: &str = "SELECT * FROM routes WHERE organisation_id = $1 ORDER BY name LIMIT $2";
    let rows = tx.fetch_all(SQL, params![organisation_id, limits::ROUTES]).await?;
    rows.iter().map(|row| read(row).map(|stored| stored.route)).collect()
}

/// A page of routes in the order they were made, after the id `after`.
pub async fn list(
    tx: &mut Tx,
    organisation_id: Uuid,
    after: Option<Uuid>,
    limit: i64,
) -> Result<Vec<StoredRoute>, StoreError> {
    const SQL: &str = "SELECT * FROM routes WHERE organisation_id = $1 AND id > $2
        ORDER BY id LIMIT $3";
    let after = after.unwrap_or(Uuid::nil());
    let rows = tx.fetch_all(SQL, params![organisation_id, after, limit]).await?;
    rows.iter().map(read).collect()
}

/// The route with this id.
pub async fn get(
    tx: &mut Tx,
    organisation_id: Uuid,
    id: Uuid,
) -> Result<Option<StoredRoute>, StoreError> {
    const SQL: &str = "SELECT * FROM routes WHERE organisation_id = $1 AND id = $2";
    let row = tx.fetch_optional(SQL, params![organisation_id, id]).await?;
    row.as_ref().map(read).transpose()
}

/// The route with this id, locked until the commit.
pub async fn lock(
    tx: &mut Tx,
    organisation_id: Uuid,
    id: Uuid,
) -> Result<Option<StoredRoute>, StoreError> {
    const PLAIN: &str = "SELECT * FROM routes WHERE organisation_id = $1 AND id = $2";
    const LOCKING: &str = "SELECT * FROM routes WHERE organisation_id = $1 AND id = $2 FOR UPDATE";
    let sql = tx.for_update(PLAIN, LOCKING);
    let row = tx.fetch_optional(sql, params![organisation_id, id]).await?;
    row.as_ref().map(read).transpose()
}

/// The names of up to `limit` routes that name this channel.
pub async fn naming_channel(
    tx: &mut Tx,
    organisation_id: Uuid,
    channel: &str,
    limit: usize,
) -> Result<Vec<String>, StoreError> {
    let routes = all(tx, organisation_id).await?;
    let naming = routes.into_iter().filter(|route| route.channels.iter().any(|n| n == channel));
    Ok(naming.map(|route| route.name).take(limit).collect())
}

/// How many routes the organisation has.
pub async fn count(tx: &mut Tx, organisation_id: Uuid) -> Result<i64, StoreError> {
    const SQL: &str = "SELECT COUNT(*) AS routes FROM routes WHERE organisation_id = $1";
    let row = tx.fetch_optional(SQL, params![organisation_id]).await?;
    row.map_or(Ok(0), |row| row.get("routes"))
}

/// Adds a route; [`StoreError::Conflict`] when its name is taken.
pub async fn insert(
    tx: &mut Tx,
    organisation_id: Uuid,
    stored: &StoredRoute,
) -> Result<(), StoreError> {
    const SQL: &str = "INSERT INTO routes (organisation_id, id, name, matches, channels, revision,
            created_at, updated_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    let values = params![
        organisation_id,
        stored.id,
        &stored.route.name,
        json_text("matches", &stored.route.matches)?,
        json_text("channels", &stored.route.channels)?,
        stored.revision,
        stored.created_at,
        stored.updated_at
    ];
    tx.execute(SQL, values).await.map(drop)
}

/// Writes a route that [`lock`] holds; [`StoreError::Conflict`] when its new name is taken.
pub async fn update(
    tx: &mut Tx,
    organisation_id: Uuid,
    stored: &StoredRoute,
) -> Result<(), StoreError> {
    const SQL: &str = "UPDATE routes SET name = $3, matches = $4, channels = $5, revision = $6,
            updated_at = $7
        WHERE organisation_id = $1 AND id = $2";
    let values = params![
        organisation_id,
        stored.id,
        &stored.route.name,
        json_text("matches", &stored.route.matches)?,
        json_text("channels", &stored.route.channels)?,
        stored.revision,
        stored.updated_at
    ];
    tx.execute(SQL, values).await.map(drop)
}

/// Removes a route; whether it was there.
pub async fn delete(tx: &mut Tx, organisation_id: Uuid, id: Uuid) -> Result<bool, StoreError> {
    const SQL: &str = "DELETE FROM routes WHERE organisation_id = $1 AND id = $2";
    Ok(tx.execute(SQL, params![organisation_id, id]).await? == 1)
}

fn read(row: &Row) -> Result<StoredRoute, StoreError> {
    Ok(StoredRoute {
        id: row.get("id")?,
        route: Route {
            name: row.get("name")?,
            matches: row.json("matches")?,
            channels: row.json("channels")?,
        },
        revision: row.get("revision")?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
    })
}
