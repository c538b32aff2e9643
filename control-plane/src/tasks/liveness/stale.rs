//! Verdicts that turn because votes grow old, or because they come back.
//!
//! Only monitors that may turn are looked at: with a region that is not steadily
//! up, with a verdict that is not up, or watched by an agent that lags. Where
//! everything is well that is nothing at all. Where a whole fleet is away it is
//! everything, so a round takes a bounded share and the next goes on behind it.

use super::guarded;
use crate::shared::Shared;
use crate::store::leases::Lease;
use crate::store::{StoreError, states};
use crate::verdicts;
use std::collections::BTreeMap;
use uuid::Uuid;

/// An agent seals a batch at least every 10 s; one that is this late lags.
const LAG_MS: i64 = 15_000;
/// Monitors in one transaction, and transactions of one round and organisation.
const PAGE: i64 = 250;
const PAGES: usize = 4;

/// Where each organisation's next round goes on.
pub type Cursor = BTreeMap<Uuid, Uuid>;

/// One round over an organisation.
pub(super) async fn round(
    shared: &Shared,
    lease: &Lease,
    organisation_id: Uuid,
    cursor: &mut Cursor,
) -> Result<(), StoreError> {
    let group_wait_ms = shared.settings.correlator.group_wait_ms();
    for _ in 0..PAGES {
        let after = cursor.get(&organisation_id).copied().unwrap_or(Uuid::nil());
        let mut tx = shared.store.read().await?;
        let now = tx.now().await?;
        let fresh = now - LAG_MS..=now + LAG_MS;
        let ids = states::may_turn(&mut tx, organisation_id, fresh, after, PAGE).await?;
        drop(tx);
        match ids.last() {
            Some(last) if ids.len() as i64 == PAGE => cursor.insert(organisation_id, *last),
            _ => cursor.remove(&organisation_id),
        };
        if ids.is_empty() {
            return Ok(());
        }
        let Some(mut tx) = guarded(shared, lease).await? else { return Ok(()) };
        let now = tx.now().await?;
        let turned = verdicts::evaluate(&mut tx, organisation_id, ids, group_wait_ms, now).await?;
        tx.commit().await?;
        for scope in &turned.opened {
            shared.metrics.incidents_created_total.with_label_values(&[scope.as_str()]).inc();
        }
        if turned.intents > 0 {
            shared.wake.correlator.notify_one();
        }
        if !cursor.contains_key(&organisation_id) {
            return Ok(());
        }
    }
    Ok(())
}
