//! Caps, shares and turns.

use super::*;
use crate::limits::{STARTS_PER_TURN, STARTS_PER_TURN_LEAST, STARTS_PER_TURN_MOST, TURN_US};
use std::cmp::Reverse;

/// `count` monitors of `interval_ms`, evenly spread, each of a host of its own.
fn spread(count: i64, interval_ms: i64) -> Vec<Assigned<()>> {
    let one = |index: i64| Assigned {
        anchor_ms: index * interval_ms / count,
        target: format!("{index}.example").into(),
        ..assigned(index as u128, 1, interval_ms)
    };
    (0..count).map(one).collect()
}

fn index(due: &Due<()>) -> i64 {
    due.monitor.as_u128() as i64
}

/// Time and probes: each check takes what `takes` says (milliseconds).
struct World {
    schedule: Schedule<()>,
    now_ms: i64,
    ends: BinaryHeap<Reverse<(i64, Ticket)>>,
    /// (monitor, how late it started, milliseconds).
    started: Vec<(i64, i64)>,
    missed: Vec<Missed>,
}

impl World {
    fn new(caps: Caps, set: Vec<Assigned<()>>) -> Self {
        let mut schedule = Schedule::new(caps, Resume::default());
        schedule.replace(set, 0, i64::MAX, at(0));
        let (started, missed) = (Vec::new(), Vec::new());
        Self { schedule, now_ms: 0, ends: BinaryHeap::new(), started, missed }
    }

    fn look(&mut self, takes: impl Fn(&Due<()>) -> i64) {
        while let Some(Reverse((_, ticket))) =
            self.ends.peek().copied().filter(|Reverse((end, _))| *end <= self.now_ms)
        {
            self.ends.pop();
            self.schedule.handle_finished(ticket, Outcome::Ok, at(self.now_ms));
        }
        self.schedule.handle_timeout(at(self.now_ms));
        let (started, missed) = drain(&mut self.schedule);
        for due in started {
            self.started.push((index(&due), self.now_ms - due.due_ms));
            self.ends.push(Reverse((self.now_ms + takes(&due), due.ticket)));
        }
        self.missed.extend(missed);
    }

    /// Looks every millisecond until `end_ms`.
    fn run(&mut self, end_ms: i64, takes: impl Fn(&Due<()>) -> i64) {
        while self.now_ms < end_ms {
            self.look(&takes);
            self.now_ms += 1;
        }
    }
}

#[test]
fn hung_targets_change_nothing_for_the_others() {
    const COUNT: i64 = 10_000;
    const INTERVAL: i64 = 10_000;
    let hangs = |monitor: i64| monitor % 20 == 7;
    let mut world = World::new(Caps { in_flight: 2_000, per_target: 500 }, spread(COUNT, INTERVAL));
    world.run(3 * INTERVAL, |due| if hangs(index(due)) { INTERVAL } else { 2 });
    let others = world.started.iter().filter(|(monitor, _)| !hangs(*monitor));
    assert!(others.clone().all(|(_, late)| *late == 0));
    assert_eq!(others.count() as i64, 3 * COUNT * 19 / 20);
    assert!(world.missed.is_empty(), "{:?}", world.missed.first());
}

#[test]
fn half_of_everything_hanging_leaves_room_for_the_rest() {
    const COUNT: i64 = 1_000;
    const INTERVAL: i64 = 10_000;
    let hangs = |monitor: i64| monitor % 2 == 0;
    let mut world = World::new(Caps { in_flight: 200, per_target: 50 }, spread(COUNT, INTERVAL));
    let takes = |due: &Due<()>| if hangs(index(due)) { INTERVAL } else { 5 };
    world.run(6 * INTERVAL, takes);
    world.started.clear();
    world.missed.clear();
    world.run(12 * INTERVAL, takes);
    let late: Vec<_> =
        world.started.iter().filter(|(monitor, late)| !hangs(*monitor) && *late > 0).collect();
    assert!(late.is_empty(), "{late:?}");
    let lost = world.missed.iter().filter(|missed| !hangs(missed.monitor.as_u128() as i64));
    assert_eq!(lost.count(), 0);
    // The others share what is left: 150 places for 500 that take all their time.
    let mut turns: BTreeMap<i64, u32> = BTreeMap::new();
    for (monitor, _) in world.started.iter().filter(|(monitor, _)| hangs(*monitor)) {
        *turns.entry(*monitor).or_default() += 1;
    }
    assert_eq!(turns.len(), 500, "every one gets its turn");
    assert!(turns.values().all(|turns| (1..=3).contains(turns)), "{turns:?}");
}

