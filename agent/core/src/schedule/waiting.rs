//! Slots that are due: opened, waiting, given up.

use super::{Entry, MissedReason, Queue, Schedule, Waiting};
use crate::limits::{HOLD_MS, LATE_MS, LATE_PER_SECOND, LATE_WITHIN_MS, PATIENT_MS};
use crate::missed::Missed;
use crate::schedule::Effect;
use std::cmp::Reverse;

/// The pace of late slots, and what may pile up of it.
const PACE_MS: i64 = 1_000 / LATE_PER_SECOND;

impl<C: Clone> Schedule<C> {
    /// Opens everything that is due, `reason` being why slots were passed over.
    pub(super) fn open_due(&mut self, now_ms: i64, reason: MissedReason) {
        let late = self.late.len();
        while let Some(&Reverse((due_ms, position))) = self.heap.peek() {
            if due_ms > now_ms {
                break;
            }
            self.heap.pop();
            self.open_slots(position, now_ms, reason);
        }
        if self.late.len() > late {
            let patient = self.late.iter().take_while(|(due, _)| is_patient(*due, now_ms)).count();
            let most = i64::try_from(patient).unwrap_or(i64::MAX).max(1);
            self.late_pace_ms = (LATE_WITHIN_MS / most).clamp(1, PACE_MS);
        }
    }

    /// Everything of one entry up to `now`: older slots are missed, the newest waits.
    fn open_slots(&mut self, position: usize, now_ms: i64, reason: MissedReason) {
        self.close(position, reason);
        let entry = &mut self.entries[position];
        let reason =
            if std::mem::take(&mut entry.was_away) { MissedReason::Stopped } else { reason };
        let latest = entry.assigned.slot_at(now_ms);
        let first = std::mem::replace(&mut entry.next_slot, latest.saturating_add(1));
        let last = entry.last_slot.unwrap_or(i64::MAX);
        self.miss_range(position, first, last.min(latest - 1), reason);
        self.expect(position);
        let entry = &self.entries[position];
        let key = (entry.assigned.monitor, entry.assigned.revision, latest);
        if latest > last || self.resume.sealed.remove(&key) {
            return;
        }
        let due_ms = entry.assigned.due_ms(latest);
        let ticket = self.ticket();
        let late = now_ms.saturating_sub(due_ms) > LATE_MS;
        let found_late = late.then_some(reason);
        let until_ms = now_ms.saturating_add(HOLD_MS);
        let waiting = Waiting { slot: latest, due_ms, ticket, late, found_late, until_ms };
        self.entries[position].waiting = Some(waiting);
        self.open.insert((due_ms, ticket));
        self.holds.push_back((until_ms, position, ticket));
        self.enqueue(position);
    }

    /// Sees to the entry again when its next slot is due.
    pub(super) fn expect(&mut self, position: usize) {
        if let Some(due_ms) = self.entries[position].next_due_ms() {
            self.heap.push(Reverse((due_ms, position)));
        }
    }

    /// Reports `first..=last`, leaving out what an earlier process had sealed.
    fn miss_range(&mut self, position: usize, mut first: i64, last: i64, reason: MissedReason) {
        if first > last {
            return;
        }
        let assigned = &self.entries[position].assigned;
        let key = |slot| (assigned.monitor, assigned.revision, slot);
        let sealed: Vec<_> = self.resume.sealed.range(key(first)..=key(last)).copied().collect();
        for done in sealed {
            if first < done.2 {
                let missed = self.entries[position].missed(first, done.2 - 1, reason);
                self.effects.push_back(Effect::Missed(missed));
            }
            first = done.2 + 1;
            self.resume.sealed.remove(&done);
        }
        if first <= last {
            let missed = self.entries[position].missed(first, last, reason);
            self.effects.push_back(Effect::Missed(missed));
        }
    }

    /// What waits of the entry at `position`, if something does, is missed.
    pub(super) fn close(&mut self, position: usize, reason: MissedReason) {
        if let Some(waiting) = self.entries[position].waiting.take() {
            let missed = self.missed(&self.entries[position], waiting, reason);
            self.effects.push_back(Effect::Missed(missed));
            self.open.remove(&(waiting.due_ms, waiting.ticket));
        }
    }

    /// The report of a slot that waited.
    pub(super) fn missed(
        &self,
        entry: &Entry<C>,
        waiting: Waiting,
        reason: MissedReason,
    ) -> Missed {
        entry.missed(waiting.slot, waiting.slot, waiting.found_late.unwrap_or(reason))
    }

    /// Gives up what has waited too long. It keeps its place for its next slot.
    pub(super) fn give_up(&mut self, now_ms: i64) {
        while let Some(&(until_ms, position, ticket)) = self.holds.front() {
            let waits = self.entries[position].waiting.is_some_and(|it| it.ticket == ticket);
            if waits && until_ms > now_ms {
                break;
            }
            self.holds.pop_front();
            if waits {
                self.close(position, MissedReason::Overload);
            }
        }
    }

    /// Notes again how long each waiting slot may wait, at least and at most so long.
    pub(super) fn hold_again(&mut self, (least_ms, most_ms): (i64, i64)) {
        let mut holds = Vec::new();
        for (position, entry) in self.entries.iter_mut().enumerate() {
            if let Some(waiting) = &mut entry.waiting {
                waiting.until_ms = waiting.until_ms.max(least_ms).min(most_ms);
                holds.push((waiting.until_ms, position, waiting.ticket));
            }
        }
        holds.sort_unstable();
        self.holds = holds.into();
    }

    /// Puts an entry with a waiting slot into the queue it belongs to.
    pub(super) fn enqueue(&mut self, position: usize) {
        let entry = &mut self.entries[position];
        let Some(waiting) = entry.waiting.filter(|_| entry.in_flight == 0) else { return };
        if waiting.late {
            if entry.join_queue(Queue::Late) {
                // Who would have to wait longest for the next one goes first.
                let next_ms = entry.assigned.due_ms(entry.next_slot);
                self.late.insert((Reverse(next_ms), position));
            }
        } else if entry.join_queue(Queue::Ready) {
            entry.place = Some(self.admission.join(position, entry.place, entry.slow));
        }
    }

    /// Lets late slots join the line of the others, at their pace.
    pub(super) fn admit_late(&mut self, now_ms: i64) {
        // A stopped or stepped clock must neither hoard permits nor wait for ages.
        self.late_next_ms = self.late_next_ms.clamp(now_ms - PACE_MS, now_ms + PACE_MS);
        while self.admission.has_room() && self.late_next_ms <= now_ms {
            let Some((next_ms, position)) = self.late.pop_first() else { break };
            let entry = &mut self.entries[position];
            if let Some(waiting) = entry.leave(Queue::Late) {
                entry.waiting = Some(Waiting { late: false, ..waiting });
                self.enqueue(position);
                let patient = is_patient(next_ms, now_ms);
                self.late_next_ms += if patient { self.late_pace_ms } else { PACE_MS };
            }
        }
    }
}

/// Whether a monitor whose next slot is due then cannot do without this one.
fn is_patient(Reverse(next_ms): Reverse<i64>, now_ms: i64) -> bool {
    next_ms.saturating_sub(now_ms) > PATIENT_MS
}
