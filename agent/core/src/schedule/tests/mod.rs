//! Slots, caps and time, example by example; then whatever order things come in.

mod admission;
mod any_order;
mod bursts;
mod time;

use super::*;
use proptest::prelude::*;

fn at(control_ms: i64) -> Now {
    Now { control_ms, boot_ms: control_ms }
}

fn caps(in_flight: usize) -> Caps {
    Caps { in_flight, per_target: in_flight }
}

/// Monitors 1, 4, 7 … watch one host, 2, 5, 8 … another, 3, 6, 9 … a third.
fn assigned(monitor: u128, revision: u64, interval_ms: i64) -> Assigned<()> {
    let target = format!("{}.example", monitor % 3).into();
    let monitor = Uuid::from_u128(monitor);
    Assigned { monitor, revision, anchor_ms: 0, interval_ms, first_slot: 0, target, check: () }
}

fn drain(schedule: &mut Schedule<()>) -> (Vec<Due<()>>, Vec<Missed>) {
    let (mut started, mut missed) = (vec![], vec![]);
    while let Some(effect) = schedule.poll_effect() {
        match effect {
            Effect::Start(due) => started.push(due),
            Effect::Missed(range) => missed.push(range),
        }
    }
    (started, missed)
}

/// Lets everything that starts finish at once, for `ms` in steps of 10 ms.
fn run(schedule: &mut Schedule<()>, from: i64, ms: i64) -> (Vec<i64>, Vec<Missed>) {
    let (mut slots, mut misses) = (vec![], vec![]);
    for step in 0..=ms / 10 {
        let now = at(from + step * 10);
        loop {
            schedule.handle_timeout(now);
            let (started, missed) = drain(schedule);
            misses.extend(missed);
            for due in started {
                slots.push(due.slot);
                schedule.handle_finished(due.ticket, Outcome::Ok, now);
            }
            if !schedule.is_held() {
                break;
            }
        }
    }
    (slots, misses)
}

#[test]
fn slots_start_when_due_and_the_frontier_follows() {
    let mut schedule = Schedule::new(caps(8), Resume::default());
    assert_eq!(schedule.complete_through(i64::MAX), None);
    schedule.replace(vec![assigned(1, 1, 1_000)], 0, i64::MAX, at(0));
    let (started, _) = drain(&mut schedule);
    assert_eq!((started.len(), started[0].slot), (1, 0));
    assert_eq!(schedule.next_wakeup(), Some(1_000));
    schedule.handle_timeout(at(500));
    assert_eq!(schedule.complete_through(i64::MAX), Some(-1), "the probe in flight holds it back");
    schedule.handle_finished(started[0].ticket, Outcome::Ok, at(600));
    assert_eq!(schedule.complete_through(i64::MAX), Some(500));
}

#[test]
fn a_hung_probe_misses_its_own_slots_only() {
    let mut schedule = Schedule::new(caps(8), Resume::default());
    schedule.replace(vec![assigned(1, 1, 1_000), assigned(2, 1, 1_000)], 0, i64::MAX, at(0));
    let (started, _) = drain(&mut schedule);
    let hung = started.iter().find(|due| due.monitor == Uuid::from_u128(1)).expect("both start");
    let other = started.iter().find(|due| due.ticket != hung.ticket).expect("both start");
    schedule.handle_finished(other.ticket, Outcome::Ok, at(5));
    let (slots, missed) = run(&mut schedule, 1_000, 2_400);
    assert_eq!(slots, [1, 2, 3], "the other monitor runs on");
    let lost: Vec<_> = missed.iter().map(|m| (m.first, m.last, m.reason)).collect();
    assert_eq!(lost, [(1, 1, MissedReason::Overload), (2, 2, MissedReason::Overload)]);
    schedule.handle_finished(hung.ticket, Outcome::Ok, at(3_450));
    let (started, _) = drain(&mut schedule);
    assert_eq!(started.iter().map(|due| due.slot).collect::<Vec<_>>(), [3], "still in time");
}

