//! `kind: http` against nginx and Caddy.

use crate::http_site::{NAME, Site, id};
use crate::servers::free_port;
use hyperverge_agent::probe;
use hyperverge_protocol::monitor::MonitorSpec;
use hyperverge_protocol::outcome::{Observation, Outcome, Reason};
use serde_json::{Value, json};
use std::net::SocketAddr;

#[track_caller]
fn ended(seen: &Observation, outcome: Outcome, reason: Option<Reason>) {
    assert_eq!((seen.outcome, seen.reason), (outcome, reason), "{seen:?}");
}

#[track_caller]
fn failed(seen: &Observation, reason: Reason) {
    ended(seen, Outcome::Fail, Some(reason));
}

fn version(seen: &Observation) -> &str {
    let http = seen.details.as_ref().and_then(|details| details.http.as_ref());
    http.map_or("", |http| &http.version)
}

fn spoken(version: &str) -> Value {
    json!({ "http": { "version": version }, "expect": { "body": "all is well" } })
}

/// Every way to speak to either server: scheme, address, version forced, version spoken.
fn ways(site: &Site, with_3: bool) -> Vec<(&'static str, SocketAddr, &'static str, &'static str)> {
    let mut ways = vec![
        ("http", site.plain, "auto", "1.1"),
        ("http", site.plain, "1.1", "1.1"),
        ("https", site.secure, "auto", "2"),
        ("https", site.secure, "1.1", "1.1"),
        ("https", site.secure, "2", "2"),
    ];
    if with_3 {
        ways.push(("http", site.plain, "2", "2"));
        ways.push(("https", site.secure, "3", "3"));
    }
    ways
}

/// What must be seen in every version, against both servers.
async fn behaves(site: &Site, with_3: bool) {
    for (scheme, address, force, speaks) in ways(site, with_3) {
        let of = |more: Value| {
            let mut all = json!({ "http": { "version": force } });
            for (key, value) in more.as_object().expect("an object") {
                all[key] = value.clone();
            }
            all
        };
        let seen = site.check(scheme, address, "/", spoken(force)).await;
        ended(&seen, Outcome::Ok, None);
        assert_eq!((version(&seen), seen.status), (speaks, Some(200)), "{seen:?}");
        let phases = seen.phases;
        assert_eq!(phases.tls.is_some(), scheme == "https", "{phases:?}");
        assert_eq!(phases.connect.is_some(), speaks != "3", "{phases:?}");
        assert!(phases.processing.is_some() && phases.transfer.is_some(), "{phases:?}");
        assert_eq!(seen.certificate_expires_s.is_some(), scheme == "https");

        let seen = site.check(scheme, address, "/down", of(json!({}))).await;
        failed(&seen, Reason::Status);
        assert_eq!((seen.status, seen.sample.starts_with(b"down")), (Some(503), true), "{seen:?}");
        let wrong = of(json!({ "expect": { "body": "all is lost" } }));
        failed(&site.check(scheme, address, "/", wrong).await, Reason::Body);
        let seen = site.check(scheme, address, "/moved", of(json!({}))).await;
        ended(&seen, Outcome::Ok, None);
        assert_eq!((seen.redirects, version(&seen)), (1, speaks));
        let seen = site.check(scheme, address, "/gone", of(json!({}))).await;
        // In HTTP/3, this Caddy says 500 instead of nothing.
        let gone = if speaks == "3" { Reason::Status } else { Reason::ResetProcessing };
        failed(&seen, gone);
        let seen = site.check(scheme, address, "/broken", of(json!({}))).await;
        failed(&seen, Reason::ResetTransfer);
        let hurried = of(json!({ "timeout": "700ms" }));
        let seen = site.check(scheme, address, "/hung", hurried.clone()).await;
        failed(&seen, Reason::TimeoutProcessing);
        let seen = site.check(scheme, address, "/half", hurried).await;
        failed(&seen, Reason::TimeoutTransfer);
        assert_eq!(seen.sample, b"the first half", "{seen:?}");
        let seen = site.check(scheme, address, "/endless", of(json!({}))).await;
        ended(&seen, Outcome::Ok, None);
        assert_eq!(seen.body_bytes, 1024 * 1024);
        let posted = json!({ "http": { "version": force, "method": "HEAD" } });
        let seen = site.check(scheme, address, "/", posted).await;
        ended(&seen, Outcome::Ok, None);
        assert_eq!(seen.body_bytes, 0);
    }
    let nobody = SocketAddr::from(([127, 0, 0, 1], free_port()));
    for (scheme, force) in [("http", "auto"), ("http", "2"), ("https", "2")] {
        let seen = site.check(scheme, nobody, "/", spoken(force)).await;
        failed(&seen, Reason::ConnectRefused);
    }
}

#[tokio::test]
async fn nginx_in_every_version_it_speaks() {
    behaves(&Site::nginx().await, false).await;
}

#[tokio::test]
async fn caddy_in_every_version_it_speaks() {
    behaves(&Site::caddy().await, true).await;
}

