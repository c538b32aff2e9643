//! Below the quorum and then with it: what was told quietly, by itself or as a group, is
//! told once with a quorum, and whoever was told of a beginning is told of its end once.

use crate::back_ends::on_both;
use crate::scene::Scene;
use hyperverge_control_core::correlation::Scope;
use hyperverge_control_core::notification::NoticeKind::{self, Opened, Resolved, Widened};
use hyperverge_control_core::notification::route::Match;
use hyperverge_control_core::paging::CauseKind;
use hyperverge_control_plane::params;
use hyperverge_control_plane::store::Store;
use hyperverge_control_plane::store::groups::{self, StoredGroup};
use serde_json::json;

type Said = (String, NoticeKind, String);

async fn scene(store: Store) -> Scene {
    Scene::new(store, 3).await
}

/// One that tells `near` of what is local.
async fn near(store: Store) -> Scene {
    let scene = Scene::new(store, 3).await;
    scene.route("near", Match { scope: vec![Scope::Local], ..Match::default() }).await;
    scene
}

/// What was told since there were `before`: channel, kind, and whom the notice names.
async fn told(scene: &Scene, before: usize) -> Vec<Said> {
    let outbox = scene.outbox().await.into_iter().skip(before);
    let mut told: Vec<Said> = outbox
        .map(|(channel, notice)| {
            let mut names = notice.group.map(|group| group.members).unwrap_or_default();
            names.sort_unstable();
            let names = if names.is_empty() { notice.subject.name } else { names.join("+") };
            (channel, notice.kind, names)
        })
        .collect();
    told.sort();
    told
}

fn said(all: &[(&str, NoticeKind, &str)]) -> Vec<Said> {
    all.iter().map(|(to, kind, of)| ((*to).to_owned(), *kind, (*of).to_owned())).collect()
}

async fn settle(scene: &mut Scene) {
    for _ in 0..3 {
        scene.everything_is_due().await;
        scene.round().await;
    }
}

async fn all_groups(scene: &Scene) -> Vec<StoredGroup> {
    let mut tx = scene.fixture.shared.store.read().await.unwrap();
    groups::page(&mut tx, scene.organisation(), None, None, 99).await.unwrap()
}

#[tokio::test]
async fn an_outage_that_one_region_sees_first_is_one_page_and_one_end() {
    on_both(async |store| {
        let mut scene = scene(store).await;
        let one = scene.monitor("one", "edge.example", json!({})).await;
        let two = scene.monitor("two", "edge.example", json!({})).await;
        scene.see(&[one, two], &[0]).await;
        settle(&mut scene).await;
        let quiet = all_groups(&scene).await;
        assert_eq!((quiet.len(), quiet[0].quiet, quiet[0].paged), (1, true, false));
        scene.see(&[one, two], &[0, 1]).await;
        settle(&mut scene).await;
        assert_eq!(told(&scene, 0).await, said(&[("hook", Opened, "one+two")]));
        let groups = all_groups(&scene).await;
        assert_eq!((groups.len(), groups[0].quiet, groups[0].paged), (1, false, true));
        for incident in scene.incidents().await {
            assert!(incident.paged && !incident.told_quietly);
            assert_eq!(incident.group_id, Some(groups[0].id));
        }
        scene.see(&[one, two], &[]).await;
        settle(&mut scene).await;
        assert_eq!(told(&scene, 1).await, said(&[("hook", Resolved, "one+two")]));
        assert!(all_groups(&scene).await[0].resolved_at.is_some());
    })
    .await;
}

#[tokio::test]
async fn who_was_told_quietly_of_a_group_is_told_of_the_outage_and_of_its_end() {
    on_both(async |store| {
        let mut scene = near(store).await;
        let one = scene.monitor("one", "edge.example", json!({})).await;
        let two = scene.monitor("two", "edge.example", json!({})).await;
        scene.see(&[one, two], &[0]).await;
        settle(&mut scene).await;
        assert_eq!(told(&scene, 0).await, said(&[("near", Opened, "one+two")]));
        scene.see(&[one, two], &[0, 1]).await;
        settle(&mut scene).await;
        let both = [("hook", Opened, "one+two"), ("near", Opened, "one+two")];
        assert_eq!(told(&scene, 1).await, said(&both));
        let open = |group: &&StoredGroup| group.resolved_at.is_none();
        assert_eq!(all_groups(&scene).await.iter().filter(open).count(), 1);
        scene.see(&[one, two], &[]).await;
        settle(&mut scene).await;
        let both = [("hook", Resolved, "one+two"), ("near", Resolved, "one+two")];
        assert_eq!(told(&scene, 3).await, said(&both));
    })
    .await;
}

