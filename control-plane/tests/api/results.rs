//! What regions see, now and before.

use crate::app::App;
use crate::fleet::enrolled;
use http::Method;
use hyperverge_control_plane::store::results::{self, NewResult, Origin};
use hyperverge_control_plane::store::{regions, states};
use serde_json::{Value, json};
use uuid::Uuid;

const DUE_US: i64 = 1_769_860_800_000_000;

/// A monitor in two regions, with three results from each: its id.
async fn watched(app: &App, organisation: Uuid, token: &str) -> String {
    let monitor = json!({ "name": "checkout", "target": "https://example.com/" });
    let made = app.post("/monitors", token, monitor).await.expect(201).json();
    let monitor_id: Uuid = made["id"].as_str().unwrap().parse().unwrap();
    for name in ["eu-west", "us-east"] {
        let agent_id = enrolled(app, organisation, name).await;
        let mut tx = app.shared.store.begin().await.unwrap();
        let region_id = regions::by_name(&mut tx, organisation, name).await.unwrap().unwrap().id;
        let received_at = tx.now().await.unwrap();
        let (lane, batch_number, undated) = (1, 1, false);
        let organisation_id = organisation;
        let origin = Origin {
            organisation_id,
            region_id,
            agent_id,
            lane,
            batch_number,
            undated,
            received_at,
        };
        let rows: Vec<NewResult> = (0..3).map(|slot| result(monitor_id, slot)).collect();
        results::insert(&mut tx, &origin, &rows).await.unwrap();
        tx.commit().await.unwrap();
    }
    monitor_id.to_string()
}

fn result(monitor_id: Uuid, slot: i64) -> NewResult {
    let due_us = DUE_US + slot * 60_000_000;
    NewResult {
        monitor_id,
        revision: 1,
        slot,
        due_us,
        started_us: due_us + 1_000,
        ended_us: due_us + 52_500,
        outcome: 3,
        reason: Some("status".into()),
        message: Some("HTTP 503".into()),
        resolve_us: Some(1_500),
        connect_us: Some(10_000),
        processing_us: Some(40_000),
        address: Some("192.0.2.7:443".into()),
        status: Some(503),
        sample: Some(b"oops \xff".to_vec()),
        ..NewResult::default()
    }
}

#[tokio::test]
async fn history_is_paged_newest_first_and_by_region() {
    let app = App::new().await;
    let (organisation, token) = app.organisation().await;
    let id = watched(&app, organisation, &token).await;
    let mut path = format!("/api/v1/monitors/{id}/results?limit=4");
    let mut seen = Vec::new();
    loop {
        let page = app.get(&path, &token).await.expect(200).json();
        for item in page["items"].as_array().unwrap() {
            seen.push((
                item["slot"].as_i64().unwrap(),
                item["region"].as_str().unwrap().to_owned(),
            ));
        }
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("/api/v1/monitors/{id}/results?limit=4&cursor={cursor}");
    }
    let slots: Vec<i64> = seen.iter().map(|(slot, _)| *slot).collect();
    assert_eq!(slots, [2, 2, 1, 1, 0, 0]);
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 6, "each once: {seen:?}");

    let path = format!("/api/v1/monitors/{id}/results?region=us-east");
    let page = app.get(&path, &token).await.expect(200).json();
    let items = page["items"].as_array().unwrap();
    assert_eq!(items.len(), 3);
    assert!(items.iter().all(|item| item["region"] == "us-east"));
    let newest = &items[0];
    assert_eq!((&newest["outcome"], &newest["status"]), (&json!("fail"), &json!(503)));
    assert_eq!(newest["due_at"], "2026-01-31T12:02:00.000Z");
    assert_eq!(newest["phases"]["connect"], 10.0);
    assert!(newest["phases"]["tls"].is_null());
    assert_eq!(newest["sample"], "oops \u{fffd}");

    app.call(Method::DELETE, &format!("/monitors/{id}"), &token, Value::Null).await.expect(204);
    let kept = app.get(&path, &token).await.expect(200).json();
    assert_eq!(kept["items"].as_array().unwrap().len(), 3, "history outlives the monitor");
    let unknown = format!("/api/v1/monitors/{}/results", Uuid::from_u128(1));
    app.get(&unknown, &token).await.expect(404);
    let bad = format!("/api/v1/monitors/{id}/results?cursor=a");
    app.get(&bad, &token).await.expect(422).names("cursor");
}

#[tokio::test]
async fn a_region_that_nobody_watches_from_is_unknown_and_says_so() {
    let app = App::new().await;
    let (organisation, token) = app.organisation().await;
    let id = watched(&app, organisation, &token).await;
    let seen = app.get(&format!("/api/v1/monitors/{id}/regions"), &token).await.expect(200).json();
    assert_eq!((&seen["verdict"], &seen["scope"]), (&json!("unknown"), &Value::Null));
    let items = seen["items"].as_array().unwrap();
    let names: Vec<_> = items.iter().map(|item| item["region"].as_str().unwrap()).collect();
    assert_eq!(names, ["eu-west", "us-east"]);
    for item in items {
        assert_eq!((&item["state"], &item["reason"]), (&json!("unknown"), &json!("unassigned")));
        for field in ["since", "last_result_at", "phases"] {
            assert!(item.as_object().unwrap().contains_key(field), "{field}");
        }
    }
    let overview = app.get("/api/v1/overview", &token).await.expect(200).json();
    let row = &overview["items"][0];
    assert_eq!((&row["id"], &row["name"]), (&json!(id), &json!("checkout")));
    assert_eq!(row["items"], seen["items"]);
    let mut tx = app.shared.store.read().await.unwrap();
    let id: Uuid = id.parse().unwrap();
    let now = tx.now().await.unwrap();
    let stored = states::monitor_regions(&mut tx, organisation, id, now).await.unwrap().unwrap();
    assert_eq!(stored.items.len(), items.len());
}
