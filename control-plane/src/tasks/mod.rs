//! Reconcilers: work that nobody asked for, done until the database says it is done.
//!
//! Each is woken by a hint and by a timer, takes no input, reads what there is
//! and brings it where it should be; so a restart, a lost hint and a second
//! replica need no path of their own. None retries inside: the next round is the
//! retry. Work that only one process may do at a time holds a lease and checks
//! it in the transaction that writes.
//!
//! To add one: a file with `pub async fn run(shared, stop)` around
//! [`reconcile`], and a line where the roles are started.

pub mod bursts;
pub mod census;
pub mod correlator;
pub mod liveness;
pub mod planner;
pub mod retention;

use crate::clock;
use crate::shared::Shared;
use std::time::Duration;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// How often a task may run at most, however often it is woken.
const BREATH: Duration = Duration::from_millis(50);

/// Runs `round` at start, on every hint and every `period`, until stopped. A
/// failed round is logged here, once, and the next one tries again.
async fn reconcile<F, E>(
    name: &'static str,
    shared: &Shared,
    wake: &Notify,
    period: Duration,
    stop: CancellationToken,
    mut round: impl FnMut() -> F,
) where
    F: Future<Output = Result<(), E>>,
    E: std::error::Error + 'static,
{
    loop {
        match round().await {
            Ok(()) => shared
                .metrics
                .task_last_success_timestamp_seconds
                .with_label_values(&[name])
                .set(clock::wall_ms() as f64 / 1_000.0),
            Err(error) => {
                let cause = error.source().map(ToString::to_string);
                tracing::error!(task = name, %error, cause, "task failed; the next round tries again");
            }
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = wake.notified() => {}
            () = tokio::time::sleep(period) => {}
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(BREATH) => {}
        }
    }
}
