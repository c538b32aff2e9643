//! Single checks, as people are shown them beside a decision.

use super::Span;
use super::arrivals::{DATED_FROM_US, micros};
use crate::params;
use crate::store::{Row, StoreError, Tx};

/// A check with where it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    pub region: String,
    pub agent_id: String,
    pub revision: i64,
    pub slot: i64,
    /// Above 0: one of a burst.
    pub burst_index: i64,
    pub due_us: i64,
    pub started_us: i64,
    pub ended_us: i64,
    /// Wire `Outcome`.
    pub outcome: i64,
    pub reason: Option<String>,
    pub message: Option<String>,
    pub received_at: i64,
}

/// The checks of `span` from the region, the newest first, at most `most`.
pub async fn checks(
    tx: &mut Tx,
    span: Span,
    region: &str,
    most: i64,
) -> Result<Vec<Check>, StoreError> {
    const SQL: &str = "SELECT s.*, r.name AS region FROM results s
        JOIN regions r ON r.organisation_id = s.organisation_id AND r.id = s.region_id
        WHERE s.organisation_id = $1 AND s.monitor_id = $2 AND r.name = $3 AND NOT s.undated
            AND s.due_us BETWEEN $4 AND $5 AND s.received_at <= $6
        ORDER BY s.due_us DESC, s.burst_id DESC, s.burst_index DESC LIMIT $7";
    let (from_us, until_us) = micros(span);
    let values = params![
        span.organisation_id,
        span.monitor_id,
        region,
        from_us.max(DATED_FROM_US),
        until_us,
        span.until,
        most
    ];
    tx.fetch_all(SQL, values).await?.iter().map(read).collect()
}

fn read(row: &Row) -> Result<Check, StoreError> {
    Ok(Check {
        region: row.get("region")?,
        agent_id: row.get("agent_id")?,
        revision: row.get("revision")?,
        slot: row.get("slot")?,
        burst_index: row.get("burst_index")?,
        due_us: row.get("due_us")?,
        started_us: row.get("started_us")?,
        ended_us: row.get("ended_us")?,
        outcome: row.get("outcome")?,
        reason: row.get("reason")?,
        message: row.get("message")?,
        received_at: row.get("received_at")?,
    })
}
