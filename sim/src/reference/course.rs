//! What is clean is found in time, told in time, and seen to be over in time.
//!
//! A fault is clean where it hits every request, lasts long enough to be found by the
//! slowest way, and nothing else is on. It is judged *tightly* where a burst may confirm
//! it, and *slowly*, by the ordinary slots, where the policy or a cap keeps it from being
//! confirmed; the rest is *skipped*.

use super::At;
use super::notices::Notices;
use super::related::{ENOUGH, unrelated};
use crate::control::note::Unasked;
use crate::scenario::{FaultKind, Scenario, Side};
use crate::world::cast::{CastMonitor, MonitorIndex};
use crate::world::truth::{Extent, Hurt};
use hyperverge_control_core::correlation::Verdict;
use hyperverge_control_core::correlation::burst::Kept;
use serde::Serialize;
use std::collections::BTreeMap;

/// For what is not a check: messages, transactions, batches that are filled, ms.
const SLACK_MS: i64 = 4_000;
/// Between two checks of a burst, ms.
const BETWEEN_MS: i64 = 1_000;
/// From a verdict to its page, beside the group wait, ms.
const TELLING_MS: i64 = 3_000;
/// Transactions on that way at most, those that met others counted.
pub(super) const TRANSACTIONS: i64 = 10;
/// A run that has been up for so long has assigned everything, ms.
const STARTED_MS: i64 = 150_000;
/// What was wrong with us may be felt for so long afterwards, ms.
const AFTERMATH_MS: i64 = 300_000;

/// How many clean faults were judged, each monitor for itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Judged {
    pub tightly: u64,
    pub slowly: u64,
    pub skipped: u64,
    /// Of these, those that had to be told, and those whose end had to be seen.
    pub told: u64,
    pub recovered: u64,
    /// Agents that had to lose their vote and did, and silent regions with their incident.
    pub agents: u64,
    pub regions: u64,
    /// Comparisons of a verdict with what arrived.
    pub verdicts: u64,
}

impl Judged {
    /// Adds another run's.
    pub fn add(&mut self, other: &Self) {
        self.tightly += other.tightly;
        self.slowly += other.slowly;
        self.skipped += other.skipped;
        self.told += other.told;
        self.recovered += other.recovered;
        self.agents += other.agents;
        self.regions += other.regions;
        self.verdicts += other.verdicts;
    }
}

/// How verdicts went.
#[derive(Debug)]
pub(super) struct Course {
    settles: bool,
    duration: i64,
    turns: BTreeMap<MonitorIndex, Vec<(i64, Verdict)>>,
    /// When a cap or the policy kept a burst from being asked for.
    unconfirmed: BTreeMap<MonitorIndex, Vec<i64>>,
    /// Trouble that is no target's.
    ours: Vec<(i64, i64)>,
    /// Of it, what keeps the control plane from judging.
    control: Vec<(i64, i64)>,
}

impl Course {
    pub(super) fn new(scenario: &Scenario) -> Self {
        // Nothing may follow from an agent's wall clock.
        let of_ours = |fault: &&crate::scenario::Fault| {
            fault.kind.side() != Side::Target && fault.kind != FaultKind::AgentClock
        };
        let span = |fault: &crate::scenario::Fault| (fault.from(), fault.until());
        let ours = scenario.faults.iter().filter(of_ours);
        Self {
            settles: scenario.duration - scenario.faults_end() >= scenario.settle,
            duration: scenario.duration,
            turns: BTreeMap::new(),
            unconfirmed: BTreeMap::new(),
            control: ours.clone().filter(|it| it.kind.side() == Side::Control).map(span).collect(),
            ours: ours.map(span).collect(),
        }
    }

    pub(super) fn had_time_to_settle(&self) -> bool {
        self.settles
    }

    pub(super) fn turned(&mut self, monitor: MonitorIndex, to: Verdict, now: i64) {
        self.turns.entry(monitor).or_default().push((now, to));
    }

    /// A burst was not asked for.
    pub(super) fn kept(&mut self, monitor: MonitorIndex, why: Unasked, now: i64) {
        let slower = match why {
            // Another burst answers, or there is nothing to confirm.
            Unasked::Kept(Kept::Active | Kept::AlreadyDown | Kept::NothingToAsk) => false,
            Unasked::Kept(_) | Unasked::NobodyToAsk => true,
        };
        if slower {
            self.unconfirmed.entry(monitor).or_default().push(now);
        }
    }

