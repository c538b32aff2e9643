//! Channels and dead letters.

use crate::app::App;
use http::Method;
use hyperverge_control_core::notification::{
    AfterAttempt, Next, Notice, NoticeKind, NoticeSubject,
};
use hyperverge_control_plane::clock;
use hyperverge_control_plane::store::deliveries::{self, Claim, NewDelivery};
use serde_json::{Value, json};
use uuid::Uuid;

fn webhook(name: &str) -> Value {
    json!({ "name": name, "kind": "webhook", "config": { "url": "https://example.com/hook" } })
}

/// A dead letter of a channel, made as delivery makes one; its id.
pub(crate) async fn dead_letter(app: &App, organisation_id: Uuid, channel: &str) -> Uuid {
    let channel_id: Uuid = channel.parse().unwrap();
    let notice = Notice {
        kind: NoticeKind::Opened,
        incident_id: clock::new_id(),
        event_number: 1,
        subject: NoticeSubject { kind: "monitor".into(), id: "1".into(), name: "shop".into() },
        target: None,
        verdict: "down".into(),
        scope: "global".into(),
        severity: "critical".into(),
        summary: "shop is down everywhere".into(),
        cause: None,
        regions: Vec::new(),
        started_at_ms: 1,
        opened_at_ms: 2,
        resolved_at_ms: None,
        opening_included: false,
        group: None,
        incident_url: String::new(),
    };
    let mut tx = app.shared.store.begin().await.unwrap();
    let now = tx.now().await.unwrap();
    let id = clock::new_id();
    let new = NewDelivery { organisation_id, id, channel_id, recipient: "", notice: &notice, now };
    deliveries::insert(&mut tx, &new).await.unwrap();
    let claim = Claim {
        organisation_id,
        channel_id,
        holder: clock::new_id(),
        now,
        lease_ms: 60_000,
        limit: 1,
    };
    let claimed = deliveries::claim(&mut tx, &claim).await.unwrap().remove(0);
    let after = AfterAttempt {
        next: Next::Dead,
        outcome_unknown: true,
        error: Some("answered 500".into()),
        disable_channel: false,
        quiet: None,
    };
    assert!(deliveries::finish(&mut tx, &claimed, &after, now).await.unwrap());
    tx.commit().await.unwrap();
    id
}

#[tokio::test]
async fn a_webhook_shows_its_secret_once() {
    let app = App::new().await;
    let (_, owner) = app.organisation().await;
    let made = app.post("/api/v1/channels", &owner, webhook("on-call")).await.expect(201);
    assert_eq!(made.headers["etag"], "\"1\"");
    let made = made.json();
    let secret = made["secret"].as_str().unwrap();
    assert!(secret.starts_with("whsec_") && secret.len() == 6 + 44, "{secret}");
    assert_eq!((&made["default"], &made["enabled"]), (&json!(true), &json!(true)));
    let path = format!("/api/v1/channels/{}", made["id"].as_str().unwrap());
    for answer in [app.get(&path, &owner).await, app.get("/api/v1/channels", &owner).await] {
        let text = answer.expect(200).text;
        assert!(text.contains("https://example.com/hook") && !text.contains("whsec_"), "{text}");
    }
    let rotated = app.post(&format!("{path}/rotate-secret"), &owner, Value::Null).await;
    let rotated = rotated.expect(200).json()["secret"].as_str().unwrap().to_owned();
    assert!(rotated.starts_with("whsec_") && rotated != secret);
}

#[tokio::test]
async fn e_mail_has_recipients_and_no_secret() {
    let app = App::new().await;
    let (_, owner) = app.organisation().await;
    let body = json!({ "name": "mail", "kind": "email", "default": false,
        "config": { "to": ["ann@example.com", "ben@example.com"] } });
    let made = app.post("/api/v1/channels", &owner, body).await.expect(201).json();
    assert_eq!((&made["secret"], &made["default"]), (&Value::Null, &json!(false)));
    assert_eq!(made["config"]["to"][1], "ben@example.com");
    let path = format!("/api/v1/channels/{}/rotate-secret", made["id"].as_str().unwrap());
    app.post(&path, &owner, Value::Null).await.expect(409);
}

