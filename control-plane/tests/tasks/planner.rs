//! Assignments are planned once, signed, cut into parts, and renewed.

use crate::back_ends::on_both;
use crate::fixture::Fixture;
use bytes::Bytes;
use ed25519_dalek::SigningKey;
use hyperverge_control_core::correlation::{RegionState, StateRow, Verdict};
use hyperverge_control_plane::clock;
use hyperverge_control_plane::params;
use hyperverge_control_plane::store::agents::{self, AgentState, NewAgent};
use hyperverge_control_plane::store::assignments::{self, StoredSet};
use hyperverge_control_plane::store::regions;
use hyperverge_control_plane::store::states::{self, MonitorState};
use hyperverge_control_plane::tasks::planner;
use hyperverge_protocol::envelope::{self, Purpose};
use hyperverge_protocol::identity::Fingerprint;
use hyperverge_protocol::wire;
use prost::Message;
use sha2::{Digest, Sha256};

async fn newest(fixture: &Fixture) -> StoredSet {
    let mut tx = fixture.shared.store.read().await.unwrap();
    assignments::newest_set(&mut tx, fixture.organisation, &fixture.agent, 0)
        .await
        .unwrap()
        .unwrap()
}

/// What an agent does with a set: believes the signature, then the hashes.
fn opened(fixture: &Fixture, set: &StoredSet) -> (wire::AssignmentSet, Vec<wire::Assignment>) {
    let sealed = wire::Envelope::decode(Bytes::from(set.envelope.clone())).unwrap();
    let key = fixture.shared.keys.assignment().unwrap().verifying_key();
    let payload = envelope::open(Purpose::AssignmentSet, &sealed, &key).unwrap();
    let manifest = wire::AssignmentSet::decode(payload.clone()).unwrap();
    let hashes: Vec<Vec<u8>> = set.parts.iter().map(|part| Sha256::digest(part).to_vec()).collect();
    assert_eq!(manifest.part_hashes, hashes);
    let parts = set.parts.iter().map(|part| wire::AssignmentPart::decode(&part[..]).unwrap());
    (manifest, parts.flat_map(|part| part.assignments).collect())
}

#[tokio::test]
async fn a_monitor_reaches_the_agent_of_its_region_and_a_second_round_changes_nothing() {
    on_both(async |store| {
        let fixture = Fixture::new(store).await;
        let holder = clock::new_id();
        planner::round(&fixture.shared, holder).await.unwrap();
        let (empty, nothing) = opened(&fixture, &newest(&fixture).await);
        assert!(
            nothing.is_empty(),
            "an agent without monitors still gets a set: it is known and idle"
        );

        let monitor = fixture.monitor("checkout").await;
        planner::round(&fixture.shared, holder).await.unwrap();
        let set = newest(&fixture).await;
        let (manifest, rows) = opened(&fixture, &set);
        assert!(manifest.version > empty.version);
        assert_eq!(manifest.region, "eu-west");
        assert_eq!(rows.len(), 1);
        assert_eq!(rows[0].monitor_id, monitor.as_bytes().as_slice());
        assert_eq!(rows[0].interval_ms, 60_000);

        planner::round(&fixture.shared, holder).await.unwrap();
        assert_eq!(newest(&fixture).await, set);
        planner::round(&fixture.shared, clock::new_id()).await.unwrap();
        assert_eq!(newest(&fixture).await, set, "another process does not hold the lease");

        let mut tx = fixture.shared.store.begin().await.unwrap();
        tx.execute("UPDATE assignment_sets SET issued_at = issued_at - 3600000", params![])
            .await
            .unwrap();
        tx.commit().await.unwrap();
        planner::round(&fixture.shared, holder).await.unwrap();
        let renewed = newest(&fixture).await;
        assert!(renewed.version > set.version);
        assert_eq!(renewed.content_hash, set.content_hash);
    })
    .await;
}

