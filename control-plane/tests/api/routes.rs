//! Routes: made, changed, tried out, and what may not go while one names it.

use crate::app::App;
use crate::back_ends::on_both;
use axum::body::Body;
use http::{Method, Request};
use hyperverge_control_core::correlation::Scope;
use hyperverge_control_plane::store::routes;
use serde_json::{Value, json};

async fn channel(app: &App, token: &str, name: &str, default: bool) -> String {
    let body = json!({ "name": name, "kind": "webhook", "default": default,
        "config": { "url": "https://example.com/hook" } });
    let made = app.post("/api/v1/channels", token, body).await.expect(201).json();
    format!("/api/v1/channels/{}", made["id"].as_str().unwrap())
}

async fn route(app: &App, token: &str, body: Value) -> String {
    let made = app.post("/api/v1/routes", token, body).await.expect(201).json();
    format!("/api/v1/routes/{}", made["id"].as_str().unwrap())
}

/// The request with `If-Match`; its status.
async fn guarded(app: &App, method: &str, path: &str, token: &str, tag: &str, body: Value) -> u16 {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("authorization", format!("Bearer {token}"))
        .header("content-type", "application/json")
        .header("if-match", tag)
        .body(Body::from(body.to_string()));
    app.send(request.unwrap()).await.status.as_u16()
}

#[tokio::test]
async fn a_route_from_its_making_to_its_end() {
    on_both(async |store| {
        let app = App::over(store);
        let (organisation, token) = app.organisation().await;
        let channels = channel(&app, &token, "on-call", false).await;
        let body =
            json!({ "name": "near", "match": { "scope": ["local"] }, "channels": ["on-call"] });
        let path = route(&app, &token, body).await;
        let read = app.get(&path, &token).await.expect(200);
        assert_eq!(read.headers["etag"], "\"1\"");
        let empty = json!({ "labels": {}, "severity": [], "scope": ["local"], "subject": [] });
        assert_eq!(read.json()["match"], empty);

        let severe = json!({ "match": { "severity": ["critical"] } });
        assert_eq!(guarded(&app, "PATCH", &path, &token, "\"1\"", severe.clone()).await, 200);
        assert_eq!(guarded(&app, "PATCH", &path, &token, "\"1\"", severe.clone()).await, 412);
        let same = app.call(Method::PATCH, &path, &token, severe).await.expect(200);
        assert_eq!(same.headers["etag"], "\"2\"", "what changes nothing makes no revision");
        assert_eq!(same.json()["match"]["scope"], json!([]), "the match as a whole");
        assert_eq!(same.json()["channels"], json!(["on-call"]));
        let whole = json!({ "name": "far", "match": { "labels": { "team": "*" } },
            "channels": ["on-call"] });
        app.call(Method::PUT, &path, &token, whole).await.expect(200);
        let mut tx = app.shared.store.read().await.unwrap();
        let stored = routes::all(&mut tx, organisation).await.unwrap().remove(0);
        assert_eq!((stored.name.as_str(), stored.matches.labels["team"].as_str()), ("far", "*"));
        drop(tx);

        for bad in [json!({ "match": [] }), json!({ "match": null })] {
            app.call(Method::PATCH, &path, &token, bad).await.expect(422).names("match");
        }
        let taken = json!({ "name": "far", "channels": ["on-call"] });
        app.post("/api/v1/routes", &token, taken).await.expect(409).names("name");
        let refused = app.call(Method::DELETE, &channels, &token, Value::Null).await.expect(409);
        assert_eq!(
            refused.json()["detail"],
            "routes name this channel, so it cannot be deleted: far"
        );
        app.call(Method::PATCH, &channels, &token, json!({ "name": "x" })).await.expect(409);
        assert_eq!(guarded(&app, "DELETE", &path, &token, "\"2\"", json!({})).await, 412);
        app.call(Method::DELETE, &path, &token, Value::Null).await.expect(204);
        app.get(&path, &token).await.expect(404);
        app.call(Method::DELETE, &channels, &token, Value::Null).await.expect(204);
    })
    .await;
}

#[tokio::test]
async fn routes_come_in_pages() {
    let app = App::new().await;
    let (_, token) = app.organisation().await;
    channel(&app, &token, "c", false).await;
    for name in ["c", "b", "a"] {
        route(&app, &token, json!({ "name": name, "channels": ["c"] })).await;
    }
    let page = app.get("/api/v1/routes?limit=2", &token).await.expect(200).json();
    let cursor = page["next_cursor"].as_str().unwrap();
    let rest = app.get(&format!("/api/v1/routes?limit=2&cursor={cursor}"), &token).await.json();
    let names: Vec<_> = [&page, &rest]
        .iter()
        .flat_map(|page| page["items"].as_array().unwrap())
        .map(|route| route["name"].as_str().unwrap())
        .collect();
    assert_eq!((names, &rest["next_cursor"]), (vec!["c", "b", "a"], &Value::Null));
}

