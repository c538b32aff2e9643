//! Which agents are at fault themselves.

use hyperverge_control_core::incident::SubjectKind;
use hyperverge_control_core::vantage::{Agent, FRESH_MS, HOLD_MS, Input, Look, Plan, Watch, plan};
use std::collections::BTreeSet;

const NOW: i64 = 1_000_000;

/// Ten sites seen by three agents; `fails` says which agent fails which site. One
/// look every four seconds, the first site's the newest, everybody's at once.
fn input(fails: impl Fn(usize, usize) -> bool) -> Input {
    let agents = ["a", "b", "c"];
    let at = |site: usize| NOW - site as i64 * 4_000;
    let look = |agent: usize, site: usize| Look {
        agent: agents[agent].to_owned(),
        failing_since: fails(agent, site).then_some(at(site)),
        well_since: (!fails(agent, site)).then_some(at(site) - 60_000),
        at: at(site),
    };
    Input {
        agents: agents.iter().map(|id| trusted(id, &format!("region-{id}"))).collect(),
        watches: (0..10)
            .map(|site| Watch {
                host: format!("www.site-{site}.example"),
                network: None,
                needed: 2,
                settles_ms: 25_000,
                seats: (0..agents.len()).map(|agent| look(agent, site)).collect(),
            })
            .collect(),
        open: BTreeSet::new(),
    }
}

/// It fails since, and looked last, at these times.
fn fail(look: &mut Look, since: i64, at: i64) {
    *look = Look { agent: look.agent.clone(), failing_since: Some(since), well_since: None, at };
}

/// It is well since, and looked last, at these times.
fn succeed(look: &mut Look, since: i64, at: i64) {
    *look = Look { agent: look.agent.clone(), failing_since: None, well_since: Some(since), at };
}

fn trusted(id: &str, region: &str) -> Agent {
    Agent { id: id.to_owned(), region_id: region.to_owned(), discredited_at: None, assigned: true }
}

#[test]
fn an_agent_that_fails_what_others_see_well_loses_its_vote_at_once() {
    // The break was 9 s ago: only the three newest looks failed.
    let plan = plan(&input(|agent, site| agent == 0 && site < 3), NOW);
    assert_eq!(plan.lose, ["a"]);
    assert_eq!(plan.open[0].subject, SubjectKind::Agent);
    assert_eq!((plan.open[0].contradicted, plan.open[0].compared), (3, 10));
    assert_eq!(plan.open[0].since, Some(NOW - 8_000));
}

#[test]
fn what_has_failed_here_for_long_is_no_sudden_break() {
    let mut blocked = input(|agent, site| agent == 0 && site < 3);
    for watch in &mut blocked.watches[..3] {
        watch.seats[0].failing_since = Some(NOW - FRESH_MS - 1);
    }
    assert!(plan(&blocked, NOW).is_empty());
}

#[test]
fn what_everybody_sees_is_nobodys_own_fault() {
    assert!(plan(&input(|_, _| true), NOW).is_empty());
    assert!(plan(&input(|agent, _| agent < 2), NOW).is_empty(), "two against one");
    assert!(plan(&input(|_, _| false), NOW).is_empty());
}

#[test]
fn an_outage_of_which_others_have_old_looks_is_no_agents_fault() {
    // Each of the agents has looked at other sites since it began, and fails them all.
    let mut outage = input(|agent, site| site % 3 == agent);
    for (site, watch) in outage.watches.iter_mut().enumerate() {
        for (agent, look) in watch.seats.iter_mut().enumerate() {
            match site % 3 == agent {
                true => fail(look, NOW - 1_000, NOW - 1_000),
                false => succeed(look, NOW - 90_000, NOW - 40_000),
            }
        }
    }
    assert!(plan(&outage, NOW).is_empty());
}

