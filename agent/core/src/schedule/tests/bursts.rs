//! Confirmation bursts, example by example, and the rules that hold in any order.

use super::*;
use crate::limits::{ACTIVE_BURSTS, BURST_SKEW_MS};

const SECOND: i64 = 1_000;

fn burst(id: u128, monitor: u128, failures: u32) -> Burst {
    Burst {
        id: Uuid::from_u128(id),
        monitor: Uuid::from_u128(monitor),
        revision: 1,
        failures,
        asked_ms: 0,
        expires_ms: 60 * SECOND,
    }
}

/// A schedule of one monitor of a minute whose slot 0 has ended at `now`.
fn schedule(now: i64) -> Schedule<()> {
    let mut schedule = Schedule::new(caps(8), Resume::default());
    schedule.replace(vec![assigned(1, 1, 60 * SECOND)], 0, i64::MAX, at(0));
    let (started, _) = drain(&mut schedule);
    schedule.handle_finished(started[0].ticket, Outcome::Fail, at(now));
    schedule
}

/// Looks when the schedule wants it and answers each check after `takes`; what started, and when.
fn answers(
    schedule: &mut Schedule<()>,
    outcomes: &[Outcome],
    mut now: i64,
    takes: i64,
) -> Vec<(i64, Option<u32>, i64)> {
    let mut seen = Vec::new();
    for outcome in outcomes {
        let due = loop {
            schedule.handle_timeout(at(now));
            if let Some(due) = drain(schedule).0.pop() {
                break due;
            }
            match schedule.next_wakeup() {
                Some(next) if next < 60 * SECOND => now = now.max(next),
                _ => return seen,
            }
        };
        seen.push((now, due.burst.map(|check| check.index), due.slot));
        now += takes;
        schedule.handle_finished(due.ticket, *outcome, at(now));
    }
    seen
}

#[test]
fn failures_are_confirmed_a_second_apart_and_a_success_ends_it() {
    let mut all = schedule(5);
    all.handle_burst(burst(1, 1, 3), at(100)).expect("taken");
    let asked = answers(&mut all, &[Outcome::Fail; 9], 100, 20);
    assert_eq!(asked, [(100, Some(1), 0), (1_120, Some(2), 0), (2_140, Some(3), 0)]);
    for success in [Outcome::Ok, Outcome::Degraded] {
        let mut one = schedule(5);
        one.handle_burst(burst(1, 1, 3), at(100)).expect("taken");
        let asked = answers(&mut one, &[Outcome::Policy, success, Outcome::Fail], 100, 20);
        assert_eq!(asked.len(), 2, "{success:?}");
    }
}

#[test]
fn a_change_and_an_answer_are_news() {
    let mut schedule = Schedule::new(caps(8), Resume::default());
    schedule.replace(vec![assigned(1, 1, SECOND)], 0, i64::MAX, at(0));
    let mut now = 0;
    let mut news = |schedule: &mut Schedule<()>, outcome| {
        schedule.handle_timeout(at(now));
        let due = drain(schedule).0.remove(0);
        let news = schedule.is_news(due.ticket, outcome);
        schedule.handle_finished(due.ticket, outcome, at(now + 5));
        now += SECOND;
        news
    };
    use Outcome::{Degraded, Fail, Ok};
    let outcomes = [Ok, Degraded, Fail, Fail, Ok, Ok];
    let told = outcomes.map(|outcome| news(&mut schedule, outcome));
    assert_eq!(told, [false, false, true, false, true, false]);
    schedule.handle_burst(burst(1, 1, 1), at(5_100)).expect("taken");
    let due = drain(&mut schedule).0.remove(0);
    assert!(schedule.is_news(due.ticket, Ok), "somebody waits for it");
}

#[test]
fn what_nobody_hears_of_was_not_the_last_check() {
    let mut schedule = Schedule::new(caps(8), Resume::default());
    schedule.replace(vec![assigned(1, 1, SECOND)], 0, i64::MAX, at(0));
    let (told, _) = drain(&mut schedule);
    schedule.handle_finished(told[0].ticket, Outcome::Ok, at(5));
    schedule.handle_timeout(at(SECOND));
    let (lost, _) = drain(&mut schedule);
    schedule.handle_abandoned(lost[0].ticket, MissedReason::Overload, at(SECOND + 5));
    schedule.handle_timeout(at(2 * SECOND));
    let next = drain(&mut schedule).0.remove(0).ticket;
    assert!(schedule.is_news(next, Outcome::Fail) && !schedule.is_news(next, Outcome::Ok));
}

