//! Old rows go, in every table that may forget; young ones stay.

use crate::back_ends::on_both;
use crate::fixture::Fixture;
use hyperverge_control_plane::clock;
use hyperverge_control_plane::params;
use hyperverge_control_plane::tasks::retention;

const DAY_MS: i64 = 86_400_000;

#[tokio::test]
async fn what_is_older_than_the_limit_goes_and_the_rest_stays() {
    on_both(async |store| {
        let fixture = Fixture::new(store).await;
        let mut tx = fixture.shared.store.begin().await.unwrap();
        let now = tx.now().await.unwrap();
        const SQL: &str = "INSERT INTO agent_batches (organisation_id, agent_id, lane, number,
                payload_hash, stored, duplicates, refused, received_at)
            VALUES ($1, $2, 1, $3, $4, 0, 0, 0, $5)";
        for (number, age) in [(1i64, 31), (2, 29)] {
            let hash = vec![0u8; 32];
            let values =
                params![fixture.organisation, &fixture.agent, number, hash, now - age * DAY_MS];
            tx.execute(SQL, values).await.unwrap();
        }
        tx.commit().await.unwrap();
        retention::round(&fixture.shared, clock::new_id()).await.unwrap();
        let mut tx = fixture.shared.store.read().await.unwrap();
        let left = tx.fetch_all("SELECT number FROM agent_batches", params![]).await.unwrap();
        let numbers: Vec<i64> = left.iter().map(|row| row.get("number").unwrap()).collect();
        assert_eq!(numbers, [2]);
    })
    .await;
}
