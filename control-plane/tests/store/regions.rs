//! Regions, and the tokens that let agents into them.

use crate::back_ends::on_both;
use crate::fleet::small_fleet;
use hyperverge_control_plane::clock;
use hyperverge_control_plane::store::agents::{self, AgentState};
use hyperverge_control_plane::store::regions::{self, Region};
use hyperverge_control_plane::store::tokens::{self, NewToken};
use hyperverge_control_plane::store::{Store, StoreError};
use uuid::Uuid;

async fn ensure(store: Store, organisation: Uuid) -> Region {
    let mut tx = store.begin().await.unwrap();
    let region = regions::ensure(&mut tx, organisation, clock::new_id(), "eu-west", 5).await;
    tx.commit().await.unwrap();
    region.unwrap().unwrap()
}

#[tokio::test]
async fn a_region_asked_for_by_many_at_once_is_made_once() {
    on_both(async |store| {
        let organisation = clock::new_id();
        let racing = (0..6).map(|_| ensure(store.clone(), organisation));
        let made = futures_util::future::join_all(racing).await;
        assert!(made.iter().all(|region| *region == made[0]), "{made:?}");
        let mut tx = store.begin().await.unwrap();
        let again = regions::insert(&mut tx, organisation, clock::new_id(), "eu-west", 6).await;
        assert!(matches!(again, Err(StoreError::Conflict)));
    })
    .await;
}

#[tokio::test]
async fn a_retired_region_is_known_but_not_listed() {
    on_both(async |store| {
        let fleet = small_fleet(&store, 2).await;
        let (organisation, first) = (fleet.organisation_id, fleet.regions[0]);
        let mut tx = store.begin().await.unwrap();
        let region = regions::get(&mut tx, organisation, first).await.unwrap().unwrap();
        assert_eq!((region.name.as_str(), region.agents), ("region-0", 1));
        assert!(region.first_agent_at.is_some());
        let (agent, state) = (&fleet.agents[0], AgentState::Revoked);
        agents::set_state(&mut tx, organisation, agent, state, "gone").await.unwrap();
        regions::set_retired(&mut tx, organisation, first, Some(9)).await.unwrap();
        let retired = regions::by_name(&mut tx, organisation, "region-0").await.unwrap().unwrap();
        assert_eq!((retired.retired_at, retired.agents), (Some(9), 0));
        let listed = regions::page(&mut tx, organisation, "", 10).await.unwrap();
        assert_eq!(listed.iter().map(|r| r.name.as_str()).collect::<Vec<_>>(), ["region-1"]);
        assert_eq!(regions::count(&mut tx, organisation).await.unwrap(), 1);
        regions::set_retired(&mut tx, organisation, first, None).await.unwrap();
        assert_eq!(regions::count(&mut tx, organisation).await.unwrap(), 2);
        let elsewhere = regions::get(&mut tx, clock::new_id(), first).await.unwrap();
        assert_eq!(elsewhere, None);
    })
    .await;
}

#[tokio::test]
async fn a_token_is_found_by_its_hash_spent_once_and_listed_without_it() {
    on_both(async |store| {
        let fleet = small_fleet(&store, 1).await;
        let (organisation, region_id) = (fleet.organisation_id, fleet.regions[0]);
        let mut tx = store.begin().await.unwrap();
        let mut ids = Vec::new();
        for n in 0..3u8 {
            let id = clock::new_id();
            let created_by = organisation;
            let (created_at, expires_at) = (5, 100);
            let secret_hash = vec![n; 32];
            let token = NewToken { id, secret_hash, region_id, created_by, created_at, expires_at };
            tokens::insert(&mut tx, organisation, token).await.unwrap();
            ids.push(id);
        }
        assert_eq!(tokens::count_open(&mut tx, organisation, 99).await.unwrap(), 3);
        assert_eq!(tokens::count_open(&mut tx, organisation, 100).await.unwrap(), 0);
        let found = tokens::lock_by_secret(&mut tx, vec![1; 32]).await.unwrap().unwrap();
        assert_eq!((found.id, found.region_id, found.used_by), (ids[1], region_id, None));
        assert_eq!(tokens::lock_by_secret(&mut tx, vec![8; 32]).await.unwrap(), None);
        tokens::spend(&mut tx, organisation, ids[1], "agent-1", 6).await.unwrap();
        tokens::spend(&mut tx, organisation, ids[1], "agent-2", 7).await.unwrap();

        let page = tokens::page(&mut tx, organisation, Uuid::max(), 2).await.unwrap();
        assert_eq!(page.iter().map(|token| token.id).collect::<Vec<_>>(), [ids[2], ids[1]]);
        assert_eq!((page[1].used_at, page[1].used_by.as_deref()), (Some(6), Some("agent-1")));
        assert_eq!(page[1].region, "region-0");
        let rest = tokens::page(&mut tx, organisation, ids[1], 2).await.unwrap();
        assert_eq!(rest.iter().map(|token| token.id).collect::<Vec<_>>(), [ids[0]]);
        assert!(!tokens::delete(&mut tx, clock::new_id(), ids[0]).await.unwrap());
        assert!(tokens::delete(&mut tx, organisation, ids[0]).await.unwrap());
    })
    .await;
}
