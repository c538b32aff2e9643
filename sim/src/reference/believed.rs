//! Whom to believe: an agent that fails what others see well is itself at fault, is known
//! to be soon, and nobody else is.

use super::At;
use super::observed::{Observed, is_discredited};
use super::related::{ENOUGH, unrelated};
use crate::control::database::{IncidentRow, Subject};
use crate::scenario::{FaultKind, Scenario};
use crate::world::cast::{AgentIndex, Cast, RegionIndex};
use crate::world::truth::Extent;
use hyperverge_control_core::incident::{EventKind, SubjectKind};

/// How soon it is known that an agent is at fault, once it could be, ms: the others say how far
/// they are complete every ten seconds at least, and what failed before as it truly did takes
/// another look to be told from that.
const PATIENCE_MS: i64 = 30_000;
/// What was wrong with an agent may be over for so long when we notice, ms.
const LOOKBACK_MS: i64 = 180_000;
/// How long a step of our clock confuses who saw what first, ms.
const STEP_MS: i64 = 300_000;
/// How close the times lie at which that is looked at, ms.
const SAMPLE_MS: usize = 1_000;

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
            // Who is not there looks at nothing that could speak against it.
            let mute = at.truth.of_agent(agent, at.now).any(|extent| is_mute(extent.kind));
            if ours || mute || alone < ENOUGH || discredited {
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
        // Before and after are not told apart where our clock was set since.
        let stepped = |extent: &Extent| {
            extent.kind == FaultKind::ControlClock
                && (0..=STEP_MS).contains(&(at.now - extent.from))
        };
        if kind != EventKind::Opened || at.truth.extents.iter().any(stepped) {
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

/// Whether so many unrelated targets truly hurt in this region and in few others, at some
/// time of late, that nobody can tell that from a fault of the region's agents, or hurt only
/// now and then.
fn looks_like_it(at: &At<'_>, region: RegionIndex) -> bool {
    let from = at.now - LOOKBACK_MS;
    let in_part = |monitor: &usize| at.truth.hurts_in_part(*monitor, region, from, at.now);
    let all = 0..at.cast.monitors.len();
    (from..=at.now).step_by(SAMPLE_MS).any(|then| {
        let here = all.clone().filter(|monitor| {
            let hurts = |region: usize| at.truth.hurt_within(*monitor, region, then, then + 1);
            let watched = &at.cast.monitors[*monitor];
            // Who is at fault itself is no witness.
            let heard = |other: &usize| *other != region && !is_discredited(at, *monitor, *other);
            let others = watched.seats.iter().copied().filter(heard);
            let in_part_there = |other| at.truth.hurts_in_part(*monitor, other, from, at.now);
            let hurting = others.clone().filter(|other| hurts(*other) && !in_part_there(*other));
            let hurting = hurting.count();
            hurts(region) && (others.count() > 2 * hurting || in_part(monitor))
        });
        unrelated(at.cast, &here.collect::<Vec<_>>()) >= ENOUGH
    })
}
