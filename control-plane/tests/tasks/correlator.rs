//! What waits becomes notices: each action of a plan through the store, once.

use crate::back_ends::on_both;
use crate::scene::Scene;
use hyperverge_control_core::notification::NoticeKind::{self, Opened, Resolved, Widened};
use hyperverge_control_core::notification::hold::{Matchers, Silence};
use hyperverge_control_core::paging::{self, Plan};
use hyperverge_control_plane::clock;
use hyperverge_control_plane::params;
use hyperverge_control_plane::store::silences::{self, StoredSilence};
use hyperverge_control_plane::store::{groups, leases};
use hyperverge_control_plane::tasks::correlator;
use serde_json::json;

fn kinds(
    outbox: &[(String, hyperverge_control_core::notification::Notice)],
) -> Vec<(&str, NoticeKind)> {
    outbox.iter().map(|(channel, notice)| (channel.as_str(), notice.kind)).collect()
}

#[tokio::test]
async fn strangers_are_told_one_by_one_from_beginning_to_end() {
    on_both(async |store| {
        let mut scene = Scene::new(store, 2).await;
        scene.channel("payments", false).await;
        let own = json!({ "notify": ["payments"], "policy": { "quorum": "any" } });
        let one = scene.monitor("one", "one.example", own).await;
        let two = scene.monitor("two", "two.example", json!({})).await;
        scene.see(&[one], &[0]).await;
        scene.see(&[two], &[0, 1]).await;
        scene.round().await;
        scene.round().await;
        assert_eq!(kinds(&scene.outbox().await), [("payments", Opened), ("hook", Opened)]);
        let told = scene.incident("one").await;
        assert!(told.paged && told.group_id.is_none());
        let notice = &scene.outbox().await[0].1;
        assert_eq!(notice.target.as_deref(), Some("https://one.example/"));
        assert!(notice.incident_url.ends_with(&told.id.to_string()));

        scene.see(&[one], &[0, 1]).await;
        scene.round().await;
        scene.see(&[one, two], &[]).await;
        scene.round().await;
        scene.round().await;
        let after = &scene.outbox().await[2..];
        let expected = [("payments", Widened), ("payments", Resolved), ("hook", Resolved)];
        let mut found = kinds(after);
        found[1..].sort_by_key(|(channel, _)| *channel != "payments");
        assert_eq!(found, expected);
    })
    .await;
}

#[tokio::test]
async fn an_end_that_overtakes_its_beginning_tells_both_and_nobody_else_hears_of_an_end() {
    on_both(async |store| {
        let mut scene = Scene::new(store, 3).await;
        let brief = scene.monitor("brief", "brief.example", json!({})).await;
        let local = scene.monitor("local", "local.example", json!({})).await;
        scene.see(&[local], &[0]).await;
        scene.see(&[brief], &[0, 1]).await;
        scene.see(&[brief, local], &[]).await;
        scene.round().await;
        let told = scene.outbox().await;
        assert_eq!(told.len(), 1);
        assert_eq!((told[0].1.kind, told[0].1.opening_included), (Resolved, true));
        assert_eq!(told[0].1.subject.name, "brief");
    })
    .await;
}

#[tokio::test]
async fn a_page_whose_quorum_is_gone_is_held_and_the_timeline_says_so() {
    on_both(async |store| {
        let mut scene = Scene::new(store, 3).await;
        let narrow = scene.monitor("narrow", "narrow.example", json!({})).await;
        scene.see(&[narrow], &[0, 1]).await;
        scene.see(&[narrow], &[0]).await;
        scene.round().await;
        assert!(scene.outbox().await.is_empty());
        let incident = scene.incident("narrow").await;
        assert!(!incident.paged);
        let timeline = scene.timeline(incident.id).await;
        let (kind, summary, _) = timeline.last().unwrap();
        assert_eq!(kind, "held");
        assert!(summary.contains("quorum ended"), "{summary}");
    })
    .await;
}

