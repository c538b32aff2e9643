//! Fleets made up by a seed: regions, agents and monitors, with default policies but
//! where the kind of fault asks for others.

use crate::random::Random;
use serde_json::{Value, json};

/// Where the targets are that share a provider.
pub(super) const PROVIDER_NETWORK: &str = "203.0.113.";
/// A warning from here on, ms.
const WARN_MS: i64 = 1_000;
/// A failure from here on, ms.
const TOO_SLOW_MS: i64 = 3_000;

/// What a kind of fault asks of the fleet it happens in.
#[derive(Debug)]
pub(super) struct Shape {
    /// The fewest and the most.
    pub(super) regions: (i64, i64),
    /// `policy.quorum` of every monitor.
    pub(super) quorum: Value,
    /// Regions whose agents are at fault, where those make a quorum; else 0.
    pub(super) blinded: i64,
}

impl Default for Shape {
    fn default() -> Self {
        Self { regions: (3, 7), quorum: json!("majority"), blinded: 0 }
    }
}

/// A fleet as a scenario file says it.
#[derive(Debug)]
pub(super) struct Fleet {
    /// Names.
    pub(super) regions: Vec<String>,
    /// Names.
    pub(super) monitors: Vec<String>,
    pub(super) region_entries: Vec<Value>,
    pub(super) monitor_entries: Vec<Value>,
    pub(super) replicas: i64,
    /// As [`Shape::blinded`].
    pub(super) blinded: i64,
}

impl Fleet {
    /// How many regions.
    pub(super) fn count(&self) -> i64 {
        i64::try_from(self.regions.len()).unwrap_or(i64::MAX)
    }

    /// Regions as `shape` says, 6 to 12 monitors of which 3 to 5 share a provider.
    pub(super) fn made_up(shape: &Shape, random: &mut Random) -> Self {
        let (fewest, most) = shape.regions;
        let regions: Vec<String> =
            (1..=random.between(fewest, most)).map(|number| format!("region-{number}")).collect();
        let region_entries = regions.iter().map(|name| region(name, random)).collect();
        let shared = random.between(3, 5);
        let count = random.between(6, 12);
        let monitors: Vec<String> = (1..=count).map(|number| format!("monitor-{number}")).collect();
        let monitor_entries =
            (1..=count).map(|number| monitor(number, number <= shared, shape, random)).collect();
        let replicas = random.between(1, 2);
        Self {
            regions,
            monitors,
            region_entries,
            monitor_entries,
            replicas,
            blinded: shape.blinded,
        }
    }
}

fn region(name: &str, random: &mut Random) -> Value {
    json!({
        "name": name,
        "agents": if random.chance(0.3) { 2 } else { 1 },
        "provider": format!("provider-{}", random.between(1, 3)),
        "delay": format!("{}ms", random.between(5, 150)),
        "loss": if random.chance(0.3) { 0.01 } else { 0.0 },
    })
}

fn monitor(number: i64, shared: bool, shape: &Shape, random: &mut Random) -> Value {
    let interval = random.one(&[10, 30, 60]).copied().unwrap_or(30);
    let timeout = if interval == 10 { 5 } else { 10 };
    let mut entry = json!({
        "name": format!("monitor-{number}"),
        "target": format!("https://www.shop-{number}.example/health"),
        "interval": format!("{interval}s"),
        "timeout": format!("{timeout}s"),
        "warn": { "latency": format!("{WARN_MS}ms") },
        "expect": { "latency": format!("{TOO_SLOW_MS}ms") },
        "policy": { "quorum": shape.quorum },
    });
    if shared {
        entry["address"] = format!("{PROVIDER_NETWORK}{}", 10 + number).into();
    }
    entry
}
