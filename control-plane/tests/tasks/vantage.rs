//! An agent's own trouble is one incident about it, and nobody's page.

use crate::back_ends::on_both;
use crate::scene::{Scene, failed};
use hyperverge_control_core::correlation::{RegionState, StateRow};
use hyperverge_control_core::incident::SubjectKind;
use hyperverge_control_core::notification::NoticeKind;
use hyperverge_control_core::notification::route::Match;
use hyperverge_control_plane::params;
use hyperverge_control_plane::store::agents::{self, AgentState};
use hyperverge_control_plane::store::incidents::Incident;
use hyperverge_control_plane::store::{Dialect, intents, states};
use hyperverge_control_plane::tasks::correlator;
use serde_json::json;
use uuid::Uuid;

#[tokio::test]
async fn what_one_agent_alone_fails_is_about_the_agent() {
    on_both(async |store| {
        let mut scene = Scene::new(store, 3).await;
        let matches = Match { subject: vec![SubjectKind::Agent], ..Match::default() };
        scene.route("fleet", matches).await;
        let mut all = Vec::new();
        for number in 0..5 {
            let any = json!({ "policy": { "quorum": "any" } });
            let host = format!("www.site-{number}.example");
            all.push(scene.monitor(&format!("m{number}"), &host, any).await);
        }
        scene.see(&all, &[1]).await;
        scene.round().await;
        let about = |incidents: Vec<_>| {
            let all: Vec<Incident> = incidents;
            let us = all.iter().filter(|one| one.subject_kind == SubjectKind::Agent).cloned();
            us.collect::<Vec<_>>()
        };
        let found = about(scene.incidents().await);
        assert_eq!(found.len(), 1);
        assert!(found[0].summary.contains("5 monitors"), "{}", found[0].summary);
        let targets = scene.incidents().await;
        assert!(
            targets
                .iter()
                .filter(|one| one.subject_kind == SubjectKind::Monitor)
                .all(|one| { one.resolved_at.is_some() && !one.paged })
        );
        let mut tx = scene.begin().await;
        let standings = agents::standings(&mut tx, scene.organisation()).await.unwrap();
        assert_eq!(standings.iter().filter(|one| one.discredited_at.is_some()).count(), 1);
        drop(tx);
        scene.everything_is_due().await;
        scene.round().await;
        let told = scene.outbox().await;
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!((told[0].0.as_str(), told[0].1.subject.kind.as_str()), ("fleet", "agent"));

        // It sees what others see: it votes again, and its incident is over.
        scene.see(&all, &[]).await;
        let mut tx = scene.begin().await;
        let long_ago = "UPDATE agents SET discredited_at = 1 WHERE discredited_at IS NOT NULL";
        tx.execute(long_ago, params![]).await.unwrap();
        tx.commit().await.unwrap();
        for _ in 0..2 {
            scene.everything_is_due().await;
            scene.round().await;
        }
        assert!(about(scene.incidents().await)[0].resolved_at.is_some());
        let told = scene.outbox().await;
        assert_eq!(told.last().unwrap().1.kind, NoticeKind::Resolved);
        assert_eq!(told.len(), 2);
    })
    .await;
}

/// Five unrelated monitors for each of which one vote is enough, all failed by the agent
/// of the second of three regions, which loses its vote for it.
async fn discredited(scene: &mut Scene) -> Vec<Uuid> {
    let mut all = Vec::new();
    for number in 0..5 {
        let any = json!({ "policy": { "quorum": "any" } });
        let host = format!("www.site-{number}.example");
        all.push(scene.monitor(&format!("m{number}"), &host, any).await);
    }
    scene.see(&all, &[1]).await;
    scene.round().await;
    let mut tx = scene.begin().await;
    let standings = agents::standings(&mut tx, scene.organisation()).await.unwrap();
    assert_eq!(standings.iter().filter(|one| one.discredited_at.is_some()).count(), 1);
    all
}

