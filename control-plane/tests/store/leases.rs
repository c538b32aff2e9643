//! One holder at a time, and a fence that tells a late one that it was replaced.

use crate::back_ends::on_both;
use hyperverge_control_plane::clock::new_id;
use hyperverge_control_plane::store::leases;
use uuid::Uuid;

#[tokio::test]
async fn a_lease_has_one_holder_and_a_fence_that_rises_when_it_moves() {
    on_both(async |store| {
        let (one, two) = (new_id(), new_id());
        let mut tx = store.begin().await.unwrap();
        let nil = Uuid::nil();
        let first = leases::acquire(&mut tx, nil, "work", one, 60_000).await.unwrap().unwrap();
        assert_eq!(first.fence, 1);
        assert_eq!(leases::acquire(&mut tx, nil, "work", two, 60_000).await.unwrap(), None);
        assert!(leases::acquire(&mut tx, nil, "other", two, 60_000).await.unwrap().is_some());
        let renewed = leases::acquire(&mut tx, nil, "work", one, 60_000).await.unwrap().unwrap();
        assert_eq!(renewed.fence, 1);
        assert!(leases::guard(&mut tx, &renewed).await.unwrap());

        leases::release(&mut tx, &renewed).await.unwrap();
        assert!(!leases::guard(&mut tx, &renewed).await.unwrap());
        let moved = leases::acquire(&mut tx, nil, "work", two, 60_000).await.unwrap().unwrap();
        assert_eq!(moved.fence, 2);
        assert!(!leases::guard(&mut tx, &renewed).await.unwrap());
        assert!(leases::guard(&mut tx, &moved).await.unwrap());
        leases::release(&mut tx, &renewed).await.unwrap();
        assert!(leases::guard(&mut tx, &moved).await.unwrap(), "an old fence releases nothing");
    })
    .await;
}