#[test]
fn an_order_runs_once_and_only_in_its_time() {
    let mut schedule = schedule(5);
    schedule.handle_burst(burst(1, 1, 1), at(100)).expect("taken");
    assert_eq!(answers(&mut schedule, &[Outcome::Fail; 3], 100, 20).len(), 1);
    let refused = |schedule: &mut Schedule<()>, order| schedule.handle_burst(order, at(2_000));
    assert_eq!(refused(&mut schedule, burst(1, 1, 1)), Err(BurstRefusal::Known));
    let old = Burst { expires_ms: 2_000, ..burst(2, 1, 1) };
    assert_eq!(refused(&mut schedule, old), Err(BurstRefusal::Expired));
    let early = Burst { asked_ms: 2_001 + BURST_SKEW_MS, ..burst(2, 1, 1) };
    assert_eq!(refused(&mut schedule, early), Err(BurstRefusal::TooFar));
    let endless = Burst { expires_ms: 2_001 + 600 * SECOND + BURST_SKEW_MS, ..burst(2, 1, 1) };
    assert_eq!(refused(&mut schedule, endless), Err(BurstRefusal::TooFar));
    for failures in [0, 101, u32::MAX] {
        let order = burst(2, 1, failures);
        assert_eq!(refused(&mut schedule, order), Err(BurstRefusal::Failures), "{failures}");
    }
    for other in [burst(2, 9, 1), Burst { revision: 2, ..burst(2, 1, 1) }] {
        assert_eq!(refused(&mut schedule, other), Err(BurstRefusal::NotHeld));
    }
    schedule.stop();
    assert_eq!(refused(&mut schedule, burst(2, 1, 1)), Err(BurstRefusal::NotHeld));
}

#[test]
fn nothing_starts_before_it_was_asked() {
    let mut schedule = schedule(5);
    let ahead = Burst { asked_ms: 700, ..burst(1, 1, 2) };
    schedule.handle_burst(ahead, at(100)).expect("our clock may be behind");
    assert_eq!(schedule.next_wakeup(), Some(700));
    assert_eq!(answers(&mut schedule, &[Outcome::Fail], 100, 1), [(700, Some(1), 0)]);
}

#[test]
fn the_monitors_own_check_ends_first_and_its_next_slot_waits() {
    let mut schedule = Schedule::new(caps(8), Resume::default());
    schedule.replace(vec![assigned(1, 1, 2 * SECOND)], 0, i64::MAX, at(0));
    schedule.handle_timeout(at(1_400));
    let (own, _) = drain(&mut schedule);
    schedule.handle_finished(own[0].ticket, Outcome::Ok, at(1_401));
    schedule.handle_timeout(at(2_000));
    let (own, _) = drain(&mut schedule);
    schedule.handle_burst(burst(1, 1, 2), at(2_500)).expect("taken");
    assert!(drain(&mut schedule).0.is_empty(), "it may yet be answered");
    schedule.handle_finished(own[0].ticket, Outcome::Fail, at(2_900));
    let (first, _) = drain(&mut schedule);
    assert_eq!(first[0].burst.map(|check| check.index), Some(1));
    schedule.handle_finished(first[0].ticket, Outcome::Fail, at(3_100));
    schedule.handle_timeout(at(4_050));
    let (slot, _) = drain(&mut schedule);
    assert_eq!((slot[0].slot, slot[0].burst), (2, None), "between two checks of the burst");
    schedule.handle_timeout(at(4_200));
    assert!(drain(&mut schedule).0.is_empty());
    schedule.handle_finished(slot[0].ticket, Outcome::Fail, at(4_300));
    let (second, _) = drain(&mut schedule);
    assert_eq!(second[0].burst.map(|check| check.index), Some(2));
    assert_eq!(schedule.complete_through(4_300), Some(4_200), "no slot waits for it");
    schedule.handle_timeout(at(6_000));
    assert!(drain(&mut schedule).0.is_empty(), "but a slot starts beside nothing");
    assert_eq!(schedule.complete_through(6_000), Some(5_999));
}

/// (when, which check of the burst) of what starts until `end_ms`, when nothing is answered
/// but after `takes`.
fn hangs(schedule: &mut Schedule<()>, from: i64, end_ms: i64, takes: i64) -> Vec<(i64, u32)> {
    let mut seen = Vec::new();
    let mut running: VecDeque<(i64, Ticket)> = VecDeque::new();
    for now in from..end_ms {
        while let Some((_, ticket)) = running.pop_front_if(|(ends, _)| *ends <= now) {
            schedule.handle_finished(ticket, Outcome::Fail, at(now));
        }
        if schedule.next_wakeup().is_none_or(|next| next > now) && now > from {
            for due in drain(schedule).0 {
                seen.push((now, due.burst.map_or(0, |check| check.index)));
                running.push_back((now + takes, due.ticket));
            }
            continue;
        }
        schedule.handle_timeout(at(now));
        for due in drain(schedule).0 {
            seen.push((now, due.burst.map_or(0, |check| check.index)));
            running.push_back((now + takes, due.ticket));
        }
    }
    seen
}

