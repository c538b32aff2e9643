//! One fault in one fleet: a scenario that a seed makes up.

use super::CAMPAIGN;
use super::fleet::Fleet;
use super::kind::{Kind, script};
use crate::random::{Random, Stream};
use crate::scenario::{File, Scenario, Unreadable, read};
use serde_json::json;

/// Before it, everything is assigned and well, ms.
const CALM_MS: i64 = 180_000;
/// The fault begins at any time within so long afterwards, ms.
const SPREAD_MS: i64 = 60_000;
/// Seeds of one campaign lie so far from those of the next.
const SEEDS: u64 = 1_000_003;

/// A fault to judge.
#[derive(Debug, Clone)]
pub struct Case {
    /// From 0.
    pub number: u64,
    pub kind: Kind,
    pub scenario: Scenario,
}

impl Case {
    /// The `number`th fault of the campaign `seed`; from [`CAMPAIGN`] on, of those
    /// after it.
    pub fn made_up(seed: u64, number: u64) -> Result<Self, Unreadable> {
        let (seed, within) = (seed.wrapping_add(number / CAMPAIGN), number % CAMPAIGN);
        let own = seed.wrapping_mul(SEEDS).wrapping_add(within);
        let mut random = Random::new(own, Stream::Scenarios);
        let turn = usize::try_from(within).unwrap_or(0) % Kind::ALL.len();
        let kind = Kind::ALL[turn];
        let fleet = Fleet::made_up(&kind.shape(&mut random), &mut random);
        let at = CALM_MS + random.between(0, SPREAD_MS);
        let faults = script(kind, &fleet, at, &mut random);
        let file = json!({
            "name": format!("campaign-{seed}-{within}"),
            "description": kind.name(),
            // Scenario files hold signed numbers.
            "seed": own & i64::MAX.cast_unsigned(),
            "settle": "12m",
            "regions": fleet.region_entries,
            "monitors": fleet.monitor_entries,
            "control": { "replicas": fleet.replicas },
            "faults": faults,
        });
        let text = toml::to_string(&file).map_err(|error| Unreadable::Syntax(error.to_string()))?;
        Ok(Self { number, kind, scenario: read(&text, "made-up")? })
    }

    /// The same with `change` made to every monitor's entry: interval (ms) and regions.
    pub(super) fn with_intervals(
        &self,
        change: impl Fn(&crate::scenario::Monitor) -> Probing,
    ) -> Result<Scenario, Unreadable> {
        let mut file: File = self.scenario.file.clone();
        for (entry, monitor) in file.monitors.iter_mut().zip(&self.scenario.monitors) {
            let probing = change(monitor);
            entry.insert("interval".into(), format!("{}ms", probing.interval).into());
            if let Some(region) = probing.only_from {
                entry.insert("regions".into(), json!([region]));
                // One place has no two votes, and who looks from there asks for none.
                entry.remove("policy");
            }
        }
        let text = toml::to_string(&file).map_err(|error| Unreadable::Syntax(error.to_string()))?;
        read(&text, &self.scenario.name)
    }
}

/// How a monitor is probed under another system.
#[derive(Debug, Clone)]
pub(super) struct Probing {
    /// ms.
    pub(super) interval: i64,
    /// The one place; else every region.
    pub(super) only_from: Option<String>,
}
