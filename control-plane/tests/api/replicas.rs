//! Many at once, on both back ends: what races in one process races between
//! replicas too, and the database decides.

use crate::app::{App, PASSWORD};
use crate::back_ends::on_both;
use axum::body::Body;
use futures_util::future::join_all;
use http::Request;
use hyperverge_control_plane::auth::Role;
use hyperverge_control_plane::store::Store;
use serde_json::{Value, json};

/// Two replicas over one database, as one installation has them.
fn replicas(store: &Store) -> [App; 2] {
    let first = App::over(store.clone());
    let second = App::beside(&first);
    [first, second]
}

async fn owner(apps: &[App; 2]) -> String {
    let racing = (0..6).map(|n| {
        let body = json!({ "email": format!("u{n}@example.com"), "password": PASSWORD });
        let app = &apps[n % 2];
        async move { (n, app.post("/auth/register", "", body).await.status.as_u16()) }
    });
    let answers = join_all(racing).await;
    let won: Vec<_> = answers.iter().filter(|(_, status)| *status == 201).collect();
    assert_eq!(won.len(), 1, "{answers:?}");
    let pair = apps[0].login(&format!("u{}@example.com", won[0].0)).await;
    pair["access_token"].as_str().unwrap().to_owned()
}

async fn send(
    app: &App,
    token: &str,
    method: &str,
    path: &str,
    header: (&str, &str),
    body: Value,
) -> (u16, String) {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("authorization", format!("Bearer {token}"))
        .header("content-type", "application/json")
        .header(header.0, header.1);
    let answer = app.send(request.body(Body::from(body.to_string())).unwrap()).await;
    (answer.status.as_u16(), answer.text)
}

#[tokio::test]
async fn the_database_decides_every_race() {
    on_both(async |store| {
        let apps = replicas(&store);
        let token = owner(&apps).await;
        let (token, apps) = (token.as_str(), &apps);

        let monitor = json!({ "name": "one", "target": "https://example.com/" });
        let key = ("idempotency-key", "k");
        let made = join_all(
            (0..6).map(|n| send(&apps[n % 2], token, "POST", "/monitors", key, monitor.clone())),
        )
        .await;
        assert!(made.iter().all(|answer| answer == &made[0] && answer.0 == 201), "{made:?}");

        let id = serde_json::from_str::<Value>(&made[0].1).unwrap()["id"].clone();
        let path = format!("/monitors/{}", id.as_str().unwrap());
        let tag = ("if-match", "\"1\"");
        let patched = join_all((0..6).map(|n| {
            let patch = json!({ "interval": format!("{}s", 30 + n) });
            send(&apps[n % 2], token, "PATCH", &path, tag, patch)
        }))
        .await;
        let count = |status: u16| patched.iter().filter(|answer| answer.0 == status).count();
        assert_eq!((count(200), count(412)), (1, 5), "{patched:?}");

        let wanted = json!({ "region": "eu-west" });
        let tokens = join_all(
            (0..4).map(|n| apps[n % 2].post("/api/v1/enrollment-tokens", token, wanted.clone())),
        )
        .await;
        assert!(tokens.iter().all(|answer| answer.status == 201), "{tokens:?}");
        let regions = apps[1].get("/api/v1/regions", token).await.expect(200).json();
        assert_eq!(regions["items"].as_array().unwrap().len(), 1);

        // A session that one replica ends is over on the other.
        apps[0].post("/auth/logout", token, Value::Null).await.expect(204);
        apps[1].get("/monitors", token).await.expect(401);
    })
    .await;
}

