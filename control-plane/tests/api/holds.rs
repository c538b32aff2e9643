//! Silences and maintenance windows: made, ended, listed, and kept when they are over.

use crate::app::App;
use crate::back_ends::on_both;
use http::Method;
use hyperverge_control_plane::api::Timestamp;
use hyperverge_control_plane::store::{maintenance_windows, silences};
use serde_json::{Value, json};
use uuid::Uuid;

const HOUR_MS: i64 = 3_600_000;

/// The two resources, with what each calls its text.
const BOTH: [(&str, &str); 2] =
    [("/api/v1/silences", "comment"), ("/api/v1/maintenance-windows", "name")];

async fn now(app: &App) -> i64 {
    app.shared.store.now().await.unwrap()
}

fn at(ms: i64) -> Value {
    serde_json::to_value(Timestamp(ms)).unwrap()
}

fn hold(text: &str, starts_at: Option<i64>, ends_at: i64) -> Value {
    json!({ text: "the move", "matchers": { "monitors": ["shop"] },
        "starts_at": starts_at.map(at), "ends_at": at(ends_at) })
}

/// What the correlator would see at `when`: the names or comments of what holds.
async fn active(app: &App, organisation: Uuid, when: i64) -> Vec<String> {
    let mut tx = app.shared.store.read().await.unwrap();
    let mut found = Vec::new();
    for silence in silences::active(&mut tx, organisation, when).await.unwrap() {
        found.push(silence.comment);
    }
    for window in maintenance_windows::active(&mut tx, organisation, when).await.unwrap() {
        found.push(window.name);
    }
    found
}

#[tokio::test]
async fn one_holds_from_its_beginning_to_its_end_and_is_kept() {
    on_both(async |store| {
        let app = App::over(store);
        for (path, text) in BOTH {
            let (organisation, token) = app.organisation().await;
            let now = now(&app).await;
            let body = hold(text, None, now + HOUR_MS);
            let made = app.post(path, &token, body).await.expect(201);
            assert_eq!(made.headers["etag"], "\"1\"");
            let made = made.json();
            assert_eq!((&made["state"], &made[text]), (&json!("active"), &json!("the move")));
            let one = format!("{path}/{}", made["id"].as_str().unwrap());
            assert_eq!(app.get(&one, &token).await.expect(200).json(), made);
            assert_eq!(active(&app, organisation, now + HOUR_MS - 1).await, ["the move"]);
            assert!(active(&app, organisation, now + HOUR_MS).await.is_empty(), "its end");

            let longer = json!({ "ends_at": at(now + 2 * HOUR_MS), text: "it takes longer" });
            let longer = app.call(Method::PATCH, &one, &token, longer).await.expect(200);
            assert_eq!(longer.headers["etag"], "\"2\"");
            assert_eq!(active(&app, organisation, now + HOUR_MS).await, ["it takes longer"]);

            for _ in 0..2 {
                app.call(Method::DELETE, &one, &token, Value::Null).await.expect(204);
            }
            let over = app.get(&one, &token).await.expect(200).json();
            assert_eq!((&over["state"], &over["revision"]), (&json!("expired"), &json!(3)));
            assert!(active(&app, organisation, now + HOUR_MS).await.is_empty());
            let ended: i64 = {
                let ended: Timestamp = over["ends_at"].as_str().unwrap().parse().unwrap();
                ended.0
            };
            let began: Timestamp = over["starts_at"].as_str().unwrap().parse().unwrap();
            if ended > began.0 {
                assert_eq!(active(&app, organisation, ended - 1).await.len(), 1, "the past stays");
            }
            let again = json!({ "ends_at": at(now + 9 * HOUR_MS) });
            app.call(Method::PATCH, &one, &token, again).await.expect(409);
        }
    })
    .await;
}

