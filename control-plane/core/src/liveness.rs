//! Who is lost, and which regions are silent.
//!
//! An agent is lost after [`Settings::missed`] heartbeats that did not come, but
//! only while some gateway of ours was there to hear them ([`listening_since`]): for
//! [`Settings::grace_ms`] after a start, a pause or an outage of the database nobody
//! is late. A region is
//! silent when every agent it counts on is lost or quarantined and none was heard for
//! [`Settings::silence_ms`]; that is one incident about us, never about a target.
//! That is longer than an agent needs to find another process of ours: it gives a
//! session up with its fourth heartbeat and connects anew, so that the end of one
//! replica is no region's silence.

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// A gateway that says nothing for longer hears nothing, ms.
pub const PAUSE_MS: i64 = 15_000;

/// One run of a gateway: it heard agents from `since` to `heard_at` without a pause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listener {
    pub since: i64,
    pub heard_at: i64,
}

/// Since when there has been some gateway to hear agents, without a gap until `now`; `now`
/// if there is none. One that took over from another has to have been there before that went.
pub fn listening_since(listeners: &[Listener], now: i64) -> i64 {
    // Later than now is what was noted before the clock was set back.
    let past = || listeners.iter().filter(|one| one.heard_at <= now.saturating_add(PAUSE_MS));
    let present = past().filter(|one| now.saturating_sub(one.heard_at) <= PAUSE_MS);
    let Some(mut since) = present.map(|one| one.since).min() else { return now };
    while let Some(earlier) =
        past().filter(|one| one.since < since && since <= one.heard_at).map(|one| one.since).min()
    {
        since = earlier;
    }
    since.min(now)
}

/// What is known about the fleet.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    /// Every agent that was not revoked.
    pub agents: Vec<Agent>,
    /// Regions whose silence is an open incident.
    pub silent: BTreeSet<Uuid>,
    /// Since when we hear heartbeats without a break.
    pub listening_since: i64,
}

/// An agent's signs of life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agent {
    pub id: String,
    pub region_id: Uuid,
    /// `None`: enrolled, never heard, and so neither lost nor counted on.
    pub last_heartbeat_at: Option<i64>,
    pub lost_at: Option<i64>,
    /// Quarantined: it is not listened to, and so neither lost nor found; its region has
    /// nobody else all the same.
    #[serde(default)]
    pub barred: bool,
}

impl Input {
    /// Whether the region has an agent that was ever heard.
    pub fn counts_on(&self, region_id: Uuid) -> bool {
        let mut agents = self.agents.iter().filter(|agent| agent.region_id == region_id);
        agents.any(|agent| agent.last_heartbeat_at.is_some())
    }

    /// The part that concerns a region, of at most `limit` agents, those heard last
    /// first, and how many it leaves out.
    pub fn about(&self, region_id: Uuid, limit: usize) -> (Self, usize) {
        let mut agents: Vec<Agent> =
            self.agents.iter().filter(|agent| agent.region_id == region_id).cloned().collect();
        agents.sort_by_key(|agent| std::cmp::Reverse(agent.last_heartbeat_at));
        let left_out = agents.len().saturating_sub(limit);
        agents.truncate(limit);
        let silent = self.silent.iter().filter(|silent| **silent == region_id).copied().collect();
        (Self { agents, silent, listening_since: self.listening_since }, left_out)
    }
}

/// How patient we are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    pub heartbeat_ms: i64,
    pub missed: i64,
    pub grace_ms: i64,
    /// How long nothing comes from a region before that is an incident.
    pub silence_ms: i64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { heartbeat_ms: 10_000, missed: 3, grace_ms: 60_000, silence_ms: 60_000 }
    }
}

impl Settings {
    /// Whether we have been listening for so long that silence means something.
    pub fn may_judge(&self, listening_since: i64, now: i64) -> bool {
        now - listening_since >= self.grace_ms
    }

    /// How long an agent may be silent, ms.
    pub fn patience_ms(&self) -> i64 {
        self.heartbeat_ms * self.missed
    }
}

/// What to write.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Agents that are lost from now on, with how long each was not heard, ms.
    pub lost: Vec<(String, i64)>,
    /// Lost agents that are heard again.
    pub found: Vec<String>,
    /// Regions that fell silent.
    pub silent: Vec<SilentRegion>,
    /// Silent regions that are heard again, or have no agent left to wait for.
    pub heard: Vec<Uuid>,
}

impl Plan {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self == &Self::default()
    }
}