#[test]
fn who_looked_before_it_failed_is_no_witness() {
    // Three targets fail at once, and a comes first to each of them.
    let mut outage = input(|_, _| false);
    for (site, watch) in outage.watches.iter_mut().enumerate() {
        for (agent, look) in watch.seats.iter_mut().enumerate() {
            match agent == 0 && site < 3 {
                true => fail(look, NOW - 10_000, NOW - 10_000),
                false => succeed(look, NOW - 90_000, NOW - 30_000),
            }
        }
    }
    assert!(plan(&outage, NOW).is_empty());
    // Once the others have looked there since and see it well, it is the agent's own fault.
    let mut fault = outage.clone();
    for watch in &mut fault.watches[..3] {
        watch.seats[1].at = NOW - 9_000;
    }
    // One that looks at it now may fail it as well, and it takes two to make it down.
    assert!(plan(&fault, NOW).is_empty());
    let mut all = fault.clone();
    all.watches[..3].iter_mut().for_each(|watch| watch.seats[2].at = NOW - 8_000);
    assert_eq!(plan(&all, NOW).lose, ["a"]);
    // It is not waited for without end, nor where each may speak for itself.
    let mut late = fault.clone();
    late.watches[..3].iter_mut().for_each(|watch| watch.settles_ms = 9_999);
    assert_eq!(plan(&late, NOW).lose, ["a"]);
    let mut any = fault.clone();
    any.watches[..3].iter_mut().for_each(|watch| watch.needed = 1);
    assert_eq!(plan(&any, NOW).lose, ["a"]);
    // Or they fail it too.
    for watch in &mut outage.watches[..3] {
        fail(&mut watch.seats[1], NOW - 9_000, NOW - 9_000);
    }
    assert!(plan(&outage, NOW).is_empty());
}

#[test]
fn who_looks_last_when_an_outage_ends_is_not_at_fault() {
    // All failed three targets for a minute; since then all but a have looked again.
    let mut over = input(|_, _| false);
    for watch in &mut over.watches[..3] {
        fail(&mut watch.seats[0], NOW - 60_000, NOW - 9_000);
        succeed(&mut watch.seats[1], NOW - 6_000, NOW - 6_000);
        succeed(&mut watch.seats[2], NOW - 3_000, NOW - 3_000);
    }
    assert!(plan(&over, NOW).is_empty());
    // It looks too, and fails still.
    for watch in &mut over.watches[..3] {
        fail(&mut watch.seats[0], NOW - 60_000, NOW - 2_000);
    }
    assert_eq!(plan(&over, NOW).lose, ["a"]);
    // What the others answered to its failure stands when they look once more.
    for watch in &mut over.watches[..3] {
        fail(&mut watch.seats[0], NOW - 9_000, NOW - 9_000);
        succeed(&mut watch.seats[1], NOW - 8_000, NOW - 1_000);
        succeed(&mut watch.seats[2], NOW - 8_000, NOW - 1_000);
    }
    assert_eq!(plan(&over, NOW).lose, ["a"]);
}

#[test]
fn one_region_that_is_well_does_not_take_the_votes_of_a_quorum() {
    // Of three regions two hurt; a was found at fault before b had looked.
    let mut outage = input(|agent, _| agent < 2);
    outage.agents[0].discredited_at = Some(NOW - HOLD_MS);
    outage.open.insert((SubjectKind::Agent, "a".to_owned()));
    let said = plan(&outage, NOW);
    assert_eq!((said.lose.len(), said.regain), (0, vec!["a".to_owned()]));
    // What a failed for long before is its own.
    for watch in &mut outage.watches {
        watch.seats[0].failing_since = Some(watch.seats[1].at - watch.settles_ms - 1);
    }
    assert_eq!(plan(&outage, NOW).lose, ["b"]);
}

