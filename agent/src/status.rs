//! What `/ready` and the other parts may know about each other: a handful of
//! atomics, written by whoever owns the fact.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, Ordering::Relaxed};

/// See the module's head.
#[derive(Debug, Default)]
pub struct Status {
    /// Version of the set in force, 0 for none.
    pub set_version: AtomicU64,
    /// When that set expires, on the boot clock.
    pub set_expires_boot_ms: AtomicI64,
    /// A session is established.
    pub link_up: AtomicBool,
    /// The control plane refuses this agent itself.
    pub rejected: AtomicBool,
    /// The last attempt to seal results gave some up.
    pub spool_failing: AtomicBool,
    pub probes_in_flight: AtomicU32,
}

impl Status {
    /// Everything that keeps this agent from doing its work, as sentences.
    pub fn not_ready(&self, boot_ms: i64) -> Vec<&'static str> {
        let mut reasons = Vec::new();
        if self.rejected.load(Relaxed) {
            reasons.push("the control plane refuses this agent");
        }
        if self.set_version.load(Relaxed) == 0 {
            reasons.push("no assignment set has arrived");
        } else if boot_ms >= self.set_expires_boot_ms.load(Relaxed) {
            reasons.push("the assignment set has expired");
        }
        if self.spool_failing.load(Relaxed) && !self.link_up.load(Relaxed) {
            reasons.push("no session, and the spool takes no results");
        }
        reasons
    }
}
