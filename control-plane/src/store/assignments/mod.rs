//! Assignments: who probes what, now and before; and each agent's signed set.

mod fleet;
mod sets;

use super::{Row, StoreError, Tx};
use crate::params;
use uuid::Uuid;

pub use fleet::{Fleet, FleetAgent, FleetMonitor, FleetRegion, fleet, regions};
pub use sets::{StoredSet, content_version, due_for_renewal, newest_set, put_set, set_versions};

/// An assignment as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    pub monitor_id: Uuid,
    pub region_id: Uuid,
    pub agent_id: String,
    pub revision: i64,
    /// Slot k is due at `anchor_ms` + k × `interval_ms`.
    pub first_slot: i64,
    pub anchor_ms: i64,
    pub interval_ms: i64,
    pub assigned_at: i64,
    pub ended_at: Option<i64>,
    /// The last slot owned, once ended.
    pub last_slot: Option<i64>,
    /// How far the agent before had reported, when it had the same revision.
    pub predecessor_through: Option<i64>,
}

/// Adds an assignment; [`StoreError::Conflict`] while the monitor has another in
/// that region. An agent that had just this one before, and gives no slot back
/// because none was due in between, has it again.
pub async fn assign(
    tx: &mut Tx,
    organisation_id: Uuid,
    new: &Assignment,
) -> Result<(), StoreError> {
    const SQL: &str = "INSERT INTO assignments (organisation_id, monitor_id, region_id, agent_id,
            revision, first_slot, anchor_ms, interval_ms, assigned_at, predecessor_through)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
        ON CONFLICT (organisation_id, monitor_id, region_id, revision, agent_id, first_slot)
        DO UPDATE SET ended_at = NULL, last_slot = NULL, assigned_at = excluded.assigned_at,
            predecessor_through = excluded.predecessor_through
        WHERE assignments.ended_at IS NOT NULL";
    let values = params![
        organisation_id,
        new.monitor_id,
        new.region_id,
        &new.agent_id,
        new.revision,
        new.first_slot,
        new.anchor_ms,
        new.interval_ms,
        new.assigned_at,
        new.predecessor_through
    ];
    match tx.execute(SQL, values).await? {
        0 => Err(StoreError::Conflict),
        _ => Ok(()),
    }
}

/// Ends the current assignment of the monitor in the region after `last_slot`.
pub async fn end(
    tx: &mut Tx,
    organisation_id: Uuid,
    monitor_id: Uuid,
    region_id: Uuid,
    last_slot: i64,
    now: i64,
) -> Result<bool, StoreError> {
    const SQL: &str = "UPDATE assignments SET ended_at = $4, last_slot = $5
        WHERE organisation_id = $1 AND monitor_id = $2 AND region_id = $3 AND ended_at IS NULL";
    let values = params![organisation_id, monitor_id, region_id, now, last_slot];
    Ok(tx.execute(SQL, values).await? == 1)
}

/// Every assignment, current or ended, that `agent_id` ever had of these monitors:
/// what its rows are judged by.
pub async fn held_by(
    tx: &mut Tx,
    organisation_id: Uuid,
    agent_id: &str,
    region_id: Uuid,
    monitor_ids: Vec<Uuid>,
) -> Result<Vec<Assignment>, StoreError> {
    let sql = crate::among!(tx, "SELECT * FROM assignments
        WHERE organisation_id = $1 AND region_id = $2 AND agent_id = $3 AND monitor_id ", uuids "$4",
        " ORDER BY monitor_id, revision, first_slot");
    let values = params![organisation_id, region_id, agent_id, monitor_ids];
    tx.fetch_all(sql, values).await?.iter().map(read).collect()
}

/// The current assignments of these monitors, by monitor and region.
pub async fn current_of(
    tx: &mut Tx,
    organisation_id: Uuid,
    monitor_ids: Vec<Uuid>,
) -> Result<Vec<Assignment>, StoreError> {
    let sql = crate::among!(tx, "SELECT * FROM assignments
        WHERE organisation_id = $1 AND ended_at IS NULL AND monitor_id ", uuids "$2",
        " ORDER BY monitor_id, region_id");
    tx.fetch_all(sql, params![organisation_id, monitor_ids]).await?.iter().map(read).collect()
}

/// The current assignments of an agent, in the order of its set.
pub async fn current_by(
    tx: &mut Tx,
    organisation_id: Uuid,
    agent_id: &str,
) -> Result<Vec<Assignment>, StoreError> {
    const SQL: &str = "SELECT * FROM assignments
        WHERE organisation_id = $1 AND agent_id = $2 AND ended_at IS NULL ORDER BY monitor_id";
    tx.fetch_all(SQL, params![organisation_id, agent_id]).await?.iter().map(read).collect()
}

/// Every current assignment of the organisation.
pub async fn current_all(
    tx: &mut Tx,
    organisation_id: Uuid,
) -> Result<Vec<Assignment>, StoreError> {
    const SQL: &str = "SELECT * FROM assignments
        WHERE organisation_id = $1 AND ended_at IS NULL ORDER BY monitor_id, region_id";
    tx.fetch_all(SQL, params![organisation_id]).await?.iter().map(read).collect()
}

/// For each monitor and region without a current assignment, the newest ended
/// one: where its slots go on.
pub async fn newest_ended(
    tx: &mut Tx,
    organisation_id: Uuid,
) -> Result<Vec<Assignment>, StoreError> {
    const SQL: &str = "SELECT a.* FROM assignments a
        JOIN monitors m ON m.organisation_id = a.organisation_id AND m.id = a.monitor_id
            AND m.revision = a.revision
        WHERE a.organisation_id = $1 AND a.ended_at IS NOT NULL AND NOT EXISTS (
            SELECT 1 FROM assignments b
            WHERE b.organisation_id = a.organisation_id AND b.monitor_id = a.monitor_id
                AND b.region_id = a.region_id AND (b.ended_at IS NULL
                    OR (b.revision = a.revision AND b.first_slot > a.first_slot)))
        ORDER BY a.monitor_id, a.region_id, a.last_slot";
    tx.fetch_all(SQL, params![organisation_id]).await?.iter().map(read).collect()
}

fn read(row: &Row) -> Result<Assignment, StoreError> {
    Ok(Assignment {
        monitor_id: row.get("monitor_id")?,
        region_id: row.get("region_id")?,
        agent_id: row.get("agent_id")?,
        revision: row.get("revision")?,
        first_slot: row.get("first_slot")?,
        anchor_ms: row.get("anchor_ms")?,
        interval_ms: row.get("interval_ms")?,
        assigned_at: row.get("assigned_at")?,
        ended_at: row.get("ended_at")?,
        last_slot: row.get("last_slot")?,
        predecessor_through: row.get("predecessor_through")?,
    })
}