#[test]
fn what_hangs_is_not_waited_for() {
    let mut schedule = schedule(5);
    schedule.handle_burst(burst(1, 1, 4), at(100)).expect("taken");
    let asked = hangs(&mut schedule, 100, 40_000, 10_000);
    // Two at once at most, and the last two are needed only when the first have failed.
    assert_eq!(asked, [(100, 1), (1_100, 2), (10_100, 3), (11_100, 4)]);
}

#[test]
fn a_check_of_a_slot_that_hangs_is_not_waited_for_either() {
    for (asked_at, starts_at) in [(200, 1_000), (4_000, 4_000)] {
        let mut schedule = Schedule::new(caps(8), Resume::default());
        schedule.replace(vec![assigned(1, 1, 60 * SECOND)], 0, i64::MAX, at(0));
        let (own, _) = drain(&mut schedule);
        schedule.handle_burst(burst(1, 1, 2), at(asked_at)).expect("taken");
        let asked = hangs(&mut schedule, asked_at, 9_000, 10_000);
        assert_eq!(asked, [(starts_at, 1)], "not a third beside two");
        schedule.handle_finished(own[0].ticket, Outcome::Fail, at(10_000));
        let (second, _) = drain(&mut schedule);
        assert_eq!(second[0].burst.map(|check| check.index), Some(2));
    }
}

#[test]
fn it_passes_the_line_but_not_the_caps() {
    let set = || (1..=6).map(|monitor| assigned(monitor, 1, 60 * SECOND)).collect::<Vec<_>>();
    for (caps, waits_for) in [
        (Caps { in_flight: 2, per_target: 2 }, 0),
        // Monitors 1 and 4 watch one host.
        (Caps { in_flight: 8, per_target: 1 }, 0),
    ] {
        let mut schedule = Schedule::new(caps, Resume::default());
        schedule.replace(set(), 0, i64::MAX, at(0));
        let (mut started, _) = drain(&mut schedule);
        schedule.handle_burst(burst(1, 4, 1), at(10)).expect("taken");
        assert!(drain(&mut schedule).0.is_empty());
        let ended = started.remove(waits_for);
        schedule.handle_finished(ended.ticket, Outcome::Ok, at(20));
        let (next, _) = drain(&mut schedule);
        assert_eq!(next.len(), 1, "{caps:?}");
        assert_eq!(next[0].monitor, Uuid::from_u128(4), "{caps:?}");
        assert!(next[0].burst.is_some(), "its own slot waits longer: {caps:?}");
    }
}

#[test]
fn a_turn_that_is_used_up_holds_it() {
    let mut schedule = Schedule::new(caps(1_000), Resume::default());
    let set =
        (1..=100).map(|m| Assigned { target: m.to_string().into(), ..assigned(m, 1, 60_000) });
    schedule.replace(set.collect(), 0, i64::MAX, at(0));
    let (started, _) = drain(&mut schedule);
    let waits = (1..=100).find(|m| started.iter().all(|due| due.monitor.as_u128() != *m));
    schedule.handle_burst(burst(1, waits.expect("not all at once"), 1), at(1)).expect("taken");
    assert!(drain(&mut schedule).0.is_empty());
    assert!(schedule.is_held());
    schedule.handle_timeout(at(2));
    assert!(drain(&mut schedule).0[0].burst.is_some(), "first of the next turn");
}

#[test]
fn what_the_set_does_not_hold_any_more_ends() {
    let two = |revision| vec![assigned(1, revision, 60_000), assigned(2, 1, 60_000)];
    for (set, idle, goes_on) in [
        (two(1), false, true),
        (two(2), false, false),
        (vec![assigned(2, 1, 60_000)], false, false),
        (two(1), true, false),
    ] {
        let mut schedule = Schedule::new(caps(8), Resume::default());
        schedule.replace(two(1), 0, 10_000, at(0));
        for due in drain(&mut schedule).0 {
            schedule.handle_finished(due.ticket, Outcome::Ok, at(1));
        }
        schedule.handle_burst(burst(1, 1, 2), at(2)).expect("taken");
        let (first, _) = drain(&mut schedule);
        if idle {
            schedule.handle_timeout(at(10_000));
        }
        schedule.replace(set, 10_001, i64::MAX, at(10_001));
        schedule.handle_finished(first[0].ticket, Outcome::Fail, at(10_002));
        schedule.handle_timeout(at(12_000));
        let (second, missed) = drain(&mut schedule);
        assert_eq!(second.iter().any(|due| due.burst.is_some()), goes_on);
        assert!(missed.is_empty(), "a burst owns no slot");
        let again = schedule.handle_burst(burst(1, 1, 2), at(12_000));
        assert_eq!(again, Err(BurstRefusal::Known), "remembered all the same");
    }
}

