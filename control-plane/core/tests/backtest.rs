//! What is stored, decided upon again: by the present policy as it was, by
//! another as it would have been.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use hyperverge_control_core::assignment::Slots;
use hyperverge_control_core::backtest::{
    Compared, Difference, Outage, Question, Read, compare, count, report, run,
};
use hyperverge_control_core::correlation::{Scope, Sight, Step, Verdict};
use hyperverge_control_core::history::{
    Arrival, Asked, History, Mark, Place, Replay, Revision, Tenure, Through,
};
use hyperverge_protocol::monitor::MonitorSpec;
use hyperverge_protocol::outcome::Outcome;
use proptest::prelude::*;
use serde_json::json;
use uuid::Uuid;

const INTERVAL_MS: i64 = 10_000;
const BEGIN: i64 = 1_769_860_800_000;
const FIRST_SLOT: i64 = BEGIN / INTERVAL_MS;
const GROUP_WAIT_MS: i64 = 5_000;
const REGIONS: [&str; 3] = ["ap", "eu", "us"];

fn region(index: usize) -> Uuid {
    Uuid::from_u128(index as u128 + 1)
}

fn spec(policy: serde_json::Value) -> MonitorSpec {
    let json = json!({
        "name": "shop", "target": "https://shop.example/", "interval": "10s",
        "regions": REGIONS, "policy": policy,
    });
    MonitorSpec::from_json(json.to_string().as_bytes()).unwrap()
}

/// Three regions, each with its agent from the beginning.
fn history(arrivals: Vec<Arrival>) -> History {
    let place = |(index, name): (usize, &&str)| Place {
        id: region(index),
        name: (*name).to_owned(),
        first_agent_at: Some(0),
        retired_at: None,
    };
    let tenure = |index| Tenure {
        region_id: region(index),
        agent_id: format!("agent-{index}"),
        revision: 1,
        first_slot: FIRST_SLOT,
        slots: Slots { anchor_ms: 0, interval_ms: INTERVAL_MS },
        assigned_at: BEGIN - 1,
        ended_at: None,
        predecessor_through: None,
    };
    History {
        revisions: vec![Revision {
            number: 1,
            spec: spec(json!({})),
            created_at: BEGIN - 2,
            deleted: false,
        }],
        regions: REGIONS.iter().enumerate().map(place).collect(),
        tenures: (0..REGIONS.len()).map(tenure).collect(),
        arrivals,
        ..History::default()
    }
}

/// What the region saw of the slot (from 0); it arrives 100 ms after it was due.
fn seen(index: usize, slot: i64, outcome: Outcome) -> Arrival {
    let due = (FIRST_SLOT + slot) * INTERVAL_MS;
    let reason = match outcome {
        Outcome::Ok => None,
        Outcome::Degraded => Some("latency"),
        Outcome::Policy => Some("policy_address"),
        Outcome::Fail | Outcome::Unsupported => Some("connect_refused"),
    };
    Arrival {
        received_at: due + 100 + index as i64,
        region_id: region(index),
        revision: 1,
        step: Step::Sight(Sight {
            slot: FIRST_SLOT + slot,
            burst: None,
            started_at: due + 10,
            outcome,
            reason: reason.map(str::to_owned),
            message: None,
        }),
        through: Through::Said(due),
    }
}

/// One line for each region: `.` success, `x` failure, `p` policy, space: nothing arrives.
fn story(lines: [&str; 3]) -> Vec<Arrival> {
    let mut arrivals = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        for (slot, sign) in (0..).zip(line.chars()) {
            let outcome = match sign {
                '.' => Outcome::Ok,
                'x' => Outcome::Fail,
                'p' => Outcome::Policy,
                _ => continue,
            };
            arrivals.push(seen(index, slot, outcome));
        }
    }
    arrivals.sort_by_key(|arrival| arrival.received_at);
    arrivals
}

fn outages(lines: [&str; 3], policy: serde_json::Value) -> Vec<Outage> {
    let proposed = spec(policy);
    run(&history(story(lines)), Asked::By(&proposed), GROUP_WAIT_MS, i64::MAX)
}

fn due(slot: i64) -> i64 {
    (FIRST_SLOT + slot) * INTERVAL_MS
}

#[test]
fn an_outage_is_one_page_after_the_group_wait_and_one_word_when_it_is_over() {
    let found = outages(["..xxxx...", "..xxxx...", "..xxxx..."], json!({}));
    let [outage] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!((outage.verdict, outage.scope), (Verdict::Down, Scope::Global));
    assert_eq!(outage.first_failed_at, due(2) + 10);
    assert_eq!(outage.opened_at, due(3) + 100, "quietly, with the first region");
    assert_eq!(outage.paged_at(), Some(due(3) + 101 + GROUP_WAIT_MS), "the second region");
    assert_eq!(outage.pages.len(), 2);
    assert_eq!(outage.pages[1].at, due(7) + 102, "two successes of every region");
    assert_eq!(outage.resolved_at, Some(due(7) + 102));
    assert_eq!(outage.regions, REGIONS);
}

