//! Slots, caps and time, example by example; then whatever order things come in.

mod admission;
mod bursts;

use super::*;
use bursts::Confirmations;
use proptest::prelude::*;

type Slots = BTreeSet<(u128, u64, i64)>;

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
    assert_eq!(schedule.complete_through(), None);
    schedule.replace(vec![assigned(1, 1, 1_000)], i64::MAX, at(0));
    let (started, _) = drain(&mut schedule);
    assert_eq!((started.len(), started[0].slot), (1, 0));
    assert_eq!(schedule.next_wakeup(), Some(1_000));
    schedule.handle_timeout(at(500));
    assert_eq!(schedule.complete_through(), Some(-1), "the probe in flight holds it back");
    schedule.handle_finished(started[0].ticket, Outcome::Ok, at(600));
    assert_eq!(schedule.complete_through(), Some(500));
}

#[test]
fn a_hung_probe_misses_its_own_slots_only() {
    let mut schedule = Schedule::new(caps(8), Resume::default());
    schedule.replace(vec![assigned(1, 1, 1_000), assigned(2, 1, 1_000)], i64::MAX, at(0));
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
    schedule.replace((1..=10).map(|m| assigned(m, 1, 1_000)).collect(), i64::MAX, at(0));
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
    schedule.replace((0..500).map(|m| assigned(m, 1, 60_000)).collect(), i64::MAX, at(0));
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
    schedule.replace(vec![assigned(1, 1, 1_000)], 2_500, at(0));
    let (slots, _) = run(&mut schedule, 0, 6_000);
    assert_eq!(slots, [0, 1, 2]);
    assert!(schedule.is_idle());
    assert_eq!(schedule.next_wakeup(), None);
    assert_eq!(schedule.complete_through(), Some(2_490));
    schedule.replace(vec![assigned(1, 1, 1_000)], i64::MAX, at(7_100));
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
    schedule.replace(vec![assigned(1, 1, 1_000)], i64::MAX, at(9_200));
    let (started, missed) = drain(&mut schedule);
    assert!(started.is_empty(), "slot 9 is sealed");
    let ranges: Vec<_> = missed.iter().map(|m| (m.first, m.last, m.reason)).collect();
    assert_eq!(ranges, [(5, 5, MissedReason::Stopped), (7, 8, MissedReason::Stopped)]);
    assert_eq!(schedule.complete_through(), Some(9_200));
}

#[test]
fn stopping_reports_what_will_not_run() {
    let mut schedule = Schedule::new(caps(1), Resume::default());
    schedule.replace(vec![assigned(1, 1, 1_000), assigned(2, 1, 1_000)], i64::MAX, at(0));
    let (started, _) = drain(&mut schedule);
    schedule.stop();
    schedule.handle_abandoned(started[0].ticket, MissedReason::Stopped, at(10));
    schedule.handle_timeout(at(5_000));
    let (started, missed) = drain(&mut schedule);
    assert!(started.is_empty());
    assert_eq!(missed.iter().filter(|m| m.reason == MissedReason::Stopped).count(), 2);
    assert_eq!(schedule.complete_through(), Some(0));
}

#[derive(Debug, Clone)]
enum Step {
    Pass(i64),
    /// Whether the check succeeded.
    FinishOldest(bool),
    FinishNewest(bool),
    /// (monitor, failures, how old the request is, how long it lives, milliseconds).
    Burst(u128, u32, i64, i64),
    /// (monitor, interval) of the set; a new revision when the flag is set.
    Replace(Vec<(u128, i64)>, bool),
}

fn step() -> impl Strategy<Value = Step> {
    let set = prop::collection::vec((1u128..8, 1i64..4), 0..8);
    prop_oneof![
        8 => (0i64..900).prop_map(Step::Pass),
        1 => (3_000i64..60_000).prop_map(Step::Pass),
        1 => (-5_000i64..0).prop_map(Step::Pass),
        6 => any::<bool>().prop_map(Step::FinishOldest),
        4 => any::<bool>().prop_map(Step::FinishNewest),
        3 => (1u128..8, 0u32..5, -6_000i64..6_000, 0i64..30_000)
            .prop_map(|(monitor, failures, age, life)| Step::Burst(monitor, failures, age, life)),
        1 => (set, any::<bool>()).prop_map(|(set, newer)| Step::Replace(set, newer)),
    ]
}

/// Everything that was ever accounted for, and what was owned.
#[derive(Default)]
struct Ledger {
    started: Slots,
    missed: Slots,
    running: Vec<Due<()>>,
    held: BTreeMap<u128, Assigned<()>>,
    revision: u64,
    bursts: Confirmations,
}

