//! Forgets what is older than `[retention] results_days`, a little at a time.
//!
//! Small chunks in transactions of their own keep the writer free for results;
//! whatever is left waits for the next round.

use super::reconcile;
use crate::clock;
use crate::shared::Shared;
use crate::store::leases;
use crate::store::{StoreError, retention};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const PERIOD: Duration = Duration::from_secs(60);
const LEASE: &str = "retention";
const LEASE_MS: i64 = 120_000;
const CHUNK_ROWS: i64 = 2_000;
/// Chunks of each table in one round: 6 million rows a day at most are forgotten.
const CHUNKS: usize = 50;
const DAY_MS: i64 = 86_400_000;

/// Runs until stopped.
pub async fn run(shared: Arc<Shared>, stop: CancellationToken) {
    let holder = clock::new_id();
    let nobody = Notify::new();
    reconcile("retention", &shared, &nobody, PERIOD, stop, || round(&shared, holder)).await;
}

/// One round, if this process holds the lease.
pub async fn round(shared: &Shared, holder: Uuid) -> Result<(), StoreError> {
    let mut tx = shared.store.begin().await?;
    let lease = leases::acquire(&mut tx, Uuid::nil(), LEASE, holder, LEASE_MS).await?;
    let now = tx.now().await?;
    tx.commit().await?;
    if lease.is_none() {
        return Ok(());
    }
    for table in retention::TABLES {
        let days = table.days.unwrap_or(shared.settings.retention.results_days);
        let before = now - i64::from(days) * DAY_MS;
        for _ in 0..CHUNKS {
            let mut tx = shared.store.begin().await?;
            let deleted = retention::forget(&mut tx, table, before, CHUNK_ROWS).await?;
            tx.commit().await?;
            let counter = &shared.metrics.retention_rows_deleted_total;
            counter.with_label_values(&[table.name]).inc_by(deleted);
            if deleted < CHUNK_ROWS.unsigned_abs() {
                break;
            }
        }
    }
    Ok(())
}
