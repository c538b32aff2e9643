//! Silence is neither up nor down, and silence of ours is nobody's outage.

use super::At;
use crate::control::database::Subject;
use crate::scenario::FaultKind;
use crate::world::cast::{AgentIndex, Cast, MonitorIndex};
use hyperverge_control_core::incident::{EventKind, SubjectKind};

/// How long an agent seals nothing at most, and a batch is on its way, ms.
const SLACK_MS: i64 = 30_000;
/// What silenced an agent may be over for so long when we notice, ms.
const LOOKBACK_MS: i64 = 120_000;

/// See the module's head.
#[derive(Debug)]
pub(super) struct Silence {
    /// When the newest batch of each agent was committed.
    heard: Vec<Option<i64>>,
}

impl Silence {
    pub(super) fn new(cast: &Cast) -> Self {
        Self { heard: vec![None; cast.agents.len()] }
    }

    pub(super) fn heard(&mut self, agent: AgentIndex, now: i64) {
        self.heard[agent] = Some(now);
    }

    /// What is wrong with a verdict that is up: too few regions were heard of late.
    pub(super) fn came_up(&self, at: &At<'_>, monitor: MonitorIndex) -> Option<String> {
        let watched = &at.cast.monitors[monitor];
        let patience = watched.thresholds.stale_after_ms + SLACK_MS;
        let heard =
            |agent: AgentIndex| self.heard[agent].is_some_and(|heard| at.now - heard <= patience);
        let speaks = |region: &&usize| at.cast.agents_of(**region).any(heard);
        let speaking = watched.seats.iter().filter(speaks).count();
        let enough = watched.seats.len() - watched.needed + 1;
        let name = watched.name();
        (speaking < enough)
            .then(|| format!("{name} is up with {speaking} regions heard; {enough} must be"))
    }

    /// What is wrong with an incident about the fleet.
    pub(super) fn incident(
        &self,
        at: &At<'_>,
        subject: Subject,
        kind: EventKind,
    ) -> Option<String> {
        if kind != EventKind::Opened {
            return None;
        }
        let (agents, name): (Vec<AgentIndex>, &str) = match subject {
            (SubjectKind::Monitor, _) => return None,
            (SubjectKind::Agent, agent) => (vec![agent], &at.cast.agents[agent].name),
            (SubjectKind::Region, region) => {
                (at.cast.agents_of(region).collect(), &at.cast.regions[region].name)
            }
        };
        let from = at.now - LOOKBACK_MS;
        let harmless = |kind| matches!(kind, FaultKind::AgentClock);
        let had = |agent: &AgentIndex| at.truth.agent_had(*agent, from, at.now, |it| !harmless(it));
        let blamed = agents.iter().any(|agent| !had(agent));
        blamed.then(|| format!("{name} has an incident, and had no trouble of its own"))
    }
}
