//! What a monitor expects of an answer, rule by rule and in their order.

use crate::serving::{Server, answer, check, ended, failed, ok};
use hyperverge_protocol::outcome::{Outcome, Reason};
use serde_json::{Value, json};

#[tokio::test]
async fn a_body_must_not_hold_a_text_and_must_match_a_pattern() {
    let server = Server::saying(ok("state: up, errors: 12")).await;
    let judged = async |expect: Value| check(&server.url("/"), json!({ "expect": expect })).await;
    ended(&judged(json!({ "body_without": "down" })).await, Outcome::Ok, None);
    ended(&judged(json!({ "body_regex": "errors: [0-9]+$" })).await, Outcome::Ok, None);
    let held = judged(json!({ "body_without": "errors" })).await;
    failed(&held, Reason::Body);
    assert_eq!(held.message, "the body holds a text that it must not hold");
    assert_eq!(held.sample, b"state: up, errors: 12");
    let unmatched = judged(json!({ "body_regex": "errors: [0-9]$" })).await;
    failed(&unmatched, Reason::Body);
    assert_eq!(unmatched.message, "the body does not match the expected pattern");
    let other = json!({ "body": "state", "body_without": "down", "body_regex": "^state: (up|ok)" });
    ended(&judged(other).await, Outcome::Ok, None);
}

#[tokio::test]
async fn a_header_must_be_there_and_match() {
    let server = Server::saying(answer("200 OK", "X-Cache: MISS\r\nX-Cache: HIT\r\n", "")).await;
    let judged = async |headers: Value| {
        check(&server.url("/"), json!({ "expect": { "headers": headers } })).await
    };
    ended(&judged(json!({ "X-Cache": "^HIT$", "content-length": "." })).await, Outcome::Ok, None);
    let missing = judged(json!({ "ETag": "." })).await;
    failed(&missing, Reason::Header);
    assert_eq!(missing.message, "the answer has no header etag");
    let other = judged(json!({ "x-cache": "^STALE" })).await;
    failed(&other, Reason::Header);
    assert_eq!(other.message, "the header x-cache does not match its expected pattern");
}

#[tokio::test]
async fn an_assertion_sees_the_answer() {
    let body = r#"{"status": "degraded", "queue": {"length": 7}}"#;
    let server = Server::saying(answer("201 Made", "Server: test\r\n", body)).await;
    let judged = async |source: &str| check(&server.url("/"), json!({ "assert": [source] })).await;
    for source in [
        r#"response.status == 201 && response.version == "1.1" && response.size == 46"#,
        r#"response.json().queue.length < 10 && response.headers["server"] == "test""#,
        "phases.total < 5000 && has(phases.connect) && !has(phases.tls)",
        "response.body.matches('length\": [0-9]+')",
    ] {
        ended(&judged(source).await, Outcome::Ok, None);
    }
    let seen = judged(r#"response.json().status == "ok""#).await;
    failed(&seen, Reason::Assertion);
    assert_eq!(
        seen.message,
        r#"`response.json().status == "ok"` is false: response.json().status is "degraded""#
    );
    assert_eq!(seen.sample, body.as_bytes());
    let html = Server::saying(ok("<html>")).await;
    let seen = check(&html.url("/"), json!({ "assert": ["response.json().a == 1"] })).await;
    failed(&seen, Reason::Assertion);
    assert!(seen.message.contains("the body is not JSON"), "{}", seen.message);
}

/// The first rule that is broken is the one that is named.
#[tokio::test]
async fn rules_are_judged_in_their_order() {
    let server = Server::saying(answer("500 Oh no", "Server: test\r\n", "text")).await;
    let mut expect = json!({
        "headers": { "server": "^other$" }, "body": "other", "body_without": "text",
        "body_regex": "other",
    });
    let mut judged = async |fixed: &str, value: Value| {
        expect[fixed] = value;
        let more = json!({ "expect": expect, "assert": ["1 == 2"] });
        check(&server.url("/"), more).await
    };
    let reasons = [
        ("status", json!(["204"]), Reason::Status, "answered 500, expected 204"),
        ("status", json!(["500"]), Reason::Header, "the header server"),
        ("headers", json!({}), Reason::Body, "the body does not hold"),
        ("body", json!("text"), Reason::Body, "the body holds a text"),
        ("body_without", json!("other"), Reason::Body, "the body does not match"),
        ("body_regex", json!("text"), Reason::Assertion, "`1 == 2` is false"),
    ];
    for (fixed, value, reason, message) in reasons {
        let seen = judged(fixed, value).await;
        failed(&seen, reason);
        assert!(seen.message.starts_with(message), "{}", seen.message);
    }
}

#[tokio::test]
async fn inverted_rules_fail_where_they_hold() {
    let server = Server::saying(ok("text")).await;
    for (rule, outcome) in [
        (json!({ "assert": ["1 == 2"], "invert": true }), Outcome::Ok),
        (json!({ "assert": ["1 == 1"], "invert": true }), Outcome::Fail),
    ] {
        let seen = check(&server.url("/"), rule).await;
        assert_eq!(seen.outcome, outcome, "{seen:?}");
        assert_eq!(
            seen.sample.is_empty(),
            outcome == Outcome::Ok || seen.reason == Some(Reason::Inverted)
        );
    }
}

#[tokio::test]
async fn json_of_any_depth_is_an_answer_like_any_other() {
    let deep = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let asked = json!({ "assert": ["size(response.json()) == 1"] });
    let server = Server::saying(ok(&deep(100))).await;
    ended(&check(&server.url("/"), asked.clone()).await, Outcome::Ok, None);
    let server = Server::saying(ok(&deep(100_000))).await;
    let seen = check(&server.url("/"), asked).await;
    failed(&seen, Reason::Assertion);
    assert!(seen.message.contains("JSON"), "{}", seen.message);
}
