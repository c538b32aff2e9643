//! Registering, signing in, staying signed in, and being signed out.

use crate::app::{App, PASSWORD};
use hyperverge_control_plane::auth::Role;
use hyperverge_control_plane::store::users;
use serde_json::{Value, json};

fn credentials(email: &str) -> Value {
    json!({ "email": email, "password": PASSWORD })
}

#[tokio::test]
async fn the_first_to_register_becomes_the_owner_and_nobody_after() {
    let app = App::new().await;
    let (app, mut answers) = (&app, Vec::new());
    let attempts = (0..5).map(async |n| {
        let body = credentials(&format!("User{n}@Example.com"));
        app.post("/api/v1/auth/register", "", body).await
    });
    answers.extend(futures_util::future::join_all(attempts).await);
    let won: Vec<_> = answers.iter().filter(|answer| answer.status == 201).collect();
    assert_eq!(won.len(), 1, "{answers:?}");
    assert!(answers.iter().all(|answer| [201, 403].contains(&answer.status.as_u16())));
    let owner = won[0].json();
    assert_eq!(owner["role"], "owner");
    let email = owner["email"].as_str().unwrap();
    assert_eq!(email, email.to_lowercase());

    let late = app.post("/auth/register", "", credentials("late@example.com")).await.expect(403);
    assert_eq!(late.json()["type"], "urn:hyperverge:problem:forbidden");
    let pair = app.login(email).await;
    assert_eq!(pair["expires_in"], 900);
    assert_eq!(pair["token_type"], "Bearer");
}

#[tokio::test]
async fn what_cannot_be_an_account_is_named_field_by_field() {
    let app = App::new().await;
    let body = json!({ "email": "nobody", "password": "short" });
    app.post("/auth/register", "", body).await.expect(422).names("email").names("password");
    let body = json!({ "email": "a@example.com", "password": "x".repeat(1025) });
    app.post("/auth/register", "", body).await.expect(422).names("password");
    let body = json!({ "email": "a@example.com", "pasword": PASSWORD });
    app.post("/auth/register", "", body).await.expect(422).names("pasword");
    let body = json!({ "email": "a@example.com" });
    app.post("/auth/register", "", body).await.expect(422).names("password");
    app.post("/auth/register", "", credentials("a@example.com")).await.expect(201);
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_account_look_alike_and_slow_down() {
    let app = App::new().await;
    app.post("/auth/register", "", credentials("ann@example.com")).await.expect(201);
    let wrong = json!({ "email": "ann@example.com", "password": "something else" });
    let unknown = json!({ "email": "bob@example.com", "password": "something else" });
    let first = app.post("/auth/login", "", wrong.clone()).await.expect(401).json();
    let refused = app.post("/auth/login", "", wrong).await.expect(429);
    assert!(refused.headers.contains_key("retry-after"));
    let second = app.post("/auth/login", "", unknown).await.expect(401).json();
    assert_eq!(first["detail"], second["detail"]);
}

#[tokio::test]
async fn a_refresh_token_is_good_once_and_its_reuse_ends_the_session() {
    let app = App::new().await;
    app.post("/auth/register", "", credentials("ann@example.com")).await.expect(201);
    let first = app.login("ann@example.com").await;
    let spend = async |pair: &Value| {
        let body = json!({ "refresh_token": pair["refresh_token"] });
        app.post("/auth/refresh", "", body).await
    };
    let second = spend(&first).await.expect(200).json();
    let access = second["access_token"].as_str().unwrap();
    let other = app.login("ann@example.com").await;

    spend(&first).await.expect(401);
    spend(&second).await.expect(401);
    app.post("/auth/logout", access, Value::Null).await.expect(401);
    spend(&other).await.expect(200);
    let garbage = json!({ "refresh_token": "hvr1_nonsense" });
    app.post("/auth/refresh", "", garbage).await.expect(401);
}

#[tokio::test]
async fn logout_and_a_changed_role_hold_at_once() {
    let app = App::new().await;
    let registered =
        app.post("/auth/register", "", credentials("ann@example.com")).await.expect(201).json();
    let pair = app.login("ann@example.com").await;
    let access = pair["access_token"].as_str().unwrap();
    app.post("/auth/logout", access, Value::Null).await.expect(204);
    app.post("/auth/logout", access, Value::Null).await.expect(401);
    let body = json!({ "refresh_token": pair["refresh_token"] });
    app.post("/auth/refresh", "", body).await.expect(401);

    let pair = app.login("ann@example.com").await;
    let id = |name: &str| registered[name].as_str().unwrap().parse().unwrap();
    let mut tx = app.shared.store.begin().await.unwrap();
    let changed = users::change_role(&mut tx, id("organisation_id"), id("id"), Role::Viewer);
    assert!(changed.await.unwrap());
    tx.commit().await.unwrap();
    let access = pair["access_token"].as_str().unwrap();
    app.post("/auth/logout", access, Value::Null).await.expect(401);
    let body = json!({ "refresh_token": pair["refresh_token"] });
    app.post("/auth/refresh", "", body).await.expect(401);
}
