//! Streaks, views and votes.

use hyperverge_control_core::assignment::Slots;
use hyperverge_control_core::correlation::{
    BurstMark, Held, Newest, RegionState, RegionView, Scope, Seat, Sight, StateRow, Step, Taken,
    Thresholds, Track, Verdict, evaluate, seat_names, view,
};
use hyperverge_protocol::monitor::Quorum;
use hyperverge_protocol::outcome::Outcome;
use proptest::prelude::*;
use uuid::Uuid;

const POLICY: Thresholds = Thresholds { fail_after: 2, recover_after: 2, stale_after_ms: 90_000 };
const STEP_MS: i64 = 10_000;

fn sight(slot: i64, outcome: Outcome) -> Step {
    let reason = match outcome {
        Outcome::Ok => None,
        Outcome::Degraded => Some("latency"),
        Outcome::Fail => Some("connect_refused"),
        Outcome::Policy => Some("policy_address"),
        Outcome::Unsupported => Some("unsupported_kind"),
    };
    Step::Sight(Sight {
        slot,
        burst: None,
        started_at: slot * STEP_MS,
        outcome,
        reason: reason.map(str::to_owned),
        message: None,
    })
}

/// The states after each of `outcomes`, one slot apart, of a region that was steadily up.
fn states(outcomes: &[Outcome]) -> Vec<RegionState> {
    let newest = Newest { slot: 99, started_at: 99 * STEP_MS };
    let mut track = Track::new(1, POLICY, None, Some(newest));
    (100..)
        .zip(outcomes)
        .map(|(slot, outcome)| {
            assert_eq!(track.step(&sight(slot, *outcome), slot * STEP_MS), Taken::Counted);
            track.clone().into_row().map_or(RegionState::Up, |row| row.state)
        })
        .collect()
}

#[test]
fn streaks_move_a_region_and_anything_else_breaks_them() {
    use Outcome::{Degraded as G, Fail as F, Ok as O, Policy as P, Unsupported as N};
    use RegionState::{Degraded as Slow, Down, Unknown, Up};
    for (outcomes, wanted) in [
        (vec![F, O, F, O], vec![Up, Up, Up, Up]),
        (vec![F, F, O, F, O, O, O], vec![Up, Down, Down, Down, Down, Up, Up]),
        (vec![F, G, F, F], vec![Up, Up, Up, Down]),
        (vec![G, O, G, G, O, O], vec![Up, Up, Up, Slow, Slow, Up]),
        (vec![F, F, G, G], vec![Up, Down, Down, Slow]),
        (vec![G, G, F, F], vec![Up, Slow, Slow, Down]),
        (vec![P, F, P, P], vec![Up, Up, Up, Unknown]),
        (vec![F, P, F, F], vec![Up, Up, Up, Down]),
        (vec![N, N, O, O], vec![Up, Unknown, Up, Up]),
        (vec![F, F, P, P, F, F], vec![Up, Down, Down, Unknown, Unknown, Down]),
    ] {
        assert_eq!(states(&outcomes), wanted, "{outcomes:?}");
    }
}

#[test]
fn a_fresh_monitor_is_up_with_one_success_and_down_only_with_a_streak() {
    let mut track = Track::new(1, POLICY, None, None);
    track.step(&sight(5, Outcome::Fail), 50_000);
    let row = track.clone().into_row().unwrap();
    assert_eq!((row.state, row.failures), (RegionState::Unknown, 1));
    track.step(&sight(6, Outcome::Fail), 60_000);
    let row = track.into_row().unwrap();
    assert_eq!((row.state, row.since), (RegionState::Down, Some(50_000)));

    let mut track = Track::new(1, POLICY, None, None);
    track.step(&sight(5, Outcome::Ok), 50_000);
    assert_eq!(track.clone().into_row(), None);
    track.step(&sight(6, Outcome::Fail), 60_000);
    assert_eq!(track.into_row().unwrap().state, RegionState::Up);
}

