//! `kind: tcp`, and `kind: tls` after a dialogue in the clear, against nginx,
//! aiosmtpd and PostgreSQL.

use crate::http_site::{NAME, Site, id};
use crate::servers::{Authority, Daemon, free_port};
use hyperverge_agent::probe::{self, ProbeContext, ProbeSettings};
use hyperverge_protocol::egress::EgressPolicy;
use hyperverge_protocol::monitor::MonitorSpec;
use hyperverge_protocol::outcome::{Observation, Outcome, Reason};
use serde_json::{Value, json};
use std::net::SocketAddr;

async fn check(context: &ProbeContext, kind: &str, target: &str, more: Value) -> Observation {
    let mut spec = json!({
        "name": "tcp", "kind": kind, "target": target, "timeout": "20s",
        "network": { "addresses": ["127.0.0.1"] },
    });
    for (key, value) in more.as_object().expect("an object") {
        spec[key] = value.clone();
    }
    let spec = MonitorSpec::from_json(&serde_json::to_vec(&spec).expect("JSON"));
    probe::run(context, &spec.expect("a good monitor"), &id()).await
}

#[track_caller]
fn ended(seen: &Observation, outcome: Outcome, reason: Option<Reason>) {
    assert_eq!((seen.outcome, seen.reason), (outcome, reason), "{seen:?}");
}

#[track_caller]
fn failed(seen: &Observation, reason: Reason) {
    ended(seen, Outcome::Fail, Some(reason));
}

fn asking(path: &str, wanted: Value) -> Value {
    let request = format!("GET {path} HTTP/1.1\r\nHost: {NAME}\r\n\r\n");
    json!([{ "send": request }, wanted])
}

#[tokio::test]
async fn every_way_an_answer_can_go_has_its_own_reason() {
    let site = Site::nginx().await;
    let context = site.context();
    for (address, tls) in [(site.plain, false), (site.old, true)] {
        let target = format!("{NAME}:{}", address.port());
        let spec = |path: &str, wanted: Value, timeout: &str| json!({ "timeout": timeout, "tcp": { "tls": tls, "steps": asking(path, wanted) } });
        let well = || json!({ "expect": "all is well\n" });
        for (path, wanted, timeout, reason) in [
            ("/", well(), "20s", None),
            ("/", json!({ "expect_hex": hex::encode("all is well") }), "20s", None),
            ("/", json!({ "expect_regex": "^HTTP/1\\.1 200 OK\r\n" }), "20s", None),
            ("/down", well(), "1s", Some(Reason::Response)),
            ("/gone", well(), "20s", Some(Reason::ResetProcessing)),
            ("/hung", well(), "1s", Some(Reason::TimeoutProcessing)),
            ("/half", well(), "1s", Some(Reason::TimeoutTransfer)),
        ] {
            let seen = check(&context, "tcp", &target, spec(path, wanted, timeout)).await;
            let outcome = if reason.is_some() { Outcome::Fail } else { Outcome::Ok };
            assert_eq!((seen.outcome, seen.reason), (outcome, reason), "{path} {seen:?}");
            assert_eq!(seen.phases.tls.is_some(), tls);
            assert!(seen.phases.processing.is_some(), "{path} {seen:?}");
            assert_eq!(seen.details.is_some(), tls);
        }
    }
    let target = format!("{NAME}:{}", site.plain.port());
    let seen = check(&context, "tcp", &target, json!({})).await;
    ended(&seen, Outcome::Ok, None);
    // Who does not speak TLS cannot shake hands.
    failed(&check(&context, "tls", &target, json!({})).await, Reason::TlsHandshake);
    let nobody = format!("{NAME}:{}", free_port());
    for kind in ["tcp", "tls"] {
        failed(&check(&context, kind, &nobody, json!({})).await, Reason::ConnectRefused);
    }
}

/// aiosmtpd with STARTTLS, from the tests' Python.
fn smtp(authority: &Authority, at: SocketAddr) -> Daemon {
    let python = std::env::var("HYPERVERGE_TEST_PYTHON").expect("see scripts/test-environment");
    let dir = tempfile::tempdir().expect("a folder");
    authority.issue_into(dir.path(), &[NAME]);
    let at_text = at.to_string();
    let args =
        ["-m", "aiosmtpd", "-n", "-l", &at_text, "--tlscert", "cert.pem", "--tlskey", "key.pem"];
    Daemon::start(&python, &args, dir, &[at])
}

#[tokio::test]
async fn mail_begins_in_the_clear() {
    let authority = Authority::new();
    let at = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let _smtp = smtp(&authority, at);
    let settings = ProbeSettings {
        egress: EgressPolicy { allow: vec!["127.0.0.0/8".parse().expect("a network")] },
        ca_pem: Some(authority.pem().into_bytes()),
        ..ProbeSettings::default()
    };
    let context = ProbeContext::new(settings).expect("a context");
    let target = format!("{NAME}:{}", at.port());
    let starttls = json!({ "tls": { "starttls": "smtp" } });
    let seen = check(&context, "tls", &target, starttls).await;
    ended(&seen, Outcome::Ok, None);
    let facts = seen.details.expect("details").tls.expect("facts");
    assert_eq!((facts.issuer.as_str(), facts.version.as_str()), ("Test Authority", "1.3"));
    assert!(seen.phases.processing.is_some() && seen.phases.transfer.is_some());
    // The dialogue goes on above TLS, by section `tls` or step by step.
    let steps = json!([
        { "expect_regex": "^220 " }, { "send": "EHLO probe.test\r\n" }, { "expect": "STARTTLS" },
        { "send": "STARTTLS\r\n" }, { "expect": "220 " }, "starttls",
        { "send": "EHLO probe.test\r\n" }, { "expect": "250 " }, { "send": "QUIT\r\n" }, { "expect": "221 " }
    ]);
    ended(
        &check(&context, "tcp", &target, json!({ "tcp": { "steps": steps } })).await,
        Outcome::Ok,
        None,
    );
    let after = json!({
        "tls": { "starttls": "smtp" },
        "tcp": { "steps": [{ "send": "NOOP\r\n" }, { "expect_regex": "^250 " }] },
    });
    ended(&check(&context, "tcp", &target, after).await, Outcome::Ok, None);
    let other = json!({ "tls": { "starttls": "imap" } });
    failed(&check(&context, "tls", &target, other).await, Reason::Starttls);
}

#[tokio::test]
async fn a_database_without_tls_refuses_it() {
    let url = std::env::var("HYPERVERGE_TEST_POSTGRES_URL").expect("see scripts/test-environment");
    let url = url::Url::parse(&url).expect("a URL");
    let target = format!("{NAME}:{}", url.port().unwrap_or(5432));
    let settings = ProbeSettings {
        egress: EgressPolicy { allow: vec!["127.0.0.0/8".parse().expect("a network")] },
        ..ProbeSettings::default()
    };
    let context = ProbeContext::new(settings).expect("a context");
    ended(&check(&context, "tcp", &target, json!({})).await, Outcome::Ok, None);
    let starttls = json!({ "tls": { "starttls": "postgres" } });
    let seen = check(&context, "tls", &target, starttls).await;
    failed(&seen, Reason::Starttls);
    assert!(seen.message.ends_with("is a PostgreSQL server without TLS"), "{seen:?}");
}