#[test]
fn a_policy_decides_who_is_told() {
    let blip = ["..xx.....", "..xx.....", "........."];
    let pages = |policy| -> Vec<bool> {
        outages(blip, policy).iter().map(|outage| outage.paged_at().is_some()).collect()
    };
    assert_eq!(pages(json!({})), [true]);
    assert_eq!(pages(json!({ "quorum": "all" })), [false]);
    assert_eq!(pages(json!({ "fail_after": 3 })), [] as [bool; 0]);
    let quick = outages(blip, json!({ "fail_after": 1 }));
    assert_eq!(quick[0].paged_at(), Some(due(2) + 101 + GROUP_WAIT_MS));
}

#[test]
fn silence_is_no_failure_and_a_region_that_never_spoke_keeps_its_seat() {
    let found = outages(["..xxxxxxxxxx", "..          ", "..          "], json!({}));
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].verdict, found[0].paged_at()), (Verdict::Up, None));
    let found = outages(["..xxxx", "..xxxx", "      "], json!({ "quorum": "all" }));
    assert!(found.iter().all(|outage| outage.paged_at().is_none()), "{found:?}");
}

#[test]
fn what_came_too_late_is_history() {
    let mut arrivals = story(["............", "............", "............"]);
    for slot in 4..8 {
        for index in 0..3 {
            let mut late = seen(index, slot, Outcome::Fail);
            late.received_at = due(11) + 5_000;
            arrivals.push(late);
        }
    }
    arrivals.sort_by_key(|arrival| arrival.received_at);
    let proposed = spec(json!({ "fail_after": 1 }));
    assert!(run(&history(arrivals), Asked::By(&proposed), 0, i64::MAX).is_empty());
}

#[test]
fn a_monitor_that_is_disabled_ends_its_incident() {
    let mut past = history(story(["..xxxx", "..xxxx", "..xxxx"]));
    let mut off = spec(json!({}));
    off.enabled = false;
    let created_at = due(5) + 5_000;
    past.revisions.push(Revision { number: 2, spec: off, created_at, deleted: false });
    let present = spec(json!({}));
    let found = run(&past, Asked::By(&present), 0, i64::MAX);
    assert_eq!(found[0].resolved_at, Some(created_at));
    assert!(found[0].summary.contains("disabled"), "{}", found[0].summary);
}

#[test]
fn the_four_differences() {
    let differences = |lines, policy| -> Vec<(Difference, String)> {
        let sent = outages(lines, json!({}));
        let compared = compare(&outages(lines, policy), &sent);
        compared.into_iter().map(|line| (line.difference, line.why)).collect()
    };
    let everywhere = ["..xx.....", "..xx.....", "..xx....."];
    let somewhere = ["..xx.....", "..xx.....", "........."];
    assert_eq!(differences(everywhere, json!({}))[0].0, Difference::Same);
    let missed = differences(everywhere, json!({ "fail_after": 3 }));
    assert_eq!(missed[0].0, Difference::Missed, "{missed:?}");
    let saved = differences(somewhere, json!({ "fail_after": 3 }));
    assert_eq!(saved[0].0, Difference::Saved, "{saved:?}");
    let alone = ["..xx.....", ".........", "........."];
    let new = differences(alone, json!({ "quorum": "any" }));
    assert_eq!(new[0].0, Difference::New, "{new:?}");
}

#[test]
fn delays_count_from_the_first_failed_check_and_two_pages_of_one_outage_are_one() {
    let flapping = ["..xx..xx....", "..xx..xx....", "..xx..xx...."];
    let sent = outages(flapping, json!({}));
    assert_eq!(sent.len(), 2);
    let proposed = outages(flapping, json!({ "recover_after": 3 }));
    assert_eq!(proposed.len(), 1);
    let compared: Vec<Compared> = compare(&proposed, &sent);
    assert_eq!(count(&compared, Difference::Same), 1);
    assert_eq!(count(&compared, Difference::Saved), 1, "{compared:?}");
    assert_eq!(compared[0].other_delay_ms, Some(INTERVAL_MS + 91 + GROUP_WAIT_MS));
    assert_eq!(compared[0].proposed_delay_ms, compared[0].other_delay_ms);
}