#[tokio::test]
async fn one_cause_is_one_notice_to_everybody_concerned_and_one_end() {
    on_both(async |store| {
        let mut scene = Scene::new(store, 1).await;
        scene.channel("shop", false).await;
        let shop = json!({ "notify": ["shop"] });
        let one = scene.monitor("one", "edge.example", json!({})).await;
        let two = scene.monitor("two", "edge.example", shop.clone()).await;
        scene.see(&[one, two], &[0]).await;
        scene.round().await;
        let told = scene.outbox().await;
        let mut channels: Vec<&str> = told.iter().map(|(channel, _)| channel.as_str()).collect();
        channels.sort_unstable();
        assert_eq!(channels, ["hook", "shop"]);
        let group = told[0].1.group.clone().unwrap();
        assert_eq!(group.summary, "2 monitors on the host edge.example are down");
        assert_eq!((group.count, group.members.len()), (2, 2));
        let lead = scene.incident("one").await;
        let member = scene.incident("two").await;
        assert_eq!((lead.group_id, member.group_id), (Some(group.id), Some(group.id)));
        assert!(lead.paged && member.paged);

        // One that comes late joins; only who was not told is told, under the same event.
        scene.channel("late", false).await;
        let late = json!({ "notify": ["late", "hook"] });
        let three = scene.monitor("three", "edge.example", late).await;
        scene.see(&[three], &[0]).await;
        scene.round().await;
        let told = scene.outbox().await;
        assert_eq!(told.len(), 3);
        assert_eq!(told[2].0, "late");
        let grown = told[2].1.group.clone().unwrap();
        assert_eq!((told[2].1.incident_id, grown.count), (lead.id, 3));
        assert_eq!(grown.title, "3 monitors on the host edge.example");

        // The lead is over first; the end is told once, when all of it is over.
        scene.see(&[one], &[]).await;
        scene.round().await;
        assert_eq!(scene.outbox().await.len(), 3);
        scene.see(&[two, three], &[]).await;
        scene.round().await;
        scene.everything_is_due().await;
        scene.round().await;
        let told = scene.outbox().await;
        let mut ends: Vec<_> = kinds(&told[3..]);
        ends.sort_unstable();
        assert_eq!(ends, [("hook", Resolved), ("late", Resolved), ("shop", Resolved)]);
        assert_eq!(told[3].1.group.as_ref().unwrap().count, 3);
        let mut tx = scene.begin().await;
        let stored = groups::get(&mut tx, scene.organisation(), group.id).await.unwrap().unwrap();
        assert!(stored.resolved_at.is_some() && stored.paged);
    })
    .await;
}

#[tokio::test]
async fn the_evidence_of_a_notice_decides_the_same_again() {
    on_both(async |store| {
        let mut scene = Scene::new(store, 2).await;
        let one = scene.monitor("one", "edge.example", json!({})).await;
        let two = scene.monitor("two", "edge.example", json!({})).await;
        let other = scene.monitor("other", "other.example", json!({})).await;
        scene.see(&[one, two, other], &[0, 1]).await;
        scene.round().await;
        let lead = scene.incident("one").await;
        let timeline = scene.timeline(lead.id).await;
        let evidence = &timeline.iter().find(|(kind, ..)| kind == "paged").unwrap().2;
        let input: paging::Input = serde_json::from_value(evidence["input"].clone()).unwrap();
        assert_eq!(input.candidates.len(), 2, "the third shares nothing");
        let then: Plan = serde_json::from_value(evidence["plan"].clone()).unwrap();
        let again = paging::plan(&input, evidence["now"].as_i64().unwrap());
        assert_eq!(again.about(lead.id), then);
    })
    .await;
}

