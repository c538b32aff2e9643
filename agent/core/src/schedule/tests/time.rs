//! Clocks that step, slots that wait too long, and who has a slot when sets change.

use super::*;
use crate::limits::{HOLD_MS, LATE_WITHIN_MS};

const SECOND: i64 = 1_000;
const HOUR: i64 = 3_600 * SECOND;
const YEAR: i64 = 365 * 24 * HOUR;

/// The boot clock goes on while control-plane time is set.
fn clocks(control_ms: i64, boot_ms: i64) -> Now {
    Now { control_ms, boot_ms }
}

#[test]
fn nobody_waits_for_time_that_was_taken_back() {
    for ahead in [YEAR, HOUR, 8 * SECOND] {
        let mut schedule = Schedule::new(caps(8), Resume::default());
        let start = 10 * YEAR;
        let set = || vec![assigned(1, 1, SECOND), assigned(2, 1, 600 * SECOND)];
        schedule.replace(set(), start, i64::MAX, clocks(start, 0));
        run(&mut schedule, start, SECOND);
        run(&mut schedule, start + ahead, 2 * SECOND);
        assert_eq!(schedule.complete_through(i64::MAX), Some(start + ahead + 2 * SECOND));
        let back = start + 3 * SECOND;
        assert_eq!(schedule.complete_through(back), Some(back), "never ahead of the clock");
        schedule.handle_timeout(clocks(back, 3 * SECOND));
        assert_eq!(schedule.complete_through(back), Some(back));
        let (slots, missed) = run(&mut schedule, back, 5 * SECOND);
        assert!(slots.len() >= 5, "{ahead}: {slots:?}");
        assert!(missed.is_empty(), "{missed:?}");
    }
}

#[test]
fn an_hour_back_is_a_step_like_any_other() {
    let mut schedule = Schedule::new(caps(8), Resume::default());
    let start = YEAR;
    schedule.replace(vec![assigned(1, 1, 60 * SECOND)], start, i64::MAX, at(start));
    run(&mut schedule, start, 120 * SECOND);
    // A check hangs while the clock is set, and what waits behind it is due in the future then.
    schedule.handle_timeout(at(start + 180 * SECOND));
    let (hung, _) = drain(&mut schedule);
    schedule.handle_timeout(at(start + 241 * SECOND));
    let back = start - HOUR;
    schedule.handle_timeout(at(back));
    assert!(drain(&mut schedule).1.iter().all(|missed| missed.last == hung[0].slot + 1));
    schedule.handle_finished(hung[0].ticket, Outcome::Ok, at(back + 10));
    let (slots, missed) = run(&mut schedule, back + 20, 180 * SECOND);
    assert_eq!(slots.len(), 3);
    assert!(missed.is_empty());
}

#[test]
fn what_an_earlier_process_did_in_the_future_holds_nothing_back() {
    let now = YEAR;
    let monitor = Uuid::from_u128(1);
    let ahead = (now + HOUR) / SECOND;
    let resume = Resume {
        complete_through_ms: Some(now + HOUR),
        sealed: (0..10).map(|more| (monitor, 1, ahead + more)).collect(),
    };
    let mut schedule = Schedule::new(caps(8), resume);
    schedule.replace(vec![assigned(1, 1, SECOND)], now, i64::MAX, at(now + 500));
    let (slots, missed) = run(&mut schedule, now + 510, 5 * SECOND);
    assert_eq!(slots.len(), 5);
    assert!(missed.is_empty());
    assert_eq!(schedule.complete_through(now + 6 * SECOND), Some(now + 5_510));
    let (slots, _) = run(&mut schedule, now + HOUR, 5 * SECOND);
    assert_eq!(slots.len(), 6, "the same number at another time is not that slot");
}

