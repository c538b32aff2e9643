//! The life of an agent's rows.

use crate::back_ends::on_both;
use crate::fleet::small_fleet;
use hyperverge_control_plane::clock::new_id;
use hyperverge_control_plane::store::StoreError;
use hyperverge_control_plane::store::agents::{self, AgentState, Batch, Hello, NewAgent};

#[tokio::test]
async fn a_key_enrols_once_and_only_its_newest_session_speaks_for_it() {
    on_both(async |store| {
        let fleet = small_fleet(&store, 2).await;
        let (organisation, id) = (fleet.organisation_id, &fleet.agents[0]);
        let mut tx = store.begin().await.unwrap();
        let again = NewAgent {
            organisation_id: organisation,
            id,
            public_key: &[0; 32],
            region_id: fleet.regions[1],
            host_name: "other",
            version: "0.1.0",
        };
        assert!(matches!(agents::enroll(&mut tx, &again, 5).await, Err(StoreError::Conflict)));
        drop(tx);

        let mut tx = store.begin().await.unwrap();
        let (old, new) = (new_id(), new_id());
        for session_id in [old, new] {
            let hello = Hello {
                session_id,
                version: "0.2.0",
                host_name: "renamed",
                capabilities: &["probe:http".to_owned()],
                wall_skew_ms: -3,
            };
            assert!(agents::begin_session(&mut tx, organisation, id, &hello, 100).await.unwrap());
        }
        assert!(!agents::heartbeat(&mut tx, organisation, id, old, 0, 200).await.unwrap());
        assert!(agents::heartbeat(&mut tx, organisation, id, new, 7, 300).await.unwrap());
        assert!(!agents::accept_set(&mut tx, organisation, id, old, 1).await.unwrap());
        assert!(agents::accept_set(&mut tx, organisation, id, new, 9).await.unwrap());
        let agent = agents::find(&mut tx, id).await.unwrap().unwrap();
        assert_eq!((agent.region.as_str(), agent.host_name.as_str()), ("region-0", "renamed"));
        assert_eq!((agent.last_heartbeat_at, agent.wall_skew_ms), (Some(300), Some(7)));
        assert_eq!((agent.accepted_version, agent.session_id), (Some(9), Some(new)));
        assert_eq!(agent.capabilities, ["probe:http"]);
        assert_eq!(agent.state, AgentState::Enrolled);
        let listed = agents::list(&mut tx, organisation, Some(id), 10).await.unwrap();
        assert_eq!(listed.iter().map(|a| &a.id).collect::<Vec<_>>(), [&fleet.agents[1]]);
    })
    .await;
}

#[tokio::test]
async fn a_barred_agent_is_found_and_a_revoked_one_stays_revoked() {
    on_both(async |store| {
        let fleet = small_fleet(&store, 3).await;
        let organisation = fleet.organisation_id;
        let mut tx = store.begin().await.unwrap();
        let quarantined = AgentState::Quarantined;
        for (index, state) in [(0, AgentState::Revoked), (1, quarantined)] {
            let id = &fleet.agents[index];
            assert!(agents::set_state(&mut tx, organisation, id, state, "why").await.unwrap());
        }
        let revoked = &fleet.agents[0];
        assert!(
            !agents::set_state(&mut tx, organisation, revoked, quarantined, "x").await.unwrap()
        );
        assert_eq!(
            agents::barred(&mut tx, fleet.agents.clone()).await.unwrap(),
            [
                (fleet.agents[0].clone(), AgentState::Revoked),
                (fleet.agents[1].clone(), AgentState::Quarantined)
            ]
        );
        let session_id = new_id();
        assert!(
            !agents::heartbeat(&mut tx, organisation, revoked, session_id, 0, 1).await.unwrap()
        );
        let agent = agents::find(&mut tx, revoked).await.unwrap().unwrap();
        assert_eq!(agent.state_reason.as_deref(), Some("why"));
    })
    .await;
}

#[tokio::test]
async fn freshness_only_rises_unless_time_was_set_back_and_a_lane_moves_by_one() {
    on_both(async |store| {
        let fleet = small_fleet(&store, 1).await;
        let (organisation, id) = (fleet.organisation_id, &fleet.agents[0]);
        let mut tx = store.begin().await.unwrap();
        for (through, latest, moved) in
            [(10, 90, true), (10, 90, false), (9, 90, false), (11, 11, true), (7, 10, true)]
        {
            let raised =
                agents::raise_complete_through(&mut tx, organisation, id, through, latest).await;
            assert_eq!(raised.unwrap(), moved, "{through} of {latest}");
        }
        let locked = agents::lock_lane(&mut tx, organisation, id, 1).await.unwrap().unwrap();
        assert_eq!((locked.next_number, locked.state), (1, AgentState::Enrolled));
        assert_eq!(agents::lock_lane(&mut tx, organisation, id, 3).await.unwrap(), None);
        let batch = Batch {
            lane: 1,
            number: 1,
            payload_hash: vec![7; 32],
            stored: 3,
            duplicates: 2,
            refused: 1,
            complete_through: Some(7),
        };
        assert!(agents::advance_lane(&mut tx, organisation, id, 1, 1).await.unwrap());
        assert!(!agents::advance_lane(&mut tx, organisation, id, 1, 1).await.unwrap());
        agents::insert_batch(&mut tx, organisation, id, &batch, 50).await.unwrap();
        assert_eq!(agents::find_batch(&mut tx, organisation, id, 1, 1).await.unwrap(), Some(batch));
        assert_eq!(agents::find_batch(&mut tx, organisation, id, 2, 1).await.unwrap(), None);
        let marks = agents::lanes(&mut tx, organisation, id).await.unwrap();
        assert_eq!(
            marks.iter().map(|m| (m.lane, m.next_number)).collect::<Vec<_>>(),
            [(1, 2), (2, 1)]
        );
    })
    .await;
}

#[tokio::test]
async fn an_agent_is_lost_once_and_found_once() {
    on_both(async |store| {
        let fleet = small_fleet(&store, 1).await;
        let (organisation, id) = (fleet.organisation_id, &fleet.agents[0]);
        let mut tx = store.begin().await.unwrap();
        assert!(!agents::mark_found(&mut tx, organisation, id).await.unwrap());
        assert!(agents::mark_lost(&mut tx, organisation, id, 5).await.unwrap());
        assert!(!agents::mark_lost(&mut tx, organisation, id, 6).await.unwrap());
        assert_eq!(agents::find(&mut tx, id).await.unwrap().unwrap().lost_at, Some(5));
        assert!(agents::mark_found(&mut tx, organisation, id).await.unwrap());
    })
    .await;
}
