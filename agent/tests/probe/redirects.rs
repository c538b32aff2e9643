//! Redirects: followed by rule, or not at all.

use crate::serving::{Server, check, ended, failed, header, ok, redirect};
use hyperverge_protocol::outcome::{Outcome, Reason};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

/// A server that redirects `/` to `location` and answers everything else with
/// 200; and what it was asked.
async fn redirecting(status: u16, location: &str) -> (Server, Arc<Mutex<Vec<String>>>) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let (log, location) = (Arc::clone(&asked), location.to_owned());
    let server = Server::answering(move |request| {
        log.lock().expect("the log").push(request.to_owned());
        if request.split(' ').nth(1) == Some("/") {
            redirect(status, &location)
        } else {
            ok("there")
        }
    })
    .await;
    (server, asked)
}

/// A server that notes what it was asked and answers 200.
async fn listening() -> (Server, Arc<Mutex<Vec<String>>>) {
    redirecting(200, "").await
}

#[tokio::test]
async fn a_location_may_be_relative_or_whole() {
    for location in ["/next", "next", "?q=1", "./a/../next#part"] {
        let (server, asked) = redirecting(302, location).await;
        let seen = check(&server.url("/"), json!({ "expect": { "body": "there" } })).await;
        ended(&seen, Outcome::Ok, None);
        assert_eq!((seen.redirects, seen.status), (1, Some(200)), "{location}");
        let last = asked.lock().expect("the log").pop().expect("a request");
        assert!(!last.contains("part"), "a fragment is never sent: {last}");
    }
    let (there, _) = listening().await;
    let (server, _) = redirecting(308, &there.url("/whole")).await;
    let seen = check(&server.url("/"), json!({ "expect": { "body": "there" } })).await;
    ended(&seen, Outcome::Ok, None);
    assert_eq!(seen.address, Some(there.address));
}

#[tokio::test]
async fn without_redirects_the_first_answer_is_the_answer() {
    let (server, _) = redirecting(302, "/next").await;
    let none = json!({ "redirects": 0 });
    let seen = check(&server.url("/"), json!({ "http": none })).await;
    failed(&seen, Reason::Status);
    assert_eq!(seen.status, Some(302));
    let seen =
        check(&server.url("/"), json!({ "http": none, "expect": { "status": ["302"] } })).await;
    ended(&seen, Outcome::Ok, None);
}

#[tokio::test]
async fn what_only_looks_like_a_redirect_is_an_answer() {
    for text in [
        &b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n"[..],
        &redirect(304, "/next"),
        &redirect(300, "/next"),
    ] {
        let server = Server::saying(text).await;
        failed(&check(&server.url("/"), json!({})).await, Reason::Status);
    }
}

#[tokio::test]
async fn a_loop_ends_at_the_limit() {
    for (location, limit) in [("/", 5), ("/", 1)] {
        let (server, asked) = redirecting(302, location).await;
        let seen = check(&server.url("/"), json!({ "http": { "redirects": limit } })).await;
        failed(&seen, Reason::RedirectLimit);
        assert_eq!(seen.redirects, limit);
        assert_eq!(asked.lock().expect("the log").len(), usize::from(limit) + 1);
    }
}

#[tokio::test]
async fn a_location_must_keep_the_rules_of_a_target() {
    for location in [
        "ftp://example.com/",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "http://user@example.com/",
        "http://user:secret@example.com/",
        "http://[fe80::1%25eth0]/",
        "http://",
        "http://a..b/",
        "http://example.com:0/",
        "http://example.com/%00",
        "\u{fffd}\u{0}",
    ] {
        let (server, _) = redirecting(302, &location.replace('\0', "")).await;
        let seen = check(&server.url("/"), json!({})).await;
        if location.starts_with('\u{fffd}') {
            ended(&seen, Outcome::Ok, None);
        } else {
            failed(&seen, Reason::RedirectInvalid);
            assert!(!seen.message.contains("secret"), "{}", seen.message);
        }
    }
}

#[tokio::test]
async fn a_location_in_another_charset_leads_to_its_bytes() {
    // `listening` takes text, and these are none.
    let redirecting_to = async |location: &'static [u8]| {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&asked);
        let server = Server::answering(move |request| {
            let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
            let first = path == "/";
            log.lock().expect("the log").push(path);
            let moved = [b"HTTP/1.1 302 Found\r\nLocation: ", location, b"\r\n\r\n"].concat();
            if first { moved } else { ok("there") }
        })
        .await;
        (server, asked)
    };
    for (location, path) in [
        (&b"/caf\xe9?q=\xfc%20x"[..], "/caf%E9?q=%FC%20x"),
        (b"/\xff\xfe", "/%FF%FE"),
        // Text in UTF-8, and then it is not.
        (b"/\xc3\xa9/\xe9", "/%C3%A9/%E9"),
        ("/caf\u{e9}".as_bytes(), "/caf%C3%A9"),
    ] {
        let (server, asked) = redirecting_to(location).await;
        let seen = check(&server.url("/"), json!({ "expect": { "body": "there" } })).await;
        ended(&seen, Outcome::Ok, None);
        assert_eq!(*asked.lock().expect("the log"), ["/", path]);
    }
    // No name is made of such bytes.
    let (server, _) = redirecting_to(b"http://caf\xe9.test/").await;
    failed(&check(&server.url("/"), json!({})).await, Reason::RedirectInvalid);
}

