//! How long started checks wait until the runtime runs them for the first time.
//!
//! A started check is a task among all the others, and what it waits then is what
//! every check waits now, whenever it has something to do. Only the checks can
//! tell: on several threads the engine itself comes back at once, whatever waits
//! in their queues. So a turn is over when every check that was started in it was
//! run, and the longest of these waits says how long the turn was.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// See the module's head.
#[derive(Debug, Default)]
pub(crate) struct Turn {
    shared: Arc<Shared>,
    begun: bool,
}

#[derive(Debug, Default)]
struct Shared {
    /// Checks that were started and not run yet.
    waiting: AtomicUsize,
    longest_us: AtomicU64,
    over: Notify,
}

/// A check that was started and not run yet. One that is dropped has waited too.
#[derive(Debug)]
pub(crate) struct Waiting {
    shared: Arc<Shared>,
    since: Instant,
}

impl Turn {
    /// A check is started `now`.
    pub(crate) fn start(&mut self, now: Instant) -> Waiting {
        self.begun = true;
        self.shared.waiting.fetch_add(1, Ordering::Relaxed);
        Waiting { shared: self.shared.clone(), since: now }
    }

    /// Whether a check that was started was not run yet.
    pub(crate) fn is_under_way(&self) -> bool {
        self.shared.waiting.load(Ordering::Acquire) > 0
    }

    /// Waits until none is under way.
    pub(crate) async fn over(&self) {
        while self.is_under_way() {
            self.shared.over.notified().await;
        }
    }

    /// The turn is over, and the next begins: how long it was, if a check was started in it.
    pub(crate) fn end(&mut self) -> Option<Duration> {
        let longest_us = self.shared.longest_us.swap(0, Ordering::Relaxed);
        std::mem::take(&mut self.begun).then_some(Duration::from_micros(longest_us))
    }
}

impl Waiting {
    /// The check is run `now`.
    pub(crate) fn end(self, now: Instant) {
        let waited = now.saturating_duration_since(self.since).as_micros();
        let waited = u64::try_from(waited).unwrap_or(u64::MAX);
        self.shared.longest_us.fetch_max(waited, Ordering::Relaxed);
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if self.shared.waiting.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.shared.over.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;
    use futures_util::FutureExt;

    #[test]
    fn a_turn_lasts_until_the_last_check_was_run_and_is_as_long_as_the_longest_wait() {
        let began = clock::monotonic();
        let mut turn = Turn::default();
        assert_eq!(turn.end(), None, "nothing was started");
        let [first, second, third] = [(); 3].map(|()| turn.start(began));
        second.end(began + Duration::from_millis(7));
        first.end(began + Duration::from_millis(2));
        assert!(turn.is_under_way() && turn.over().now_or_never().is_none());
        // A check that is never run is waited for no longer.
        drop(third);
        assert!(turn.over().now_or_never().is_some());
        assert_eq!(turn.end(), Some(Duration::from_millis(7)));
        assert_eq!(turn.end(), None);
        turn.start(began).end(began);
        assert_eq!(turn.end(), Some(Duration::ZERO), "what was before does not count");
    }
}
