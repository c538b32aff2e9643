//! Step 5: what is stored of states and verdicts.
//!
//! `region_states` holds only regions that are not steadily up; `monitor_states`
//! has one row a monitor, which is the lock under which its verdict changes.

mod overview;
mod seats;

use super::{Row, StoreError, Tx, json_text};
use crate::params;
use hyperverge_control_core::correlation::{BurstMarks, Scope, StateRow, Verdict};
use hyperverge_control_core::incident::flap::Turn;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use uuid::Uuid;

pub(in crate::store) use overview::phases;
pub use overview::{MonitorRegions, RegionItem, monitor_regions, overview};
pub use seats::{Watched, watched};

/// A monitor's verdict as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MonitorState {
    pub monitor_id: Uuid,
    /// Raised by each change.
    pub generation: i64,
    pub verdict: Verdict,
    /// `None` while nothing hurts.
    pub scope: Option<Scope>,
    pub since: i64,
    /// When its incidents last opened or resolved, the oldest first.
    pub turns: Vec<Turn>,
    /// A resolution is held till then because it flaps.
    pub hold_until: Option<i64>,
}

/// Locks these monitors' verdicts until the commit, always in the same order, so
/// that two batches cannot wait for each other.
pub async fn lock(
    tx: &mut Tx,
    organisation_id: Uuid,
    monitor_ids: Vec<Uuid>,
) -> Result<Vec<MonitorState>, StoreError> {
    let plain = crate::among!(tx, "SELECT * FROM monitor_states
        WHERE organisation_id = $1 AND monitor_id ", uuids "$2", " ORDER BY monitor_id");
    let locking = crate::among!(tx, "SELECT * FROM monitor_states
        WHERE organisation_id = $1 AND monitor_id ", uuids "$2", " ORDER BY monitor_id FOR UPDATE");
    let sql = tx.for_update(plain, locking);
    let rows = tx.fetch_all(sql, params![organisation_id, monitor_ids]).await?;
    rows.iter().map(read_monitor).collect()
}

/// These monitors' verdicts, by id, as they are now.
pub async fn verdicts(
    tx: &mut Tx,
    organisation_id: Uuid,
    monitor_ids: Vec<Uuid>,
) -> Result<BTreeMap<Uuid, MonitorState>, StoreError> {
    let sql = crate::among!(tx, "SELECT * FROM monitor_states
        WHERE organisation_id = $1 AND monitor_id ", uuids "$2", "");
    let rows = tx.fetch_all(sql, params![organisation_id, monitor_ids]).await?;
    rows.iter().map(|row| read_monitor(row).map(|state| (state.monitor_id, state))).collect()
}

/// Writes a locked monitor's new verdict.
pub async fn set_verdict(
    tx: &mut Tx,
    organisation_id: Uuid,
    state: &MonitorState,
) -> Result<(), StoreError> {
    const SQL: &str = "UPDATE monitor_states
        SET generation = $3, verdict = $4, scope = $5, since = $6, turns = $7, hold_until = $8
        WHERE organisation_id = $1 AND monitor_id = $2";
    let values = params![
        organisation_id,
        state.monitor_id,
        state.generation,
        state.verdict.as_str(),
        state.scope.map(Scope::as_str),
        state.since,
        json_text("turns", &state.turns)?,
        state.hold_until
    ];
    tx.execute(SQL, values).await.map(drop)
}

/// Of these monitors, those that steady success of `region_id` may still change:
/// with a row of that region, or with a verdict other than up.
pub async fn unsteady(
    tx: &mut Tx,
    organisation_id: Uuid,
    region_id: Uuid,
    monitor_ids: Vec<Uuid>,
) -> Result<Vec<Uuid>, StoreError> {
    let sql = crate::among!(tx, "SELECT m.monitor_id FROM monitor_states m
        WHERE m.organisation_id = $1
            AND (m.verdict <> 'up' OR m.hold_until IS NOT NULL OR EXISTS (SELECT 1 FROM region_states r
                WHERE r.organisation_id = m.organisation_id AND r.monitor_id = m.monitor_id
                    AND r.region_id = $2))
            AND m.monitor_id ", uuids "$3", " ORDER BY m.monitor_id");
    let rows = tx.fetch_all(sql, params![organisation_id, region_id, monitor_ids]).await?;
    rows.iter().map(|row| row.get("monitor_id")).collect()
}

/// Monitors whose verdict or incident may change by time alone, after the id
/// `after`: those with a region that is not steadily up, those whose verdict is not
/// up, those that have to settle, and those that an agent watches whose newest report is not
/// of the time `fresh`: it is late, or the clock was set back since.
pub async fn may_turn(
    tx: &mut Tx,
    organisation_id: Uuid,
    fresh: RangeInclusive<i64>,
    after: Uuid,
    limit: i64,
) -> Result<Vec<Uuid>, StoreError> {
    const SQL: &str = "SELECT monitor_id FROM (
            SELECT monitor_id FROM region_states WHERE organisation_id = $1
            UNION SELECT monitor_id FROM monitor_states
                WHERE organisation_id = $1 AND (verdict <> 'up' OR hold_until IS NOT NULL)
            UNION SELECT a.monitor_id FROM agents g JOIN assignments a
                    ON a.organisation_id = g.organisation_id AND a.agent_id = g.id
                WHERE g.organisation_id = $1 AND a.ended_at IS NULL
                    AND (g.complete_through IS NULL OR g.complete_through NOT BETWEEN $2 AND $3)
        ) AS turning WHERE monitor_id > $4 ORDER BY monitor_id LIMIT $5";
    let (since, until) = fresh.into_inner();
    let rows = tx.fetch_all(SQL, params![organisation_id, since, until, after, limit]).await?;
    rows.iter().map(|row| row.get("monitor_id")).collect()
}

/// The rows of these monitors, by monitor and region.
pub async fn rows(
    tx: &mut Tx,
    organisation_id: Uuid,
    monitor_ids: Vec<Uuid>,
) -> Result<Vec<(Uuid, Uuid, StateRow)>, StoreError> {
    let sql = crate::among!(tx, "SELECT * FROM region_states
        WHERE organisation_id = $1 AND monitor_id ", uuids "$2", " ORDER BY monitor_id, region_id");
    let rows = tx.fetch_all(sql, params![organisation_id, monitor_ids]).await?;
    rows.iter()
        .map(|row| Ok((row.get("monitor_id")?, row.get("region_id")?, read_row(row)?)))
        .collect()
}

/// Writes the row of a region that is not steadily up.
pub async fn put_row(
    tx: &mut Tx,
    organisation_id: Uuid,
    monitor_id: Uuid,
    region_id: Uuid,
    row: &StateRow,
) -> Result<(), StoreError> {
    const SQL: &str = "INSERT INTO region_states (organisation_id, monitor_id, region_id, revision,
            state, since, failures, successes, streak_began, newest_slot, newest_at, broken_at,
            burst_id, burst_index, burst_below, observed_at, reason, message)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)
        ON CONFLICT (organisation_id, monitor_id, region_id) DO UPDATE SET
            revision = excluded.revision, state = excluded.state, since = excluded.since,
            failures = excluded.failures, successes = excluded.successes,
            streak_began = excluded.streak_began, newest_slot = excluded.newest_slot,
            newest_at = excluded.newest_at, broken_at = excluded.broken_at,
            burst_id = excluded.burst_id, burst_index = excluded.burst_index,
            burst_below = excluded.burst_below,
            observed_at = excluded.observed_at, reason = excluded.reason,
            message = excluded.message";
    let values = params![
        organisation_id,
        monitor_id,
        region_id,
        row.revision,
        row.state.as_str(),
        row.since.unwrap_or(0),
        row.failures,
        row.successes,
        row.streak_began,
        row.newest_slot,
        row.newest_at,
        row.broken_at,
        row.burst.map(|marks| marks.id),
        row.burst.map(|marks| marks.index),
        row.burst.map(|marks| marks.below.cast_signed()),
        row.observed_at,
        row.reason.clone(),
        row.message.clone()
    ];
    tx.execute(SQL, values).await.map(drop)
}

/// Removes the row of a region that is steadily up, or not known any more.
pub async fn delete_row(
    tx: &mut Tx,
    organisation_id: Uuid,
    monitor_id: Uuid,
    region_id: Uuid,
) -> Result<bool, StoreError> {
    const SQL: &str = "DELETE FROM region_states
        WHERE organisation_id = $1 AND monitor_id = $2 AND region_id = $3";
    Ok(tx.execute(SQL, params![organisation_id, monitor_id, region_id]).await? == 1)
}

/// Removes every region's row of a monitor: its old votes are over.
pub async fn delete_rows(
    tx: &mut Tx,
    organisation_id: Uuid,
    monitor_id: Uuid,
) -> Result<u64, StoreError> {
    const SQL: &str = "DELETE FROM region_states WHERE organisation_id = $1 AND monitor_id = $2";
    tx.execute(SQL, params![organisation_id, monitor_id]).await
}

fn read_monitor(row: &Row) -> Result<MonitorState, StoreError> {
    Ok(MonitorState {
        monitor_id: row.get("monitor_id")?,
        generation: row.get("generation")?,
        verdict: row.word("verdict")?,
        scope: row.optional_word("scope")?,
        since: row.get("since")?,
        turns: row.json("turns")?,
        hold_until: row.get("hold_until")?,
    })
}

fn read_marks(row: &Row) -> Result<Option<BurstMarks>, StoreError> {
    let id: Option<Uuid> = row.get("burst_id")?;
    let index: Option<i64> = row.get("burst_index")?;
    let below: Option<i64> = row.get("burst_below")?;
    Ok(id.map(|id| BurstMarks {
        id,
        index: index.and_then(|index| u32::try_from(index).ok()).unwrap_or(0),
        below: below.unwrap_or(0).cast_unsigned(),
    }))
}

pub(in crate::store) fn read_row(row: &Row) -> Result<StateRow, StoreError> {
    let count = |column| -> Result<u32, StoreError> {
        Ok(u32::try_from(row.get::<i64>(column)?).unwrap_or(u32::MAX))
    };
    let since: i64 = row.get("since")?;
    Ok(StateRow {
        revision: row.get("revision")?,
        state: row.word("state")?,
        // 0 stands for "before what is known"; the column has no NULL.
        since: (since > 0).then_some(since),
        failures: count("failures")?,
        successes: count("successes")?,
        streak_began: row.get("streak_began")?,
        newest_slot: row.get("newest_slot")?,
        newest_at: row.get("newest_at")?,
        broken_at: row.get("broken_at")?,
        burst: read_marks(row)?,
        observed_at: row.get("observed_at")?,
        reason: row.get("reason")?,
        message: row.get("message")?,
    })
}
