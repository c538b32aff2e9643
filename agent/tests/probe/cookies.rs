//! Cookies and credentials along a chain of redirects.

use crate::serving::{
    Names, Server, answer, check_id, context_with, ended, header, loopback, monitor, ok,
};
use hyperverge_agent::probe::{self, ProbeSettings};
use hyperverge_protocol::outcome::{Observation, Outcome};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

/// A server that redirects along `/0`, `/1`, … with what `headers` says of each
/// step, and what it was asked.
async fn chain(steps: Vec<String>) -> (Server, Arc<Mutex<Vec<String>>>) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&asked);
    let server = Server::answering(move |request| {
        log.lock().expect("the log").push(request.to_owned());
        let path = request.split(' ').nth(1).unwrap_or_default();
        match path.trim_start_matches('/').parse().ok().and_then(|step: usize| steps.get(step)) {
            Some(headers) => answer("302 Found", headers, ""),
            None => ok("the end"),
        }
    })
    .await;
    (server, asked)
}

async fn check(target: &str, http: Value) -> Observation {
    let resolver =
        Names::of(&[("a.example.test", &[&["127.0.0.1"]]), ("b.example.test", &[&["127.0.0.1"]])]);
    let context = context_with(ProbeSettings { resolver: Some(resolver), ..loopback() });
    probe::run(&context, &monitor(target, json!({ "http": http })), &check_id()).await
}

fn cookies(asked: &Mutex<Vec<String>>) -> Vec<Option<String>> {
    asked.lock().expect("the log").iter().map(|request| header(request, "cookie")).collect()
}

#[tokio::test]
async fn what_an_answer_sets_goes_along_and_no_further() {
    let (server, asked) = chain(vec![
        "Location: /1\r\nSet-Cookie: session=1; HttpOnly\r\nSet-Cookie: secure=1; Secure\r\n"
            .into(),
        "Location: /2\r\nSet-Cookie: session=2\r\nSet-Cookie: in=1; Path=/in\r\n".into(),
        "Location: /in/x\r\nSet-Cookie: session=; Max-Age=0\r\n".into(),
    ])
    .await;
    for _ in 0..2 {
        let target = format!("http://a.example.test:{}/0", server.address.port());
        ended(&check(&target, json!({})).await, Outcome::Ok, None);
        let sent = cookies(&asked);
        let sent: Vec<&str> = sent.iter().map(|sent| sent.as_deref().unwrap_or("")).collect();
        assert_eq!(sent, ["", "session=1", "session=2", "in=1"]);
        // A check remembers nothing of the one before.
        asked.lock().expect("the log").clear();
    }
}

#[tokio::test]
async fn a_cookie_keeps_to_its_domain() {
    let (there, heard) = chain(Vec::new()).await;
    for (attribute, crosses) in [
        ("", false),
        ("; Domain=example.test", true),
        ("; Domain=.example.test", true),
        ("; Domain=test", false),
        ("; Domain=b.example.test", false),
    ] {
        let away = format!("http://b.example.test:{}/x", there.address.port());
        let (server, _) =
            chain(vec![format!("Location: {away}\r\nSet-Cookie: s=1{attribute}\r\n")]).await;
        let target = format!("http://a.example.test:{}/0", server.address.port());
        ended(&check(&target, json!({})).await, Outcome::Ok, None);
        let sent = cookies(&heard).pop().expect("a request");
        assert_eq!(sent.as_deref(), crosses.then_some("s=1"), "{attribute}");
    }
}

#[tokio::test]
async fn the_monitors_own_cookie_stays() {
    let (server, asked) = chain(vec!["Location: /1\r\nSet-Cookie: s=1\r\n".into()]).await;
    let own = json!({ "headers": { "Cookie": "mine=0" } });
    ended(&check(&server.url("/0"), own).await, Outcome::Ok, None);
    let sent = cookies(&asked);
    assert_eq!(sent[0].as_deref(), Some("mine=0"));
    assert_eq!(sent[1].as_deref(), Some("mine=0; s=1"));
}

#[tokio::test]
async fn a_flood_of_cookies_is_bounded() {
    let flood: String = (0..90).map(|n| format!("Set-Cookie: c{n}=12345678\r\n")).collect();
    let (server, asked) = chain(vec![format!("Location: /1\r\n{flood}")]).await;
    ended(&check(&server.url("/0"), json!({})).await, Outcome::Ok, None);
    let sent = cookies(&asked).pop().flatten().expect("cookies");
    assert_eq!(sent.split("; ").count(), 64, "{sent}");
}

#[tokio::test]
async fn credentials_are_for_the_targets_origin() {
    let (there, heard) = chain(Vec::new()).await;
    for (auth, value) in [
        (json!({ "basic": { "username": "mo", "password": "p:ä" } }), "Basic bW86cDrDpA=="),
        (json!({ "basic": { "username": "", "password": "" } }), "Basic Og=="),
        (json!({ "bearer": "abc.DEF==" }), "Bearer abc.DEF=="),
    ] {
        let (server, asked) =
            chain(vec!["Location: /1\r\n".into(), format!("Location: {}\r\n", there.url("/x"))])
                .await;
        ended(&check(&server.url("/0"), json!({ "auth": auth })).await, Outcome::Ok, None);
        let of = |asked: &Mutex<Vec<String>>| -> Vec<Option<String>> {
            let asked = asked.lock().expect("the log");
            asked.iter().map(|request| header(request, "authorization")).collect()
        };
        assert_eq!(of(&asked), [Some(value.to_owned()), Some(value.to_owned())]);
        assert_eq!(of(&heard).pop(), Some(None));
    }
}
