//! When the database does not take it, the agent keeps it.

use crate::back_ends::on_both;
use crate::fleet::{Fleet, code, row};
use hyperverge_control_plane::params;
use hyperverge_protocol::wire::{Outcome, RefusalCode};

#[tokio::test]
async fn a_batch_that_cannot_be_stored_is_refused_as_busy_and_stored_later() {
    on_both(async |store| {
        let mut fleet = Fleet::new(store, 1).await;
        let monitor = fleet.monitor("shop").await;
        let slot = fleet.slot;
        let batch = fleet.batch(0, vec![row(monitor, slot, Outcome::Ok)]);
        let envelope = fleet.seal(0, &batch);
        rename(&fleet, "ALTER TABLE missed_slots RENAME TO gone").await;
        rename(&fleet, "ALTER TABLE agent_batches RENAME TO missed_slots").await;
        let refused = fleet.send(0, &envelope).await;
        assert_eq!(code(&refused), RefusalCode::Busy);
        let refusal = refused.unwrap_err().0;
        assert!(refusal.retry_after_ms > 0 && !refusal.fatal);
        assert_eq!(refusal.number, 1);
        assert_eq!(fleet.count("SELECT COUNT(*) AS n FROM results").await, 0);
        rename(&fleet, "ALTER TABLE missed_slots RENAME TO agent_batches").await;
        rename(&fleet, "ALTER TABLE gone RENAME TO missed_slots").await;
        assert_eq!(fleet.send(0, &envelope).await.unwrap().stored, 1);
    })
    .await;
}

async fn rename(fleet: &Fleet, sql: &'static str) {
    let mut tx = fleet.shared.store.begin().await.unwrap();
    tx.execute(sql, params![]).await.unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn a_database_that_is_gone_refuses_everything_at_once() {
    on_both(async |store| {
        let mut fleet = Fleet::new(store, 1).await;
        let monitor = fleet.monitor("shop").await;
        let slot = fleet.slot;
        let batch = fleet.batch(0, vec![row(monitor, slot, Outcome::Ok)]);
        let envelope = fleet.seal(0, &batch);
        fleet.shared.store.close().await;
        assert_eq!(code(&fleet.send(0, &envelope).await), RefusalCode::Busy);
    })
    .await;
}