#[test]
fn a_newer_order_takes_over_and_too_many_are_refused() {
    let mut schedule = Schedule::new(caps(1_000), Resume::default());
    let most = ACTIVE_BURSTS as u128;
    schedule.replace((1..=most + 1).map(|m| assigned(m, 1, 60_000)).collect(), 0, i64::MAX, at(0));
    for monitor in 1..=most {
        schedule.handle_burst(burst(monitor, monitor, 5), at(1)).expect("taken");
    }
    let over = schedule.handle_burst(burst(7_000, most + 1, 5), at(1));
    assert_eq!(over, Err(BurstRefusal::Full));
    schedule.handle_burst(burst(7_001, 1, 5), at(1)).expect("in the place of the older one");
}

#[test]
fn a_check_that_is_given_up_is_no_missed_slot_and_no_success() {
    let mut schedule = schedule(5);
    schedule.handle_burst(burst(1, 1, 2), at(100)).expect("taken");
    for index in 1..=2 {
        schedule.handle_timeout(at(100 + (i64::from(index) - 1) * 1_010));
        let (started, missed) = drain(&mut schedule);
        assert_eq!((started[0].burst.map(|check| check.index), missed.len()), (Some(index), 0));
        let now = at(110 + (i64::from(index) - 1) * 1_010);
        schedule.handle_abandoned(started[0].ticket, MissedReason::Overload, now);
    }
    schedule.handle_timeout(at(10_000));
    let (started, missed) = drain(&mut schedule);
    assert!(started.is_empty() && missed.is_empty());
}

/// What every order promises, however things come.
#[derive(Default)]
pub(super) struct Confirmations {
    next_id: u128,
    last: Option<Burst>,
    taken: BTreeMap<Uuid, Taken>,
}

struct Taken {
    order: Burst,
    checks: u32,
    /// When the newest check started, or was answered if it was.
    newest_ms: Option<i64>,
    ended: u32,
    over: bool,
}

impl Confirmations {
    /// Sends `order` under a new id, or now and then the one before once more.
    pub(super) fn order(
        &mut self,
        schedule: &mut Schedule<()>,
        order: Burst,
        now: Now,
    ) -> Result<(), TestCaseError> {
        let now_ms = now.control_ms;
        let again = self.last.filter(|_| now_ms % 4 == 0);
        let order = again.unwrap_or_else(|| {
            self.next_id += 1;
            Burst { id: Uuid::from_u128(self.next_id), ..order }
        });
        self.last = Some(order);
        if schedule.handle_burst(order, now).is_ok() {
            prop_assert!((1..=100).contains(&order.failures) && now_ms < order.expires_ms);
            let taken = Taken { order, checks: 0, newest_ms: None, ended: 0, over: false };
            prop_assert!(self.taken.insert(order.id, taken).is_none(), "{order:?} taken twice");
        }
        Ok(())
    }

    pub(super) fn started(
        &mut self,
        due: &Due<()>,
        held: Option<&Assigned<()>>,
        now_ms: i64,
    ) -> Result<(), TestCaseError> {
        let check = due.burst.expect("of a burst");
        let taken = self.taken.get_mut(&check.id).expect("only what was taken runs");
        let order = taken.order;
        prop_assert!(!taken.over, "{order:?} goes on after its end");
        prop_assert_eq!((due.monitor, due.revision), (order.monitor, order.revision));
        prop_assert_eq!(held.map(|held| held.revision), Some(order.revision));
        prop_assert!((order.asked_ms..order.expires_ms).contains(&now_ms), "out of its time");
        taken.checks += 1;
        prop_assert_eq!(check.index, taken.checks);
        prop_assert!(taken.checks <= order.failures);
        if let Some(newest) = taken.newest_ms.replace(now_ms) {
            prop_assert!(now_ms - newest >= SECOND || now_ms < newest, "{newest} to {now_ms}");
        }
        prop_assert_eq!(Some(due.slot), held.map(|held| held.slot_at(now_ms)));
        Ok(())
    }

    pub(super) fn ended(&mut self, due: &Due<()>, well: bool, now_ms: i64) {
        let taken = due.burst.and_then(|check| self.taken.get_mut(&check.id));
        if let Some(taken) = taken {
            taken.ended += 1;
            if due.burst.is_some_and(|check| check.index == taken.checks) {
                taken.newest_ms = Some(now_ms);
            }
            taken.over |= well || taken.ended >= taken.order.failures;
        }
    }
}
