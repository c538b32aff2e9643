//! Steps 5 and 6 in a transaction: monitors are evaluated under their locks, and
//! verdict, incident, timeline and page intent change together or not at all.
//!
//! Three callers: ingest, for what a batch may have changed; the liveness task,
//! for what time alone changes; the API, when a monitor ends ([`end`]).

use crate::store::bursts;
use crate::store::incidents::{self, Incident, NewChange, Subject};
use crate::store::states::{self, MonitorState, Watched};
use crate::store::{StoreError, Tx};
use hyperverge_control_core::correlation::{
    Evaluation, Scope, Thresholds, Verdict, evaluate as vote, view,
};
use hyperverge_control_core::incident::{
    Change, Ending, EventKind, Input, Open, Plan, SubjectKind, end as end_incident, flap, plan,
};
use hyperverge_protocol::monitor::MonitorSpec;
use std::collections::BTreeMap;
use uuid::Uuid;

/// What changed, for metrics and hints after the commit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Turned {
    /// Incidents opened, by scope.
    pub opened: Vec<Scope>,
    /// Page intents written: the correlator has work.
    pub intents: usize,
    /// Verdicts changed.
    pub verdicts: usize,
}

impl Turned {
    /// Adds what another step changed.
    pub fn add(&mut self, other: Self) {
        self.opened.extend(other.opened);
        self.intents += other.intents;
        self.verdicts += other.verdicts;
    }
}

/// Locks and evaluates these monitors.
pub async fn evaluate(
    tx: &mut Tx,
    organisation_id: Uuid,
    monitor_ids: Vec<Uuid>,
    group_wait_ms: i64,
    now: i64,
) -> Result<Turned, StoreError> {
    let locked = states::lock(tx, organisation_id, monitor_ids).await?;
    evaluate_locked(tx, organisation_id, locked, group_wait_ms, now).await
}

/// Evaluates monitors whose rows [`states::lock`] gave.
pub async fn evaluate_locked(
    tx: &mut Tx,
    organisation_id: Uuid,
    locked: Vec<MonitorState>,
    group_wait_ms: i64,
    now: i64,
) -> Result<Turned, StoreError> {
    let ids: Vec<Uuid> = locked.iter().map(|state| state.monitor_id).collect();
    let locked: BTreeMap<Uuid, MonitorState> =
        locked.into_iter().map(|state| (state.monitor_id, state)).collect();
    let watched = states::watched(tx, organisation_id, &ids).await?;
    let subjects = ids.iter().map(Uuid::to_string).collect();
    let mut open =
        incidents::open_of_all(tx, organisation_id, SubjectKind::Monitor, subjects).await?;
    let mut turned = Turned::default();
    let (mut changes, mut states) = (Vec::new(), Vec::new());
    for monitor in &watched {
        let state = locked.get(&monitor.monitor_id).filter(|_| monitor.spec.enabled);
        let Some(state) = state else { continue };
        let evaluation = count(monitor, now);
        let mut next = turn(state, &evaluation, now);
        turned.verdicts += usize::from(next.generation != state.generation);
        let incident = open.remove(&monitor.monitor_id.to_string());
        let changed = correlate(monitor, &mut next, evaluation, incident, group_wait_ms, now)?;
        changes.extend(changed);
        if next != *state {
            next.generation = state.generation + 1;
            states.push(next);
        }
    }
    incidents::record_all(tx, organisation_id, &changes, now).await?;
    states::set_verdicts(tx, organisation_id, &states).await?;
    for NewChange { subject, change, .. } in &changes {
        tell(subject, change);
        turned.add(turned_by(change));
    }
    Ok(turned)
}

/// The vote of a monitor's regions at `now`.
pub fn count(monitor: &Watched, now: i64) -> Evaluation {
    let stale_after_ms = Thresholds::of(&monitor.spec).stale_after_ms;
    let regions = monitor.seats.iter().map(|seat| view(seat, stale_after_ms, now)).collect();
    vote(regions, monitor.spec.policy.quorum)
}

