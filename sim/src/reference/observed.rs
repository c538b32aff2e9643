//! What was really observed, and when it was known: a quorum, counted by hand.

use super::At;
use super::believed::Believed;
use super::related::unrelated;
use crate::control::note::Seen;
use crate::world::cast::{AgentIndex, Cast, MonitorIndex, RegionIndex};
use hyperverge_protocol::outcome::Outcome;

/// What is older than this when it comes is history, ms.
const HISTORY_MS: i64 = 600_000;
/// A vote may have grown a little old since it was counted, ms.
const SLACK_MS: i64 = 10_000;
/// How far an agent's idea of our clock may be off, ms.
const CLOCK_MS: i64 = 500;
/// What was seen so far ahead of our clock was dated before that was set back, ms.
const AHEAD_MS: i64 = 10_000;
/// An answer to a burst may be so much younger than the failure that asked for it, ms.
const ANSWER_MS: i64 = 2_000;
/// What was looked at so lately says how the world is now, ms.
const LATELY_MS: i64 = 15_000;

/// What one region saw of one monitor, as far as it was known in time.
#[derive(Debug, Clone, Copy, Default)]
struct Sightings {
    /// Failures, successes, and what says nothing about the target, in a row.
    failures: u32,
    successes: u32,
    voteless: u32,
    down: bool,
    /// Control-plane time of the newest that says something about the target, and who saw it.
    newest: Option<i64>,
    agent: AgentIndex,
    /// The newest slot whose own check was counted: earlier ones are history by then.
    slot: Option<i64>,
    /// The first of the failures or successes that are in a row now.
    since: Option<i64>,
    /// The newest of any kind.
    newest_at: Option<i64>,
    /// The newest that is not a failure of the target.
    other_at: Option<i64>,
    /// The target truly hurt in at least one failure of this streak.
    honest: bool,
}

impl Sightings {
    fn is_fresh(&self, stale_after: i64, now: i64) -> bool {
        self.newest.is_some_and(|newest| now - newest <= stale_after)
    }

    /// Whether it saw how the target was while `own` failed there: it fails too, or was
    /// well by then and has looked since.
    fn witnesses(&self, own: &Self) -> bool {
        let looked_since = self.newest >= own.since;
        let well_by_then =
            self.since.zip(own.newest).is_some_and(|(well, at)| well <= at + ANSWER_MS);
        self.failures > 0 || (looked_since && well_by_then)
    }

    /// Something that started before `newest`, which was counted: it ran beside that. A failure is in a row with those after it unless something else
    /// started after it; anything else parts those after it from those before.
    fn comes_late(&mut self, at: &At<'_>, seen: &Seen, fails: bool, newest: i64) {
        if self.other_at.is_some_and(|other| seen.started_at <= other) {
            return;
        }
        if fails {
            self.fail(at, seen);
            return;
        }
        self.other_at = Some(seen.started_at);
        if self.failures > 0 && self.since.is_some_and(|since| since < seen.started_at) {
            (self.failures, self.since) = (1, Some(newest));
        }
    }

    /// One more failure in a row.
    fn fail(&mut self, at: &At<'_>, seen: &Seen) {
        (self.successes, self.voteless) = (0, 0);
        if self.failures == 0 {
            self.since = Some(seen.started_at);
        }
        self.failures += 1;
        self.down |= self.failures >= at.cast.monitors[seen.monitor].thresholds.fail_after;
        let then = |time: i64| time - at.control.clock(0);
        let (from, until) = (then(seen.started_at), then(seen.ended_at));
        let (monitor, region) = (seen.monitor, seen.region);
        self.honest |= at.truth.hurt_within(monitor, region, from - CLOCK_MS, until + CLOCK_MS);
    }
}

/// How old the votes may be that are counted.
#[derive(Debug, Clone, Copy)]
pub(super) enum Age {
    Any,
    /// As old as the policy allows, and so much older (or younger), ms.
    Within(i64),
}

/// See the module's head.
#[derive(Debug)]
pub(super) struct Observed {
    by_place: Vec<Vec<Sightings>>,
    /// When each monitor last had its quorum, virtual time.
    quorum_at: Vec<Option<i64>>,
}

impl Observed {
    pub(super) fn new(cast: &Cast) -> Self {
        Self {
            by_place: vec![vec![Sightings::default(); cast.regions.len()]; cast.monitors.len()],
            quorum_at: vec![None; cast.monitors.len()],
        }
    }

