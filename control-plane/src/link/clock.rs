//! Control-plane time between two looks at the database.
//!
//! Every heartbeat is answered with the database's time. Asking for it each
//! time would make a thousand agents a hundred queries a second, so the gateway
//! looks once a second and counts on with its own monotonic clock.

use crate::clock;
use crate::store::{Store, StoreError};
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Instant;

#[derive(Debug)]
pub(super) struct ControlClock {
    origin: Instant,
    /// Database time, ms, at `origin`.
    offset_ms: AtomicI64,
}

impl ControlClock {
    /// Looks at the database for the first time.
    pub(super) async fn new(store: &Store) -> Result<Self, StoreError> {
        let clock = Self { origin: clock::monotonic(), offset_ms: AtomicI64::new(0) };
        clock.look(store).await?;
        Ok(clock)
    }

    /// Looks again. The answer is taken to be from the middle of the wait for it.
    pub(super) async fn look(&self, store: &Store) -> Result<(), StoreError> {
        let mut tx = store.read().await?;
        let before = self.elapsed_us();
        let now_ms = tx.now().await?;
        let middle_us = i64::midpoint(before, self.elapsed_us());
        self.offset_ms.store(now_ms - middle_us / 1_000, Ordering::Relaxed);
        Ok(())
    }

    /// Control-plane time, ms.
    pub(super) fn now_ms(&self) -> i64 {
        self.offset_ms.load(Ordering::Relaxed) + self.elapsed_us() / 1_000
    }

    fn elapsed_us(&self) -> i64 {
        i64::try_from(self.origin.elapsed().as_micros()).unwrap_or(i64::MAX)
    }
}
