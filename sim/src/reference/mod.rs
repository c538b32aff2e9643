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
//! | `verdicts` | a verdict is what was observed, at any time |
//! | `course` | clean faults are found, told and seen to be over in time |
//! | `notices` | who was told what, and told the end of it |
//! | `believed` | an agent at fault is known, and nobody else is blamed |
//! | `silence` | silence is neither up nor down, and ours is nobody's outage |
//! | `results` | acknowledged is stored, once |
//! | `settled` | it all ends |
//!
//! To add an invariant: a method in the file it belongs to, called from
//! [`Reference::note`], [`Reference::tick`] or [`Reference::finish`]; and a case in
//! `tests.rs` that breaks it.

mod believed;
mod course;
mod notices;
mod observed;
mod related;
mod results;
mod settled;
mod silence;
#[cfg(test)]
mod tests;
mod verdicts;

use crate::control::Control;
use crate::control::database::IncidentId;
use crate::control::note::Note;
use crate::limits::VIOLATIONS;
use crate::scenario::{FaultKind, Scenario, ms};
use crate::world::cast::{AgentIndex, Cast};
use crate::world::truth::Truth;
use believed::Believed;
use course::Course;
use hyperverge_agent_core::Lane;
use hyperverge_control_core::correlation::Verdict;
use hyperverge_protocol::wire::ResultBatch;
use notices::Notices;
use observed::Observed;
use results::Results;
use silence::Silence;
use verdicts::Verdicts;

pub use course::Judged;

/// How long after our own absence, or a step of our clock, a vote may still rest on it, ms:
/// the grace, a lease.
const AFTERMATH_MS: i64 = 120_000;

/// See the module's head.
#[derive(Debug)]
pub struct Reference {
    /// What was broken, each with its time.
    pub violations: Vec<String>,
    /// What was judged; complete when the run is over.
    pub judged: Judged,
    observed: Observed,
    notices: Notices,
    results: Results,
    silence: Silence,
    believed: Believed,
    verdicts: Verdicts,
    course: Course,
    /// The database's clock is set in this scenario: ages mean little.
    clock_is_set: bool,
    /// From when until when looks are dated earlier than those before them.
    set_back: Vec<(i64, i64)>,
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
        let steps = scenario.faults.iter().filter(|it| it.kind == FaultKind::ControlClock);
        let steps = steps.filter_map(|fault| Some((ms(fault.at), fault.step()?)));
        let steps: Vec<(i64, i64)> = steps.filter(|(_, by)| *by < 0).collect();
        // Slots of that time come again, however many steps it was set back in.
        let again: i64 = steps.iter().map(|(_, by)| -by).sum();
        let set_back = steps.iter().map(|(at, _)| (*at, at + again + AFTERMATH_MS));
        Self {
            set_back: set_back.collect(),
            violations: Vec::new(),
            judged: Judged::default(),
            observed: Observed::new(cast),
            notices: Notices::default(),
            results: Results::default(),
            silence: Silence::new(cast),
            believed: Believed::new(scenario, cast),
            verdicts: Verdicts::new(cast),
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
                let batch = (*agent, *lane, *number);
                broken.extend(self.results.committed(at, batch, *refused, self.clock_is_set));
                self.silence.heard(at, *agent);
            }
            Note::Verdict { monitor, to, .. } => {
                self.course.turned(*monitor, *to, at.now);
                self.notices.turned(*monitor, *to, at.now);
                match to {
                    Verdict::Down => broken.extend(self.no_quorum(at, *monitor, "is down")),
                    Verdict::Up => broken.extend(self.silence.came_up(at, *monitor)),
                    Verdict::Degraded | Verdict::Unknown => {}
                }
            }
            Note::Incident { id, subject, kind, row, .. } => {
                broken.extend(self.notices.incident(at, *id, *subject, *kind));
                broken.extend(Believed::incident(at, *subject, *kind, row));
            }
            Note::GroupJoined { group, incident, how } => {
                let (wrong, begins) = self.notices.joined(at, *group, *incident, *how);
                broken.extend(wrong);
                broken.extend(self.told_without_quorum(at, begins.as_slice()));
            }
            Note::Told(told) => {
                let (wrong, begins) = self.notices.told(at, told);
                broken.extend(wrong);
                broken.extend(self.told_without_quorum(at, &begins));
            }
            Note::BurstKept { monitor, why, .. } => self.course.kept(*monitor, *why, at.now),
            Note::VoteRegained(agent) => self.observed.forgiven(at, *agent),
            Note::AgentLost(agent) => self.results.lost(*agent),
            Note::Refused(what) => broken.push(what.clone()),
            _ => {}
        }
        self.violated(at.now, broken);
    }

    /// What is wrong with a page that tells these beginnings: each monitor has a quorum, or
    /// had one while its incident was open.
    fn told_without_quorum(&self, at: &At<'_>, begins: &[IncidentId]) -> Vec<String> {
        let (now, once) = self.notices.should_have_quorum(begins);
        let mut broken: Vec<String> =
            now.iter().filter_map(|monitor| self.no_quorum(at, *monitor, "is paged")).collect();
        for (monitor, since) in once {
            if self.observed.had_quorum_at(monitor).is_none_or(|had| had < since) {
                let name = at.cast.monitors[monitor].name();
                broken.push(format!("{name} is paged, and never had a quorum"));
            }
        }
        broken
    }

    /// A second passed.
    pub(crate) fn tick(&mut self, at: &At<'_>) {
        if self.clock_is_set {
            return;
        }
        let ours = self.course.control_is_away(at.now, AFTERMATH_MS);
        let mut broken = self.believed.tick(at, &self.observed, ours);
        let seen = (&self.observed, &mut self.silence, &self.course);
        broken.extend(self.verdicts.tick(at, seen, ours));
        if !ours {
            broken.extend(self.silence.unnoticed(at));
        }
        self.violated(at.now, broken);
    }

    /// What is wrong where a monitor is down or paged without a quorum.
    fn no_quorum(&self, at: &At<'_>, monitor: usize, what: &str) -> Option<String> {
        // Which looks are the newest is what the product decides then, and this model cannot.
        if self.set_back.iter().any(|(from, until)| (*from..*until).contains(&at.now)) {
            return None;
        }
        self.observed
            .no_quorum(at, monitor, self.clock_is_set, &self.believed)
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
        let (judged, late) = self.course.judge(at, &self.notices);
        self.judged = Judged {
            agents: self.believed.known,
            regions: self.silence.known,
            verdicts: self.verdicts.compared,
            ..judged
        };
        broken.extend(late);
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
