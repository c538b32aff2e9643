//! It all ends once faults stop, and what is clean is found in time.

use super::At;
use crate::scenario::{FaultKind, Scenario, Side};
use crate::world::cast::{AgentIndex, CastMonitor, MonitorIndex};
use crate::world::truth::{Extent, Hurt};
use hyperverge_control_core::correlation::Verdict;
use std::collections::BTreeMap;

/// Batches that wait at any time, without anything being wrong.
const ON_THEIR_WAY: usize = 6;
/// For what is not a check: messages, transactions, batches that are filled, ms.
const SLACK_MS: i64 = 4_000;
/// A run that has been up for so long has assigned everything, ms.
const STARTED_MS: i64 = 150_000;

/// How verdicts went.
#[derive(Debug)]
pub(super) struct Course {
    settles: bool,
    turns: BTreeMap<MonitorIndex, Vec<(i64, Verdict)>>,
    /// When a burst was not asked for.
    unconfirmed: BTreeMap<MonitorIndex, Vec<i64>>,
    ours: Vec<(i64, i64)>,
}

impl Course {
    pub(super) fn new(scenario: &Scenario) -> Self {
        let of_ours = scenario.faults.iter().filter(|fault| fault.kind.side() != Side::Target);
        Self {
            settles: scenario.duration - scenario.faults_end() >= scenario.settle,
            turns: BTreeMap::new(),
            unconfirmed: BTreeMap::new(),
            ours: of_ours.map(|fault| (fault.from(), fault.until())).collect(),
        }
    }

    pub(super) fn had_time_to_settle(&self) -> bool {
        self.settles
    }

    pub(super) fn turned(&mut self, monitor: MonitorIndex, to: Verdict, now: i64) {
        self.turns.entry(monitor).or_default().push((now, to));
    }

    pub(super) fn unconfirmed(&mut self, monitor: MonitorIndex, now: i64) {
        self.unconfirmed.entry(monitor).or_default().push(now);
    }

    /// Clean faults that were not found in time: those with nothing else on, for
    /// which the design says how long it takes at most.
    pub(super) fn found_in_time(&self, at: &At<'_>) -> Vec<String> {
        let mut broken = Vec::new();
        for extent in &at.truth.extents {
            if extent.hurt != Hurt::Down || extent.share < 1.0 || extent.kind == FaultKind::Flap {
                continue;
            }
            for monitor in &extent.monitors {
                broken.extend(self.late(at, extent, *monitor));
            }
        }
        broken
    }

    fn late(&self, at: &At<'_>, extent: &Extent, monitor: MonitorIndex) -> Option<String> {
        let watched = &at.cast.monitors[monitor];
        let hit = watched.seats.iter().filter(|region| extent.regions.contains(region)).count();
        let slowly = slowest(watched);
        let until = extent.from + slowly;
        let others = at.truth.extents.iter().filter(|it| it.fault != extent.fault);
        let mixed = others.filter(|it| it.monitors.contains(&monitor)).any(|it| {
            it.from < until && it.until > extent.from - watched.thresholds.stale_after_ms - slowly
        });
        let ours =
            self.ours.iter().any(|(from, end)| *from < until && *end > extent.from - 300_000);
        let long = extent.until >= until && extent.from >= STARTED_MS;
        if hit < watched.needed || mixed || ours || !long {
            return None;
        }
        let turns = self.turns.get(&monitor);
        let found = turns.and_then(|turns| {
            turns.iter().find(|(when, to)| *when >= extent.from && *to == Verdict::Down)
        });
        let asked = watched.monitor.spec.policy.confirm
            && hit == watched.seats.len()
            && !self.unconfirmed.get(&monitor).is_some_and(|it| {
                it.iter().any(|when| (extent.from - 60_000..until).contains(when))
            });
        let bound = if asked { quickest(watched, extent.kind) } else { slowly };
        let name = watched.name();
        match found {
            None => Some(format!("{name} hurt from {} ms and was never down", extent.from)),
            Some((when, _)) if when - extent.from > bound => Some(format!(
                "{name} hurt from {} ms and was down {} ms later; {bound} ms is the most",
                extent.from,
                when - extent.from
            )),
            Some(_) => None,
        }
    }
}

/// By the ordinary slots alone.
fn slowest(watched: &CastMonitor) -> i64 {
    let checks = i64::from(watched.thresholds.fail_after);
    checks * watched.interval + (checks + 1) * watched.timeout + SLACK_MS
}

/// With a burst: until the first region looks, and then `fail_after` checks.
fn quickest(watched: &CastMonitor, kind: FaultKind) -> i64 {
    let regions = i64::try_from(watched.seats.len()).unwrap_or(1).max(1);
    let checks = i64::from(watched.thresholds.fail_after);
    let check = match kind {
        FaultKind::Hang | FaultKind::Slow => watched.timeout,
        _ => 200,
    };
    // The first failure and one that was under way come before the burst's own.
    watched.interval / regions + (checks + 2) * (check + 1_000) + SLACK_MS
}

/// What is not at rest though it should be.
pub(super) fn is_settled(at: &At<'_>, waiting: &[(AgentIndex, usize)]) -> Vec<String> {
    let mut broken = Vec::new();
    let db = &at.control.db;
    for (subject, id) in db.open.iter() {
        let name = crate::report::subject_name(at.cast, *subject);
        broken.push(format!("#{id} of {name} is still open"));
    }
    for ((incident, event), intent) in db.intents.iter().filter(|(_, it)| it.outcome.is_none()) {
        broken.push(format!("#{incident} still waits to tell event {event} ({})", intent.kind));
    }
    for (monitor, state) in db.monitor_states.iter().filter(|(_, it)| it.verdict != Verdict::Up) {
        let name = at.cast.monitors[*monitor].name();
        broken.push(format!("{name} is {} though nothing hurts", state.verdict));
    }
    for (agent, _) in db.lost.iter() {
        broken.push(format!("{} is still taken as lost", at.cast.agents[*agent].name));
    }
    for (agent, _) in db.discredited.iter() {
        broken.push(format!("{} has not got its vote back", at.cast.agents[*agent].name));
    }
    for (agent, batches) in waiting.iter().filter(|(_, batches)| *batches > ON_THEIR_WAY) {
        let name = &at.cast.agents[*agent].name;
        broken.push(format!("{name} still holds {batches} batches that are not acknowledged"));
    }
    broken
}
