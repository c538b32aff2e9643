//! What the newest stored results say that incidents have in common.

use crate::back_ends::on_both;
use crate::scene::Scene;
use hyperverge_control_plane::params;
use hyperverge_control_plane::store::results::{self, NewResult, Origin};
use hyperverge_protocol::wire;
use prost::Message;
use serde_json::json;
use uuid::Uuid;

/// Each region's newest result of this monitor reached `address`, which served `leaf`.
async fn reached(scene: &Scene, monitor: Uuid, address: &str, leaf: Option<u8>) {
    let mut tx = scene.begin().await;
    let now = tx.now().await.unwrap();
    let details = leaf.map(|leaf| {
        let tls =
            wire::TlsDetails { fingerprint: vec![leaf; 32].into(), ..wire::TlsDetails::default() };
        wire::Details { tls: Some(tls), ..wire::Details::default() }.encode_to_vec()
    });
    for index in 0..2 {
        let (region_id, agent) = scene.seat(index);
        let origin = Origin {
            organisation_id: scene.organisation(),
            region_id,
            agent_id: agent.to_owned(),
            lane: 1,
            batch_number: 1,
            undated: false,
            received_at: now,
        };
        // The older one reached another place.
        let result = |ago: i64, address: &str| NewResult {
            monitor_id: monitor,
            revision: 1,
            slot: now / 60_000 - ago,
            due_us: (now - ago * 60_000) * 1_000,
            started_us: (now - ago * 60_000) * 1_000,
            ended_us: (now - ago * 60_000) * 1_000 + 1,
            outcome: 1,
            address: Some(address.to_owned()),
            details: details.clone(),
            ..NewResult::default()
        };
        let rows = [result(2, "203.0.113.99"), result(1, address)];
        assert_eq!(results::insert(&mut tx, &origin, &rows).await.unwrap(), 2);
    }
    tx.commit().await.unwrap();
}

async fn monitors<const N: usize>(scene: &Scene, sites: [&str; N]) -> [Uuid; N] {
    let mut all = [Uuid::nil(); N];
    for (id, site) in all.iter_mut().zip(sites) {
        *id = scene.monitor(site, &format!("www.{site}.example"), json!({})).await;
    }
    all
}

async fn titles(scene: &Scene) -> Vec<String> {
    let told = scene.outbox().await.into_iter();
    let title = |notice: hyperverge_control_core::notification::Notice| match notice.group {
        Some(group) => group.title,
        None => notice.subject.name,
    };
    let mut titles: Vec<String> = told.map(|(_, notice)| title(notice)).collect();
    titles.sort_unstable();
    titles
}

#[tokio::test]
async fn one_address_or_one_network_behind_several_names_is_one_cause() {
    on_both(async |store| {
        let mut scene = Scene::new(store, 2).await;
        let [a, b, c, d, e] = monitors(&scene, ["a", "b", "c", "d", "e"]).await;
        for (monitor, address) in [
            (a, "192.0.2.7"),
            (b, "192.0.2.7"),
            (c, "2001:db8:1:2::3"),
            (d, "2001:db8:1:9::4"),
            (e, "198.51.100.1"),
        ] {
            reached(&scene, monitor, address, None).await;
        }
        scene.see(&[a, b, c, d, e], &[0, 1]).await;
        scene.round().await;
        let expected = [
            "2 monitors at the address 192.0.2.7",
            "2 monitors in the network 2001:db8:1::/48",
            "e",
        ];
        assert_eq!(titles(&scene).await, expected);
    })
    .await;
}

#[tokio::test]
async fn what_a_single_region_sees_fail_together_is_seen_from_there() {
    on_both(async |store| {
        let mut scene = Scene::new(store, 1).await;
        let all = monitors(&scene, ["a", "b", "c", "d"]).await;
        scene.see(&all, &[0]).await;
        scene.round().await;
        assert_eq!(titles(&scene).await, ["4 monitors seen from eu-west"]);
    })
    .await;
}

#[tokio::test]
async fn a_network_of_which_most_is_seen_well_is_no_cause() {
    on_both(async |store| {
        let mut scene = Scene::new(store, 2).await;
        let all = monitors(&scene, ["a", "b", "c", "d", "e"]).await;
        for (number, monitor) in all.iter().enumerate() {
            reached(&scene, *monitor, &format!("192.0.2.{number}"), None).await;
        }
        let mut tx = scene.begin().await;
        scene.saw(&mut tx, &all[2..], &[]).await;
        scene.saw(&mut tx, &all[..2], &[0, 1]).await;
        // Every region has looked at the others since these began to fail.
        let sql = "UPDATE incidents SET started_at = started_at - 120000";
        tx.execute(sql, params![]).await.unwrap();
        tx.commit().await.unwrap();
        scene.round().await;
        assert_eq!(titles(&scene).await, ["a", "b"]);
    })
    .await;
}

#[tokio::test]
async fn one_certificate_is_a_cause_where_the_failure_is_about_it() {
    on_both(async |store| {
        let mut scene = Scene::new(store, 2).await;
        let [a, b, c, d] = monitors(&scene, ["a", "b", "c", "d"]).await;
        for (number, monitor) in [a, b, c, d].into_iter().enumerate() {
            reached(&scene, monitor, &format!("192.0.{number}.7"), Some(0xab)).await;
        }
        let mut tx = scene.begin().await;
        scene.saw_fail(&mut tx, &[a, b], &[0, 1], "tls_expired").await;
        scene.saw_fail(&mut tx, &[c, d], &[0, 1], "connect_refused").await;
        tx.commit().await.unwrap();
        scene.round().await;
        let expected = ["2 monitors that serve the certificate abababababababab…", "c", "d"];
        assert_eq!(titles(&scene).await, expected);
        let told = scene.outbox().await;
        let group = told.iter().find_map(|(_, notice)| notice.group.clone()).unwrap();
        assert_eq!(group.cause, format!("certificate {}", "ab".repeat(32)));
    })
    .await;
}
