//! Random fleets that change: what the assignment planner promises whatever happens.

use hyperverge_control_core::assignment::{
    Agent, Current, Ended, Health, Input, Monitor, Plan, Reason, Region, mute, plan,
};
use hyperverge_protocol::monitor::Quorum;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

const CAPABILITY: &str = "probe:http";

fn region(n: u128) -> Region {
    Region { id: Uuid::from_u128(100 + n), name: format!("region-{n}") }
}

fn agent(n: u128, region: u128, health: Health, able: bool) -> Agent {
    let capabilities = if able { BTreeSet::from([CAPABILITY.to_owned()]) } else { BTreeSet::new() };
    Agent {
        id: format!("agent-{n}"),
        region_id: Uuid::from_u128(100 + region),
        health,
        capabilities,
        complete_through: None,
        discredited: false,
    }
}

fn monitor(n: u128, revision: i64, interval_ms: i64, regions: &[&str]) -> Monitor {
    Monitor {
        id: Uuid::from_u128(n),
        revision,
        enabled: true,
        interval_ms,
        regions: regions.iter().map(|name| (*name).to_owned()).collect(),
        capability: CAPABILITY.to_owned(),
        quorum: Quorum::Majority,
    }
}

/// Does to the input what the shell does to the database.
fn apply(input: &mut Input, plan: &Plan) {
    for end in &plan.ends {
        let place = (end.monitor_id, end.region_id);
        let at = input.current.iter().position(|c| (c.monitor_id, c.region_id) == place);
        let current = input.current.remove(at.expect("only what is current ends"));
        assert_eq!(current.agent_id, end.agent_id);
        input.ended.retain(|e| (e.monitor_id, e.region_id) != place);
        input.ended.push(Ended {
            monitor_id: current.monitor_id,
            region_id: current.region_id,
            revision: current.revision,
            last_slot: end.last_slot,
            slots: current.slots,
        });
    }
    for assign in &plan.assigns {
        let place = (assign.monitor_id, assign.region_id);
        assert!(!input.current.iter().any(|c| (c.monitor_id, c.region_id) == place), "two at once");
        input.current.push(Current {
            monitor_id: assign.monitor_id,
            region_id: assign.region_id,
            agent_id: assign.agent_id.clone(),
            revision: assign.revision,
            first_slot: assign.first_slot,
            slots: assign.slots,
            predecessor_through: assign.predecessor_through,
        });
    }
}

fn three_regions() -> Input {
    Input {
        monitors: vec![monitor(1, 1, 30_000, &["*"])],
        regions: (0..3).map(region).collect(),
        agents: (0..6).map(|n| agent(n, n % 3, Health::Healthy, true)).collect(),
        ..Input::default()
    }
}

#[test]
fn a_new_monitor_strikes_every_third_of_its_interval() {
    let mut input = three_regions();
    let first = plan(&input, 1_000_000);
    assert_eq!(first.assigns.len(), 3);
    for assign in &first.assigns {
        assert_eq!(assign.reason, Reason::New);
        let due = assign.slots.due(assign.first_slot);
        assert!((1_002_001..=1_032_000).contains(&due), "{due}");
    }
    let anchors: BTreeSet<i64> = first.assigns.iter().map(|a| a.slots.anchor_ms % 10_000).collect();
    assert_eq!(anchors.len(), 1, "equal but for multiples of a third");
    apply(&mut input, &first);
    assert!(plan(&input, 1_000_001).is_empty());
}

