//! The planner of a monitor's incident.

use super::{Change, EventKind, Input, Intent, Open, Severity, sentence};
use crate::correlation::{Evaluation, RegionState, RegionView, Scope, Verdict};
use crate::notification::NoticeKind;
use hyperverge_protocol::monitor::MonitorSpec;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::collections::BTreeSet;

/// A change of nothing but the cause is recorded no oftener than this, ms.
const REWORD_AFTER_MS: i64 = 60_000;

/// What the evaluation changes at `now`; `None` when nothing.
pub fn plan(input: &Input, now: i64) -> Option<Change> {
    let evaluation = &input.evaluation;
    if evaluation.verdict == Verdict::Unknown {
        return None;
    }
    let Some(open) = &input.open else {
        return hurts(evaluation).then(|| opened(input, now));
    };
    if !hurts(evaluation) {
        let why = format!("the verdict is up and no region is down: {}", evaluation.arithmetic());
        let summary = sentence::recovered(&input.name, open, now);
        let regions = evaluation.regions.clone();
        return Some(Change { regions, ..resolved(open, summary, why, now) });
    }
    let now_weighs = weight(evaluation.verdict, evaluation.scope.unwrap_or(Scope::Local));
    let kind = match now_weighs.cmp(&weight(open.verdict, open.scope)) {
        Ordering::Greater => EventKind::Widened,
        Ordering::Less => EventKind::Narrowed,
        Ordering::Equal if changed(open, evaluation, now) => EventKind::Changed,
        Ordering::Equal => return None,
    };
    Some(altered(input, open, kind, now))
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
pub fn end(name: &str, open: &Open, ending: Ending, now: i64) -> Change {
    let (what, why) = match ending {
        Ending::Deleted => ("was deleted", "the monitor was deleted"),
        Ending::Disabled => ("was disabled", "the monitor was disabled"),
        Ending::Rescoped => ("now names other regions", "the monitor names other regions"),
    };
    let summary = format!("{name} {what} while its incident was open");
    resolved(open, summary, why.to_owned(), now)
}

/// Whether there is something to have an incident about.
fn hurts(evaluation: &Evaluation) -> bool {
    evaluation.down > 0 || matches!(evaluation.verdict, Verdict::Down | Verdict::Degraded)
}

fn opened(input: &Input, now: i64) -> Change {
    let evaluation = &input.evaluation;
    let intent = (evaluation.verdict == Verdict::Down)
        .then(|| Intent { kind: NoticeKind::Opened, due_at: now + input.group_wait_ms });
    let began = match evaluation.verdict {
        Verdict::Down | Verdict::Degraded => evaluation.since,
        Verdict::Up | Verdict::Unknown => evaluation.first_hurt(),
    };
    let held = "below the quorum nobody is paged";
    change(input, EventKind::Opened, began.unwrap_or(now), intent, held)
}

fn altered(input: &Input, open: &Open, kind: EventKind, now: i64) -> Change {
    let evaluation = &input.evaluation;
    let everywhere = evaluation.scope == Some(Scope::Global);
    let told_everywhere = open.widest_down == Some(Scope::Global);
    let (intent, held) = if evaluation.verdict != Verdict::Down {
        (None, "below the quorum nobody is paged")
    } else if open.opening_waits {
        (None, "the opening that waits will tell it")
    } else if !open.paged {
        let due_at = now + input.group_wait_ms;
        (Some(Intent { kind: NoticeKind::Opened, due_at }), "")
    } else if everywhere && !told_everywhere {
        (Some(Intent { kind: NoticeKind::Widened, due_at: now }), "")
    } else {
        (None, "who was paged knows of as much already")
    };
    change(input, kind, open.started_at, intent, held)
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
        severity: severity(evaluation.verdict),
        cause: evaluation.cause.clone(),
        summary: sentence::hurts(&input.name, evaluation),
        started_at,
        regions: evaluation.regions.clone(),
        intent,
        reasons: vec![evaluation.arithmetic(), paging(intent, held)],
    }
}

fn resolved(open: &Open, summary: String, why: String, now: i64) -> Change {
    let tell = open.paged || open.opening_waits;
    let intent = tell.then_some(Intent { kind: NoticeKind::Resolved, due_at: now });
    let verdict = if open.widest_down.is_some() { Verdict::Down } else { open.verdict };
    Change {
        kind: EventKind::Resolved,
        // A resolved incident is remembered by its worst.
        verdict,
        scope: open.widest_down.unwrap_or(open.scope),
        severity: severity(verdict),
        cause: open.cause.clone(),
        summary,
        started_at: open.started_at,
        regions: open.regions.clone(),
        intent,
        reasons: vec![why, paging(intent, "nobody was paged, so nobody is told")],
    }
}

fn paging(intent: Option<Intent>, held: &str) -> String {
    match intent {
        Some(intent) => format!("people are told that it {}", intent.kind),
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
    let reworded = open.cause != evaluation.cause && now - open.changed_at >= REWORD_AFTER_MS;
    reworded || !hurting(&open.regions).eq(hurting(&evaluation.regions))
}

fn hurting(regions: &[RegionView]) -> impl Iterator<Item = (&str, RegionState)> {
    regions
        .iter()
        .filter(|region| matches!(region.state, RegionState::Down | RegionState::Degraded))
        .map(|region| (region.region.as_str(), region.state))
}

fn severity(verdict: Verdict) -> Severity {
    if verdict == Verdict::Down { Severity::Critical } else { Severity::Warning }
}
