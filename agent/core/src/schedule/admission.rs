//! Which waiting slot starts next, and whether anything may.
//!
//! Slots that are due stand in one line, in the order in which their monitors
//! joined it. Three things hold a slot back, and none of them holds up those
//! behind it:
//!
//! - **Its target's cap.** Probes in flight to one host are bounded, so that a
//!   host with thousands of monitors is not opened thousands of connections at
//!   once, and one that hangs does not fill the agent. Who meets the cap is
//!   parked beside its target, and comes back to its old place in the line when
//!   a probe of that target ends. Slow monitors are parked apart and one of each
//!   kind comes back: a slow one may find its share filled by other hosts, and
//!   must not keep the place from a quick one.
//! - **The slow share.** A probe that hangs holds its place until its timeout, a
//!   thousand times longer than one that is answered. Monitors whose last check
//!   took long may therefore fill only part of the places; the rest is always
//!   there for those that are answered at once. So when half of everything hangs,
//!   the other half is still checked on time, after the one round in which the
//!   slow ones became known.
//! - **The turn.** Every started check is work for the same few threads. Started
//!   all at once, checks would wait for each other inside the runtime, where
//!   nobody can shed them any more and their own timers run. So only a few
//!   start per turn, which lasts until each of them got to run, and the rest
//!   wait here, where a slot that does not get its turn in time is missed instead
//!   of late. How many is a few follows from how long they had to wait to run:
//!   fewer when turns get long, more when they are short. A machine that cannot
//!   do what is asked of it thus sheds the surplus, evenly, since everyone stands
//!   in the same line.

use super::entry::Entry;
use crate::limits::{
    SLOW_EIGHTHS, STARTS_PER_TURN, STARTS_PER_TURN_LEAST, STARTS_PER_TURN_MOST, TURN_US,
};
use std::collections::BTreeMap;

/// How many probes may be in flight; each at least 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caps {
    pub in_flight: usize,
    pub per_target: usize,
}

/// Whether a check that stands in no line may start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admits {
    Now,
    /// Nothing but the turn is against it.
    NextTurn,
    /// When a probe has ended.
    Later,
}

/// One host that monitors watch.
#[derive(Debug, Default)]
struct Target {
    in_flight: usize,
    /// Those that met the cap.
    parked: Lines,
}

/// Entries by their place in the line; those whose last check was slow apart.
#[derive(Debug, Default)]
struct Lines {
    quick: BTreeMap<u64, usize>,
    slow: BTreeMap<u64, usize>,
}

impl Lines {
    fn of(&mut self, slow: bool) -> &mut BTreeMap<u64, usize> {
        if slow { &mut self.slow } else { &mut self.quick }
    }

    fn clear(&mut self) {
        self.quick.clear();
        self.slow.clear();
    }
}

/// See the module's head.
#[derive(Debug)]
pub(super) struct Admission {
    caps: Caps,
    in_flight: usize,
    slow_in_flight: usize,
    targets: Vec<Target>,
    line: Lines,
    next_place: u64,
    per_turn: usize,
    left_this_turn: usize,
}

impl Admission {
    pub(super) fn new(caps: Caps) -> Self {
        let caps = Caps { in_flight: caps.in_flight.max(1), per_target: caps.per_target.max(1) };
        Self {
            caps,
            in_flight: 0,
            slow_in_flight: 0,
            targets: Vec::new(),
            line: Lines::default(),
            next_place: 0,
            per_turn: STARTS_PER_TURN,
            left_this_turn: STARTS_PER_TURN,
        }
    }

    pub(super) fn caps(&self) -> Caps {
        self.caps
    }

    /// Empties the line, for a set with so many targets. What runs keeps its
    /// place; say again which of it runs against which target.
    pub(super) fn clear(&mut self, targets: usize) {
        self.line.clear();
        self.targets.clear();
        self.targets.resize_with(targets, Target::default);
    }

    /// A probe that another admission started still runs.
    pub(super) fn resume(&mut self, slow: bool) {
        self.in_flight += 1;
        self.slow_in_flight += usize::from(slow);
    }

