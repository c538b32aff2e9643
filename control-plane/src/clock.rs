//! The one place of this crate that reads clocks and entropy.
//!
//! What is stored or compared between processes is dated by the database
//! ([`crate::store::Tx::now`]); this clock is for waiting, for measuring and for
//! making ids.

use rand::rngs::StdRng;
use std::time::Instant;
use uuid::Uuid;

/// A point on the monotonic clock.
#[expect(clippy::disallowed_methods, reason = "the one place")]
pub fn monotonic() -> Instant {
    Instant::now()
}

/// A new UUIDv7.
#[expect(clippy::disallowed_methods, reason = "the one place")]
pub fn new_id() -> Uuid {
    Uuid::now_v7()
}

/// Wall-clock time, ms since the Unix epoch; only for what outsiders date by
/// wall time (tokens, certificates, mail).
#[expect(clippy::disallowed_methods, reason = "the one place")]
pub fn wall_ms() -> i64 {
    let since =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// A generator seeded by the system, for jitter and secrets.
#[expect(clippy::disallowed_methods, reason = "the one place")]
pub fn rng() -> StdRng {
    use rand::SeedableRng;
    StdRng::from_rng(&mut rand::rng())
}