#[test]
fn late_and_disordered_steps_are_history() {
    let newest = Newest { slot: 10, started_at: 100_000 };
    let mut track = Track::new(1, POLICY, None, Some(newest));
    assert_eq!(track.step(&sight(10, Outcome::Fail), 100_000), Taken::History);
    assert_eq!(track.step(&sight(9, Outcome::Fail), 100_000), Taken::History);
    assert_eq!(track.step(&sight(11, Outcome::Fail), 710_001), Taken::History);
    assert_eq!(track.clone().into_row(), None);
    assert_eq!(track.step(&sight(11, Outcome::Fail), 710_000), Taken::Counted);
}

#[test]
fn checks_of_a_burst_count_once_and_take_no_slot_away() {
    let burst = |id: u128, index, started_at, outcome| {
        let Step::Sight(sight) = sight(10, outcome) else { unreachable!() };
        let burst = Some(BurstMark { id: Uuid::from_u128(id), index });
        Step::Sight(Sight { burst, started_at, ..sight })
    };
    let newest = Newest { slot: 10, started_at: 100_000 };
    let mut track = Track::new(1, POLICY, None, Some(newest));
    let step = |track: &mut Track, step: Step| track.step(&step, 115_000);
    let fail = Outcome::Fail;
    assert_eq!(step(&mut track, burst(1, 1, 99_999, fail)), Taken::History, "asked before it");
    assert_eq!(step(&mut track, burst(1, 1, 102_000, fail)), Taken::Counted);
    assert_eq!(step(&mut track, burst(1, 1, 103_000, fail)), Taken::History, "a second copy");
    assert_eq!(track.clone().into_row().unwrap().state, RegionState::Up);
    assert_eq!(step(&mut track, burst(1, 2, 103_000, fail)), Taken::Counted);
    let row = track.clone().into_row().unwrap();
    assert_eq!((row.state, row.since), (RegionState::Down, Some(102_000)));
    assert_eq!((row.newest_slot, row.newest_at), (10, Some(103_000)));
    assert_eq!(step(&mut track, burst(2, 1, 104_000, Outcome::Ok)), Taken::Counted);
    // The slot's own check comes after bursts that ran while its predecessor was newest.
    assert_eq!(step(&mut track, sight(11, Outcome::Ok)), Taken::Counted);
    assert_eq!(track.into_row().unwrap().state, RegionState::Up);
    let mut steady = Track::new(1, POLICY, None, Some(newest));
    assert_eq!(step(&mut steady, burst(1, 1, 102_000, Outcome::Ok)), Taken::Counted);
    assert_eq!(steady.into_row(), None, "steady success writes no row");
}

#[test]
fn what_comes_together_counts_in_the_order_of_its_starts() {
    let Step::Sight(own) = sight(11, Outcome::Ok) else { unreachable!() };
    let own = Sight { started_at: 110_400, ..own };
    let burst = Some(BurstMark { id: Uuid::from_u128(1), index: 2 });
    let asked = Sight { burst, started_at: 110_300, ..own.clone() };
    // The slot was due before both, and its own check began after the burst's.
    let mut steps = [Step::Sight(own), Step::Sight(asked)];
    steps.sort_by_key(Step::order);
    let newest = Newest { slot: 10, started_at: 100_000 };
    let mut track = Track::new(1, POLICY, None, Some(newest));
    let all: Vec<_> = steps.iter().map(|step| track.step(step, 111_000)).collect();
    assert_eq!(all, [Taken::Counted; 2]);
}

#[test]
fn a_gap_or_another_revision_ends_a_streak() {
    let row = StateRow {
        revision: 1,
        state: RegionState::Up,
        since: None,
        failures: 1,
        successes: 0,
        streak_began: Some(100_000),
        newest_slot: 10,
        newest_at: None,
        broken_at: None,
        burst: None,
        observed_at: Some(100_000),
        reason: Some("connect_refused".into()),
        message: None,
    };
    let mut near = Track::new(1, POLICY, Some(row.clone()), None);
    near.step(&sight(19, Outcome::Fail), 190_000);
    assert_eq!(near.into_row().unwrap().state, RegionState::Down);
    let mut far = Track::new(1, POLICY, Some(row.clone()), None);
    far.step(&sight(20, Outcome::Fail), 200_000);
    let after = far.into_row().unwrap();
    assert_eq!((after.state, after.failures), (RegionState::Unknown, 1));
    let mut other = Track::new(2, POLICY, Some(row), None);
    other.step(&sight(11, Outcome::Fail), 110_000);
    assert_eq!(other.into_row().unwrap().failures, 1);
}