#[tokio::test]
async fn a_redirect_into_a_refused_address_is_policy_not_failure() {
    for location in [
        "http://169.254.169.254/latest/meta-data/",
        "http://10.0.0.1/",
        "http://2852039166/",
        "//169.254.169.254/",
        "http://[::ffff:a9fe:a9fe]/",
        "http:\\\\169.254.169.254/",
        "http://metadata.google.internal/",
    ] {
        let (server, _) = redirecting(302, location).await;
        let seen = check(&server.url("/"), json!({})).await;
        ended(&seen, Outcome::Policy, Some(Reason::PolicyAddress));
        assert_eq!(seen.redirects, 0);
    }
}

#[tokio::test]
async fn methods_change_as_in_a_browser() {
    for (status, method, then, body) in [
        (301, "POST", "GET", ""),
        (302, "POST", "GET", ""),
        (303, "POST", "GET", ""),
        (303, "PUT", "GET", ""),
        (307, "POST", "POST", "x=1"),
        (308, "POST", "POST", "x=1"),
        (302, "PUT", "PUT", "x=1"),
        (303, "HEAD", "HEAD", ""),
        (302, "GET", "GET", ""),
        (301, "HEAD", "HEAD", ""),
    ] {
        let (server, asked) = redirecting(status, "/next").await;
        let sends = if matches!(method, "GET" | "HEAD") { Value::Null } else { json!("x=1") };
        let http = json!({ "method": method, "body": sends });
        ended(&check(&server.url("/"), json!({ "http": http })).await, Outcome::Ok, None);
        let last = asked.lock().expect("the log").pop().expect("a request");
        assert!(
            last.starts_with(&format!("{then} /next HTTP/1.1\r\n")),
            "{status} {method}: {last}"
        );
        assert!(last.ends_with(&format!("\r\n\r\n{body}")), "{status} {method}: {last}");
    }
}

#[tokio::test]
async fn nothing_a_monitor_set_goes_to_another_origin() {
    let secret = json!({ "headers": {
        "Authorization": "Bearer hunter2", "Cookie": "session=hunter2", "X-Api-Key": "hunter2",
        "User-Agent": "hunter2",
    } });
    let (there, heard) = listening().await;
    let (server, asked) = redirecting(302, &there.url("/next")).await;
    ended(&check(&server.url("/"), json!({ "http": secret })).await, Outcome::Ok, None);
    assert_eq!(asked.lock().expect("the log")[0].matches("hunter2").count(), 4);
    let request = heard.lock().expect("the log").pop().expect("a request");
    assert!(!request.contains("hunter2"), "{request}");
    assert_eq!(header(&request, "user-agent").as_deref(), Some("hyperverge-agent/1.2.3"));
    assert_eq!(header(&request, "host"), Some(there.address.to_string()));
    // Within the origin they stay.
    let (server, asked) = redirecting(302, "/next").await;
    ended(&check(&server.url("/"), json!({ "http": secret })).await, Outcome::Ok, None);
    assert_eq!(asked.lock().expect("the log")[1].matches("hunter2").count(), 4);
}

#[tokio::test]
async fn what_a_monitor_dropped_stays_dropped_elsewhere() {
    let (there, heard) = listening().await;
    let (server, _) = redirecting(302, &there.url("/next")).await;
    let http = json!({ "headers": { "User-Agent": "", "X-Hyperverge-Check": "" } });
    ended(&check(&server.url("/"), json!({ "http": http })).await, Outcome::Ok, None);
    let request = heard.lock().expect("the log").pop().expect("a request");
    for name in ["user-agent", "x-hyperverge-check"] {
        assert_eq!(header(&request, name), None, "{request}");
    }
}

#[tokio::test]
async fn a_way_back_does_not_bring_the_headers_back() {
    let back = Arc::new(Mutex::new(String::new()));
    let target = Arc::clone(&back);
    let middle = Server::answering(move |_| redirect(302, &target.lock().expect("set"))).await;
    let (away, asked) = (middle.url("/"), Arc::new(Mutex::new(Vec::new())));
    let log = Arc::clone(&asked);
    let server = Server::answering(move |request| {
        log.lock().expect("the log").push(request.to_owned());
        match request.split(' ').nth(1) {
            Some("/") => redirect(302, &away),
            Some("/home") => redirect(302, "/end"),
            _ => ok("there"),
        }
    })
    .await;
    *back.lock().expect("set") = server.url("/home");
    let http = json!({ "headers": { "Authorization": "hunter2" } });
    let seen = check(&server.url("/"), json!({ "http": http })).await;
    ended(&seen, Outcome::Ok, None);
    let asked = asked.lock().expect("the log");
    assert!(asked[0].contains("hunter2"));
    for (request, path) in asked[1..].iter().zip(["/home", "/end"]) {
        assert!(request.starts_with(&format!("GET {path} ")), "{request}");
        assert!(!request.contains("hunter2"), "{request}");
    }
    assert_eq!(asked.len(), 3);
}

#[tokio::test]
async fn a_body_is_not_carried_to_another_origin() {
    let (there, heard) = listening().await;
    let (server, _) = redirecting(307, &there.url("/next")).await;
    let http = json!({ "method": "POST", "body": "password=hunter2" });
    let seen = check(&server.url("/"), json!({ "http": http })).await;
    failed(&seen, Reason::RedirectInvalid);
    assert!(heard.lock().expect("the log").is_empty());
}