#[test]
fn as_many_as_the_policy_asks_for_are_believed() {
    let mut two_of_five = input(|agent, _| agent < 2);
    for agent in ["d", "e"] {
        two_of_five.agents.push(trusted(agent, agent));
        for watch in &mut two_of_five.watches {
            watch.seats.push(Look { agent: agent.to_owned(), ..watch.seats[2].clone() });
        }
    }
    assert!(plan(&two_of_five, NOW).is_empty());
    two_of_five.watches.iter_mut().for_each(|watch| watch.needed = 3);
    assert_eq!(plan(&two_of_five, NOW).lose, ["a", "b"]);
}

#[test]
fn who_looks_last_is_not_at_fault_where_some_were_well_all_along() {
    // Two of three failed three targets for a minute, and b has not looked again.
    let mut over = input(|_, _| false);
    for watch in &mut over.watches[..3] {
        succeed(&mut watch.seats[0], NOW - 3_000, NOW - 3_000);
        fail(&mut watch.seats[1], NOW - 60_000, NOW - 9_000);
        succeed(&mut watch.seats[2], NOW - 90_000, NOW - 2_000);
    }
    assert!(plan(&over, NOW).is_empty());
}

#[test]
fn who_is_at_fault_says_nothing_about_the_others() {
    // a breaks; c has lost its vote before, and has failed all it looks at for long.
    let mut broken = input(|agent, site| agent == 2 || (agent == 0 && site < 3));
    broken.agents[2].discredited_at = Some(NOW - 1_000);
    broken.open.insert((SubjectKind::Agent, "c".to_owned()));
    for watch in &mut broken.watches {
        watch.seats[2].failing_since = Some(NOW - 600_000);
    }
    let mut many = broken.watches.clone();
    // c is busier than b.
    for (number, watch) in many.iter_mut().enumerate() {
        watch.host = format!("www.other-{number}.example");
        watch.seats.retain(|look| look.agent == "c");
        watch.seats[0].at = NOW - 1_000;
    }
    broken.watches.extend(many);
    assert_eq!(plan(&broken, NOW).lose, ["a"]);
}

#[test]
fn trust_comes_back_to_who_watches_little_or_is_blocked_here_and_there() {
    let lost = NOW - HOLD_MS;
    let discredited = |mut input: Input| {
        input.agents[0].discredited_at = Some(lost);
        input.open.insert((SubjectKind::Agent, "a".to_owned()));
        input
    };
    // Two of its ten targets are looked at by others, and it sees both well again.
    let mut alone = discredited(input(|_, _| false));
    for watch in &mut alone.watches[2..] {
        watch.seats.truncate(1);
    }
    assert_eq!(plan(&alone, NOW).regain, ["a"]);
    // Four of ten have been blocked for it since long before its fault.
    let mut blocked = discredited(input(|agent, site| agent == 0 && site < 4));
    for watch in &mut blocked.watches[..4] {
        watch.seats[0].failing_since = Some(lost - 3_600_000);
    }
    assert_eq!(plan(&blocked, NOW).regain, ["a"]);
    let recent = discredited(input(|agent, site| agent == 0 && site < 4));
    assert!(plan(&recent, NOW).regain.is_empty(), "these came with the fault");
}

#[test]
fn related_or_few_targets_are_no_fault_of_the_agent() {
    assert!(plan(&input(|agent, site| agent == 0 && site < 2), NOW).is_empty());
    let mut provider = input(|agent, site| agent == 0 && site < 6);
    for watch in &mut provider.watches[..6] {
        watch.network = Some("192.0.2.0/24".to_owned());
    }
    assert!(plan(&provider, NOW).is_empty(), "one network");
    let mut site = input(|agent, site| agent == 0 && site < 6);
    for (index, watch) in site.watches[..6].iter_mut().enumerate() {
        watch.host = format!("host-{index}.shop.example");
    }
    assert!(plan(&site, NOW).is_empty(), "one site");
}

