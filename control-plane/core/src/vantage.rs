//! Vantage faults: an agent that fails what others see healthy is itself at fault.
//!
//! An agent whose name server or uplink breaks sees every target fail at once.
//! Quorums keep that from paging anybody where several regions look, but not with
//! `quorum: any`, and hundreds of local incidents tell nobody what is wrong. So
//! agents are compared with each other: one that fails many *unrelated* targets
//! which others see well loses its vote, and that is one incident about it.
//!
//! Two measures, so that both the sudden break and the partial one are found: of
//! what it looked at within [`SUDDEN_MS`] nearly everything fails, or of all it
//! watches at least half does. Its failures are *contradicted* only where more
//! other seats see the target well than failing. Targets are unrelated when
//! neither network nor site is shared: one provider's outage, seen from one
//! region, is that provider's and not the agent's.
//!
//! It votes again when at most a quarter of what it sees is contradicted.

use crate::incident::SubjectKind;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What counts as looked at just now, ms.
pub const SUDDEN_MS: i64 = 15_000;
/// Unrelated targets that must fail; fewer may be chance.
pub const UNRELATED: usize = 3;
/// How long trust stays lost at least, ms.
pub const HOLD_MS: i64 = 30_000;

/// Everything an organisation's agents are compared by.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    pub agents: Vec<Agent>,
    pub watches: Vec<Watch>,
    /// Subjects (kind and id) whose vantage incident is open.
    pub open: BTreeSet<(SubjectKind, String)>,
}

/// An agent that is enrolled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agent {
    pub id: String,
    pub region_id: String,
    pub discredited_at: Option<i64>,
}

/// A monitor and what each seat's agent sees of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watch {
    /// The target's host, lower case.
    pub host: String,
    /// The network it was last reached in (/24 or /48), if that is known.
    pub network: Option<String>,
    pub seats: Vec<Look>,
}

/// What one agent last saw of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Look {
    pub agent: String,
    /// Whether the newest observation failed; one that casts no vote is no look.
    pub fails: bool,
    pub at: i64,
}

/// What changes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Agents that lose their vote.
    pub lose: Vec<String>,
    /// Agents that vote again.
    pub regain: Vec<String>,
    /// Incidents to open.
    pub open: Vec<Fault>,
    /// Incidents to resolve.
    pub close: Vec<(SubjectKind, String)>,
}

impl Plan {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self == &Self::default()
    }
}

/// Why an agent, or all agents of a region, are not believed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    pub subject: SubjectKind,
    pub id: String,
    /// Monitors it fails and others see well.
    pub contradicted: u32,
    /// Monitors of it that others look at too.
    pub compared: u32,
    /// Of the contradicted, how many targets have nothing in common.
    pub unrelated: u32,
    /// When the first of the contradicted looks was made.
    pub since: Option<i64>,
}

impl Fault {
    /// What is wrong, after the subject's name.
    pub fn sentence(&self) -> String {
        let whose = match self.subject {
            SubjectKind::Region => "as a whole fails",
            SubjectKind::Agent | SubjectKind::Monitor => "fails",
        };
        let count = self.contradicted;
        format!("{whose} {count} monitors that other regions see well; the fault is its own")
    }

    /// The comparison.
    pub fn arithmetic(&self) -> String {
        format!(
            "{} of {} monitors that others look at too fail here only, {} of them unrelated",
            self.contradicted, self.compared, self.unrelated
        )
    }
}

/// Compares the agents at `now`.
pub fn plan(input: &Input, now: i64) -> Plan {
    let tallies = tallies(input, now);
    let mut plan = Plan::default();
    let mut faulty = BTreeSet::new();
    for agent in &input.agents {
        let tally = tallies.get(agent.id.as_str());
        let keeps = match agent.discredited_at {
            None => tally.is_some_and(Tally::is_faulty),
            Some(at) => now - at < HOLD_MS || tally.is_some_and(|tally| !tally.is_well()),
        };
        match (agent.discredited_at.is_some(), keeps) {
            (false, true) => plan.lose.push(agent.id.clone()),
            (true, false) => plan.regain.push(agent.id.clone()),
            _ => {}
        }
        if keeps {
            faulty.insert(agent.id.as_str());
        }
    }
    let wanted = subjects(input, &faulty);
    for subject in &wanted {
        if !input.open.contains(subject) {
            plan.open.push(fault(input, subject, &tallies));
        }
    }
    plan.close = input.open.difference(&wanted).cloned().collect();
    plan
}

