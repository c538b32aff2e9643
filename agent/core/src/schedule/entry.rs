//! One assignment in the schedule: its next slot, the slot that waits, and the
//! queues it stands in.

use super::{Assigned, Ticket};
use crate::missed::{Missed, MissedReason};
use hyperverge_protocol::limits::SET_LEAD;
use uuid::Uuid;

const LEAD_MS: i64 = SET_LEAD.as_millis() as i64;

/// A slot that is due and has not started.
#[derive(Debug, Clone, Copy)]
pub(super) struct Waiting {
    pub(super) slot: i64,
    pub(super) due_ms: i64,
    pub(super) ticket: Ticket,
    /// It belongs into the queue of those that start at their own pace.
    pub(super) late: bool,
    /// Why it was found late, if it was: for that it is missed, whenever that happens.
    pub(super) found_late: Option<MissedReason>,
    /// It is given up then.
    pub(super) until_ms: i64,
}

/// Where a waiting slot stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Queue {
    Ready,
    Late,
}

#[derive(Debug)]
pub(super) struct Entry<C> {
    pub(super) assigned: Assigned<C>,
    /// The first slot that was not opened yet.
    pub(super) next_slot: i64,
    /// The last slot this agent owns; `None` while the set holds the assignment.
    pub(super) last_slot: Option<i64>,
    pub(super) waiting: Option<Waiting>,
    /// Checks of it that run.
    pub(super) in_flight: usize,
    /// When the newest check of it started.
    pub(super) started_boot_ms: i64,
    /// The last check took long.
    pub(super) slow: bool,
    /// The last check was without a success.
    pub(super) failing: bool,
    /// When that check had started.
    seen_boot_ms: i64,
    /// Which of the schedule's targets this one watches.
    pub(super) target: usize,
    /// Slots up to now passed while nobody was there to run them.
    pub(super) was_away: bool,
    /// Its place in the line, kept until it had its turn.
    pub(super) place: Option<u64>,
    in_ready: bool,
    in_late: bool,
}

impl<C> Assigned<C> {
    /// Which numbering its slots belong to.
    pub(super) fn series(&self) -> (Uuid, u64) {
        (self.monitor, self.revision)
    }

    /// Whether `other` numbers its slots the same way.
    pub(super) fn is_same_series(&self, other: &Self) -> bool {
        (self.series(), self.anchor_ms, self.interval_ms)
            == (other.series(), other.anchor_ms, other.interval_ms)
    }

    /// The last slot before those that a set made at `issued_ms` gives to somebody else.
    pub(super) fn last_before(&self, issued_ms: i64) -> i64 {
        self.slot_at(issued_ms.saturating_add(LEAD_MS.min(self.interval_ms)))
    }
}

impl<C> Entry<C> {
    /// An assignment that was not in the set before. What an earlier process had
    /// accounted for ends at `resumed_ms`.
    pub(super) fn fresh(assigned: Assigned<C>, target: usize, resumed_ms: Option<i64>) -> Self {
        let resumed = resumed_ms.map(|through| assigned.slot_at(through) + 1);
        let next_slot = resumed.map_or(assigned.first_slot, |slot| slot.max(assigned.first_slot));
        Self {
            assigned,
            next_slot,
            last_slot: None,
            waiting: None,
            in_flight: 0,
            started_boot_ms: i64::MIN,
            slow: false,
            failing: false,
            seen_boot_ms: i64::MIN,
            target,
            was_away: true,
            place: None,
            in_ready: false,
            in_late: false,
        }
    }

    /// The same assignment in a newer set.
    pub(super) fn renewed(self, assigned: Assigned<C>, target: usize) -> Self {
        // What has not begun may begin earlier, where the clock that dated it was set back.
        let has_begun = self.next_slot > self.assigned.first_slot;
        let known = if has_begun { self.next_slot } else { i64::MIN };
        let next_slot = known.max(assigned.first_slot);
        Self { assigned, next_slot, last_slot: None, target, ..self.unqueued() }
    }

    /// An assignment that a newer set does not hold any more.
    pub(super) fn ending(self, issued_ms: i64) -> Self {
        // The first set that left it out said where it ends.
        let last = self.last_slot.unwrap_or_else(|| self.assigned.last_before(issued_ms));
        Self { last_slot: Some(last), ..self.unqueued() }
    }

    /// No check of it is known to run, and it stands nowhere.
    fn unqueued(self) -> Self {
        Self { in_flight: 0, in_ready: false, in_late: false, ..self }
    }

    /// Whether it will never ask for anything again.
    pub(super) fn is_over(&self) -> bool {
        self.waiting.is_none() && self.last_slot.is_some_and(|last| self.next_slot > last)
    }

    /// What is known of the target from the revision before.
    pub(super) fn succeeds(mut self, old: &Self) -> Self {
        self.slow = old.slow;
        self.failing = old.failing;
        self
    }

    /// Keeps slots that `old` opened from running again where only the times of
    /// a revision's slots were changed.
    pub(super) fn never_before(mut self, old: &Self) -> Self {
        self.place = old.place;
        self.next_slot = self.next_slot.max(old.next_slot);
        self.succeeds(old)
    }

    /// When its next slot is due, or the one that would be if it went on: then what
    /// waits is missed. `None` after the end.
    pub(super) fn next_due_ms(&self) -> Option<i64> {
        let goes_on = self.last_slot.is_none_or(|last| self.next_slot <= last.saturating_add(1));
        goes_on.then(|| self.assigned.due_ms(self.next_slot))
    }

    pub(super) fn missed(&self, first: i64, last: i64, reason: MissedReason) -> Missed {
        let Assigned { monitor, revision, .. } = self.assigned;
        Missed { monitor, revision, first, last, reason }
    }

    pub(super) fn has_started(&mut self, boot_ms: i64) {
        self.in_flight += 1;
        self.started_boot_ms = self.started_boot_ms.max(boot_ms);
    }

    /// A check that ran since `started_boot_ms` has ended. Of two that ran side by side
    /// the one that began later says how the target is.
    pub(super) fn has_ended(&mut self, started_boot_ms: i64, slow: bool, succeeded: Option<bool>) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.slow = slow;
        if let Some(succeeded) = succeeded
            && started_boot_ms >= self.seen_boot_ms
        {
            self.seen_boot_ms = started_boot_ms;
            self.failing = !succeeded;
        }
    }

    /// Marks the entry as standing in `queue`; `false` when it already does.
    pub(super) fn join_queue(&mut self, queue: Queue) -> bool {
        let standing = match queue {
            Queue::Ready => &mut self.in_ready,
            Queue::Late => &mut self.in_late,
        };
        !std::mem::replace(standing, true)
    }

    /// Leaves `queue`; the slot to start, if one still waits there. Whose turn came
    /// while none did keeps its place.
    pub(super) fn leave(&mut self, queue: Queue) -> Option<Waiting> {
        match queue {
            Queue::Ready => self.in_ready = false,
            Queue::Late => self.in_late = false,
        }
        let belongs = |waiting: &Waiting| waiting.late == (queue == Queue::Late);
        let next = self.waiting.filter(|waiting| self.in_flight == 0 && belongs(waiting));
        if next.is_some() && queue == Queue::Ready {
            self.place = None;
        }
        next
    }

    pub(super) fn leave_queues(&mut self) {
        self.place = None;
        self.in_ready = false;
        self.in_late = false;
    }
}
