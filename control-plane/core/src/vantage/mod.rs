//! Vantage faults: an agent that fails what others see healthy is itself at fault.
//!
//! An agent whose name server or uplink breaks sees every target fail at once.
//! Quorums keep that from paging anybody where several regions look, but not with
//! `quorum: any`, and hundreds of local incidents tell nobody what is wrong. So
//! agents are compared with each other: one that fails many *unrelated* targets
//! which others see well loses its vote, and that is one incident about it.
//!
//! Two measures, so that both the sudden break and the partial one are found: of
//! the newest looks, however few, nearly all fail and began to fail just now; or of
//! all it watches at least half fails. Its failures are *contradicted* only where
//! more others see the target well than see it failing or may still do so, and the policy's
//! quorum does not fail it. Witnesses that it is well are trusted, and have looked at it since the
//! failure began; who has not yet is waited for as long as a look takes ([`settles_ms`]). Nor is it
//! a witness that became well only after the agent's own newest look: who looks last when an
//! outage ends is no more at fault than who looks first. Targets are unrelated when
//! neither network nor site is shared: one provider's outage, seen from one region,
//! is that provider's and not the agent's. Where all that is watched is of one or two
//! sites, names and known networks must differ instead.
//!
//! An outage that a quorum of regions sees is found by one of them first. Were the others
//! asked who had looked by then, and was who lost its vote heard no more, one region that is well
//! would take the votes of all that are not, one by one. So what an agent without a vote fails
//! counts where it began together with the failure that is judged.
//!
//! Others fail other targets first. So nobody is at fault
//! while the trusted others' own newest looks fail too: then it is the world that breaks.
//!
//! It votes again on evidence only: when of what it looked at since then at most a quarter
//! fails that came with the fault or later and that nobody else fails. An agent that is at fault is no witness that something is well.

mod compare;
mod concern;

use crate::correlation::Looked;
use crate::incident::SubjectKind;
use compare::{Comparison, Seen, unrelated};
use hyperverge_protocol::duration::Span;
use hyperverge_protocol::monitor::MonitorSpec;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What counts as looked at just now, ms.
pub const SUDDEN_MS: i64 = 15_000;
/// Unrelated targets that must fail; fewer may be chance.
pub const UNRELATED: usize = 3;
/// How recently a failure must have begun to be part of a sudden break, ms.
pub const FRESH_MS: i64 = 120_000;
/// An answer to a burst may come so long after the failure that asked for it, ms.
pub const ANSWER_MS: i64 = 2_000;
/// What it takes to ask others and to hear of them, beside their checks' own time, ms.
const DELIVERY_MS: i64 = 5_000;
/// How long trust stays lost at least, ms.
pub const HOLD_MS: i64 = 60_000;

/// Everything an organisation's agents are compared by.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    pub agents: Vec<Agent>,
    pub watches: Vec<Watch>,
    /// Subjects (kind and id) whose vantage incident is open.
    pub open: BTreeSet<(SubjectKind, String)>,
}

/// An agent that is enrolled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agent {
    pub id: String,
    pub region_id: String,
    pub discredited_at: Option<i64>,
    /// Whether it has anything to look at.
    pub assigned: bool,
}

/// A monitor and what each seat's agent sees of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watch {
    /// The target's host, lower case.
    pub host: String,
    /// The network it was last reached in (/24 or /48), if that is known.
    pub network: Option<String>,
    /// Regions that make it down; 0 where a record is older than this.
    #[serde(default)]
    pub needed: u32,
    /// See [`settles_ms`].
    #[serde(default)]
    pub settles_ms: i64,
    pub seats: Vec<Look>,
}

/// How long after a failure began all others have looked there too, ms, at most
/// [`FRESH_MS`]: with confirmation that takes the failing check's time and one more, without
/// it their next slots.
pub fn settles_ms(spec: &MonitorSpec) -> i64 {
    let ms = |span: Span| i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
    let first = if spec.policy.confirm { ms(spec.timeout()) } else { ms(spec.interval) };
    first.saturating_add(ms(spec.timeout())).saturating_add(DELIVERY_MS).min(FRESH_MS)
}

/// What one agent last saw of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Look {
    pub agent: String,
    /// When the failures began whose newest it is; `None`: it is well. An
    /// observation that casts no vote is no look.
    pub failing_since: Option<i64>,
    /// Since when it is known to be well; `None`: it fails.
    pub well_since: Option<i64>,
    pub at: i64,
}

impl Look {
    /// What `agent` saw. It `answered` a burst asked at that time with a success, which
    /// leaves no other trace where all is well.
    pub fn of(agent: String, looked: Looked, answered: Option<i64>) -> Self {
        let Looked { failing_since, well_since, at } = looked;
        let answered = answered.filter(|_| failing_since.is_none());
        Self { agent, failing_since, well_since, at: at.max(answered.unwrap_or(at)) }
    }
}