#[test]
fn where_all_is_of_one_site_names_in_networks_of_their_own_are_unrelated() {
    let of_one_site = |network: fn(usize) -> Option<String>| {
        let mut site = input(|agent, _| agent == 0);
        for (index, watch) in site.watches.iter_mut().enumerate() {
            watch.host = format!("host-{index}.shop.co.uk");
            watch.network = network(index);
        }
        plan(&site, NOW)
    };
    let apart = of_one_site(|index| Some(format!("192.0.{index}.0/24")));
    assert_eq!((&apart.lose, apart.open[0].unrelated), (&vec!["a".to_owned()], 10));
    assert!(of_one_site(|_| Some("192.0.2.0/24".to_owned())).is_empty(), "one network");
    assert!(of_one_site(|_| None).is_empty(), "nobody knows where they are");
}

#[test]
fn names_below_one_public_suffix_are_sites_of_their_own() {
    let mut sites = input(|agent, site| agent == 0 && site < 3);
    for (index, watch) in sites.watches.iter_mut().enumerate() {
        watch.host = format!("www.shop-{index}.co.uk");
    }
    assert_eq!(plan(&sites, NOW).lose, ["a"]);
}

#[test]
fn trust_comes_back_on_evidence_only() {
    let lost = NOW - HOLD_MS;
    let mut broken = input(|agent, _| agent == 0);
    broken.agents[0].discredited_at = Some(lost);
    broken.open.insert((SubjectKind::Agent, "a".to_owned()));
    assert!(plan(&broken, NOW).is_empty());
    let mut well = input(|agent, site| agent == 0 && site < 2);
    well.agents.clone_from(&broken.agents);
    well.open.clone_from(&broken.open);
    let healed = plan(&well, NOW);
    assert_eq!((healed.regain.len(), healed.close.len()), (1, 1));
    well.agents[0].discredited_at = Some(lost + 1);
    assert!(plan(&well, NOW).is_empty(), "not so fast");
    // Looks from before say nothing, nor does silence, nor another that is at fault.
    let mut slow = input(|agent, site| agent == 0 && site < 1);
    slow.agents.clone_from(&broken.agents);
    slow.open.clone_from(&broken.open);
    for watch in &mut slow.watches[1..] {
        watch.seats[0].at = lost - 1;
    }
    assert!(plan(&slow, NOW).is_empty());
    let silent = Input { watches: Vec::new(), ..broken.clone() };
    assert!(plan(&silent, NOW).is_empty());
    let mut both = input(|agent, _| agent < 2);
    both.agents.clone_from(&broken.agents);
    both.open.clone_from(&broken.open);
    for watch in &mut both.watches {
        watch.seats[0].failing_since = Some(NOW - 600_000);
    }
    assert!(!plan(&both, NOW).regain.contains(&"a".to_owned()));
    let mut idle = silent;
    idle.agents[0].assigned = false;
    assert_eq!(plan(&idle, NOW).regain, ["a"], "it watches nothing any more");
}

#[test]
fn a_region_whose_agents_broke_together_is_one_incident() {
    let mut both = input(|agent, site| agent == 0 && site % 2 == 0);
    let mut second = input(|agent, _| agent == 0).watches;
    for watch in &mut second {
        watch.seats[0].agent = "a2".to_owned();
    }
    both.watches.retain(|watch| watch.seats[0].failing_since.is_some());
    both.watches.extend(second);
    both.agents.push(trusted("a2", "region-a"));
    let subjects = |plan: Plan| plan.open.iter().map(|f| f.subject).collect::<Vec<_>>();
    let together = plan(&both, NOW);
    assert_eq!(together.lose, ["a", "a2"]);
    assert_eq!(subjects(together), [SubjectKind::Region]);
    both.agents[0].discredited_at = Some(NOW - 5_000);
    both.open.insert((SubjectKind::Agent, "a".to_owned()));
    let later = plan(&both, NOW);
    assert!(later.close.is_empty(), "what is told of an agent stays the agent's");
    assert_eq!(subjects(later), [SubjectKind::Agent]);
}
