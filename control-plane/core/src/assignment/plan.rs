//! The planner.

use super::{Agent, Assign, Current, End, Ended, Health, Input, Monitor, Plan, Reason, Slots};
use hyperverge_protocol::limits::SET_LEAD;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

const LEAD_MS: i64 = SET_LEAD.as_millis() as i64;
/// A clock that was set back by less than this is waited for, ms.
const SET_BACK_MS: i64 = 3_000;

type Place = (Uuid, Uuid);

/// What has to change at `now` (ms). Planning again after the change plans nothing.
pub fn plan(input: &Input, now: i64) -> Plan {
    let facts = Facts::of(input);
    let mut plan = Plan::default();
    let mut wanted = BTreeSet::new();
    for monitor in input.monitors.iter().filter(|monitor| monitor.enabled) {
        let scope = facts.scope(monitor);
        for (rank, region_id) in (0u32..).zip(&scope) {
            wanted.insert((monitor.id, *region_id));
            let regions = u32::try_from(scope.len()).unwrap_or(u32::MAX);
            let slots = Slots::spread(monitor.id, monitor.interval_ms, rank, regions);
            facts.plan_place(monitor, *region_id, slots, now, &mut plan);
        }
    }
    for current in &input.current {
        if !wanted.contains(&(current.monitor_id, current.region_id)) {
            let last_slot = cut(current.slots, now) - 1;
            plan.ends.push(facts.end(current, last_slot, Reason::OutOfScope));
        }
    }
    plan
}

/// The input, by key.
struct Facts<'a> {
    /// By name, which is the order of ranks.
    regions: BTreeMap<&'a str, Uuid>,
    agents: BTreeMap<&'a str, &'a Agent>,
    current: BTreeMap<Place, &'a Current>,
    ended: BTreeMap<Place, &'a Ended>,
}

impl<'a> Facts<'a> {
    fn of(input: &'a Input) -> Self {
        Self {
            regions: input.regions.iter().map(|r| (r.name.as_str(), r.id)).collect(),
            agents: input.agents.iter().map(|a| (a.id.as_str(), a)).collect(),
            current: input.current.iter().map(|c| ((c.monitor_id, c.region_id), c)).collect(),
            ended: input.ended.iter().map(|e| ((e.monitor_id, e.region_id), e)).collect(),
        }
    }

    /// The regions a monitor runs in, by name.
    fn scope(&self, monitor: &Monitor) -> Vec<Uuid> {
        self.regions.iter().filter(|(name, _)| monitor.names(name)).map(|(_, id)| *id).collect()
    }

    fn plan_place(
        &self,
        monitor: &Monitor,
        region_id: Uuid,
        spread: Slots,
        now: i64,
        plan: &mut Plan,
    ) {
        let place = (monitor.id, region_id);
        let Some(current) = self.current.get(&place) else {
            if let Some(agent) = self.pick(monitor, region_id) {
                let (first_slot, slots) = self.resume(place, monitor, spread, now);
                let next = Next { first_slot, slots, through: None, reason: Reason::New };
                plan.assigns.push(assign(monitor, region_id, agent, &next));
            }
            return;
        };
        let holder = self.agents.get(current.agent_id.as_str()).copied();
        let trouble = trouble(holder, monitor);
        let successor = match trouble {
            None => holder,
            Some(_) => self.pick(monitor, region_id),
        };
        let revised = current.revision != monitor.revision;
        // A lost agent may be probing still; only somebody better takes its place.
        let keeps = trouble == Some(Reason::AgentSilent) && successor.is_none();
        let successor = if keeps { holder } else { successor };
        let set_back = is_ahead(current.slots, current.first_slot, now);
        let reason = match (trouble, revised) {
            (Some(reason), _) if !keeps => reason,
            (_, true) => Reason::Revised,
            _ if set_back => Reason::ClockSetBack,
            _ => return,
        };
        let slots = if revised { spread } else { current.slots };
        let first_slot =
            if revised { cut(slots, now) } else { cut_after(slots, current.first_slot - 1, now) };
        let last_slot = if revised { cut(current.slots, now) - 1 } else { first_slot - 1 };
        plan.ends.push(self.end(current, last_slot, reason));
        if let Some(agent) = successor {
            let through = if revised { None } else { reported(current, holder) };
            let next = Next { first_slot, slots, through, reason };
            plan.assigns.push(assign(monitor, region_id, agent, &next));
        }
    }

