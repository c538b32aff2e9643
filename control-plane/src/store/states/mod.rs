//! Step 5: what is stored of states and verdicts.
//!
//! `region_states` holds only regions that are not steadily up; `monitor_states`
//! has one row a monitor, which is the lock under which its verdict changes.

mod overview;
mod seats;

use super::{Row, StoreError, Tx, json_text, listed_id, rows_text};
use crate::params;
use hyperverge_control_core::correlation::{BurstMarks, Scope, StateRow, Verdict};
use hyperverge_control_core::incident::flap::Turn;
use serde_json::json;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use uuid::Uuid;

pub(in crate::store) use overview::phases;
pub use overview::{MonitorRegions, RegionItem, monitor_regions, overview};
pub use seats::{Watched, watched};

/// Rows that one statement writes.
const ROWS: usize = 1_000;

/// A region's seat of a monitor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub monitor_id: Uuid,
    pub region_id: Uuid,
}

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
    set_verdicts(tx, organisation_id, std::slice::from_ref(state)).await
}

/// Writes locked monitors' new verdicts.
pub async fn set_verdicts(
    tx: &mut Tx,
    organisation_id: Uuid,
    states: &[MonitorState],
) -> Result<(), StoreError> {
    let sql = crate::listed!(tx, "$2",
        [monitor_id uuid, generation bigint, verdict text, scope text, since bigint, turns text,
         hold_until bigint],
        "UPDATE monitor_states SET generation = l.generation, verdict = l.verdict,
            scope = l.scope, since = l.since, turns = l.turns, hold_until = l.hold_until
        FROM listed l WHERE monitor_states.organisation_id = $1
            AND monitor_states.monitor_id = l.monitor_id");
    for some in states.chunks(ROWS) {
        let mut rows = Vec::with_capacity(some.len());
        for state in some {
            rows.push(json!({
                "monitor_id": listed_id(state.monitor_id),
                "generation": state.generation,
                "verdict": state.verdict.as_str(),
                "scope": state.scope.map(Scope::as_str),
                "since": state.since,
                "turns": json_text("turns", &state.turns)?,
                "hold_until": state.hold_until,
            }));
        }
        tx.execute(sql, params![organisation_id, rows_text(rows.into_iter())]).await?;
    }
    Ok(())
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

/// Of these monitors, those whose stored verdict is up, by id.
pub async fn up_of(
    tx: &mut Tx,
    organisation_id: Uuid,
    monitor_ids: Vec<Uuid>,
) -> Result<Vec<Uuid>, StoreError> {
    let sql = crate::among!(tx, "SELECT monitor_id FROM monitor_states
        WHERE organisation_id = $1 AND verdict = 'up' AND monitor_id ", uuids "$2",
        " ORDER BY monitor_id");
    let rows = tx.fetch_all(sql, params![organisation_id, monitor_ids]).await?;
    rows.iter().map(|row| row.get("monitor_id")).collect()
}

/// Monitors whose verdict or incident may change by time alone, after the id
/// `after`: those with a region that is not steadily up, those that hurt or have to settle,
/// those that an agent watches whose newest report is not of the time `fresh` (it is late, or
/// the clock was set back since), and those of which nothing is known, though an agent that
/// reports watches them. Where nobody looks, what is unknown stays so; that what is up becomes
/// so is the planner's to see, who knows which places have nobody.
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
                WHERE organisation_id = $1
                    AND (verdict NOT IN ('up', 'unknown') OR hold_until IS NOT NULL)
            UNION SELECT a.monitor_id FROM agents g
                JOIN assignments a ON a.organisation_id = g.organisation_id AND a.agent_id = g.id
                JOIN monitor_states m
                    ON m.organisation_id = a.organisation_id AND m.monitor_id = a.monitor_id
                WHERE g.organisation_id = $1 AND a.ended_at IS NULL AND m.verdict <> 'unknown'
                    AND (g.complete_through IS NULL OR g.complete_through NOT BETWEEN $2 AND $3)
            UNION SELECT m.monitor_id FROM monitor_states m
                WHERE m.organisation_id = $1 AND m.verdict = 'unknown'
                    AND EXISTS (SELECT 1 FROM assignments a JOIN agents g
                            ON g.organisation_id = a.organisation_id AND g.id = a.agent_id
                        WHERE a.organisation_id = m.organisation_id AND a.monitor_id = m.monitor_id
                            AND a.ended_at IS NULL AND g.complete_through BETWEEN $2 AND $3)
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
    let place = Place { monitor_id, region_id };
    put_rows(tx, organisation_id, &[(place, row.clone())]).await
}

/// Writes the rows of regions that are not steadily up, each place once.
pub async fn put_rows(
    tx: &mut Tx,
    organisation_id: Uuid,
    rows: &[(Place, StateRow)],
) -> Result<(), StoreError> {
    let sql = crate::listed!(tx, "$2",
        [monitor_id uuid, region_id uuid, revision bigint, state text, since bigint,
         failures bigint, successes bigint, streak_began bigint, newest_slot bigint,
         newest_at bigint, broken_at bigint, burst_id uuid, burst_index bigint,
         burst_below bigint, observed_at bigint, reason text,
         message text],
        "INSERT INTO region_states (organisation_id, monitor_id, region_id, revision,
            state, since, failures, successes, streak_began, newest_slot, newest_at, broken_at,
            burst_id, burst_index, burst_below, observed_at, reason, message)
        SELECT $1, l.monitor_id, l.region_id, l.revision, l.state, l.since, l.failures,
            l.successes, l.streak_began, l.newest_slot, l.newest_at, l.broken_at, l.burst_id,
            l.burst_index, l.burst_below, l.observed_at, l.reason, l.message
        FROM listed l WHERE TRUE
        ON CONFLICT (organisation_id, monitor_id, region_id) DO UPDATE SET
            revision = excluded.revision, state = excluded.state, since = excluded.since,
            failures = excluded.failures, successes = excluded.successes,
            streak_began = excluded.streak_began, newest_slot = excluded.newest_slot,
            newest_at = excluded.newest_at, broken_at = excluded.broken_at,
            burst_id = excluded.burst_id, burst_index = excluded.burst_index,
            burst_below = excluded.burst_below,
            observed_at = excluded.observed_at, reason = excluded.reason,
            message = excluded.message");
    for some in rows.chunks(ROWS) {
        let rows = some.iter().map(|(place, row)| {
            json!({
                "monitor_id": listed_id(place.monitor_id),
                "region_id": listed_id(place.region_id),
                "revision": row.revision,
                "state": row.state.as_str(),
                "since": row.since.unwrap_or(0),
                "failures": row.failures,
                "successes": row.successes,
                "streak_began": row.streak_began,
                "newest_slot": row.newest_slot,
                "newest_at": row.newest_at,
                "broken_at": row.broken_at,
                "burst_id": row.burst.map(|marks| listed_id(marks.id)),
                "burst_index": row.burst.map(|marks| marks.index),
                "burst_below": row.burst.map(|marks| marks.below.cast_signed()),
                "observed_at": row.observed_at,
                "reason": &row.reason,
                "message": &row.message,
            })
        });
        tx.execute(sql, params![organisation_id, rows_text(rows)]).await?;
    }
    Ok(())
}

/// Removes the row of a region that is steadily up, or not known any more.
pub async fn delete_row(
    tx: &mut Tx,
    organisation_id: Uuid,
    monitor_id: Uuid,
    region_id: Uuid,
) -> Result<bool, StoreError> {
    let place = Place { monitor_id, region_id };
    Ok(delete_rows_at(tx, organisation_id, &[place]).await? == 1)
}

/// As [`delete_row`], of any number of places; how many rows there were.
pub async fn delete_rows_at(
    tx: &mut Tx,
    organisation_id: Uuid,
    places: &[Place],
) -> Result<u64, StoreError> {
    let sql = crate::listed!(tx, "$2", [monitor_id uuid, region_id uuid],
        "DELETE FROM region_states WHERE organisation_id = $1
            AND (monitor_id, region_id) IN (SELECT l.monitor_id, l.region_id FROM listed l)");
    let mut deleted = 0;
    for some in places.chunks(ROWS) {
        let rows = some.iter().map(|place| {
            json!({
                "monitor_id": listed_id(place.monitor_id),
                "region_id": listed_id(place.region_id),
            })
        });
        deleted += tx.execute(sql, params![organisation_id, rows_text(rows)]).await?;
    }
    Ok(deleted)
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
