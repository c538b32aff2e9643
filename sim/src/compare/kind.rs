//! What may break, one kind after the other, with the details drawn from a seed.
//!
//! A kind says only what is scripted. Whether somebody has to be paged for it is
//! worked out from the script in `label.rs`. Agents' faults are in `agents.rs`.
//!
//! To add a kind: a variant, its place in [`Kind::ALL`], its name, and what it scripts;
//! the shape of its fleets, if that is not everybody's.

use super::fleet::{Fleet, PROVIDER_NETWORK, Shape};
use crate::random::Random;
use serde_json::{Map, Value, json};

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    GlobalAtOnce,
    GlobalHanging,
    Regional,
    Provider,
    SingleAgent,
    AgentDns,
    AgentEgress,
    TwoAgents,
    FewVotes,
    LoneRegion,
    Slow,
    Flapping,
    Certificate,
    Partial,
    Ours,
    Blip,
}

impl Kind {
    /// Every kind; faults take turns.
    pub const ALL: [Self; 16] = [
        Self::GlobalAtOnce,
        Self::GlobalHanging,
        Self::Regional,
        Self::Provider,
        Self::SingleAgent,
        Self::AgentDns,
        Self::AgentEgress,
        Self::TwoAgents,
        Self::FewVotes,
        Self::LoneRegion,
        Self::Slow,
        Self::Flapping,
        Self::Certificate,
        Self::Partial,
        Self::Ours,
        Self::Blip,
    ];

    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::GlobalAtOnce => "global, fails at once",
            Self::GlobalHanging => "global, hangs",
            Self::Regional => "regional",
            Self::Provider => "one provider",
            Self::SingleAgent => "single agent",
            Self::AgentDns => "agent's DNS",
            Self::AgentEgress => "agent's egress",
            Self::TwoAgents => "two agents of three",
            Self::FewVotes => "agents, quorum of 1 or 2",
            Self::LoneRegion => "the only region's agent",
            Self::Slow => "slow",
            Self::Flapping => "flapping",
            Self::Certificate => "certificate",
            Self::Partial => "partial",
            Self::Ours => "control plane lost",
            Self::Blip => "blip",
        }
    }

    /// Whether it is an agent's own fault, or its host's or network's.
    pub fn is_agents(self) -> bool {
        matches!(self, Self::SingleAgent | Self::AgentDns | Self::AgentEgress)
            || self.is_quorum_of_agents()
    }

    /// Whether so many agents are at fault that they make a quorum.
    pub fn is_quorum_of_agents(self) -> bool {
        matches!(self, Self::TwoAgents | Self::FewVotes | Self::LoneRegion)
    }

    /// What the fleet must be like that has it.
    pub(super) fn shape(self, random: &mut Random) -> Shape {
        match self {
            Self::TwoAgents => Shape { regions: (3, 3), quorum: json!("majority"), blinded: 2 },
            Self::FewVotes if random.chance(0.5) => {
                Shape { regions: (3, 5), quorum: json!("any"), blinded: 1 }
            }
            Self::FewVotes => Shape { regions: (3, 5), quorum: json!({ "count": 2 }), blinded: 2 },
            Self::LoneRegion => Shape { regions: (1, 1), quorum: json!("majority"), blinded: 1 },
            _ => Shape::default(),
        }
    }
}

/// What a fault of `kind` does to `fleet` from `at` ms on.
pub(super) fn script(kind: Kind, fleet: &Fleet, at: i64, random: &mut Random) -> Vec<Value> {
    let draw = Draw { fleet, at, random };
    match kind {
        Kind::GlobalAtOnce => draw.global_at_once(),
        Kind::GlobalHanging => draw.global_hanging(),
        Kind::Regional => draw.regional(),
        Kind::Provider => draw.provider(),
        Kind::SingleAgent => draw.single_agent(),
        Kind::AgentDns => draw.own_sight(&["agent_dns", "agent_resolver"]),
        Kind::AgentEgress => draw.own_sight(&["agent_egress"]),
        Kind::TwoAgents | Kind::FewVotes => draw.quorum_of_agents(),
        Kind::LoneRegion => draw.lone_region(),
        Kind::Slow => draw.slow(),
        Kind::Flapping => draw.flapping(),
        Kind::Certificate => draw.certificate(),
        Kind::Partial => draw.partial(),
        Kind::Ours => draw.ours(),
        Kind::Blip => draw.blip(),
    }
}

const AT_ONCE: [&str; 4] = ["refuse", "reset", "status", "name"];

/// What a fault is drawn from.
pub(super) struct Draw<'a> {
    pub(super) fleet: &'a Fleet,
    /// When it begins, ms.
    pub(super) at: i64,
    pub(super) random: &'a mut Random,
}

