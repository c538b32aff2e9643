//! The kernel's stamps of a socket that lives for long.
//!
//! They are in the wall clock's time. Both clocks are read once for each batch of
//! messages, so that a stamp is only ever carried over the moment that its
//! message lay in the socket. Where the wall clock was set since the batch
//! before, the stamps of this one may be from before or after and none is
//! believed. (A socket of one check holds on to the time at which it was
//! opened instead; both go by [`Reading`].)

use crate::clock;
use crate::probe::arrival::Reading;
use std::time::{Duration, Instant};

/// Both clocks at the last batch.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clocks {
    reading: Reading,
    believed: bool,
}

impl Clocks {
    pub(super) fn new() -> Self {
        Self::of(clock::both())
    }

    fn of(both: (Instant, Duration)) -> Self {
        Self { reading: Reading::new(both), believed: true }
    }

    /// Reads both for the next batch.
    pub(super) fn read(&mut self) -> Self {
        *self = self.then(clock::both());
        *self
    }

    fn then(&self, both: (Instant, Duration)) -> Self {
        let reading = Reading::new(both);
        Self { reading, believed: !reading.was_set_since(&self.reading) }
    }

    /// When a message of this batch came, if its stamp is there and believed. It may
    /// have come while the batch was being read.
    pub(super) fn place(&self, stamp: Option<Duration>) -> Option<Instant> {
        self.reading.carry_over(stamp.filter(|_| self.believed)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EPOCH: Duration = Duration::from_secs(1_700_000_000);
    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_stamp_is_placed_on_the_monotonic_clock() {
        let start = clock::monotonic();
        let now = Clocks::of((start, EPOCH)).then((start + MS * 30, EPOCH + MS * 30));
        assert_eq!(now.place(Some(EPOCH + MS * 10)), Some(start + MS * 10));
        assert_eq!(now.place(Some(EPOCH + MS * 31)), Some(start + MS * 31));
        assert_eq!(now.place(None), None);
    }

    #[test]
    fn a_wall_clock_that_was_set_is_not_believed_for_one_batch() {
        let start = clock::monotonic();
        let later = start + MS * 30;
        for wall in [EPOCH + MS * 28, EPOCH + MS * 32, EPOCH - MS, EPOCH * 2] {
            let set = Clocks::of((start, EPOCH)).then((later, wall));
            assert_eq!(set.place(Some(wall)), None, "{wall:?}");
            let after = set.then((later + MS, wall + MS));
            assert_eq!(after.place(Some(wall)), Some(later), "{wall:?}");
        }
    }
}