/// What changes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Agents that lose their vote.
    pub lose: Vec<String>,
    /// Agents that vote again.
    pub regain: Vec<String>,
    /// Incidents to open.
    pub open: Vec<Fault>,
    /// Incidents to resolve.
    pub close: Vec<(SubjectKind, String)>,
}

impl Plan {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self == &Self::default()
    }
}

/// Why an agent, or all agents of a region, are not believed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    pub subject: SubjectKind,
    pub id: String,
    /// Monitors it fails and others see well.
    pub contradicted: u32,
    /// Monitors of it that others look at too.
    pub compared: u32,
    /// Of the contradicted, how many targets have nothing in common.
    pub unrelated: u32,
    /// When the first of the contradicted looks was made.
    pub since: Option<i64>,
}

impl Fault {
    /// What is wrong, after the subject's name.
    pub fn sentence(&self) -> String {
        let whose = match self.subject {
            SubjectKind::Region => "as a whole fails",
            SubjectKind::Agent | SubjectKind::Monitor => "fails",
        };
        let count = self.contradicted;
        format!("{whose} {count} monitors that other regions see well; the fault is its own")
    }

    /// The comparison.
    pub fn arithmetic(&self) -> String {
        format!(
            "{} of {} monitors that others look at too fail here only, {} of them unrelated",
            self.contradicted, self.compared, self.unrelated
        )
    }
}

/// Compares the agents at `now`.
pub fn plan(input: &Input, now: i64) -> Plan {
    let mut plan = Plan::default();
    let mut trusted: BTreeSet<&str> = input
        .agents
        .iter()
        .filter(|agent| agent.discredited_at.is_none())
        .map(|agent| agent.id.as_str())
        .collect();
    let first = Comparison::new(input, &trusted, now);
    for agent in input.agents.iter().filter(|agent| agent.discredited_at.is_none()) {
        if first.is_faulty(&agent.id) {
            plan.lose.push(agent.id.clone());
            trusted.remove(agent.id.as_str());
        }
    }
    // Who just lost it does not speak for others any more.
    let then = Comparison::new(input, &trusted, now);
    for agent in &input.agents {
        let Some(at) = agent.discredited_at else { continue };
        if now - at >= HOLD_MS && (!agent.assigned || then.is_well(&agent.id, at)) {
            plan.regain.push(agent.id.clone());
        }
    }
    let faulty = input
        .agents
        .iter()
        .filter(|agent| agent.discredited_at.is_some() || plan.lose.contains(&agent.id))
        .filter(|agent| !plan.regain.contains(&agent.id))
        .map(|agent| agent.id.as_str());
    let wanted = subjects(input, &faulty.collect());
    let missing = wanted.iter().filter(|subject| !input.open.contains(*subject));
    plan.open = missing.map(|subject| fault(input, subject, &first)).collect();
    plan.close = input.open.difference(&wanted).cloned().collect();
    plan
}

/// What incidents there should be: one for each faulty agent, or one for a region of
/// several agents that broke together. What is told of an agent stays the agent's.
fn subjects(input: &Input, faulty: &BTreeSet<&str>) -> BTreeSet<(SubjectKind, String)> {
    let mut regions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for agent in &input.agents {
        regions.entry(&agent.region_id).or_default().push(&agent.id);
    }
    let mut wanted = BTreeSet::new();
    for (region, agents) in regions {
        let told = |agent: &&str| input.open.contains(&(SubjectKind::Agent, (*agent).to_owned()));
        let together = agents.iter().all(|agent| faulty.contains(agent) && !told(agent));
        if agents.len() > 1 && together {
            wanted.insert((SubjectKind::Region, region.to_owned()));
        } else {
            let faulty = agents.into_iter().filter(|agent| faulty.contains(agent));
            wanted.extend(faulty.map(|agent| (SubjectKind::Agent, agent.to_owned())));
        }
    }
    wanted
}

fn fault(input: &Input, (subject, id): &(SubjectKind, String), seen: &Comparison<'_>) -> Fault {
    let members = input.agents.iter().filter(|agent| concern::is_of(agent, *subject, id));
    let tallies: Vec<_> = members.filter_map(|agent| seen.tallies.get(agent.id.as_str())).collect();
    let contradicted: Vec<&Seen<'_>> = tallies
        .iter()
        .flat_map(|tally| tally.compared())
        .filter(|seen| seen.contradicted)
        .collect();
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    Fault {
        subject: *subject,
        id: id.clone(),
        contradicted: count(contradicted.len()),
        compared: count(tallies.iter().map(|tally| tally.compared().count()).sum()),
        unrelated: count(unrelated(contradicted.iter().map(|seen| seen.watch), seen.apart)),
        since: contradicted.iter().filter_map(|seen| seen.look.failing_since).min(),
    }
}
