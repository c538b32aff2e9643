//! Faults of agents, their hosts and their links: nobody's page, whatever they see.
//!
//! The hard ones have as many agents broken as make a quorum, so that no count of
//! votes can tell them from an outage: two of three regions at nearly the same time,
//! policies that one or two votes satisfy, fleets of a single region.

use super::kind::Draw;
use serde_json::{Value, json};

/// What makes an agent see failures that are not there.
const OWN_SIGHT: [&str; 3] = ["agent_dns", "agent_resolver", "agent_egress"];
/// The second agent breaks within so long of the first, ms.
const NEARLY_MS: i64 = 20_000;

impl Draw<'_> {
    /// A process, a host or a link of one region; the other regions are well.
    pub(super) fn single_agent(mut self) -> Vec<Value> {
        let kind = self.one(&[
            "agent_crash",
            "agent_suspend",
            "agent_clock",
            "partition",
            "link_loss",
            "link_delay",
        ]);
        let (lasts, regions) = (self.lasts(), self.regions(1));
        let by = format!("{}s", self.random.between(5, 3_600));
        let mut more = json!({ "regions": regions });
        match kind {
            "agent_clock" => more["by"] = by.into(),
            "link_loss" => more["loss"] = 0.3.into(),
            "link_delay" => more["delay"] = "2s".into(),
            "agent_crash" => more["reboot"] = self.random.chance(0.5).into(),
            _ => {}
        }
        let mut fault = self.fault(kind, lasts, more);
        if let (Value::Object(fault), "agent_clock") = (&mut fault, kind) {
            fault.remove("for");
        }
        vec![fault]
    }

    /// Agents of fewer regions than any quorum see failures that are not there. In
    /// every fourth case most of the others are cut off meanwhile.
    pub(super) fn own_sight(mut self, kinds: &[&'static str]) -> Vec<Value> {
        let count = self.fleet.count();
        let most = (count / 2).max(1);
        let many = if self.random.chance(0.3) { self.random.between(1, most) } else { 1 };
        let (kind, lasts, blind) = (self.one(kinds), self.lasts(), self.regions(many));
        let mut faults = vec![self.fault(kind, lasts, json!({ "regions": blind }))];
        if self.random.chance(0.25) {
            let others = self.fleet.regions.iter().filter(|region| !blind.contains(region));
            let silent: Vec<&String> = others.skip(1).collect();
            if !silent.is_empty() {
                faults.push(self.fault("partition", lasts, json!({ "regions": silent })));
            }
        }
        faults
    }

    /// The agents of as many regions as make a quorum, one after the other, of one
    /// cause or of two.
    pub(super) fn quorum_of_agents(mut self) -> Vec<Value> {
        let (regions, begin) = (self.regions(self.fleet.blinded), self.at);
        let mut kind = self.one(&OWN_SIGHT);
        let mut faults = Vec::new();
        for region in regions {
            let lasts = self.lasts();
            faults.push(self.fault(kind, lasts, json!({ "regions": [region] })));
            self.at = begin + self.random.between(0, NEARLY_MS);
            if self.random.chance(0.5) {
                kind = self.one(&OWN_SIGHT);
            }
        }
        faults
    }

    /// The only region: one of its agents, or all of them.
    pub(super) fn lone_region(mut self) -> Vec<Value> {
        let (kind, lasts, regions) = (self.one(&OWN_SIGHT), self.lasts(), self.regions(1));
        let first: Vec<String> = regions.iter().map(|region| format!("{region}-1")).collect();
        let whom = if self.random.chance(0.5) {
            json!({ "regions": regions })
        } else {
            json!({ "agents": first })
        };
        vec![self.fault(kind, lasts, whom)]
    }
}
