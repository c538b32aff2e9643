//! What an answer must be.

use crate::serving::{Server, answer, check, ended, failed, ok};
use hyperverge_protocol::outcome::{Outcome, Reason};
use serde_json::json;

#[tokio::test]
async fn a_good_answer_is_ok_and_measured() {
    let server = Server::saying(ok("all is well")).await;
    let seen = check(&server.url("/health"), json!({})).await;
    ended(&seen, Outcome::Ok, None);
    assert_eq!((seen.status, seen.address), (Some(200), Some(server.address)));
    assert_eq!((seen.body_bytes, seen.redirects), (11, 0));
    assert!(seen.sample.is_empty() && seen.certificate_expires_s.is_none());
    let phases = seen.phases;
    assert!(phases.connect.is_some() && phases.processing.is_some() && phases.transfer.is_some());
    assert!(phases.resolve.is_none() && phases.tls.is_none(), "{phases:?}");
}

#[tokio::test]
async fn a_body_may_be_chunked_or_end_with_the_connection() {
    for text in [
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nall\r\n5\r\n good\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\nall good",
        "HTTP/1.0 200 OK\r\n\r\nall good",
        "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\n\r\nall good",
    ] {
        let server = Server::saying(text).await;
        let seen = check(&server.url("/"), json!({ "expect": { "body": "all good" } })).await;
        ended(&seen, Outcome::Ok, None);
        assert_eq!(seen.body_bytes, 8, "{text}");
    }
}

#[tokio::test]
async fn an_unexpected_status_fails_with_a_sample() {
    let server = Server::saying(answer("503 Down", "", &"overloaded ".repeat(500))).await;
    let seen = check(&server.url("/"), json!({})).await;
    failed(&seen, Reason::Status);
    assert_eq!(seen.message, "answered 503, expected 200-299");
    assert_eq!((seen.status, seen.sample.len()), (Some(503), 1_024));
    assert!(seen.sample.starts_with(b"overloaded overloaded"));
    let wanted = json!({ "expect": { "status": ["200-299", "503"] } });
    ended(&check(&server.url("/"), wanted).await, Outcome::Ok, None);
}

#[tokio::test]
async fn a_missing_text_fails() {
    let server = Server::saying(ok("everything is broken")).await;
    let seen = check(&server.url("/"), json!({ "expect": { "body": "all is well" } })).await;
    failed(&seen, Reason::Body);
    assert_eq!(seen.sample, b"everything is broken");
    let found = check(&server.url("/"), json!({ "expect": { "body": "is broken" } })).await;
    ended(&found, Outcome::Ok, None);
}

#[tokio::test]
async fn a_slow_answer_fails_or_degrades() {
    let slow = Server::raw(|mut stream| async move {
        crate::serving::read_request(&mut stream).await;
        tokio::time::sleep(std::time::Duration::from_millis(120)).await;
        drop(tokio::io::AsyncWriteExt::write_all(&mut stream, &ok("late")).await);
    })
    .await;
    let seen = check(&slow.url("/"), json!({ "expect": { "latency": "100ms" } })).await;
    failed(&seen, Reason::Latency);
    let seen = check(&slow.url("/"), json!({ "warn": { "latency": "100ms" } })).await;
    ended(&seen, Outcome::Degraded, Some(Reason::Latency));
    let both = json!({ "warn": { "latency": "1ms" }, "expect": { "latency": "100ms" } });
    failed(&check(&slow.url("/"), both).await, Reason::Latency);
    let seen = check(&slow.url("/"), json!({ "warn": { "latency": "5s" } })).await;
    ended(&seen, Outcome::Ok, None);
}

#[tokio::test]
async fn an_inverted_monitor_wants_the_failure() {
    let server = Server::saying(ok("")).await;
    let seen = check(&server.url("/"), json!({ "invert": true })).await;
    failed(&seen, Reason::Inverted);
    let target = server.url("/");
    drop(server);
    let seen = check(&target, json!({ "invert": true })).await;
    ended(&seen, Outcome::Ok, None);
    // Mistyped, or lapsed: that says nothing of what was meant.
    failed(&check("http://nowhere.test/", json!({ "invert": true })).await, Reason::DnsNxdomain);
}
