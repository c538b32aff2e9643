//! Gateways' own signs of life: whether anybody was there to hear the agents.

use super::{StoreError, Tx};
use crate::params;
use hyperverge_control_core::liveness::{Listener, PAUSE_MS};
use uuid::Uuid;

/// Rows that are looked at: one for each run of a gateway of the last day.
const GATEWAYS: i64 = 10_000;

/// Notes that this run of a gateway hears agents at `now`. What comes after a pause, or
/// before what was noted last, begins anew.
pub async fn hear(tx: &mut Tx, id: Uuid, now: i64) -> Result<(), StoreError> {
    const SQL: &str = "INSERT INTO gateways (id, since, heard_at) VALUES ($1, $2, $2)
        ON CONFLICT (id) DO UPDATE SET heard_at = excluded.heard_at,
            since = CASE WHEN excluded.heard_at - gateways.heard_at BETWEEN 0 AND $3
                THEN gateways.since ELSE excluded.heard_at END";
    tx.execute(SQL, params![id, now, PAUSE_MS]).await.map(drop)
}

/// Every gateway that was heard of, the newest first.
pub async fn listeners(tx: &mut Tx) -> Result<Vec<Listener>, StoreError> {
    const SQL: &str = "SELECT since, heard_at FROM gateways ORDER BY heard_at DESC LIMIT $1";
    let rows = tx.fetch_all(SQL, params![GATEWAYS]).await?;
    let listener = |row: &super::Row| {
        Ok(Listener { since: row.get("since")?, heard_at: row.get("heard_at")? })
    };
    rows.iter().map(listener).collect()
}
