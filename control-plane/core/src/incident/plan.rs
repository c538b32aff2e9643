//! The planner of a monitor's incident.

use super::severity::severity;
use super::{Change, EventKind, Input, Intent, Open, Plan, flap, sentence};
use crate::correlation::{DISCREDITED, Evaluation, RegionState, RegionView, Scope, Verdict};
use crate::notification::NoticeKind;
use hyperverge_protocol::monitor::MonitorSpec;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

/// A change of nothing but the cause is recorded no oftener than this, ms.
const REWORD_AFTER_MS: i64 = 60_000;

/// What the evaluation changes at `now`.
pub fn plan(input: &Input, now: i64) -> Plan {
    let (change, hold_until) = change_of(input, now);
    let turns = match &change {
        Some(change) => turns(input, change, now),
        None => input.turns.clone(),
    };
    Plan { change, hold_until, turns }
}

fn change_of(input: &Input, now: i64) -> (Option<Change>, Option<i64>) {
    let evaluation = &input.evaluation;
    let Some(open) = &input.open else {
        let opens = evaluation.verdict != Verdict::Unknown && hurts(evaluation);
        return (opens.then(|| opened(input, now)), None);
    };
    if evaluation.verdict == Verdict::Unknown {
        let withdrawn = rests_on_nothing(open, evaluation).then(|| withdrawn(input, open, now));
        // Who does not know does not know it well: settling begins anew.
        return (withdrawn, None);
    }
    if !hurts(evaluation) {
        return well(input, open, now);
    }
    let now_weighs = weight(evaluation.verdict, evaluation.scope.unwrap_or(Scope::Local));
    let kind = match now_weighs.cmp(&weight(open.verdict, open.scope)) {
        Ordering::Greater => Some(EventKind::Widened),
        Ordering::Less => Some(EventKind::Narrowed),
        Ordering::Equal => changed(open, evaluation, now).then_some(EventKind::Changed),
    };
    (kind.map(|kind| altered(input, open, kind, now)), None)
}

/// What is remembered of how often it turned, with this change.
fn turns(input: &Input, change: &Change, now: i64) -> Vec<flap::Turn> {
    let turned = |loud| flap::turned(&input.turns, flap::Turn { at: now, loud });
    match (&input.open, change.kind) {
        (Some(open), EventKind::Resolved) if open.is_loud() => turned(true),
        // Nobody heard of it: what was to be told of it was no turn for anybody.
        (Some(open), EventKind::Resolved) => flap::turned(
            &flap::unheard(&input.turns, open.opened_at),
            flap::Turn { at: now, loud: false },
        ),
        (Some(open), _) if open.paged && returns(open, &input.evaluation) => turned(true),
        // One that becomes loud later opens loudly then; one that is quiet after all did not turn.
        (open, _) => match change.intent.filter(|intent| intent.kind == NoticeKind::Opened) {
            Some(opens) if !opens.quiet || open.is_none() => turned(!opens.quiet),
            _ => input.turns.clone(),
        },
    }
}

/// Whether the quorum is reached, perhaps again, by an incident that is below it.
fn returns(open: &Open, evaluation: &Evaluation) -> bool {
    open.verdict != Verdict::Down && evaluation.verdict == Verdict::Down
}

/// Nothing hurts any more: it is over, unless it flaps.
fn well(input: &Input, open: &Open, now: i64) -> (Option<Change>, Option<i64>) {
    let evaluation = &input.evaluation;
    let latest = now.saturating_add(input.flap.settle_ms);
    let until = match input.hold_until {
        // Never longer than from now, should the clock have been set back.
        Some(until) => Some(until.min(latest)).filter(|until| now < *until),
        None => {
            let next = flap::Turn { at: now, loud: open.is_loud() };
            let flaps = input.flap.flaps(&input.turns, next)
                // What was held once has to settle, however slowly it comes and goes.
                || (open.flaps && input.flap.changes > 0);
            flaps.then_some(latest)
        }
    };
    if until.is_some() {
        return (input.hold_until.is_none().then(|| held(input, open, now)), until);
    }
    let why = format!("the verdict is up and no region is down: {}", evaluation.arithmetic());
    let unseen = unseen(open, evaluation);
    let summary = match unseen.is_empty() {
        true => sentence::recovered(&input.name, open, now),
        false => sentence::unseen(&input.name, open, &unseen, now),
    };
    let regions = evaluation.regions.clone();
    let mut over = resolved(open, &input.labels, summary, why, now);
    over.reasons.extend(
        unseen.iter().map(|region| {
            format!("{} saw it failing and has not seen it well since", region.region)
        }),
    );
    (Some(Change { regions, ..over }), None)
}

/// The regions that saw it hurt and cast no vote now: of them nobody knows that it is well.
fn unseen<'a>(open: &Open, evaluation: &'a Evaluation) -> Vec<&'a RegionView> {
    let hurt: BTreeSet<&str> = hurting(&open.regions).map(|(name, _)| name).collect();
    evaluation.of(RegionState::Unknown).filter(|now| hurt.contains(&*now.region)).collect()
}