    /// Whether something of ours may be felt between `from` and `until`.
    pub(super) fn is_ours(&self, from: i64, until: i64) -> bool {
        self.ours.iter().any(|(began, end)| *began < until && *end > from - AFTERMATH_MS)
    }

    /// Whether the control plane was away, or not long enough back to judge silence.
    pub(super) fn control_is_away(&self, now: i64, aftermath: i64) -> bool {
        self.control.iter().any(|(began, end)| (*began..=*end + aftermath).contains(&now))
    }

    /// Nobody can tell it from the fault of the agents that see it: too many unrelated
    /// targets hurt where few of a monitor's regions are.
    pub(super) fn is_ambiguous(&self, at: &At<'_>, extent: &Extent, monitor: MonitorIndex) -> bool {
        let seats = &at.cast.monitors[monitor].seats;
        let hit = seats.iter().filter(|region| extent.regions.contains(region)).count();
        2 * hit <= seats.len() && unrelated(at.cast, &extent.monitors) >= ENOUGH
    }

    /// Judges every clean fault, with what was told.
    pub(super) fn judge(&self, at: &At<'_>, told: &Notices) -> (Judged, Vec<String>) {
        let (mut judged, mut broken) = (Judged::default(), Vec::new());
        for extent in &at.truth.extents {
            if extent.hurt != Hurt::Down || extent.share < 1.0 || extent.kind == FaultKind::Flap {
                continue;
            }
            for monitor in &extent.monitors {
                broken.extend(self.one(at, extent, *monitor, told, &mut judged));
            }
        }
        (judged, broken)
    }

    fn one(
        &self,
        at: &At<'_>,
        extent: &Extent,
        monitor: MonitorIndex,
        told: &Notices,
        judged: &mut Judged,
    ) -> Vec<String> {
        let watched = &at.cast.monitors[monitor];
        let hit = watched.seats.iter().filter(|region| extent.regions.contains(region)).count();
        if hit < watched.needed {
            return Vec::new();
        }
        if !self.is_clean(at, extent, monitor) {
            judged.skipped += 1;
            return Vec::new();
        }
        let name = watched.name();
        let turns = self.turns.get(&monitor).map(Vec::as_slice).unwrap_or_default();
        let found = turns.iter().find(|(when, to)| *when >= extent.from && *to == Verdict::Down);
        let Some((found, _)) = found else {
            return vec![format!("{name} hurt from {} ms and was never down", extent.from)];
        };
        let kept = self.unconfirmed.get(&monitor).map(Vec::as_slice).unwrap_or_default();
        let confirmed = watched.monitor.spec.policy.confirm
            && !kept.iter().any(|when| (extent.from..=*found).contains(when));
        let bound = if confirmed {
            judged.tightly += 1;
            quickest(at, monitor, extent)
        } else {
            judged.slowly += 1;
            slowest(watched)
        };
        let mut broken = Vec::new();
        if found - extent.from > bound {
            broken.push(format!(
                "{name} hurt from {} ms and was down {} ms later; {bound} ms is the most",
                extent.from,
                found - extent.from
            ));
        }
        let due = found + at.cast.group_wait + TELLING_MS + TRANSACTIONS * at.cast.transaction;
        if extent.until >= due && !is_held(at, monitor) {
            judged.told += 1;
            if !told.began_loudly(monitor, *found, due) {
                broken
                    .push(format!("{name} was down at {found} ms and nobody was told by {due} ms"));
            }
        }
        broken.extend(self.recovery(at, extent, monitor, turns, judged));
        broken
    }

    /// Nothing else is on, and it lasts long enough.
    fn is_clean(&self, at: &At<'_>, extent: &Extent, monitor: MonitorIndex) -> bool {
        let watched = &at.cast.monitors[monitor];
        let slowly = slowest(watched);
        let until = extent.from + slowly;
        let others = at.truth.extents.iter().filter(|it| it.fault != extent.fault);
        let mixed = others.filter(|it| it.monitors.contains(&monitor)).any(|it| {
            it.from < until && it.until > extent.from - watched.thresholds.stale_after_ms - slowly
        });
        let long = extent.until >= until && extent.from >= STARTED_MS;
        !mixed
            && long
            && !self.is_ours(extent.from, until)
            && !self.is_ambiguous(at, extent, monitor)
    }

