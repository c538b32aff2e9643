//! What was really observed, and when it was known: a quorum, counted by hand.

use super::At;
use crate::control::note::Seen;
use crate::world::cast::{Cast, MonitorIndex, RegionIndex};
use hyperverge_protocol::outcome::Outcome;

/// What is older than this when it comes is history, ms.
const HISTORY_MS: i64 = 600_000;
/// A vote may have grown a little old since it was counted, ms.
const SLACK_MS: i64 = 10_000;

/// How far an agent's idea of our clock may be off, ms.
const CLOCK_MS: i64 = 500;

/// What one region saw of one monitor, as far as it was known in time.
#[derive(Debug, Clone, Copy, Default)]
struct Sightings {
    /// Failures and successes in a row.
    failures: u32,
    successes: u32,
    down: bool,
    /// Control-plane time of the newest that says something about the target.
    newest: Option<i64>,
    /// The newest of any kind.
    newest_at: Option<i64>,
    /// The newest that is not a failure of the target.
    other_at: Option<i64>,
    /// The target truly hurt in at least one failure of this streak.
    honest: bool,
}

impl Sightings {
    /// One more failure in a row.
    fn fail(&mut self, at: &At<'_>, seen: &Seen) {
        self.successes = 0;
        self.failures += 1;
        self.down |= self.failures >= at.cast.monitors[seen.monitor].thresholds.fail_after;
        let then = |time: i64| time - at.control.clock(0);
        let (from, until) = (then(seen.started_at), then(seen.ended_at));
        let (monitor, region) = (seen.monitor, seen.region);
        self.honest |= at.truth.hurt_within(monitor, region, from - CLOCK_MS, until + CLOCK_MS);
    }
}

/// See the module's head.
#[derive(Debug)]
pub(super) struct Observed {
    by_place: Vec<Vec<Sightings>>,
}

impl Observed {
    pub(super) fn new(cast: &Cast) -> Self {
        Self { by_place: vec![vec![Sightings::default(); cast.regions.len()]; cast.monitors.len()] }
    }

    /// An observation reached the control plane.
    pub(super) fn arrived(&mut self, at: &At<'_>, seen: &Seen) {
        let place = &mut self.by_place[seen.monitor][seen.region];
        let clock = at.control.clock(at.now);
        if !seen.dated || clock - seen.started_at > HISTORY_MS {
            return;
        }
        let fails = seen.outcome == Outcome::Fail && seen.reason != "agent_fault";
        // A check that ran beside others may end after them: a failure is in a row with
        // theirs unless something else started after it.
        if place.newest_at.is_some_and(|newest| seen.started_at <= newest) {
            if fails && place.other_at.is_none_or(|other| other < seen.started_at) {
                place.fail(at, seen);
            }
            return;
        }
        let before = place.newest_at.replace(seen.started_at);
        let policy = &at.cast.monitors[seen.monitor].thresholds;
        let gap = place.newest.map_or(0, |newest| seen.started_at - newest);
        if gap > policy.stale_after_ms {
            let newest_at = place.newest_at;
            *place = Sightings { newest_at, other_at: before, ..Sightings::default() };
        }
        if !fails {
            place.other_at = Some(seen.started_at);
        }
        match seen.outcome {
            Outcome::Ok | Outcome::Degraded => {
                place.failures = 0;
                place.successes += 1;
                if place.successes >= policy.recover_after {
                    (place.down, place.honest) = (false, false);
                }
            }
            Outcome::Fail if fails => place.fail(at, seen),
            Outcome::Fail | Outcome::Policy | Outcome::Unsupported => {
                place.failures = 0;
                return;
            }
        }
        place.newest = Some(seen.started_at);
    }

    /// Why too few regions say that it is down, if that is so.
    pub(super) fn no_quorum(
        &self,
        at: &At<'_>,
        monitor: MonitorIndex,
        any_age: bool,
    ) -> Option<String> {
        let watched = &at.cast.monitors[monitor];
        let clock = at.control.clock(at.now);
        let votes = |region: &&RegionIndex| {
            let place = &self.by_place[monitor][**region];
            let fresh = place.newest.is_some_and(|newest| {
                any_age || clock - newest <= watched.thresholds.stale_after_ms + SLACK_MS
            });
            place.down && fresh && !is_discredited(at, monitor, **region)
        };
        let down: Vec<RegionIndex> = watched.seats.iter().filter(votes).copied().collect();
        let (found, needed) = (down.len(), watched.needed);
        if found < needed {
            return Some(format!("with {found} fresh votes of the {needed} it needs"));
        }
        let honest = down.iter().any(|region| self.by_place[monitor][*region].honest);
        (!honest).then(|| format!("though it hurt nowhere: {found} regions fail by themselves"))
    }
}

fn is_discredited(at: &At<'_>, monitor: MonitorIndex, region: RegionIndex) -> bool {
    let db = &at.control.db;
    let holder = db.current.get(&(monitor, region)).map(|current| current.agent);
    holder.is_some_and(|agent| db.discredited.get(&agent).is_some())
}
