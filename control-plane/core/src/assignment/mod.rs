//! Step 2: which agent probes which monitor in which region, and from which slot.
//!
//! A monitor stays with its agent until that one is lost, barred (revoked or
//! quarantined) or cannot do what is asked; then rendezvous hashing picks among
//! the region's healthy, capable agents, so that losing one agent moves only
//! what it had. While there is nobody better, a lost agent keeps its monitors:
//! it may well go on probing behind a broken link.
//!
//! A hand-over names one slot: the old assignment ends before it, the new one
//! begins with it. Within a revision the anchor never moves, so a slot number
//! means one moment; a changed specification is a new revision and is spread anew.

mod mute;
mod plan;
mod slots;

use hyperverge_protocol::monitor::{MonitorSpec, Quorum};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use uuid::Uuid;

pub use mute::mute;
pub use plan::plan;
pub use slots::Slots;

/// Everything an organisation's assignments depend on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    pub monitors: Vec<Monitor>,
    /// Regions that have had an agent and were not retired.
    pub regions: Vec<Region>,
    pub agents: Vec<Agent>,
    /// Current assignments, at most one for each (monitor, region).
    pub current: Vec<Current>,
    /// For a (monitor, region) without a current assignment, the newest ended one.
    pub ended: Vec<Ended>,
}

/// As much of a monitor as assignment asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Monitor {
    pub id: Uuid,
    pub revision: i64,
    pub enabled: bool,
    pub interval_ms: i64,
    /// Names, or `*`.
    pub regions: BTreeSet<String>,
    /// What an agent needs to be able to do.
    pub capability: String,
    /// Votes that make it down.
    #[serde(default)]
    pub quorum: Quorum,
}

impl Monitor {
    /// Reads what assignment needs out of a specification.
    pub fn of(id: Uuid, revision: i64, spec: &MonitorSpec) -> Self {
        Self {
            id,
            revision,
            enabled: spec.enabled,
            interval_ms: i64::try_from(spec.interval.as_millis()).unwrap_or(i64::MAX).max(1),
            regions: spec.regions.iter().cloned().collect(),
            capability: spec.kind.capability().to_owned(),
            quorum: spec.policy.quorum,
        }
    }

    /// Whether the monitor runs in the region of this name.
    pub fn names(&self, region: &str) -> bool {
        self.regions.contains("*") || self.regions.contains(region)
    }
}

/// A region.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Region {
    pub id: Uuid,
    pub name: String,
}

/// An agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agent {
    pub id: String,
    pub region_id: Uuid,
    pub health: Health,
    pub capabilities: BTreeSet<String>,
    /// All its slots up to here are known.
    pub complete_through: Option<i64>,
    /// It fails what others see healthy (`vantage`): what it saw says nothing.
    #[serde(default)]
    pub discredited: bool,
}

/// Whether an agent can be counted on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// Enrolled and heard.
    Healthy,
    /// Enrolled but not heard, or not yet.
    Silent,
    /// Revoked or quarantined: it must not have anything.
    Barred,
}

/// A current assignment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Current {
    pub monitor_id: Uuid,
    pub region_id: Uuid,
    pub agent_id: String,
    pub revision: i64,
    pub first_slot: i64,
    pub slots: Slots,
    pub predecessor_through: Option<i64>,
}

/// The newest assignment of a (monitor, region) that has none now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    pub monitor_id: Uuid,
    pub region_id: Uuid,
    pub revision: i64,
    pub last_slot: i64,
    pub slots: Slots,
}

/// What to write, in order: all ends before all assigns.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    pub ends: Vec<End>,
    pub assigns: Vec<Assign>,
}

impl Plan {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty() && self.assigns.is_empty()
    }

    /// The agents whose sets change.
    pub fn agents(&self) -> BTreeSet<&str> {
        let ended = self.ends.iter().map(|end| end.agent_id.as_str());
        ended.chain(self.assigns.iter().map(|assign| assign.agent_id.as_str())).collect()
    }
}

/// A current assignment ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    pub monitor_id: Uuid,
    pub region_id: Uuid,
    pub agent_id: String,
    /// The last slot it owns; below its first slot when it never owned one.
    pub last_slot: i64,
    /// What its agent saw says nothing: the place is as good as never looked at.
    #[serde(default)]
    pub doubted: bool,
    pub reason: Reason,
}

/// An assignment begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assign {
    pub monitor_id: Uuid,
    pub region_id: Uuid,
    pub agent_id: String,
    pub revision: i64,
    pub first_slot: i64,
    pub slots: Slots,
    /// How far the agent before had reported, when it had the same revision.
    pub predecessor_through: Option<i64>,
    pub reason: Reason,
}

/// Why something changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Nobody had it.
    New,
    /// The specification changed.
    Revised,
    /// Deleted, disabled, or the region is no longer named or was retired.
    OutOfScope,
    /// Its agent is lost.
    AgentSilent,
    /// Its agent was revoked or quarantined.
    AgentBarred,
    /// Its agent cannot make this kind of check.
    AgentIncapable,
    /// It begins at a time that a clock showed which was set back since.
    ClockSetBack,
}
