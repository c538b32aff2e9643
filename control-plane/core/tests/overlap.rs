//! Checks that ran side by side, in whatever order they come.

use hyperverge_control_core::correlation::{
    BurstMark, Newest, RegionState, Sight, StateRow, Step, Taken, Thresholds, Track,
};
use hyperverge_protocol::outcome::Outcome;
use proptest::prelude::*;
use uuid::Uuid;

const POLICY: Thresholds = Thresholds { fail_after: 2, recover_after: 2, stale_after_ms: 90_000 };
const NOW: i64 = 130_000;

/// Slots are due every 10 s; 9 was a success.
fn track() -> Track {
    Track::new(1, POLICY, None, Some(Newest { slot: 9, started_at: 90_000 }))
}

fn check(burst: Option<u32>, started_at: i64, outcome: Outcome) -> Step {
    let reason = match outcome {
        Outcome::Ok => None,
        Outcome::Policy => Some("policy_address"),
        _ => Some("timeout_connect"),
    };
    Step::Sight(Sight {
        slot: started_at / 10_000,
        burst: burst.map(|index| BurstMark { id: Uuid::from_u128(1), index }),
        started_at,
        outcome,
        reason: reason.map(str::to_owned),
        message: None,
    })
}

/// The row after these, in this order of their coming.
fn after(steps: &[Step]) -> Option<StateRow> {
    let mut track = track();
    for step in steps {
        track.step(step, NOW);
    }
    track.into_row()
}

use Outcome::{Fail, Ok as Well};

#[test]
fn both_of_two_failures_count_in_either_order() {
    let own = check(None, 100_000, Fail);
    let (first, second) = (check(Some(1), 103_000, Fail), check(Some(2), 104_000, Fail));
    for steps in [
        [&own, &first, &second],
        [&first, &own, &second],
        [&second, &first, &own],
        [&second, &own, &first],
    ] {
        let row = after(&steps.map(Clone::clone)).unwrap();
        assert_eq!((row.failures, row.state), (3, RegionState::Down));
        assert_eq!((row.streak_began, row.since), (Some(100_000), Some(100_000)));
        assert_eq!((row.newest_slot, row.newest_at), (10, Some(104_000)));
        let mut again = track();
        for step in steps {
            assert_eq!(again.step(step, NOW), Taken::Counted);
        }
        for step in steps {
            assert_eq!(again.step(step, NOW), Taken::History, "a second copy");
        }
    }
}

#[test]
fn nothing_from_before_a_success_moves_a_streak() {
    // A hanging check of the slot fails after a burst's later one had a success.
    let hung = check(None, 100_000, Fail);
    assert_eq!(after(&[check(Some(1), 103_000, Well)]), None);
    let stored = Newest { slot: 9, started_at: 103_000 };
    let mut track = Track::new(1, POLICY, None, Some(stored));
    assert_eq!(track.step(&hung, NOW), Taken::History);
    assert_eq!(track.into_row(), None);
    // The same where the success is one of two that a region needs to be up again.
    let down = [check(None, 100_000, Fail), check(Some(1), 101_000, Fail)];
    let back = [check(None, 110_000, Well), check(Some(2), 109_000, Fail)];
    let row = after(&[down, back].concat()).unwrap();
    assert_eq!((row.state, row.failures, row.successes), (RegionState::Down, 0, 1));
}

#[test]
fn a_success_does_not_move_what_started_after_it() {
    let failures = [check(Some(1), 103_000, Fail), check(Some(2), 104_000, Fail)];
    let slow = check(None, 100_000, Well);
    let row = after(&[&failures[..], std::slice::from_ref(&slow)].concat()).unwrap();
    assert_eq!((row.failures, row.state), (2, RegionState::Down));
    // But those before and after it are not in a row.
    for breaks in [Well, Outcome::Policy] {
        let slow = check(None, 101_000, breaks);
        let steps = [check(Some(1), 100_500, Fail), check(Some(2), 104_000, Fail), slow];
        let row = after(&steps).unwrap();
        assert_eq!((row.failures, row.streak_began), (1, Some(104_000)), "{breaks:?}");
        let older = check(Some(3), 100_800, Fail);
        let mut track = Track::new(1, POLICY, Some(row), None);
        assert_eq!(track.step(&older, NOW), Taken::History);
    }
}