#[test]
fn a_hand_over_goes_on_where_the_last_agent_ends() {
    let mut input = three_regions();
    let first = plan(&input, 1_000_000);
    apply(&mut input, &first);
    let before = first.assigns[0].clone();
    for agent in &mut input.agents {
        agent.complete_through = Some(1_400_000);
        if agent.id == before.agent_id {
            agent.health = Health::Silent;
        }
    }
    let second = plan(&input, 1_500_000);
    assert_eq!((second.ends.len(), second.assigns.len()), (1, 1));
    let (end, next) = (&second.ends[0], &second.assigns[0]);
    assert_eq!((end.reason, next.reason), (Reason::AgentSilent, Reason::AgentSilent));
    assert_eq!(end.last_slot + 1, next.first_slot);
    assert_eq!(next.slots, before.slots);
    assert_ne!(next.agent_id, before.agent_id);
    assert_eq!(next.predecessor_through, Some(1_400_000));
    apply(&mut input, &second);
    for agent in &mut input.agents {
        agent.health = Health::Healthy;
    }
    assert!(plan(&input, 1_600_000).is_empty(), "it stays where it went");
}

#[test]
fn what_an_agent_at_fault_saw_is_not_handed_over() {
    for health in [Health::Silent, Health::Barred] {
        let mut input = three_regions();
        let first = plan(&input, 1_000_000);
        apply(&mut input, &first);
        let before = first.assigns[0].agent_id.clone();
        for agent in &mut input.agents {
            agent.complete_through = Some(1_400_000);
            if agent.id == before {
                (agent.health, agent.discredited) = (health, true);
            }
        }
        let second = plan(&input, 1_500_000);
        assert!(second.ends[0].doubted);
        assert_eq!(second.assigns[0].predecessor_through, None, "{health:?}");
    }
}

#[test]
fn a_lost_agent_keeps_what_nobody_else_can_take_and_a_barred_one_keeps_nothing() {
    let mut input = Input {
        monitors: vec![monitor(1, 1, 30_000, &["region-0", "region-7"])],
        regions: vec![region(0)],
        agents: vec![
            agent(0, 0, Health::Healthy, true),
            agent(1, 0, Health::Healthy, false),
            agent(2, 1, Health::Healthy, true),
        ],
        ..Input::default()
    };
    let first = plan(&input, 0);
    assert_eq!(first.assigns.len(), 1);
    apply(&mut input, &first);
    input.agents[0].health = Health::Silent;
    assert!(plan(&input, 100_000).is_empty());
    input.monitors[0].revision = 2;
    let revised = plan(&input, 100_000);
    assert_eq!(
        revised.assigns[0].agent_id, "agent-0",
        "it hears of the new revision when it is back"
    );
    input.agents[0].health = Health::Barred;
    let barred = plan(&input, 100_000);
    assert_eq!((barred.ends.len(), barred.assigns.len()), (1, 0));
    assert_eq!(barred.ends[0].reason, Reason::AgentBarred);
}

#[test]
fn what_is_out_of_scope_ends() {
    let mut input = three_regions();
    let first = plan(&input, 0);
    apply(&mut input, &first);
    input.monitors[0].regions = BTreeSet::from(["region-1".to_owned()]);
    let rescoped = plan(&input, 100_000);
    assert_eq!(rescoped.ends.len(), 2);
    assert!(rescoped.ends.iter().all(|end| end.reason == Reason::OutOfScope));
    input.monitors[0].enabled = false;
    assert_eq!(plan(&input, 100_000).ends.len(), 3);
    input.monitors.clear();
    assert_eq!(plan(&input, 100_000).ends.len(), 3);
}