#[tokio::test]
async fn a_child_is_held_by_its_parent_and_told_when_it_still_hurts() {
    on_both(async |store| {
        let mut scene = Scene::new(store, 1).await;
        let quick = json!({ "depends_on": ["gateway"], "interval": "1s", "timeout": "1s",
            "policy": { "recover_after": 1 } });
        let gateway = scene.monitor("gateway", "gateway.example", json!({})).await;
        let child = scene.monitor("child", "child.example", quick).await;
        scene.see(&[gateway, child], &[0]).await;
        scene.round().await;
        let told = scene.outbox().await;
        assert_eq!(kinds(&told), [("hook", Opened)]);
        assert_eq!(told[0].1.subject.name, "gateway");
        let held = scene.incident("child").await;
        assert!(!held.paged && held.group_id.is_some(), "listed with its parent");
        let reasons = || async {
            let timeline = scene.timeline(held.id).await;
            let held = timeline.into_iter().filter(|(kind, ..)| kind == "held");
            held.map(|(_, summary, _)| summary).collect::<Vec<_>>()
        };
        assert_eq!(reasons().await.len(), 1);
        scene.see(&[gateway], &[]).await;
        let mut tx = scene.begin().await;
        // It came back long enough ago for the child to have looked again.
        let sql = "UPDATE incidents SET resolved_at = started_at WHERE subject_id = $1";
        tx.execute(sql, params![gateway.to_string()]).await.unwrap();
        tx.commit().await.unwrap();
        scene.see(&[child], &[0]).await;
        scene.everything_is_due().await;
        scene.round().await;
        let told = scene.outbox().await;
        let child_told: Vec<_> =
            told.iter().filter(|(_, notice)| notice.subject.name == "child").collect();
        assert_eq!(child_told.len(), 1, "{told:?}");
        assert!(scene.incident("child").await.paged);
    })
    .await;
}

#[tokio::test]
async fn a_silence_holds_with_one_line_and_its_end_tells_what_still_hurts() {
    on_both(async |store| {
        let mut scene = Scene::new(store, 1).await;
        let mut tx = scene.begin().await;
        let now = tx.now().await.unwrap();
        let monitors = vec!["noisy".to_owned()];
        let mut stored = StoredSilence {
            silence: Silence {
                id: clock::new_id(),
                matchers: Matchers { monitors, ..Matchers::default() },
                starts_at: now - 1_000,
                ends_at: now + 3_600_000,
                comment: "known".to_owned(),
            },
            revision: 1,
            created_by: clock::new_id(),
            created_at: now,
        };
        silences::insert(&mut tx, scene.organisation(), &stored).await.unwrap();
        tx.commit().await.unwrap();
        let noisy = scene.monitor("noisy", "noisy.example", json!({})).await;
        scene.see(&[noisy], &[0]).await;
        for _ in 0..3 {
            scene.everything_is_due().await;
            scene.round().await;
        }
        assert!(scene.outbox().await.is_empty());
        let incident = scene.incident("noisy").await;
        let timeline = scene.timeline(incident.id).await;
        let held: Vec<_> = timeline.iter().filter(|(kind, ..)| kind == "held").collect();
        assert_eq!(held.len(), 1, "{held:?}");
        let mut tx = scene.begin().await;
        let sql = "SELECT due_at FROM page_intents";
        let row = tx.fetch_optional(sql, params![]).await.unwrap().unwrap();
        let now = tx.now().await.unwrap();
        assert!(
            row.get::<i64>("due_at").unwrap() <= now + paging::RECHECK_MS,
            "looked at again soon"
        );
        stored.silence.ends_at = now;
        silences::update(&mut tx, scene.organisation(), &stored).await.unwrap();
        tx.commit().await.unwrap();
        scene.everything_is_due().await;
        scene.round().await;
        assert_eq!(kinds(&scene.outbox().await), [("hook", Opened)]);
    })
    .await;
}

#[tokio::test]
async fn votes_that_grew_old_while_nobody_looked_page_nobody() {
    on_both(async |store| {
        let mut scene = Scene::new(store, 1).await;
        let old = scene.monitor("old", "old.example", json!({})).await;
        scene.see(&[old], &[0]).await;
        let mut tx = scene.begin().await;
        let ago = "UPDATE agents SET complete_through = complete_through - 3600000";
        tx.execute(ago, params![]).await.unwrap();
        tx.commit().await.unwrap();
        scene.round().await;
        assert!(scene.outbox().await.is_empty());
        let incident = scene.incident("old").await;
        assert!(scene.timeline(incident.id).await.last().unwrap().1.contains("not fresh"));
    })
    .await;
}

