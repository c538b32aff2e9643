//! A batch is stored once, under its number, and only as its agent signed it.

use crate::back_ends::on_both;
use crate::fleet::{Fleet, agent_bytes, code, row};
use hyperverge_control_plane::store::agents::{self, AgentState};
use hyperverge_protocol::limits::BATCH_ROWS;
use hyperverge_protocol::wire::{Lane, Outcome, RefusalCode, ResultBatch};
use uuid::Uuid;

const RESULTS: &str = "SELECT COUNT(*) AS n FROM results";

#[tokio::test]
async fn a_batch_sent_again_is_acknowledged_again_and_not_stored() {
    on_both(async |store| {
        let mut fleet = Fleet::new(store, 1).await;
        let monitor = fleet.monitor("shop").await;
        let slot = fleet.slot;
        let rows = (0..3).map(|n| row(monitor, slot + n, Outcome::Ok)).collect();
        let batch = fleet.batch(0, rows);
        let envelope = fleet.seal(0, &batch);
        let first = fleet.send(0, &envelope).await.unwrap();
        assert_eq!((first.lane, first.number, first.stored), (Lane::Live, 1, 3));
        assert_eq!(fleet.send(0, &envelope).await.unwrap(), first);
        let (left, right) = tokio::join!(fleet.send(0, &envelope), fleet.send(0, &envelope));
        assert_eq!((left.unwrap(), right.unwrap()), (first, first));
        assert_eq!(fleet.count(RESULTS).await, 3);
        // The same slots in another batch are duplicates, and slots nobody owned are refused.
        let rows = (-1..4).map(|n| row(monitor, slot + n, Outcome::Ok)).collect();
        assert_eq!(fleet.report(0, rows).await, (1, 3, 1));
        assert_eq!(fleet.count(RESULTS).await, 4);
        assert_eq!(fleet.count("SELECT COUNT(*) AS n FROM agent_batches").await, 2);
    })
    .await;
}

#[tokio::test]
async fn a_known_number_with_other_bytes_quarantines_the_agent() {
    on_both(async |store| {
        let mut fleet = Fleet::new(store, 1).await;
        let monitor = fleet.monitor("shop").await;
        let slot = fleet.slot;
        let first = fleet.batch(0, vec![row(monitor, slot, Outcome::Ok)]);
        fleet.send(0, &fleet.seal(0, &first)).await.unwrap();
        let other = ResultBatch { rows: vec![row(monitor, slot, Outcome::Fail)], ..first };
        let refused = fleet.send(0, &fleet.seal(0, &other)).await;
        assert_eq!(code(&refused), RefusalCode::Quarantined);
        assert!(refused.unwrap_err().0.fatal);
        let next = fleet.batch(0, vec![row(monitor, slot + 1, Outcome::Ok)]);
        let refused = fleet.send(0, &fleet.seal(0, &next)).await;
        assert_eq!(code(&refused), RefusalCode::Quarantined);
        assert_eq!(fleet.count(RESULTS).await, 1, "what was stored stays, nothing is added");
        let mut tx = fleet.shared.store.read().await.unwrap();
        let agent = agents::find(&mut tx, &fleet.probes[0].source.agent_id).await.unwrap().unwrap();
        assert_eq!(agent.state, AgentState::Quarantined);
        assert!(agent.state_reason.unwrap().contains("number 1"));
    })
    .await;
}

#[tokio::test]
async fn a_skipped_number_is_answered_with_the_one_expected() {
    on_both(async |store| {
        let mut fleet = Fleet::new(store, 1).await;
        let monitor = fleet.monitor("shop").await;
        let slot = fleet.slot;
        let batch = fleet.batch(0, vec![row(monitor, slot, Outcome::Ok)]);
        let skipped = ResultBatch { number: 5, ..batch.clone() };
        let refused = fleet.send(0, &fleet.seal(0, &skipped)).await;
        assert_eq!(code(&refused), RefusalCode::WrongNumber);
        let refusal = refused.unwrap_err().0;
        assert_eq!((refusal.expected_number, refusal.number, refusal.fatal), (1, 5, false));
        assert_eq!(fleet.count(RESULTS).await, 0);
        let backlog = ResultBatch { lane: Lane::Backlog.into(), ..batch.clone() };
        assert_eq!(fleet.send(0, &fleet.seal(0, &backlog)).await.unwrap().stored, 1);
        let live = fleet.send(0, &fleet.seal(0, &batch)).await.unwrap();
        assert_eq!((live.stored, live.duplicates), (0, 1), "each lane counts for itself");
    })
    .await;
}

#[tokio::test]
async fn what_is_not_signed_by_the_enrolled_key_touches_nothing() {
    on_both(async |store| {
        let mut fleet = Fleet::new(store, 2).await;
        let monitor = fleet.monitor("shop").await;
        let slot = fleet.slot;
        let batch = fleet.batch(0, vec![row(monitor, slot, Outcome::Ok)]);
        let good = fleet.seal(0, &batch);
        let mut tampered = good.clone();
        let mut payload = tampered.payload.to_vec();
        *payload.last_mut().unwrap() ^= 1;
        tampered.payload = payload.into();
        assert_eq!(code(&fleet.send(0, &tampered).await), RefusalCode::BadSignature);
        assert_eq!(code(&fleet.send(1, &good).await), RefusalCode::BadSignature);
        let posing = ResultBatch { agent_id: agent_bytes(&fleet.probes[1].key), ..batch.clone() };
        assert_eq!(code(&fleet.send(0, &fleet.seal(0, &posing)).await), RefusalCode::Malformed);
        let laneless = ResultBatch { lane: 0, ..batch.clone() };
        assert_eq!(code(&fleet.send(0, &fleet.seal(0, &laneless)).await), RefusalCode::Malformed);
        let zeroth = ResultBatch { number: 0, ..batch.clone() };
        assert_eq!(code(&fleet.send(0, &fleet.seal(0, &zeroth)).await), RefusalCode::Malformed);
        let many = vec![row(monitor, slot, Outcome::Ok); BATCH_ROWS + 1];
        let large = ResultBatch { rows: many, ..batch.clone() };
        assert_eq!(code(&fleet.send(0, &fleet.seal(0, &large)).await), RefusalCode::TooLarge);
        assert_eq!(fleet.count(RESULTS).await, 0);
        assert_eq!(fleet.send(0, &good).await.unwrap().stored, 1, "the number is still free");
    })
    .await;
}

#[tokio::test]
async fn a_row_nobody_asked_for_is_refused_and_the_rest_stands() {
    on_both(async |store| {
        let mut fleet = Fleet::new(store, 1).await;
        let monitor = fleet.monitor("shop").await;
        let slot = fleet.slot;
        let rows = vec![
            row(monitor, slot, Outcome::Ok),
            row(Uuid::from_u128(5), slot, Outcome::Fail),
            row(monitor, slot + 200, Outcome::Fail),
            row(monitor, slot + 1, Outcome::Ok),
        ];
        assert_eq!(fleet.report(0, rows).await, (2, 0, 2));
        assert_eq!(fleet.count(RESULTS).await, 2);
        assert_eq!(fleet.count("SELECT COUNT(*) AS n FROM region_states").await, 0);
    })
    .await;
}