#[tokio::test]
async fn bad_channels_are_refused_by_field_and_leave_nothing() {
    let app = App::new().await;
    let (_, owner) = app.organisation().await;
    for (body, field) in [
        (json!({ "kind": "webhook", "config": { "url": "https://a.example/" } }), "name"),
        (json!({ "name": "a", "config": { "url": "https://a.example/" } }), "kind"),
        (json!({ "name": "a", "kind": "webhook" }), "config"),
        (json!({ "name": "A b", "kind": "email", "config": { "to": ["a@b.example"] } }), "name"),
        (json!({ "name": "a", "kind": "pigeon", "config": {} }), "kind"),
        (json!({ "name": "a", "kind": "webhook", "config": { "to": ["a@b.example"] } }), "config"),
        (json!({ "name": "a", "kind": "webhook", "config": { "url": "x" } }), "config.url"),
        (
            json!({ "name": "a", "kind": "webhook", "config": { "url": "file:///etc" } }),
            "config.url",
        ),
        (
            json!({ "name": "a", "kind": "webhook", "config": { "url": "https://u:p@a.example/" } }),
            "config.url",
        ),
        (json!({ "name": "a", "kind": "email", "config": { "to": [] } }), "config.to"),
        (
            json!({ "name": "a", "kind": "email", "config": { "to": ["a@b.example\r\nBcc: c@d.example"] } }),
            "config.to[0]",
        ),
        (
            json!({ "name": "a", "kind": "webhook", "config": { "url": "https://a.example/" }, "x": 1 }),
            "x",
        ),
    ] {
        app.post("/api/v1/channels", &owner, body).await.expect(422).names(field);
    }
    let both = json!({ "name": "A b", "kind": "email", "config": { "to": ["x"] } });
    app.post("/api/v1/channels", &owner, both)
        .await
        .expect(422)
        .names("name")
        .names("config.to[0]");
    assert_eq!(app.get("/api/v1/channels", &owner).await.json()["items"], json!([]));
    app.post("/api/v1/channels", &owner, webhook("on-call")).await.expect(201);
    app.post("/api/v1/channels", &owner, webhook("on-call")).await.expect(409).names("name");
}

#[tokio::test]
async fn a_channel_changes_by_what_is_named() {
    let app = App::new().await;
    let (_, owner) = app.organisation().await;
    let made = app.post("/api/v1/channels", &owner, webhook("on-call")).await.json();
    let path = format!("/api/v1/channels/{}", made["id"].as_str().unwrap());
    let patch = async |body| app.call(Method::PATCH, &path, &owner, body).await;
    let changed = patch(json!({ "enabled": false, "default": false })).await.expect(200);
    assert_eq!(changed.headers["etag"], "\"2\"");
    let changed = changed.json();
    assert_eq!(changed["disabled_reason"], "disabled by hand");
    assert_eq!(changed["config"]["url"], "https://example.com/hook");
    let changed = patch(json!({ "enabled": true, "name": "renamed" })).await.expect(200).json();
    assert_eq!((&changed["enabled"], &changed["name"]), (&json!(true), &json!("renamed")));
    patch(json!({ "config": { "url": "gopher://x" } })).await.expect(422).names("config.url");
    patch(json!({ "kind": "email" })).await.expect(422).names("kind");
    let stale = http::Request::patch(&path)
        .header("authorization", format!("Bearer {owner}"))
        .header("content-type", "application/json")
        .header("if-match", "\"1\"")
        .body(json!({ "default": true }).to_string().into());
    app.send(stale.unwrap()).await.expect(412);
}

#[tokio::test]
async fn a_channel_that_monitors_name_stays() {
    let app = App::new().await;
    let (_, owner) = app.organisation().await;
    let made = app.post("/api/v1/channels", &owner, webhook("on-call")).await.json();
    let path = format!("/api/v1/channels/{}", made["id"].as_str().unwrap());
    let monitor =
        json!({ "name": "shop", "target": "https://example.com/", "notify": ["on-call"] });
    let monitor = app.post("/api/v1/monitors", &owner, monitor).await.expect(201).json();
    let label = json!({ "name": "other", "target": "https://example.com/",
        "labels": { "team": "on-call" } });
    app.post("/api/v1/monitors", &owner, label).await.expect(201);
    let refused = app.call(Method::DELETE, &path, &owner, Value::Null).await.expect(409).json();
    let detail = refused["detail"].as_str().unwrap();
    assert!(detail.ends_with(": shop"), "{detail}");
    app.call(Method::PATCH, &path, &owner, json!({ "name": "x" })).await.expect(409);
    let monitor = format!("/api/v1/monitors/{}", monitor["id"].as_str().unwrap());
    app.call(Method::DELETE, &monitor, &owner, Value::Null).await.expect(204);
    app.call(Method::DELETE, &path, &owner, Value::Null).await.expect(204);
    app.get(&path, &owner).await.expect(404);
}

