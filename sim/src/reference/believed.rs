//! Whom to believe: an agent that fails what others see well is itself at fault, is known
//! to be soon, and nobody else is.

use super::At;
use super::observed::Observed;
use super::related::{ENOUGH, unrelated};
use crate::control::database::{IncidentRow, Subject};
use crate::scenario::{FaultKind, Scenario};
use crate::world::cast::{AgentIndex, Cast, RegionIndex};
use hyperverge_control_core::incident::{EventKind, SubjectKind};

/// How soon it is known that an agent is at fault, once it could be, ms.
const PATIENCE_MS: i64 = 10_000;
/// What was wrong with an agent may be over for so long when we notice, ms.
const LOOKBACK_MS: i64 = 180_000;

/// See the module's head.
#[derive(Debug)]
pub(super) struct Believed {
    /// Since when each agent could be known to be at fault.
    since: Vec<Option<i64>>,
    /// Agents may see failures that are not there.
    may_err: bool,
    /// Agents that were known in time.
    pub(super) known: u64,
}

impl Believed {
    pub(super) fn new(scenario: &Scenario, cast: &Cast) -> Self {
        let mut faults = scenario.faults.iter();
        Self {
            since: vec![None; cast.agents.len()],
            may_err: faults.any(|fault| is_of_sight(fault.kind)),
            known: 0,
        }
    }

    /// Whether the agent was known to be at fault for long enough to lose its vote.
    pub(super) fn is_known(&self, at: &At<'_>, agent: AgentIndex) -> bool {
        self.since[agent].is_some_and(|since| at.now - since > PATIENCE_MS)
    }

    /// Time passes; `ours`: the control plane was not there to see it.
    pub(super) fn tick(&mut self, at: &At<'_>, observed: &Observed, ours: bool) -> Vec<String> {
        let mut broken = Vec::new();
        if !self.may_err {
            return broken;
        }
        for agent in 0..self.since.len() {
            let discredited = at.control.db.discredited.get(&agent).is_some();
            let alone = observed.fails_alone(at, agent);
            if ours || alone < ENOUGH || discredited {
                self.known += u64::from(discredited && self.since[agent].is_some());
                self.since[agent] = None;
                continue;
            }
            let since = *self.since[agent].get_or_insert(at.now);
            // Once for each time, as it is looked at every second.
            if (PATIENCE_MS..PATIENCE_MS + 1_000).contains(&(at.now - since)) {
                let name = &at.cast.agents[agent].name;
                broken.push(format!(
                    "{name} fails {alone} unrelated targets that others see well, and votes"
                ));
            }
        }
        broken
    }

    /// What is wrong with an incident about the fleet.
    pub(super) fn incident(
        at: &At<'_>,
        subject: Subject,
        kind: EventKind,
        row: &IncidentRow,
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
        let cause = row.cause.as_deref().unwrap_or_default();
        let justifies = |kind| match cause {
            "discredited" => is_of_sight(kind),
            _ => is_mute(kind),
        };
        let had = |agent: &AgentIndex| {
            at.truth.agent_had(*agent, from, at.now, justifies)
                || (cause == "discredited" && looks_like_it(at, at.cast.agents[*agent].region))
        };
        let blamed = agents.iter().any(|agent| !had(agent));
        blamed.then(|| format!("{name} has an incident ({cause}), and had no such trouble"))
    }
}

/// Whether it makes an agent see failures that are not there.
fn is_of_sight(kind: FaultKind) -> bool {
    matches!(kind, FaultKind::AgentDns | FaultKind::AgentEgress)
}

/// Whether it keeps an agent from being heard.
fn is_mute(kind: FaultKind) -> bool {
    matches!(
        kind,
        FaultKind::AgentCrash
            | FaultKind::AgentSuspend
            | FaultKind::Partition
            | FaultKind::LinkDelay
            | FaultKind::LinkLoss
    )
}

/// Whether so many unrelated targets truly hurt in this region and in few others that
/// nobody can tell that from a fault of the region's agents, or hurt only now and then, or
/// began or ceased to hurt a moment ago: who looks first or last is alone with what it sees.
fn looks_like_it(at: &At<'_>, region: RegionIndex) -> bool {
    let from = at.now - LOOKBACK_MS;
    let here: Vec<usize> = (0..at.cast.monitors.len())
        .filter(|monitor| {
            let watched = &at.cast.monitors[*monitor];
            let hurts = |region: &usize| at.truth.hurt_within(*monitor, *region, from, at.now);
            let others = watched.seats.iter().filter(|other| **other != region);
            let hurting = others.clone().filter(|other| hurts(other)).count();
            let alone = others.count() > 2 * hurting;
            let shared = at.truth.hurts_in_part(*monitor, region, from, at.now)
                || at.truth.turned_within(*monitor, region, from, at.now);
            hurts(&region) && (alone || shared)
        })
        .collect();
    unrelated(at.cast, &here) >= ENOUGH
}