/// The monitor's state with the verdict of `evaluation`.
fn turn(state: &MonitorState, evaluation: &Evaluation, now: i64) -> MonitorState {
    if (state.verdict, state.scope) == (evaluation.verdict, evaluation.scope) {
        return state.clone();
    }
    let since = match state.verdict == evaluation.verdict {
        true => state.since,
        // A verdict does not begin before the one it follows.
        false => evaluation.since.unwrap_or(now).max(state.since),
    };
    MonitorState {
        generation: state.generation + 1,
        verdict: evaluation.verdict,
        scope: evaluation.scope,
        since,
        ..state.clone()
    }
}

/// What the planner makes of a monitor's vote, given its open incident.
fn correlate(
    monitor: &Watched,
    state: &mut MonitorState,
    evaluation: Evaluation,
    open: Option<(Incident, Open)>,
    group_wait_ms: i64,
    now: i64,
) -> Result<Option<NewChange>, StoreError> {
    let (incident, open) = open.unzip();
    let name = monitor.spec.name.clone();
    let input = Input {
        name: name.clone(),
        open,
        evaluation,
        group_wait_ms,
        labels: monitor.spec.labels.clone(),
        flap: flap::Rule::of(&monitor.spec.policy.flap),
        turns: state.turns.clone(),
        hold_until: state.hold_until,
    };
    let Plan { change, hold_until, turns } = plan(&input, now);
    (state.hold_until, state.turns) = (hold_until, turns);
    let Some(change) = change else { return Ok(None) };
    let id = monitor.monitor_id.to_string();
    let subject = Subject { kind: SubjectKind::Monitor, id, name };
    let evidence = serde_json::to_value(&input)
        .map_err(|error| StoreError::Column { column: "evidence", source: Box::new(error) })?;
    Ok(Some(NewChange { subject, incident, change, evidence }))
}

/// Ends the votes and the incident of a monitor that was deleted, disabled or
/// rescoped. Call it in the transaction of the change (before the row of a
/// deleted monitor goes), and wake the correlator after the commit if
/// [`Turned::intents`] is above 0.
pub async fn end(
    tx: &mut Tx,
    organisation_id: Uuid,
    monitor_id: Uuid,
    spec: &MonitorSpec,
    ending: Ending,
    now: i64,
) -> Result<Turned, StoreError> {
    let mut turned = Turned::default();
    for state in states::lock(tx, organisation_id, vec![monitor_id]).await? {
        let next = MonitorState {
            generation: state.generation + 1,
            verdict: Verdict::Unknown,
            scope: None,
            since: now,
            hold_until: None,
            ..state
        };
        states::set_verdict(tx, organisation_id, &next).await?;
        turned.verdicts += 1;
    }
    states::delete_rows(tx, organisation_id, monitor_id).await?;
    bursts::end(tx, organisation_id, monitor_id, now).await?;
    let subject_id = monitor_id.to_string();
    let found = incidents::open_of(tx, organisation_id, SubjectKind::Monitor, &subject_id).await?;
    let Some((incident, open)) = found else { return Ok(turned) };
    let (name, labels) = (&spec.name, &spec.labels);
    let change = end_incident(name, labels, &open, ending, now);
    let subject = Subject { kind: SubjectKind::Monitor, id: subject_id, name: name.clone() };
    let evidence = serde_json::json!({
        "name": name, "labels": labels, "ending": ending, "open": open,
    });
    incidents::record(tx, organisation_id, &subject, Some(&incident), &change, &evidence, now)
        .await?;
    tell(&subject, &change);
    turned.add(turned_by(&change));
    Ok(turned)
}

fn turned_by(change: &Change) -> Turned {
    let opened = (change.kind == EventKind::Opened).then_some(change.scope);
    Turned {
        opened: opened.into_iter().collect(),
        intents: usize::from(change.intent.is_some()),
        verdicts: 0,
    }
}

fn tell(subject: &Subject, change: &Change) {
    tracing::info!(
        subject = %subject.name, kind = %change.kind, verdict = %change.verdict,
        scope = %change.scope, summary = change.summary, "incident changed"
    );
}
