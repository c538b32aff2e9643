//! Slots without a row, folded into ranges.
//!
//! Ten thousand monitors that sleep through an hour are ten thousand ranges,
//! not thirty-six million slots.

use crate::limits::MISSED_RANGES;
use hyperverge_protocol::wire;
use std::collections::BTreeMap;
use uuid::Uuid;

/// Why a slot has no row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MissedReason {
    /// The agent had too much to do, or the probe before was still running.
    Overload,
    /// The host slept, or the clock jumped over it.
    Suspend,
    /// The agent was not running, or had no valid assignments.
    Stopped,
    /// Observed as a plain success, then folded away because the spool was full.
    SpoolFull,
}

impl MissedReason {
    /// The word in logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Overload => "overload",
            Self::Suspend => "suspend",
            Self::Stopped => "stopped",
            Self::SpoolFull => "spool_full",
        }
    }

    /// The reason's number on the wire.
    pub fn to_wire(self) -> wire::MissedReason {
        match self {
            Self::Overload => wire::MissedReason::Overload,
            Self::Suspend => wire::MissedReason::Suspend,
            Self::Stopped => wire::MissedReason::Stopped,
            Self::SpoolFull => wire::MissedReason::SpoolFull,
        }
    }
}

/// Slots `first..=last` of one revision of one monitor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Missed {
    pub monitor: Uuid,
    pub revision: u64,
    pub first: i64,
    pub last: i64,
    pub reason: MissedReason,
}

impl Missed {
    /// One slot.
    pub fn one(monitor: Uuid, revision: u64, slot: i64, reason: MissedReason) -> Self {
        Self { monitor, revision, first: slot, last: slot, reason }
    }

    /// How many slots.
    pub fn slots(&self) -> u64 {
        self.last.abs_diff(self.first).saturating_add(1)
    }
}

/// What slots of a range have in common.
type Kind = (Uuid, u64, MissedReason);

/// Missed slots that wait for a batch, neighbours joined, in the order in which they came.
#[derive(Debug, Default)]
pub struct MissedRanges {
    by_age: BTreeMap<u64, Missed>,
    /// The newest range of each kind that waits: what continues it extends it.
    newest: BTreeMap<Kind, u64>,
    next: u64,
    forgotten: u64,
}

impl MissedRanges {
    /// Adds a range; one that continues the last of its kind extends it.
    pub fn add(&mut self, missed: Missed) {
        let kind = kind(&missed);
        let newest = self.newest.get(&kind).and_then(|age| self.by_age.get_mut(age));
        match newest {
            Some(range) if range.last.checked_add(1) == Some(missed.first) => {
                range.last = missed.last;
            }
            _ => {
                self.newest.insert(kind, self.next);
                self.by_age.insert(self.next, missed);
                self.next += 1;
            }
        }
        if self.by_age.len() > MISSED_RANGES {
            self.forgotten += self.pop().map_or(0, |oldest| oldest.slots());
        }
    }

    fn pop(&mut self) -> Option<Missed> {
        let (age, oldest) = self.by_age.pop_first()?;
        if self.newest.get(&kind(&oldest)) == Some(&age) {
            self.newest.remove(&kind(&oldest));
        }
        Some(oldest)
    }

    /// Removes up to `most` ranges, the oldest first.
    pub fn take(&mut self, most: usize) -> Vec<Missed> {
        std::iter::from_fn(|| self.pop()).take(most).collect()
    }

    /// How many ranges wait.
    pub fn len(&self) -> usize {
        self.by_age.len()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.by_age.is_empty()
    }

    /// How many slots could not even be remembered as missed since this was asked.
    pub fn take_forgotten(&mut self) -> u64 {
        std::mem::take(&mut self.forgotten)
    }
}

fn kind(missed: &Missed) -> Kind {
    (missed.monitor, missed.revision, missed.reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_become_one_range() {
        let mut ranges = MissedRanges::default();
        let (a, b) = (Uuid::from_u128(1), Uuid::from_u128(2));
        for slot in [1, 2, 3, 7] {
            ranges.add(Missed::one(b, 1, slot, MissedReason::Overload));
            ranges.add(Missed::one(a, 1, slot, MissedReason::Suspend));
        }
        assert_eq!(ranges.len(), 4);
        let first = ranges.take(3);
        assert_eq!(
            first.iter().map(|m| (m.monitor, m.first, m.last)).collect::<Vec<_>>(),
            [(b, 1, 3), (a, 1, 3), (b, 7, 7)]
        );
        assert_eq!(ranges.take(9).len(), 1);
        assert!(ranges.is_empty());
    }

    #[test]
    fn the_oldest_are_forgotten_and_counted() {
        let mut ranges = MissedRanges::default();
        let monitor = |slot: i64| Uuid::from_u128(u128::MAX - slot.unsigned_abs() as u128);
        for slot in 0..MISSED_RANGES as i64 + 5 {
            ranges.add(Missed::one(monitor(slot), 1, slot, MissedReason::Overload));
        }
        assert_eq!((ranges.len(), ranges.take_forgotten()), (MISSED_RANGES, 5));
        assert_eq!(ranges.take_forgotten(), 0);
        assert_eq!(ranges.take(1)[0].first, 5, "the first five are gone");
    }
}