#[test]
fn a_report_says_what_it_cannot_know() {
    let past = history(story(["....", "....", "    "]));
    let present = spec(json!({}));
    let question = Question {
        proposed: present.clone(),
        present,
        from: BEGIN,
        until: due(10),
        group_wait_ms: GROUP_WAIT_MS,
    };
    let read = Read { results: 8, undated: 2, first_at: Some(BEGIN), ..Read::default() };
    let answer = report(&question, &past, Vec::new(), read);
    let said = answer.unknown.join("\n");
    for words in ["from us:", "burst", "Silences", "2 results without a known time"] {
        assert!(said.contains(words), "{words}: {said}");
    }
    assert!(answer.summary.contains("0 outages"), "{}", answer.summary);
}

#[test]
fn marks_and_forgotten_batches_keep_an_agent_fresh() {
    let mut past = history(story(["..", "..", ".."]));
    let late = due(60);
    let marks = (0..3).map(|index| Mark {
        agent_id: format!("agent-{index}"),
        received_at: late,
        through: late,
    });
    let mut replay = Replay::new(&past, Asked::AsThen);
    replay.go_through(late);
    assert_eq!(replay.evaluation().unwrap().silent, 3);
    past.marks = marks.collect();
    let mut replay = Replay::new(&past, Asked::AsThen);
    replay.go_through(late);
    assert_eq!(replay.evaluation().unwrap().up, 3);
}

fn sign() -> impl Strategy<Value = char> {
    prop_oneof![6 => Just('.'), 5 => Just('x'), 1 => Just('p'), 1 => Just(' ')]
}

fn line() -> impl Strategy<Value = String> {
    proptest::collection::vec(sign(), 1..40).prop_map(|signs| signs.into_iter().collect())
}

proptest! {
    /// Skipping what is steady changes nothing: looking at every moment finds the same.
    #[test]
    fn nothing_is_overlooked_between_moments(
        ap in line(), eu in line(), us in line(), fail_after in 1u32..4, recover_after in 1u32..4,
    ) {
        let policy = json!({ "fail_after": fail_after, "recover_after": recover_after });
        let rule = spec(policy);
        let past = history(story([&ap, &eu, &us]));
        let mut sparing = Replay::new(&past, Asked::By(&rule));
        let mut every = Replay::new(&past, Asked::By(&rule));
        let mut last = None;
        while let Some(now) = sparing.next_moment() {
            sparing.go(now);
            if let Some(evaluation) = sparing.changed_evaluation() {
                last = Some((evaluation.verdict, evaluation.scope, evaluation.down));
            }
            every.go_through(now);
            let seen = every.evaluation();
            prop_assert_eq!(last, seen.map(|e| (e.verdict, e.scope, e.down)));
        }
    }

    /// The same policy against itself differs in nothing, and no page is sent
    /// without a quorum.
    #[test]
    fn the_same_policy_is_the_same(ap in line(), eu in line(), us in line()) {
        let found = outages([&ap, &eu, &us], json!({}));
        let compared = compare(&found, &found);
        prop_assert!(compared.iter().all(|line| line.difference == Difference::Same));
        for outage in &found {
            prop_assert!(outage.first_failed_at <= outage.opened_at);
            prop_assert!(outage.paged_at().is_none() || outage.verdict == Verdict::Down);
            prop_assert!(outage.resolved_at.is_none_or(|at| at >= outage.opened_at));
        }
        for pair in found.windows(2) {
            prop_assert!(pair[0].resolved_at.is_some_and(|at| at <= pair[1].opened_at));
        }
    }
}

#[test]
fn a_target_that_flaps_is_one_outage_that_settles() {
    let signs = "..xx..xx..xx..xx..xx..".to_owned() + &".".repeat(80);
    let steady = json!({ "flap": { "changes": 4, "within": "30m", "settle": "5m" } });
    let found = outages([&signs, &signs, &signs], steady);
    assert_eq!(found.len(), 2, "the fourth turn is held: {found:?}");
    let over = found[1].resolved_at.unwrap();
    assert_eq!(over, due(21) + 102 + 300_000, "well for five minutes without a break");
    let never = outages([&signs, &signs, &signs], json!({ "flap": { "changes": 0 } }));
    assert_eq!(never.len(), 5);
}

#[test]
fn a_held_resolution_waits_on_where_nobody_can_tell() {
    let signs = "..xx..xx..".to_owned();
    let rule = json!({ "flap": { "changes": 2, "within": "30m", "settle": "1m" } });
    let found = outages([&signs, &signs, &signs], rule);
    assert_eq!(found.len(), 1);
    assert!(found[0].resolved_at.is_some_and(|at| at <= due(9) + 102 + 60_000), "{found:?}");
}