#[test]
fn nobody_waits_until_a_clock_that_was_set_back_is_as_late_again() {
    let (now, ahead) = (1_000_000_000, 1_000_000_000 + 86_400_000);
    let begins_now = |input: &Input, plan: &Plan| {
        assert_eq!(plan.assigns.len(), 3);
        for assign in &plan.assigns {
            let due = assign.slots.due(assign.first_slot);
            assert!((now + 2_001..=now + 32_000).contains(&due), "{due}");
        }
        let mut after = input.clone();
        apply(&mut after, plan);
        assert!(hyperverge_control_core::assignment::plan(&after, now).is_empty());
    };
    // Given out ahead of time, and still held.
    let mut held = three_regions();
    let first = plan(&held, ahead);
    apply(&mut held, &first);
    let again = plan(&held, now);
    assert!(again.assigns.iter().all(|assign| assign.reason == Reason::ClockSetBack));
    begins_now(&held, &again);
    // Held, but its agent is lost.
    let mut lost = held.clone();
    for agent in &mut lost.agents {
        let has_it = lost.current.iter().any(|current| current.agent_id == agent.id);
        agent.health = if has_it { Health::Silent } else { Health::Healthy };
    }
    begins_now(&lost, &plan(&lost, now));
    // Ended ahead of time.
    let mut ended = held.clone();
    ended.monitors[0].enabled = false;
    let end = plan(&ended, ahead + 60_000);
    apply(&mut ended, &end);
    ended.monitors[0].enabled = true;
    begins_now(&ended, &plan(&ended, now));
    // A second or two are waited for instead.
    let mut soon = three_regions();
    let first = plan(&soon, now + 2_000);
    apply(&mut soon, &first);
    assert!(plan(&soon, now).is_empty());
}

#[derive(Debug, Clone)]
struct Round {
    health: Vec<Health>,
    able: Vec<bool>,
    revisions: Vec<i64>,
    scopes: Vec<u8>,
    later_ms: i64,
}

fn round() -> impl Strategy<Value = Round> {
    let health = prop_oneof![4 => Just(Health::Healthy), 2 => Just(Health::Silent), 1 => Just(Health::Barred)];
    (
        proptest::collection::vec(health, 5),
        proptest::collection::vec(prop::bool::weighted(0.9), 5),
        proptest::collection::vec(0i64..2, 3),
        proptest::collection::vec(0u8..5, 3),
        1i64..400_000,
    )
        .prop_map(|(health, able, revisions, scopes, later_ms)| Round {
            health,
            able,
            revisions,
            scopes,
            later_ms,
        })
}

fn fleet(round: &Round, revisions: &[i64; 3], old: Input, now: i64) -> Input {
    let intervals = [1_000, 30_000, 3_600_000];
    let agents = (0..5)
        .map(|n| Agent {
            complete_through: Some(now - 1_000),
            ..agent(n, n % 2, round.health[n as usize], round.able[n as usize])
        })
        .collect();
    let monitors = (0..3)
        .filter(|n| round.scopes[*n] != 4)
        .map(|n| {
            let scopes: [&[&str]; 4] = [&["*"], &["region-0"], &["region-1"], &["region-0", "x"]];
            let scope = scopes[round.scopes[n] as usize];
            monitor(n as u128, revisions[n], intervals[n], scope)
        })
        .collect();
    Input { monitors, agents, regions: (0..2).map(region).collect(), ..old }
}