    /// An observation reached the control plane.
    pub(super) fn arrived(&mut self, at: &At<'_>, seen: &Seen) {
        self.count(at, seen);
        if self.by_place[seen.monitor][seen.region].down {
            self.look_for_quorum(at, seen.monitor);
        }
    }

    fn look_for_quorum(&mut self, at: &At<'_>, monitor: MonitorIndex) {
        let votes = self.votes(at, monitor, Age::Within(0)).len();
        if votes >= at.cast.monitors[monitor].needed {
            self.quorum_at[monitor] = Some(at.now);
        }
    }

    fn count(&mut self, at: &At<'_>, seen: &Seen) {
        let place = &mut self.by_place[seen.monitor][seen.region];
        let clock = at.control.clock(at.now);
        if !seen.dated || clock - seen.started_at > HISTORY_MS {
            return;
        }
        let fails = seen.outcome == Outcome::Fail && seen.reason != "agent_fault";
        // What was counted by a clock that was set back since has no place in an order.
        if place.newest_at.is_some_and(|newest| newest - clock > AHEAD_MS) {
            *place = Sightings::default();
        }
        if seen.burst.is_none() {
            if place.slot.is_some_and(|slot| seen.slot <= slot) {
                return;
            }
            place.slot = Some(seen.slot);
        }
        let policy = &at.cast.monitors[seen.monitor].thresholds;
        if let Some(newest) = place.newest_at.filter(|newest| seen.started_at <= *newest) {
            if newest - seen.started_at <= policy.stale_after_ms {
                place.comes_late(at, seen, fails, newest);
            }
            return;
        }
        let before = place.newest_at.replace(seen.started_at);
        let gap = place.newest.map_or(0, |newest| seen.started_at - newest);
        if gap > policy.stale_after_ms {
            let newest_at = place.newest_at;
            let slot = place.slot;
            *place = Sightings { slot, newest_at, other_at: before, ..Sightings::default() };
        }
        if !fails {
            place.other_at = Some(seen.started_at);
        }
        match seen.outcome {
            Outcome::Ok | Outcome::Degraded => {
                (place.failures, place.voteless) = (0, 0);
                // An agent's success is no word on what its predecessor saw.
                if place.successes == 0 || place.agent != seen.agent {
                    place.since = Some(seen.started_at);
                }
                place.successes += 1;
                place.down &= place.successes < policy.recover_after;
                place.honest &= place.down;
            }
            Outcome::Fail if fails => place.fail(at, seen),
            Outcome::Fail | Outcome::Policy | Outcome::Unsupported => {
                (place.failures, place.successes) = (0, 0);
                place.voteless += 1;
                place.down &= place.voteless < policy.fail_after;
                return;
            }
        }
        (place.newest, place.agent) = (Some(seen.started_at), seen.agent);
    }

    /// An agent is believed again: what it saw before is held against nobody.
    pub(super) fn forgiven(&mut self, at: &At<'_>, agent: AgentIndex) {
        let region = at.cast.agents[agent].region;
        for monitor in 0..self.by_place.len() {
            let place = &mut self.by_place[monitor][region];
            let held = at.control.db.current.get(&(monitor, region));
            if held.is_some_and(|it| it.agent == agent) && (place.down || place.failures > 0) {
                let (slot, newest_at) = (place.slot, place.newest_at);
                *place = Sightings { slot, newest_at, ..Sightings::default() };
            }
        }
    }

    /// The regions that say that it is down and are believed.
    pub(super) fn votes(&self, at: &At<'_>, monitor: MonitorIndex, age: Age) -> Vec<RegionIndex> {
        let watched = &at.cast.monitors[monitor];
        let clock = at.control.clock(at.now);
        let votes = |region: &&RegionIndex| {
            let place = &self.by_place[monitor][**region];
            let fresh = match age {
                Age::Any => place.newest.is_some(),
                Age::Within(slack) => {
                    place.is_fresh(watched.thresholds.stale_after_ms + slack, clock)
                }
            };
            place.down && fresh && !is_discredited(at, monitor, **region)
        };
        watched.seats.iter().filter(votes).copied().collect()
    }

