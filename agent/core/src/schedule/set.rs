//! What is scheduled: a new set, another time.

use super::{Assigned, Effect, Entry, MissedReason, Now, Resume, Schedule, Series};
use crate::limits::{HOLD_MS, JUMP_MS};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The hosts that a set's monitors watch, by number.
type Targets = BTreeMap<Arc<str>, usize>;

impl<C: Clone> Schedule<C> {
    /// Takes a new set, made at `issued_ms` (control-plane time) and valid until
    /// `expires_boot_ms`. An assignment that stays (same revision, anchor and interval)
    /// keeps its place. What is gone, and a monitor's revision before the one that is
    /// there now, goes on up to the slot where whoever follows begins: that is known
    /// from when the set was made.
    pub fn replace(
        &mut self,
        set: Vec<Assigned<C>>,
        issued_ms: i64,
        expires_boot_ms: i64,
        now: Now,
    ) {
        if self.stopped {
            return;
        }
        let was_idle = std::mem::replace(&mut self.idle, false);
        self.expires_boot_ms = expires_boot_ms;
        self.resume.end_by(now.control_ms);
        let mut old: BTreeMap<Series, Entry<C>> = BTreeMap::new();
        for mut entry in self.entries.drain(..) {
            entry.was_away |= was_idle;
            old.insert(entry.assigned.series(), entry);
        }
        self.heap.clear();
        self.late.clear();
        let mut targets = Targets::new();
        let mut held = BTreeSet::new();
        for assigned in set {
            if held.insert(assigned.monitor) {
                let entry = self.taken(assigned, &mut old, &mut targets, now.control_ms);
                self.entries.push(entry);
            }
        }
        for entry in old.into_values() {
            let mut entry = entry.ending(issued_ms);
            entry.target = number(&mut targets, &entry.assigned.target);
            let last_slot = entry.last_slot.unwrap_or(i64::MAX);
            // What is due after the end is somebody else's.
            if let Some(waiting) = entry.waiting.take_if(|waiting| waiting.slot > last_slot) {
                self.open.remove(&(waiting.due_ms, waiting.ticket));
            }
            if !entry.is_over() {
                self.entries.push(entry);
            }
        }
        self.find_again(&targets);
        self.hold_again((i64::MIN, i64::MAX));
        self.handle_timeout(now);
    }

    /// The entry of one assignment in the new set.
    fn taken(
        &mut self,
        assigned: Assigned<C>,
        old: &mut BTreeMap<Series, Entry<C>>,
        targets: &mut Targets,
        now_ms: i64,
    ) -> Entry<C> {
        let series = assigned.series();
        let target = number(targets, &assigned.target);
        match old.remove(&series) {
            Some(entry) if entry.assigned.is_same_series(&assigned) => {
                // It came back before it had ended.
                let last = entry.last_slot.map(|last| last.min(assigned.first_slot - 1));
                if let Some(last) = last.filter(|last| entry.next_slot <= *last) {
                    let missed = entry.missed(entry.next_slot, last, MissedReason::Stopped);
                    self.effects.push_back(Effect::Missed(missed));
                }
                entry.renewed(assigned, target)
            }
            Some(mut entry) => {
                if let Some(waiting) = entry.waiting.take() {
                    let missed = self.missed(&entry, waiting, MissedReason::Stopped);
                    self.effects.push_back(Effect::Missed(missed));
                    self.open.remove(&(waiting.due_ms, waiting.ticket));
                }
                self.fresh(assigned, target, now_ms).never_before(&entry)
            }
            None => {
                let entry = self.fresh(assigned, target, now_ms);
                let before = old.range((series.0, u64::MIN)..=(series.0, u64::MAX)).next_back();
                match before {
                    Some((_, before)) => entry.succeeds(before),
                    None => entry,
                }
            }
        }
    }

    fn fresh(&mut self, assigned: Assigned<C>, target: usize, now_ms: i64) -> Entry<C> {
        let latest = assigned.slot_at(now_ms.saturating_add(JUMP_MS));
        self.resume.forget_after(assigned.series(), latest);
        Entry::fresh(assigned, target, self.resume.complete_through_ms)
    }

    /// Ties everything that has the number of an entry or a target to the new ones.
    fn find_again(&mut self, targets: &Targets) {
        let mut positions = BTreeMap::new();
        for position in 0..self.entries.len() {
            positions.insert(self.entries[position].assigned.series(), position);
            self.expect(position);
        }
        self.admission.clear(targets.len());
        for running in self.running.values_mut() {
            running.entry = positions.get(&(running.monitor, running.revision)).copied();
            if let Some(position) = running.entry {
                self.entries[position].has_started(running.started_boot_ms);
            }
            running.target = targets.get(&running.host).copied();
            if let Some(target) = running.target {
                self.admission.adopt(target);
            }
        }
        let entries = &self.entries;
        self.bursts.renew(|monitor, revision| {
            let position = *positions.get(&(monitor, revision))?;
            entries[position].last_slot.is_none().then_some(position)
        });
        (0..self.entries.len()).for_each(|position| self.enqueue(position));
    }

    /// Control-plane time was set back, from as late as the frontier to `now`. What was
    /// numbered and accounted for in the time that is not over after all comes again:
    /// better a second look, of which the first is kept, than none for as long as that was.
    pub(super) fn step_back(&mut self, now_ms: i64) {
        for position in 0..self.entries.len() {
            let entry = &mut self.entries[position];
            let latest = entry.assigned.slot_at(now_ms);
            let next = entry.next_slot.min(latest.saturating_add(1));
            entry.next_slot = next.max(entry.assigned.first_slot);
            // Whoever follows need not wait either.
            entry.last_slot = entry.last_slot.map(|last| last.min(latest));
            if let Some(waiting) = entry.waiting.take_if(|waiting| waiting.slot > latest) {
                self.open.remove(&(waiting.due_ms, waiting.ticket));
            }
            let series = entry.assigned.series();
            self.resume.forget_after(series, latest);
        }
        self.resume.end_by(now_ms);
        self.frontier_ms = Some(now_ms);
        self.heap.clear();
        (0..self.entries.len()).for_each(|position| self.expect(position));
        self.hold_again((i64::MIN, now_ms.saturating_add(HOLD_MS)));
    }
}

fn number(targets: &mut Targets, host: &Arc<str>) -> usize {
    let count = targets.len();
    *targets.entry(host.clone()).or_insert(count)
}

impl Resume {
    /// What lies after `now_ms` was accounted for by a clock that was set back since.
    fn end_by(&mut self, now_ms: i64) {
        self.complete_through_ms = self.complete_through_ms.map(|through| through.min(now_ms));
    }

    /// Forgets that slots of a series after `slot` were sealed.
    fn forget_after(&mut self, (monitor, revision): Series, slot: i64) {
        let after = (monitor, revision, slot.saturating_add(1))..=(monitor, revision, i64::MAX);
        let ahead: Vec<_> = self.sealed.range(after).copied().collect();
        for key in ahead {
            self.sealed.remove(&key);
        }
    }
}
