//! Who takes part: a scenario with ids, resolved once and never changed.

use crate::control::EPOCH_MS;
use crate::random::{Random, Stream};
use crate::scenario::{HoldEntry, Monitor, Scenario, ms};
use hyperverge_control_core::correlation::{Thresholds, seat_names};
use hyperverge_control_core::notification::hold::{Silence, Window};
use hyperverge_control_core::notification::route::Route;
use hyperverge_control_core::paging::network_of;
use std::collections::BTreeMap;
use uuid::Uuid;

/// A place in [`Cast::monitors`].
pub type MonitorIndex = usize;
/// A place in [`Cast::regions`].
pub type RegionIndex = usize;
/// A place in [`Cast::agents`].
pub type AgentIndex = usize;

/// See the module's head.
#[derive(Debug)]
pub struct Cast {
    pub seed: u64,
    pub regions: Vec<CastRegion>,
    pub agents: Vec<CastAgent>,
    pub monitors: Vec<CastMonitor>,
    pub monitor_by_id: BTreeMap<Uuid, MonitorIndex>,
    pub region_by_id: BTreeMap<Uuid, RegionIndex>,
    pub channels: Vec<String>,
    pub routes: Vec<Route>,
    pub silences: Vec<Silence>,
    pub windows: Vec<Window>,
    pub replicas: usize,
    /// ms.
    pub group_wait: i64,
    /// ms.
    pub transaction: i64,
}

/// A region.
#[derive(Debug)]
pub struct CastRegion {
    pub id: Uuid,
    pub name: String,
    pub provider: Option<String>,
    /// One way to the control plane, ms.
    pub delay: i64,
    pub loss: f64,
}

/// An agent.
#[derive(Debug)]
pub struct CastAgent {
    pub name: String,
    pub region: RegionIndex,
}

/// A monitor.
#[derive(Debug)]
pub struct CastMonitor {
    pub id: Uuid,
    pub monitor: Monitor,
    pub thresholds: Thresholds,
    /// Regions that have a seat, by name.
    pub seats: Vec<RegionIndex>,
    /// Votes that make it down.
    pub needed: usize,
    /// ms.
    pub interval: i64,
    /// ms.
    pub timeout: i64,
    /// What a good answer takes at most, ms.
    pub slowest_answer: i64,
}

impl CastMonitor {
    /// The network its address is in.
    pub fn network(&self) -> Option<String> {
        network_of(&self.monitor.address)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.monitor.spec.name
    }
}

impl Cast {
    /// Gives everybody an id, from the seed.
    pub fn of(scenario: &Scenario, seed: u64) -> Self {
        let mut random = Random::new(seed, Stream::World);
        let mut regions = Vec::new();
        let mut agents = Vec::new();
        for region in &scenario.regions {
            for number in 1..=region.agents {
                let name = format!("{}-{number}", region.name);
                agents.push(CastAgent { name, region: regions.len() });
            }
            regions.push(CastRegion {
                id: random.id(),
                name: region.name.clone(),
                provider: region.provider.clone(),
                delay: ms(region.delay),
                loss: region.loss,
            });
        }
        let monitors: Vec<CastMonitor> =
            scenario.monitors.iter().map(|it| cast(it, &regions, random.id())).collect();
        Self {
            seed,
            monitor_by_id: (0..).zip(&monitors).map(|(index, it)| (it.id, index)).collect(),
            region_by_id: (0..).zip(&regions).map(|(index, it)| (it.id, index)).collect(),
            regions,
            agents,
            monitors,
            channels: scenario.channels.clone(),
            routes: scenario.routes.clone(),
            silences: scenario.silences.iter().map(|it| silence(it, random.id())).collect(),
            windows: scenario
                .maintenance_windows
                .iter()
                .map(|it| window(it, random.id()))
                .collect(),
            replicas: scenario.control.replicas as usize,
            group_wait: ms(scenario.control.group_wait),
            transaction: ms(scenario.control.transaction),
        }
    }

    /// The agents of a region.
    pub fn agents_of(&self, region: RegionIndex) -> impl Iterator<Item = AgentIndex> + '_ {
        (0..self.agents.len()).filter(move |agent| self.agents[*agent].region == region)
    }
}

fn silence(entry: &HoldEntry, id: Uuid) -> Silence {
    let starts_at = EPOCH_MS + ms(entry.at);
    let ends_at = starts_at + ms(entry.lasts);
    let comment = entry.name.clone();
    Silence { id, matchers: entry.matchers.clone(), starts_at, ends_at, comment }
}

fn window(entry: &HoldEntry, id: Uuid) -> Window {
    let starts_at = EPOCH_MS + ms(entry.at);
    let ends_at = starts_at + ms(entry.lasts);
    let name = entry.name.clone();
    Window { id, name, matchers: entry.matchers.clone(), starts_at, ends_at }
}

fn cast(monitor: &Monitor, regions: &[CastRegion], id: Uuid) -> CastMonitor {
    let spec = &monitor.spec;
    let named = spec.regions.iter().map(String::as_str);
    let names = seat_names(named, regions.iter().map(|region| region.name.as_str()));
    let index = |name: &String| regions.iter().position(|region| region.name == *name);
    let seats: Vec<RegionIndex> = names.iter().filter_map(index).collect();
    let needed = spec.policy.quorum.votes(u32::try_from(seats.len()).unwrap_or(u32::MAX));
    let timeout = ms(spec.timeout());
    CastMonitor {
        id,
        thresholds: Thresholds::of(spec),
        seats,
        needed: needed as usize,
        interval: ms(spec.interval),
        timeout,
        slowest_answer: (timeout / 4).min(150),
        monitor: monitor.clone(),
    }
}