async fn lost_long_ago(scene: &Scene) {
    let mut tx = scene.begin().await;
    let long_ago = "UPDATE agents SET discredited_at = 1 WHERE discredited_at IS NOT NULL";
    tx.execute(long_ago, params![]).await.unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn an_agent_that_is_revoked_while_at_fault_takes_its_incident_along() {
    on_both(async |store| {
        let mut scene = Scene::new(store, 3).await;
        discredited(&mut scene).await;
        let agent = scene.seat(1).1.to_owned();
        let mut tx = scene.begin().await;
        let organisation = scene.organisation();
        let state = AgentState::Revoked;
        assert!(agents::set_state(&mut tx, organisation, &agent, state, "gone").await.unwrap());
        tx.commit().await.unwrap();
        for _ in 0..3 {
            scene.everything_is_due().await;
            scene.round().await;
        }
        let about = |one: &Incident| one.subject_kind == SubjectKind::Agent;
        let all = scene.incidents().await;
        let incident = all.iter().find(|one| about(one)).unwrap();
        assert!(incident.resolved_at.is_some());
        assert!(incident.summary.starts_with("probe-1 takes no part"), "{}", incident.summary);
        scene.see(&[], &[]).await;
        let mut tx = scene.begin().await;
        tx.execute("DELETE FROM region_states", params![]).await.unwrap();
        let now = tx.now().await.unwrap();
        let busy = intents::organisations_with_work(&mut tx, now, 3, 9).await.unwrap();
        assert!(busy.is_empty(), "nothing is left to do");
    })
    .await;
}

#[tokio::test]
async fn what_comes_in_while_an_agent_is_believed_again_stays() {
    on_both(async |store| {
        let mut scene = Scene::new(store, 3).await;
        let all = discredited(&mut scene).await;
        scene.see(&all[1..], &[]).await;
        scene.see(&all[..1], &[1]).await;
        lost_long_ago(&scene).await;
        let (organisation, (region, _)) = (scene.organisation(), scene.seat(1));
        // Ingest is at it when the correlator comes.
        let mut ingest = scene.begin().await;
        states::lock(&mut ingest, organisation, vec![all[0]]).await.unwrap();
        let now = ingest.now().await.unwrap();
        let newer = StateRow { newest_slot: now / 60_000 + 7, ..failed(now, "status") };
        states::put_row(&mut ingest, organisation, all[0], region, &newer).await.unwrap();
        let shared = scene.fixture.shared.clone();
        let mut correlator = scene.correlator;
        let round = tokio::spawn(async move { correlator::round(&shared, &mut correlator).await });
        let store = scene.fixture.shared.store.clone();
        while store.dialect() == Dialect::Postgres {
            let mut tx = store.read().await.unwrap();
            let sql = "SELECT pid FROM pg_stat_activity
                WHERE datname = current_database() AND wait_event_type = 'Lock'";
            if tx.fetch_optional(sql, params![]).await.unwrap().is_some() {
                break;
            }
        }
        ingest.commit().await.unwrap();
        round.await.unwrap().unwrap();
        let mut tx = store.read().await.unwrap();
        let standings = agents::standings(&mut tx, organisation).await.unwrap();
        assert!(standings.iter().all(|one| one.discredited_at.is_none()), "believed again");
        let rows = states::rows(&mut tx, organisation, vec![all[0]]).await.unwrap();
        assert_eq!(rows[0].2.newest_slot, newer.newest_slot, "the newest is not forgotten");
        assert_eq!(rows[0].2.state, RegionState::Unknown, "and counts no more than the others");
    })
    .await;
}

#[tokio::test]
async fn a_region_whose_agents_are_all_at_fault_is_one_incident() {
    on_both(async |store| {
        let mut scene = Scene::new(store, 3).await;
        let second = scene.enroll(1, 77).await;
        let mut all = Vec::new();
        for number in 0..8 {
            let any = json!({ "policy": { "quorum": "any" } });
            let host = format!("www.site-{number}.example");
            all.push(scene.monitor(&format!("m{number}"), &host, any).await);
        }
        let mut tx = scene.begin().await;
        for monitor in &all[4..] {
            let sql =
                "UPDATE assignments SET agent_id = $1 WHERE monitor_id = $2 AND region_id = $3";
            let values = params![&second, *monitor, scene.seat(1).0];
            assert_eq!(tx.execute(sql, values).await.unwrap(), 1);
        }
        tx.commit().await.unwrap();
        scene.see(&all, &[1]).await;
        // Another region looked just now too.
        let mut tx = scene.begin().await;
        let now = tx.now().await.unwrap();
        let up = StateRow {
            state: RegionState::Up,
            failures: 0,
            successes: 1,
            reason: None,
            ..failed(now, "")
        };
        for monitor in &all {
            let region = scene.seat(0).0;
            states::put_row(&mut tx, scene.organisation(), *monitor, region, &up).await.unwrap();
        }
        tx.commit().await.unwrap();
        scene.round().await;
        let about_us: Vec<Incident> = scene.incidents().await;
        let about_us: Vec<_> =
            about_us.iter().filter(|one| one.subject_kind != SubjectKind::Monitor).collect();
        assert_eq!(about_us.len(), 1, "{about_us:?}");
        assert_eq!(about_us[0].subject_kind, SubjectKind::Region);
        assert!(about_us[0].summary.starts_with("region-1 as a whole fails 8 monitors"));
        let mut tx = scene.begin().await;
        let standings = agents::standings(&mut tx, scene.organisation()).await.unwrap();
        assert_eq!(standings.iter().filter(|one| one.discredited_at.is_some()).count(), 2);
    })
    .await;
}
