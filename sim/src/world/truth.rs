//! How the targets really are, and what a check of one finds.
//!
//! Nothing here knows a rule of the product but what a monitor expects of an
//! answer: that is what "hurts" means.

use super::cast::{AgentIndex, Cast, CastMonitor, MonitorIndex, RegionIndex};
use crate::random::Random;
use crate::scenario::{Fault, FaultKind, Scenario, Side, ms};
use hyperverge_protocol::monitor::Kind;
use hyperverge_protocol::outcome::Outcome;
use std::collections::BTreeSet;

/// What a target answers under `status`.
const ERROR: u16 = 500;

/// How a target hurts, worse last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hurt {
    Degraded,
    Down,
}

impl Hurt {
    /// The word for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Degraded => "degraded",
            Self::Down => "down",
        }
    }
}

/// A fault's true extent. One that hurts some monitors more than others has two, one for
/// each way.
#[derive(Debug, Clone)]
pub struct Extent {
    /// Its place in the scenario.
    pub fault: usize,
    pub kind: FaultKind,
    /// ms since the start.
    pub from: i64,
    pub until: i64,
    /// The share of requests that are hit.
    pub share: f64,
    /// Whom it hurts, in their order: targets' faults only.
    pub monitors: Vec<MonitorIndex>,
    pub regions: Vec<RegionIndex>,
    /// Agents that have it: faults of agents and links only.
    pub agents: Vec<AgentIndex>,
    pub hurt: Hurt,
    fault_data: Fault,
}

/// See the module's head.
#[derive(Debug)]
pub struct Truth {
    pub extents: Vec<Extent>,
    /// Faults that may hurt a monitor, or an agent's checks.
    by_monitor: Vec<Vec<usize>>,
    by_agent: Vec<Vec<usize>>,
}

/// What a check finds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub outcome: Outcome,
    /// A word of `protocol::outcome::Reason`; empty when ok.
    pub reason: &'static str,
    /// ms.
    pub took: i64,
    pub status: u32,
    /// Something was reached.
    pub reached: bool,
}

impl Truth {
    /// Resolves the scenario's faults.
    pub fn of(scenario: &Scenario, cast: &Cast) -> Self {
        let faults = (0..).zip(&scenario.faults);
        let extents: Vec<Extent> =
            faults.flat_map(|(index, fault)| extents(cast, index, fault)).collect();
        let mut by_monitor = vec![Vec::new(); cast.monitors.len()];
        let mut by_agent = vec![Vec::new(); cast.agents.len()];
        for (index, extent) in extents.iter().enumerate() {
            extent.monitors.iter().for_each(|monitor| by_monitor[*monitor].push(index));
            extent.agents.iter().for_each(|agent| by_agent[*agent].push(index));
        }
        Self { extents, by_monitor, by_agent }
    }

    /// How `monitor` hurts as seen from `region` at `at`.
    pub fn hurt(&self, monitor: MonitorIndex, region: RegionIndex, at: i64) -> Option<Hurt> {
        self.hitting(monitor, region).filter(|extent| extent.is_on(at)).map(|it| it.hurt).max()
    }

    /// Whether it hurt at some time from `from` to `until`.
    pub fn hurt_within(
        &self,
        monitor: MonitorIndex,
        region: RegionIndex,
        from: i64,
        until: i64,
    ) -> bool {
        self.hitting(monitor, region).any(|extent| extent.from < until && extent.until > from)
    }

    /// Whether it hurt now and then at some time from `from` to `until`.
    pub fn hurts_in_part(
        &self,
        monitor: MonitorIndex,
        region: RegionIndex,
        from: i64,
        until: i64,
    ) -> bool {
        let mut all = self.hitting(monitor, region);
        all.any(|it| it.comes_and_goes() && it.from < until && it.until > from)
    }

    /// The faults that hit `monitor` anywhere at `at`.
    pub fn hitting_at(&self, monitor: MonitorIndex, at: i64) -> impl Iterator<Item = &Extent> {
        let all = self.by_monitor[monitor].iter().map(|index| &self.extents[*index]);
        all.filter(move |extent| extent.is_on(at))
    }

    fn hitting(&self, monitor: MonitorIndex, region: RegionIndex) -> impl Iterator<Item = &Extent> {
        self.by_monitor[monitor]
            .iter()
            .map(|index| &self.extents[*index])
            .filter(move |extent| extent.regions.contains(&region))
    }