/// What incidents there should be: one for each faulty agent, or one for a region of
/// several agents all of which are.
fn subjects(input: &Input, faulty: &BTreeSet<&str>) -> BTreeSet<(SubjectKind, String)> {
    let mut regions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for agent in &input.agents {
        regions.entry(&agent.region_id).or_default().push(&agent.id);
    }
    let mut wanted = BTreeSet::new();
    for (region, agents) in regions {
        if agents.len() > 1 && agents.iter().all(|agent| faulty.contains(agent)) {
            wanted.insert((SubjectKind::Region, region.to_owned()));
        } else {
            let faulty = agents.into_iter().filter(|agent| faulty.contains(agent));
            wanted.extend(faulty.map(|agent| (SubjectKind::Agent, agent.to_owned())));
        }
    }
    wanted
}

fn fault(
    input: &Input,
    (subject, id): &(SubjectKind, String),
    tallies: &BTreeMap<&str, Tally<'_>>,
) -> Fault {
    let members = input.agents.iter().filter(|agent| match subject {
        SubjectKind::Region => agent.region_id == *id,
        SubjectKind::Agent | SubjectKind::Monitor => agent.id == *id,
    });
    let all = members.filter_map(|agent| tallies.get(agent.id.as_str())).fold(
        Tally::default(),
        |mut all, tally| {
            all.contradicted.extend(&tally.contradicted);
            all.compared += tally.compared;
            all
        },
    );
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    Fault {
        subject: *subject,
        id: id.clone(),
        contradicted: count(all.contradicted.len()),
        compared: count(all.compared),
        unrelated: count(unrelated(all.contradicted.iter().map(|(watch, _)| *watch))),
        since: all.contradicted.iter().map(|(_, at)| *at).min(),
    }
}

/// One agent beside the others.
#[derive(Debug, Default)]
struct Tally<'a> {
    contradicted: Vec<(&'a Watch, i64)>,
    compared: usize,
    contradicted_now: Vec<&'a Watch>,
    compared_now: usize,
}

impl Tally<'_> {
    fn is_faulty(&self) -> bool {
        let suddenly = self.contradicted_now.len() * 5 >= self.compared_now * 4
            && unrelated(self.contradicted_now.iter().copied()) >= UNRELATED;
        let widely = self.contradicted.len() * 2 >= self.compared
            && unrelated(self.contradicted.iter().map(|(watch, _)| *watch)) >= UNRELATED;
        suddenly || widely
    }

    fn is_well(&self) -> bool {
        self.compared > 0 && self.contradicted.len() * 4 <= self.compared
    }
}

fn tallies(input: &Input, now: i64) -> BTreeMap<&str, Tally<'_>> {
    let mut tallies: BTreeMap<&str, Tally<'_>> = BTreeMap::new();
    for watch in &input.watches {
        let failing = watch.seats.iter().filter(|look| look.fails).count();
        let well = watch.seats.len() - failing;
        for look in &watch.seats {
            if watch.seats.len() < 2 {
                continue;
            }
            let tally = tallies.entry(&look.agent).or_default();
            let recent = now - look.at <= SUDDEN_MS;
            tally.compared += 1;
            tally.compared_now += usize::from(recent);
            if look.fails && well > failing - 1 {
                tally.contradicted.push((watch, look.at));
                if recent {
                    tally.contradicted_now.push(watch);
                }
            }
        }
    }
    tallies
}

/// How many of these have neither site nor network in common.
fn unrelated<'a>(watches: impl Iterator<Item = &'a Watch> + Clone) -> usize {
    let sites: BTreeSet<&str> = watches.clone().map(|watch| site(&watch.host)).collect();
    let networks: BTreeSet<&str> =
        watches.map(|watch| watch.network.as_deref().unwrap_or(&watch.host)).collect();
    sites.len().min(networks.len())
}

