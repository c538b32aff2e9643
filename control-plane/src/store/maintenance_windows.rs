//! Maintenance windows: work that is announced, and whose noise nobody need hear.
//!
//! One that is over stays, as it was, until results of its time are forgotten:
//! [`active`] answers for the past as well as for now.

use super::silences::Which;
use super::{Row, StoreError, Tx, json_text};
use crate::limits;
use crate::params;
use hyperverge_control_core::notification::hold::Window;
use uuid::Uuid;

/// A maintenance window as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredWindow {
    pub window: Window,
    /// 1 upward; also the ETag.
    pub revision: i64,
    pub created_by: Uuid,
    pub created_at: i64,
}

/// What holds at `now`.
pub async fn active(
    tx: &mut Tx,
    organisation_id: Uuid,
    now: i64,
) -> Result<Vec<Window>, StoreError> {
    const SQL: &str = "SELECT * FROM maintenance_windows
        WHERE organisation_id = $1 AND starts_at <= $2 AND ends_at > $2 ORDER BY id LIMIT $3";
    let rows =
        tx.fetch_all(SQL, params![organisation_id, now, limits::MAINTENANCE_WINDOWS]).await?;
    rows.iter().map(|row| read(row).map(|stored| stored.window)).collect()
}

/// A page, the newest first, before the id `before`.
pub async fn list(
    tx: &mut Tx,
    organisation_id: Uuid,
    which: Which,
    before: Option<Uuid>,
    limit: i64,
) -> Result<Vec<StoredWindow>, StoreError> {
    const SQL: &str = "SELECT * FROM maintenance_windows WHERE organisation_id = $1 AND id < $2
            AND ($3 = 0 OR ($3 = 1 AND starts_at <= $4 AND ends_at > $4)
                OR ($3 = 2 AND NOT (starts_at <= $4 AND ends_at > $4)))
        ORDER BY id DESC LIMIT $5";
    let (which, at) = match which {
        Which::All => (0, 0),
        Which::ActiveAt(at) => (1, at),
        Which::InactiveAt(at) => (2, at),
    };
    let before = before.unwrap_or(Uuid::max());
    let values = params![organisation_id, before, which, at, limit];
    tx.fetch_all(SQL, values).await?.iter().map(read).collect()
}

/// The one with this id.
pub async fn get(
    tx: &mut Tx,
    organisation_id: Uuid,
    id: Uuid,
) -> Result<Option<StoredWindow>, StoreError> {
    const SQL: &str = "SELECT * FROM maintenance_windows WHERE organisation_id = $1 AND id = $2";
    let row = tx.fetch_optional(SQL, params![organisation_id, id]).await?;
    row.as_ref().map(read).transpose()
}

/// The one with this id, locked until the commit.
pub async fn lock(
    tx: &mut Tx,
    organisation_id: Uuid,
    id: Uuid,
) -> Result<Option<StoredWindow>, StoreError> {
    const PLAIN: &str = "SELECT * FROM maintenance_windows WHERE organisation_id = $1 AND id = $2";
    const LOCKING: &str =
        "SELECT * FROM maintenance_windows WHERE organisation_id = $1 AND id = $2 FOR UPDATE";
    let sql = tx.for_update(PLAIN, LOCKING);
    let row = tx.fetch_optional(sql, params![organisation_id, id]).await?;
    row.as_ref().map(read).transpose()
}

/// How many are not over at `now`.
pub async fn count(tx: &mut Tx, organisation_id: Uuid, now: i64) -> Result<i64, StoreError> {
    const SQL: &str = "SELECT COUNT(*) AS holds FROM maintenance_windows
        WHERE organisation_id = $1 AND ends_at > $2";
    let row = tx.fetch_optional(SQL, params![organisation_id, now]).await?;
    row.map_or(Ok(0), |row| row.get("holds"))
}

/// Adds one.
pub async fn insert(
    tx: &mut Tx,
    organisation_id: Uuid,
    stored: &StoredWindow,
) -> Result<(), StoreError> {
    const SQL: &str = "INSERT INTO maintenance_windows (organisation_id, id, matchers, starts_at,
            ends_at, name, revision, created_by, created_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    let window = &stored.window;
    let values = params![
        organisation_id,
        window.id,
        json_text("matchers", &window.matchers)?,
        window.starts_at,
        window.ends_at,
        &window.name,
        stored.revision,
        stored.created_by,
        stored.created_at
    ];
    tx.execute(SQL, values).await.map(drop)
}

/// Writes what may change of one that [`lock`] holds: its end and its name.
pub async fn update(
    tx: &mut Tx,
    organisation_id: Uuid,
    stored: &StoredWindow,
) -> Result<(), StoreError> {
    const SQL: &str = "UPDATE maintenance_windows SET ends_at = $3, name = $4, revision = $5
        WHERE organisation_id = $1 AND id = $2";
    let window = &stored.window;
    let values = params![organisation_id, window.id, window.ends_at, &window.name, stored.revision];
    tx.execute(SQL, values).await.map(drop)
}

fn read(row: &Row) -> Result<StoredWindow, StoreError> {
    Ok(StoredWindow {
        window: Window {
            id: row.get("id")?,
            matchers: row.json("matchers")?,
            starts_at: row.get("starts_at")?,
            ends_at: row.get("ends_at")?,
            name: row.get("name")?,
        },
        revision: row.get("revision")?,
        created_by: row.get("created_by")?,
        created_at: row.get("created_at")?,
    })
}
