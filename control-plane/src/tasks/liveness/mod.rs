//! What time alone changes: agents and regions fall silent, votes grow stale.
//!
//! [`fleet`] marks agents lost and found and keeps one incident for each silent
//! region; [`stale`] evaluates the monitors whose verdict may turn because a
//! vote grew old. Neither judges silence before we have listened for the grace:
//! after a start, a pause of this process or an outage of the database it was
//! ours, and nobody is late, silent or missed for it.

mod fleet;
mod stale;

use super::reconcile;
use crate::clock;
use crate::shared::Shared;
use crate::store::leases::{self, Lease};
use crate::store::{StoreError, organisations};
use hyperverge_control_core::liveness::Settings;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, Notify};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const PERIOD: Duration = Duration::from_secs(1);
const LEASE: &str = "liveness";
const LEASE_MS: i64 = 15_000;
/// A longer pause between two rounds means that nobody listened.
const PAUSE_MS: i64 = 15_000;

/// Since when this process has been there to hear.
#[derive(Debug, Default)]
pub struct Listening {
    /// Time of the first and of the newest round without a pause between.
    span: Option<(i64, i64)>,
    cursor: stale::Cursor,
}

impl Listening {
    /// As if rounds had gone on without a pause from `first` to `newest` (ms).
    pub fn through(first: i64, newest: i64) -> Self {
        Self { span: Some((first, newest)), cursor: stale::Cursor::new() }
    }

    /// Notes a round at `now` and says since when there was no pause.
    fn since(&mut self, now: i64) -> i64 {
        let since = match self.span {
            Some((since, last)) if now - last <= PAUSE_MS && now >= last => since,
            _ => now,
        };
        self.span = Some((since, now));
        since
    }
}

/// Runs until stopped.
pub async fn run(shared: Arc<Shared>, stop: CancellationToken) {
    let holder = clock::new_id();
    let listening = Mutex::new(Listening::default());
    let nobody = Notify::new();
    reconcile("liveness", &shared, &nobody, PERIOD, stop, || async {
        round(&shared, holder, &mut *listening.lock().await).await
    })
    .await;
}

/// One round over every organisation, if this process holds the lease.
pub async fn round(
    shared: &Shared,
    holder: Uuid,
    listening: &mut Listening,
) -> Result<(), StoreError> {
    let mut tx = shared.store.begin().await?;
    let lease = leases::acquire(&mut tx, Uuid::nil(), LEASE, holder, LEASE_MS).await?;
    let now = tx.now().await?;
    let everyone = organisations::ids(&mut tx).await?;
    tx.commit().await?;
    let since = listening.since(now);
    let Some(lease) = lease else { return Ok(()) };
    let settings = settings(shared);
    // What fails for one organisation holds up no other; the first failure is the round's.
    let mut failed = Ok(());
    for organisation_id in everyone {
        failed = failed.and(fleet::round(shared, &lease, organisation_id, settings, since).await);
        if settings.may_judge(since, now) {
            let cursor = &mut listening.cursor;
            failed = failed.and(stale::round(shared, &lease, organisation_id, cursor).await);
        }
    }
    failed
}

fn settings(shared: &Shared) -> Settings {
    let grace = shared.settings.liveness.grace.as_millis();
    Settings { grace_ms: i64::try_from(grace).unwrap_or(i64::MAX), ..Settings::default() }
}

/// Begins a transaction in which the lease is known to hold.
async fn guarded(shared: &Shared, lease: &Lease) -> Result<Option<crate::store::Tx>, StoreError> {
    let mut tx = shared.store.begin().await?;
    Ok(leases::guard(&mut tx, lease).await?.then_some(tx))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_begins_the_listening_anew() {
        let mut listening = Listening::default();
        assert_eq!(listening.since(1_000), 1_000);
        assert_eq!(listening.since(2_000), 1_000);
        assert_eq!(listening.since(2_000 + PAUSE_MS), 1_000);
        assert_eq!(listening.since(3_001 + 2 * PAUSE_MS), 3_001 + 2 * PAUSE_MS, "paused");
        assert_eq!(listening.since(500), 500, "the database's clock was set back");
    }
}
