//! One assignment in the schedule: its next slot, the slot that waits, and the
//! queues it stands in.

use super::{Assigned, Resume, Ticket};
use crate::missed::{Missed, MissedReason};

/// A slot that is due and has not started.
#[derive(Debug, Clone, Copy)]
pub(super) struct Waiting {
    pub(super) slot: i64,
    pub(super) due_ms: i64,
    pub(super) ticket: Ticket,
    pub(super) late: bool,
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
    pub(super) waiting: Option<Waiting>,
    /// A probe of this monitor runs.
    pub(super) busy: bool,
    /// The last check took long.
    pub(super) slow: bool,
    /// The last check was without a success.
    pub(super) failing: bool,
    /// Which of the schedule's targets this one watches.
    pub(super) target: usize,
    /// Slots up to now passed while nobody was there to run them.
    pub(super) was_away: bool,
    /// Its place in the line, while it stands there; kept over a change of sets.
    pub(super) place: Option<u64>,
    in_ready: bool,
    in_late: bool,
}

impl<C> Assigned<C> {
    /// Whether `other` numbers its slots the same way.
    pub(super) fn is_same_series(&self, other: &Self) -> bool {
        (self.revision, self.anchor_ms, self.interval_ms)
            == (other.revision, other.anchor_ms, other.interval_ms)
    }
}

impl<C> Entry<C> {
    /// An assignment that was not in the set before.
    pub(super) fn fresh(assigned: Assigned<C>, target: usize, resume: &Resume) -> Self {
        let resumed = resume.complete_through_ms.map(|through| assigned.slot_at(through) + 1);
        let next_slot = resumed.map_or(assigned.first_slot, |slot| slot.max(assigned.first_slot));
        Self {
            assigned,
            next_slot,
            waiting: None,
            busy: false,
            slow: false,
            failing: false,
            target,
            was_away: true,
            place: None,
            in_ready: false,
            in_late: false,
        }
    }

    /// The same assignment in a newer set.
    pub(super) fn renewed(self, assigned: Assigned<C>, target: usize, was_idle: bool) -> Self {
        let next_slot = self.next_slot.max(assigned.first_slot);
        let was_away = self.was_away || was_idle;
        Self { assigned, next_slot, target, was_away, in_ready: false, in_late: false, ..self }
    }

    /// Keeps slots that `old` opened from running again where only the times of
    /// a revision's slots were changed.
    pub(super) fn never_before(mut self, old: &Self) -> Self {
        self.slow = old.slow;
        self.failing = old.failing;
        self.place = old.place;
        if old.assigned.revision == self.assigned.revision {
            self.next_slot = self.next_slot.max(old.next_slot);
        }
        self
    }

    pub(super) fn next_due_ms(&self) -> i64 {
        self.assigned.due_ms(self.next_slot)
    }

    pub(super) fn missed(&self, first: i64, last: i64, reason: MissedReason) -> Missed {
        let Assigned { monitor, revision, .. } = self.assigned;
        Missed { monitor, revision, first, last, reason }
    }

    /// Marks the entry as standing in `queue`; `false` when it already does.
    pub(super) fn join_queue(&mut self, queue: Queue) -> bool {
        let standing = match queue {
            Queue::Ready => &mut self.in_ready,
            Queue::Late => &mut self.in_late,
        };
        !std::mem::replace(standing, true)
    }

    /// Leaves `queue`; the slot to start, if one still waits there.
    pub(super) fn leave(&mut self, queue: Queue) -> Option<Waiting> {
        match queue {
            Queue::Ready => {
                self.in_ready = false;
                self.place = None;
            }
            Queue::Late => self.in_late = false,
        }
        let belongs = |waiting: &Waiting| waiting.late == (queue == Queue::Late);
        self.waiting.filter(|waiting| !self.busy && belongs(waiting))
    }

    pub(super) fn leave_queue(&mut self) {
        self.place = None;
        self.in_ready = false;
        self.in_late = false;
    }
}
