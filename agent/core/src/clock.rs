//! What control-plane time it is: the boot clock plus an offset.
//!
//! Each answered heartbeat is a sample: the control plane read its clock
//! somewhere between our sending and our receiving, so the offset taken from
//! the middle is wrong by at most half the round trip. A sample ages, because
//! two clocks drift apart; the one with the least possible error is used. Two
//! samples that cannot both be right mean that the control plane's clock was
//! set, and the younger one is believed.
//!
//! The offset is good for as long as the host is up, also for a process that
//! starts later, so it is persisted together with the kernel's boot id.

use crate::limits::{CLOCK_DRIFT_PPM, CLOCK_ROUNDING_US, CLOCK_SAMPLE_AGE_US, CLOCK_SAMPLES};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

#[derive(Debug, Clone, Copy)]
struct Sample {
    taken_us: i64,
    offset_us: i64,
    error_us: i64,
}

impl Sample {
    fn error_at(&self, boot_us: i64) -> i64 {
        let age = boot_us.saturating_sub(self.taken_us).max(0);
        self.error_us.saturating_add(age / 1_000_000 * CLOCK_DRIFT_PPM)
    }
}

/// An offset as it is kept on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedOffset {
    /// The kernel's boot id; the offset means nothing in another boot.
    pub boot_id: [u8; 16],
    /// Control-plane time minus boot clock, microseconds.
    pub offset_us: i64,
    /// How wrong that may be.
    pub error_us: i64,
    /// Boot clock when it was measured.
    pub taken_us: i64,
}

/// Maps the boot clock to control-plane time.
#[derive(Debug, Default)]
pub struct ControlClock {
    samples: VecDeque<Sample>,
    offset_us: Option<i64>,
}

impl ControlClock {
    /// A clock that knows what an earlier process of the same boot measured.
    pub fn resume(saved: Option<&SavedOffset>, boot_id: &[u8; 16]) -> Self {
        let mut clock = Self::default();
        if let Some(saved) = saved.filter(|saved| saved.boot_id == *boot_id) {
            clock.samples.push_back(Sample {
                taken_us: saved.taken_us,
                offset_us: saved.offset_us,
                error_us: saved.error_us.max(0),
            });
            clock.offset_us = Some(saved.offset_us);
        }
        clock
    }

    /// Takes one answered request: sent and received on the boot clock
    /// (microseconds), and the control plane's time in the answer (milliseconds).
    pub fn handle_sample(&mut self, sent_us: i64, received_us: i64, control_ms: i64) {
        if received_us < sent_us {
            return;
        }
        let middle = sent_us + (received_us - sent_us) / 2;
        let sample = Sample {
            taken_us: received_us,
            offset_us: control_ms.saturating_mul(1_000).saturating_sub(middle),
            error_us: (received_us - sent_us) / 2 + CLOCK_ROUNDING_US,
        };
        let contradicts = |old: &Sample| {
            sample.offset_us.abs_diff(old.offset_us)
                > (sample.error_us.saturating_add(old.error_at(received_us))).unsigned_abs()
        };
        if self.samples.iter().any(contradicts) {
            self.samples.clear();
        }
        self.samples.push_back(sample);
        let oldest = received_us - CLOCK_SAMPLE_AGE_US;
        while self.samples.len() > CLOCK_SAMPLES
            || self.samples.front().is_some_and(|old| old.taken_us < oldest)
        {
            self.samples.pop_front();
        }
        self.offset_us = self.best(received_us).map(|best| best.offset_us);
    }

    fn best(&self, boot_us: i64) -> Option<&Sample> {
        self.samples.iter().min_by_key(|sample| sample.error_at(boot_us))
    }

    /// Whether this boot ever met the control plane.
    pub fn is_dated(&self) -> bool {
        self.offset_us.is_some()
    }

    /// Control-plane time minus boot clock, microseconds; `None` while undated.
    pub fn offset_us(&self) -> Option<i64> {
        self.offset_us
    }

    /// Control-plane time, microseconds; `None` while undated.
    pub fn control_us(&self, boot_us: i64) -> Option<i64> {
        self.offset_us.map(|offset| boot_us.saturating_add(offset))
    }

    /// What to keep on disk; `None` while undated.
    pub fn saved(&self, boot_id: [u8; 16], boot_us: i64) -> Option<SavedOffset> {
        let best = self.best(boot_us)?;
        Some(SavedOffset {
            boot_id,
            offset_us: best.offset_us,
            error_us: best.error_us,
            taken_us: best.taken_us,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: i64 = 1_000_000;

    #[test]
    fn the_quickest_answer_dates_best() {
        let mut clock = ControlClock::default();
        assert_eq!(clock.control_us(5), None);
        clock.handle_sample(0, 400_000, 1_000_300);
        clock.handle_sample(10 * SECOND, 10 * SECOND + 2_000, 1_010_001);
        let exact = clock.control_us(10 * SECOND);
        clock.handle_sample(20 * SECOND, 20 * SECOND + 900_000, 1_020_100);
        assert_eq!(clock.control_us(10 * SECOND), exact, "a slow answer changes nothing");
    }

    #[test]
    fn a_set_clock_is_followed_at_once() {
        let mut clock = ControlClock::default();
        clock.handle_sample(0, 1_000, 1_000_000);
        clock.handle_sample(10 * SECOND, 10 * SECOND + 100_000, 4_600_000 + 10_000);
        let now = clock.control_us(10 * SECOND).expect("dated");
        assert!((now - 4_610_000_000).abs() <= 100_000, "{now}");
    }

    #[test]
    fn a_restart_dates_only_in_the_same_boot() {
        let mut clock = ControlClock::default();
        clock.handle_sample(0, 1_000, 1_000_000);
        let saved = clock.saved([1; 16], SECOND).expect("dated");
        let resumed = ControlClock::resume(Some(&saved), &[1; 16]);
        assert_eq!(resumed.control_us(SECOND), clock.control_us(SECOND));
        assert!(!ControlClock::resume(Some(&saved), &[2; 16]).is_dated());
    }

    proptest! {
        /// Whatever the delays, the error stays within half the best round trip,
        /// rounding and drift allowed for.
        #[test]
        fn the_error_is_bounded(
            trips in prop::collection::vec((1i64..2_000_000, 0.0f64..1.0), 1..40),
        ) {
            let true_offset = 1_700_000_000_000_000i64;
            let mut clock = ControlClock::default();
            let mut best = i64::MAX;
            for (index, (trip, share)) in trips.iter().enumerate() {
                let sent = index as i64 * 10 * SECOND;
                let read = sent + (*trip as f64 * share) as i64;
                clock.handle_sample(sent, sent + trip, (read + true_offset) / 1_000);
                best = best.min(trip / 2);
                let error = (clock.control_us(sent).expect("dated") - sent - true_offset).abs();
                let drift = (index as i64 + 1) * 10 * CLOCK_DRIFT_PPM;
                prop_assert!(error <= best + CLOCK_ROUNDING_US + drift, "{error} {best}");
            }
        }
    }
}
