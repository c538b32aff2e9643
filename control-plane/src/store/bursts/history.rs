//! What was asked and answered, for whoever explains an incident or its absence.

use crate::params;
use crate::store::{Row, StoreError, Tx};
use serde::Serialize;
use uuid::Uuid;

/// A burst, with the orders to each region.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Burst {
    pub id: Uuid,
    pub revision: i64,
    /// Whose failure asked, and which agent saw it.
    pub region: String,
    pub agent_id: String,
    pub failures: u32,
    pub asked_at: i64,
    pub expires_at: i64,
    pub settled_at: Option<i64>,
    /// `answered`, `expired` or `ended`.
    pub outcome: Option<String>,
    /// By the regions' names.
    pub orders: Vec<Order>,
}

/// What one region was asked, and what it answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Order {
    pub region: String,
    pub agent_id: String,
    pub sent_at: Option<i64>,
    pub failures: u32,
    pub successes: u32,
    pub answered_at: Option<i64>,
}

/// The bursts of a monitor that were asked in `from..=to`, the oldest first.
pub async fn of_monitor(
    tx: &mut Tx,
    organisation_id: Uuid,
    monitor_id: Uuid,
    (from, to): (i64, i64),
    limit: i64,
) -> Result<Vec<Burst>, StoreError> {
    const BURSTS: &str = "SELECT b.*, r.name AS region FROM bursts b
        JOIN regions r ON r.organisation_id = b.organisation_id AND r.id = b.region_id
        WHERE b.organisation_id = $1 AND b.monitor_id = $2 AND b.asked_at >= $3 AND b.asked_at <= $4
        ORDER BY b.asked_at, b.id LIMIT $5";
    let values = params![organisation_id, monitor_id, from, to, limit];
    let rows = tx.fetch_all(BURSTS, values).await?;
    let mut bursts = rows.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    let ids: Vec<Uuid> = bursts.iter().map(|burst| burst.id).collect();
    let sql = crate::among!(tx, "SELECT o.*, r.name AS region FROM burst_orders o
        JOIN regions r ON r.organisation_id = o.organisation_id AND r.id = o.region_id
        WHERE o.organisation_id = $1 AND o.burst_id ", uuids "$2", " ORDER BY r.name");
    for row in tx.fetch_all(sql, params![organisation_id, ids]).await? {
        let id: Uuid = row.get("burst_id")?;
        if let Some(burst) = bursts.iter_mut().find(|burst| burst.id == id) {
            burst.orders.push(read_order(&row)?);
        }
    }
    Ok(bursts)
}

fn count(row: &Row, column: &'static str) -> Result<u32, StoreError> {
    Ok(u32::try_from(row.get::<i64>(column)?).unwrap_or(u32::MAX))
}

fn read(row: &Row) -> Result<Burst, StoreError> {
    Ok(Burst {
        id: row.get("id")?,
        revision: row.get("revision")?,
        region: row.get("region")?,
        agent_id: row.get("agent_id")?,
        failures: count(row, "failures")?,
        asked_at: row.get("asked_at")?,
        expires_at: row.get("expires_at")?,
        settled_at: row.get("settled_at")?,
        outcome: row.get("outcome")?,
        orders: Vec::new(),
    })
}

fn read_order(row: &Row) -> Result<Order, StoreError> {
    Ok(Order {
        region: row.get("region")?,
        agent_id: row.get("agent_id")?,
        sent_at: row.get("sent_at")?,
        failures: count(row, "failures")?,
        successes: count(row, "successes")?,
        answered_at: row.get("answered_at")?,
    })
}
