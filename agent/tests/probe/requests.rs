//! What a check sends.

use crate::serving::{Server, check, ended, header, ok};
use hyperverge_protocol::outcome::{Outcome, Reason};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

/// The request that a monitor of a path makes.
async fn request_of(path: &str, http: Value) -> String {
    let heard = Arc::new(Mutex::new(String::new()));
    let log = Arc::clone(&heard);
    let server = Server::answering(move |request| {
        request.clone_into(&mut log.lock().expect("the log"));
        ok("")
    })
    .await;
    let seen = check(&server.url(path), json!({ "http": http })).await;
    ended(&seen, Outcome::Ok, None);
    let heard = heard.lock().expect("the log").clone();
    assert_eq!(header(&heard, "host"), Some(server.address.to_string()));
    assert_eq!(header(&heard, "connection").as_deref(), Some("close"));
    heard
}

#[tokio::test]
async fn a_check_says_who_asks() {
    let request = request_of("/a%20b?q=1#part", json!({})).await;
    assert!(request.starts_with("GET /a%20b?q=1 HTTP/1.1\r\n"), "{request}");
    assert_eq!(header(&request, "user-agent").as_deref(), Some("hyperverge-agent/1.2.3"));
    assert_eq!(header(&request, "x-hyperverge-check").as_deref(), Some("shop/eu-west/42"));
}

#[tokio::test]
async fn a_monitor_may_override_or_drop_it() {
    let request = request_of(
        "/",
        json!({ "headers": { "user-agent": "mine", "X-Hyperverge-Check": "", "Accept": "text/html" } }),
    )
    .await;
    assert_eq!(header(&request, "user-agent").as_deref(), Some("mine"));
    assert_eq!(header(&request, "accept").as_deref(), Some("text/html"));
    assert_eq!(header(&request, "x-hyperverge-check"), None);
    let request =
        request_of("/", json!({ "headers": { "User-Agent": "", "X-Hyperverge-Check": "mine" } }))
            .await;
    assert_eq!(header(&request, "user-agent"), None);
    assert_eq!(header(&request, "x-hyperverge-check").as_deref(), Some("mine"));
}

#[tokio::test]
async fn a_body_goes_with_its_length() {
    let request = request_of("/", json!({ "method": "POST", "body": "{\"a\": \"é\"}" })).await;
    assert!(request.starts_with("POST / HTTP/1.1\r\n") && request.ends_with("{\"a\": \"é\"}"));
    assert_eq!(header(&request, "content-length").as_deref(), Some("11"));
    let request = request_of("/", json!({ "method": "DELETE" })).await;
    assert!(request.starts_with("DELETE / HTTP/1.1\r\n"), "{request}");
    assert_eq!(header(&request, "content-length"), None);
    let request = request_of("/", json!({ "method": "POST" })).await;
    assert_eq!(header(&request, "content-length").as_deref(), Some("0"));
}

#[tokio::test]
async fn an_answer_to_head_has_no_body() {
    let server = Server::saying("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n").await;
    let seen = check(&server.url("/"), json!({ "http": { "method": "HEAD" } })).await;
    ended(&seen, Outcome::Ok, None);
    assert_eq!(seen.body_bytes, 0);
}

#[tokio::test]
async fn nothing_secret_is_in_a_message() {
    let http = json!({ "headers": { "Authorization": "hunter2" } });
    let server = Server::saying("HTTP/1.1 500 hunter2\r\nX: hunter2\r\n\r\n").await;
    let seen = check(&server.url("/hunter2?key=hunter2"), json!({ "http": http })).await;
    assert_eq!(seen.reason, Some(Reason::Status));
    assert!(!seen.message.contains("hunter2"), "{}", seen.message);
    let target = server.url("/hunter2?key=hunter2");
    drop(server);
    let seen = check(&target, json!({ "http": http })).await;
    assert!(!seen.message.contains("hunter2"), "{}", seen.message);
}
