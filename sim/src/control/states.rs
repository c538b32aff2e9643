//! Counting what batches say into region states, as `control-plane/src/ingest/states.rs`.

use super::bursts::{self, First};
use super::database::Database;
use super::note::Note;
use super::verdicts;
use crate::world::cast::{AgentIndex, Cast, MonitorIndex, RegionIndex};
use hyperverge_control_core::correlation::{
    Newest, Sight, StateRow, Step, Track, Verdict, casts_no_vote,
};
use std::collections::{BTreeMap, BTreeSet};

/// A monitor at a revision, in a region.
type Question = (RegionIndex, MonitorIndex, i64);

/// What the batches of a group say.
#[derive(Debug, Default)]
pub struct Steps {
    by_question: BTreeMap<Question, Vec<Step>>,
    /// Where something else than plain success was seen, with the agent that saw it.
    eventful: BTreeMap<(RegionIndex, MonitorIndex), AgentIndex>,
    /// What was newest before the group; read once.
    newest: BTreeMap<Question, Newest>,
    asked: BTreeSet<(RegionIndex, MonitorIndex)>,
}

impl Steps {
    /// Adds what one row says.
    pub(super) fn add(
        &mut self,
        monitor: MonitorIndex,
        region: RegionIndex,
        revision: i64,
        agent: AgentIndex,
        step: Step,
    ) {
        if !step.is_plain() {
            self.eventful.insert((region, monitor), agent);
        }
        self.by_question.entry((region, monitor, revision)).or_default().push(step);
    }

    /// Reads what was newest of the eventful monitors that were not asked for yet.
    pub(super) fn read_newest(&mut self, db: &Database, region: RegionIndex) {
        for (place, _) in self.eventful.range((region, 0)..=(region, usize::MAX)) {
            if !self.asked.insert(*place) {
                continue;
            }
            let monitor = place.1;
            let current = db.current.get(&(monitor, region)).map(|current| current.revision);
            if let Some((revision, newest)) = db.newest.get(&(monitor, region))
                && current == Some(*revision)
            {
                self.newest.insert((region, monitor, *revision), *newest);
            }
        }
    }

    /// Counts the steps and evaluates what they may have changed.
    pub fn correlate(mut self, db: &mut Database, cast: &Cast, notes: &mut Vec<Note>, now: i64) {
        let unsteady: BTreeSet<MonitorIndex> = self
            .by_question
            .keys()
            .filter(|(region, monitor, _)| {
                self.eventful.contains_key(&(*region, *monitor))
                    || is_unsteady(db, *monitor, *region)
            })
            .map(|(_, monitor, _)| *monitor)
            .collect();
        let mut firsts = BTreeMap::new();
        for monitor in &unsteady {
            db.monitor_states.lock(monitor);
            if let Some(first) = self.count(db, cast, *monitor, now) {
                firsts.insert(*monitor, first);
            }
        }
        for monitor in unsteady {
            let evaluation = verdicts::evaluate(db, cast, monitor, notes, now);
            if let Some(first) = firsts.remove(&monitor) {
                bursts::ask(db, cast, monitor, first, evaluation, notes, now);
            }
        }
    }

    /// Counts what every region saw; where a streak of failures began, the first of them.
    fn count(
        &mut self,
        db: &mut Database,
        cast: &Cast,
        monitor: MonitorIndex,
        now: i64,
    ) -> Option<First> {
        let mut first = None;
        for region in &cast.monitors[monitor].seats {
            let Some(current) = db.current.get(&(monitor, *region)) else { continue };
            let question = (*region, monitor, current.revision);
            let Some(mut steps) = self.by_question.remove(&question) else { continue };
            steps.sort_by_key(Step::order);
            let newest = self.newest.get(&question).copied();
            let row = db.region_states.get(&(monitor, *region)).cloned();
            let thresholds = cast.monitors[monitor].thresholds;
            let mut track = Track::new(current.revision, thresholds, row.clone(), newest);
            let mut streak = false;
            for step in &steps {
                let before = track.row().and_then(|row| row.streak_began);
                track.step(step, now);
                // The failures of a burst are answers, and ask for nothing.
                let own = matches!(step, Step::Sight(Sight { burst: None, .. }));
                streak |= own && fails_since(track.row()).is_some_and(|at| Some(at) != before);
            }
            let next = track.into_row();
            if next == row {
                continue;
            }
            // What is over by the end of the group needs no confirmation any more.
            if let Some(agent) = self.eventful.get(&(*region, monitor))
                && streak
                && fails_since(next.as_ref()).is_some()
            {
                first = first.or(Some(First { region: *region, agent: *agent }));
            }
            match next {
                Some(next) => db.region_states.put((monitor, *region), next),
                None => db.region_states.remove(&(monitor, *region)),
            }
        }
        first
    }
}

/// When the streak of failures began that the row is in: of failures that say something
/// about the target.
fn fails_since(row: Option<&StateRow>) -> Option<i64> {
    let row = row.filter(|row| row.failures > 0)?;
    let ours = row.reason.as_deref().is_some_and(casts_no_vote);
    row.streak_began.filter(|_| !ours)
}

/// Whether steady success of `region` may still change this monitor.
fn is_unsteady(db: &Database, monitor: MonitorIndex, region: RegionIndex) -> bool {
    let verdict = db.monitor_states.get(&monitor).map(|state| state.verdict);
    verdict.is_some_and(|verdict| verdict != Verdict::Up)
        || db.region_states.get(&(monitor, region)).is_some()
}