#[test]
fn under_overload_everybody_gets_a_turn() {
    let mut schedule = Schedule::new(caps(2), Resume::default());
    schedule.replace((1..=10).map(|m| assigned(m, 1, 1_000)).collect(), 0, i64::MAX, at(0));
    let mut running: VecDeque<Due<()>> = VecDeque::new();
    let mut turns: BTreeMap<Uuid, u32> = BTreeMap::new();
    for ms in (0..10_000).step_by(250) {
        let now = at(ms);
        schedule.handle_timeout(now);
        if let Some(done) = running.pop_front() {
            schedule.handle_finished(done.ticket, Outcome::Ok, now);
        }
        for due in drain(&mut schedule).0 {
            *turns.entry(due.monitor).or_default() += 1;
            running.push_back(due);
        }
        assert!(running.len() <= 2);
    }
    assert_eq!(turns.len(), 10);
    let (least, most) = (turns.values().min(), turns.values().max());
    assert!(most.zip(least).is_some_and(|(most, least)| most - least <= 1), "{turns:?}");
}

#[test]
fn waking_from_suspend_is_no_storm() {
    let mut schedule = Schedule::new(caps(1_000), Resume::default());
    schedule.replace((0..500).map(|m| assigned(m, 1, 60_000)).collect(), 0, i64::MAX, at(0));
    run(&mut schedule, 0, 100);
    schedule.handle_timeout(at(10 * 60_000 + 30_000));
    let (started, missed) = drain(&mut schedule);
    assert!(started.len() <= 2, "{} at once", started.len());
    assert!(missed.iter().all(|m| (m.first, m.last, m.reason) == (1, 9, MissedReason::Suspend)));
    assert_eq!(missed.len(), 500);
    let (slots, missed) = run(&mut schedule, 10 * 60_000 + 30_010, 20_000);
    assert_eq!(started.len() + slots.len(), 500, "paced, but all of them");
    assert!(missed.is_empty());
}

#[test]
fn an_expired_set_is_idle_and_claims_nothing() {
    let mut schedule = Schedule::new(caps(8), Resume::default());
    schedule.replace(vec![assigned(1, 1, 1_000)], 0, 2_500, at(0));
    let (slots, _) = run(&mut schedule, 0, 6_000);
    assert_eq!(slots, [0, 1, 2]);
    assert!(schedule.is_idle());
    assert_eq!(schedule.next_wakeup(), None);
    assert_eq!(schedule.complete_through(i64::MAX), Some(2_490));
    schedule.replace(vec![assigned(1, 1, 1_000)], 7_100, i64::MAX, at(7_100));
    let (started, missed) = drain(&mut schedule);
    assert_eq!(started[0].slot, 7);
    assert_eq!(
        missed,
        [Missed {
            monitor: Uuid::from_u128(1),
            revision: 1,
            first: 3,
            last: 6,
            reason: MissedReason::Stopped
        }]
    );
}

#[test]
fn a_restart_accounts_for_the_time_between() {
    let monitor = Uuid::from_u128(1);
    let resume = Resume {
        complete_through_ms: Some(4_500),
        sealed: BTreeSet::from([(monitor, 1, 6), (monitor, 1, 9)]),
    };
    let mut schedule = Schedule::new(caps(8), resume);
    schedule.replace(vec![assigned(1, 1, 1_000)], 9_200, i64::MAX, at(9_200));
    let (started, missed) = drain(&mut schedule);
    assert!(started.is_empty(), "slot 9 is sealed");
    let ranges: Vec<_> = missed.iter().map(|m| (m.first, m.last, m.reason)).collect();
    assert_eq!(ranges, [(5, 5, MissedReason::Stopped), (7, 8, MissedReason::Stopped)]);
    assert_eq!(schedule.complete_through(i64::MAX), Some(9_200));
}

#[test]
fn stopping_reports_what_will_not_run() {
    let mut schedule = Schedule::new(caps(1), Resume::default());
    schedule.replace(vec![assigned(1, 1, 1_000), assigned(2, 1, 1_000)], 0, i64::MAX, at(0));
    let (started, _) = drain(&mut schedule);
    schedule.stop();
    schedule.handle_abandoned(started[0].ticket, MissedReason::Stopped, at(10));
    schedule.handle_timeout(at(5_000));
    let (started, missed) = drain(&mut schedule);
    assert!(started.is_empty());
    assert_eq!(missed.iter().filter(|m| m.reason == MissedReason::Stopped).count(), 2);
    assert_eq!(schedule.complete_through(i64::MAX), Some(0));
}