/// A region that fell silent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SilentRegion {
    pub region_id: Uuid,
    pub agents: u32,
    /// When the last of them was heard.
    pub last_heard_at: i64,
}

/// What changes at `now`. Planning again after the change plans nothing.
pub fn plan(input: &Input, settings: Settings, now: i64) -> Plan {
    let mut plan = Plan::default();
    let judging = settings.may_judge(input.listening_since, now);
    let mut regions: BTreeMap<Uuid, Vec<(i64, bool)>> = BTreeMap::new();
    for agent in &input.agents {
        let Some(heard) = agent.last_heartbeat_at else { continue };
        if agent.barred {
            regions.entry(agent.region_id).or_default().push((heard, true));
            continue;
        }
        let late = now - heard > settings.patience_ms();
        let lost = match agent.lost_at {
            None => judging && late,
            Some(lost_at) => late || !heard_since(lost_at, heard, settings, now),
        };
        match (agent.lost_at, lost) {
            (None, true) => plan.lost.push((agent.id.clone(), now - heard)),
            (Some(_), false) => plan.found.push(agent.id.clone()),
            _ => {}
        }
        regions.entry(agent.region_id).or_default().push((heard, lost));
    }
    for (region_id, agents) in &regions {
        let quiet = |heard: &i64| now - heard > settings.silence_ms;
        let lost = agents.iter().all(|(_, lost)| *lost);
        match (input.silent.contains(region_id), lost) {
            // What was lost before we went away may have come back since.
            (false, true) if judging && agents.iter().all(|(heard, _)| quiet(heard)) => {
                plan.silent.push(SilentRegion {
                    region_id: *region_id,
                    agents: u32::try_from(agents.len()).unwrap_or(u32::MAX),
                    last_heard_at: agents.iter().map(|(heard, _)| *heard).max().unwrap_or(now),
                })
            }
            (true, false) => plan.heard.push(*region_id),
            _ => {}
        }
    }
    // Nobody is left to be heard.
    plan.heard.extend(input.silent.iter().filter(|region| !regions.contains_key(region)));
    plan
}

