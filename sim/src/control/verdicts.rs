//! Verdict, incident, timeline and page intent change together, as in
//! `control-plane/src/verdicts.rs`.

use super::database::{Database, IncidentId, IncidentRow, IntentRow, MonitorState, Subject};
use super::note::Note;
use crate::world::cast::{Cast, MonitorIndex, RegionIndex};
use hyperverge_control_core::correlation::{
    Evaluation, Held, Seat, Verdict, evaluate as vote, view,
};
use hyperverge_control_core::incident::{
    Change, EventKind, Input, Open, Plan, SubjectKind, flap, plan,
};
use hyperverge_control_core::notification::NoticeKind;

/// Evaluates a monitor whose state is locked.
pub(super) fn evaluate(
    db: &mut Database,
    cast: &Cast,
    monitor: MonitorIndex,
    notes: &mut Vec<Note>,
    now: i64,
) -> Evaluation {
    let evaluation = count(db, cast, monitor, now);
    turn(db, monitor, &evaluation, notes, now);
    let Some(mut state) = db.monitor_states.get(&monitor).cloned() else { return evaluation };
    let subject = (SubjectKind::Monitor, monitor);
    let (incident, open) = open_of(db, subject).unzip();
    let spec = &cast.monitors[monitor].monitor.spec;
    let input = Input {
        name: spec.name.clone(),
        open,
        evaluation,
        group_wait_ms: cast.group_wait,
        labels: spec.labels.clone(),
        flap: flap::Rule::of(&spec.policy.flap),
        turns: state.turns.clone(),
        hold_until: state.hold_until,
    };
    let Plan { change, hold_until, turns } = plan(&input, now);
    if state.turns != turns || state.hold_until != hold_until {
        (state.hold_until, state.turns) = (hold_until, turns);
        db.monitor_states.put(monitor, state);
    }
    if let Some(change) = change {
        record(db, subject, incident, change, notes, now);
    }
    input.evaluation
}

/// The vote of a monitor's regions at `now`.
pub(super) fn count(db: &Database, cast: &Cast, monitor: MonitorIndex, now: i64) -> Evaluation {
    let watched = &cast.monitors[monitor];
    let stale_after_ms = watched.thresholds.stale_after_ms;
    let views = watched
        .seats
        .iter()
        .map(|region| view(&seat(db, cast, monitor, *region), stale_after_ms, now));
    vote(views.collect(), watched.monitor.spec.policy.quorum)
}

/// What is known of one region's seat.
pub(super) fn seat(db: &Database, cast: &Cast, monitor: MonitorIndex, region: RegionIndex) -> Seat {
    let current = db.current.get(&(monitor, region));
    Seat {
        region: cast.regions[region].name.clone(),
        region_id: Some(cast.regions[region].id),
        held: current.map(|current| Held {
            revision: current.revision,
            first_slot: current.first_slot,
            slots: current.slots,
            predecessor_through: current.predecessor_through,
            complete_through: db.complete.get(&current.agent).copied(),
            discredited: db.discredited.get(&current.agent).is_some(),
        }),
        row: db.region_states.get(&(monitor, region)).cloned(),
    }
}

fn turn(
    db: &mut Database,
    monitor: MonitorIndex,
    evaluation: &Evaluation,
    notes: &mut Vec<Note>,
    now: i64,
) {
    let Some(state) = db.monitor_states.get(&monitor).cloned() else { return };
    if (state.verdict, state.scope) == (evaluation.verdict, evaluation.scope) {
        return;
    }
    let since = match state.verdict == evaluation.verdict {
        true => state.since,
        // A verdict does not begin before the one it follows.
        false => evaluation.since.unwrap_or(now).max(state.since),
    };
    let (verdict, scope) = (evaluation.verdict, evaluation.scope);
    let next = MonitorState { generation: state.generation + 1, verdict, scope, since, ..state };
    db.monitor_states.put(monitor, next);
    notes.push(Note::Verdict {
        monitor,
        from: state.verdict,
        to: verdict,
        scope,
        since,
        evaluation: Box::new(evaluation.clone()),
    });
}

