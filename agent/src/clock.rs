//! The only place where this crate reads clocks and entropy.
//!
//! Slots are dated by the boot clock plus an offset (`hyperverge_agent_core::clock`):
//! it runs through suspend and is never set. The monotonic clock says how long
//! something took. The wall clock dates nothing.

use rand::SeedableRng;
use rand::rngs::StdRng;
use rustix::time::{ClockId, clock_gettime};
use std::time::{Duration, Instant};

/// The monotonic clock: for how long something took, never for when it was.
#[expect(clippy::disallowed_methods, reason = "this is where the clock is read")]
pub fn monotonic() -> Instant {
    Instant::now()
}

/// The host's wall clock, Unix milliseconds: reported so that people can see
/// its skew. It dates nothing but certificates, and these only while no other time
/// is known (`crate::control_time`).
pub fn wall_ms() -> i64 {
    i64::try_from(wall().as_millis()).unwrap_or(i64::MAX)
}

/// The host's wall clock since the Unix epoch, in full: the clock the kernel
/// stamps packets with.
#[expect(clippy::disallowed_methods, reason = "this is where the clock is read")]
pub fn wall() -> Duration {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default()
}

/// Microseconds since the host started, suspend included.
pub fn boot_us() -> i64 {
    let time = clock_gettime(ClockId::Boottime);
    time.tv_sec.saturating_mul(1_000_000).saturating_add(time.tv_nsec / 1_000)
}

/// Milliseconds since the host started, suspend included.
pub fn boot_ms() -> i64 {
    boot_us() / 1_000
}

/// A moment on the boot clock and on the monotonic clock, which stands while the
/// host sleeps.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    pub boot_us: i64,
    pub monotonic: Instant,
}

impl Moment {
    /// Now.
    pub fn now() -> Self {
        Self { boot_us: boot_us(), monotonic: monotonic() }
    }

    /// How long the host slept between this moment and the `later` one.
    pub fn slept_until(&self, later: &Self) -> Duration {
        let passed = later.boot_us.saturating_sub(self.boot_us).max(0);
        let awake = later.monotonic.saturating_duration_since(self.monotonic);
        Duration::from_micros(passed.unsigned_abs()).saturating_sub(awake)
    }
}

/// The kernel's boot id. Where the kernel does not tell, an id of this process:
/// then a restart cannot date before it meets the control plane, which is safe.
pub fn kernel_boot_id() -> [u8; 16] {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    match uuid::Uuid::parse_str(text.trim()) {
        Ok(id) => id.into_bytes(),
        Err(_) => random_id(),
    }
}

/// One moment on the monotonic clock and on the wall clock, the latter since
/// the Unix epoch: what turns the kernel's stamps of packets, which are wall
/// clock time, into how long something took.
pub fn both() -> (Instant, Duration) {
    let mut best: Option<(Duration, Instant, Duration)> = None;
    // Being interrupted between two readings would shift every stamp by as much.
    for _ in 0..BOTH_ATTEMPTS {
        let (before, wall) = (monotonic(), wall());
        let apart = monotonic().saturating_duration_since(before);
        if best.is_none_or(|(least, ..)| apart < least) {
            best = Some((apart, before, wall));
        }
        if apart <= BOTH_APART {
            break;
        }
    }
    best.map_or_else(|| (monotonic(), Duration::ZERO), |(_, now, wall)| (now, wall))
}

const BOTH_ATTEMPTS: u32 = 4;
/// Two readings of the clocks take well below this.
const BOTH_APART: Duration = Duration::from_micros(5);

/// Sixteen random bytes.
pub fn random_id() -> [u8; 16] {
    rand::RngExt::random(&mut rng())
}

/// A generator seeded by the system.
#[expect(clippy::disallowed_methods, reason = "this is where entropy is read")]
pub fn rng() -> StdRng {
    StdRng::from_rng(&mut rand::rng())
}