    /// The faults of `agent` itself that are on at `at`.
    pub fn of_agent(&self, agent: AgentIndex, at: i64) -> impl Iterator<Item = &Extent> {
        self.by_agent[agent]
            .iter()
            .map(|index| &self.extents[*index])
            .filter(move |extent| (extent.from..extent.until).contains(&at))
    }

    /// Whether `agent` had such a fault at some time from `from` to `until`.
    pub fn agent_had(
        &self,
        agent: AgentIndex,
        from: i64,
        until: i64,
        such: impl Fn(FaultKind) -> bool,
    ) -> bool {
        self.by_agent[agent]
            .iter()
            .map(|index| &self.extents[*index])
            .any(|extent| extent.from < until && extent.until >= from && such(extent.kind))
    }

    /// What a check that starts at `at` finds.
    pub fn answer(
        &self,
        cast: &Cast,
        monitor: MonitorIndex,
        agent: AgentIndex,
        at: i64,
        random: &mut Random,
    ) -> Answer {
        let watched = &cast.monitors[monitor];
        let region = cast.agents[agent].region;
        let well = random.between(watched.slowest_answer / 5, watched.slowest_answer);
        if let Some(answer) = self.of_agent(agent, at).find_map(|it| own_trouble(it.kind, watched))
        {
            return answer;
        }
        let mut late = 0;
        for extent in self.hitting(monitor, region).filter(|extent| extent.is_on(at)) {
            if !random.chance(extent.share) {
                continue;
            }
            match failed(extent.kind, watched.timeout, well) {
                Some(answer) => return answer,
                None => late += extent.fault_data.latency.map_or(0, ms),
            }
        }
        answered(watched, well + late)
    }
}

impl Extent {
    /// Whether it hurts a monitor, wherever.
    pub fn hurts(&self, monitor: MonitorIndex) -> bool {
        self.monitors.binary_search(&monitor).is_ok()
    }

    /// Whether it hits now and then, rather than from its begin to its end.
    pub fn comes_and_goes(&self) -> bool {
        self.share < 1.0 || self.kind == FaultKind::Flap
    }

    /// Whether it hits at `at`: a flapping target does so in turns.
    pub fn is_on(&self, at: i64) -> bool {
        if !(self.from..self.until).contains(&at) {
            return false;
        }
        let (Some(down), Some(up)) = (self.fault_data.down, self.fault_data.up) else {
            return true;
        };
        (at - self.from) % (ms(down) + ms(up)).max(1) < ms(down)
    }
}

fn extents(cast: &Cast, index: usize, fault: &Fault) -> Vec<Extent> {
    let region_named = |region: RegionIndex| {
        let cast = &cast.regions[region];
        let provider = cast.provider.as_ref().is_some_and(|it| fault.providers.contains(it));
        provider || fault.regions.contains(&cast.name)
    };
    let everywhere = fault.regions.is_empty() && fault.providers.is_empty();
    let side = fault.kind.side();
    let named_agent = |agent: &AgentIndex| {
        let cast = &cast.agents[*agent];
        let everyone = everywhere && fault.agents.is_empty();
        everyone || fault.agents.contains(&cast.name) || (!everywhere && region_named(cast.region))
    };
    let ours = matches!(side, Side::Agent | Side::Link);
    let extent = Extent {
        fault: index,
        kind: fault.kind,
        from: fault.from(),
        until: fault.until(),
        share: fault.share,
        monitors: Vec::new(),
        regions: Vec::new(),
        agents: (0..cast.agents.len()).filter(|agent| ours && named_agent(agent)).collect(),
        hurt: Hurt::Degraded,
        fault_data: fault.clone(),
    };
    if side != Side::Target {
        return vec![extent];
    }
    let regions: Vec<RegionIndex> =
        (0..cast.regions.len()).filter(|region| everywhere || region_named(*region)).collect();
    let extent = Extent { regions, ..extent };
    let hurting = |wanted: Hurt| {
        let hit = |it: &MonitorIndex| {
            let monitor = &cast.monitors[*it];
            is_named(fault, monitor) && hurt_by(fault, monitor) == Some(wanted)
        };
        (0..cast.monitors.len()).filter(hit).collect::<Vec<_>>()
    };
    let ways = [Hurt::Down, Hurt::Degraded].map(|hurt| (hurt, hurting(hurt)));
    let some = ways.into_iter().filter(|(_, monitors)| !monitors.is_empty());
    let some = some.map(|(hurt, monitors)| Extent { hurt, monitors, ..extent.clone() });
    let some: Vec<Extent> = some.collect();
    if some.is_empty() { vec![extent] } else { some }
}