/// The resolution is held; everything else stays as it is.
fn held(input: &Input, open: &Open, now: i64) -> Change {
    let settle = sentence::span(input.flap.settle_ms);
    Change {
        kind: EventKind::Held,
        verdict: open.verdict,
        scope: open.scope,
        severity: severity(open.verdict, open.scope, &input.labels),
        cause: open.cause.clone(),
        summary: format!(
            "{} is flapping: {}, and open until it has been well for {settle}",
            input.name,
            match unseen(open, &input.evaluation).is_empty() {
                true => "up again",
                false => "no longer seen failing",
            }
        ),
        started_at: open.started_at,
        regions: input.evaluation.regions.clone(),
        intent: None,
        reasons: vec![input.evaluation.arithmetic(), too_many(input, open, now)],
    }
}

/// Why it counts as flapping.
fn too_many(input: &Input, open: &Open, now: i64) -> String {
    let within = sentence::span(input.flap.within_ms);
    let next = flap::Turn { at: now, loud: open.is_loud() };
    match (input.flap.counted(&input.turns, next), input.flap.changes) {
        (counted, changes) if counted + 1 >= changes as usize => format!(
            "it opened or resolved {counted} times within {within} already, \
             and {changes} are too many"
        ),
        _ => "it has flapped since it opened and has not settled".to_owned(),
    }
}

/// Whether nobody was paged, and only agents that are at fault say that it hurts.
fn rests_on_nothing(open: &Open, evaluation: &Evaluation) -> bool {
    let discredited = |name: &str| {
        let mut regions = evaluation.regions.iter();
        regions.any(|now| now.region == name && now.reason.as_deref() == Some(DISCREDITED))
    };
    let mut hurt = hurting(&open.regions).map(|(name, _)| name).peekable();
    !open.paged && evaluation.down == 0 && hurt.peek().is_some() && hurt.all(discredited)
}

fn withdrawn(input: &Input, open: &Open, now: i64) -> Change {
    let name = &input.name;
    Change {
        kind: EventKind::Resolved,
        verdict: open.verdict,
        scope: open.scope,
        severity: severity(open.verdict, open.scope, &input.labels),
        cause: open.cause.clone(),
        summary: format!("{name} was seen failing only by an agent that is itself at fault"),
        started_at: open.started_at,
        regions: input.evaluation.regions.clone(),
        intent: open.told_quietly.then_some(Intent {
            kind: NoticeKind::Resolved,
            due_at: now,
            quiet: true,
        }),
        reasons: vec![
            "withdrawn: the vote it rested on does not count".to_owned(),
            input.evaluation.arithmetic(),
        ],
    }
}

/// Why a monitor's incident ends though nobody saw it recover.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    Deleted,
    Disabled,
    /// It now names other regions: the old vote is over.
    Rescoped,
}

impl Ending {
    /// What a change of the specification ends, if it ends anything.
    pub fn of(before: &MonitorSpec, after: &MonitorSpec) -> Option<Self> {
        let scope = |spec: &MonitorSpec| spec.regions.iter().cloned().collect::<BTreeSet<_>>();
        if before.enabled && !after.enabled {
            return Some(Self::Disabled);
        }
        (scope(before) != scope(after)).then_some(Self::Rescoped)
    }
}

/// Resolves the incident of the monitor `name`, which was deleted, disabled or rescoped.
pub fn end(
    name: &str,
    labels: &BTreeMap<String, String>,
    open: &Open,
    ending: Ending,
    now: i64,
) -> Change {
    let (what, why) = match ending {
        Ending::Deleted => ("was deleted", "the monitor was deleted"),
        Ending::Disabled => ("was disabled", "the monitor was disabled"),
        Ending::Rescoped => ("now names other regions", "the monitor names other regions"),
    };
    let summary = format!("{name} {what} while its incident was open");
    resolved(open, labels, summary, why.to_owned(), now)
}

/// Whether there is something to have an incident about.
fn hurts(evaluation: &Evaluation) -> bool {
    evaluation.down > 0 || matches!(evaluation.verdict, Verdict::Down | Verdict::Degraded)
}

fn opened(input: &Input, now: i64) -> Change {
    let evaluation = &input.evaluation;
    let quiet = evaluation.verdict != Verdict::Down;
    let due_at = now + input.group_wait_ms;
    let intent = Some(Intent { kind: NoticeKind::Opened, due_at, quiet });
    let began = match evaluation.verdict {
        Verdict::Down | Verdict::Degraded => evaluation.since,
        Verdict::Up | Verdict::Unknown => evaluation.first_hurt(),
    };
    change(input, EventKind::Opened, began.unwrap_or(now), intent, "")
}