#[tokio::test]
async fn a_test_answers_what_happened() {
    let app = App::new().await;
    let (_, owner) = app.organisation().await;
    let body = json!({ "name": "inside", "kind": "webhook",
        "config": { "url": "https://127.0.0.1:1/hook" } });
    let made = app.post("/api/v1/channels", &owner, body).await.expect(201).json();
    let path = format!("/api/v1/channels/{}/test", made["id"].as_str().unwrap());
    let tested = app.post(&path, &owner, Value::Null).await.expect(200).json();
    assert_eq!(tested["accepted"], false);
    let error = tested["results"][0]["error"].as_str().unwrap();
    assert!(error.contains("no [egress] allow entry lists it"), "{error}");
}

#[tokio::test]
async fn dead_letters_are_replayed_or_discarded_once() {
    let app = App::new().await;
    let (organisation, owner) = app.organisation().await;
    let made = app.post("/api/v1/channels", &owner, webhook("on-call")).await.json();
    let channel = made["id"].as_str().unwrap();
    let mut letters = Vec::new();
    for _ in 0..3 {
        letters.push(dead_letter(&app, organisation, channel).await.to_string());
    }
    let listed = app.get("/api/v1/dead-letters?limit=2", &owner).await.expect(200).json();
    assert_eq!(listed["items"].as_array().unwrap().len(), 2);
    let first = &listed["items"][0];
    assert_eq!(first["id"], letters[0].as_str());
    assert_eq!((&first["channel"], &first["subject"]), (&json!("on-call"), &json!("shop")));
    assert_eq!(first["last_error"], "answered 500");
    assert_eq!(first["may_have_arrived"], true);
    let cursor = listed["next_cursor"].as_str().unwrap();
    let rest = app.get(&format!("/api/v1/dead-letters?cursor={cursor}"), &owner).await.json();
    assert_eq!(rest["items"][0]["id"], letters[2].as_str());

    let act = async |id: &str, what: &str| {
        app.post(&format!("/api/v1/dead-letters/{id}/{what}"), &owner, Value::Null).await
    };
    let replayed = act(&letters[0], "replay").await.expect(200).json();
    assert_eq!((&replayed["state"], &replayed["attempts"]), (&json!("pending"), &json!(0)));
    act(&letters[0], "replay").await.expect(404);
    act(&letters[1], "discard").await.expect(204);
    act(&letters[1], "replay").await.expect(404);
    let path = format!("/api/v1/dead-letters/{}", letters[2]);
    app.call(Method::DELETE, &path, &owner, Value::Null).await.expect(204);
    assert_eq!(app.get("/api/v1/dead-letters", &owner).await.json()["items"], json!([]));
}

#[tokio::test]
async fn a_letter_of_a_disabled_channel_waits_until_it_is_enabled() {
    let app = App::new().await;
    let (organisation, owner) = app.organisation().await;
    let made = app.post("/api/v1/channels", &owner, webhook("on-call")).await.json();
    let channel = made["id"].as_str().unwrap();
    let letter = dead_letter(&app, organisation, channel).await;
    let path = format!("/api/v1/channels/{channel}");
    app.call(Method::PATCH, &path, &owner, json!({ "enabled": false })).await.expect(200);
    let replay = format!("/api/v1/dead-letters/{letter}/replay");
    app.post(&replay, &owner, Value::Null).await.expect(409);
    app.call(Method::PATCH, &path, &owner, json!({ "enabled": true })).await.expect(200);
    app.post(&replay, &owner, Value::Null).await.expect(200);
    app.call(Method::DELETE, &path, &owner, Value::Null).await.expect(204);
    let mut tx = app.shared.store.read().await.unwrap();
    let ended = deliveries::get(&mut tx, organisation, letter).await.unwrap().unwrap();
    assert_eq!(ended.state.to_string(), "discarded");
}