#[test]
fn a_host_at_its_cap_holds_up_only_its_own() {
    let one_host = |mut set: Vec<Assigned<()>>| {
        set.iter_mut().take(100).for_each(|a| a.target = "hung.example".into());
        set
    };
    let mut world =
        World::new(Caps { in_flight: 1_000, per_target: 8 }, one_host(spread(200, 1_000)));
    let mut most = 0;
    for _ in 0..20_000 {
        world.look(|due| if index(due) < 100 { 1_000 } else { 3 });
        let hung = world.schedule.running.values().filter(|r| &*r.host == "hung.example").count();
        most = most.max(hung);
        world.now_ms += 1;
    }
    assert_eq!(most, 8);
    assert!(world.started.iter().all(|(monitor, late)| *monitor < 100 || *late == 0));
    let mut turns: BTreeMap<i64, u32> = BTreeMap::new();
    world
        .started
        .iter()
        .filter(|(m, _)| *m < 100)
        .for_each(|(m, _)| *turns.entry(*m).or_default() += 1);
    let (least, most) = (turns.values().min(), turns.values().max());
    assert_eq!(turns.len(), 100);
    assert!(most.zip(least).is_some_and(|(most, least)| most - least <= 1), "{turns:?}");
}

#[test]
fn who_waits_for_a_host_starts_when_a_place_there_is_free() {
    let caps = Caps { in_flight: 10, per_target: 1 };
    let mut schedule = Schedule::new(caps, Resume::default());
    schedule.replace(vec![assigned(1, 1, 60_000), assigned(4, 1, 60_000)], 0, i64::MAX, at(0));
    let (first, _) = drain(&mut schedule);
    assert_eq!(first.len(), 1, "both watch the same host");
    assert!(!schedule.is_held());
    // A new set in between forgets neither the probe nor who waits for it.
    schedule.replace(vec![assigned(4, 1, 60_000), assigned(1, 1, 60_000)], 10, i64::MAX, at(10));
    assert!(drain(&mut schedule).0.is_empty());
    schedule.handle_finished(first[0].ticket, Outcome::Ok, at(20));
    let (second, _) = drain(&mut schedule);
    assert_eq!(second.len(), 1);
    assert_ne!(second[0].monitor, first[0].monitor);
}

#[test]
fn a_parked_quick_one_comes_back_though_slow_ones_were_parked_before_it() {
    let entry = |target| {
        let mut entry = Entry::fresh(assigned(1, 1, 60_000), 0, None);
        entry.target = target;
        entry
    };
    // Entries 0 to 3 of target 0, entry 4 of target 1.
    let entries: Vec<_> = [0, 0, 0, 0, 1].map(entry).into_iter().collect();
    let mut line = Admission::new(Caps { in_flight: 2, per_target: 1 });
    line.clear(2);
    let start = |line: &mut Admission, target, slow| {
        line.next_turn();
        let next = line.next(&entries);
        next.inspect(|_| line.started(target, slow))
    };
    line.join(0, None, false);
    assert_eq!(start(&mut line, 0, false), Some(0));
    for (position, slow) in [(1, true), (2, true), (3, false)] {
        line.join(position, None, slow);
    }
    assert_eq!(start(&mut line, 0, false), None, "all met the cap");
    // The one slow place is taken elsewhere.
    line.join(4, None, true);
    assert_eq!(start(&mut line, 1, true), Some(4));
    line.ended(Some(0), false);
    assert_eq!(start(&mut line, 0, false), Some(3));
}

#[test]
fn a_new_set_does_not_change_the_order_of_the_line() {
    let caps = Caps { in_flight: 1, per_target: 1 };
    let mut schedule = Schedule::new(caps, Resume::default());
    let set = |order: [u128; 4]| order.map(|monitor| assigned(monitor, 1, 60_000)).to_vec();
    schedule.replace(set([3, 1, 4, 2]), 0, i64::MAX, at(0));
    let mut order = Vec::new();
    for ms in 1..5 {
        let (started, _) = drain(&mut schedule);
        order.extend(started.iter().map(|due| due.monitor.as_u128()));
        schedule.replace(set([1, 2, 3, 4]), ms, i64::MAX, at(ms));
        schedule.handle_finished(started[0].ticket, Outcome::Ok, at(ms));
    }
    assert_eq!(order, [3, 1, 4, 2]);
}