#[tokio::test]
async fn lists_show_the_newest_first_and_what_holds_now() {
    on_both(async |store| {
        let app = App::over(store);
        let (_, token) = app.organisation().await;
        for (path, text) in BOTH {
            let now = now(&app).await;
            let mut ids = Vec::new();
            for starts in [None, Some(now + HOUR_MS), Some(1)] {
                let body = hold(text, starts, now + 2 * HOUR_MS);
                let made = app.post(path, &token, body).await.expect(201).json();
                ids.push(made["id"].as_str().unwrap().to_owned());
            }
            let listed = async |query: &str| {
                let page = app.get(&format!("{path}?{query}"), &token).await.expect(200).json();
                let items = page["items"].as_array().unwrap().clone();
                let ids = items.iter().map(|item| item["id"].as_str().unwrap().to_owned());
                (ids.collect::<Vec<_>>(), page["next_cursor"].as_str().map(str::to_owned))
            };
            let [first, pending, third] = ids.as_slice() else { unreachable!() };
            let (all, _) = listed("").await;
            assert_eq!(all, [third.clone(), pending.clone(), first.clone()]);
            assert_eq!(listed("active=true").await.0, [third.clone(), first.clone()]);
            assert_eq!(listed("active=false").await.0, [pending.as_str()]);
            let (page, cursor) = listed("active=true&limit=1").await;
            assert_eq!(page, [third.as_str()]);
            let cursor = cursor.unwrap();
            let (rest, cursor) = listed(&format!("active=true&limit=1&cursor={cursor}")).await;
            assert_eq!((rest, cursor), (vec![first.clone()], None));
            app.get(&format!("{path}?active=maybe"), &token).await.expect(422).names("active");
            let pending = format!("{path}/{pending}");
            app.call(Method::DELETE, &pending, &token, Value::Null).await.expect(204);
            let state = app.get(&pending, &token).await.json()["state"].clone();
            assert_eq!(state, "expired", "ended before it began");
        }
    })
    .await;
}

#[tokio::test]
async fn bad_ones_are_refused_by_field_and_leave_nothing() {
    let app = App::new().await;
    let (_, token) = app.organisation().await;
    let now = now(&app).await;
    for (path, text) in BOTH {
        let with = |field: &str, value: Value| {
            let mut body = hold(text, None, now + HOUR_MS);
            body[field] = value;
            body
        };
        for (field, body) in [
            (text, with(text, json!(""))),
            (text, with(text, json!("a\nb"))),
            (text, with(text, json!("x".repeat(501)))),
            ("matchers", with("matchers", json!({}))),
            ("matchers", with("matchers", json!([]))),
            ("matchers.monitors[0]", with("matchers", json!({ "monitors": ["A b"] }))),
            ("matchers.labels.team", with("matchers", json!({ "labels": { "team": "" } }))),
            ("matchers.team", with("matchers", json!({ "team": "x" }))),
            ("ends_at", with("ends_at", Value::Null)),
            ("ends_at", with("ends_at", json!("tomorrow"))),
            ("ends_at", with("ends_at", at(now - 1))),
            ("ends_at", with("starts_at", at(now + HOUR_MS))),
            ("ends_at", with("ends_at", at(now + 401 * 24 * HOUR_MS))),
            ("starts_at", with("starts_at", json!(5))),
            ("forever", with("forever", json!(true))),
        ] {
            app.post(path, &token, body).await.expect(422).names(field);
        }
        let rule = app.post(path, &token, with("ends_at", json!("soon"))).await.json();
        let rule = rule["errors"][0]["rule"].as_str().unwrap();
        assert!(rule.starts_with("must be a time such as"), "{rule}");
        assert_eq!(app.get(path, &token).await.json()["items"], json!([]));

        let made = app.post(path, &token, hold(text, None, now + HOUR_MS)).await.expect(201);
        let one = format!("{path}/{}", made.json()["id"].as_str().unwrap());
        for (field, body) in [
            ("ends_at", json!({ "ends_at": at(1) })),
            (text, json!({ text: " " })),
            ("matchers", json!({ "matchers": { "monitors": ["*"] } })),
            ("starts_at", json!({ "starts_at": at(now) })),
        ] {
            app.call(Method::PATCH, &one, &token, body).await.expect(422).names(field);
        }
    }
}

#[tokio::test]
async fn a_test_of_routes_tells_what_would_hold() {
    let app = App::new().await;
    let (_, token) = app.organisation().await;
    let monitor = json!({ "name": "shop", "target": "https://example.com/" });
    app.post("/api/v1/monitors", &token, monitor).await.expect(201);
    let now = now(&app).await;
    for (path, text, hours) in [(BOTH[0].0, BOTH[0].1, 1), (BOTH[1].0, BOTH[1].1, 2)] {
        app.post(path, &token, hold(text, None, now + hours * HOUR_MS)).await.expect(201);
    }
    let held = app.post("/api/v1/routes/test", &token, json!({ "monitor": "shop" })).await.json();
    assert_eq!(
        (&held["hold"]["kind"], &held["hold"]["name"]),
        (&json!("maintenance"), &json!("the move"))
    );
    assert_eq!(held["hold"]["until"], at(now + 2 * HOUR_MS));
    let free = app.post("/api/v1/routes/test", &token, json!({})).await.json();
    assert_eq!(free["hold"], Value::Null);
}
