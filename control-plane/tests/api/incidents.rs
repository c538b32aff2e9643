//! Incidents as people meet them: listed, read, acknowledged, and ended by a change.

use crate::app::App;
use http::Method;
use hyperverge_control_core::correlation::{RegionState, RegionView, Scope, Verdict};
use hyperverge_control_core::incident::{Change, EventKind, Severity, SubjectKind};
use hyperverge_control_plane::auth::Role;
use hyperverge_control_plane::clock;
use hyperverge_control_plane::store::incidents::{self, Subject};
use hyperverge_control_plane::store::states::{self, MonitorState};
use hyperverge_control_plane::store::{monitors, regions};
use hyperverge_protocol::monitor::MonitorSpec;
use serde_json::{Value, json};
use uuid::Uuid;

const STARTED: i64 = 1_769_860_800_000;

/// A monitor that is down everywhere, with its open incident: the ids of both.
pub(crate) async fn opened(app: &App, organisation: Uuid, name: &str) -> (String, String) {
    let mut tx = app.shared.store.begin().await.unwrap();
    let now = tx.now().await.unwrap();
    regions::ensure(&mut tx, organisation, clock::new_id(), "eu-west", now).await.unwrap();
    let spec = json!({ "name": name, "target": "https://example.com/", "regions": ["eu-west"] });
    let spec = MonitorSpec::from_json(spec.to_string().as_bytes()).unwrap();
    let monitor_id = clock::new_id();
    monitors::insert(&mut tx, organisation, monitor_id, &spec, now).await.unwrap();
    let (verdict, scope) = (Verdict::Down, Scope::Global);
    let state = MonitorState {
        monitor_id,
        generation: 2,
        verdict,
        scope: Some(scope),
        since: STARTED,
        turns: Vec::new(),
        hold_until: None,
    };
    states::set_verdict(&mut tx, organisation, &state).await.unwrap();
    let region = RegionView {
        region: "eu-west".into(),
        region_id: None,
        state: RegionState::Down,
        since: Some(STARTED),
        reason: Some("connect_refused".into()),
        message: Some("connection refused".into()),
    };
    let change = Change {
        kind: EventKind::Opened,
        verdict,
        scope,
        severity: Severity::Critical,
        cause: Some("connect_refused".into()),
        summary: format!("{name} is down everywhere: connection refused"),
        started_at: STARTED,
        regions: vec![region],
        intent: None,
        reasons: vec!["1 of 1 regions".into()],
    };
    let kind = SubjectKind::Monitor;
    let subject = Subject { kind, id: monitor_id.to_string(), name: name.into() };
    let evidence = json!({});
    let incident =
        incidents::record(&mut tx, organisation, &subject, None, &change, &evidence, now)
            .await
            .unwrap();
    tx.commit().await.unwrap();
    (incident.to_string(), monitor_id.to_string())
}

#[tokio::test]
async fn an_incident_has_the_shape_that_clients_rely_on() {
    let app = App::new().await;
    let (organisation, token) = app.organisation().await;
    let (id, monitor) = opened(&app, organisation, "checkout").await;
    let list = app.get("/api/v1/incidents", &token).await.expect(200).json();
    let incident = &list["items"][0];
    assert_eq!(incident, &app.get(&format!("/api/v1/incidents/{id}"), &token).await.json());
    for (field, value) in [
        ("id", json!(id)),
        ("state", json!("open")),
        ("verdict", json!("down")),
        ("scope", json!("global")),
        ("severity", json!("critical")),
        ("subject", json!({ "kind": "monitor", "id": monitor, "name": "checkout" })),
        ("started_at", json!("2026-01-31T12:00:00.000Z")),
        ("resolved_at", Value::Null),
        ("cause", json!("connect_refused")),
        ("group", Value::Null),
    ] {
        assert_eq!(incident[field], value, "{field}");
    }
    assert_eq!(incident["regions"][0]["state"], "down");
    assert_eq!(incident["regions"][0]["since"], "2026-01-31T12:00:00.000Z");
}

