//! Bad input: each refusal names the field and the rule, and stores nothing.

use crate::app::App;
use serde_json::{Value, json};

/// A good monitor with `changes` laid over it.
fn with(changes: Value) -> Value {
    let mut spec = json!({ "name": "checkout", "target": "https://example.com/" });
    for (name, value) in changes.as_object().unwrap() {
        spec[name] = value.clone();
    }
    spec
}

#[tokio::test]
async fn a_monitor_that_breaks_a_rule_is_refused_by_field() {
    let app = App::new().await;
    let (_, token) = app.organisation().await;
    for name in ["eu-west", "us-east"] {
        app.post("/api/v1/regions", &token, json!({ "name": name })).await.expect(201);
    }
    let many: Vec<String> = (0..65).map(|n| format!("r{n}")).collect();
    let cases = [
        ("timeuot", json!({ "timeuot": "5s" })),
        ("http.metod", json!({ "http": { "metod": "GET" } })),
        ("policy.fail_afer", json!({ "policy": { "fail_afer": 1 } })),
        ("name", json!({ "name": "Not A Slug" })),
        ("name", json!({ "name": 5 })),
        ("kind", json!({ "kind": "telepathy" })),
        ("target", json!({ "target": "not a url" })),
        ("target", json!({ "target": "file:///etc/passwd" })),
        ("target", json!({ "target": "gopher://example.com/" })),
        ("target", json!({ "target": "javascript:alert(1)" })),
        ("target", json!({ "target": "https://user:secret@example.com/" })),
        ("target", json!({ "target": "http://169.254.169.254/latest/meta-data/" })),
        ("target", json!({ "target": format!("https://example.com/{}", "a".repeat(2048)) })),
        ("interval", json!({ "interval": "500ms" })),
        ("interval", json!({ "interval": "25h" })),
        ("interval", json!({ "interval": 30 })),
        ("interval", json!({ "interval": "-5s" })),
        ("timeout", json!({ "interval": "10s", "timeout": "11s" })),
        ("regions[1]", json!({ "regions": ["eu-west", "mars"] })),
        ("regions[1]", json!({ "regions": ["eu-west", "eu-west"] })),
        ("regions", json!({ "regions": [] })),
        ("regions", json!({ "regions": many })),
        ("regions", json!({ "regions": ["*", "eu-west"] })),
        ("notify[0]", json!({ "notify": ["nobody"] })),
        ("http.redirects", json!({ "http": { "redirects": 11 } })),
        ("http.headers.X-A", json!({ "http": { "headers": { "X-A": "a\r\nX-B: b" } } })),
        ("expect.status", json!({ "expect": { "status": [] } })),
        ("expect.status[0]", json!({ "expect": { "status": ["2xx"] } })),
        ("policy.fail_after", json!({ "policy": { "fail_after": 0 } })),
    ];
    for (field, changes) in cases {
        let answer = app.post("/monitors", &token, with(changes.clone())).await;
        assert_eq!(answer.status, 422, "{changes}: {answer:?}");
        answer.names(field);
    }
    app.post("/monitors", &token, json!({ "name": "a" })).await.expect(422).names("target");
    let list = app.get("/monitors", &token).await.expect(200).json();
    assert_eq!(list["items"], json!([]));
}

#[tokio::test]
async fn what_a_patch_may_not_touch_stays() {
    let app = App::new().await;
    let (_, token) = app.organisation().await;
    let made = app.post("/monitors", &token, with(json!({}))).await.expect(201).json();
    let path = format!("/monitors/{}", made["id"].as_str().unwrap());
    for (field, patch) in [
        ("id", json!({ "id": "x" })),
        ("revision", json!({ "revision": 9 })),
        ("organisation_id", json!({ "organisation_id": "x" })),
        ("name", json!({ "name": null })),
        ("target", json!({ "target": "ftp://example.com" })),
        ("regions[0]", json!({ "regions": ["mars"] })),
    ] {
        let answer = app.call(http::Method::PATCH, &path, &token, patch).await;
        answer.expect(422).names(field);
    }
    app.call(http::Method::PATCH, &path, &token, json!([])).await.expect(400);
    assert_eq!(app.get(&path, &token).await.expect(200).json(), made);
}

#[tokio::test]
async fn other_creates_name_their_fields_too() {
    let app = App::new().await;
    let (_, token) = app.organisation().await;
    for (path, field, body) in [
        ("regions", "name", json!({ "name": "EU" })),
        ("regions", "name", json!({})),
        ("regions", "nmae", json!({ "nmae": "eu" })),
        ("enrollment-tokens", "region", json!({ "region": "" })),
        ("enrollment-tokens", "expires_in", json!({ "region": "eu", "expires_in": "8d" })),
        ("enrollment-tokens", "expires_in", json!({ "region": "eu", "expires_in": "5s" })),
        ("enrollment-tokens", "expires_in", json!({ "region": "eu", "expires_in": 60 })),
    ] {
        app.post(&format!("/api/v1/{path}"), &token, body).await.expect(422).names(field);
    }
    for path in ["regions", "enrollment-tokens"] {
        let list = app.get(&format!("/api/v1/{path}"), &token).await.expect(200).json();
        assert_eq!(list["items"], json!([]), "{path}");
    }
}

#[tokio::test]
async fn query_parameters_are_named() {
    let app = App::new().await;
    let (_, token) = app.organisation().await;
    for (query, field) in [
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=many", "limit"),
        ("limit=1&limit=2", "limit"),
        ("cursor=%25", "cursor"),
        ("page=2", "page"),
    ] {
        let answer = app.get(&format!("/monitors?{query}"), &token).await;
        assert_eq!(answer.status, 422, "{query}: {answer:?}");
        answer.names(field);
    }
}