/// The subject's open incident, locked, with what a change of it depends on.
pub(super) fn open_of(db: &mut Database, subject: Subject) -> Option<(IncidentId, Open)> {
    let id = *db.open.lock(&subject)?;
    let row = db.incidents.lock(&id)?.clone();
    let opening = |(_, intent): &(i64, &IntentRow)| intent.kind == NoticeKind::Opened;
    let opening_waits = db.waiting(id).filter(opening).any(|(_, intent)| !intent.quiet);
    let held = |(_, intent): (i64, &IntentRow)| !intent.quiet && intent.held.is_some();
    let opening_held = db.waiting(id).filter(opening).any(held);
    let quietly = db.waiting(id).filter(opening).any(|(_, intent)| intent.quiet);
    let widening = |(_, intent): (i64, &IntentRow)| intent.kind == NoticeKind::Widened;
    let widening_waits = db.waiting(id).any(widening);
    let open = Open {
        verdict: row.verdict,
        scope: row.scope,
        cause: row.cause,
        regions: row.regions,
        started_at: row.started_at,
        opened_at: row.opened_at,
        changed_at: row.changed_at,
        paged: row.paged,
        opening_waits,
        opening_held,
        widening_waits,
        told: row.told,
        flaps: row.flaps,
        told_quietly: row.told_quietly || quietly,
        widest_down: row.widest_down,
    };
    Some((id, open))
}

/// Writes a change to the subject's incident.
pub(super) fn record(
    db: &mut Database,
    subject: Subject,
    incident: Option<IncidentId>,
    change: Change,
    notes: &mut Vec<Note>,
    now: i64,
) -> IncidentId {
    let before = incident.and_then(|id| db.incidents.get(&id).cloned().map(|row| (id, row)));
    let (id, mut row) = before.unwrap_or_else(|| {
        db.next_incident += 1;
        (db.next_incident, opening(subject, &change, now))
    });
    row.verdict = change.verdict;
    row.scope = change.scope;
    row.severity = change.severity;
    row.cause = change.cause;
    row.summary = change.summary;
    row.regions = change.regions;
    row.started_at = change.started_at;
    row.flaps |= change.kind == EventKind::Held;
    row.told = row.told.filter(|_| change.verdict == Verdict::Down);
    row.last_event += 1;
    row.changed_at = now;
    if change.verdict == Verdict::Down {
        row.widest_down = row.widest_down.max(Some(change.scope));
    }
    match change.kind {
        EventKind::Opened => db.open.put(subject, id),
        EventKind::Resolved => {
            row.resolved_at = Some(now);
            db.open.remove(&subject);
        }
        _ => {}
    }
    if let Some(asked) = change.intent {
        let intent = IntentRow {
            kind: asked.kind,
            due_at: asked.due_at,
            waits: asked.due_at - now,
            quiet: asked.quiet,
            held: None,
            outcome: None,
        };
        db.intents.put((id, row.last_event), intent);
        db.unsettled.put((id, row.last_event), ());
        let event = row.last_event;
        notes.push(Note::Intent { incident: id, event, kind: asked.kind, outcome: None });
    }
    db.incidents.put(id, row.clone());
    let (kind, reasons) = (change.kind, change.reasons);
    notes.push(Note::Incident { id, subject, kind, row: Box::new(row), reasons });
    id
}

fn opening(subject: Subject, change: &Change, now: i64) -> IncidentRow {
    IncidentRow {
        subject,
        verdict: change.verdict,
        scope: change.scope,
        severity: change.severity,
        cause: None,
        summary: String::new(),
        regions: Vec::new(),
        started_at: change.started_at,
        opened_at: now,
        resolved_at: None,
        last_event: 0,
        changed_at: now,
        widest_down: None,
        told: None,
        flaps: false,
        paged: false,
        told_quietly: false,
        group: None,
        listed: false,
    }
}
