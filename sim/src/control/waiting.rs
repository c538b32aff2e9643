//! What the paging planner asks for, from the tables.

use super::database::{Database, GroupRow, IncidentId, IncidentRow};
use super::verdicts;
use crate::world::cast::{Cast, CastMonitor, MonitorIndex};
use hyperverge_control_core::correlation::{RegionState, Verdict, looked};
use hyperverge_control_core::incident::SubjectKind;
use hyperverge_control_core::notification::hold::held;
use hyperverge_control_core::notification::route::Facts;
use hyperverge_control_core::paging::{
    Candidate, Cause, CauseKind, Group, Input, Parent, ParentState, Traits, Waiting,
};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// How an incident or a group is called where the product wants an id.
pub(super) fn id_of(number: u64) -> Uuid {
    Uuid::from_u128(u128::from(number))
}

/// The number behind such an id.
pub(super) fn number_of(id: Uuid) -> u64 {
    u64::try_from(id.as_u128()).unwrap_or(0)
}

/// Everything that waits or hurts.
pub(super) fn input(db: &Database, cast: &Cast, now: i64) -> Input {
    let waiting: BTreeSet<IncidentId> =
        db.unsettled.iter().map(|((incident, _), ())| *incident).collect();
    let hurting = db.open.iter().map(|(_, id)| *id).filter(|id| {
        db.incidents.get(id).is_some_and(|row| row.paged || row.verdict == Verdict::Down)
    });
    let ids: BTreeSet<IncidentId> = waiting.into_iter().chain(hurting).collect();
    let rows = ids.iter().filter_map(|id| Some((*id, db.incidents.get(id)?)));
    let candidates: Vec<Candidate> =
        rows.map(|(id, row)| candidate(db, cast, id, row, now)).collect();
    let unresolved = unresolved(db);
    let groups = db.groups.iter().filter(|(_, group)| group.resolved_at.is_none());
    let groups = groups.map(|(id, row)| group(*id, row, &unresolved)).collect();
    Input { population: population(db, cast, &candidates, now), candidates, groups }
}

/// Members of each group that were told and are not over.
pub(super) fn unresolved(db: &Database) -> BTreeMap<u64, u32> {
    let mut count = BTreeMap::new();
    for row in db.open.iter().filter_map(|(_, id)| db.incidents.get(id)) {
        let Some(group) = row.group else { continue };
        let quiet = db.groups.get(&group).is_some_and(|group| group.quiet);
        if row.paged || (quiet && row.told_quietly) {
            *count.entry(group).or_default() += 1;
        }
    }
    count
}

fn group(id: u64, row: &GroupRow, unresolved: &BTreeMap<u64, u32>) -> Group {
    Group {
        id: id_of(id),
        cause: row.cause.clone(),
        lead: id_of(row.lead),
        newest_started_at: row.newest_started_at,
        interval_ms: row.interval_ms,
        quiet: row.quiet,
        told_global: row.told_global,
        unresolved: unresolved.get(&id).copied().unwrap_or(0),
    }
}

fn candidate(db: &Database, cast: &Cast, id: IncidentId, row: &IncidentRow, now: i64) -> Candidate {
    let waiting = db.waiting(id).map(|(event_number, intent)| Waiting {
        event_number,
        kind: intent.kind,
        due_at: intent.due_at,
        quiet: intent.quiet,
    });
    let monitor = (row.subject.0 == SubjectKind::Monitor).then_some(row.subject.1);
    let watched = monitor.map(|monitor| &cast.monitors[monitor]);
    // The vote as it is now: what is stored may have grown old while nobody looked.
    let verdict = monitor.map(|monitor| verdicts::count(db, cast, monitor, now).verdict);
    let group = row
        .group
        .filter(|group| db.groups.get(group).is_some_and(|group| group.resolved_at.is_none()));
    Candidate {
        incident_id: id_of(id),
        subject: row.subject.0,
        name: crate::report::subject_name(cast, row.subject),
        verdict: verdict.unwrap_or(Verdict::Unknown),
        scope: row.scope,
        started_at: row.started_at,
        resolved: row.resolved_at.is_some(),
        paged: row.paged,
        told_quietly: row.told_quietly,
        told_alone: db
            .deliveries
            .range((id, i64::MIN, 0)..=(id, i64::MAX, usize::MAX))
            .next()
            .is_some(),
        group: group.map(id_of),
        waiting: waiting.collect(),
        traits: monitor.map(|monitor| traits(cast, monitor, row)).unwrap_or_default(),
        parents: monitor.map(|monitor| parents(db, cast, monitor)).unwrap_or_default(),
        interval_ms: watched.map_or(0, |watched| watched.interval),
        recheck_ms: watched.map_or(0, recheck),
        hold: held(&cast.silences, &cast.windows, &facts(cast, row), now),
    }
}

/// How long it takes at most to see that a target is well again, ms.
fn recheck(watched: &CastMonitor) -> i64 {
    i64::from(watched.thresholds.recover_after) * watched.interval + watched.timeout
}

/// What routes and holds match on.
pub(super) fn facts(cast: &Cast, row: &IncidentRow) -> Facts {
    let labels = match row.subject {
        (SubjectKind::Monitor, monitor) => cast.monitors[monitor].monitor.spec.labels.clone(),
        _ => BTreeMap::new(),
    };
    Facts {
        subject: row.subject.0,
        name: crate::report::subject_name(cast, row.subject),
        labels,
        severity: row.severity,
        verdict: row.verdict,
        scope: row.scope,
    }
}