impl Ledger {
    fn record(&mut self, schedule: &mut Schedule<()>, now_ms: i64) -> Result<(), TestCaseError> {
        let (started, missed) = drain(schedule);
        for due in started {
            let runs = self.running.iter().any(|other| other.monitor == due.monitor);
            prop_assert!(!runs, "two probes of {} at once", due.monitor);
            if due.burst.is_some() {
                self.bursts.started(&due, self.held.get(&due.monitor.as_u128()), now_ms)?;
                self.running.push(due);
                continue;
            }
            let key = (due.monitor.as_u128(), due.revision, due.slot);
            prop_assert!(!self.missed.contains(&key), "{key:?} missed, then started");
            prop_assert!(self.started.insert(key), "{key:?} started twice");
            self.running.push(due);
        }
        for range in missed {
            for slot in range.first..=range.last {
                let key = (range.monitor.as_u128(), range.revision, slot);
                prop_assert!(!self.started.contains(&key), "{key:?} started, then missed");
                prop_assert!(self.missed.insert(key), "{key:?} missed twice");
            }
        }
        Ok(())
    }

    fn finish(&mut self, schedule: &mut Schedule<()>, due: &Due<()>, well: bool, now_ms: i64) {
        let outcome = if well { Outcome::Ok } else { Outcome::Fail };
        self.bursts.ended(due, well, now_ms);
        schedule.handle_finished(due.ticket, outcome, at(now_ms));
    }

    /// No host is asked by more than `most` at once.
    fn crowded(&self, most: usize) -> Result<(), TestCaseError> {
        for host in 0..3 {
            let asks = |due: &&Due<()>| due.monitor.as_u128() % 3 == host;
            prop_assert!(self.running.iter().filter(asks).count() <= most);
        }
        Ok(())
    }

    /// A set as a control plane would send it: what is new begins in the future.
    fn set(&mut self, wanted: &[(u128, i64)], newer: bool, now_ms: i64) -> Vec<Assigned<()>> {
        self.revision += 1;
        let mut next = BTreeMap::new();
        for (monitor, seconds) in wanted {
            let stays = self.held.get(monitor).filter(|_| !newer).cloned();
            let fresh = || {
                let mut fresh = assigned(*monitor, self.revision, seconds * 1_000);
                fresh.first_slot = fresh.slot_at(now_ms) + 1;
                fresh
            };
            next.insert(*monitor, stays.unwrap_or_else(fresh));
        }
        self.held = next;
        self.held.values().cloned().collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2 * ProptestConfig::default().cases))]

    /// No slot twice and none lost, whatever time and bursts do: each slot of a
    /// held assignment that `complete_through` covers is finished or missed. And
    /// bursts do what they were ordered, within the caps.
    #[test]
    fn every_slot_is_started_or_missed_exactly_once(
        steps in prop::collection::vec(step(), 1..120),
        cap in 1usize..6,
        per_target in 1usize..4,
    ) {
        let caps = Caps { in_flight: cap, per_target };
        let mut schedule = Schedule::new(caps, Resume::default());
        let mut ledger = Ledger::default();
        let mut now_ms = 1_000_000;
        // The control plane's plans do not step back with the agent's idea of time.
        let mut planned_ms = now_ms;
        let first = ledger.set(&[(1, 1), (2, 2), (3, 3)], true, now_ms);
        schedule.replace(first, i64::MAX, at(now_ms));
        for step in steps {
            match step {
                Step::Pass(ms) => {
                    now_ms += ms;
                    planned_ms = planned_ms.max(now_ms);
                }
                Step::FinishOldest(well) if !ledger.running.is_empty() => {
                    let due = ledger.running.remove(0);
                    ledger.finish(&mut schedule, &due, well, now_ms);
                }
                Step::FinishNewest(well) => {
                    if let Some(due) = ledger.running.pop() {
                        ledger.finish(&mut schedule, &due, well, now_ms);
                    }
                }
                Step::FinishOldest(_) => {}
                Step::Burst(monitor, failures, age, life) => {
                    let revision = ledger.held.get(&monitor).map_or(0, |held| held.revision);
                    let (id, monitor) = (Uuid::nil(), Uuid::from_u128(monitor));
                    let (asked_ms, expires_ms) = (now_ms - age, now_ms - age + life);
                    let order = Burst { id, monitor, revision, failures, asked_ms, expires_ms };
                    ledger.bursts.order(&mut schedule, order, now_ms)?;
                }
                Step::Replace(wanted, newer) => {
                    let set = ledger.set(&wanted, newer, planned_ms);
                    schedule.replace(set, i64::MAX, at(now_ms));
                }
            }
            ledger.record(&mut schedule, now_ms)?;
            schedule.handle_timeout(at(now_ms));
            ledger.record(&mut schedule, now_ms)?;
            prop_assert!(ledger.running.len() <= cap);
            ledger.crowded(per_target)?;
            let through = schedule.complete_through().expect("a set was given");
            let running: Slots = ledger
                .running
                .iter()
                .filter(|due| due.burst.is_none())
                .map(|due| (due.monitor.as_u128(), due.revision, due.slot))
                .collect();
            for held in ledger.held.values() {
                let last = held.slot_at(through);
                for slot in held.first_slot.max(last - 100)..=last {
                    let key = (held.monitor.as_u128(), held.revision, slot);
                    let finished = ledger.started.contains(&key) && !running.contains(&key);
                    prop_assert!(finished || ledger.missed.contains(&key), "{key:?} lost");
                }
            }
        }
    }
}