#[tokio::test]
async fn a_lead_of_a_quiet_group_leads_another_that_forms_around_it_later() {
    on_both(async |store| {
        let mut scene = scene(store).await;
        let one = scene.monitor("one", "edge.example", json!({})).await;
        let two = scene.monitor("two", "edge.example", json!({})).await;
        let late = scene.monitor("late", "edge.example", json!({})).await;
        scene.see(&[one, two], &[0]).await;
        settle(&mut scene).await;
        scene.see(&[two], &[]).await;
        scene.see(&[one], &[0, 1]).await;
        settle(&mut scene).await;
        scene.see(&[late], &[0, 1]).await;
        settle(&mut scene).await;
        // Nobody had heard of the other yet.
        let both = [("hook", Opened, "one"), ("hook", Widened, "late+one")];
        assert_eq!(told(&scene, 0).await, said(&both));
        let lead = scene.incident("one").await;
        let groups = all_groups(&scene).await;
        let loud = groups.iter().find(|group| !group.quiet).unwrap();
        assert_eq!((loud.lead_incident_id, loud.paged), (lead.id, true));
        assert_eq!(scene.incident("late").await.group_id, Some(loud.id));
        scene.see(&[one, late], &[]).await;
        settle(&mut scene).await;
        assert_eq!(told(&scene, 2).await, said(&[("hook", Resolved, "late+one")]));
    })
    .await;
}

#[tokio::test]
async fn a_lead_of_a_quiet_group_is_paged_with_what_depends_on_it() {
    on_both(async |store| {
        let mut scene = near(store).await;
        let gateway = scene.monitor("gateway", "edge.example", json!({})).await;
        let other = scene.monitor("other", "edge.example", json!({})).await;
        let more = json!({ "depends_on": ["gateway"] });
        let child = scene.monitor("child", "child.example", more).await;
        scene.see(&[gateway, other], &[0]).await;
        settle(&mut scene).await;
        scene.see(&[gateway, child], &[0, 1]).await;
        settle(&mut scene).await;
        let groups = all_groups(&scene).await;
        let loud = groups.iter().find(|group| !group.quiet).unwrap();
        assert_eq!(loud.cause.kind, CauseKind::Parent);
        let paged = [("hook", Opened, "child+gateway"), ("near", Opened, "child+gateway")];
        assert_eq!(told(&scene, 1).await, said(&paged));
        assert!(!scene.incident("child").await.paged);
    })
    .await;
}

#[tokio::test]
async fn what_was_quiet_beside_a_page_is_told_to_its_own_channels_when_it_is_down() {
    on_both(async |store| {
        let mut scene = near(store).await;
        scene.channel("shop", false).await;
        let own = json!({ "notify": ["shop"] });
        let one = scene.monitor("one", "edge.example", json!({})).await;
        let two = scene.monitor("two", "edge.example", json!({})).await;
        let three = scene.monitor("three", "edge.example", own).await;
        scene.see(&[one, two], &[0, 1]).await;
        scene.see(&[three], &[2]).await;
        settle(&mut scene).await;
        let quiet = scene.incident("three").await;
        assert!(quiet.told_quietly && !quiet.paged && quiet.group_id.is_none());
        let first = [("hook", Opened, "one+two"), ("near", Opened, "three")];
        assert_eq!(told(&scene, 0).await, said(&first));
        scene.see(&[three], &[1, 2]).await;
        settle(&mut scene).await;
        let late = [("near", Opened, "one+three+two"), ("shop", Opened, "one+three+two")];
        assert_eq!(told(&scene, 2).await, said(&late));
        assert!(scene.incident("three").await.paged);
        scene.see(&[one, two, three], &[]).await;
        settle(&mut scene).await;
        let ends = told(&scene, 4).await;
        let of = |channel: &str| ends.iter().filter(|(to, ..)| to == channel).count();
        assert_eq!((of("hook"), of("shop")), (1, 1), "{ends:?}");
        assert!(of("near") >= 1, "{ends:?}");
    })
    .await;
}

