//! Assignments and the sets made of them.

use crate::back_ends::on_both;
use crate::fleet::{insert_region, small_fleet};
use hyperverge_control_plane::clock::new_id;
use hyperverge_control_plane::store::StoreError;
use hyperverge_control_plane::store::assignments::{self, Assignment, StoredSet};
use uuid::Uuid;

fn assignment(monitor_id: Uuid, region_id: Uuid, agent_id: &str, first_slot: i64) -> Assignment {
    Assignment {
        monitor_id,
        region_id,
        agent_id: agent_id.to_owned(),
        revision: 1,
        first_slot,
        anchor_ms: 250,
        interval_ms: 1_000,
        assigned_at: 77,
        ended_at: None,
        last_slot: None,
        predecessor_through: None,
    }
}

#[tokio::test]
async fn one_current_assignment_in_a_region_and_the_past_is_kept() {
    on_both(async |store| {
        let fleet = small_fleet(&store, 2).await;
        let (organisation, monitor) = (fleet.organisation_id, new_id());
        let (region, agent) = (fleet.regions[0], fleet.agents[0].as_str());
        let first = assignment(monitor, region, agent, 10);
        let mut tx = store.begin().await.unwrap();
        assignments::assign(&mut tx, organisation, &first).await.unwrap();
        tx.commit().await.unwrap();

        let mut tx = store.begin().await.unwrap();
        let second = assignment(monitor, region, "another", 20);
        let refused = assignments::assign(&mut tx, organisation, &second).await;
        assert!(matches!(refused, Err(StoreError::Conflict)), "{refused:?}");
        drop(tx);

        let mut tx = store.begin().await.unwrap();
        assert!(assignments::end(&mut tx, organisation, monitor, region, 19, 99).await.unwrap());
        assert!(!assignments::end(&mut tx, organisation, monitor, region, 19, 99).await.unwrap());
        assignments::assign(&mut tx, organisation, &second).await.unwrap();
        let ids = vec![monitor, new_id()];
        let held =
            assignments::held_by(&mut tx, organisation, agent, region, ids.clone()).await.unwrap();
        assert_eq!(held, [Assignment { ended_at: Some(99), last_slot: Some(19), ..first }]);
        let current = assignments::current_of(&mut tx, organisation, ids).await.unwrap();
        assert_eq!(current, std::slice::from_ref(&second));
        assert_eq!(
            assignments::current_by(&mut tx, organisation, "another").await.unwrap(),
            [second]
        );
        assert_eq!(assignments::current_by(&mut tx, organisation, agent).await.unwrap(), []);
    })
    .await;
}

#[tokio::test]
async fn an_agent_can_get_back_what_it_never_began() {
    on_both(async |store| {
        let fleet = small_fleet(&store, 1).await;
        let (organisation, monitor) = (fleet.organisation_id, new_id());
        let (region, agent) = (fleet.regions[0], fleet.agents[0].as_str());
        let far = assignment(monitor, region, agent, 1_000);
        let mut tx = store.begin().await.unwrap();
        for holder in [agent, "another", agent] {
            assignments::end(&mut tx, organisation, monitor, region, 999, 50).await.unwrap();
            let held = Assignment { agent_id: holder.to_owned(), ..far.clone() };
            assignments::assign(&mut tx, organisation, &held).await.unwrap();
        }
        let current = assignments::current_of(&mut tx, organisation, vec![monitor]).await.unwrap();
        assert_eq!(current, std::slice::from_ref(&far));
        let twice = assignments::assign(&mut tx, organisation, &far).await;
        assert!(matches!(twice, Err(StoreError::Conflict)), "{twice:?}");
    })
    .await;
}

#[tokio::test]
async fn a_sets_version_only_rises() {
    on_both(async |store| {
        let fleet = small_fleet(&store, 2).await;
        let (organisation, agent) = (fleet.organisation_id, fleet.agents[0].as_str());
        let set = |version, parts: &[&[u8]]| StoredSet {
            version,
            content_hash: vec![1; 32],
            envelope: vec![9, version as u8],
            parts: parts.iter().map(|part| part.to_vec()).collect(),
            issued_at: 1_000 + version,
        };
        let mut tx = store.begin().await.unwrap();
        let due = assignments::due_for_renewal(&mut tx, organisation, 0, 1_006).await.unwrap();
        assert_eq!(due, fleet.agents, "an agent without a set gets one");
        let large = set(5, &[b"one", b"two", b"three"]);
        assert!(assignments::put_set(&mut tx, organisation, agent, &large).await.unwrap());
        assert_eq!(
            assignments::newest_set(&mut tx, organisation, agent, 0).await.unwrap(),
            Some(large)
        );
        let small = set(6, &[b"four"]);
        assert!(assignments::put_set(&mut tx, organisation, agent, &small).await.unwrap());
        assert!(!assignments::put_set(&mut tx, organisation, agent, &set(6, &[])).await.unwrap());
        assert_eq!(assignments::newest_set(&mut tx, organisation, agent, 6).await.unwrap(), None);
        assert_eq!(
            assignments::newest_set(&mut tx, organisation, agent, 5).await.unwrap(),
            Some(small)
        );
        assert_eq!(
            assignments::set_versions(&mut tx, fleet.agents.clone()).await.unwrap(),
            [(agent.to_owned(), 6)]
        );
        let due = assignments::due_for_renewal(&mut tx, organisation, 1_005, 1_006).await.unwrap();
        assert_eq!(due, [fleet.agents[1].clone()]);
        let due = assignments::due_for_renewal(&mut tx, organisation, 1_006, 1_006).await.unwrap();
        assert_eq!(due, fleet.agents);
        let due = assignments::due_for_renewal(&mut tx, organisation, 0, 1_005).await.unwrap();
        assert_eq!(due, fleet.agents, "its set is from a time that was taken back");
    })
    .await;
}

#[tokio::test]
async fn a_fleet_leaves_out_regions_that_never_had_an_agent() {
    on_both(async |store| {
        let fleet = small_fleet(&store, 2).await;
        let mut tx = store.begin().await.unwrap();
        insert_region(&mut tx, fleet.organisation_id, "empty").await;
        let read = assignments::fleet(&mut tx, fleet.organisation_id).await.unwrap();
        let names: Vec<_> = read.regions.iter().map(|region| region.name.as_str()).collect();
        assert_eq!(names, ["region-0", "region-1"]);
        assert_eq!(read.agents.iter().map(|agent| &agent.id).collect::<Vec<_>>(), {
            let mut ids: Vec<_> = fleet.agents.iter().collect();
            ids.sort();
            ids
        });
        assert!(read.monitors.is_empty());
    })
    .await;
}
