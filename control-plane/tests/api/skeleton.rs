//! What holds for every answer: form of errors, headers, limits.

use crate::app::App;
use axum::body::Body;
use http::header::CONTENT_TYPE;
use http::{Method, Request};
use serde_json::{Value, json};

#[tokio::test]
async fn an_unknown_path_and_a_wrong_method_are_problems() {
    let app = App::new().await;
    let answer = app.get("/nowhere", "").await.expect(404);
    let problem = answer.json();
    assert_eq!(answer.headers[CONTENT_TYPE], "application/problem+json");
    assert_eq!(problem["status"], 404);
    assert_eq!(problem["type"], "urn:hyperverge:problem:not-found");
    assert_eq!(problem["instance"], answer.headers["x-request-id"].to_str().unwrap());
    let answer = app.call(Method::PUT, "/auth/login", "", json!({})).await.expect(405);
    assert_eq!(answer.headers["allow"], "POST");
    assert_eq!(answer.json()["title"], "Method not allowed");
}

#[tokio::test]
async fn every_answer_carries_the_security_headers_and_an_id() {
    let app = App::new().await;
    let request = Request::get("/nowhere").header("x-request-id", "from-the-client.1");
    let answer = app.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.headers["x-request-id"], "from-the-client.1");
    assert_eq!(answer.headers["x-content-type-options"], "nosniff");
    let policy = answer.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"));
    assert!(!answer.headers.contains_key("strict-transport-security"));
    let request = Request::get("/nowhere").header("x-request-id", "<script>");
    let answer = app.send(request.body(Body::empty()).unwrap()).await;
    assert_ne!(answer.headers["x-request-id"], "<script>");
}

#[tokio::test]
async fn a_body_that_is_too_large_not_json_or_not_called_so_is_refused() {
    let app = App::new().await;
    let post = async |kind: &'static str, body: Vec<u8>| {
        let request = Request::post("/auth/login").header(CONTENT_TYPE, kind);
        app.send(request.body(Body::from(body)).unwrap()).await
    };
    let large = post("application/json", vec![b' '; 1024 * 1024 + 1]).await.expect(413);
    assert_eq!(large.json()["type"], "urn:hyperverge:problem:too-large");
    post("text/plain", b"{}".to_vec()).await.expect(415);
    post("application/json", b"{".to_vec()).await.expect(400);
    post("application/json", b"[]".to_vec()).await.expect(400);
    let deep = post("application/json", vec![b'['; 100_000]).await.expect(400);
    assert!(deep.json()["detail"].as_str().unwrap().len() < 500);
}

#[tokio::test]
async fn another_sites_page_may_not_write() {
    let app = App::new().await;
    let request = Request::post("/auth/login")
        .header("sec-fetch-site", "cross-site")
        .header(CONTENT_TYPE, "application/json");
    app.send(request.body(Body::from("{}")).unwrap()).await.expect(403);
}

#[tokio::test]
async fn requests_are_counted_by_status() {
    let app = App::new().await;
    app.get("/nowhere", "").await.expect(404);
    let metrics = app.shared.metrics.render().unwrap();
    assert!(metrics.contains("http_requests_total{status=\"404\"} 1"), "{metrics}");
    assert!(metrics.contains("http_request_duration_seconds_count 1"));
}

#[tokio::test]
async fn without_a_good_token_nothing_is_answered() {
    let app = App::new().await;
    for token in ["", "abc", "a.b.c"] {
        let answer = app.post("/auth/logout", token, Value::Null).await.expect(401);
        assert_eq!(answer.headers["www-authenticate"], "Bearer");
    }
}