fn altered(input: &Input, open: &Open, kind: EventKind, now: i64) -> Change {
    let evaluation = &input.evaluation;
    let returns = returns(open, evaluation);
    // A region that only fell silent hurts nobody more.
    let grew = hurting(&evaluation.regions).count() > hurting(&open.regions).count();
    let everywhere = evaluation.scope == Some(Scope::Global) && grew;
    let news = returns || (everywhere && open.told != Some(Scope::Global));
    let flaps = || input.flap.flaps(&input.turns, flap::Turn { at: now, loud: true });
    let later = now + input.group_wait_ms;
    let (intent, held) = if evaluation.verdict != Verdict::Down {
        // Nobody will hear of the quorum that was there: it is a quiet incident now.
        let quietly = open.opening_waits && !open.paged && !open.told_quietly;
        let intent = Intent { kind: NoticeKind::Opened, due_at: later, quiet: true };
        (quietly.then_some(intent), "below the quorum nobody is paged")
    } else if open.opening_waits {
        (None, "the opening that waits will tell it")
    } else if !open.paged {
        (Some(Intent { kind: NoticeKind::Opened, due_at: later, quiet: false }), "")
    } else if open.widening_waits {
        (None, "the notice that waits will tell it")
    } else if !news {
        (None, "who was paged knows of as much already")
    } else if (returns || open.told.is_none()) && flaps() {
        (None, "it comes and goes too often to tell each time")
    } else {
        // Regions return one after the other, within moments; what comes meanwhile is told too.
        let due_at = if returns { later } else { now };
        (Some(Intent { kind: NoticeKind::Widened, due_at, quiet: false }), "")
    };
    // What people are told began with the quorum, not with the first region to fail.
    let began = evaluation.since.filter(|_| returns && !open.paged && !open.opening_waits);
    let mut change = change(input, kind, began.unwrap_or(open.started_at), intent, held);
    if let Some(before) = began.map(|began| began - open.started_at).filter(|before| *before > 0) {
        let before = sentence::span(before);
        change.reasons.push(format!("it hurt below the quorum for {before} before"));
    }
    change
}

fn change(
    input: &Input,
    kind: EventKind,
    started_at: i64,
    intent: Option<Intent>,
    held: &str,
) -> Change {
    let evaluation = &input.evaluation;
    Change {
        kind,
        verdict: evaluation.verdict,
        scope: evaluation.scope.unwrap_or(Scope::Local),
        severity: severity(
            evaluation.verdict,
            evaluation.scope.unwrap_or(Scope::Local),
            &input.labels,
        ),
        cause: cause(input.open.as_ref(), evaluation),
        summary: sentence::hurts(&input.name, evaluation),
        started_at,
        regions: evaluation.regions.clone(),
        intent,
        reasons: vec![evaluation.arithmetic(), paging(intent, held)],
    }
}

fn resolved(
    open: &Open,
    labels: &BTreeMap<String, String>,
    summary: String,
    why: String,
    now: i64,
) -> Change {
    let loud = open.paged || open.opening_waits;
    let intent = (loud || open.told_quietly).then_some(Intent {
        kind: NoticeKind::Resolved,
        due_at: now,
        quiet: !loud,
    });
    let verdict = if open.widest_down.is_some() { Verdict::Down } else { open.verdict };
    // A resolved incident is remembered by its worst.
    let scope = open.widest_down.unwrap_or(open.scope);
    Change {
        kind: EventKind::Resolved,
        verdict,
        scope,
        severity: severity(verdict, scope, labels),
        cause: open.cause.clone(),
        summary,
        started_at: open.started_at,
        regions: open.regions.clone(),
        intent,
        reasons: vec![why, paging(intent, "nobody was told, so nobody is told")],
    }
}

fn paging(intent: Option<Intent>, held: &str) -> String {
    match intent {
        Some(Intent { kind, quiet: false, .. }) => format!("people are told that it {kind}"),
        Some(_) => "below the quorum nobody is paged; routes that name it are told".to_owned(),
        None => held.to_owned(),
    }
}

/// What orders wider and narrower.
fn weight(verdict: Verdict, scope: Scope) -> (u8, Scope) {
    let verdict = match verdict {
        Verdict::Down => 2,
        Verdict::Degraded => 1,
        Verdict::Up | Verdict::Unknown => 0,
    };
    (verdict, scope)
}

/// Whether something people would ask about is different. A region that only
/// falls silent or comes back from it hurts nobody.
fn changed(open: &Open, evaluation: &Evaluation, now: i64) -> bool {
    let reworded =
        open.cause != cause(Some(open), evaluation) && now - open.changed_at >= REWORD_AFTER_MS;
    reworded || !hurting(&open.regions).eq(hurting(&evaluation.regions))
}

/// The cause that most regions give. Where those that are down give none at the moment, it
/// stands as it was.
fn cause(open: Option<&Open>, evaluation: &Evaluation) -> Option<String> {
    let before = open.filter(|_| evaluation.down > 0).and_then(|open| open.cause.clone());
    evaluation.cause.clone().or(before)
}

fn hurting(regions: &[RegionView]) -> impl Iterator<Item = (&str, RegionState)> {
    regions
        .iter()
        .filter(|region| matches!(region.state, RegionState::Down | RegionState::Degraded))
        .map(|region| (region.region.as_str(), region.state))
}