/// Whether a fault names a monitor, whether it hurts it or not.
pub(crate) fn is_named(fault: &Fault, monitor: &CastMonitor) -> bool {
    let name = monitor.name();
    let matches = |pattern: &String| match pattern.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => name == pattern,
    };
    fault.monitors.iter().any(matches)
        || fault.hosts.contains(&monitor.monitor.host)
        || fault
            .networks
            .iter()
            .any(|network| monitor.monitor.address.starts_with(network.as_str()))
}

/// How a fault hurts a monitor, if it does.
fn hurt_by(fault: &Fault, monitor: &CastMonitor) -> Option<Hurt> {
    let spec = &monitor.monitor.spec;
    let down = |hurts: bool| hurts.then_some(Hurt::Down);
    match fault.kind {
        FaultKind::Certificate => down(monitor.monitor.speaks_tls()),
        FaultKind::Name => down(monitor.monitor.has_name()),
        FaultKind::Status => {
            let taken = spec.expect.status.iter().any(|range| range.contains(ERROR));
            down(spec.kind == Kind::Http && !taken)
        }
        // Nothing is connected to.
        FaultKind::Refuse | FaultKind::Reset | FaultKind::Flap => down(spec.kind != Kind::Icmp),
        FaultKind::Slow => {
            let answer = answered(
                monitor,
                (monitor.slowest_answer / 5).saturating_add(fault.latency.map_or(0, ms)),
            );
            match answer.outcome {
                Outcome::Ok => None,
                Outcome::Degraded => Some(Hurt::Degraded),
                _ => Some(Hurt::Down),
            }
        }
        _ => Some(Hurt::Down),
    }
}

/// An answer that came after `took` ms.
fn answered(monitor: &CastMonitor, took: i64) -> Answer {
    let spec = &monitor.monitor.spec;
    let over = |limit: Option<_>| limit.is_some_and(|limit| took > ms(limit));
    let (outcome, reason) = if took >= monitor.timeout {
        return Answer { took: monitor.timeout, ..failure("timeout_processing", 0, true) };
    } else if over(spec.expect.latency) {
        (Outcome::Fail, "latency")
    } else if over(spec.warn.latency) {
        (Outcome::Degraded, "latency")
    } else {
        (Outcome::Ok, "")
    };
    Answer { outcome, reason, took, status: 200, reached: true }
}

fn failure(reason: &'static str, took: i64, reached: bool) -> Answer {
    Answer { outcome: Outcome::Fail, reason, took, status: 0, reached }
}

/// What a fault of the target makes of a check; `None` where it only delays it.
fn failed(kind: FaultKind, timeout: i64, well: i64) -> Option<Answer> {
    Some(match kind {
        FaultKind::Refuse | FaultKind::Flap => failure("connect_refused", well / 2, false),
        FaultKind::Hang => failure("timeout_connect", timeout, false),
        FaultKind::Reset => failure("reset_processing", well, true),
        FaultKind::Status => Answer { status: u32::from(ERROR), ..failure("status", well, true) },
        FaultKind::Certificate => failure("tls_expired", well, true),
        FaultKind::Name => failure("dns_nxdomain", well / 2, false),
        _ => return None,
    })
}

/// What an agent's own trouble makes of its checks.
fn own_trouble(kind: FaultKind, monitor: &CastMonitor) -> Option<Answer> {
    let by_name = monitor.monitor.has_name();
    match kind {
        FaultKind::AgentDns if by_name => Some(failure("dns_servfail", 40, false)),
        FaultKind::AgentResolver if by_name => Some(Answer {
            outcome: Outcome::Unsupported,
            ..failure("agent_fault", monitor.timeout.min(5_000), false)
        }),
        FaultKind::AgentEgress => Some(failure("timeout_connect", monitor.timeout, false)),
        _ => None,
    }
}

/// Regions in which at least one of `agents` is.
pub fn regions_of(cast: &Cast, agents: &[AgentIndex]) -> BTreeSet<RegionIndex> {
    agents.iter().map(|agent| cast.agents[*agent].region).collect()
}