#[tokio::test]
async fn every_list_and_read_answers_on_both() {
    on_both(async |store| {
        let app = App::over(store);
        let (organisation, token) = app.organisation().await;
        let (incident, monitor) = crate::incidents::opened(&app, organisation, "checkout").await;
        let agent = crate::fleet::enrolled(&app, organisation, "eu-west").await;
        for path in [
            "monitors".to_owned(),
            "overview".to_owned(),
            "regions".to_owned(),
            "agents".to_owned(),
            "enrollment-tokens".to_owned(),
            "incidents?state=open".to_owned(),
            format!("incidents?monitor={monitor}"),
            format!("incidents/{incident}"),
            format!("incidents/{incident}/timeline"),
            format!("incidents/{incident}/comments"),
            format!("incidents/{incident}/post-mortem"),
            "routes".to_owned(),
            "silences".to_owned(),
            "maintenance-windows".to_owned(),
            format!("monitors/{monitor}"),
            format!("monitors/{monitor}/regions"),
            format!("monitors/{monitor}/results?region=eu-west"),
            format!("agents/{agent}"),
        ] {
            app.get(&format!("/api/v1/{path}"), &token).await.expect(200);
        }
        let path = format!("/api/v1/incidents/{incident}/acknowledge");
        app.post(&path, &token, Value::Null).await.expect(200);
        let path = format!("/monitors/{monitor}");
        app.call(http::Method::DELETE, &path, &token, Value::Null).await.expect(204);
    })
    .await;
}

/// Whatever wins, no route and no monitor is left that names a channel nobody has.
#[tokio::test]
async fn a_channel_does_not_go_while_it_becomes_named() {
    on_both(async |store| {
        let apps = replicas(&store);
        let token = owner(&apps).await;
        let (token, apps) = (token.as_str(), &apps);
        for round in 0..6 {
            let name = format!("c{round}");
            let channel = json!({ "name": name, "kind": "webhook",
                "config": { "url": "https://example.com/" } });
            let made = apps[0].post("/api/v1/channels", token, channel).await.expect(201).json();
            let channel = format!("/api/v1/channels/{}", made["id"].as_str().unwrap());
            let route = json!({ "name": name, "channels": [name] });
            let monitor =
                json!({ "name": name, "target": "https://example.com/", "notify": [name] });
            let (deleted, routed, monitored) = futures_util::join!(
                apps[0].call(http::Method::DELETE, &channel, token, Value::Null),
                apps[1].post("/api/v1/routes", token, route),
                apps[1].post("/monitors", token, monitor),
            );
            let named = routed.status == 201 || monitored.status == 201;
            assert_eq!(deleted.status, if named { 409 } else { 204 }, "{routed:?} {monitored:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn an_incident_has_one_handler_and_no_gaps_in_its_timeline() {
    on_both(async |store| {
        let apps = replicas(&store);
        let (organisation, token) = apps[0].organisation().await;
        let other = apps[0].member(organisation, Role::Editor).await;
        let (incident, _) = crate::incidents::opened(&apps[0], organisation, "checkout").await;
        let path = format!("/api/v1/incidents/{incident}");
        let (acknowledge, comments) = (format!("{path}/acknowledge"), format!("{path}/comments"));
        let acknowledged = join_all((0..6).map(|n| {
            let token = if n % 3 == 0 { &token } else { &other };
            apps[n % 2].post(&acknowledge, token, Value::Null)
        }));
        let written = join_all(
            (0..6).map(|n| apps[n % 2].post(&comments, &token, json!({ "text": format!("{n}") }))),
        );
        let (acknowledged, written) = futures_util::join!(acknowledged, written);
        assert!(written.iter().all(|answer| answer.status == 201), "{written:?}");
        let by = acknowledged[0].json()["acknowledged_by"].clone();
        assert!(by["id"].is_string());
        for answer in acknowledged {
            assert_eq!(answer.expect(200).json()["acknowledged_by"], by);
        }
        let timeline = apps[1].get(&format!("{path}/timeline"), &token).await.expect(200).json();
        let numbers: Vec<i64> = timeline["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|event| event["number"].as_i64().unwrap())
            .collect();
        assert_eq!(numbers, (1..=8).collect::<Vec<_>>(), "one opening, one handler, six comments");
    })
    .await;
}