#[test]
fn a_recovered_region_keeps_its_row_for_one_more_success() {
    let newest = Newest { slot: 1, started_at: 10_000 };
    let mut track = Track::new(1, POLICY, None, Some(newest));
    for (slot, outcome) in (2..).zip([Outcome::Fail, Outcome::Fail, Outcome::Ok, Outcome::Ok]) {
        track.step(&sight(slot, outcome), slot * STEP_MS);
    }
    let row = track.clone().into_row().unwrap();
    assert_eq!((row.state, row.since, row.reason), (RegionState::Up, Some(40_000), None));
    track.step(&sight(6, Outcome::Ok), 60_000);
    assert_eq!(track.into_row(), None);
}

fn seat(complete_through: Option<i64>, row: Option<StateRow>) -> Seat {
    Seat {
        region: "eu".into(),
        region_id: None,
        held: Some(Held {
            revision: 1,
            first_slot: 10,
            slots: Slots { anchor_ms: 0, interval_ms: STEP_MS },
            predecessor_through: None,
            complete_through,
            discredited: false,
        }),
        row,
    }
}

fn told(seat: &Seat, now: i64) -> (RegionState, Option<String>) {
    let view = view(seat, POLICY.stale_after_ms, now);
    (view.state, view.reason)
}

#[test]
fn nobody_looked_is_never_up() {
    let unknown = |reason: &str| (RegionState::Unknown, Some(reason.to_owned()));
    let nobody = Seat { held: None, ..seat(None, None) };
    assert_eq!(told(&nobody, 0), unknown("unassigned"));
    assert_eq!(told(&seat(None, None), 100_000), unknown("pending"));
    assert_eq!(told(&seat(Some(99_999), None), 100_000), unknown("pending"));
    assert_eq!(told(&seat(Some(100_000), None), 190_000), (RegionState::Up, None));
    assert_eq!(told(&seat(Some(100_000), None), 190_001), unknown("silent"));
    // A successor's first slot is not due yet, but the agent before had looked.
    let mut handed = seat(Some(99_999), None);
    handed.held.as_mut().unwrap().predecessor_through = Some(95_000);
    assert_eq!(told(&handed, 100_000), (RegionState::Up, None));
    assert_eq!(told(&handed, 185_001), unknown("silent"));
}

#[test]
fn what_a_clock_that_was_set_back_dated_later_than_now_says_nothing() {
    let told = |now| told(&seat(Some(400_000), None), now);
    assert_eq!(told(310_000), (RegionState::Up, None));
    assert_eq!(told(309_999), (RegionState::Unknown, Some("silent".to_owned())));
}

#[test]
fn missed_slots_make_a_region_unknown_once_the_last_look_is_stale() {
    let newest = Newest { slot: 10, started_at: 100_000 };
    let mut track = Track::new(1, POLICY, None, Some(newest));
    track.step(&Step::Missed { last_slot: 25, reason: "missed_overload".into() }, 250_000);
    let row = track.clone().into_row();
    let at = |now| told(&seat(Some(now), row.clone()), now);
    assert_eq!(at(190_000), (RegionState::Up, None));
    assert_eq!(at(190_001), (RegionState::Unknown, Some("missed".into())));
    track.step(&sight(26, Outcome::Ok), 260_000);
    let row = track.into_row();
    assert_eq!(told(&seat(Some(260_000), row), 260_000).0, RegionState::Up);
}

#[test]
fn seats_are_what_the_specification_names() {
    let known = ["b", "a"];
    let named = seat_names(["z", "a"].into_iter(), known.into_iter());
    assert_eq!(named.into_iter().collect::<Vec<_>>(), ["a", "z"]);
    let every = seat_names(["*"].into_iter(), known.into_iter());
    assert_eq!(every.into_iter().collect::<Vec<_>>(), ["a", "b"]);
}