/// Whether an agent that was lost at `lost_at` was heard after that. What is later than
/// now, by more than we wait for anybody, was dated before the clock was set back.
fn heard_since(lost_at: i64, heard: i64, settings: Settings, now: i64) -> bool {
    let set_back = lost_at - now > settings.patience_ms();
    heard > lost_at || (set_back && heard <= now)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const REGION: Uuid = Uuid::from_u128(1);

    fn agent(id: &str, heard: i64, lost_at: Option<i64>) -> Agent {
        Agent {
            id: id.into(),
            region_id: REGION,
            last_heartbeat_at: Some(heard),
            lost_at,
            barred: false,
        }
    }

    fn at(agents: Vec<Agent>, silent: bool, listening_since: i64, now: i64) -> Plan {
        let silent = if silent { BTreeSet::from([REGION]) } else { BTreeSet::new() };
        plan(&Input { agents, silent, listening_since }, Settings::default(), now)
    }

    #[test]
    fn three_missed_heartbeats_lose_an_agent_and_a_minute_silences_its_region() {
        let agents = vec![agent("a", 100_000, None), agent("b", 129_999, None)];
        assert!(at(agents.clone(), false, 0, 130_000).is_empty());
        let plan = at(agents.clone(), false, 0, 130_001);
        assert_eq!(plan.lost, [("a".to_owned(), 30_001)]);
        assert!(plan.silent.is_empty());
        let plan = at(agents.clone(), false, 0, 189_999);
        assert_eq!((plan.lost.len(), plan.silent.len()), (2, 0), "they may be on their way");
        let plan = at(agents, false, 0, 190_000);
        assert_eq!((plan.silent[0].agents, plan.silent[0].last_heard_at), (2, 129_999));
    }

    #[test]
    fn nobody_is_late_while_we_were_away() {
        let agents = vec![agent("a", 0, None)];
        assert!(at(agents.clone(), false, 1_000_000, 1_059_999).is_empty());
        assert_eq!(at(agents, false, 1_000_000, 1_060_000).lost.len(), 1);
        // One that was lost before we went away stays lost until it is heard.
        let lost = vec![agent("a", 0, Some(5))];
        assert!(at(lost.clone(), true, 1_000_000, 1_000_001).is_empty());
        assert!(at(lost, false, 1_000_000, 1_059_999).is_empty(), "nor is its region silent");
        let found = at(vec![agent("a", 1_000_000, Some(5))], true, 1_000_000, 1_000_001);
        assert_eq!((found.found.len(), found.heard.len()), (1, 1));
    }

    #[test]
    fn we_listen_while_some_gateway_does() {
        let since = |runs: &[(i64, i64)], now| {
            let all: Vec<Listener> = runs
                .iter()
                .map(|(since, heard_at)| Listener { since: *since, heard_at: *heard_at })
                .collect();
            listening_since(&all, now)
        };
        let now = 1_000_000;
        assert_eq!(since(&[], now), now, "nobody is there");
        assert_eq!(since(&[(500_000, now - PAUSE_MS)], now), 500_000);
        assert_eq!(since(&[(500_000, now - PAUSE_MS - 1)], now), now, "the only one is away");
        // One after the other, the next before the last went.
        let relay = [(900_000, now), (700_000, 900_000), (100_000, 700_001)];
        assert_eq!(since(&relay, now), 100_000);
        assert_eq!(since(&[(900_000, now), (100_000, 899_999)], now), 900_000, "a gap");
        assert_eq!(since(&[(900_000, now), (100_000, now - 1)], now), 100_000);
        // The clock was set back by an hour: nothing of before it counts.
        let back = now - 3_600_000;
        assert_eq!(since(&[(500_000, now)], back), back);
        assert_eq!(since(&[(500_000, now), (back, back)], back), back);
    }

    #[test]
    fn a_clock_set_back_finds_nobody() {
        // Lost at 200 s, the clock then set back by 10 s, or by an hour.
        let lost = agent("a", 165_000, Some(200_000));
        assert!(at(vec![lost], true, 0, 190_000).is_empty());
        let hour = 3_600_000;
        let dated = |heard| agent("a", heard, Some(hour + 200_000));
        assert!(at(vec![dated(hour + 120_000)], true, 0, 201_000).is_empty());
        let heard = at(vec![dated(200_500)], true, 0, 201_000);
        assert_eq!((heard.found.len(), heard.heard.len()), (1, 1), "heard by the new time");
    }

    #[test]
    fn an_agent_never_heard_is_not_waited_for() {
        let never = Agent { last_heartbeat_at: None, ..agent("a", 0, None) };
        assert!(at(vec![never], false, 0, 1_000_000).is_empty());
        assert_eq!(at(Vec::new(), true, 0, 1_000_000).heard, [REGION]);
    }

    #[test]
    fn a_region_whose_agents_are_quarantined_is_silent() {
        let barred = |id| Agent { barred: true, ..agent(id, 100_000, None) };
        assert!(at(vec![barred("a")], false, 0, 160_000).is_empty());
        let plan = at(vec![barred("a")], false, 0, 160_001);
        assert_eq!((plan.silent.len(), plan.lost.len()), (1, 0), "it is not lost besides");
        assert!(at(vec![barred("a")], true, 0, 160_001).is_empty(), "nor does that resolve it");
        let beside = vec![barred("a"), agent("b", 160_000, None)];
        assert!(at(beside.clone(), false, 0, 160_001).is_empty(), "another is there");
        assert_eq!(at(beside, true, 0, 160_001).heard, [REGION]);
    }

    proptest! {
        #[test]
        fn planning_twice_changes_nothing(
            agents in proptest::collection::vec(
                (0u128..3, proptest::option::of(0i64..200_000), proptest::option::of(0i64..200_000), any::<bool>()), 0..8),
            silent: [bool; 3], since in 0i64..200_000, now in 0i64..400_000,
        ) {
            let settings = Settings::default();
            let mut input = Input {
                agents: agents.iter().enumerate().map(|(i, (region, heard, lost, barred))| Agent {
                    id: format!("a{i}"),
                    region_id: Uuid::from_u128(*region),
                    last_heartbeat_at: *heard,
                    lost_at: heard.and(*lost),
                    barred: *barred,
                }).collect(),
                silent: (0..3).filter(|i| silent[*i]).map(|i| Uuid::from_u128(i as u128)).collect(),
                listening_since: since,
            };
            let first = plan(&input, settings, now);
            for agent in &mut input.agents {
                if first.lost.iter().any(|(id, _)| *id == agent.id) { agent.lost_at = Some(now); }
                if first.found.contains(&agent.id) { agent.lost_at = None; }
            }
            for region in &first.silent { input.silent.insert(region.region_id); }
            for region in &first.heard { input.silent.remove(region); }
            prop_assert!(plan(&input, settings, now).is_empty());
            if now - since < settings.grace_ms { prop_assert!(first.lost.is_empty()); }
        }
    }
}
