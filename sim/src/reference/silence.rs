//! Silence is neither up nor down, and a region that is silent is one incident about us.

use super::At;
use crate::scenario::FaultKind;
use crate::world::cast::{AgentIndex, Cast, MonitorIndex};
use hyperverge_control_core::incident::SubjectKind;

/// How long an agent seals nothing at most, and a batch is on its way, ms.
const SLACK_MS: i64 = 30_000;
/// A verdict that rests on silence is turned this soon, ms.
const TURNED_MS: i64 = 5_000;
/// A region from which nothing comes for so long has an incident, ms: a minute of silence,
/// the rounds until that is noticed and written, and what was on a slow link when it began.
const SILENT_MS: i64 = 70_000;
/// A fleet that began so long ago was heard, ms.
const STARTED_MS: i64 = 150_000;

/// See the module's head.
#[derive(Debug)]
pub(super) struct Silence {
    /// When the newest batch of each agent was committed, by virtual time and by our clock.
    heard: Vec<Option<(i64, i64)>>,
    /// Since when a monitor is up that too few regions speak of.
    unheard: Vec<Option<i64>>,
    /// Regions whose silence was judged, until they are heard.
    judged: Vec<bool>,
    /// Silent regions that had their incident.
    pub(super) known: u64,
}

impl Silence {
    pub(super) fn new(cast: &Cast) -> Self {
        Self {
            heard: vec![None; cast.agents.len()],
            unheard: vec![None; cast.monitors.len()],
            judged: vec![false; cast.regions.len()],
            known: 0,
        }
    }

    pub(super) fn heard(&mut self, at: &At<'_>, agent: AgentIndex) {
        self.heard[agent] = Some((at.now, at.control.clock(at.now)));
    }

    /// What is wrong with a verdict that is up: too few regions were heard of late.
    pub(super) fn came_up(&self, at: &At<'_>, monitor: MonitorIndex) -> Option<String> {
        let watched = &at.cast.monitors[monitor];
        let patience = watched.thresholds.stale_after_ms + SLACK_MS;
        // We only know how old it is by our own clock, which may have been set back.
        let clock = at.control.clock(at.now);
        let age = |(now, then): (i64, i64)| (at.now - now).min(clock - then);
        let heard = |agent: AgentIndex| self.heard[agent].is_some_and(|it| age(it) <= patience);
        let speaks = |region: &&usize| at.cast.agents_of(**region).any(heard);
        let speaking = watched.seats.iter().filter(speaks).count();
        let enough = watched.seats.len() - watched.needed + 1;
        let name = watched.name();
        (speaking < enough)
            .then(|| format!("{name} is up with {speaking} regions heard; {enough} must be"))
    }

    /// Whether a monitor stays up though nobody speaks of it.
    pub(super) fn stays_up(&mut self, at: &At<'_>, monitor: MonitorIndex) -> Option<String> {
        let Some(wrong) = self.came_up(at, monitor) else {
            self.unheard[monitor] = None;
            return None;
        };
        let since = *self.unheard[monitor].get_or_insert(at.now);
        (TURNED_MS..TURNED_MS + 1_000)
            .contains(&(at.now - since))
            .then(|| format!("{wrong}, and that for {TURNED_MS} ms"))
    }

    /// It is not up, or it was our own silence.
    pub(super) fn excused(&mut self, monitor: MonitorIndex) {
        self.unheard[monitor] = None;
    }

    /// Regions that have been silent for long and have no incident.
    pub(super) fn unnoticed(&mut self, at: &At<'_>) -> Vec<String> {
        let mut broken = Vec::new();
        for region in 0..self.judged.len() {
            let mute = |kind| {
                matches!(
                    kind,
                    FaultKind::AgentCrash | FaultKind::AgentSuspend | FaultKind::Partition
                )
            };
            let silent = at.cast.agents_of(region).all(|agent| {
                at.truth.of_agent(agent, at.now).any(|extent| {
                    mute(extent.kind)
                        && extent.from >= STARTED_MS
                        && at.now - extent.from >= SILENT_MS
                })
            });
            if !silent {
                self.judged[region] = false;
            } else if !std::mem::replace(&mut self.judged[region], true) {
                let known = at.control.db.open.get(&(SubjectKind::Region, region)).is_some();
                self.known += u64::from(known);
                let name = &at.cast.regions[region].name;
                let wrong = (!known).then(|| format!("{name} is silent and has no incident"));
                broken.extend(wrong);
            }
        }
        broken
    }
}
