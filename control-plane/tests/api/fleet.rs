//! Regions, enrolment tokens and agents.

use crate::app::App;
use axum::body::Body;
use http::{Method, Request};
use hyperverge_control_plane::clock;
use hyperverge_control_plane::params;
use hyperverge_control_plane::store::agents::{self, NewAgent};
use hyperverge_control_plane::store::{regions, tokens};
use hyperverge_protocol::token::{EnrollmentToken, secret_hash};
use serde_json::{Value, json};
use uuid::Uuid;

/// Enrols an agent as the gateway does; its id.
pub(crate) async fn enrolled(app: &App, organisation: Uuid, region: &str) -> String {
    let mut tx = app.shared.store.begin().await.unwrap();
    let now = tx.now().await.unwrap();
    let region = regions::ensure(&mut tx, organisation, clock::new_id(), region, now)
        .await
        .unwrap()
        .unwrap();
    let id = format!("{:0>64}", clock::new_id().simple());
    let agent = NewAgent {
        organisation_id: organisation,
        id: &id,
        public_key: &[1; 32],
        region_id: region.id,
        host_name: "probe-1",
        version: "0.1.0",
    };
    agents::enroll(&mut tx, &agent, now).await.unwrap();
    tx.commit().await.unwrap();
    id
}

#[tokio::test]
async fn a_token_carries_what_an_agent_needs_and_is_kept_as_a_hash() {
    let app = App::new().await;
    let (organisation, token) = app.organisation().await;
    let wanted = json!({ "region": "eu-west", "expires_in": "10m" });
    let made = app.post("/api/v1/enrollment-tokens", &token, wanted).await.expect(201).json();
    let text = made["token"].as_str().unwrap();
    let parsed = EnrollmentToken::parse(text).unwrap();
    assert_eq!((parsed.region.as_str(), parsed.addresses.len()), ("eu-west", 1));
    let link = hex::encode(app.shared.keys.link().verifying_key().as_bytes());
    assert_eq!(parsed.link_keys, [link]);

    let mut tx = app.shared.store.begin().await.unwrap();
    let hash = secret_hash(&parsed.secret().unwrap()).to_vec();
    let stored = tokens::lock_by_secret(&mut tx, hash).await.unwrap().unwrap();
    assert_eq!(stored.organisation, organisation);
    drop(tx);
    let list = app.get("/api/v1/enrollment-tokens", &token).await.expect(200);
    assert!(!list.text.contains(text) && !list.text.contains("hvt1_"));
    assert_eq!(list.json()["items"][0]["region"], "eu-west");
    let regions = app.get("/api/v1/regions", &token).await.expect(200).json();
    assert_eq!(regions["items"][0]["name"], "eu-west");

    let path = format!("/api/v1/enrollment-tokens/{}", made["id"].as_str().unwrap());
    app.call(Method::DELETE, &path, &token, Value::Null).await.expect(204);
    app.call(Method::DELETE, &path, &token, Value::Null).await.expect(404);
}

#[tokio::test]
async fn a_repeated_create_shows_the_same_token_which_is_not_stored_in_the_clear() {
    let app = App::new().await;
    let (organisation, token) = app.organisation().await;
    let send = async || {
        let request = Request::post("/api/v1/enrollment-tokens")
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", "application/json")
            .header("idempotency-key", "once");
        app.send(request.body(Body::from(r#"{"region":"eu-west"}"#)).unwrap()).await.expect(201)
    };
    let (first, second) = (send().await, send().await);
    assert_eq!(first.text, second.text);
    let mut tx = app.shared.store.read().await.unwrap();
    let stored = hyperverge_control_plane::store::idempotency::find(&mut tx, organisation, "once");
    let stored = stored.await.unwrap().unwrap();
    assert!(!stored.body.contains("hvt1_") && !stored.body.is_empty());
}

#[tokio::test]
async fn a_region_in_use_is_not_retired_and_a_retired_one_comes_back() {
    let app = App::new().await;
    let (organisation, token) = app.organisation().await;
    let region = app.post("/api/v1/regions", &token, json!({ "name": "eu-west" })).await;
    let region = region.expect(201).json();
    let path = format!("/api/v1/regions/{}", region["id"].as_str().unwrap());
    let monitor = json!({ "name": "m", "target": "https://example.com", "regions": ["eu-west"] });
    let made = app.post("/monitors", &token, monitor).await.expect(201).json();
    let refused = app.call(Method::DELETE, &path, &token, Value::Null).await.expect(409);
    assert!(refused.json()["detail"].as_str().unwrap().contains("monitors name it: m"));
    let monitor = format!("/monitors/{}", made["id"].as_str().unwrap());
    app.call(Method::DELETE, &monitor, &token, Value::Null).await.expect(204);

    let agent = enrolled(&app, organisation, "eu-west").await;
    app.call(Method::DELETE, &path, &token, Value::Null).await.expect(409);
    let revoke = format!("/api/v1/agents/{agent}/revoke");
    let revoked = app.post(&revoke, &token, Value::Null).await.expect(200).json();
    assert_eq!(revoked["state"], "revoked");
    app.call(Method::DELETE, &path, &token, Value::Null).await.expect(204);
    app.call(Method::DELETE, &path, &token, Value::Null).await.expect(404);
    let wanted = json!({ "region": "eu-west" });
    app.post("/api/v1/enrollment-tokens", &token, wanted).await.expect(422).names("region");
    let monitor = json!({ "name": "m", "target": "https://example.com", "regions": ["eu-west"] });
    app.post("/monitors", &token, monitor).await.expect(422).names("regions[0]");

    let back = app.post("/api/v1/regions", &token, json!({ "name": "eu-west" })).await;
    assert_eq!(back.expect(201).json()["id"], region["id"]);
    app.post("/api/v1/regions", &token, json!({ "name": "eu-west" })).await.expect(409);
}

#[tokio::test]
async fn agents_are_listed_with_their_last_heartbeat() {
    let app = App::new().await;
    let (organisation, token) = app.organisation().await;
    let id = enrolled(&app, organisation, "eu-west").await;
    let mut tx = app.shared.store.begin().await.unwrap();
    let heard = "UPDATE agents SET last_heartbeat_at = 1769860800123 WHERE id = $1";
    tx.execute(heard, params![&id]).await.unwrap();
    tx.commit().await.unwrap();
    let list = app.get("/api/v1/agents", &token).await.expect(200).json();
    let agent = &list["items"][0];
    assert_eq!((&agent["id"], &agent["region"]), (&json!(id), &json!("eu-west")));
    assert_eq!(agent["state"], "enrolled");
    assert_eq!(agent["last_heartbeat_at"], "2026-01-31T12:00:00.123Z");
    assert!(agent["lost_at"].is_null());
    let one = app.get(&format!("/api/v1/agents/{id}"), &token).await.expect(200).json();
    assert_eq!(&one, agent);
}
