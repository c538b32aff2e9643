//! A policy tried on what is stored: what may be asked, and what the answer holds.

use crate::app::App;
use crate::back_ends::on_both;
use crate::incidents::opened;
use hyperverge_control_plane::store::Store;
use serde_json::{Value, json};

const PATH: &str = "/api/v1/backtests";

async fn app(store: Store) -> (App, String, String, String) {
    let app = App::over(store);
    let (organisation, token) = app.organisation().await;
    let (incident, monitor) = opened(&app, organisation, "checkout").await;
    (app, token, incident, monitor)
}

#[tokio::test]
async fn what_cannot_be_asked_is_named() {
    on_both(async |store| {
        let (app, token, _, monitor) = app(store).await;
        let body = |more: Value| {
            let mut body = json!({ "monitor": monitor });
            body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            body
        };
        for (more, field) in [
            (json!({ "monitor": "no-such" }), "monitor"),
            (json!({ "monitor": uuid::Uuid::nil() }), "monitor"),
            (json!({ "from": "yesterday" }), "from"),
            (json!({ "to": "2099-01-01T00:00:00Z" }), "to"),
            (json!({ "from": "2026-01-02T00:00:00Z", "to": "2026-01-01T00:00:00Z" }), "from"),
            (json!({ "from": "2025-10-01T00:00:00Z", "to": "2026-01-01T00:00:00Z" }), "from"),
            (json!({ "policy": { "fail_after": 0 } }), "policy.fail_after"),
            (json!({ "policy": { "fail_aftr": 3 } }), "policy.fail_aftr"),
            (json!({ "policy": { "quorum": { "count": 2 } } }), "policy.quorum"),
            (json!({ "regions": [] }), "regions"),
            (json!({ "regions": ["nowhere"] }), "regions[0]"),
            (json!({ "polcy": {} }), "polcy"),
        ] {
            app.post(PATH, &token, body(more)).await.expect(422).names(field);
        }
        app.post(PATH, &token, json!([])).await.expect(400);
    })
    .await;
}

#[tokio::test]
async fn an_answer_lays_what_was_sent_beside_what_would_have_been() {
    on_both(async |store| {
        let (app, token, _, monitor) = app(store).await;
        for name in [monitor.as_str(), "checkout"] {
            let body = json!({ "monitor": name, "policy": { "recover_after": 3 } });
            let answer = app.post(PATH, &token, body).await.expect(200).json();
            assert_eq!(answer["monitor"], json!({ "id": monitor, "name": "checkout" }));
            assert_eq!(answer["proposed"]["policy"]["recover_after"], 3);
            assert_eq!(answer["proposed"]["policy"]["fail_after"], 2);
            assert_eq!(answer["present"]["policy"]["recover_after"], 2);
            assert_eq!(answer["proposed"]["regions"], json!(["eu-west"]));
            assert_eq!(answer["proposed"]["outages"], json!([]));
            let sent = &answer["sent"]["outages"][0];
            assert_eq!((&sent["verdict"], &sent["scope"]), (&json!("down"), &json!("global")));
            assert_eq!(sent["resolved_at"], Value::Null);
            assert_eq!(answer["read"]["results"], 0);
            let said = answer["unknown"].to_string();
            assert!(said.contains("Nothing is stored"), "{said}");
            assert!(answer["summary"].as_str().unwrap().contains("0 missed"), "{answer}");
        }
    })
    .await;
}

#[tokio::test]
async fn nobody_asks_about_another_organisation() {
    let app = App::new().await;
    let (organisation, _) = app.organisation().await;
    let (_, stranger) = app.organisation().await;
    let (_, monitor) = opened(&app, organisation, "checkout").await;
    for name in [monitor.as_str(), "checkout"] {
        let answer = app.post(PATH, &stranger, json!({ "monitor": name })).await;
        answer.expect(422).names("monitor");
    }
}