/// A core that needs `cost_us` for each started check, and nothing else to do:
/// a turn lasts as long as what was started in it takes.
struct Core {
    world: World,
    cost_us: i64,
    now_us: i64,
    longest_us: i64,
}

impl Core {
    fn turn(&mut self) {
        self.world.now_ms = self.now_us / 1_000;
        let before = self.world.started.len();
        self.world.look(|_| 2);
        let started = (self.world.started.len() - before) as i64;
        let took = (started * self.cost_us).max(50);
        self.longest_us = self.longest_us.max(took);
        self.now_us += took;
        if self.world.schedule.is_held() {
            self.world.schedule.handle_turn(took);
        }
    }
}

#[test]
fn twice_what_a_core_can_do_is_shed_evenly_and_turns_stay_short() {
    const COUNT: i64 = 1_000;
    // 2,000 checks a second are asked of a core that can do 1,000.
    let world = World::new(Caps { in_flight: 2_000, per_target: 500 }, spread(COUNT, 500));
    let mut core = Core { world, cost_us: 1_000, now_us: 0, longest_us: 0 };
    while core.now_us < 5_000_000 {
        core.turn();
    }
    core.longest_us = 0;
    core.world.started.clear();
    core.world.missed.clear();
    while core.now_us < 35_000_000 {
        core.turn();
    }
    assert!(core.longest_us <= TURN_US * 2, "{} µs", core.longest_us);
    let done = core.world.started.len() as i64;
    assert!((29_000..=30_100).contains(&done), "the core is used: {done}");
    let missed: u64 = core.world.missed.iter().map(Missed::slots).sum();
    assert!((28_000..=31_000).contains(&missed), "{missed}");
    assert!(core.world.missed.iter().all(|missed| missed.reason == MissedReason::Overload));
    let mut turns: BTreeMap<i64, u32> = BTreeMap::new();
    for (monitor, _) in &core.world.started {
        *turns.entry(*monitor).or_default() += 1;
    }
    let (least, most) = (turns.values().min(), turns.values().max());
    assert_eq!(turns.len() as i64, COUNT);
    assert!(most.zip(least).is_some_and(|(most, least)| most - least <= 1), "{least:?} {most:?}");
}

#[test]
fn below_its_limit_a_core_sheds_nothing_and_starts_in_time() {
    let world = World::new(Caps { in_flight: 2_000, per_target: 500 }, spread(1_000, 1_000));
    // Four fifths of what it can do.
    let mut core = Core { world, cost_us: 800, now_us: 0, longest_us: 0 };
    while core.now_us < 20_000_000 {
        core.turn();
    }
    assert!(core.world.missed.is_empty());
    assert!(core.world.started.iter().all(|(_, late)| *late <= 5));
}

#[test]
fn a_few_start_per_turn_and_how_few_follows_the_turns() {
    let all_at_once: Vec<_> =
        spread(1_000, 60_000).into_iter().map(|a| Assigned { anchor_ms: 0, ..a }).collect();
    let mut world = World::new(Caps { in_flight: 2_000, per_target: 500 }, all_at_once);
    let mut turn = |took_us| {
        let before = world.started.len();
        world.look(|_| 1);
        assert!(world.schedule.is_held());
        world.schedule.handle_turn(took_us);
        world.started.len() - before
    };
    // Taking the set was a turn of its own.
    assert_eq!(turn(TURN_US * 3 / 4), 2 * STARTS_PER_TURN);
    assert_eq!(turn(TURN_US + 1), STARTS_PER_TURN);
    assert_eq!(turn(TURN_US + 1), STARTS_PER_TURN / 2);
    let least = (0..10).map(|_| turn(TURN_US * 100)).last();
    assert_eq!(least, Some(STARTS_PER_TURN_LEAST));
    let more: Vec<_> = (0..10).map(|_| turn(100)).collect();
    assert!(more.is_sorted() && more[9] > 2 * STARTS_PER_TURN_LEAST, "{more:?}");
    assert!(more[9] <= STARTS_PER_TURN_MOST);
}