proptest! {
    #[test]
    fn slots_are_given_out_once_and_planning_settles(
        rounds in proptest::collection::vec(round(), 1..12),
    ) {
        let mut input = Input::default();
        let mut revisions = [1; 3];
        let mut now = 1_700_000_000_000;
        // What was given out, by place and revision: (first, last or open) in order.
        type Span = (i64, Option<i64>, i64);
        let mut owned: BTreeMap<(Uuid, Uuid, i64), Vec<Span>> = BTreeMap::new();
        for round in &rounds {
            now += round.later_ms;
            for (revision, more) in revisions.iter_mut().zip(&round.revisions) { *revision += more; }
            input = fleet(round, &revisions, input, now);
            let plan_now = plan(&input, now);
            for end in &plan_now.ends {
                let current = input.current.iter()
                    .find(|c| (c.monitor_id, c.region_id) == (end.monitor_id, end.region_id)).unwrap();
                let spans = owned.get_mut(&(end.monitor_id, end.region_id, current.revision)).unwrap();
                spans.last_mut().unwrap().1 = Some(end.last_slot);
            }
            for assign in &plan_now.assigns {
                prop_assert!(assign.slots.due(assign.first_slot) > now);
                let holder = input.agents.iter().find(|a| a.id == assign.agent_id).unwrap();
                prop_assert!(holder.health != Health::Barred);
                prop_assert_eq!(holder.region_id, assign.region_id);
                owned.entry((assign.monitor_id, assign.region_id, assign.revision)).or_default()
                    .push((assign.first_slot, None, assign.slots.anchor_ms));
            }
            apply(&mut input, &plan_now);
            let again = plan(&input, now);
            prop_assert!(again.is_empty(), "{again:?}");
            let text = serde_json::to_string(&input).unwrap();
            prop_assert_eq!(serde_json::from_str::<Input>(&text).unwrap(), input.clone());
        }
        for (place, spans) in owned {
            for pair in spans.windows(2) {
                let last = pair[0].1.expect("ended before the next began");
                prop_assert!(last < pair[1].0, "{place:?} {spans:?}");
                prop_assert_eq!(pair[0].2, pair[1].2, "the anchor stays within a revision");
            }
        }
    }

    #[test]
    fn losing_an_agent_moves_only_what_it_had(count in 2u128..8, lost in 0u128..8, monitors in 1u128..40) {
        let lost = lost % count;
        let mut input = Input {
            monitors: (0..monitors).map(|n| monitor(n, 1, 60_000, &["*"])).collect(),
            regions: vec![region(0)],
            agents: (0..count).map(|n| agent(n, 0, Health::Healthy, true)).collect(),
            ..Input::default()
        };
        let first = plan(&input, 0);
        apply(&mut input, &first);
        let name = format!("agent-{lost}");
        let had = input.current.iter().filter(|c| c.agent_id == name).count();
        input.agents[lost as usize].health = Health::Silent;
        let moved = plan(&input, 100_000);
        prop_assert_eq!(moved.ends.len(), had);
        prop_assert!(moved.assigns.iter().all(|assign| assign.agent_id != name));
    }
}

#[test]
fn a_monitor_is_mute_when_those_who_have_nobody_could_make_a_quorum() {
    let nobody = BTreeSet::new();
    let monitor_1 = BTreeSet::from([Uuid::from_u128(1)]);
    let mut input = three_regions();
    assert_eq!(mute(&input, &Plan::default()), monitor_1, "nobody has it yet");
    let first = plan(&input, 1_000_000);
    assert_eq!(mute(&input, &first), nobody);
    apply(&mut input, &first);
    let bar = |input: &mut Input, region: u128| {
        let region = Uuid::from_u128(100 + region);
        for agent in input.agents.iter_mut().filter(|agent| agent.region_id == region) {
            agent.health = Health::Barred;
        }
    };
    bar(&mut input, 0);
    let second = plan(&input, 1_500_000);
    assert_eq!(mute(&input, &second), monitor_1, "it has just lost a voice");
    apply(&mut input, &second);
    let third = plan(&input, 1_505_000);
    assert_eq!(mute(&input, &third), nobody, "two of three can tell, so it rests");
    // One of the two that are left lost its vote: what is said then says nothing.
    let mut doubted = input.clone();
    for agent in &mut doubted.agents {
        agent.discredited = agent.region_id == Uuid::from_u128(101);
    }
    assert_eq!(mute(&doubted, &Plan::default()), monitor_1);
    // Regions that join a set of every one and have nobody outweigh those that have.
    let mut grown = input.clone();
    grown.regions.extend([region(3), region(4)]);
    assert_eq!(mute(&grown, &plan(&grown, 1_510_000)), monitor_1);
    grown.monitors[0].quorum = Quorum::All;
    assert_eq!(mute(&grown, &plan(&grown, 1_510_000)), nobody, "three of five are not all");
    grown.monitors[0].quorum = Quorum::Any;
    assert_eq!(mute(&grown, &plan(&grown, 1_510_000)), monitor_1, "one would do");
    grown.monitors[0].enabled = false;
    assert_eq!(mute(&grown, &plan(&grown, 1_510_000)), nobody);
}