fn region(state: RegionState, since: Option<i64>) -> RegionView {
    let reason = (state == RegionState::Down).then(|| "status".to_owned());
    RegionView { region: "r".into(), region_id: None, state, since, reason, message: None }
}

#[test]
fn verdicts_scopes_and_when_they_began() {
    use RegionState::{Degraded as G, Down as D, Unknown as U, Up as O};
    for (states, verdict, scope) in [
        (vec![O, O, O], Verdict::Up, None),
        (vec![D, O, O], Verdict::Up, Some(Scope::Local)),
        (vec![D, D, O], Verdict::Down, Some(Scope::Regional)),
        (vec![D, D, D], Verdict::Down, Some(Scope::Global)),
        (vec![D, D, U], Verdict::Down, Some(Scope::Global)),
        (vec![D, U, O], Verdict::Unknown, Some(Scope::Local)),
        (vec![U, U, O], Verdict::Unknown, None),
        (vec![U, O, O], Verdict::Up, None),
        (vec![G, D, O], Verdict::Degraded, Some(Scope::Regional)),
        (vec![G, O, O], Verdict::Up, Some(Scope::Local)),
        (vec![D], Verdict::Down, Some(Scope::Global)),
        (vec![D, O], Verdict::Up, Some(Scope::Local)),
        (vec![], Verdict::Unknown, None),
    ] {
        let regions = states.iter().map(|state| region(*state, None)).collect();
        let told = evaluate(regions, Quorum::Majority);
        assert_eq!((told.verdict, told.scope), (verdict, scope), "{states:?}");
    }
    let began = [region(D, Some(30)), region(D, Some(10)), region(D, Some(20))];
    assert_eq!(evaluate(began.to_vec(), Quorum::Majority).since, Some(20));
    let dark = [U, U, O, D].map(|state| region(state, (state != O).then_some(10)));
    let mut dark = dark.to_vec();
    (dark[0].since, dark[1].since) = (Some(30), Some(20));
    assert_eq!(evaluate(dark, Quorum::Majority).since, Some(30), "two silent and one down of 3");
    let back = [region(D, Some(5)), region(O, Some(70)), region(O, None)];
    assert_eq!(evaluate(back.to_vec(), Quorum::Majority).since, Some(70));
}

#[test]
fn what_each_quorum_needs() {
    use RegionState::{Down as D, Unknown as U, Up as O};
    for (quorum, needed) in [
        (Quorum::Any, 1),
        (Quorum::Majority, 3),
        (Quorum::All, 4),
        (Quorum::Count(2), 2),
        (Quorum::Count(0), 1),
        (Quorum::Count(9), 4),
    ] {
        for down in 0..=4u32 {
            let state = |index: u32| region(if index < down { D } else { O }, None);
            let told = evaluate((0..4).map(state).collect(), quorum);
            let verdict = if down >= needed { Verdict::Down } else { Verdict::Up };
            assert_eq!((told.needed, told.verdict), (needed, verdict), "{quorum:?}, {down} down");
            // A seat that casts no vote may be down, and counts for nothing until then.
            let mut dark: Vec<RegionView> = (0..4).map(state).collect();
            dark[3].state = U;
            let votes = down.min(3);
            let told = evaluate(dark, quorum);
            let verdict = match (votes >= needed, votes + 1 >= needed) {
                (true, _) => Verdict::Down,
                (false, true) => Verdict::Unknown,
                (false, false) => Verdict::Up,
            };
            assert_eq!((told.down, told.verdict), (votes, verdict), "{quorum:?}, {down} down");
        }
    }
}

#[test]
fn what_casts_no_vote_does_not_say_why_a_region_is_down() {
    use Outcome::{Fail, Policy};
    let newest = Newest { slot: 99, started_at: 99 * STEP_MS };
    let mut track = Track::new(1, POLICY, None, Some(newest));
    for (slot, outcome) in (100..).zip([Fail, Fail, Policy]) {
        track.step(&sight(slot, outcome), slot * STEP_MS);
    }
    let now = 102 * STEP_MS;
    let mut seat = seat(Some(now), track.into_row());
    seat.held.as_mut().unwrap().first_slot = 90;
    let seen = view(&seat, POLICY.stale_after_ms, now);
    assert_eq!((seen.state, seen.reason, seen.message), (RegionState::Down, None, None));
}