fn traits(cast: &Cast, monitor: MonitorIndex, row: &IncidentRow) -> Traits {
    let watched = &cast.monitors[monitor];
    let cause = row.cause.as_deref().unwrap_or_default();
    let about_certificate = cause.starts_with("tls_") || cause == "certificate_days";
    let of = |state| row.regions.iter().filter(move |region| region.state == state);
    let partly = of(RegionState::Up).next().is_some();
    let regions = of(RegionState::Down).filter(|_| partly).map(|region| region.region.clone());
    Traits {
        host: Some(watched.monitor.host.to_lowercase()),
        addresses: [watched.monitor.address.clone()].into(),
        networks: [watched.network()].into(),
        certificate: about_certificate.then(|| watched.monitor.certificate.clone()),
        regions: regions.collect(),
    }
}

fn parents(db: &Database, cast: &Cast, monitor: MonitorIndex) -> Vec<Parent> {
    let names = cast.monitors[monitor].monitor.spec.depends_on.iter();
    let known = names.filter_map(|name| {
        let index = cast.monitors.iter().position(|it| it.name() == name)?;
        let state = db.monitor_states.get(&index)?;
        let burst = db.newest_burst.get(&index).and_then(|id| db.bursts.get(id));
        let confirming = burst.filter(|burst| !burst.settled).map(|burst| burst.expires_at);
        let state = match (state.verdict, confirming) {
            (Verdict::Down, _) => ParentState::Down,
            (Verdict::Unknown, _) if pages(db, index) => ParentState::Down,
            (Verdict::Unknown, _) => ParentState::Unknown,
            (_, Some(until)) => ParentState::Confirming { until },
            _ => ParentState::Well { since: came_back(db, index).unwrap_or(state.since) },
        };
        Some(Parent { name: name.clone(), state })
    });
    known.collect()
}

/// Whether the monitor's incident is open with a quorum.
fn pages(db: &Database, monitor: MonitorIndex) -> bool {
    let open = db.open.get(&(SubjectKind::Monitor, monitor));
    open.and_then(|id| db.incidents.get(id)).is_some_and(|row| row.verdict == Verdict::Down)
}

/// When the monitor last came back from being down, or 0; `None` while the incident in
/// which it was down is open below the quorum.
fn came_back(db: &Database, monitor: MonitorIndex) -> Option<i64> {
    let of_it =
        db.incidents.iter().filter(|(_, row)| row.subject == (SubjectKind::Monitor, monitor));
    let mut down = of_it.filter(|(_, row)| row.widest_down.is_some());
    down.try_fold(0, |newest, (_, row)| Some(row.resolved_at?.max(newest)))
}

/// How many monitors share what could be the cause: those that fail, and those that
/// were seen well since the first of them began to. Who was not looked at since then
/// says nothing, and in the first seconds of an outage that is nearly everybody.
fn population(
    db: &Database,
    cast: &Cast,
    candidates: &[Candidate],
    now: i64,
) -> BTreeMap<Cause, u32> {
    let mut since: BTreeMap<Cause, (i64, u32)> = BTreeMap::new();
    for candidate in candidates.iter().filter(|candidate| !candidate.resolved) {
        for cause in wide_causes(candidate) {
            let (began, failing) = since.entry(cause).or_insert((candidate.started_at, 0));
            *began = (*began).min(candidate.started_at);
            *failing += 1;
        }
    }
    since.retain(|cause, (_, failing)| {
        *failing >= if cause.kind == CauseKind::Region { 3 } else { 2 }
    });
    let shares = |watched: &CastMonitor, cause: &Cause| match cause.kind {
        CauseKind::Address => watched.monitor.address == cause.value,
        CauseKind::Network => watched.network() == cause.value,
        _ => cause
            .value
            .split(", ")
            .all(|name| watched.seats.iter().any(|region| cast.regions[*region].name == name)),
    };
    let mut count = BTreeMap::new();
    for (cause, (began, failing)) in since {
        let well = (0..cast.monitors.len()).filter(|monitor| {
            shares(&cast.monitors[*monitor], &cause)
                && !db.open.contains(&(SubjectKind::Monitor, *monitor))
                && was_seen_well(db, cast, *monitor, began, now)
        });
        let well = u32::try_from(well.count()).unwrap_or(u32::MAX);
        count.insert(cause, failing.saturating_add(well));
    }
    count
}

fn wide_causes(candidate: &Candidate) -> Vec<Cause> {
    let traits = &candidate.traits;
    let of = |kind| move |value: &String| Cause { kind, value: value.clone() };
    let regions: Vec<&str> = traits.regions.iter().map(String::as_str).collect();
    let regions = (!regions.is_empty()).then(|| regions.join(", "));
    let addresses = traits.addresses.iter().map(of(CauseKind::Address));
    let networks = traits.networks.iter().map(of(CauseKind::Network));
    addresses.chain(networks).chain(regions.iter().map(of(CauseKind::Region))).collect()
}

/// Whether some region looked at it since `began`, and found it well.
fn was_seen_well(db: &Database, cast: &Cast, monitor: MonitorIndex, began: i64, now: i64) -> bool {
    let watched = &cast.monitors[monitor];
    watched.seats.iter().any(|region| {
        let seat = verdicts::seat(db, cast, monitor, *region);
        let looked = looked(&seat, watched.thresholds.stale_after_ms, now);
        looked.is_some_and(|(failing, at)| failing.is_none() && at >= began)
    })
}
