//! An agent's own trouble is one incident about it, and nobody's page.

use crate::back_ends::on_both;
use crate::scene::Scene;
use hyperverge_control_core::incident::SubjectKind;
use hyperverge_control_core::notification::NoticeKind;
use hyperverge_control_core::notification::route::{Match, Route};
use hyperverge_control_plane::clock;
use hyperverge_control_plane::params;
use hyperverge_control_plane::store::agents;
use hyperverge_control_plane::store::routes::{self, StoredRoute};
use serde_json::json;

#[tokio::test]
async fn what_one_agent_alone_fails_is_about_the_agent() {
    on_both(async |store| {
        let mut scene = Scene::new(store, 3).await;
        scene.channel("fleet", false).await;
        let matches = Match { subject: vec![SubjectKind::Agent], ..Match::default() };
        let channels = vec!["fleet".to_owned()];
        let route = StoredRoute {
            id: clock::new_id(),
            route: Route { name: "fleet".to_owned(), matches, channels },
            revision: 1,
            created_at: 0,
            updated_at: 0,
        };
        let mut tx = scene.begin().await;
        routes::insert(&mut tx, scene.organisation(), &route).await.unwrap();
        tx.commit().await.unwrap();
        let mut all = Vec::new();
        for number in 0..5 {
            let any = json!({ "policy": { "quorum": "any" } });
            let host = format!("www.site-{number}.example");
            all.push(scene.monitor(&format!("m{number}"), &host, any).await);
        }
        scene.see(&all, &[1]).await;
        scene.round().await;
        let about = |incidents: Vec<_>| {
            let all: Vec<hyperverge_control_plane::store::incidents::Incident> = incidents;
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