fn any_state() -> impl Strategy<Value = RegionState> {
    prop_oneof![
        Just(RegionState::Up),
        Just(RegionState::Degraded),
        Just(RegionState::Down),
        Just(RegionState::Unknown)
    ]
}

fn any_quorum() -> impl Strategy<Value = Quorum> {
    prop_oneof![
        Just(Quorum::Any),
        Just(Quorum::Majority),
        Just(Quorum::All),
        (1u32..9).prop_map(Quorum::Count)
    ]
}

fn any_outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        3 => Just(Outcome::Ok),
        3 => Just(Outcome::Fail),
        1 => Just(Outcome::Degraded),
        1 => Just(Outcome::Policy),
    ]
}

proptest! {
    #[test]
    fn trouble_on_our_side_never_makes_a_quorum_easier(
        states in proptest::collection::vec(any_state(), 1..9), quorum in any_quorum(), silenced in 0usize..9,
    ) {
        let regions: Vec<_> = states.iter().map(|state| region(*state, None)).collect();
        let before = evaluate(regions.clone(), quorum);
        let mut fewer = regions;
        let at = silenced % fewer.len();
        fewer[at] = region(RegionState::Unknown, None);
        let after = evaluate(fewer, quorum);
        prop_assert_eq!(before.needed, after.needed);
        for verdict in [Verdict::Down, Verdict::Up] {
            prop_assert!(after.verdict != verdict || before.verdict == verdict
                || (verdict == Verdict::Up && before.verdict == Verdict::Degraded));
        }
    }

    #[test]
    fn down_means_a_streak_of_failures_and_counters_exclude_each_other(
        outcomes in proptest::collection::vec(any_outcome(), 1..60), fail_after in 1u32..5, recover_after in 1u32..5,
    ) {
        let policy = Thresholds { fail_after, recover_after, stale_after_ms: 90_000 };
        let mut track = Track::new(1, policy, None, None);
        let mut before = RegionState::Unknown;
        for (slot, outcome) in (1i64..).zip(&outcomes) {
            track.step(&sight(slot, *outcome), slot * STEP_MS);
            let row = track.clone().into_row();
            let state = row.as_ref().map_or(RegionState::Up, |row| row.state);
            if let Some(row) = &row { prop_assert!(row.failures == 0 || row.successes == 0); }
            let streak = |wanted: fn(&Outcome) -> bool| {
                let seen = &outcomes[..usize::try_from(slot).unwrap()];
                seen.iter().rev().take_while(|outcome| wanted(outcome)).count()
            };
            let failing = streak(|outcome| *outcome == Outcome::Fail);
            if state == RegionState::Down && before != state { prop_assert!(failing >= fail_after as usize); }
            if failing >= fail_after as usize { prop_assert_eq!(state, RegionState::Down); }
            if before == RegionState::Down && state == RegionState::Up {
                let well = streak(|outcome| matches!(outcome, Outcome::Ok | Outcome::Degraded));
                prop_assert!(well >= recover_after as usize);
            }
            before = state;
        }
    }

    #[test]
    fn a_replay_changes_nothing(
        outcomes in proptest::collection::vec(any_outcome(), 1..30), again in proptest::collection::vec(0usize..30, 0..30),
    ) {
        let steps: Vec<_> = (1i64..).zip(&outcomes).map(|(slot, outcome)| sight(slot, *outcome)).collect();
        let mut track = Track::new(1, POLICY, None, None);
        for step in &steps { track.step(step, 300_000); }
        let row = track.clone().into_row();
        for index in again {
            prop_assert_eq!(track.step(&steps[index % steps.len()], 300_000), Taken::History);
        }
        prop_assert_eq!(track.into_row(), row);
    }
}
