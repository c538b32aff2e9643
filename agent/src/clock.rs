//! The only place where this crate reads a clock.

use std::time::Instant;

/// The monotonic clock: for how long something took, never for when it was.
#[expect(clippy::disallowed_methods, reason = "this is where the clock is read")]
pub fn monotonic() -> Instant {
    Instant::now()
}

/// The host's wall clock, Unix seconds. It dates nothing: it only tells how
/// many days a certificate has left, where an hour more or less does not matter.
#[expect(clippy::disallowed_methods, reason = "this is where the clock is read")]
pub fn wall_unix_s() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}