/// The lead of a quiet group is paged by itself, and is over before the other or after it.
async fn lead_is_paged(store: Store, other_is_over_first: bool) {
    let mut scene = near(store).await;
    let one = scene.monitor("one", "edge.example", json!({})).await;
    let two = scene.monitor("two", "edge.example", json!({})).await;
    scene.see(&[one, two], &[0]).await;
    settle(&mut scene).await;
    let lead = all_groups(&scene).await[0].lead_incident_id;
    let [(lead, name), (other, other_name)] = match scene.incident("one").await.id == lead {
        true => [(one, "one"), (two, "two")],
        false => [(two, "two"), (one, "one")],
    };
    if other_is_over_first {
        scene.see(&[other], &[]).await;
        settle(&mut scene).await;
        assert_eq!(told(&scene, 1).await, [], "the lead still fails");
    }
    for (monitor, failing) in [(lead, &[0, 1][..]), (lead, &[]), (other, &[])] {
        scene.see(&[monitor], failing).await;
        settle(&mut scene).await;
    }
    let mut expected = said(&[
        ("hook", Opened, name),
        ("hook", Resolved, name),
        ("near", Opened, name),
        ("near", Resolved, name),
        ("near", Resolved, other_name),
    ]);
    expected.sort();
    assert_eq!(told(&scene, 1).await, expected);
    assert!(all_groups(&scene).await.iter().all(|group| group.resolved_at.is_some()));
}

#[tokio::test]
async fn the_end_of_a_quiet_group_is_told_though_its_lead_was_paged_and_is_over() {
    on_both(async |store| lead_is_paged(store, false).await).await;
}

#[tokio::test]
async fn the_end_of_one_of_a_quiet_group_is_told_when_its_lead_leaves_that() {
    on_both(async |store| lead_is_paged(store, true).await).await;
}

#[tokio::test]
async fn a_group_that_nobody_was_told_of_is_told_when_there_is_somebody() {
    on_both(async |store| {
        let mut scene = scene(store).await;
        let mut tx = scene.begin().await;
        tx.execute("DELETE FROM channels", params![]).await.unwrap();
        tx.commit().await.unwrap();
        let one = scene.monitor("one", "edge.example", json!({})).await;
        let two = scene.monitor("two", "edge.example", json!({})).await;
        scene.see(&[one, two], &[0, 1]).await;
        settle(&mut scene).await;
        let group = &all_groups(&scene).await[0];
        assert!(!group.paged && group.resolved_at.is_none());
        for incident in scene.incidents().await {
            assert!(!incident.paged && incident.group_id == Some(group.id));
            let timeline = scene.timeline(incident.id).await;
            assert!(timeline.last().unwrap().1.starts_with("Nobody was told"), "{timeline:?}");
        }
        // Somebody is there, and it gets worse.
        scene.channel("hook", true).await;
        scene.see(&[one, two], &[0, 1, 2]).await;
        settle(&mut scene).await;
        assert_eq!(told(&scene, 0).await, said(&[("hook", Opened, "one+two")]));
        let groups = all_groups(&scene).await;
        assert_eq!((groups.len(), groups[0].paged), (1, true));
        assert!(scene.incidents().await.iter().all(|incident| incident.paged));
        scene.see(&[one, two], &[]).await;
        settle(&mut scene).await;
        assert_eq!(told(&scene, 1).await, said(&[("hook", Resolved, "one+two")]));
    })
    .await;
}

#[tokio::test]
async fn a_group_that_nobody_was_told_of_ends_with_its_last_member_and_without_a_notice() {
    on_both(async |store| {
        let mut scene = scene(store).await;
        let one = scene.monitor("one", "edge.example", json!({})).await;
        let two = scene.monitor("two", "edge.example", json!({})).await;
        scene.see(&[one, two], &[0]).await;
        settle(&mut scene).await;
        scene.see(&[one], &[]).await;
        settle(&mut scene).await;
        assert_eq!(all_groups(&scene).await[0].resolved_at, None);
        scene.see(&[two], &[]).await;
        settle(&mut scene).await;
        assert!(all_groups(&scene).await[0].resolved_at.is_some());
        assert_eq!(told(&scene, 0).await, []);
    })
    .await;
}
