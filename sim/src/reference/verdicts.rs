//! At any time, the verdict is what was observed: neither wrong nor stuck.

use super::At;
use super::course::{Course, TRANSACTIONS, slowest};
use super::observed::{Age, Observed};
use super::silence::Silence;
use crate::scenario::FaultKind;
use crate::world::cast::{Cast, MonitorIndex};
use crate::world::truth::Hurt;
use hyperverge_control_core::correlation::Verdict;

/// So long a verdict may lag behind what arrived, beside the transactions it waits for, ms: a
/// region that is heard to the end again is looked at in the next rounds.
const LAG_MS: i64 = 10_000;
/// A vote that is about to grow old may be counted or not, ms.
const OLD_MS: i64 = 5_000;

/// Since when something is not as it should be.
#[derive(Debug, Default, Clone, Copy)]
struct Since {
    missed: Option<i64>,
    invented: Option<i64>,
    hurts: Option<i64>,
}

/// See the module's head.
#[derive(Debug)]
pub(super) struct Verdicts {
    since: Vec<Since>,
    /// Verdicts that were compared with what arrived.
    pub(super) compared: u64,
}

impl Verdicts {
    pub(super) fn new(cast: &Cast) -> Self {
        Self { since: vec![Since::default(); cast.monitors.len()], compared: 0 }
    }

    /// Time passes; `ours`: the control plane was not there to judge by it.
    pub(super) fn tick(
        &mut self,
        at: &At<'_>,
        (observed, silence, course): (&Observed, &mut Silence, &Course),
        ours: bool,
    ) -> Vec<String> {
        let mut broken = Vec::new();
        for monitor in 0..self.since.len() {
            let Some(state) = at.control.db.monitor_states.get(&monitor) else { continue };
            self.compared += 1;
            broken.extend(self.differs(at, observed, monitor, state.verdict, ours));
            broken.extend(self.overlooked(at, course, monitor, state.verdict));
            if state.verdict == Verdict::Up && !ours {
                broken.extend(silence.stays_up(at, monitor));
            } else {
                silence.excused(monitor);
            }
        }
        broken
    }

    fn differs(
        &mut self,
        at: &At<'_>,
        observed: &Observed,
        monitor: MonitorIndex,
        stored: Verdict,
        ours: bool,
    ) -> Option<String> {
        let (needed, name) = (at.cast.monitors[monitor].needed, at.cast.monitors[monitor].name());
        let lag = LAG_MS + TRANSACTIONS * at.cast.transaction;
        let since = &mut self.since[monitor];
        let current = |region: &usize| observed.is_current(at, monitor, *region);
        let votes = || observed.votes(at, monitor, Age::Within(-OLD_MS));
        let missed =
            stored != Verdict::Down && votes().iter().filter(|it| current(it)).count() >= needed;
        let invented = stored == Verdict::Down
            && !ours
            && observed.votes(at, monitor, Age::Within(0)).len() < needed;
        lasts(&mut since.missed, missed, at.now, lag)
            .map(|()| format!("{name} is {stored} though {needed} regions say that it is down"))
            .or_else(|| {
                lasts(&mut since.invented, invented, at.now, lag)
                    .map(|()| format!("{name} stays down without the {needed} votes it needs"))
            })
    }

    /// It truly hurts in a quorum for longer than it may take to know.
    fn overlooked(
        &mut self,
        at: &At<'_>,
        course: &Course,
        monitor: MonitorIndex,
        stored: Verdict,
    ) -> Option<String> {
        let watched = &at.cast.monitors[monitor];
        let surely = at.truth.hitting_at(monitor, at.now).filter(|extent| {
            extent.hurt == Hurt::Down && extent.share >= 1.0 && extent.kind != FaultKind::Flap
        });
        let surely: Vec<_> = surely.collect();
        // An agent that was alone in what it saw has no vote for a while.
        let votes = |region: &usize| {
            let seat = at.control.db.current.get(&(monitor, *region));
            seat.is_some_and(|seat| at.control.db.discredited.get(&seat.agent).is_none())
        };
        let hit =
            |region: &&usize| votes(region) && surely.iter().any(|it| it.regions.contains(region));
        let count = watched.seats.iter().filter(hit).count();
        let known_to_be = surely.iter().any(|extent| course.is_ambiguous(at, extent, monitor));
        let wrong = count >= watched.needed && stored != Verdict::Down && !known_to_be;
        let since = &mut self.since[monitor].hurts;
        let began = since.unwrap_or(at.now);
        let wrong = wrong && !course.is_ours(began, at.now);
        lasts(since, wrong, at.now, slowest(watched)).map(|()| {
            format!("{} hurts in {count} regions since {began} ms and is {stored}", watched.name())
        })
    }
}

/// Whether it has been wrong for `patience` ms just now.
fn lasts(since: &mut Option<i64>, wrong: bool, now: i64, patience: i64) -> Option<()> {
    if !wrong {
        *since = None;
        return None;
    }
    let first = *since.get_or_insert(now);
    (patience..patience + 1_000).contains(&(now - first)).then_some(())
}
