//! The rules that hold whatever comes in whatever order.

use super::bursts::Confirmations;
use super::*;

type Slots = BTreeSet<(u128, u64, i64)>;

#[derive(Debug, Clone)]
enum Step {
    Pass(i64),
    /// The control plane's clock is set.
    Set(i64),
    /// Whether the check succeeded.
    FinishOldest(bool),
    FinishNewest(bool),
    /// (monitor, failures, how old the request is, how long it lives, milliseconds).
    Burst(u128, u32, i64, i64),
    /// (monitor, interval) of the set; a new revision when the flag is set.
    Replace(Vec<(u128, i64)>, bool),
}

const DAY: i64 = 86_400_000;

fn step() -> impl Strategy<Value = Step> {
    let set = prop::collection::vec((1u128..8, 1i64..4), 0..8);
    prop_oneof![
        8 => (0i64..900).prop_map(Step::Pass),
        1 => (3_000i64..60_000).prop_map(Step::Pass),
        1 => (-5_000i64..5_000).prop_map(Step::Set),
        1 => (-400 * DAY..400 * DAY).prop_map(Step::Set),
        6 => any::<bool>().prop_map(Step::FinishOldest),
        4 => any::<bool>().prop_map(Step::FinishNewest),
        3 => (1u128..8, 0u32..5, -6_000i64..6_000, 0i64..30_000)
            .prop_map(|(monitor, failures, age, life)| Step::Burst(monitor, failures, age, life)),
        1 => (set, any::<bool>()).prop_map(|(set, newer)| Step::Replace(set, newer)),
    ]
}

/// Everything that was ever accounted for, and what was owned.
struct Ledger {
    schedule: Schedule<()>,
    now: Now,
    /// The latest that the schedule has looked at.
    seen_ms: i64,
    started: Slots,
    missed: Slots,
    /// What lies before the last of a long range, as (monitor, revision, first, last).
    missed_before: Vec<(u128, u64, i64, i64)>,
    /// With the boot time of their start.
    running: Vec<(Due<()>, i64)>,
    held: BTreeMap<u128, Assigned<()>>,
    /// What was held once, with its last slot.
    ended: Vec<(Assigned<()>, i64)>,
    revision: u64,
    bursts: Confirmations,
}

/// The last slot that a set made now leaves to whoever had them.
fn last_before(assigned: &Assigned<()>, now_ms: i64) -> i64 {
    assigned.slot_at(now_ms + assigned.interval_ms.min(2_000))
}

impl Ledger {
    fn new(caps: Caps) -> Self {
        let now = at(1_000_000);
        let mut ledger = Self {
            schedule: Schedule::new(caps, Resume::default()),
            now,
            seen_ms: now.control_ms,
            started: Slots::new(),
            missed: Slots::new(),
            missed_before: Vec::new(),
            running: Vec::new(),
            held: BTreeMap::new(),
            ended: Vec::new(),
            revision: 0,
            bursts: Confirmations::default(),
        };
        ledger.set(&[(1, 1), (2, 2), (3, 3)], true);
        ledger
    }

    fn record(&mut self) -> Result<(), TestCaseError> {
        let (started, missed) = drain(&mut self.schedule);
        for due in started {
            let series = (due.monitor, due.revision);
            let beside: Vec<_> =
                self.running.iter().filter(|(it, _)| (it.monitor, it.revision) == series).collect();
            if due.burst.is_some() {
                let hangs = |it: &&(Due<()>, i64)| self.now.boot_ms - it.1 >= 1_000;
                prop_assert!(beside.len() <= 1 && beside.iter().all(hangs));
                let held = self.held.get(&due.monitor.as_u128());
                self.bursts.started(&due, held, self.now.control_ms)?;
            } else {
                prop_assert!(beside.is_empty(), "a slot beside another check: {due:?}");
                let key = (due.monitor.as_u128(), due.revision, due.slot);
                prop_assert!(!self.missed.contains(&key), "{key:?} missed, then started");
                prop_assert!(self.started.insert(key), "{key:?} started twice");
            }
            self.running.push((due, self.now.boot_ms));
        }
        for range in missed {
            let single = range.first.max(range.last - 200);
            let (monitor, revision) = (range.monitor.as_u128(), range.revision);
            if range.first < single {
                self.missed_before.push((monitor, revision, range.first, single - 1));
            }
            for slot in single..=range.last {
                let key = (range.monitor.as_u128(), range.revision, slot);
                prop_assert!(!self.started.contains(&key), "{key:?} started, then missed");
                prop_assert!(self.missed.insert(key), "{key:?} missed twice");
            }
        }
        Ok(())
    }