#[test]
fn an_assignment_that_began_in_the_future_may_begin_now() {
    let mut schedule = Schedule::new(caps(8), Resume::default());
    let set = |first_slot| vec![Assigned { first_slot, ..assigned(1, 1, SECOND) }];
    let (now, ahead) = (YEAR, YEAR + HOUR);
    schedule.replace(set(ahead / SECOND + 3), ahead, i64::MAX, at(ahead));
    assert!(run(&mut schedule, now, 5 * SECOND).0.is_empty());
    schedule.replace(set(now / SECOND + 8), now + 5 * SECOND, i64::MAX, at(now + 5 * SECOND));
    let (slots, missed) = run(&mut schedule, now + 5_010, 5 * SECOND);
    assert_eq!(slots, [8, 9, 10].map(|slot| now / SECOND + slot));
    assert!(missed.is_empty());
}

/// Looks every second.
fn pass(schedule: &mut Schedule<()>, seconds: std::ops::RangeInclusive<i64>) {
    seconds.for_each(|second| schedule.handle_timeout(at(second * SECOND)));
}

#[test]
fn what_waits_holds_nobody_up_for_long() {
    let caps = Caps { in_flight: 8, per_target: 1 };
    let mut schedule = Schedule::new(caps, Resume::default());
    // 1 and 4 watch one host, which hangs.
    let set = vec![assigned(1, 1, 60 * SECOND), assigned(4, 1, 60 * SECOND)];
    schedule.replace(set, 0, i64::MAX, at(0));
    let (hung, _) = drain(&mut schedule);
    pass(&mut schedule, 1..=9);
    schedule.handle_finished(hung[0].ticket, Outcome::Fail, at(10_000));
    let (next, _) = drain(&mut schedule);
    pass(&mut schedule, 10..=60);
    assert_eq!(schedule.complete_through(60_000), Some(-1), "one check of a minute hangs");
    pass(&mut schedule, 61..=69);
    schedule.handle_finished(next[0].ticket, Outcome::Fail, at(69_000));
    let (third, missed) = drain(&mut schedule);
    assert_eq!((third.len(), missed.len()), (1, 0), "the other goes on waiting for it");
    pass(&mut schedule, 70..=79);
    assert!(drain(&mut schedule).1.is_empty());
    assert_eq!(schedule.next_wakeup(), Some(60_000 + HOLD_MS));
    schedule.handle_timeout(at(60_000 + HOLD_MS));
    let (_, missed) = drain(&mut schedule);
    let lost: Vec<_> = missed.iter().map(|m| (m.monitor, m.first, m.last, m.reason)).collect();
    let other = if third[0].monitor.as_u128() == 1 { 4 } else { 1 };
    assert_eq!(lost, [(Uuid::from_u128(other), 1, 1, MissedReason::Overload)]);
    pass(&mut schedule, 81..=110);
    schedule.handle_finished(third[0].ticket, Outcome::Fail, at(110_000));
    assert_eq!(schedule.complete_through(110_000), Some(110_000));
    // It kept its place: the next turn is its own.
    pass(&mut schedule, 111..=120);
    let (fourth, _) = drain(&mut schedule);
    assert_eq!(fourth[0].monitor.as_u128(), other);
}

#[test]
fn after_a_sleep_a_daily_check_is_made_and_nobody_is_unheard_for_long() {
    const COUNT: u128 = 10_000;
    let caps = Caps { in_flight: 2_000, per_target: 2_000 };
    let mut schedule = Schedule::new(caps, Resume::default());
    let interval = |monitor: u128| if monitor.is_multiple_of(5) { 24 * HOUR } else { 30 * SECOND };
    let of = |monitor: u128| Assigned {
        anchor_ms: monitor as i64 * 7 % interval(monitor),
        ..assigned(monitor, 1, interval(monitor))
    };
    schedule.replace((0..COUNT).map(of).collect(), 0, i64::MAX, at(0));
    run(&mut schedule, 0, 300);
    drain(&mut schedule);
    let woken = 30 * HOUR + 10;
    let (mut daily, mut started) = (BTreeSet::new(), 0);
    for now in (woken..woken + HOLD_MS + 10).step_by(10) {
        schedule.handle_timeout(at(now));
        let (due, missed) = drain(&mut schedule);
        started += due.len();
        for due in due {
            daily.extend((interval(due.monitor.as_u128()) > HOUR).then_some(due.monitor));
            schedule.handle_finished(due.ticket, Outcome::Ok, at(now + 1));
        }
        let lost = missed.iter().filter(|it| it.last * interval(it.monitor.as_u128()) > woken);
        assert!(lost.into_iter().all(|it| it.reason == MissedReason::Suspend));
        let share = (now - woken) * COUNT as i64 / LATE_WITHIN_MS;
        assert!(started as i64 <= share + 1_000, "no storm: {started} by {}", now - woken);
    }
    assert_eq!(daily.len() as u128, COUNT / 5, "each of them");
    let now = woken + HOLD_MS + 10;
    assert!(schedule.complete_through(now) >= Some(now - SECOND));
}

