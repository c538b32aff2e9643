//! The kernel's stamps of a socket that lives for long.
//!
//! They are in the wall clock's time. Both clocks are read once for each batch of
//! messages, so that a stamp is only ever carried over the moment that its
//! message lay in the socket. Where the wall clock was set since the batch
//! before, the stamps of this one may be from before or after and none is
//! believed. (`super::super::arrival` does the same for sockets of one check,
//! which can hold on to the time at which they were opened.)

use crate::clock;
use std::time::{Duration, Instant};

/// How far the two clocks may drift apart between two batches: a little, and
/// as much as a wall clock is ever slewed (adjtimex(2): 500 ppm).
const STEP: Duration = Duration::from_millis(1);
const SLEW: u32 = 1_000;

/// Both clocks at the last batch.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clocks {
    monotonic: Instant,
    wall: Duration,
    believed: bool,
}

impl Clocks {
    pub(super) fn new() -> Self {
        Self::of(clock::both())
    }

    fn of((monotonic, wall): (Instant, Duration)) -> Self {
        Self { monotonic, wall, believed: true }
    }

    /// Reads both for the next batch.
    pub(super) fn read(&mut self) -> Self {
        *self = self.then(clock::both());
        *self
    }

    fn then(&self, (monotonic, wall): (Instant, Duration)) -> Self {
        let elapsed = monotonic.saturating_duration_since(self.monotonic);
        let stepped = wall
            .checked_sub(self.wall)
            .is_none_or(|by_wall| by_wall.abs_diff(elapsed) > STEP + elapsed / SLEW);
        Self { monotonic, wall, believed: !stepped }
    }

    /// When a message of this batch came, if its stamp is there and believed.
    pub(super) fn place(&self, stamp: Option<Duration>) -> Option<Instant> {
        let stamp = stamp.filter(|_| self.believed)?;
        match self.wall.checked_sub(stamp) {
            Some(before) => self.monotonic.checked_sub(before),
            // It came while the batch was being read.
            None => self.monotonic.checked_add(stamp - self.wall),
        }
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

    #[test]
    fn slewing_over_a_long_silence_is_no_step() {
        let start = clock::monotonic();
        let hour = Duration::from_secs(3_600);
        let slewed = Clocks::of((start, EPOCH)).then((start + hour, EPOCH + hour + MS * 1_800));
        assert_eq!(slewed.place(Some(slewed.wall)), Some(start + hour));
    }
}
