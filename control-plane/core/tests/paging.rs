//! What becomes of what waits: groups, holds, notices.

use hyperverge_control_core::correlation::{Scope, Verdict};
use hyperverge_control_core::incident::SubjectKind;
use hyperverge_control_core::notification::NoticeKind::{self, Opened, Resolved, Widened};
use hyperverge_control_core::notification::hold::{Hold, HoldKind};
use hyperverge_control_core::paging::{
    Candidate, Cause, CauseKind, Concerns, Group, GroupRef, Input, Parent, ParentState, Plan,
    Reach, Traits, Waiting, plan, shared,
};
use proptest::prelude::*;
use std::collections::BTreeSet;
use uuid::Uuid;

const NOW: i64 = 1_000_000;

fn id(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

fn waits(event_number: i64, kind: NoticeKind, due_at: i64) -> Waiting {
    Waiting { event_number, kind, due_at, quiet: false }
}

/// A monitor that is down, with an opening that is due.
fn down(number: u128, host: &str) -> Candidate {
    Candidate {
        incident_id: id(number),
        subject: SubjectKind::Monitor,
        name: format!("monitor-{number}"),
        verdict: Verdict::Down,
        scope: Scope::Global,
        started_at: NOW - 6_000,
        resolved: false,
        paged: false,
        told_quietly: false,
        told_alone: false,
        group: None,
        waiting: vec![waits(1, Opened, NOW)],
        traits: Traits { host: Some(host.to_owned()), ..Traits::default() },
        parents: Vec::new(),
        interval_ms: 60_000,
        recheck_ms: 70_000,
        hold: None,
    }
}

fn decide(candidates: Vec<Candidate>) -> Plan {
    plan(&Input { candidates, ..Input::default() }, NOW)
}

fn child(number: u128, parent: u128, state: ParentState) -> Candidate {
    let parents = vec![Parent { name: format!("monitor-{parent}"), state }];
    Candidate { parents, ..down(number, &format!("child-{number}.example")) }
}

#[test]
fn strangers_are_told_one_by_one() {
    let plan = decide(vec![down(1, "a.example"), down(2, "b.example")]);
    assert_eq!(plan.sends.len(), 2);
    assert!(plan.forms.is_empty() && plan.sends.iter().all(|send| send.group.is_none()));
}

#[test]
fn a_shared_host_is_one_notice_and_the_not_yet_due_come_along() {
    let early = Candidate {
        waiting: vec![waits(1, Opened, NOW + 4_000)],
        started_at: NOW - 1_000,
        ..down(3, "edge.example")
    };
    let plan = decide(vec![down(1, "edge.example"), down(2, "edge.example"), early]);
    assert_eq!(plan.sends.len(), 1);
    assert_eq!(plan.sends[0].group, Some(GroupRef::LedBy(id(1))));
    let form = &plan.forms[0];
    assert_eq!(form.cause, Cause { kind: CauseKind::Host, value: "edge.example".into() });
    assert_eq!(form.summary, "3 monitors on the host edge.example are down");
    assert_eq!((form.lead, &form.members), (id(1), &vec![id(2), id(3)]));
    assert_eq!(plan.joins.len(), 2);
}

#[test]
fn beginnings_far_apart_share_nothing() {
    let old = Candidate { started_at: NOW - 900_000, ..down(1, "edge.example") };
    assert_eq!(decide(vec![old, down(2, "edge.example")]).sends.len(), 2);
}

#[test]
fn an_old_incident_keeps_nobody_from_being_grouped() {
    let old = Candidate {
        paged: true,
        waiting: Vec::new(),
        started_at: NOW - 90_000_000,
        ..down(1, "edge.example")
    };
    let plan = decide(vec![old, down(2, "edge.example"), down(3, "edge.example")]);
    assert_eq!((plan.sends.len(), plan.forms.len()), (1, 1));
    assert_eq!((plan.forms[0].lead, &plan.forms[0].members), (id(2), &vec![id(3)]));
}

#[test]
fn who_was_told_alone_is_over_alone() {
    let told =
        |number| Candidate { paged: true, waiting: Vec::new(), ..down(number, "edge.example") };
    let plan = decide(vec![told(1), told(2), down(3, "edge.example")]);
    assert_eq!((plan.forms[0].lead, &plan.forms[0].members), (id(1), &vec![id(3)]));
}

#[test]
fn who_comes_late_joins_quietly() {
    let told = Candidate { paged: true, waiting: Vec::new(), ..down(1, "edge.example") };
    let first = decide(vec![told, down(2, "edge.example")]);
    assert!(first.sends.is_empty(), "the first was told already");
    assert!(first.widens(&first.forms[0]), "of the second nobody knows");
    assert_eq!((first.forms[0].lead, first.joins[0].incident_id), (id(1), id(2)));

    let group = Group {
        id: id(77),
        cause: first.forms[0].cause.clone(),
        lead: id(1),
        newest_started_at: NOW - 60_000,
        interval_ms: 60_000,
        quiet: false,
        told_global: true,
        unresolved: 2,
    };
    let input = Input {
        candidates: vec![down(3, "edge.example")],
        groups: vec![group.clone()],
        ..Input::default()
    };
    let late = plan(&input, NOW);
    assert!(late.sends.is_empty());
    assert_eq!((late.joins[0].group, &late.joins[0].events), (GroupRef::Known(id(77)), &vec![1]));

    // It ends with its last member, through its lead.
    let over = |number: u128| Candidate {
        resolved: true,
        paged: true,
        group: Some(id(77)),
        verdict: Verdict::Up,
        waiting: vec![waits(5, Resolved, NOW)],
        ..down(number, "edge.example")
    };
    let one_left = Input {
        candidates: vec![over(1), over(2)],
        groups: vec![Group { unresolved: 1, ..group.clone() }],
        ..Input::default()
    };
    let waiting = plan(&one_left, NOW);
    assert!(waiting.sends.is_empty() && waiting.closes.is_empty());
    assert_eq!((waiting.holds[0].incident_id, waiting.folds[0].incident_id), (id(1), id(2)));
    let none_left = Input { groups: vec![Group { unresolved: 0, ..group }], ..one_left };
    let ended = plan(&none_left, NOW);
    assert_eq!((ended.sends.len(), ended.sends[0].kind), (1, Resolved));
    assert_eq!(ended.closes, [id(77)]);
}

#[test]
fn a_neighbour_in_a_network_is_told_by_itself() {
    let seen = |number: u128, paged| {
        let networks = BTreeSet::from(["192.0.2.0/24".to_owned()]);
        let traits = Traits { networks, ..Traits::default() };
        let waiting = if paged { Vec::new() } else { vec![waits(1, Opened, NOW)] };
        Candidate { traits, paged, waiting, ..down(number, "") }
    };
    let two = decide(vec![seen(1, true), seen(2, false)]);
    assert_eq!((two.forms.len(), two.joins.len(), two.sends[0].incident_id), (0, 0, id(2)));
    let three = decide(vec![seen(1, true), seen(2, false), seen(3, false)]);
    assert_eq!((three.forms[0].members.len(), three.sends.len()), (2, 0));
    let together = decide(vec![seen(1, false), seen(2, false)]);
    assert_eq!((together.forms.len(), together.sends.len()), (1, 1), "of one moment");
    assert!(!together.widens(&together.forms[0]));
}

#[test]
fn who_was_told_by_itself_is_told_of_its_own_end() {
    let over = |told_alone| Candidate {
        resolved: true,
        paged: true,
        told_alone,
        group: Some(id(77)),
        verdict: Verdict::Up,
        waiting: vec![waits(5, Resolved, NOW)],
        ..down(2, "edge.example")
    };
    let group = Group {
        id: id(77),
        cause: Cause { kind: CauseKind::Host, value: "edge.example".to_owned() },
        lead: id(1),
        newest_started_at: NOW,
        interval_ms: 60_000,
        quiet: false,
        told_global: true,
        unresolved: 1,
    };
    let ends = |told_alone| {
        let groups = vec![group.clone()];
        plan(&Input { candidates: vec![over(told_alone)], groups, ..Input::default() }, NOW)
    };
    assert_eq!((ends(true).sends[0].incident_id, ends(true).folds.len()), (id(2), 0));
    assert_eq!((ends(false).sends.len(), ends(false).folds.len()), (0, 1));
}

#[test]
fn who_was_told_quietly_by_itself_is_over_by_itself_though_it_was_down_for_a_moment() {
    let told = Candidate { paged: true, waiting: Vec::new(), ..down(1, "edge.example") };
    let over = Candidate {
        resolved: true,
        told_quietly: true,
        told_alone: true,
        verdict: Verdict::Up,
        waiting: vec![waits(3, Opened, NOW), waits(5, Resolved, NOW)],
        ..down(2, "edge.example")
    };
    let plan = decide(vec![told, over]);
    let sent: Vec<_> =
        plan.sends.iter().map(|send| (send.incident_id, send.kind, send.group)).collect();
    assert_eq!(sent, [(id(2), Resolved, None)]);
    assert!(plan.joins.is_empty() && plan.sends[0].opening_included);
}

#[test]
fn a_region_of_which_most_is_well_is_no_cause() {
    let seen = |number: u128| Candidate {
        scope: Scope::Regional,
        traits: Traits { regions: BTreeSet::from(["eu".into(), "us".into()]), ..Traits::default() },
        ..down(number, "")
    };
    let candidates: Vec<_> = (1..4).map(seen).collect();
    let grouped = decide(candidates.clone());
    assert_eq!(grouped.forms[0].summary, "3 monitors seen from eu, us are down");
    assert_eq!(decide(candidates[..2].to_vec()).sends.len(), 2, "two may be chance");
    let region = grouped.forms[0].cause.clone();
    let input = Input { candidates, population: [(region, 7)].into(), ..Input::default() };
    assert_eq!(plan(&input, NOW).sends.len(), 3);
}

#[test]
fn children_wait_for_their_parent_and_are_listed_with_it() {
    let parent = down(1, "gateway.example");
    let held = decide(vec![parent.clone(), child(2, 1, ParentState::Down)]);
    assert_eq!((held.sends.len(), held.sends[0].incident_id), (1, id(1)));
    assert_eq!(held.holds[0].why, "it depends on monitor-1, which is down");
    assert_eq!(held.forms[0].held, [id(2)]);
    assert_eq!(
        held.forms[0].summary,
        "monitor-1 is down, and with it 1 monitor that depends on it"
    );
    let confirming = decide(vec![child(2, 1, ParentState::Confirming { until: NOW + 9_000 })]);
    assert!(confirming.sends.is_empty() && confirming.holds[0].until <= NOW + 1_000);
    let back = child(2, 1, ParentState::Well { since: NOW - 1_000 });
    assert!(decide(vec![back]).sends.is_empty(), "it has not looked again yet");
    let still = child(2, 1, ParentState::Well { since: NOW - 70_000 });
    let still = Candidate { started_at: NOW - 100_000, group: None, ..still };
    assert_eq!(decide(vec![still]).sends.len(), 1, "released");
    let flaps = Candidate {
        started_at: NOW - 211_000,
        ..child(2, 1, ParentState::Well { since: NOW - 1_000 })
    };
    assert_eq!(decide(vec![flaps]).sends.len(), 1, "the parent comes and goes");
    assert_eq!(decide(vec![child(2, 1, ParentState::Well { since: 0 })]).sends.len(), 1);
    assert_eq!(decide(vec![child(2, 1, ParentState::Unknown)]).sends.len(), 1);
}

#[test]
fn a_parent_that_was_lost_sight_of_holds_for_a_while_what_began_before() {
    let of = |since| decide(vec![child(2, 1, ParentState::Lost { since })]);
    // The child began 6 s ago.
    let held = of(NOW - 5_999);
    assert_eq!(held.sends.len(), 0);
    assert_eq!(held.holds[0].why, "it depends on monitor-1, which was down when it was last seen");
    assert!(held.holds[0].until <= NOW - 5_999 + 120_000);
    assert_eq!(of(NOW - 6_000).sends.len(), 1, "it began when nobody saw the parent any more");
    let old = |since| {
        let child = child(2, 1, ParentState::Lost { since });
        decide(vec![Candidate { started_at: NOW - 300_000, ..child }])
    };
    assert_eq!(old(NOW - 119_999).sends.len(), 0);
    assert_eq!(old(NOW - 120_000).sends.len(), 1, "trouble of ours hides nothing for long");
    assert_eq!(old(NOW + 3_600_000).sends.len(), 1, "the clock was set back");
}

#[test]
fn a_circle_holds_only_who_began_later() {
    let first = Candidate { started_at: NOW - 9_000, ..child(1, 2, ParentState::Down) };
    let plan = decide(vec![first, child(2, 1, ParentState::Down)]);
    assert_eq!((plan.sends.len(), plan.sends[0].incident_id), (1, id(1)));
}

#[test]
fn a_quorum_that_is_not_there_any_more_pages_nobody() {
    let with = |verdict| decide(vec![Candidate { verdict, ..down(1, "a.example") }]);
    assert_eq!(with(Verdict::Unknown).holds.len(), 1);
    for verdict in [Verdict::Up, Verdict::Degraded] {
        let plan = with(verdict);
        assert_eq!((plan.sends.len(), plan.folds.len()), (0, 1));
    }
}

#[test]
fn what_falls_below_the_quorum_untold_is_told_to_who_hears_of_such() {
    let fell = Candidate {
        verdict: Verdict::Up,
        waiting: vec![
            waits(1, Opened, NOW),
            Waiting { quiet: true, ..waits(2, Opened, NOW + 1_000) },
        ],
        ..down(1, "a.example")
    };
    let first = decide(vec![fell.clone()]);
    assert_eq!((first.sends.len(), &first.folds[0].events), (0, &vec![1]));
    let later = plan(
        &Input {
            candidates: vec![Candidate { waiting: fell.waiting[1..].to_vec(), ..fell }],
            ..Input::default()
        },
        NOW + 1_000,
    );
    assert_eq!((later.sends[0].event_number, later.sends[0].quiet), (2, true));
}

#[test]
fn a_lead_that_is_down_again_speaks_for_its_group_whatever_that_was_told() {
    let widens = |number| Candidate {
        paged: true,
        group: Some(id(77)),
        waiting: vec![waits(4, Widened, NOW)],
        ..down(number, "edge.example")
    };
    let group = Group { quiet: false, told_global: true, ..quiet_group(2) };
    let plan = beside(vec![widens(1), widens(2)], group);
    assert_eq!((plan.sends.len(), plan.sends[0].incident_id), (1, id(1)));
    assert_eq!(plan.folds[0].incident_id, id(2));
}

#[test]
fn the_first_of_a_group_to_hurt_everywhere_says_so_if_its_lead_does_not() {
    let widens = |number, scope| Candidate {
        paged: true,
        group: Some(id(77)),
        waiting: vec![waits(4, Widened, NOW)],
        scope,
        ..down(number, "edge.example")
    };
    let of = |all: Vec<Candidate>, told_global| {
        let groups = vec![Group { quiet: false, told_global, ..quiet_group(3) }];
        let input = Input { candidates: all, groups, ..Input::default() };
        let plan = plan(&input, NOW);
        for one in &input.candidates {
            let (part, _) = Concerns::new(&input).of(one.incident_id, Reach::Parents, 100);
            let about = plan.about(one.incident_id);
            assert!(self::plan(&part, NOW).has(&about, false), "{about:?}");
        }
        let told = plan.sends.iter().map(|send| send.incident_id).collect::<Vec<_>>();
        (told, plan.folds.len())
    };
    let regional = Candidate { waiting: Vec::new(), ..widens(1, Scope::Regional) };
    let others = || vec![regional.clone(), widens(2, Scope::Global), widens(3, Scope::Global)];
    assert_eq!(of(others(), false), (vec![id(2)], 1));
    assert_eq!(of(others(), true), (vec![], 2), "people know");
    let all = vec![widens(1, Scope::Global), widens(2, Scope::Global)];
    assert_eq!(of(all, false), (vec![id(1)], 1), "the lead says it");
    let back = |beside: Candidate| of(vec![beside, widens(2, Scope::Regional)], false);
    assert_eq!(back(regional.clone()), (vec![], 1), "its lead is down, and told");
    let well = Candidate { verdict: Verdict::Up, ..regional.clone() };
    assert_eq!(back(well.clone()), (vec![id(2)], 0), "it is the only one that is down");
    let both = vec![well, widens(3, Scope::Regional), widens(2, Scope::Regional)];
    assert_eq!(of(both, true), (vec![id(2)], 1), "one speaks");
    let beside = Candidate { incident_id: id(5), ..regional };
    let known = vec![beside, widens(2, Scope::Regional)];
    assert_eq!(of(known, true), (vec![], 1), "another member is down");
}

#[test]
fn a_parent_that_was_well_all_along_is_no_cause() {
    let of = |state| decide(vec![child(2, 1, state), child(3, 1, state)]);
    let well = of(ParentState::Well { since: NOW - 90_000 });
    assert_eq!((well.forms.len(), well.sends.len()), (0, 2));
    let unknown = of(ParentState::Unknown);
    assert_eq!((unknown.forms[0].cause.kind, unknown.sends.len()), (CauseKind::Parent, 1));
    // Who comes late joins its siblings, but not what a parent's own page has told.
    let late = |lead: Candidate| {
        let group = Group {
            cause: Cause { kind: CauseKind::Parent, value: "monitor-1".to_owned() },
            lead: lead.incident_id,
            quiet: false,
            ..quiet_group(1)
        };
        let lead = Candidate { paged: true, group: Some(group.id), waiting: Vec::new(), ..lead };
        beside(vec![lead, child(9, 1, ParentState::Unknown)], group)
    };
    let sibling = late(child(2, 1, ParentState::Unknown));
    assert_eq!((sibling.joins.len(), sibling.sends.len()), (1, 0));
    let parent = late(down(1, "parent.example"));
    assert_eq!((parent.joins.len(), parent.sends.len()), (0, 1));
}

#[test]
fn what_has_hurt_for_long_does_not_count_among_those_that_began_together() {
    let network = |number, started_at| Candidate {
        started_at,
        traits: Traits { networks: ["192.0.2.0/24".to_owned()].into(), ..Traits::default() },
        ..down(number, "unused.example")
    };
    let cause = Cause { kind: CauseKind::Network, value: "192.0.2.0/24".to_owned() };
    let old = network(1, NOW - 90_000_000);
    let now = [network(2, NOW - 6_000), network(3, NOW - 3_000)];
    let all = [&[old.clone()][..], &now[..]].concat();
    assert_eq!(shared(&all).get(&cause), Some(&(2, NOW - 6_000)));
    assert!(shared(&[old, now[0].clone()]).is_empty(), "one beside an old one is alone");
}

#[test]
fn what_is_held_is_told_when_the_hold_ends_and_not_if_it_was_over_by_then() {
    let hold =
        Hold { until: NOW + 60_000, kind: HoldKind::Silence, id: id(9), name: "work".into() };
    let silenced = Candidate { hold: Some(hold), ..down(1, "a.example") };
    let plan = decide(vec![silenced.clone()]);
    assert_eq!(plan.holds[0].why, "held by the silence work");
    let over = Candidate {
        resolved: true,
        waiting: vec![waits(1, Opened, NOW), waits(2, Resolved, NOW)],
        ..silenced
    };
    let plan = decide(vec![over.clone()]);
    assert_eq!((plan.sends.len(), plan.folds[0].events.len()), (0, 2));
    // Who was told quietly before hears the end; a hold that is about to end changes nothing.
    let quietly = decide(vec![Candidate { told_quietly: true, ..over.clone() }]);
    assert!(quietly.sends[0].quiet && quietly.sends[0].kind == Resolved);
    let almost = Candidate {
        waiting: vec![waits(1, Opened, NOW + 2_000), waits(2, Resolved, NOW)],
        ..over.clone()
    };
    assert_eq!(decide(vec![almost]).sends.len(), 0);
    let told = decide(vec![Candidate { hold: None, ..over.clone() }]);
    assert!(told.sends[0].opening_included && told.sends[0].kind == Resolved);
    // Whoever was told of the beginning hears the end, silence or not.
    let paged = Candidate { paged: true, waiting: vec![waits(2, Resolved, NOW)], ..over };
    assert_eq!(decide(vec![paged]).sends.len(), 1);
}

#[test]
fn quiet_incidents_never_lead_loud_ones() {
    let quiet = |number| Candidate {
        verdict: Verdict::Up,
        scope: Scope::Local,
        waiting: vec![Waiting { quiet: true, ..waits(1, Opened, NOW) }],
        ..down(number, "edge.example")
    };
    let plan = decide(vec![quiet(1), quiet(2), down(3, "edge.example")]);
    let loud: Vec<_> = plan.sends.iter().filter(|send| !send.quiet).collect();
    assert_eq!((loud.len(), loud[0].incident_id, loud[0].group), (1, id(3), None));
    assert!(plan.forms.iter().all(|form| form.quiet));
}

/// Down on a quiet group's host, told of it with the others of the group.
fn told_quietly(number: u128) -> Candidate {
    Candidate { told_quietly: true, group: Some(id(77)), ..down(number, "edge.example") }
}

/// The group of those, led by the first, with this many that are not over.
fn quiet_group(unresolved: u32) -> Group {
    Group {
        id: id(77),
        cause: Cause { kind: CauseKind::Host, value: "edge.example".to_owned() },
        lead: id(1),
        newest_started_at: NOW - 6_000,
        interval_ms: 60_000,
        quiet: true,
        told_global: false,
        unresolved,
    }
}

fn beside(candidates: Vec<Candidate>, group: Group) -> Plan {
    plan(&Input { candidates, groups: vec![group], ..Input::default() }, NOW)
}

#[test]
fn what_was_told_quietly_leaves_its_group_when_it_is_told_with_a_quorum() {
    let together = beside(vec![told_quietly(1), told_quietly(2)], quiet_group(2));
    assert_eq!(together.leaves, [id(1), id(2)]);
    assert_eq!((together.sends.len(), together.sends[0].quiet), (1, false));
    let form = &together.forms[0];
    assert_eq!((form.lead, &form.members, form.quiet), (id(1), &vec![id(2)], false));
    assert!(together.closes.is_empty(), "it has members until this was carried out");
    let alone = beside(vec![told_quietly(1)], quiet_group(2));
    assert_eq!((alone.leaves.len(), alone.forms.len(), alone.sends[0].group), (1, 0, None));
    let child = child(9, 1, ParentState::Down);
    let with_child = beside(vec![told_quietly(1), child], quiet_group(2));
    assert_eq!((&with_child.forms[0].held, with_child.joins.len()), (&vec![id(9)], 0));
}

#[test]
fn what_is_quiet_comes_into_no_group_that_people_are_paged_for() {
    let quiet = Candidate {
        verdict: Verdict::Up,
        scope: Scope::Local,
        waiting: vec![Waiting { quiet: true, ..waits(1, Opened, NOW) }],
        ..down(3, "edge.example")
    };
    let paged = Group { quiet: false, ..quiet_group(2) };
    let plan = beside(vec![quiet], paged.clone());
    assert!(plan.joins.is_empty() && plan.sends[0].quiet, "{plan:?}");
    // It is down later: it comes in like any other that is late.
    let told = Candidate { told_quietly: true, told_alone: true, ..down(3, "edge.example") };
    let plan = beside(vec![told], paged);
    assert_eq!((plan.joins[0].group, plan.sends.len()), (GroupRef::Known(id(77)), 0));
}

#[test]
fn the_end_of_a_quiet_group_is_told_though_its_lead_is_gone() {
    let over = |number| Candidate {
        resolved: true,
        verdict: Verdict::Up,
        waiting: vec![Waiting { quiet: true, ..waits(5, Resolved, NOW) }],
        ..told_quietly(number)
    };
    // The first of those that are over waits beside the lead, the others need not.
    let waiting = beside(vec![over(2), over(3)], quiet_group(1));
    assert_eq!((waiting.holds[0].incident_id, waiting.folds[0].incident_id), (id(2), id(3)));
    assert!(waiting.sends.is_empty() && waiting.closes.is_empty());
    let tells = |plan: &Plan| plan.sends.iter().map(|send| send.incident_id).collect::<Vec<_>>();
    let all = beside(vec![over(1), over(2)], quiet_group(0));
    assert_eq!((tells(&all), &all.closes), (vec![id(1)], &vec![id(77)]));
    let without = beside(vec![over(2), over(3)], quiet_group(0));
    assert_eq!((tells(&without), &without.closes), (vec![id(2)], &vec![id(77)]));
    assert!(without.sends[0].quiet);
    // Until it is due the group stays.
    let mut later = over(2);
    later.waiting[0].due_at = NOW + 1_000;
    assert!(beside(vec![later], quiet_group(0)).is_empty());
    // A lead that is told of both at once by itself does not speak for the others.
    let mut lead = over(1);
    lead.waiting = vec![waits(3, Opened, NOW), waits(5, Resolved, NOW)];
    lead.told_alone = true;
    let both = beside(vec![lead, over(2)], quiet_group(0));
    assert_eq!(tells(&both).len(), 2, "{both:?}");
}

#[test]
fn evidence_leaves_out_what_shares_no_more_than_a_well_network() {
    let seen = |number: u128| {
        let traits =
            Traits { networks: BTreeSet::from(["192.0.2.0/24".into()]), ..Traits::default() };
        Candidate { traits, ..down(number, "") }
    };
    let candidates: Vec<_> = (1..=50).map(seen).collect();
    let network = Cause { kind: CauseKind::Network, value: "192.0.2.0/24".into() };
    let of_one = |population| {
        let population = [(network.clone(), population)].into();
        let input = Input { candidates: candidates.clone(), population, ..Input::default() };
        let (part, left_out) = Concerns::new(&input).of(id(7), Reach::Causes, 100);
        let then = plan(&input, NOW).about(id(7));
        assert!(plan(&part, NOW).has(&then, left_out > 0), "decides the same again");
        (part.candidates.len(), left_out)
    };
    assert_eq!(of_one(200), (1, 0), "of 200 that share it most are well");
    assert_eq!(of_one(60), (50, 0));
}

#[test]
fn thousands_at_once_are_one_notice() {
    let all: Vec<_> = (0..2_800)
        .map(|number| {
            let mut one = down(number, &format!("shop-{number}.example"));
            one.traits.addresses.insert("192.0.2.7".into());
            one.traits.networks.insert("192.0.2.0/24".into());
            one
        })
        .collect();
    let plan = decide(all);
    assert_eq!((plan.sends.len(), plan.forms.len(), plan.joins.len()), (1, 1, 2_799));
    assert_eq!(plan.forms[0].cause.kind, CauseKind::Address);
}

fn any_candidate() -> impl Strategy<Value = Candidate> {
    let waiting = prop::collection::vec((0u8..3, -10i64..10, any::<bool>()), 0..4);
    (0u128..40, 0u8..3, waiting, any::<[bool; 4]>(), 0usize..4, -200i64..0, 0u8..6).prop_map(
        |(number, host, waiting, [resolved, paged, grouped, held], verdict, began, parent)| {
            let verdict =
                [Verdict::Down, Verdict::Up, Verdict::Unknown, Verdict::Degraded][verdict];
            let waiting = (1..).zip(waiting).map(|(event, (kind, due, quiet))| Waiting {
                quiet: quiet && kind != 1,
                ..waits(event, [Opened, Widened, Resolved][usize::from(kind)], NOW + due * 1_000)
            });
            let state = [
                ParentState::Unknown,
                ParentState::Down,
                ParentState::Lost { since: NOW - 5_000 },
                ParentState::Confirming { until: NOW + 5_000 },
                ParentState::Well { since: NOW - 5_000 },
            ];
            let parents = state
                .get(usize::from(parent))
                .map(|state| Parent { name: format!("monitor-{}", number % 7), state: *state });
            Candidate {
                verdict,
                resolved,
                paged,
                group: grouped.then_some(id(1_000)),
                waiting: waiting.collect(),
                started_at: NOW + began * 1_000,
                parents: parents.into_iter().collect(),
                hold: held.then(|| Hold {
                    until: NOW + 9_000,
                    kind: HoldKind::Maintenance,
                    id: id(5),
                    name: "window".into(),
                }),
                ..down(number, &format!("host-{host}.example"))
            }
        },
    )
}

proptest! {
    /// Whatever waits: nothing is settled twice or both sent and folded, no page goes
    /// out without a verdict of down, and nothing that is held is sent.
    #[test]
    fn everything_is_settled_once_and_no_page_lacks_a_quorum(
        all in prop::collection::vec(any_candidate(), 0..24), unresolved in 0u32..3, quiet: bool,
    ) {
        let mut seen = BTreeSet::new();
        let candidates: Vec<_> = all.into_iter().filter(|one| seen.insert(one.incident_id)).collect();
        let lead = candidates.first().map_or(id(0), |one| one.incident_id);
        let group = Group {
            id: id(1_000),
            cause: Cause { kind: CauseKind::Host, value: "host-1.example".into() },
            lead,
            newest_started_at: NOW - 50_000,
            interval_ms: 60_000,
            quiet,
            told_global: false,
            unresolved,
        };
        let input = Input { candidates, groups: vec![group], ..Input::default() };
        let plan = plan(&input, NOW);
        let mut settled = BTreeSet::new();
        let mut settle = |incident: Uuid, event: i64| settled.insert((incident, event));
        for send in &plan.sends {
            let fresh = settle(send.incident_id, send.event_number);
            prop_assert!(fresh, "{send:?}");
            for event in &send.folded {
                let fresh = settle(send.incident_id, *event);
                prop_assert!(fresh);
            }
            let one = input.candidates.iter().find(|one| one.incident_id == send.incident_id).unwrap();
            if matches!(send.kind, Opened | Widened) && !send.quiet {
                prop_assert_eq!(one.verdict, Verdict::Down);
                prop_assert!(one.hold.is_none());
            }
        }
        for (incident, events) in plan.folds.iter().map(|fold| (fold.incident_id, &fold.events))
            .chain(plan.joins.iter().map(|join| (join.incident_id, &join.events)))
            .chain(plan.holds.iter().map(|hold| (hold.incident_id, &hold.events))) {
            for event in events {
                let fresh = settle(incident, *event);
                prop_assert!(fresh, "{incident} {event}");
            }
        }
        let text = serde_json::to_string(&input).unwrap();
        prop_assert_eq!(serde_json::from_str::<Input>(&text).unwrap(), input);
    }
}