    /// Where a place that had nobody for a while goes on: within a revision the
    /// anchor stays and no slot is given out twice.
    fn resume(&self, place: Place, monitor: &Monitor, spread: Slots, now: i64) -> (i64, Slots) {
        match self.ended.get(&place) {
            Some(ended) if ended.revision == monitor.revision => {
                (cut_after(ended.slots, ended.last_slot, now), ended.slots)
            }
            _ => (cut(spread, now), spread),
        }
    }

    /// Rendezvous hashing: each agent's score depends on it and the monitor alone.
    fn pick(&self, monitor: &Monitor, region_id: Uuid) -> Option<&'a Agent> {
        let able = |agent: &&&Agent| {
            agent.region_id == region_id
                && agent.health == Health::Healthy
                && agent.capabilities.contains(&monitor.capability)
        };
        self.agents.values().filter(able).max_by_key(|agent| score(monitor.id, &agent.id)).copied()
    }

    fn end(&self, current: &Current, last_slot: i64, reason: Reason) -> End {
        let holder = self.agents.get(current.agent_id.as_str());
        End {
            monitor_id: current.monitor_id,
            region_id: current.region_id,
            agent_id: current.agent_id.clone(),
            last_slot,
            doubted: holder.is_some_and(|agent| agent.discredited),
            reason,
        }
    }
}

fn score(monitor_id: Uuid, agent_id: &str) -> [u8; 32] {
    Sha256::new().chain_update(monitor_id.as_bytes()).chain_update(agent_id).finalize().into()
}

/// The first slot that a set made now can still bring in time.
fn cut(slots: Slots, now: i64) -> i64 {
    slots.first_after(now + LEAD_MS.min(slots.interval_ms))
}

/// The same, and after `known`, which was given out before: twice only where the clock was
/// set back over it.
fn cut_after(slots: Slots, known: i64, now: i64) -> i64 {
    let first = cut(slots, now);
    if is_ahead(slots, known + 1, now) { first } else { first.max(known + 1) }
}

/// Whether the clock that gave `slot` out has been set back since.
fn is_ahead(slots: Slots, slot: i64, now: i64) -> bool {
    let latest = now + LEAD_MS.min(slots.interval_ms) + slots.interval_ms + SET_BACK_MS;
    slots.due(slot) > latest
}

/// Why the holder cannot go on, if it cannot.
fn trouble(holder: Option<&Agent>, monitor: &Monitor) -> Option<Reason> {
    let Some(agent) = holder else { return Some(Reason::AgentBarred) };
    match agent.health {
        Health::Barred => Some(Reason::AgentBarred),
        Health::Silent => Some(Reason::AgentSilent),
        Health::Healthy if !agent.capabilities.contains(&monitor.capability) => {
            Some(Reason::AgentIncapable)
        }
        Health::Healthy => None,
    }
}

/// How far this place is known when its agent changes: by one that is at fault, not at all.
fn reported(current: &Current, holder: Option<&Agent>) -> Option<i64> {
    if holder.is_some_and(|agent| agent.discredited) {
        return None;
    }
    let own = holder.and_then(|agent| agent.complete_through);
    match own {
        Some(through) if through >= current.slots.due(current.first_slot) => Some(through),
        _ => current.predecessor_through,
    }
}

struct Next {
    first_slot: i64,
    slots: Slots,
    through: Option<i64>,
    reason: Reason,
}

fn assign(monitor: &Monitor, region_id: Uuid, agent: &Agent, next: &Next) -> Assign {
    Assign {
        monitor_id: monitor.id,
        region_id,
        agent_id: agent.id.clone(),
        revision: monitor.revision,
        first_slot: next.first_slot,
        slots: next.slots,
        predecessor_through: next.through,
        reason: next.reason,
    }
}
