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

/// A streak of failures that began, and nothing was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptBack {
    pub at: i64,
    pub region: String,
    pub reason: String,
}

/// What was asked at once to confirm failures, and what was not. Each the oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Confirmation {
    pub bursts: Vec<Burst>,
    pub kept: Vec<KeptBack>,
    /// There are older ones within the time.
    pub more: bool,
}

/// Of a monitor in `from..=to`, the newest `limit` of either.
pub async fn confirmation(
    tx: &mut Tx,
    organisation_id: Uuid,
    monitor_id: Uuid,
    span: (i64, i64),
    limit: i64,
) -> Result<Confirmation, StoreError> {
    let mut bursts = of_monitor(tx, organisation_id, monitor_id, span, limit + 1).await?;
    let mut kept = kept_back(tx, organisation_id, monitor_id, span, limit + 1).await?;
    let most = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = bursts.len().max(kept.len()) > most;
    bursts.truncate(most);
    kept.truncate(most);
    bursts.reverse();
    kept.reverse();
    Ok(Confirmation { bursts, kept, more })
}

async fn kept_back(
    tx: &mut Tx,
    organisation_id: Uuid,
    monitor_id: Uuid,
    (from, to): (i64, i64),
    limit: i64,
) -> Result<Vec<KeptBack>, StoreError> {
    const SQL: &str = "SELECT k.kept_at, k.reason, r.name AS region FROM bursts_kept_back k
        JOIN regions r ON r.organisation_id = k.organisation_id AND r.id = k.region_id
        WHERE k.organisation_id = $1 AND k.monitor_id = $2 AND k.kept_at >= $3 AND k.kept_at <= $4
        ORDER BY k.kept_at DESC, r.name DESC LIMIT $5";
    let values = params![organisation_id, monitor_id, from, to, limit];
    let rows = tx.fetch_all(SQL, values).await?;
    rows.iter()
        .map(|row| {
            Ok(KeptBack {
                at: row.get("kept_at")?,
                region: row.get("region")?,
                reason: row.get("reason")?,
            })
        })
        .collect()
}

/// The newest first.
async fn of_monitor(
    tx: &mut Tx,
    organisation_id: Uuid,
    monitor_id: Uuid,
    (from, to): (i64, i64),
    limit: i64,
) -> Result<Vec<Burst>, StoreError> {
    const BURSTS: &str = "SELECT b.*, r.name AS region FROM bursts b
        JOIN regions r ON r.organisation_id = b.organisation_id AND r.id = b.region_id
        WHERE b.organisation_id = $1 AND b.monitor_id = $2 AND b.asked_at >= $3 AND b.asked_at <= $4
        ORDER BY b.asked_at DESC, b.id DESC LIMIT $5";
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
