//! What people are shown: each monitor's verdict and what each region tells now.

use super::{Watched, read_monitor, watched};
use crate::params;
use crate::store::{Row, StoreError, Tx};
use hyperverge_control_core::correlation::{
    RegionState, RegionView, Scope, Thresholds, Verdict, view,
};
use hyperverge_protocol::outcome::Phases;
use std::collections::BTreeMap;
use std::time::Duration;
use uuid::Uuid;

/// A monitor as people see it.
#[derive(Debug, Clone)]
pub struct MonitorRegions {
    pub monitor_id: Uuid,
    pub verdict: Verdict,
    /// `None` while nothing hurts.
    pub scope: Option<Scope>,
    /// Since when the verdict holds.
    pub since: i64,
    /// By the regions' names; one for each seat, also where nobody looks.
    pub items: Vec<RegionItem>,
}

/// What a region tells now, with its newest result.
#[derive(Debug, Clone)]
pub struct RegionItem {
    pub region: String,
    pub state: RegionState,
    /// `None`: for longer than is stored.
    pub since: Option<i64>,
    /// When the newest check started.
    pub last_result_at: Option<i64>,
    pub reason: Option<String>,
    pub message: Option<String>,
    /// Of the newest check.
    pub phases: Option<Phases>,
    /// Wire `Details` of the newest check, encoded.
    pub details: Option<Vec<u8>>,
}

/// One monitor; `None` when there is no such monitor.
pub async fn monitor_regions(
    tx: &mut Tx,
    organisation_id: Uuid,
    monitor_id: Uuid,
    now: i64,
) -> Result<Option<MonitorRegions>, StoreError> {
    Ok(overview(tx, organisation_id, &[monitor_id], now).await?.pop())
}

/// These monitors, in the order of their ids; those that do not exist are left
/// out. Six queries for any number of them: ask for a page at a time.
pub async fn overview(
    tx: &mut Tx,
    organisation_id: Uuid,
    monitor_ids: &[Uuid],
    now: i64,
) -> Result<Vec<MonitorRegions>, StoreError> {
    let mut newest = newest_results(tx, organisation_id, monitor_ids).await?;
    let sql = crate::among!(tx, "SELECT * FROM monitor_states
        WHERE organisation_id = $1 AND monitor_id ", uuids "$2", "");
    let rows = tx.fetch_all(sql, params![organisation_id, monitor_ids.to_vec()]).await?;
    let mut states = BTreeMap::new();
    for row in &rows {
        let state = read_monitor(row)?;
        states.insert(state.monitor_id, state);
    }
    let monitors = watched(tx, organisation_id, monitor_ids).await?;
    let seen = monitors.into_iter().filter_map(|monitor| {
        let state = states.remove(&monitor.monitor_id)?;
        let items = items(&monitor, &mut newest, now);
        Some(MonitorRegions {
            monitor_id: monitor.monitor_id,
            verdict: state.verdict,
            scope: state.scope,
            since: state.since,
            items,
        })
    });
    Ok(seen.collect())
}

fn items(
    monitor: &Watched,
    newest: &mut BTreeMap<(Uuid, Uuid), NewestResult>,
    now: i64,
) -> Vec<RegionItem> {
    let stale_after_ms = Thresholds::of(&monitor.spec).stale_after_ms;
    monitor
        .seats
        .iter()
        .map(|seat| {
            let RegionView { region, region_id, state, since, reason, message } =
                view(seat, stale_after_ms, now);
            let last = region_id.and_then(|id| newest.remove(&(monitor.monitor_id, id)));
            RegionItem {
                region,
                state,
                since,
                last_result_at: last.as_ref().map(|last| last.started_us / 1_000),
                reason,
                message,
                phases: last.as_ref().map(|last| last.phases),
                details: last.and_then(|last| last.details),
            }
        })
        .collect()
}

struct NewestResult {
    started_us: i64,
    phases: Phases,
    details: Option<Vec<u8>>,
}

/// The newest result of each current assignment: one look into the key's index each.
async fn newest_results(
    tx: &mut Tx,
    organisation_id: Uuid,
    monitor_ids: &[Uuid],
) -> Result<BTreeMap<(Uuid, Uuid), NewestResult>, StoreError> {
    let sql = crate::among!(tx, "SELECT r.monitor_id, r.region_id, r.started_us, r.details,
            r.resolve_us, r.connect_us, r.tls_us, r.processing_us, r.transfer_us
        FROM assignments a JOIN results r
            ON r.organisation_id = a.organisation_id AND r.monitor_id = a.monitor_id
                AND r.region_id = a.region_id AND r.revision = a.revision
                AND r.slot = (SELECT MAX(n.slot) FROM results n
                    WHERE n.organisation_id = a.organisation_id AND n.monitor_id = a.monitor_id
                        AND n.region_id = a.region_id AND n.revision = a.revision
                        AND NOT n.undated)
        WHERE a.organisation_id = $1 AND a.ended_at IS NULL AND NOT r.undated AND a.monitor_id ", uuids "$2",
        " ORDER BY r.started_us");
    let rows = tx.fetch_all(sql, params![organisation_id, monitor_ids.to_vec()]).await?;
    rows.iter()
        .map(|row| {
            let result = NewestResult {
                started_us: row.get("started_us")?,
                phases: phases(row)?,
                details: row.get("details")?,
            };
            Ok(((row.get("monitor_id")?, row.get("region_id")?), result))
        })
        .collect()
}

/// Reads the five phase columns.
pub(in crate::store) fn phases(row: &Row) -> Result<Phases, StoreError> {
    let phase = |column| Ok::<_, StoreError>(row.get::<Option<i64>>(column)?.map(micros));
    Ok(Phases {
        resolve: phase("resolve_us")?,
        connect: phase("connect_us")?,
        tls: phase("tls_us")?,
        processing: phase("processing_us")?,
        transfer: phase("transfer_us")?,
    })
}

fn micros(us: i64) -> Duration {
    Duration::from_micros(us.max(0).unsigned_abs())
}
