//! How long to wait before trying again.
//!
//! Returns durations and takes the randomness as a parameter; who waits, and on
//! which clock, is the shell's affair.

use rand::{Rng, RngExt};
use std::time::Duration;

/// Exponential backoff with full jitter below a cap, for reconnecting.
#[derive(Debug, Clone, Copy)]
pub struct Backoff {
    pub first: Duration,
    pub cap: Duration,
}

impl Backoff {
    /// The wait before attempt `attempt` (0 is the first retry): between half
    /// and all of `first * 2^attempt`, capped. Half is kept as a floor so that a
    /// thousand agents neither return together nor hammer.
    pub fn delay(&self, attempt: u32, rng: &mut impl Rng) -> Duration {
        let doubled =
            self.first.saturating_mul(1u32.checked_shl(attempt.min(20)).unwrap_or(u32::MAX));
        let full = doubled.min(self.cap);
        full.mul_f64(rng.random_range(0.5..=1.0))
    }
}

/// When a notification is tried again (design section 9): quickly for ten
/// minutes, because a page is urgent, then by the schedule of Standard Webhooks.
const DELIVERY_SECONDS: [u64; 21] = [
    5, 15, 30, 60, 60, 60, 60, 60, 60, 60, 60, 60, // about ten minutes
    300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400, 86_400,
];

/// The longest `Retry-After` that is honoured.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(3_600);

/// The wait after failed attempt number `attempt` (1 is the first); `None` when
/// the schedule has ended and the delivery becomes a dead letter. Up to a tenth
/// is added so that a mass failure does not return in one instant.
pub fn delivery_delay(
    attempt: u32,
    retry_after: Option<Duration>,
    rng: &mut impl Rng,
) -> Option<Duration> {
    let index = usize::try_from(attempt.checked_sub(1)?).ok()?;
    let base = Duration::from_secs(*DELIVERY_SECONDS.get(index)?);
    let asked = retry_after.unwrap_or_default().min(RETRY_AFTER_MAX);
    Some(base.max(asked).mul_f64(rng.random_range(1.0..=1.1)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand::SeedableRng;

    proptest! {
        #[test]
        fn reconnecting_stays_between_half_and_the_cap(attempt: u32, seed: u64) {
            let mut rng = rand::rngs::StdRng::seed_from_u64(seed);
            let backoff = Backoff { first: Duration::from_millis(200), cap: Duration::from_secs(30) };
            let delay = backoff.delay(attempt, &mut rng);
            prop_assert!(delay >= Duration::from_millis(100) && delay <= Duration::from_secs(30));
        }

        #[test]
        fn a_receiver_may_slow_us_down_but_never_speed_us_up(attempt in 1u32..21, asked in 0u64..10_000) {
            let mut rng = rand::rngs::StdRng::seed_from_u64(1);
            let asked = Duration::from_secs(asked);
            let delay = delivery_delay(attempt, Some(asked), &mut rng).expect("still scheduled");
            let base = Duration::from_secs(DELIVERY_SECONDS[attempt as usize - 1]);
            prop_assert!(delay >= base && delay >= asked.min(RETRY_AFTER_MAX));
        }
    }

    #[test]
    fn the_schedule_ends() {
        let mut rng = rand::rngs::StdRng::seed_from_u64(1);
        let total: Duration =
            (1..).map_while(|attempt| delivery_delay(attempt, None, &mut rng)).sum();
        assert!(
            total > Duration::from_secs(3 * 86_400),
            "three days at least, as receivers expect"
        );
        assert!(delivery_delay(0, None, &mut rng).is_none());
    }
}
