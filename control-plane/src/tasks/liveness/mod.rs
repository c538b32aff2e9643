//! What time alone changes: agents and regions fall silent, votes grow stale.
//!
//! [`fleet`] marks agents lost and found and keeps one incident for each silent
//! region; [`stale`] evaluates the monitors whose verdict may turn because a
//! vote grew old. Neither judges silence before some gateway has been listening for
//! the grace: after a start, a pause or an outage of the database it was
//! ours, and nobody is late, silent or missed for it. Gateways say each second that they
//! are there; whether this process was is no matter.

mod fleet;
mod stale;

use super::reconcile;
use crate::clock;
use crate::shared::Shared;
use crate::store::leases::{self, Lease};
use crate::store::{StoreError, gateways, organisations};
use hyperverge_control_core::liveness::{Settings, listening_since};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, Notify};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub use stale::Cursor;

const PERIOD: Duration = Duration::from_secs(1);
const LEASE: &str = "liveness";
const LEASE_MS: i64 = 15_000;
/// Runs until stopped.
pub async fn run(shared: Arc<Shared>, stop: CancellationToken) {
    let holder = clock::new_id();
    let cursor = Mutex::new(Cursor::default());
    let nobody = Notify::new();
    reconcile("liveness", &shared, &nobody, PERIOD, stop, || async {
        round(&shared, holder, &mut *cursor.lock().await).await
    })
    .await;
}

/// One round over every organisation, if this process holds the lease.
pub async fn round(shared: &Shared, holder: Uuid, cursor: &mut Cursor) -> Result<(), StoreError> {
    let mut tx = shared.store.begin().await?;
    let lease = leases::acquire(&mut tx, Uuid::nil(), LEASE, holder, LEASE_MS).await?;
    let everyone = organisations::ids(&mut tx).await?;
    tx.commit().await?;
    match lease {
        Some(lease) => everywhere(shared, lease, everyone, cursor).await,
        None => Ok(()),
    }
}

/// Goes through the organisations. However long that takes, the lease is renewed on the
/// way, so that the last come to their turn like the first.
pub async fn everywhere(
    shared: &Shared,
    mut lease: Lease,
    everyone: Vec<Uuid>,
    cursor: &mut Cursor,
) -> Result<(), StoreError> {
    let settings = settings(shared);
    // What fails for one organisation holds up no other; the first failure is the round's.
    let mut failed = Ok(());
    for organisation_id in everyone {
        let mut tx = shared.store.read().await?;
        let now = tx.now().await?;
        let since = listening_since(&gateways::listeners(&mut tx).await?, now);
        drop(tx);
        if lease.held_until - now < LEASE_MS / 2 {
            match renewed(shared, &lease).await? {
                Some(longer) => lease = longer,
                None => return failed,
            }
        }
        failed = failed.and(fleet::round(shared, &lease, organisation_id, settings, since).await);
        if settings.may_judge(since, now) {
            failed = failed.and(stale::round(shared, &lease, organisation_id, cursor).await);
        }
    }
    failed
}

async fn renewed(shared: &Shared, lease: &Lease) -> Result<Option<Lease>, StoreError> {
    let mut tx = shared.store.begin().await?;
    let longer = leases::acquire(&mut tx, Uuid::nil(), LEASE, lease.holder, LEASE_MS).await?;
    tx.commit().await?;
    Ok(longer)
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