    fn finish(&mut self, due: &Due<()>, well: bool) {
        let outcome = if well { Outcome::Ok } else { Outcome::Fail };
        self.bursts.ended(due, well, self.now.control_ms);
        self.schedule.handle_finished(due.ticket, outcome, self.now);
    }

    /// No host is asked by more than `most` at once.
    fn crowded(&self, most: usize) -> Result<(), TestCaseError> {
        for host in 0..3 {
            let asks = |it: &&(Due<()>, i64)| it.0.monitor.as_u128() % 3 == host;
            prop_assert!(self.running.iter().filter(asks).count() <= most);
        }
        Ok(())
    }

    /// A set as a control plane would send it: what is new begins in the future.
    fn set(&mut self, wanted: &[(u128, i64)], newer: bool) {
        self.revision += 1;
        let now_ms = self.now.control_ms;
        let mut next = BTreeMap::new();
        for (monitor, seconds) in wanted {
            let stays = self.held.get(monitor).filter(|_| !newer).cloned();
            let fresh = || {
                let mut fresh = assigned(*monitor, self.revision, seconds * 1_000);
                fresh.first_slot = last_before(&fresh, now_ms) + 1;
                fresh
            };
            next.insert(*monitor, stays.unwrap_or_else(fresh));
        }
        for (monitor, old) in std::mem::replace(&mut self.held, next) {
            if self.held.get(&monitor).is_none_or(|held| held.revision != old.revision) {
                let last = last_before(&old, now_ms);
                self.ended.push((old, last));
            }
        }
        self.send();
    }

    fn send(&mut self) {
        let set = self.held.values().cloned().collect();
        self.schedule.replace(set, self.now.control_ms, i64::MAX, self.now);
        self.seen_ms = self.seen_ms.max(self.now.control_ms);
    }

    fn set_clock(&mut self, ms: i64) {
        self.now.control_ms += ms;
        let now_ms = self.now.control_ms;
        if self.seen_ms - now_ms <= JUMP_MS {
            return;
        }
        self.seen_ms = now_ms;
        // What is not over after all may come again; what begins then begins now.
        let ended = self.ended.iter().map(|(ended, _)| ended);
        let latest: BTreeMap<_, _> = (self.held.values().chain(ended))
            .map(|it| ((it.monitor.as_u128(), it.revision), it.slot_at(now_ms)))
            .collect();
        let latest = |monitor, revision| latest.get(&(monitor, revision)).copied();
        let is_over =
            |key: &(u128, u64, i64)| latest(key.0, key.1).is_none_or(|latest| key.2 <= latest);
        self.started.retain(is_over);
        self.missed.retain(is_over);
        for range in &mut self.missed_before {
            range.3 = latest(range.0, range.1).map_or(range.3, |latest| range.3.min(latest));
        }
        for (ended, last) in &mut self.ended {
            *last = ended.slot_at(now_ms).min(*last);
        }
        for held in self.held.values_mut() {
            let first = last_before(held, now_ms) + 1;
            if held.due_ms(held.first_slot) > held.due_ms(first) + 3_000 {
                held.first_slot = first;
            }
        }
    }