    /// A probe that was started under an earlier set runs against `target`.
    pub(super) fn adopt(&mut self, target: usize) {
        self.targets[target].in_flight += 1;
    }

    /// Empties the line; what runs against a target still counts there.
    pub(super) fn dismiss(&mut self) {
        self.line.clear();
        self.targets.iter_mut().for_each(|target| target.parked.clear());
    }

    /// Stands in the line, at the place it had or else at the end.
    pub(super) fn join(&mut self, position: usize, had: Option<u64>, slow: bool) -> u64 {
        let place = had.unwrap_or_else(|| {
            self.next_place += 1;
            self.next_place
        });
        self.line.of(slow).insert(place, position);
        place
    }

    /// A new turn begins.
    pub(super) fn next_turn(&mut self) {
        self.left_this_turn = self.per_turn;
    }

    /// A turn in which more waited than were let start took this long.
    pub(super) fn note_turn(&mut self, took_us: i64) {
        if took_us > TURN_US {
            self.per_turn = (self.per_turn / 2).max(STARTS_PER_TURN_LEAST);
        } else if took_us < TURN_US / 2 {
            let more = (self.per_turn / 8).max(1);
            self.per_turn = (self.per_turn + more).min(STARTS_PER_TURN_MOST);
        }
    }

    /// Whether there is a free place.
    pub(super) fn has_room(&self) -> bool {
        self.in_flight < self.caps.in_flight
    }

    /// Whether only the turn keeps somebody from starting.
    pub(super) fn is_held(&self) -> bool {
        self.left_this_turn == 0 && self.has_room() && self.front().is_some()
    }

    /// Whether a check of `target` may start before all that stand in line.
    pub(super) fn admits(&self, target: usize) -> Admits {
        if !self.has_room() || self.targets[target].in_flight >= self.caps.per_target {
            return Admits::Later;
        }
        if self.left_this_turn == 0 { Admits::NextTurn } else { Admits::Now }
    }

    /// Takes the next that may start out of the line.
    pub(super) fn next<C>(&mut self, entries: &[Entry<C>]) -> Option<usize> {
        while self.left_this_turn > 0 && self.has_room() {
            let (place, slow) = self.front()?;
            let position = self.line.of(slow).remove(&place)?;
            let target = &mut self.targets[entries[position].target];
            if target.in_flight < self.caps.per_target {
                return Some(position);
            }
            target.parked.of(slow).insert(place, position);
        }
        None
    }

    /// The first place in the line whose share is not used up, and whether it is a slow one's.
    fn front(&self) -> Option<(u64, bool)> {
        let quick = self.line.quick.first_key_value().map(|(place, _)| (*place, false));
        let slow = self.line.slow.first_key_value().map(|(place, _)| (*place, true));
        let slow = slow.filter(|_| self.slow_in_flight < self.slow_share());
        [quick, slow].into_iter().flatten().min()
    }

    fn slow_share(&self) -> usize {
        (self.caps.in_flight * SLOW_EIGHTHS / 8).max(1)
    }

    /// The entry that [`Self::next`] gave has started.
    pub(super) fn started(&mut self, target: usize, slow: bool) {
        self.left_this_turn = self.left_this_turn.saturating_sub(1);
        self.in_flight += 1;
        self.slow_in_flight += usize::from(slow);
        self.targets[target].in_flight += 1;
    }

    /// A probe has ended; `target` where the set still has it.
    pub(super) fn ended(&mut self, target: Option<usize>, slow: bool) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.slow_in_flight = self.slow_in_flight.saturating_sub(usize::from(slow));
        if let Some(target) = target {
            let in_flight = &mut self.targets[target].in_flight;
            *in_flight = in_flight.saturating_sub(1);
            self.unpark(target);
        }
    }

    /// A place at `target` is free, or whoever had come for it did not need it.
    pub(super) fn unpark(&mut self, target: usize) {
        for slow in [false, true] {
            if let Some((place, position)) = self.targets[target].parked.of(slow).pop_first() {
                self.line.of(slow).insert(place, position);
            }
        }
    }
}
