//! A monitor's life: made, read, listed, changed, deleted.

use crate::app::App;
use crate::back_ends::on_both;
use axum::body::Body;
use http::{Method, Request};
use serde_json::{Value, json};

async fn with_region(name: &str) -> (App, String) {
    let app = App::new().await;
    let (_, token) = app.organisation().await;
    app.post("/api/v1/regions", &token, json!({ "name": name })).await.expect(201);
    (app, token)
}

fn monitor(name: &str) -> Value {
    json!({ "name": name, "target": "https://example.com/health" })
}

#[tokio::test]
async fn a_name_and_a_target_are_enough() {
    let app = App::new().await;
    let (_, token) = app.organisation().await;
    let answer = app.post("/monitors", &token, monitor("checkout")).await.expect(201);
    let made = answer.json();
    assert_eq!(made["interval"], "1m");
    assert_eq!(made["regions"], json!(["*"]));
    assert_eq!(made["revision"], 1);
    assert_eq!(made["state"], json!({ "verdict": "unknown", "scope": null }));
    assert_eq!(answer.headers["etag"], "\"1\"");
    let id = made["id"].as_str().unwrap();
    assert_eq!(answer.headers["location"], format!("/monitors/{id}"));
    let created_at = made["created_at"].as_str().unwrap();
    assert!(created_at.len() == 24 && created_at.ends_with('Z'), "{created_at}");

    let read = app.get(&format!("/api/v1/monitors/{id}"), &token).await.expect(200);
    assert_eq!(read.json(), made);
    assert_eq!(read.headers["etag"], "\"1\"");
    let again = app.post("/monitors", &token, monitor("checkout")).await.expect(409);
    again.names("name");
}

#[tokio::test]
async fn a_patch_changes_what_it_names_and_null_brings_defaults_back() {
    let (app, token) = with_region("eu-west").await;
    let made = app.post("/monitors", &token, monitor("checkout")).await.expect(201).json();
    let path = format!("/monitors/{}", made["id"].as_str().unwrap());
    let patch = json!({ "interval": "30s", "regions": ["eu-west"], "expect": { "body": "ok" } });
    let answer = app.call(Method::PATCH, &path, &token, patch).await.expect(200);
    let changed = answer.json();
    assert_eq!(changed["interval"], "30s");
    assert_eq!(changed["expect"]["body"], "ok");
    assert_eq!(changed["expect"]["status"], json!(["200-299"]));
    assert_eq!(
        (&changed["revision"], &answer.headers["etag"]),
        (&json!(2), &"\"2\"".parse().unwrap())
    );

    let patch = json!({ "interval": null });
    let changed = app.call(Method::PATCH, &path, &token, patch.clone()).await.expect(200).json();
    assert_eq!((&changed["interval"], &changed["revision"]), (&json!("1m"), &json!(3)));
    let same = app.call(Method::PATCH, &path, &token, patch).await.expect(200).json();
    assert_eq!(same["revision"], 3, "what changes nothing makes no revision");
    let patch = json!({ "timeout": "2h" });
    app.call(Method::PATCH, &path, &token, patch).await.expect(422).names("timeout");
    let replaced = app.call(Method::PUT, &path, &token, monitor("other")).await.expect(200).json();
    assert_eq!((&replaced["name"], &replaced["regions"]), (&json!("other"), &json!(["*"])));
}

#[tokio::test]
async fn a_stale_etag_is_refused_and_nothing_changes() {
    let app = App::new().await;
    let (_, token) = app.organisation().await;
    let made = app.post("/monitors", &token, monitor("checkout")).await.expect(201).json();
    let path = format!("/monitors/{}", made["id"].as_str().unwrap());
    let send = async |method: Method, tag: &str, body: Value| {
        let request = Request::builder()
            .method(method)
            .uri(&path)
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", "application/json")
            .header("if-match", tag);
        app.send(request.body(Body::from(body.to_string())).unwrap()).await
    };
    send(Method::PATCH, "\"1\"", json!({ "interval": "30s" })).await.expect(200);
    send(Method::PATCH, "\"1\"", json!({ "interval": "10s" })).await.expect(412);
    send(Method::DELETE, "\"1\"", Value::Null).await.expect(412);
    assert_eq!(app.get(&path, &token).await.json()["interval"], "30s");
    send(Method::DELETE, "W/\"2\"", Value::Null).await.expect(204);
    app.get(&path, &token).await.expect(404);
}

