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

/// Missed slots that wait for a batch, neighbours joined.
#[derive(Debug, Default)]
pub struct MissedRanges {
    by_monitor: BTreeMap<(Uuid, u64, MissedReason), Vec<(i64, i64)>>,
    ranges: usize,
    forgotten: u64,
}

impl MissedRanges {
    /// Adds a range; one that continues the last of its kind extends it.
    pub fn add(&mut self, missed: Missed) {
        let key = (missed.monitor, missed.revision, missed.reason);
        let ranges = self.by_monitor.entry(key).or_default();
        match ranges.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(missed.first) => *last = missed.last,
            _ => {
                ranges.push((missed.first, missed.last));
                self.ranges += 1;
            }
        }
        if self.ranges > MISSED_RANGES {
            self.forgotten += self.take(1).iter().map(Missed::slots).sum::<u64>();
        }
    }

    /// Removes up to `most` ranges.
    pub fn take(&mut self, most: usize) -> Vec<Missed> {
        let mut taken = Vec::new();
        while taken.len() < most {
            let Some(mut entry) = self.by_monitor.first_entry() else { break };
            let (monitor, revision, reason) = *entry.key();
            let room = (most - taken.len()).min(entry.get().len());
            taken.extend(entry.get_mut().drain(..room).map(|(first, last)| Missed {
                monitor,
                revision,
                first,
                last,
                reason,
            }));
            if entry.get().is_empty() {
                entry.remove();
            }
        }
        self.ranges -= taken.len();
        taken
    }

    /// How many ranges wait.
    pub fn len(&self) -> usize {
        self.ranges
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.ranges == 0
    }

    /// Slots that could not even be remembered as missed.
    pub fn forgotten(&self) -> u64 {
        self.forgotten
    }
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
            [(a, 1, 3), (a, 7, 7), (b, 1, 3)]
        );
        assert_eq!(ranges.take(9).len(), 1);
        assert!(ranges.is_empty());
    }

    #[test]
    fn what_is_forgotten_is_counted() {
        let mut ranges = MissedRanges::default();
        for slot in 0..MISSED_RANGES as i64 + 5 {
            ranges.add(Missed::one(Uuid::nil(), 1, slot * 2, MissedReason::Overload));
        }
        assert_eq!((ranges.len(), ranges.forgotten()), (MISSED_RANGES, 5));
    }
}
