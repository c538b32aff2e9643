//! The only place where this crate reads clocks.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// For how long something took.
#[expect(clippy::disallowed_methods, reason = "this is where the clock is read")]
pub(crate) fn monotonic() -> Instant {
    Instant::now()
}

/// The wall clock: what targets put into their logs, and the stand-in's control-plane time.
#[expect(clippy::disallowed_methods, reason = "this is where the clock is read")]
pub(crate) fn wall() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// [`wall`] in milliseconds.
pub(crate) fn wall_ms() -> i64 {
    i64::try_from(wall().as_millis()).unwrap_or(i64::MAX)
}
