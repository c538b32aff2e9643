//! What the paging planner asks for, from the tables.

use super::database::{Database, GroupRow, IncidentId, IncidentRow};
use super::verdicts;
use crate::world::cast::{Cast, CastMonitor, MonitorIndex};
use hyperverge_control_core::correlation::{RegionState, Scope, Verdict, looked};
use hyperverge_control_core::incident::SubjectKind;
use hyperverge_control_core::notification::hold::held;
use hyperverge_control_core::notification::route::Facts;
use hyperverge_control_core::paging::{
    Candidate, Cause, CauseKind, Group, Input, Parent, ParentState, Traits, Waiting, shared,
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

/// How long a result takes from an agent to a verdict, ms, beside the check itself.
const ARRIVAL_MS: i64 = 2_000;
/// How long the confirmation of a parent holds its children at most, ms.
const CONFIRMING_MS: i64 = 60_000;

/// Everything that waits or hurts.
pub(super) fn input(db: &Database, cast: &Cast, now: i64) -> Input {
    let open = || db.groups.iter().filter(|(_, group)| group.resolved_at.is_none());
    let waiting: BTreeSet<IncidentId> =
        db.unsettled.iter().map(|((incident, _), ())| *incident).collect();
    let hurts = |row: &IncidentRow| {
        let monitor = row.subject.0 == SubjectKind::Monitor;
        monitor && row.resolved_at.is_none() && row.verdict == Verdict::Down
    };
    let hurting = db.open.iter().map(|(_, id)| *id);
    let hurting = hurting.filter(|id| db.incidents.get(id).is_some_and(hurts));
    let leads = open().map(|(_, group)| group.lead);
    let loaded: BTreeSet<IncidentId> =
        waiting.iter().copied().chain(hurting).chain(leads).collect();
    let rows = || loaded.iter().filter_map(|id| Some((*id, db.incidents.get(id)?)));
    let speaks = rows().filter(|(id, row)| waiting.contains(id) || hurts(row));
    let candidates: Vec<Candidate> =
        speaks.map(|(id, row)| candidate(db, cast, id, row, now)).collect();
    let unresolved = unresolved(db);
    let groups = open().map(|(id, row)| group(*id, row, &unresolved)).collect();
    let about_monitors = rows().filter(|(_, row)| row.subject.0 == SubjectKind::Monitor);
    let hurt = about_monitors.map(|(_, row)| row.subject.1).collect();
    Input { population: population(db, cast, &candidates, &hurt, now), candidates, groups }
}

/// Members of each group that were told and are not over.
pub(super) fn unresolved(db: &Database) -> BTreeMap<u64, u32> {
    let mut count = BTreeMap::new();
    for row in db.open.iter().filter_map(|(_, id)| db.incidents.get(id)) {
        let Some(group) = row.group else { continue };
        if row.paged || row.told_quietly {
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
    let waiting: Vec<Waiting> = db
        .waiting(id)
        .map(|(event_number, intent)| Waiting {
            event_number,
            kind: intent.kind,
            due_at: intent.due_at,
            quiet: intent.quiet,
        })
        .collect();
    let monitor = (row.subject.0 == SubjectKind::Monitor).then_some(row.subject.1);
    let watched = monitor.map(|monitor| &cast.monitors[monitor]);
    // Of what wants to be told the vote as it is now: what is stored may have grown old
    // while nobody looked.
    let verdict = monitor.and_then(|monitor| match waiting.is_empty() {
        true => db.monitor_states.get(&monitor).map(|state| state.verdict),
        false => Some(verdicts::count(db, cast, monitor, now).verdict),
    });
    let told = row.paged || row.told_quietly;
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
        told_alone: told
            && db.deliveries.range((id, i64::MIN, 0)..=(id, i64::MAX, usize::MAX)).next().is_some(),
        group: group.map(id_of),
        waiting,
        traits: monitor.map(|monitor| traits(cast, monitor, row)).unwrap_or_default(),
        parents: monitor.map(|monitor| parents(db, cast, monitor, now)).unwrap_or_default(),
        interval_ms: watched.map_or(0, |watched| watched.interval),
        recheck_ms: watched.map_or(0, recheck),
        hold: held(&cast.silences, &cast.windows, &facts(cast, row), now),
    }
}

/// How long it takes at most to see that a target is well again, ms.
fn recheck(watched: &CastMonitor) -> i64 {
    i64::from(watched.thresholds.recover_after) * watched.interval + watched.timeout + ARRIVAL_MS
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
    let about_certificate = cause.starts_with("tls_") || cause.starts_with("certificate");
    let down = row.regions.iter().filter(|region| region.state == RegionState::Down);
    let partly = row.scope != Scope::Global || row.regions.len() <= 1;
    let regions = down.filter(|_| partly).map(|region| region.region.clone());
    Traits {
        host: Some(watched.monitor.host.to_lowercase()),
        addresses: [watched.monitor.address.clone()].into(),
        networks: watched.network().into_iter().collect(),
        certificate: about_certificate.then(|| watched.monitor.certificate.clone()),
        regions: regions.collect(),
    }
}

fn parents(db: &Database, cast: &Cast, monitor: MonitorIndex, now: i64) -> Vec<Parent> {
    let names = cast.monitors[monitor].monitor.spec.depends_on.iter();
    let known = names.filter_map(|name| {
        let index = cast.monitors.iter().position(|it| it.name() == name)?;
        Some(Parent { name: name.clone(), state: parent(db, index, now) })
    });
    known.collect()
}
fn parent(db: &Database, monitor: MonitorIndex, now: i64) -> ParentState {
    let Some(state) = db.monitor_states.get(&monitor) else { return ParentState::Unknown };
    let burst = db.newest_burst.get(&monitor).and_then(|id| db.bursts.get(id));
    let confirming = burst.filter(|burst| !burst.settled && burst.expires_at > now);
    let down = last_down(db, monitor);
    match (state.verdict, down, confirming) {
        (Verdict::Down, ..) => ParentState::Down,
        // Its votes are not fresh any more, but nobody saw it well since.
        (Verdict::Unknown, Some(down), _) if down.pages_now => {
            ParentState::Lost { since: state.since }
        }
        (Verdict::Unknown, ..) => ParentState::Unknown,
        (_, _, Some(burst)) => ParentState::Confirming { until: burst.asked_at + CONFIRMING_MS },
        // While its incident is open below the quorum, it is well since the verdict turned.
        (_, Some(down), None) => ParentState::Well { since: down.over_at.unwrap_or(state.since) },
        (_, None, None) => ParentState::Well { since: 0 },
    }
}

/// The last time a monitor was down by its quorum.
struct LastDown {
    /// Its incident is open, and down.
    pages_now: bool,
    /// When that was over; `None` while it is open, though perhaps below the quorum.
    over_at: Option<i64>,
}

fn last_down(db: &Database, monitor: MonitorIndex) -> Option<LastDown> {
    let rows = db.incidents.iter().map(|(_, row)| row);
    let of_it = rows.filter(|row| row.subject == (SubjectKind::Monitor, monitor));
    let mut down = of_it.filter(|row| row.verdict == Verdict::Down || row.paged).peekable();
    down.peek()?;
    let (mut pages_now, mut open, mut over_at) = (false, false, None);
    for row in down {
        open |= row.resolved_at.is_none();
        pages_now |= row.resolved_at.is_none() && row.verdict == Verdict::Down;
        over_at = over_at.max(row.resolved_at);
    }
    Some(LastDown { pages_now, over_at: over_at.filter(|_| !open) })
}

/// How many monitors share what could be the cause: those that fail, and those that
/// were seen well since the first of them began to. Who was not looked at since then
/// says nothing, and in the first seconds of an outage that is nearly everybody.
fn population(
    db: &Database,
    cast: &Cast,
    candidates: &[Candidate],
    hurt: &BTreeSet<MonitorIndex>,
    now: i64,
) -> BTreeMap<Cause, u32> {
    let shares = |watched: &CastMonitor, cause: &Cause| match cause.kind {
        CauseKind::Address => watched.monitor.address == cause.value,
        CauseKind::Network => watched.network().as_ref() == Some(&cause.value),
        _ => cause
            .value
            .split(", ")
            .all(|name| watched.seats.iter().any(|region| cast.regions[*region].name == name)),
    };
    let mut count = BTreeMap::new();
    for (cause, (failing, began)) in shared(candidates) {
        let well = (0..cast.monitors.len()).filter(|monitor| {
            shares(&cast.monitors[*monitor], &cause)
                && !hurt.contains(monitor)
                && was_seen_well(db, cast, *monitor, began, now)
        });
        let well = u32::try_from(well.count()).unwrap_or(u32::MAX);
        count.insert(cause, failing.saturating_add(well));
    }
    count
}

/// Whether some region looked at it since `began`, and found it well.
fn was_seen_well(db: &Database, cast: &Cast, monitor: MonitorIndex, began: i64, now: i64) -> bool {
    let watched = &cast.monitors[monitor];
    watched.seats.iter().any(|region| {
        let seat = verdicts::seat(db, cast, monitor, *region);
        let looked = looked(&seat, watched.thresholds.stale_after_ms, now);
        looked.is_some_and(|looked| looked.failing_since.is_none() && looked.at >= began)
    })
}
