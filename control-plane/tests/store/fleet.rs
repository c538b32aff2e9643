//! A small fleet for the stories of the aggregates that need one.

use hyperverge_control_plane::clock;
use hyperverge_control_plane::params;
use hyperverge_control_plane::store::agents::{self, NewAgent};
use hyperverge_control_plane::store::{Store, Tx};
use uuid::Uuid;

/// An organisation with regions and an agent in each.
pub(crate) struct SmallFleet {
    pub organisation_id: Uuid,
    pub regions: Vec<Uuid>,
    pub agents: Vec<String>,
}

/// Makes an organisation with `count` regions `region-0`… and an agent in each.
pub(crate) async fn small_fleet(store: &Store, count: usize) -> SmallFleet {
    let organisation_id = clock::new_id();
    let mut tx = store.begin().await.unwrap();
    let now = tx.now().await.unwrap();
    tx.execute(
        "INSERT INTO organisations (organisation_id, name, created_at) VALUES ($1, $2, $3)",
        params![organisation_id, "acme", now],
    )
    .await
    .unwrap();
    let mut fleet = SmallFleet { organisation_id, regions: Vec::new(), agents: Vec::new() };
    for index in 0..count {
        let region_id = insert_region(&mut tx, organisation_id, &format!("region-{index}")).await;
        let id = format!("{}{index:032x}", organisation_id.simple());
        let new = NewAgent {
            organisation_id,
            id: &id,
            public_key: &[index as u8; 32],
            region_id,
            host_name: "host",
            version: "0.1.0",
        };
        agents::enroll(&mut tx, &new, now).await.unwrap();
        fleet.regions.push(region_id);
        fleet.agents.push(id);
    }
    tx.commit().await.unwrap();
    fleet
}

/// Adds a region without agents.
pub(crate) async fn insert_region(tx: &mut Tx, organisation_id: Uuid, name: &str) -> Uuid {
    let id = clock::new_id();
    let now = tx.now().await.unwrap();
    tx.execute(
        "INSERT INTO regions (organisation_id, id, name, created_at) VALUES ($1, $2, $3, $4)",
        params![organisation_id, id, name, now],
    )
    .await
    .unwrap();
    id
}