impl Draw<'_> {
    /// One that lasts so long, ms.
    pub(super) fn fault(&self, kind: &str, lasts: i64, more: Value) -> Value {
        let mut fault = Map::new();
        fault.insert("kind".to_owned(), kind.into());
        fault.insert("at".to_owned(), format!("{}ms", self.at).into());
        fault.insert("for".to_owned(), format!("{lasts}ms").into());
        if let Value::Object(more) = more {
            fault.extend(more);
        }
        Value::Object(fault)
    }

    pub(super) fn one(&mut self, of: &[&'static str]) -> &'static str {
        self.random.one(of).copied().unwrap_or("refuse")
    }

    /// As short as some seconds, as long as ten minutes, each order alike.
    pub(super) fn lasts(&mut self) -> i64 {
        let (least, most) = [(5_000, 60_000), (60_000, 240_000), (240_000, 600_000)]
            [usize::try_from(self.random.between(0, 2)).unwrap_or(0)];
        self.random.between(least, most)
    }

    fn monitors(&mut self, most: i64) -> Vec<String> {
        let many = self.random.between(1, most);
        let mut left = self.fleet.monitors.clone();
        let mut taken = Vec::new();
        for _ in 0..many {
            let Some(name) = self.random.one(&left).cloned() else { break };
            left.retain(|other| *other != name);
            taken.push(name);
        }
        taken
    }

    pub(super) fn regions(&mut self, many: i64) -> Vec<String> {
        let mut left = self.fleet.regions.clone();
        let mut taken = Vec::new();
        for _ in 0..many {
            let Some(name) = self.random.one(&left).cloned() else { break };
            left.retain(|other| *other != name);
            taken.push(name);
        }
        taken
    }

    fn global_at_once(mut self) -> Vec<Value> {
        let (kind, lasts, monitors) = (self.one(&AT_ONCE), self.lasts(), self.monitors(1));
        vec![self.fault(kind, lasts, json!({ "monitors": monitors }))]
    }

    fn global_hanging(mut self) -> Vec<Value> {
        let (lasts, monitors) = (self.lasts(), self.monitors(1));
        vec![self.fault("hang", lasts, json!({ "monitors": monitors }))]
    }

    /// From one region to all but one.
    fn regional(mut self) -> Vec<Value> {
        let kind = self.one(&["refuse", "reset", "status", "hang"]);
        let many = self.random.between(1, self.fleet.count() - 1);
        let (lasts, regions, monitors) = (self.lasts(), self.regions(many), self.monitors(1));
        vec![self.fault(kind, lasts, json!({ "monitors": monitors, "regions": regions }))]
    }

    /// The network that several targets share.
    fn provider(mut self) -> Vec<Value> {
        let (kind, lasts) = (self.one(&["refuse", "hang", "reset"]), self.lasts());
        vec![self.fault(kind, lasts, json!({ "networks": [PROVIDER_NETWORK] }))]
    }

    /// Slow enough to warn, slow enough to fail, or slower than the timeout.
    fn slow(mut self) -> Vec<Value> {
        let (least, most) = [(1_200, 2_400), (1_200, 2_400), (3_500, 4_500), (12_000, 20_000)]
            [usize::try_from(self.random.between(0, 3)).unwrap_or(0)];
        let latency = format!("{}ms", self.random.between(least, most));
        let (lasts, monitors) = (self.lasts(), self.monitors(1));
        vec![self.fault("slow", lasts, json!({ "monitors": monitors, "latency": latency }))]
    }

    fn flapping(mut self) -> Vec<Value> {
        let down = format!("{}ms", self.random.between(5_000, 120_000));
        let up = format!("{}ms", self.random.between(5_000, 120_000));
        let lasts = self.random.between(240_000, 900_000);
        let monitors = self.monitors(1);
        vec![self.fault("flap", lasts, json!({ "monitors": monitors, "down": down, "up": up }))]
    }

    fn certificate(mut self) -> Vec<Value> {
        let (lasts, monitors) = (self.lasts(), self.monitors(1));
        vec![self.fault("certificate", lasts, json!({ "monitors": monitors }))]
    }

    /// A share of the requests fails.
    fn partial(mut self) -> Vec<Value> {
        let (least, most) =
            [(1, 5), (10, 60), (75, 95)][usize::try_from(self.random.between(0, 2)).unwrap_or(0)];
        let share = f64::from(i32::try_from(self.random.between(least, most)).unwrap_or(1)) / 100.0;
        let lasts = self.random.between(300_000, 900_000);
        let (kind, monitors) = (self.one(&["status", "reset"]), self.monitors(1));
        vec![self.fault(kind, lasts, json!({ "monitors": monitors, "share": share }))]
    }

    /// The control plane stands still, restarts, loses its database or its links; in
    /// every fourth case a target goes down meanwhile.
    fn ours(mut self) -> Vec<Value> {
        let kind = self.one(&["control_crash", "control_pause", "database", "partition"]);
        let lasts = self.random.between(3_000, 240_000);
        let mut faults = vec![self.fault(kind, lasts, json!({}))];
        if self.random.chance(0.25) {
            self.at += self.random.between(0, lasts);
            let (lasts, monitors) = (lasts + self.lasts(), self.monitors(1));
            faults.push(self.fault("refuse", lasts, json!({ "monitors": monitors })));
        }
        faults
    }

    /// A moment everywhere, or some seconds in one region.
    fn blip(mut self) -> Vec<Value> {
        let (kind, monitors) = (self.one(&AT_ONCE), self.monitors(3));
        if self.random.chance(0.5) {
            let lasts = self.random.between(300, 3_000);
            return vec![self.fault(kind, lasts, json!({ "monitors": monitors }))];
        }
        let (lasts, regions) = (self.random.between(3_000, 40_000), self.regions(1));
        vec![self.fault(kind, lasts, json!({ "monitors": monitors, "regions": regions }))]
    }
}