/// The last two labels of a name, or the whole address.
fn site(host: &str) -> &str {
    if host.parse::<std::net::IpAddr>().is_ok() {
        return host;
    }
    let mut dots = host.rmatch_indices('.').map(|(at, _)| at + 1);
    dots.nth(1).and_then(|at| host.get(at..)).unwrap_or(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_000_000;

    /// Ten sites seen by three agents; `fails` says which agent fails which site.
    fn input(fails: impl Fn(usize, usize) -> bool) -> Input {
        let agents = ["a", "b", "c"];
        Input {
            agents: agents
                .iter()
                .map(|id| Agent {
                    id: (*id).to_owned(),
                    region_id: format!("region-{id}"),
                    discredited_at: None,
                })
                .collect(),
            watches: (0..10)
                .map(|site| Watch {
                    host: format!("www.site-{site}.example"),
                    network: None,
                    seats: agents
                        .iter()
                        .enumerate()
                        .map(|(agent, id)| Look {
                            agent: (*id).to_owned(),
                            fails: fails(agent, site),
                            // One look every four seconds.
                            at: NOW - i64::try_from(site).unwrap() * 4_000,
                        })
                        .collect(),
                })
                .collect(),
            open: BTreeSet::new(),
        }
    }

    #[test]
    fn an_agent_that_fails_what_others_see_well_loses_its_vote_at_once() {
        // The break was 13 s ago: only the four newest looks failed.
        let plan = plan(&input(|agent, site| agent == 0 && site < 4), NOW);
        assert_eq!(plan.lose, ["a"]);
        assert_eq!(plan.open[0].subject, SubjectKind::Agent);
        assert_eq!((plan.open[0].contradicted, plan.open[0].compared), (4, 10));
        assert_eq!(plan.open[0].since, Some(NOW - 12_000));
    }

    #[test]
    fn what_everybody_sees_is_nobodys_own_fault() {
        assert!(plan(&input(|_, _| true), NOW).is_empty());
        assert!(plan(&input(|agent, _| agent < 2), NOW).is_empty(), "two against one");
        assert!(plan(&input(|_, _| false), NOW).is_empty());
    }

    #[test]
    fn related_or_few_targets_are_no_fault_of_the_agent() {
        assert!(plan(&input(|agent, site| agent == 0 && site < 2), NOW).is_empty());
        let mut provider = input(|agent, site| agent == 0 && site < 6);
        for watch in &mut provider.watches[..6] {
            watch.network = Some("192.0.2.0/24".to_owned());
        }
        assert!(plan(&provider, NOW).is_empty(), "one network");
        let mut site = input(|agent, _| agent == 0);
        for (index, watch) in site.watches.iter_mut().enumerate() {
            watch.host = format!("host-{index}.shop.example");
        }
        assert!(plan(&site, NOW).is_empty(), "one site");
    }

    #[test]
    fn trust_comes_back_when_it_sees_what_others_see() {
        let mut broken = input(|agent, _| agent == 0);
        broken.agents[0].discredited_at = Some(NOW - HOLD_MS);
        broken.open.insert((SubjectKind::Agent, "a".to_owned()));
        assert!(plan(&broken, NOW).is_empty());
        let mut well = input(|agent, site| agent == 0 && site < 2);
        (well.agents, well.open) = (broken.agents, broken.open);
        let healed = plan(&well, NOW);
        assert_eq!((healed.regain.len(), healed.close.len()), (1, 1));
        well.agents[0].discredited_at = Some(NOW - HOLD_MS + 1);
        assert!(plan(&well, NOW).is_empty(), "not so fast");
        let idle = Input { watches: Vec::new(), ..well };
        assert_eq!(plan(&idle, NOW + HOLD_MS).regain, ["a"], "it watches nothing any more");
    }

    #[test]
    fn a_region_whose_agents_are_all_at_fault_is_one_incident() {
        let mut both = input(|agent, site| match agent {
            0 => site % 2 == 0,
            _ => false,
        });
        let mut second = input(|agent, _| agent == 0).watches;
        for watch in &mut second {
            watch.seats[0].agent = "a2".to_owned();
        }
        both.watches.retain(|watch| watch.seats[0].fails);
        both.watches.extend(second);
        both.agents.push(Agent {
            id: "a2".to_owned(),
            region_id: "region-a".to_owned(),
            discredited_at: None,
        });
        let plan = plan(&both, NOW);
        assert_eq!(plan.lose, ["a", "a2"]);
        let subjects: Vec<_> = plan.open.iter().map(|fault| fault.subject).collect();
        assert_eq!(subjects, [SubjectKind::Region]);
    }

    #[test]
    fn sites_are_two_labels_or_an_address() {
        assert_eq!(site("api.shop.example"), "shop.example");
        assert_eq!(site("shop.example"), "shop.example");
        assert_eq!(site("localhost"), "localhost");
        assert_eq!(site("192.0.2.7"), "192.0.2.7");
    }
}