#[test]
fn a_late_slot_is_missed_for_what_made_it_late() {
    let caps = Caps { in_flight: 8, per_target: 1 };
    let mut schedule = Schedule::new(caps, Resume::default());
    let set = vec![assigned(1, 1, 10 * SECOND), assigned(4, 1, 10 * SECOND)];
    schedule.replace(set, 0, i64::MAX, at(0));
    let (hung, _) = drain(&mut schedule);
    schedule.handle_timeout(at(HOUR + 5 * SECOND));
    drain(&mut schedule);
    schedule.handle_timeout(at(HOUR + 10 * SECOND));
    let (_, missed) = drain(&mut schedule);
    assert_eq!(missed.len(), 2, "of the hung one and of the one behind it");
    assert!(missed.iter().all(|missed| missed.reason == MissedReason::Suspend), "{missed:?}");
    schedule.handle_finished(hung[0].ticket, Outcome::Ok, at(HOUR + 11 * SECOND));
}

#[test]
fn a_monitor_that_goes_ends_where_its_successor_begins() {
    let mut schedule = Schedule::new(caps(8), Resume::default());
    schedule.replace(vec![assigned(1, 1, SECOND), assigned(2, 1, SECOND)], 0, i64::MAX, at(0));
    run(&mut schedule, 0, 5_500);
    // Made at 5.6 s, so that others begin after 6.6 s, and here after 0.2 s.
    let second = Assigned { first_slot: 7, ..assigned(2, 2, SECOND) };
    schedule.replace(vec![second], 5_600, i64::MAX, at(5_800));
    assert_eq!(schedule.assignments(), 1);
    let mut seen = Vec::new();
    for now in 5_800..9_500 {
        schedule.handle_timeout(at(now));
        let (started, missed) = drain(&mut schedule);
        assert!(missed.is_empty());
        for due in started {
            seen.push((due.monitor.as_u128(), due.revision, due.slot));
            schedule.handle_finished(due.ticket, Outcome::Ok, at(now));
        }
    }
    seen.sort_unstable();
    assert_eq!(seen, [(1, 1, 6), (2, 1, 6), (2, 2, 7), (2, 2, 8), (2, 2, 9)]);
}

#[test]
fn a_set_that_travelled_long_leaves_no_slot_untold() {
    let mut schedule = Schedule::new(caps(1), Resume::default());
    let set = vec![assigned(1, 1, SECOND), assigned(2, 1, SECOND)];
    schedule.replace(set, 0, i64::MAX, at(0));
    let (first, _) = drain(&mut schedule);
    // The second waits behind the first, and the next look comes with the new set.
    schedule.replace(Vec::new(), 2_600, i64::MAX, at(20_000));
    let (_, missed) = drain(&mut schedule);
    let told: BTreeSet<_> = (missed.iter())
        .flat_map(|it| (it.first..=it.last).map(move |slot| (it.monitor.as_u128(), slot)))
        .collect();
    let started = (first[0].monitor.as_u128(), 0);
    let owned = (1..=2).flat_map(|monitor| (0..=3).map(move |slot| (monitor, slot)));
    assert_eq!(told, owned.filter(|slot| *slot != started).collect());
}