#[tokio::test]
async fn a_version_that_a_server_does_not_speak() {
    let site = Site::nginx().await;
    let seen = site.check("https", site.old, "/", spoken("auto")).await;
    ended(&seen, Outcome::Ok, None);
    assert_eq!(version(&seen), "1.1");
    for (scheme, address) in [("https", site.old), ("http", site.plain)] {
        let seen = site.check(scheme, address, "/", spoken("2")).await;
        failed(&seen, Reason::HttpVersion);
    }
    // Nobody listens on this port over UDP.
    let mut hurried = spoken("3");
    hurried["timeout"] = json!("500ms");
    failed(&site.check("https", site.secure, "/", hurried).await, Reason::TimeoutTls);
}

#[tokio::test]
async fn certificates_are_verified_in_every_version() {
    let site = Site::caddy().await;
    for force in ["1.1", "2", "3"] {
        let other = json!({ "http": { "version": force }, "tls": { "server_name": "other.test" } });
        let seen = site.check("https", site.secure, "/", other).await;
        failed(&seen, Reason::TlsWrongHost);
        let stranger = crate::servers::Authority::new();
        let ca = json!({ "http": { "version": force }, "tls": { "ca": stranger.pem() } });
        let seen = site.check("https", site.secure, "/", ca).await;
        failed(&seen, Reason::TlsUnknownIssuer);
        let seen = site.check("https", site.secure, "/", spoken(force)).await;
        let tls = seen.details.as_ref().and_then(|details| details.tls.as_ref()).expect("facts");
        assert_eq!((tls.version.as_str(), tls.fingerprint.len()), ("1.3", 64), "{tls:?}");
        let lax = json!({ "http": { "version": force, "verify": false }, "tls": { "server_name": "other.test" } });
        ended(&site.check("https", site.secure, "/", lax).await, Outcome::Ok, None);
    }
}

#[tokio::test]
async fn a_client_certificate_lets_in() {
    let site = Site::nginx().await;
    let dir = tempfile::tempdir().expect("a folder");
    site.authority.issue_into(dir.path(), &["agent.test"]);
    let read = |name: &str| std::fs::read_to_string(dir.path().join(name)).expect(name);
    for force in ["1.1", "2"] {
        let with = json!({
            "http": { "version": force }, "expect": { "body": "all is well" },
            "tls": { "certificate": read("cert.pem"), "key": read("key.pem") },
        });
        let seen = site.check("https", site.members, "/", with).await;
        ended(&seen, Outcome::Ok, None);
        // nginx lets anyone shake hands and says no in HTTP.
        let seen = site.check("https", site.members, "/", spoken(force)).await;
        failed(&seen, Reason::Status);
        assert_eq!(seen.status, Some(400));
    }
}

#[tokio::test]
async fn a_compressed_answer_is_judged_decoded() {
    let site = Site::nginx().await;
    for (scheme, address) in [("http", site.plain), ("https", site.secure)] {
        for compression in [true, false] {
            let more = json!({
                "http": { "compression": compression },
                "expect": {
                    "body": "over and over again",
                    "headers": if compression { json!({ "content-encoding": "^gzip$" }) } else { json!({}) },
                },
            });
            let seen = site.check(scheme, address, "/text", more).await;
            ended(&seen, Outcome::Ok, None);
            assert_eq!(seen.body_bytes, 33 * 3_000, "{seen:?}");
        }
        let limit = json!({ "http": { "compression": true, "body_limit": 1_000 } });
        let seen = site.check(scheme, address, "/text", limit).await;
        ended(&seen, Outcome::Ok, None);
        assert_eq!(seen.body_bytes, 1_000);
    }
}

#[tokio::test]
async fn user_and_password_let_in() {
    let site = Site::nginx().await;
    let pair = |password: &str| {
        let basic = json!({ "username": "mo", "password": password });
        json!({ "http": { "auth": { "basic": basic } } })
    };
    for (scheme, address) in [("http", site.plain), ("https", site.secure)] {
        ended(&site.check(scheme, address, "/private", pair("secret")).await, Outcome::Ok, None);
        let seen = site.check(scheme, address, "/private", pair("guess")).await;
        failed(&seen, Reason::Status);
        assert_eq!(seen.status, Some(401));
    }
}

#[tokio::test]
async fn a_server_sees_who_asks() {
    let site = Site::nginx().await;
    for (scheme, address) in [("http", site.plain), ("https", site.secure)] {
        let expected = format!("|site/here/7|{NAME}");
        let seen =
            site.check(scheme, address, "/agent", json!({ "expect": { "body": expected } })).await;
        ended(&seen, Outcome::Ok, None);
        let nameless = json!({
            "http": { "identify": false }, "expect": { "body": format!("||{NAME}") },
        });
        ended(&site.check(scheme, address, "/agent", nameless).await, Outcome::Ok, None);
    }
}

#[tokio::test]
async fn redirects_lead_from_one_server_to_the_other() {
    let caddy = Site::caddy().await;
    let dir = tempfile::tempdir().expect("a folder");
    let here = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let there = caddy.secure.port();
    let server = format!("server {{ listen {here}; return 301 https://127.0.0.1:{there}/; }}");
    let _nginx = crate::servers::nginx(dir, &server, &[here]);
    let spec = json!({
        "name": "site", "target": format!("http://{here}/"), "expect": { "body": "all is well" },
    });
    let spec = MonitorSpec::from_json(spec.to_string().as_bytes()).expect("a good monitor");
    let seen = probe::run(&caddy.context(), &spec, &id()).await;
    ended(&seen, Outcome::Ok, None);
    assert_eq!((seen.redirects, version(&seen)), (1, "2"), "{seen:?}");
}