    /// Whether the region's vote is that of who watches it now and was heard to the end.
    pub(super) fn is_current(&self, at: &At<'_>, monitor: MonitorIndex, region: usize) -> bool {
        let place = &self.by_place[monitor][region];
        let db = &at.control.db;
        let stale = at.cast.monitors[monitor].thresholds.stale_after_ms;
        let clock = at.control.clock(at.now);
        db.current.get(&(monitor, region)).is_some_and(|current| {
            let complete = db.complete.get(&current.agent).copied();
            let begun = current.slots.due(current.first_slot);
            current.agent == place.agent
                && complete.is_some_and(|through| {
                    through >= begun && clock - through <= stale - SLACK_MS / 2
                })
        })
    }

    /// When it last had its quorum.
    pub(super) fn had_quorum_at(&self, monitor: MonitorIndex) -> Option<i64> {
        self.quorum_at[monitor]
    }

    /// Why too few regions say that it is down, if that is so.
    pub(super) fn no_quorum(
        &self,
        at: &At<'_>,
        monitor: MonitorIndex,
        any_age: bool,
        believed: &Believed,
    ) -> Option<String> {
        let age = if any_age { Age::Any } else { Age::Within(SLACK_MS) };
        let needed = at.cast.monitors[monitor].needed;
        let down = self.votes(at, monitor, age);
        let found = down.len();
        if found < needed {
            return Some(format!("with {found} fresh votes of the {needed} it needs"));
        }
        let places = || down.iter().map(|region| &self.by_place[monitor][*region]);
        let honest = places().filter(|place| place.honest).count();
        let unknown = places().filter(|it| !it.honest && !believed.is_known(at, it.agent)).count();
        if honest == 0 && needed > 1 {
            return Some(format!("though it hurt nowhere: {found} regions fail by themselves"));
        }
        (honest + unknown < needed).then(|| {
            format!("though it hurt in {honest} of {found} regions, and the rest was known to fail by itself")
        })
    }

    /// How many unrelated targets an agent fails that others saw well meanwhile, where that is most
    /// of what it looks at and the others see little else fail; 0 else. What as many fail as make
    /// its monitor down is not failed alone, whoever of them is at fault: where two regions are
    /// that many, a broken one and one where it truly hurts look the same.
    pub(super) fn fails_alone(&self, at: &At<'_>, agent: AgentIndex) -> usize {
        let clock = at.control.clock(at.now);
        let region = at.cast.agents[agent].region;
        let (mut compared, mut alone) = (0, Vec::new());
        let (mut others_looked, mut others_failed) = (0, 0);
        for (monitor, places) in self.by_place.iter().enumerate() {
            let watched = &at.cast.monitors[monitor];
            let stale = watched.thresholds.stale_after_ms - SLACK_MS / 2;
            let others: Vec<&Sightings> = watched
                .seats
                .iter()
                .filter(|other| **other != region && !is_discredited(at, monitor, **other))
                .map(|other| &places[*other])
                .filter(|place| place.is_fresh(stale, clock))
                .collect();
            let lately = others.iter().filter(|place| place.is_fresh(LATELY_MS, clock));
            others_looked += lately.clone().count();
            others_failed += lately.filter(|place| place.failures > 0).count();
            let own = &places[region];
            let fails = |place: &Sightings| place.failures > 0 && place.is_fresh(stale, clock);
            let failing_at_all = watched.seats.iter().filter(|it| fails(&places[**it])).count();
            let held = at.control.db.current.get(&(monitor, region));
            let looks = held.is_some_and(|it| it.agent == agent) && own.agent == agent;
            if !looks || !watched.seats.contains(&region) || others.is_empty() {
                continue;
            }
            compared += 1;
            let witnesses: Vec<_> = others.iter().filter(|other| other.witnesses(own)).collect();
            let failing = witnesses.iter().filter(|place| place.failures > 0).count();
            let is_quorum = watched.needed > 1 && failing_at_all >= watched.needed;
            if fails(own) && witnesses.len() > 2 * failing && !is_quorum {
                alone.push(monitor);
            }
        }
        let most = alone.len() * 3 >= compared * 2 && others_failed * 3 <= others_looked;
        if most && others_looked > 0 { unrelated(at.cast, &alone) } else { 0 }
    }
}

/// Whether the vote of who watches it there does not count now.
pub(super) fn is_discredited(at: &At<'_>, monitor: MonitorIndex, region: RegionIndex) -> bool {
    let db = &at.control.db;
    let holder = db.current.get(&(monitor, region)).map(|current| current.agent);
    holder.is_some_and(|agent| db.discredited.get(&agent).is_some())
}
