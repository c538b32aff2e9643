//! One monitor's past, as `history` of the core takes it: what another policy
//! would have made of it, and how things stood at a time.
//!
//! Everything is read by ranges and pages with limits. What retention dropped is
//! simply not there, and who asks says so.

mod arrivals;
mod checks;
mod company;
mod past;
mod told;

use super::{Row, StoreError, Tx};
use crate::params;
use hyperverge_control_core::assignment::Slots;
use hyperverge_control_core::history::{Discredit, Mark, Place, Revision, Tenure};
use hyperverge_protocol::monitor::MonitorSpec;
use uuid::Uuid;

pub use arrivals::{Span, arrivals, count, missed, undated};
pub use checks::{Check, checks};
pub use company::{Joined, Telling, joins, subject_name, tellings, tells_the_beginning};
pub use past::{Depth, moment, read, run_up};
pub use told::{StoredIntent, incident_at, intents, outages};

/// Specifications of one monitor that are read at most, the newest ones.
const REVISIONS: i64 = 1_000;
/// Assignments of one monitor that are read at most, the newest ones.
const TENURES: i64 = 10_000;
/// Times without a vote that are read at most, the newest ones.
const DISCREDITS: i64 = 1_000;

/// The specifications that were in force until `until`, in order. One that only a
/// newer version can read is left out.
pub async fn revisions(
    tx: &mut Tx,
    organisation_id: Uuid,
    monitor_id: Uuid,
    until: i64,
) -> Result<Vec<Revision>, StoreError> {
    const SQL: &str = "SELECT revision, spec, created_at, deleted FROM monitor_revisions
        WHERE organisation_id = $1 AND monitor_id = $2 AND created_at <= $3
        ORDER BY revision DESC LIMIT $4";
    let rows = tx.fetch_all(SQL, params![organisation_id, monitor_id, until, REVISIONS]).await?;
    let mut found = Vec::with_capacity(rows.len());
    for row in rows.iter().rev() {
        let number: i64 = row.get("revision")?;
        match row.json::<MonitorSpec>("spec") {
            Ok(spec) => found.push(Revision {
                number,
                spec,
                created_at: row.get("created_at")?,
                deleted: row.get("deleted")?,
            }),
            Err(error) => {
                tracing::warn!(monitor = %monitor_id, revision = number, %error, "left out");
            }
        }
    }
    Ok(found)
}

/// When these agents had no vote, at any time from `from` to `until`.
pub async fn discredits(
    tx: &mut Tx,
    organisation_id: Uuid,
    agent_ids: Vec<String>,
    from: i64,
    until: i64,
) -> Result<Vec<Discredit>, StoreError> {
    let sql = crate::among!(tx, "SELECT agent_id, lost_at, regained_at FROM discredits
        WHERE organisation_id = $1 AND lost_at <= $3
            AND (regained_at IS NULL OR regained_at >= $2) AND agent_id ", texts "$4",
        " ORDER BY lost_at DESC, agent_id LIMIT $5");
    let values = params![organisation_id, from, until, agent_ids, DISCREDITS];
    let rows = tx.fetch_all(sql, values).await?;
    rows.iter()
        .rev()
        .map(|row| {
            Ok(Discredit {
                agent_id: row.get("agent_id")?,
                from: row.get("lost_at")?,
                until: row.get("regained_at")?,
            })
        })
        .collect()
}

/// How far each of these agents was complete by `until`, as its newest batches
/// since `from` said.
pub async fn marks(
    tx: &mut Tx,
    organisation_id: Uuid,
    agent_ids: Vec<String>,
    from: i64,
    until: i64,
) -> Result<Vec<Mark>, StoreError> {
    let sql = crate::among!(tx, "SELECT agent_id, MAX(received_at) AS received_at,
            MAX(complete_through) AS through
        FROM agent_batches WHERE received_at BETWEEN $2 AND $3 AND organisation_id = $1
            AND complete_through IS NOT NULL AND agent_id ", texts "$4",
        " GROUP BY agent_id ORDER BY received_at, agent_id");
    let rows = tx.fetch_all(sql, params![organisation_id, from, until, agent_ids]).await?;
    rows.iter()
        .map(|row| {
            Ok(Mark {
                agent_id: row.get("agent_id")?,
                received_at: row.get("received_at")?,
                through: row.get("through")?,
            })
        })
        .collect()
}

/// Every region the organisation has or had, by name.
pub async fn places(tx: &mut Tx, organisation_id: Uuid) -> Result<Vec<Place>, StoreError> {
    const SQL: &str = "SELECT id, name, first_agent_at, retired_at FROM regions
        WHERE organisation_id = $1 ORDER BY name";
    let rows = tx.fetch_all(SQL, params![organisation_id]).await?;
    rows.iter()
        .map(|row| {
            Ok(Place {
                id: row.get("id")?,
                name: row.get("name")?,
                first_agent_at: row.get("first_agent_at")?,
                retired_at: row.get("retired_at")?,
            })
        })
        .collect()
}

/// Who was to look at any time from `from` to `until`, in order.
pub async fn tenures(
    tx: &mut Tx,
    organisation_id: Uuid,
    monitor_id: Uuid,
    from: i64,
    until: i64,
) -> Result<Vec<Tenure>, StoreError> {
    const SQL: &str = "SELECT region_id, agent_id, revision, first_slot, anchor_ms, interval_ms,
            assigned_at, ended_at, predecessor_through
        FROM assignments
        WHERE organisation_id = $1 AND monitor_id = $2 AND assigned_at <= $4
            AND (ended_at IS NULL OR ended_at >= $3)
        ORDER BY assigned_at DESC, first_slot DESC LIMIT $5";
    let values = params![organisation_id, monitor_id, from, until, TENURES];
    tx.fetch_all(SQL, values).await?.iter().rev().map(tenure).collect()
}

fn tenure(row: &Row) -> Result<Tenure, StoreError> {
    Ok(Tenure {
        region_id: row.get("region_id")?,
        agent_id: row.get("agent_id")?,
        revision: row.get("revision")?,
        first_slot: row.get("first_slot")?,
        slots: Slots { anchor_ms: row.get("anchor_ms")?, interval_ms: row.get("interval_ms")? },
        assigned_at: row.get("assigned_at")?,
        ended_at: row.get("ended_at")?,
        predecessor_through: row.get("predecessor_through")?,
    })
}