#[tokio::test]
async fn bad_routes_are_refused_by_field_and_leave_nothing() {
    let app = App::new().await;
    let (_, token) = app.organisation().await;
    channel(&app, &token, "c", false).await;
    let with = |matches: Value| json!({ "name": "r", "channels": ["c"], "match": matches });
    for (body, field) in [
        (json!({ "channels": ["c"] }), "name"),
        (json!({ "name": "r" }), "channels"),
        (json!({ "name": "A b", "channels": ["c"] }), "name"),
        (json!({ "name": "r", "channels": [] }), "channels"),
        (json!({ "name": "r", "channels": ["c", "nobody"] }), "channels[1]"),
        (json!({ "name": "r", "channels": ["c", "c"] }), "channels[1]"),
        (json!({ "name": "r", "channels": ["c"], "matches": {} }), "matches"),
        (with(json!([])), "match"),
        (with(json!({ "region": ["eu"] })), "match.region"),
        (with(json!({ "scope": ["everywhere"] })), "match.scope[0]"),
        (with(json!({ "severity": "critical" })), "match.severity"),
        (with(json!({ "subject": ["monitor", "monitor"] })), "match.subject[1]"),
        (with(json!({ "labels": { "team": "" } })), "match.labels.team"),
    ] {
        app.post("/api/v1/routes", &token, body).await.expect(422).names(field);
    }
    let scope = app.post("/api/v1/routes", &token, with(json!({ "scope": ["near"] }))).await.json();
    assert_eq!(scope["errors"][0]["rule"], "must be one of local, regional, global");
    assert_eq!(app.get("/api/v1/routes", &token).await.json()["items"], json!([]));
}

#[tokio::test]
async fn a_test_says_who_would_be_told_and_why() {
    let app = App::new().await;
    let (_, token) = app.organisation().await;
    for (name, default) in [("phone", false), ("chat", false), ("mail", true)] {
        channel(&app, &token, name, default).await;
    }
    let monitor = json!({ "name": "shop", "target": "https://example.com/", "notify": ["phone"],
        "labels": { "team": "web", "severity": "warning" } });
    app.post("/api/v1/monitors", &token, monitor).await.expect(201);
    let web = json!({ "labels": { "team": "web" } });
    route(&app, &token, json!({ "name": "web", "match": web, "channels": ["chat"] })).await;
    let near = json!({ "scope": [Scope::Local] });
    route(&app, &token, json!({ "name": "near", "match": near, "channels": ["mail"] })).await;
    let test =
        async |body: Value| app.post("/api/v1/routes/test", &token, body).await.expect(200).json();

    let told = test(json!({ "monitor": "shop" })).await;
    assert_eq!((&told["told"], &told["channels"]), (&json!("channels"), &json!(["phone", "chat"])));
    assert_eq!((&told["severity"], &told["quiet"]), (&json!("warning"), &json!(false)));
    let [near, web] = told["routes"].as_array().unwrap().as_slice() else { panic!("{told}") };
    assert_eq!(
        (&web["name"], &web["matches"], &web["reasons"]),
        (&json!("web"), &json!(true), &json!([]))
    );
    assert_eq!(near["reasons"], json!(["its scope is global, which the route must name"]));

    let quiet = test(json!({ "monitor": "shop", "scope": "local" })).await;
    assert_eq!((&quiet["quiet"], &quiet["channels"]), (&json!(true), &json!(["mail"])));
    let slow = test(json!({ "monitor": "shop", "verdict": "degraded" })).await;
    assert_eq!((&slow["quiet"], &slow["told"]), (&json!(true), &json!("nobody")));
    let fleet = test(json!({ "subject": "agent" })).await;
    assert_eq!((&fleet["told"], &fleet["why"]), (&json!("nobody"), &json!("no route names it")));
    let plain = test(json!({ "labels": { "team": "data" } })).await;
    assert_eq!((&plain["told"], &plain["channels"]), (&json!("defaults"), &json!(["mail"])));

    for (body, field) in [
        (json!({ "monitor": "nobody" }), "monitor"),
        (json!({ "monitor": "shop", "subject": "region" }), "subject"),
        (json!({ "scope": "near" }), "scope"),
        (json!({ "verdict": "up" }), "verdict"),
        (json!({ "team": "web" }), "team"),
    ] {
        app.post("/api/v1/routes/test", &token, body).await.expect(422).names(field);
    }
}

#[tokio::test]
async fn what_another_organisation_routes_counts_for_nothing_here() {
    let app = App::new().await;
    let (_, ours) = app.organisation().await;
    let (_, theirs) = app.organisation().await;
    let channels = channel(&app, &ours, "c", true).await;
    let body = json!({ "name": "r", "channels": ["c"] });
    app.post("/api/v1/routes", &theirs, body.clone()).await.expect(422).names("channels[0]");
    channel(&app, &theirs, "c", true).await;
    route(&app, &theirs, body).await;
    let told = app.post("/api/v1/routes/test", &ours, json!({})).await.expect(200).json();
    assert_eq!((&told["told"], &told["routes"]), (&json!("defaults"), &json!([])));
    app.call(Method::DELETE, &channels, &ours, Value::Null).await.expect(204);
}