#[test]
fn what_a_clock_saw_that_was_set_back_keeps_nobody_from_seeing() {
    let day = 86_400_000;
    let mut track =
        Track::new(1, POLICY, None, Some(Newest { slot: 9_000, started_at: NOW + day }));
    assert_eq!(track.step(&check(None, 110_000, Fail), NOW), Taken::Counted);
    assert_eq!(track.step(&check(None, 120_000, Fail), NOW), Taken::Counted);
    assert_eq!(track.into_row().unwrap().state, RegionState::Down);

    let ahead = after(&[check(None, 100_000, Fail)]).unwrap();
    let ahead = StateRow { newest_slot: 9_000, newest_at: Some(NOW + day), failures: 9, ..ahead };
    let mut track = Track::new(1, POLICY, Some(ahead), None);
    assert_eq!(track.step(&check(None, 110_000, Fail), NOW), Taken::Counted);
    let row = track.clone().into_row().unwrap();
    assert_eq!((row.state, row.failures, row.newest_slot), (RegionState::Unknown, 1, 11));
    assert_eq!(track.step(&check(None, 120_000, Well), NOW), Taken::Counted);
    assert_eq!(track.into_row().unwrap().state, RegionState::Up);
}

/// Checks by their start, at most some of which come late: (outcome, of a burst, how many
/// that started later come before it).
fn checks() -> impl Strategy<Value = Vec<(Outcome, bool, usize)>> {
    let outcome = prop_oneof![4 => Just(Fail), 2 => Just(Well), 1 => Just(Outcome::Policy)];
    prop::collection::vec((outcome, any::<bool>(), 0usize..5), 1..20)
}

proptest! {
    /// A streak is never longer than the failures in a row of what is known, in the order of
    /// their starts; and as long, unless something else came late in between.
    #[test]
    fn failures_in_a_row_are_counted_by_their_start(checks in checks()) {
        let mut index = 0;
        let mut coming: Vec<(usize, usize, Step)> = Vec::new();
        for (at, (outcome, of_burst, late)) in checks.iter().enumerate() {
            let started_at = 91_000 + at as i64 * 1_500;
            index += u32::from(*of_burst);
            let mut step = check(of_burst.then_some(index), started_at, *outcome);
            // Each slot's own check has a slot of its own, and they come in their order.
            if let Step::Sight(sight) = &mut step {
                sight.slot = 10 + at as i64;
            }
            let late = if *of_burst { *late } else { 0 };
            coming.push((at + late, at, step));
        }
        coming.sort_by_key(|(comes, at, _)| (*comes, *at));
        let mut track = track();
        let mut known: Vec<(i64, Outcome)> = vec![(90_000, Well)];
        let mut exact = true;
        for (_, _, step) in &coming {
            let Step::Sight(sight) = step else { continue };
            let newest = known.iter().map(|(at, _)| *at).max().unwrap();
            exact &= sight.outcome == Fail || sight.started_at > newest;
            let before = track.row().map(|row| row.state);
            let taken = track.step(step, NOW);
            known.push((sight.started_at, sight.outcome));
            known.sort_by_key(|(at, _)| *at);
            let failing = known.iter().rev().take_while(|(_, outcome)| *outcome == Fail).count();
            let row = track.row();
            let counted = row
                .filter(|row| row.reason.as_deref() != Some("policy_address"))
                .map_or(0, |row| row.failures);
            prop_assert!(counted as usize <= failing, "{counted} {known:?}");
            prop_assert!(!exact || counted as usize == failing, "{counted} {known:?}");
            if row.map(|row| row.state) == Some(RegionState::Down) && before != Some(RegionState::Down) {
                prop_assert!(failing >= 2);
            }
            let row = row.cloned();
            if taken == Taken::Counted && row.is_some() {
                prop_assert_eq!(track.step(step, NOW), Taken::History, "a second copy");
                prop_assert_eq!(track.row(), row.as_ref());
            }
        }
    }
}
