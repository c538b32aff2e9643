//! The time of day, for what is dated in days: certificates.
//!
//! A host's wall clock may be wrong by years, and would then call every
//! certificate expired or not valid yet. So it is control-plane time that counts,
//! wherever it is known; until this boot has met the control plane, the wall
//! clock has to do.

use crate::clock;
use rustls::time_provider::TimeProvider;
use rustls_pki_types::UnixTime;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::time::Duration;

/// What time it is. Cheap to clone; all clones know the same.
#[derive(Debug, Clone)]
pub struct ControlTime(Arc<AtomicI64>);

/// No offset: no boot is so far from the epoch.
const UNKNOWN: i64 = i64::MIN;

impl Default for ControlTime {
    fn default() -> Self {
        Self(Arc::new(AtomicI64::new(UNKNOWN)))
    }
}

impl ControlTime {
    /// Control-plane time minus boot clock is `offset_us` microseconds.
    pub fn set_offset(&self, offset_us: i64) {
        self.0.store(offset_us, Relaxed);
    }

    /// Unix seconds.
    pub fn unix_s(&self) -> i64 {
        match self.0.load(Relaxed) {
            UNKNOWN => clock::wall_ms() / 1_000,
            offset_us => clock::boot_us().saturating_add(offset_us).div_euclid(1_000_000),
        }
    }
}

impl TimeProvider for ControlTime {
    fn current_time(&self) -> Option<UnixTime> {
        let unix_s = u64::try_from(self.unix_s()).ok()?;
        Some(UnixTime::since_unix_epoch(Duration::from_secs(unix_s)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wall_clock_counts_only_until_the_control_plane_was_met() {
        let time = ControlTime::default();
        let (wall, other) = (clock::wall_ms() / 1_000, time.clone());
        assert!((time.unix_s() - wall).abs() <= 5);
        other.set_offset(4_000_000_000_000_000 - clock::boot_us());
        assert!((4_000_000_000..4_000_000_005).contains(&time.unix_s()), "{}", time.unix_s());
        let provided = time.current_time().expect("a time").as_secs();
        assert!((4_000_000_000..4_000_000_005).contains(&provided), "{provided}");
    }
}