#[tokio::test]
async fn pages_follow_one_another_and_end() {
    let app = App::new().await;
    let (_, token) = app.organisation().await;
    for name in ["d", "b", "e", "a", "c"] {
        app.post("/monitors", &token, monitor(name)).await.expect(201);
    }
    let mut seen = Vec::new();
    let mut path = "/api/v1/monitors?limit=2".to_owned();
    for _ in 0..5 {
        let answer = app.get(&path, &token).await.expect(200);
        let page = answer.json();
        for item in page["items"].as_array().unwrap() {
            seen.push(item["name"].as_str().unwrap().to_owned());
        }
        let Some(cursor) = page["next_cursor"].as_str() else {
            assert!(!answer.headers.contains_key("link"));
            break;
        };
        let link = answer.headers["link"].to_str().unwrap();
        path = format!("/api/v1/monitors?limit=2&cursor={cursor}");
        assert_eq!(link, format!("<{path}>; rel=\"next\""));
    }
    assert_eq!(seen, ["a", "b", "c", "d", "e"]);
}

#[tokio::test]
async fn the_same_key_and_body_make_one_monitor() {
    let app = App::new().await;
    let (_, token) = app.organisation().await;
    let send = async |key: &str, body: Value| {
        let request = Request::post("/api/v1/monitors")
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", "application/json")
            .header("idempotency-key", key);
        app.send(request.body(Body::from(body.to_string())).unwrap()).await
    };
    let answers = futures_util::future::join_all((0..4).map(|_| send("k1", monitor("one")))).await;
    let first = &answers[0];
    for answer in &answers {
        assert_eq!((answer.status.as_u16(), &answer.text), (201, &first.text));
        assert_eq!(answer.headers["location"], first.headers["location"]);
    }
    let replayed = answers.iter().filter(|a| a.headers.contains_key("idempotent-replayed"));
    assert_eq!(replayed.count(), 3);
    send("k1", monitor("two")).await.expect(422).names("Idempotency-Key");
    send(&"k".repeat(256), monitor("two")).await.expect(422).names("Idempotency-Key");
    // A refused create leaves its key free.
    send("k2", monitor("one")).await.expect(409);
    send("k2", monitor("two")).await.expect(201);
    let list = app.get("/monitors", &token).await.expect(200).json();
    assert_eq!(list["items"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn what_others_depend_on_is_neither_renamed_nor_deleted() {
    on_both(async |store| {
        let app = App::over(store);
        let (_, token) = app.organisation().await;
        let parent = app.post("/monitors", &token, monitor("gateway")).await.expect(201).json();
        let parent = format!("/monitors/{}", parent["id"].as_str().unwrap());
        let mut body = monitor("shop");
        body["depends_on"] = json!(["gateway"]);
        // The word alone is no dependency.
        let mut other = monitor("other");
        other["labels"] = json!({ "team": "gateway" });
        app.post("/monitors", &token, other).await.expect(201);
        let child = app.post("/monitors", &token, body).await.expect(201).json();
        let child = format!("/monitors/{}", child["id"].as_str().unwrap());
        let call = async |method: Method, path: &str, body: Value| {
            app.call(method, path, &token, body).await
        };
        let refused = call(Method::PATCH, &parent, json!({ "name": "edge" })).await.expect(409);
        let refused = refused.names("name");
        assert!(refused.text.contains("depends_on") && refused.text.contains("shop"));
        assert!(!refused.text.contains("other,"), "{}", refused.text);
        let refused = call(Method::DELETE, &parent, Value::Null).await.expect(409);
        assert!(refused.text.contains("shop"), "{}", refused.text);
        // Everything else of it can change, and the child can go.
        call(Method::PATCH, &parent, json!({ "interval": "30s" })).await.expect(200);
        call(Method::PATCH, &child, json!({ "depends_on": [] })).await.expect(200);
        call(Method::PATCH, &parent, json!({ "name": "edge" })).await.expect(200);
        call(Method::PATCH, &child, json!({ "depends_on": ["edge"] })).await.expect(200);
        call(Method::DELETE, &child, Value::Null).await.expect(204);
        call(Method::DELETE, &parent, Value::Null).await.expect(204);
    })
    .await;
}
