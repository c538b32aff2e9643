//! Reading history.

use crate::params;
use crate::store::states::phases;
use crate::store::{Row, StoreError, Tx};
use hyperverge_protocol::outcome::Phases;
use uuid::Uuid;

/// A stored result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredResult {
    pub region: String,
    pub agent_id: String,
    pub revision: i64,
    pub slot: i64,
    pub burst_index: i64,
    pub due_us: i64,
    pub started_us: i64,
    pub ended_us: i64,
    /// Wire `Outcome`.
    pub outcome: i64,
    pub reason: Option<String>,
    pub message: Option<String>,
    pub phases: Phases,
    pub address: Option<String>,
    pub status: Option<i64>,
    pub certificate_expires_s: Option<i64>,
    pub sample: Option<Vec<u8>>,
    pub redirects: i64,
    pub body_bytes: i64,
    /// Wire `Details`, encoded.
    pub details: Option<Vec<u8>>,
    /// Times are relative to a boot that never met us.
    pub undated: bool,
    pub position: Position,
}

/// Where a result stands in a monitor's history, newest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    pub due_us: i64,
    pub region_id: Uuid,
    pub burst_id: Uuid,
    pub burst_index: i64,
}

/// A page of a monitor's results, newest first, before `before`; of one region
/// when `region` names it.
pub async fn page(
    tx: &mut Tx,
    organisation_id: Uuid,
    monitor_id: Uuid,
    region: Option<&str>,
    before: Option<Position>,
    limit: i64,
) -> Result<Vec<StoredResult>, StoreError> {
    const SQL: &str = "SELECT s.*, r.name AS region FROM results s
        JOIN regions r ON r.organisation_id = s.organisation_id AND r.id = s.region_id
        WHERE s.organisation_id = $1 AND s.monitor_id = $2 AND ($3 = '' OR r.name = $3)
            AND s.due_us <= $4
            AND (s.due_us, s.region_id, s.burst_id, s.burst_index) < ($4, $5, $6, $7)
        ORDER BY s.due_us DESC, s.region_id DESC, s.burst_id DESC, s.burst_index DESC LIMIT $8";
    let before = before.unwrap_or(Position {
        due_us: i64::MAX,
        region_id: Uuid::max(),
        burst_id: Uuid::max(),
        burst_index: i64::MAX,
    });
    let values = params![
        organisation_id,
        monitor_id,
        region.unwrap_or(""),
        before.due_us,
        before.region_id,
        before.burst_id,
        before.burst_index,
        limit
    ];
    tx.fetch_all(SQL, values).await?.iter().map(read).collect()
}

fn read(row: &Row) -> Result<StoredResult, StoreError> {
    let (due_us, burst_index) = (row.get("due_us")?, row.get("burst_index")?);
    Ok(StoredResult {
        region: row.get("region")?,
        agent_id: row.get("agent_id")?,
        revision: row.get("revision")?,
        slot: row.get("slot")?,
        burst_index,
        due_us,
        started_us: row.get("started_us")?,
        ended_us: row.get("ended_us")?,
        outcome: row.get("outcome")?,
        reason: row.get("reason")?,
        message: row.get("message")?,
        phases: phases(row)?,
        address: row.get("address")?,
        status: row.get("status")?,
        certificate_expires_s: row.get("certificate_expires_s")?,
        sample: row.get("sample")?,
        redirects: row.get("redirects")?,
        body_bytes: row.get("body_bytes")?,
        details: row.get("details")?,
        undated: row.get("undated")?,
        position: Position {
            due_us,
            region_id: row.get("region_id")?,
            burst_id: row.get("burst_id")?,
            burst_index,
        },
    })
}