#[tokio::test]
async fn many_monitors_travel_in_parts_and_a_deleted_one_leaves() {
    on_both(async |store| {
        let fixture = Fixture::new(store).await;
        let holder = clock::new_id();
        let long = format!("https://example.com/{}", "x".repeat(1_900));
        for index in 0..320 {
            fixture.monitor_of(&format!("m{index}"), &long).await;
        }
        planner::round(&fixture.shared, holder).await.unwrap();
        let set = newest(&fixture).await;
        let (_, rows) = opened(&fixture, &set);
        assert_eq!(rows.len(), 320);
        assert!(set.parts.len() > 1, "{} parts", set.parts.len());

        let mut tx = fixture.shared.store.begin().await.unwrap();
        tx.execute("DELETE FROM monitors WHERE name <> 'm7'", params![]).await.unwrap();
        tx.commit().await.unwrap();
        planner::round(&fixture.shared, holder).await.unwrap();
        let (_, rows) = opened(&fixture, &newest(&fixture).await);
        assert_eq!(rows.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn what_an_agent_at_fault_saw_is_not_left_to_its_successor() {
    on_both(async |store| {
        let fixture = Fixture::new(store).await;
        let monitor = fixture.monitor("checkout").await;
        let holder = clock::new_id();
        planner::round(&fixture.shared, holder).await.unwrap();
        let mut tx = fixture.shared.store.begin().await.unwrap();
        let now = tx.now().await.unwrap();
        let region = assignments::regions(&mut tx, fixture.organisation).await.unwrap()[0].id;
        let down = StateRow {
            revision: 1,
            state: RegionState::Down,
            since: Some(now),
            failures: 2,
            successes: 0,
            streak_began: Some(now),
            newest_slot: 1,
            newest_at: Some(now),
            broken_at: None,
            burst: None,
            observed_at: Some(now),
            reason: Some("dns_servfail".to_owned()),
            message: None,
        };
        let organisation = fixture.organisation;
        states::put_row(&mut tx, organisation, monitor, region, &down).await.unwrap();
        let second = SigningKey::from_bytes(&[8; 32]).verifying_key();
        let id = Fingerprint::of(&second).to_string();
        let new = NewAgent {
            organisation_id: organisation,
            id: &id,
            public_key: second.as_bytes(),
            region_id: region,
            host_name: "probe-2",
            version: "0.1.0",
        };
        agents::enroll(&mut tx, &new, now).await.unwrap();
        let heard = "UPDATE agents SET last_heartbeat_at = $1, capabilities = '[\"probe:http\"]'";
        tx.execute(heard, params![now]).await.unwrap();
        let lost = "UPDATE agents SET discredited_at = $1, lost_at = $1, complete_through = $1
            WHERE host_name = 'probe-1'";
        tx.execute(lost, params![now]).await.unwrap();
        tx.commit().await.unwrap();

        planner::round(&fixture.shared, holder).await.unwrap();
        let mut tx = fixture.shared.store.read().await.unwrap();
        let seat = states::watched(&mut tx, organisation, &[monitor]).await.unwrap().remove(0);
        let seat = seat.seats.into_iter().next().unwrap();
        assert_eq!(seat.held.unwrap().predecessor_through, None);
        assert_eq!(seat.row.unwrap().state, RegionState::Unknown);
    })
    .await;
}

async fn verdict(fixture: &Fixture, monitor: uuid::Uuid) -> MonitorState {
    let mut tx = fixture.shared.store.read().await.unwrap();
    let found = states::verdicts(&mut tx, fixture.organisation, vec![monitor]).await.unwrap();
    found[&monitor].clone()
}

/// The only agent reported lately and its monitor is up; then it comes to `state`.
async fn put_out(fixture: &Fixture, monitor: uuid::Uuid, state: AgentState) {
    let up = MonitorState { verdict: Verdict::Up, ..verdict(fixture, monitor).await };
    let mut tx = fixture.shared.store.begin().await.unwrap();
    let now = tx.now().await.unwrap();
    states::set_verdict(&mut tx, fixture.organisation, &up).await.unwrap();
    tx.execute("UPDATE agents SET complete_through = $1", params![now]).await.unwrap();
    tx.execute("UPDATE assignments SET first_slot = first_slot - 10", params![]).await.unwrap();
    agents::set_state(&mut tx, fixture.organisation, &fixture.agent, state, "a test")
        .await
        .unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn what_nobody_may_look_at_any_more_is_unknown() {
    on_both(async |store| {
        let fixture = Fixture::new(store).await;
        let holder = clock::new_id();
        for state in [AgentState::Quarantined, AgentState::Revoked] {
            let monitor = fixture.monitor(state.as_str()).await;
            planner::round(&fixture.shared, holder).await.unwrap();
            put_out(&fixture, monitor, state).await;
            assert_eq!(verdict(&fixture, monitor).await.verdict, Verdict::Up);
            planner::round(&fixture.shared, holder).await.unwrap();
            let silent = verdict(&fixture, monitor).await;
            assert_eq!(silent.verdict, Verdict::Unknown, "{state:?}");
            planner::round(&fixture.shared, holder).await.unwrap();
            assert_eq!(verdict(&fixture, monitor).await, silent, "and nothing more is done");
            let mut tx = fixture.shared.store.begin().await.unwrap();
            let back = AgentState::Enrolled;
            agents::set_state(&mut tx, fixture.organisation, &fixture.agent, back, "a test")
                .await
                .unwrap();
            tx.commit().await.unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn regions_that_join_and_have_nobody_leave_it_unknown() {
    on_both(async |store| {
        let fixture = Fixture::new(store).await;
        let monitor = fixture.monitor("checkout").await;
        let holder = clock::new_id();
        planner::round(&fixture.shared, holder).await.unwrap();
        let mut tx = fixture.shared.store.begin().await.unwrap();
        let now = tx.now().await.unwrap();
        let states = states::lock(&mut tx, fixture.organisation, vec![monitor]).await.unwrap();
        let up = MonitorState { verdict: Verdict::Up, ..states[0].clone() };
        states::set_verdict(&mut tx, fixture.organisation, &up).await.unwrap();
        tx.execute("UPDATE agents SET complete_through = $1", params![now]).await.unwrap();
        for (region, key) in [("us-east", 9), ("ap-south", 10)] {
            let region_id = clock::new_id();
            regions::insert(&mut tx, fixture.organisation, region_id, region, now).await.unwrap();
            let public = SigningKey::from_bytes(&[key; 32]).verifying_key();
            let new = NewAgent {
                organisation_id: fixture.organisation,
                id: &Fingerprint::of(&public).to_string(),
                public_key: public.as_bytes(),
                region_id,
                host_name: region,
                version: "0.1.0",
            };
            agents::enroll(&mut tx, &new, now).await.unwrap();
        }
        tx.commit().await.unwrap();
        planner::round(&fixture.shared, holder).await.unwrap();
        assert_eq!(verdict(&fixture, monitor).await.verdict, Verdict::Unknown);
    })
    .await;
}
