//! Counting what batches say into region states, as `control-plane/src/ingest/states.rs`.

use super::database::Database;
use super::note::Note;
use super::verdicts;
use crate::world::cast::{Cast, MonitorIndex, RegionIndex};
use hyperverge_control_core::correlation::{Newest, Step, Track, Verdict};
use std::collections::{BTreeMap, BTreeSet};

/// A monitor at a revision, in a region.
type Question = (RegionIndex, MonitorIndex, i64);

/// What the batches of a group say.
#[derive(Debug, Default)]
pub struct Steps {
    by_question: BTreeMap<Question, Vec<Step>>,
    /// Where something else than plain success was seen.
    eventful: BTreeSet<(RegionIndex, MonitorIndex)>,
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
        step: Step,
    ) {
        if !step.is_plain() {
            self.eventful.insert((region, monitor));
        }
        self.by_question.entry((region, monitor, revision)).or_default().push(step);
    }

    /// Reads what was newest of the eventful monitors that were not asked for yet.
    pub(super) fn read_newest(&mut self, db: &Database, region: RegionIndex) {
        for place in self.eventful.range((region, 0)..=(region, usize::MAX)) {
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
                self.eventful.contains(&(*region, *monitor)) || is_unsteady(db, *monitor, *region)
            })
            .map(|(_, monitor, _)| *monitor)
            .collect();
        for monitor in &unsteady {
            db.monitor_states.lock(monitor);
            self.count(db, cast, *monitor, now);
        }
        for monitor in unsteady {
            verdicts::evaluate(db, cast, monitor, notes, now);
        }
    }

    fn count(&mut self, db: &mut Database, cast: &Cast, monitor: MonitorIndex, now: i64) {
        for region in &cast.monitors[monitor].seats {
            let Some(current) = db.current.get(&(monitor, *region)) else { continue };
            let question = (*region, monitor, current.revision);
            let Some(mut steps) = self.by_question.remove(&question) else { continue };
            steps.sort_by_key(Step::order);
            let newest = self.newest.get(&question).copied();
            let row = db.region_states.get(&(monitor, *region)).cloned();
            let thresholds = cast.monitors[monitor].thresholds;
            let mut track = Track::new(current.revision, thresholds, row.clone(), newest);
            for step in &steps {
                track.step(step, now);
            }
            match track.into_row() {
                next if next == row => {}
                Some(next) => db.region_states.put((monitor, *region), next),
                None => db.region_states.remove(&(monitor, *region)),
            }
        }
    }
}

/// Whether steady success of `region` may still change this monitor.
fn is_unsteady(db: &Database, monitor: MonitorIndex, region: RegionIndex) -> bool {
    let verdict = db.monitor_states.get(&monitor).map(|state| state.verdict);
    verdict.is_some_and(|verdict| verdict != Verdict::Up)
        || db.region_states.get(&(monitor, region)).is_some()
}
