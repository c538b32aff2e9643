//! What people do with an incident: find it, talk about it, write it up.

use crate::app::App;
use crate::back_ends::on_both;
use crate::incidents::opened;
use axum::body::Body;
use http::{Method, Request};
use hyperverge_control_core::notification::Notice;
use hyperverge_control_plane::api::Timestamp;
use hyperverge_control_plane::auth::Role;
use hyperverge_control_plane::clock;
use hyperverge_control_plane::store::deliveries;
use serde_json::{Value, json};
use uuid::Uuid;

async fn ids(app: &App, token: &str, query: &str) -> Vec<String> {
    let page = app.get(&format!("/api/v1/incidents?{query}"), token).await.expect(200).json();
    let items = page["items"].as_array().unwrap().clone();
    items.iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
}

fn at(ms: i64) -> String {
    serde_json::to_value(Timestamp(ms)).unwrap().as_str().unwrap().to_owned()
}

#[tokio::test]
async fn comments_are_kept_in_order_and_stand_in_the_timeline() {
    on_both(async |store| {
        let app = App::over(store);
        let (organisation, owner) = app.organisation().await;
        let (id, monitor) = opened(&app, organisation, "checkout").await;
        let path = format!("/api/v1/incidents/{id}/comments");
        let first = json!({ "text": "the database is full\nwe make room" });
        let first = app.post(&path, &owner, first).await.expect(201).json();
        assert_eq!(first["number"], 2, "the second event of the timeline");
        assert!(first["author"]["email"].as_str().unwrap().contains('@'));
        // An incident that is over takes comments too.
        let monitor = format!("/monitors/{monitor}");
        app.call(Method::DELETE, &monitor, &owner, Value::Null).await.expect(204);
        let editor = app.member(organisation, Role::Editor).await;
        app.post(&path, &editor, json!({ "text": "done" })).await.expect(201);

        let page = app.get(&format!("{path}?limit=1"), &owner).await.expect(200).json();
        assert_eq!(page["items"], json!([first]));
        let cursor = page["next_cursor"].as_str().unwrap();
        let rest = app.get(&format!("{path}?cursor={cursor}"), &owner).await.json();
        assert_eq!(
            (&rest["items"][0]["text"], &rest["next_cursor"]),
            (&json!("done"), &Value::Null)
        );
        assert_ne!(rest["items"][0]["author"], first["author"]);

        let path = format!("/api/v1/incidents/{id}/timeline");
        let timeline = app.get(&path, &owner).await.expect(200).json();
        let told: Vec<_> = timeline["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|event| (event["number"].as_i64().unwrap(), event["kind"].as_str().unwrap()))
            .collect();
        assert_eq!(told, [(1, "opened"), (2, "comment"), (3, "resolved"), (4, "comment")]);
        assert_eq!(timeline["items"][1]["summary"], "the database is full\nwe make room");
    })
    .await;
}

#[tokio::test]
async fn a_comment_is_written_once_and_only_if_it_is_text() {
    let app = App::new().await;
    let (organisation, owner) = app.organisation().await;
    let (id, _) = opened(&app, organisation, "checkout").await;
    let path = format!("/api/v1/incidents/{id}/comments");
    for _ in 0..2 {
        let request = Request::builder()
            .method("POST")
            .uri(&path)
            .header("authorization", format!("Bearer {owner}"))
            .header("content-type", "application/json")
            .header("idempotency-key", "once")
            .body(Body::from(json!({ "text": "hello" }).to_string()));
        let answer = app.send(request.unwrap()).await.expect(201);
        assert_eq!(answer.json()["number"], 2);
    }
    for text in [json!(""), json!(" \n "), json!("a\u{7}"), json!("x".repeat(4_001)), json!(5)] {
        app.post(&path, &owner, json!({ "text": text })).await.expect(422).names("text");
    }
    app.post(&path, &owner, json!({})).await.expect(422).names("text");
    app.post(&path, &owner, json!({ "text": "ä".repeat(4_000) })).await.expect(201);
    let page = app.get(&path, &owner).await.json();
    assert_eq!(page["items"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn lists_are_filtered_by_all_that_an_incident_is() {
    on_both(async |store| {
        let app = App::over(store);
        let (organisation, owner) = app.organisation().await;
        let (elsewhere, _) = app.organisation().await;
        opened(&app, elsewhere, "theirs").await;
        let (open, _) = opened(&app, organisation, "a").await;
        let (over, monitor) = opened(&app, organisation, "b").await;
        let monitor = format!("/monitors/{monitor}");
        app.call(Method::DELETE, &monitor, &owner, Value::Null).await.expect(204);
        let now = app.shared.store.now().await.unwrap();
        let both = [over.clone(), open.clone()];
        for query in
            ["scope=global", "severity=critical", "subject=monitor", "state=open&scope=global"]
        {
            let expected = if query.contains("open") { vec![open.clone()] } else { both.to_vec() };
            assert_eq!(ids(&app, &owner, query).await, expected, "{query}");
        }
        for query in
            ["scope=local", "severity=warning", "subject=agent", "state=resolved&scope=local"]
        {
            assert!(ids(&app, &owner, query).await.is_empty(), "{query}");
        }
        let group = format!("group={}", clock::new_id());
        assert!(ids(&app, &owner, &group).await.is_empty());
        // What lasted then, not only what began then.
        assert_eq!(
            ids(&app, &owner, &format!("since={}", at(now + 60_000))).await,
            [open.as_str()]
        );
        assert_eq!(ids(&app, &owner, &format!("since={}", at(now - 60_000))).await, both);
        assert!(
            ids(&app, &owner, "until=2026-01-31T12:00:00Z").await.is_empty(),
            "they begin then"
        );
        assert_eq!(ids(&app, &owner, "until=2026-01-31T12:00:01Z").await, both);
        for (query, field) in [
            ("scope=near", "scope"),
            ("severity=bad", "severity"),
            ("subject=host", "subject"),
            ("group=x", "group"),
            ("since=yesterday", "since"),
            ("until=2026-01-31", "until"),
        ] {
            let path = format!("/api/v1/incidents?{query}");
            app.get(&path, &owner).await.expect(422).names(field);
        }
    })
    .await;
}

/// A delivery of the incident's opening to a new channel.
async fn told(app: &App, owner: &str, organisation_id: Uuid, incident: &str) {
    let hook =
        json!({ "name": "on-call", "kind": "webhook", "config": { "url": "https://a.example/" } });
    let channel = app.post("/api/v1/channels", owner, hook).await.expect(201).json();
    let channel_id: Uuid = channel["id"].as_str().unwrap().parse().unwrap();
    let mut tx = app.shared.store.begin().await.unwrap();
    let now = tx.now().await.unwrap();
    let notice: Notice = serde_json::from_value(json!({
        "kind": "opened", "incident_id": incident, "event_number": 1,
        "subject": { "kind": "monitor", "id": "1", "name": "checkout" },
        "target": null, "verdict": "down", "scope": "global", "severity": "critical",
        "summary": "checkout is down everywhere", "cause": null, "regions": [],
        "started_at_ms": 1, "opened_at_ms": 2, "resolved_at_ms": null, "incident_url": "",
    }))
    .unwrap();
    let new = deliveries::NewDelivery {
        organisation_id,
        id: clock::new_id(),
        channel_id,
        recipient: "",
        notice: &notice,
        now,
    };
    assert!(deliveries::insert(&mut tx, &new).await.unwrap());
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn a_post_mortem_holds_what_is_on_record() {
    on_both(async |store| {
        let app = App::over(store);
        let (organisation, owner) = app.organisation().await;
        let (id, _) = opened(&app, organisation, "checkout").await;
        told(&app, &owner, organisation, &id).await;
        let path = format!("/api/v1/incidents/{id}");
        app.post(&format!("{path}/acknowledge"), &owner, Value::Null).await.expect(200);
        let hostile = json!({ "text": "# it was <b>DNS</b>\n| a | b |\n[x](javascript:alert(1))" });
        app.post(&format!("{path}/comments"), &owner, hostile).await.expect(201);
        let answer = app.get(&format!("{path}/post-mortem"), &owner).await.expect(200);
        assert_eq!(answer.headers["content-type"], "text/markdown; charset=utf-8");
        let text = &answer.text;
        for said in [
            "# Post-mortem: checkout\n\nThe monitor checkout (https:\\//example.com/) has been down in every region",
            " since 2026-01-31 12:00:00 UTC,",
            "Most regions saw: it refused the connection.",
            "and no notice of it has been accepted.",
            "| opened | down, global | checkout is down everywhere: connection refused |",
            "| opened | on-call | pending |",
            "takes care of it",
            "## Comments\n\nBy ",
            "> \\# it was &lt;b&gt;DNS&lt;/b&gt;\\\n",
            "## Action items",
            &format!("Incident {id}, as on record at "),
        ] {
            assert!(text.contains(said), "{said}\n\nis not in\n\n{text}");
        }
        assert!(!text.contains("<b>") && text.contains("\\[x\\](java"), "{text}");
    })
    .await;
}
