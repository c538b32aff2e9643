//! A plain statement of what must be true, beside the product's decisions.
//!
//! It knows what targets truly did, what agents truly saw and when that reached
//! the control plane, and counts for itself: nothing in here calls the product's
//! correlation, incidents or notices. Safety is judged whenever something is
//! committed, liveness once faults have stopped and there was time to settle.
//!
//! | file | says |
//! |---|---|
//! | `observed` | what a quorum is, recounted from what was observed |
//! | `notices` | who was told what, and told the end of it |
//! | `results` | acknowledged is stored, once |
//! | `silence` | silence is neither up nor down, and ours is nobody's outage |
//! | `settled` | it all ends, and clean faults are found in time |
//!
//! To add an invariant: a method in the file it belongs to, called from
//! [`Reference::note`] or [`Reference::finish`]; and a scenario that breaks it.

mod notices;
mod observed;
mod results;
mod settled;
mod silence;

use crate::control::Control;
use crate::control::note::Note;
use crate::limits::VIOLATIONS;
use crate::scenario::{FaultKind, Scenario};
use crate::world::cast::{AgentIndex, Cast};
use crate::world::truth::Truth;
use hyperverge_agent_core::Lane;
use hyperverge_control_core::correlation::Verdict;
use hyperverge_protocol::wire::ResultBatch;
use notices::Notices;
use observed::Observed;
use results::Results;
use settled::Course;
use silence::Silence;

/// See the module's head.
#[derive(Debug)]
pub struct Reference {
    /// What was broken, each with its time.
    pub violations: Vec<String>,
    observed: Observed,
    notices: Notices,
    results: Results,
    silence: Silence,
    course: Course,
    /// The database's clock is set in this scenario: ages mean little.
    clock_is_set: bool,
}

/// What an invariant is judged with.
pub(crate) struct At<'a> {
    pub(crate) cast: &'a Cast,
    pub(crate) truth: &'a Truth,
    pub(crate) control: &'a Control,
    /// Virtual time, ms.
    pub(crate) now: i64,
}

impl Reference {
    /// A model of a world in which nothing happened yet.
    pub fn new(scenario: &Scenario, cast: &Cast) -> Self {
        let mut faults = scenario.faults.iter();
        Self {
            violations: Vec::new(),
            observed: Observed::new(cast),
            notices: Notices::default(),
            results: Results::default(),
            silence: Silence::new(cast),
            course: Course::new(scenario),
            clock_is_set: faults.any(|fault| fault.kind == FaultKind::ControlClock),
        }
    }

    /// Something was committed.
    pub(crate) fn note(&mut self, at: &At<'_>, note: &Note) {
        let mut broken = Vec::new();
        match note {
            Note::Stored(seen) => {
                broken.extend(self.results.stored(at, seen));
                self.observed.arrived(at, seen);
            }
            Note::Batch { agent, lane, number, refused } => {
                self.results.committed(*agent, *lane, *number, *refused);
                self.silence.heard(*agent, at.now);
            }
            Note::Verdict { monitor, to, .. } => {
                self.course.turned(*monitor, *to, at.now);
                match to {
                    Verdict::Down => broken.extend(self.no_quorum(at, *monitor, "is down")),
                    Verdict::Up => broken.extend(self.silence.came_up(at, *monitor)),
                    Verdict::Degraded | Verdict::Unknown => {}
                }
            }
            Note::Incident { id, subject, kind, .. } => {
                broken.extend(self.notices.incident(at, *id, *subject, *kind));
                broken.extend(self.silence.incident(at, *subject, *kind));
            }
            Note::Told(told) => {
                for monitor in self.notices.told(at, told) {
                    broken.extend(self.no_quorum(at, monitor, "is paged"));
                }
                broken.extend(self.notices.bounded(at, told));
            }
            Note::BurstKept { monitor, .. } => self.course.unconfirmed(*monitor, at.now),
            _ => {}
        }
        self.violated(at.now, broken);
    }

    /// What is wrong where a monitor is down or paged without a quorum.
    fn no_quorum(&self, at: &At<'_>, monitor: usize, what: &str) -> Option<String> {
        self.observed
            .no_quorum(at, monitor, self.clock_is_set)
            .map(|why| format!("{} {what} {why}", at.cast.monitors[monitor].name()))
    }

    /// An agent was told that a batch is stored.
    pub(crate) fn acknowledged(
        &mut self,
        at: &At<'_>,
        agent: AgentIndex,
        lane: Lane,
        batch: &ResultBatch,
    ) {
        let broken = self.results.acknowledged(at, agent, lane, batch);
        self.violated(at.now, broken);
    }

    /// The run is over.
    pub(crate) fn finish(&mut self, at: &At<'_>, waiting: &[(AgentIndex, usize)]) {
        let mut broken = Vec::new();
        if self.course.had_time_to_settle() {
            broken.extend(settled::is_settled(at, waiting));
            broken.extend(self.notices.all_resolved(at));
        }
        broken.extend(self.course.found_in_time(at));
        self.violated(at.now, broken);
    }

    fn violated(&mut self, now: i64, broken: impl IntoIterator<Item = String>) {
        for what in broken {
            if self.violations.len() < VIOLATIONS {
                self.violations.push(format!("at {now} ms: {what}"));
            }
        }
    }
}