#[tokio::test]
async fn acknowledging_is_noted_once_and_by_whom() {
    let app = App::new().await;
    let (organisation, token) = app.organisation().await;
    let (id, monitor) = opened(&app, organisation, "checkout").await;
    let path = format!("/api/v1/incidents/{id}");
    for _ in 0..2 {
        let answer = app.post(&format!("{path}/acknowledge"), &token, Value::Null).await;
        let incident = answer.expect(200).json();
        assert_eq!(incident["state"], "acknowledged");
        let by = &incident["acknowledged_by"];
        assert!(by["id"].is_string() && by["email"].as_str().unwrap().contains('@'), "{by}");
    }
    let other = app.member(organisation, Role::Editor).await;
    let by = app.get(&path, &token).await.json()["acknowledged_by"].clone();
    let again = app.post(&format!("{path}/acknowledge"), &other, Value::Null).await.expect(200);
    assert_eq!(again.json()["acknowledged_by"], by, "it stays with who said so first");
    let timeline = app.get(&format!("{path}/timeline"), &token).await.expect(200).json();
    let kinds: Vec<_> = timeline["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| (event["number"].as_i64().unwrap(), event["kind"].as_str().unwrap()))
        .collect();
    assert_eq!(kinds, [(1, "opened"), (2, "acknowledged")]);
    let who = by["email"].as_str().unwrap();
    assert_eq!(timeline["items"][1]["summary"], format!("{who} takes care of it"));

    let monitor = format!("/monitors/{monitor}");
    app.call(Method::DELETE, &monitor, &token, Value::Null).await.expect(204);
    app.post(&format!("{path}/acknowledge"), &token, Value::Null).await.expect(409);
}

#[tokio::test]
async fn lists_are_filtered_by_state_and_monitor_and_paged_newest_first() {
    let app = App::new().await;
    let (organisation, token) = app.organisation().await;
    let mut made = Vec::new();
    for name in ["a", "b", "c"] {
        made.push(opened(&app, organisation, name).await);
    }
    let [a, b, c] = made.as_slice() else { unreachable!() };
    app.post(&format!("/api/v1/incidents/{}/acknowledge", b.0), &token, Value::Null)
        .await
        .expect(200);
    let monitor = format!("/monitors/{}", c.1);
    app.call(Method::DELETE, &monitor, &token, Value::Null).await.expect(204);
    let ids = async |query: &str| {
        let page = app.get(&format!("/api/v1/incidents?{query}"), &token).await.expect(200).json();
        let items = page["items"].as_array().unwrap().clone();
        items.iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(ids("").await, [&c.0, &b.0, &a.0].map(String::as_str));
    assert_eq!(ids("state=open").await, [a.0.as_str()]);
    assert_eq!(ids("state=acknowledged").await, [b.0.as_str()]);
    assert_eq!(ids("state=resolved").await, [c.0.as_str()]);
    assert_eq!(ids("state=unresolved").await, [&b.0, &a.0].map(String::as_str));
    assert_eq!(ids(&format!("monitor={}", a.1)).await, [a.0.as_str()]);
    app.get("/api/v1/incidents?state=closed", &token).await.expect(422).names("state");
    let first = app.get("/api/v1/incidents?limit=2", &token).await.expect(200).json();
    let cursor = first["next_cursor"].as_str().unwrap();
    assert_eq!(ids(&format!("limit=2&cursor={cursor}")).await, [a.0.as_str()]);
}

#[tokio::test]
async fn who_stops_looking_resolves_the_incident_and_says_why() {
    let app = App::new().await;
    let (organisation, token) = app.organisation().await;
    app.post("/api/v1/regions", &token, json!({ "name": "us-east" })).await.expect(201);
    let changes = [
        (Method::DELETE, Value::Null, "was deleted"),
        (Method::PATCH, json!({ "enabled": false }), "was disabled"),
        (Method::PATCH, json!({ "regions": ["us-east"] }), "other regions"),
    ];
    for (index, (method, body, why)) in changes.into_iter().enumerate() {
        let (incident, monitor) = opened(&app, organisation, &format!("m{index}")).await;
        let path = format!("/monitors/{monitor}");
        let answer = app.call(method.clone(), &path, &token, body).await;
        assert!(answer.status.is_success(), "{answer:?}");
        let path = format!("/api/v1/incidents/{incident}");
        let incident = app.get(&path, &token).await.expect(200).json();
        assert_eq!(incident["state"], "resolved", "{why}");
        assert!(incident["summary"].as_str().unwrap().contains(why), "{incident}");
        if method == Method::PATCH {
            assert_eq!(answer.json()["state"], json!({ "verdict": "unknown", "scope": null }));
        }
    }
    // A change that leaves the vote as it is leaves the incident too.
    let (incident, monitor) = opened(&app, organisation, "m9").await;
    let patch = json!({ "interval": "30s" });
    app.call(Method::PATCH, &format!("/monitors/{monitor}"), &token, patch).await.expect(200);
    let path = format!("/api/v1/incidents/{incident}");
    assert_eq!(app.get(&path, &token).await.json()["state"], "open");
}