    fn take(&mut self, step: Step) -> Result<(), TestCaseError> {
        match step {
            Step::Pass(ms) => {
                self.now.control_ms += ms;
                self.now.boot_ms += ms;
            }
            Step::Set(ms) => {
                self.set_clock(ms);
                self.schedule.handle_timeout(self.now);
                self.record()?;
                self.send();
            }
            Step::FinishOldest(well) if !self.running.is_empty() => {
                let (due, _) = self.running.remove(0);
                self.finish(&due, well);
            }
            Step::FinishNewest(well) => {
                if let Some((due, _)) = self.running.pop() {
                    self.finish(&due, well);
                }
            }
            Step::FinishOldest(_) => {}
            Step::Burst(monitor, failures, age, life) => {
                let revision = self.held.get(&monitor).map_or(0, |held| held.revision);
                let (id, monitor) = (Uuid::nil(), Uuid::from_u128(monitor));
                let asked_ms = self.now.control_ms - age;
                let expires_ms = asked_ms + life;
                let order = Burst { id, monitor, revision, failures, asked_ms, expires_ms };
                self.bursts.order(&mut self.schedule, order, self.now)?;
            }
            Step::Replace(wanted, newer) => self.set(&wanted, newer),
        }
        self.record()?;
        self.schedule.handle_timeout(self.now);
        self.seen_ms = self.seen_ms.max(self.now.control_ms);
        self.record()
    }

    /// Each slot that was owned and that `complete_through` covers is finished or missed.
    fn all_accounted_for(&mut self) -> Result<(), TestCaseError> {
        let through = self.schedule.complete_through(self.now.control_ms).expect("a set came");
        prop_assert!(through <= self.now.control_ms);
        let runs = |key| {
            let same = |it: &(Due<()>, i64)| {
                it.0.burst.is_none() && (it.0.monitor.as_u128(), it.0.revision, it.0.slot) == key
            };
            self.running.iter().any(same)
        };
        let held = self.held.values().map(|held| (held, i64::MAX));
        let ended = self.ended.iter().map(|(ended, last)| (ended, *last));
        for (owned, last) in held.chain(ended) {
            let last = last.min(owned.slot_at(through));
            for slot in owned.first_slot.max(last - 20)..=last {
                let key = (owned.monitor.as_u128(), owned.revision, slot);
                let finished = self.started.contains(&key) && !runs(key);
                let before = |range: &(u128, u64, i64, i64)| {
                    (range.0, range.1) == (key.0, key.1) && (range.2..=range.3).contains(&slot)
                };
                let missed = self.missed.contains(&key) || self.missed_before.iter().any(before);
                prop_assert!(finished || missed, "{key:?} lost");
            }
        }
        // What has ended and was covered once needs no second look.
        self.ended.retain(|(ended, last)| ended.slot_at(through) < *last);
        Ok(())
    }

    /// Whatever happened: as soon as checks end, every monitor is looked at again.
    fn everyone_has_a_turn(&mut self) -> Result<(), TestCaseError> {
        while !self.running.is_empty() {
            self.take(Step::FinishOldest(true))?;
        }
        let mut seen = BTreeSet::new();
        for _ in 0..60 {
            self.take(Step::Pass(200))?;
            while let Some((due, _)) = self.running.first() {
                seen.extend(due.burst.is_none().then_some(due.monitor.as_u128()));
                self.take(Step::FinishOldest(true))?;
            }
        }
        prop_assert!(self.held.keys().all(|monitor| seen.contains(monitor)), "{:?}", self.held);
        self.all_accounted_for()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2 * ProptestConfig::default().cases))]

    /// No slot twice and none lost, whatever time, sets and bursts do. And bursts do what
    /// they were ordered, within the caps.
    #[test]
    fn every_slot_is_started_or_missed_exactly_once(
        steps in prop::collection::vec(step(), 1..120),
        cap in 1usize..6,
        per_target in 1usize..4,
    ) {
        let mut ledger = Ledger::new(Caps { in_flight: cap, per_target });
        ledger.record()?;
        for step in steps {
            ledger.take(step)?;
            prop_assert!(ledger.running.len() <= cap);
            ledger.crowded(per_target)?;
            ledger.all_accounted_for()?;
        }
        ledger.everyone_has_a_turn()?;
    }
}