#[tokio::test]
async fn a_lost_lease_writes_nothing() {
    on_both(async |store| {
        let mut scene = Scene::new(store, 1).await;
        let one = scene.monitor("one", "one.example", json!({})).await;
        scene.see(&[one], &[0]).await;
        let mut tx = scene.begin().await;
        let (organisation, other) = (scene.organisation(), clock::new_id());
        let lease = leases::acquire(&mut tx, organisation, "correlator", other, 30_000).await;
        let lease = lease.unwrap().unwrap();
        tx.commit().await.unwrap();
        scene.round().await;
        assert!(scene.outbox().await.is_empty());
        // One that believed it held the lease until it was taken over finds out inside.
        let mut tx = scene.begin().await;
        leases::release(&mut tx, &lease).await.unwrap();
        let successor = clock::new_id();
        let newer = leases::acquire(&mut tx, organisation, "correlator", successor, 30_000).await;
        let newer = newer.unwrap().unwrap();
        assert!(newer.fence > lease.fence);
        tx.commit().await.unwrap();
        correlator::settle(&scene.fixture.shared, &lease, true).await.unwrap();
        assert!(scene.outbox().await.is_empty());
        assert_eq!(scene.incident("one").await.last_event, 1);
        correlator::settle(&scene.fixture.shared, &newer, true).await.unwrap();
        assert_eq!(scene.outbox().await.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_crash_before_the_commit_leaves_nothing_half() {
    on_both(async |store| {
        let mut scene = Scene::new(store, 1).await;
        let one = scene.monitor("one", "edge.example", json!({})).await;
        let two = scene.monitor("two", "edge.example", json!({})).await;
        scene.see(&[one, two], &[0]).await;
        // The last statement of the transaction fails: everything before it is undone.
        let mut tx = scene.begin().await;
        let sql = "ALTER TABLE page_intents RENAME COLUMN outcome TO result";
        tx.execute(sql, params![]).await.unwrap();
        tx.commit().await.unwrap();
        let failed = correlator::round(&scene.fixture.shared, &mut scene.correlator).await;
        assert!(failed.is_err());
        assert!(scene.outbox().await.is_empty());
        for incident in scene.incidents().await {
            assert!(incident.group_id.is_none() && !incident.paged && incident.last_event == 1);
        }
        let mut tx = scene.begin().await;
        assert!(groups::open(&mut tx, scene.organisation(), 9).await.unwrap().is_empty());
        let sql = "ALTER TABLE page_intents RENAME COLUMN result TO outcome";
        tx.execute(sql, params![]).await.unwrap();
        tx.commit().await.unwrap();
        scene.round().await;
        assert_eq!(scene.outbox().await.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_shared_upstream_with_2800_monitors_is_one_notice() {
    on_both(async |store| {
        let mut scene = Scene::new(store, 1).await;
        let mut tx = scene.begin().await;
        let mut all = Vec::new();
        for number in 0..2_800 {
            let name = format!("m{number}");
            all.push(scene.add(&mut tx, &name, "upstream.example", json!({})).await);
        }
        scene.saw(&mut tx, &all, &[0]).await;
        tx.commit().await.unwrap();
        scene.round().await;
        let told = scene.outbox().await;
        assert_eq!(told.len(), 1, "one page");
        let group = told[0].1.group.clone().unwrap();
        assert_eq!(group.title, "2800 monitors on the host upstream.example");
        let mut tx = scene.begin().await;
        let groups = groups::page(&mut tx, scene.organisation(), None, None, 9).await.unwrap();
        assert_eq!(groups.len(), 1, "one group");
        drop(tx);
        let seconds = scene.fixture.shared.metrics.correlator_duration_seconds.get_sample_sum();
        eprintln!("2,800 incidents of one cause were judged in {seconds:.2} s");
        assert!(
            scene.incidents().await.iter().all(|one| one.paged && one.group_id == Some(group.id))
        );
    })
    .await;
}