    /// What is wrong with how the end was seen.
    fn recovery(
        &self,
        at: &At<'_>,
        extent: &Extent,
        monitor: MonitorIndex,
        turns: &[(i64, Verdict)],
        judged: &mut Judged,
    ) -> Option<String> {
        let watched = &at.cast.monitors[monitor];
        let checks = i64::from(watched.thresholds.recover_after);
        let by = extent.until + checks * watched.interval + watched.timeout + SLACK_MS;
        let mut others = at.truth.extents.iter().filter(|it| it.fault != extent.fault);
        let mixed = others
            .any(|it| it.monitors.contains(&monitor) && it.from < by && it.until > extent.from);
        if mixed || by > self.duration || self.is_ours(extent.from, by) {
            return None;
        }
        judged.recovered += 1;
        let last = turns.iter().rfind(|(when, _)| *when <= by).map(|(_, verdict)| *verdict);
        // Without the votes of agents that something else makes doubtful, nobody may know.
        let doubtful = || {
            let mut near = at.truth.extents.iter().filter(|it| it.fault != extent.fault);
            near.any(|it| {
                it.from < by
                    && it.until > extent.from
                    && (!it.agents.is_empty() || self.is_ambiguous(at, it, monitor))
            })
        };
        let known = last == Some(Verdict::Up) || (last == Some(Verdict::Unknown) && doubtful());
        let late = !known;
        late.then(|| {
            let name = watched.name();
            format!("{name} was well from {} ms and is not up by {by} ms", extent.until)
        })
    }
}

/// A window, a silence or a parent may keep it from being told.
fn is_held(at: &At<'_>, monitor: MonitorIndex) -> bool {
    let spec = &at.cast.monitors[monitor].monitor.spec;
    let silences = at.cast.silences.iter().map(|it| &it.matchers);
    let windows = at.cast.windows.iter().map(|it| &it.matchers);
    let mut holds = silences.chain(windows);
    !spec.depends_on.is_empty()
        || holds.any(|matchers| {
            matchers.monitors.is_empty()
                || matchers.monitors.iter().any(|it| it == "*" || *it == spec.name)
        })
}

/// By the ordinary slots alone.
pub(super) fn slowest(watched: &CastMonitor) -> i64 {
    let checks = i64::from(watched.thresholds.fail_after);
    checks * watched.interval + (checks + 1) * watched.timeout + SLACK_MS
}

/// With a burst: until the first region that hurts looks, what that check takes, and then
/// `fail_after` checks.
fn quickest(at: &At<'_>, monitor: MonitorIndex, extent: &Extent) -> i64 {
    let watched = &at.cast.monitors[monitor];
    let checks = i64::from(watched.thresholds.fail_after);
    let check = match extent.kind {
        FaultKind::Hang | FaultKind::Slow => watched.timeout,
        _ => watched.slowest_answer,
    };
    until_somebody_looks(at, monitor, extent)
        + (checks + 1) * check
        + (checks - 1) * BETWEEN_MS
        + SLACK_MS
}

/// The interval divided by the regions where it hurts in all of them; else the longest time
/// in which none of those that hurt looks.
fn until_somebody_looks(at: &At<'_>, monitor: MonitorIndex, extent: &Extent) -> i64 {
    let watched = &at.cast.monitors[monitor];
    let hurting = watched.seats.iter().filter(|region| extent.regions.contains(region));
    if hurting.clone().count() == watched.seats.len() {
        return watched.interval / i64::try_from(watched.seats.len()).unwrap_or(1).max(1) + 1;
    }
    let current = &at.control.db.current;
    let anchor = |region: &usize| {
        let row = current.get(&(monitor, *region))?;
        Some(row.slots.anchor_ms.rem_euclid(watched.interval))
    };
    let mut anchors: Vec<i64> = hurting.filter_map(anchor).collect();
    anchors.sort_unstable();
    let Some(first) = anchors.first().copied() else { return watched.interval };
    anchors.push(first + watched.interval);
    anchors.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or(watched.interval)
}
