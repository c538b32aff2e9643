//! Which monitors cannot be `up`, going by who has them.
//!
//! A monitor that is steadily up leaves no trace but its assignments, so once those end
//! nothing else would bring it to be evaluated. Named in each round are only monitors of which
//! too many seats cast no vote for the verdict to be `up`. One that stays up by the votes of
//! others is named once, when a place of it comes to have nobody, and not looked at for nothing.

use super::{Agent, Input, Monitor, Plan};
use crate::correlation::seat_names;
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

type Place = (Uuid, Uuid);

/// The enabled monitors that cannot be up after `plan`: so many seats have nobody, or an
/// agent that lost its vote, that they could make a quorum. Besides, those with a place
/// that just now came to have nobody: what else is wrong with them is not known here.
pub fn mute(input: &Input, plan: &Plan) -> BTreeSet<Uuid> {
    let after = After::of(input, plan);
    let enabled = || input.monitors.iter().filter(|monitor| monitor.enabled);
    let mut mute: BTreeSet<Uuid> =
        enabled().filter(|monitor| after.is_mute(monitor)).map(|monitor| monitor.id).collect();
    let left = plan.ends.iter().map(|end| (end.monitor_id, end.region_id));
    let left: BTreeSet<Uuid> =
        left.filter(|place| !after.holders.contains_key(place)).map(|(id, _)| id).collect();
    mute.extend(enabled().map(|monitor| monitor.id).filter(|id| left.contains(id)));
    mute
}

/// Who has what once the plan is carried out.
struct After<'a> {
    regions: BTreeMap<&'a str, Uuid>,
    agents: BTreeMap<&'a str, &'a Agent>,
    holders: BTreeMap<Place, &'a str>,
}

impl<'a> After<'a> {
    fn of(input: &'a Input, plan: &'a Plan) -> Self {
        let current = input.current.iter();
        let mut holders: BTreeMap<Place, &str> = current
            .map(|held| ((held.monitor_id, held.region_id), held.agent_id.as_str()))
            .collect();
        for end in &plan.ends {
            holders.remove(&(end.monitor_id, end.region_id));
        }
        let assigns = plan.assigns.iter();
        holders.extend(assigns.map(|next| ((next.monitor_id, next.region_id), &*next.agent_id)));
        Self {
            regions: input.regions.iter().map(|r| (r.name.as_str(), r.id)).collect(),
            agents: input.agents.iter().map(|a| (a.id.as_str(), a)).collect(),
            holders,
        }
    }

    fn is_mute(&self, monitor: &Monitor) -> bool {
        let named = monitor.regions.iter().map(String::as_str);
        let seats = seat_names(named, self.regions.keys().copied());
        let silent = seats.iter().filter(|region| !self.may_vote(monitor.id, region)).count();
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        seats.is_empty() || count(silent) >= monitor.quorum.votes(count(seats.len()))
    }

    fn may_vote(&self, monitor_id: Uuid, region: &str) -> bool {
        let region = self.regions.get(region);
        let holder = region.and_then(|id| self.holders.get(&(monitor_id, *id)));
        let agent = holder.and_then(|id| self.agents.get(id));
        agent.is_some_and(|agent| !agent.discredited)
    }
}
