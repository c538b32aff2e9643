//! How long it takes until everything is at rest once the last fault is over.
//!
//! The policies say so: a region is up after `recover_after` checks, and what flapped is
//! resolved only after it was well for `flap.settle`. Who was silent is heard
//! again at the next check, so `stale_after` only says which faults of ours may make an
//! incident turn.

use super::faults::STEP_MS;
use super::{Fault, FaultKind, Scenario, Side, ms};
use crate::world::cast::{Cast, CastMonitor, MonitorIndex};
use crate::world::truth::{Extent, Truth, regions_of};
use hyperverge_control_core::vantage::HOLD_MS;
use hyperverge_protocol::monitor::Flap;

/// What a file gets that says nothing, ms.
const USUAL_MS: i64 = 900_000;
/// For what is no policy's: messages, backoffs, rounds, ms.
const SLACK_MS: i64 = 60_000;

/// The least time, and the monitor that needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Least {
    /// ms.
    pub(super) time: i64,
    /// Why.
    pub(super) why: String,
}

/// `settle` where the file does not say it, ms.
pub(super) fn usual(scenario: &Scenario) -> i64 {
    least(scenario).time.saturating_add(SLACK_MS).max(USUAL_MS)
}

/// The least that the policies need after the faults of the timeline.
pub(super) fn least(scenario: &Scenario) -> Least {
    let cast = Cast::of(scenario, scenario.seed);
    let truth = Truth::of(scenario, &cast);
    let ours = truth.extents.iter().any(is_felt);
    let held = if ours { HOLD_MS } else { 0 };
    let mut least = Least { time: held, why: format!("an agent's vote stays lost for {held} ms") };
    for monitor in 0..cast.monitors.len() {
        let (time, why) = of_monitor(&cast, &truth, monitor, ours);
        if time > least.time {
            let name = cast.monitors[monitor].name();
            least = Least { time, why: format!("{why} of `{name}` take so long") };
        }
    }
    let back = set_back(scenario);
    if back > 0 {
        least.time = least.time.saturating_add(back);
        least.why.push_str(", and a clock was set back");
    }
    least
}

/// Whether it is ours, and anything may follow from it.
fn is_felt(extent: &Extent) -> bool {
    extent.kind.side() != Side::Target && extent.kind != FaultKind::AgentClock
}

/// The furthest that the database's clock is set back, ms: nothing is news before it is as
/// late again as it was.
fn set_back(scenario: &Scenario) -> i64 {
    let steps = scenario.faults.iter().filter(|fault| fault.kind == FaultKind::ControlClock);
    let back = steps.filter_map(Fault::step).filter(|step| (-STEP_MS..0).contains(step));
    -back.min().unwrap_or(0)
}

fn of_monitor(
    cast: &Cast,
    truth: &Truth,
    monitor: MonitorIndex,
    ours: bool,
) -> (i64, &'static str) {
    let watched = &cast.monitors[monitor];
    let fails = |it: &&Extent| it.hurts(monitor) || is_seen_wrong(cast, it, watched);
    let failing: Vec<&Extent> = truth.extents.iter().filter(fails).collect();
    if failing.is_empty() && !ours {
        return (0, "");
    }
    let policy = &watched.monitor.spec.policy;
    let recovered = i64::from(watched.thresholds.recover_after) * watched.interval;
    if may_flap(truth, &failing, &policy.flap, watched.thresholds.stale_after_ms) {
        (
            recovered.saturating_add(ms(policy.flap.settle)),
            "`recover_after` checks and `flap.settle`",
        )
    } else {
        (recovered, "`recover_after` checks")
    }
}

/// Whether agents that watch the monitor see failures that are not there: what they see is
/// an incident below the quorum, and that turns too.
fn is_seen_wrong(cast: &Cast, own: &Extent, watched: &CastMonitor) -> bool {
    matches!(own.kind, FaultKind::AgentDns | FaultKind::AgentEgress)
        && regions_of(cast, &own.agents).iter().any(|region| watched.seats.contains(region))
}

/// Whether the incident of a monitor that fails under `failing` may turn as often as makes it flap.
fn may_flap(truth: &Truth, failing: &[&Extent], flap: &Flap, stale_after: i64) -> bool {
    if flap.changes == 0 || failing.is_empty() {
        return false;
    }
    if failing.iter().any(|extent| extent.comes_and_goes()) {
        return true;
    }
    let mut turns = turns_of(failing);
    // What is ours may end a quorum while the target hurts; that it comes back is a turn.
    let ends = truth.extents.iter().filter(|own| may_end_a_quorum(own, stale_after));
    for own in ends {
        if failing.iter().any(|extent| extent.from < own.until && own.from < extent.until) {
            turns.push(own.until);
        }
    }
    turns.sort_unstable();
    let within = ms(flap.within);
    turns.windows(flap.changes as usize).any(|some| {
        some.first().zip(some.last()).is_some_and(|(first, last)| last - first <= within)
    })
}

/// Whether votes of agents may be lost by it: because they see wrong, or because they are
/// silent until what they said is stale.
fn may_end_a_quorum(own: &Extent, stale_after: i64) -> bool {
    let sight =
        matches!(own.kind, FaultKind::AgentDns | FaultKind::AgentEgress | FaultKind::AgentResolver);
    let clock = own.kind == FaultKind::ControlClock;
    is_felt(own) && (sight || clock || own.until - own.from >= stale_after)
}

/// When a target begins to fail and is well again; what follows without a gap is one trouble.
fn turns_of(failing: &[&Extent]) -> Vec<i64> {
    let mut spans: Vec<(i64, i64)> = failing.iter().map(|it| (it.from, it.until)).collect();
    spans.sort_unstable();
    let mut merged: Vec<(i64, i64)> = Vec::new();
    for (from, until) in spans {
        match merged.last_mut() {
            Some((_, end)) if from <= *end => *end = until.max(*end),
            _ => merged.push((from, until)),
        }
    }
    merged.into_iter().flat_map(|(from, until)| [from, until]).collect()
}
