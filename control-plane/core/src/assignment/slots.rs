//! When slot k of a (monitor, region, revision) is due: anchor + k × interval.
//!
//! The anchor is a phase within the interval, so slot numbers count intervals
//! since the Unix epoch: they need no memory, survive restarts and restored
//! backups, and rise for ever. The phase comes from the monitor's id, which
//! spreads monitors over the interval, plus the region's rank, which lets N
//! regions strike at interval/N.

use sha2::{Digest, Sha256};
use uuid::Uuid;

/// Where the slots of one (monitor, region, revision) lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Slots {
    pub anchor_ms: i64,
    /// At least 1.
    pub interval_ms: i64,
}

impl Slots {
    /// The slots of `monitor_id` in the region of `rank` (from 0) among `regions`.
    pub fn spread(monitor_id: Uuid, interval_ms: i64, rank: u32, regions: u32) -> Self {
        let interval_ms = interval_ms.max(1);
        let digest = Sha256::digest(monitor_id.as_bytes());
        let mut first = [0; 8];
        first.copy_from_slice(&digest[..8]);
        let phase = (u64::from_be_bytes(first) % interval_ms.unsigned_abs()).cast_signed();
        let step = interval_ms * i64::from(rank) / i64::from(regions.max(1));
        Self { anchor_ms: (phase + step) % interval_ms, interval_ms }
    }

    /// When `slot` is due.
    pub fn due(self, slot: i64) -> i64 {
        self.anchor_ms.saturating_add(slot.saturating_mul(self.interval_ms))
    }

    /// The first slot that is due after `time`.
    pub fn first_after(self, time: i64) -> i64 {
        (time - self.anchor_ms).div_euclid(self.interval_ms.max(1)) + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn regions_strike_at_equal_distances(
            id: u128, interval in 1_000i64..86_400_000, regions in 1u32..65,
        ) {
            let anchors: std::collections::BTreeSet<i64> = (0..regions)
                .map(|rank| Slots::spread(Uuid::from_u128(id), interval, rank, regions).anchor_ms)
                .collect();
            prop_assert!(anchors.iter().all(|anchor| (0..interval).contains(anchor)));
            let mut around: Vec<i64> = anchors.iter().copied().collect();
            around.push(around[0] + interval);
            let wanted = interval / i64::from(regions);
            for pair in around.windows(2) {
                prop_assert!((pair[1] - pair[0] - wanted).abs() <= 1, "{around:?}");
            }
        }

        #[test]
        fn first_after_is_the_first_and_after(
            anchor in 0i64..86_400_000, interval in 1_000i64..86_400_000,
            time in 0i64..4_000_000_000_000,
        ) {
            let slots = Slots { anchor_ms: anchor % interval, interval_ms: interval };
            let slot = slots.first_after(time);
            prop_assert!(slots.due(slot) > time && slots.due(slot - 1) <= time);
        }
    }
}
