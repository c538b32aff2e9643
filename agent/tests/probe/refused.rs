//! Hosts that no probe reaches, however they are written and wherever they come
//! from: as a target, as where a redirect leads, as an address to use, as a proxy.

use crate::serving::{
    Names, Server, check, check_id, context, context_with, ended, loopback, monitor, redirect,
};
use hyperverge_agent::probe::{self, ProbeSettings};
use hyperverge_protocol::monitor::MonitorSpec;
use hyperverge_protocol::outcome::{Observation, Outcome, Reason};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

/// As they would stand behind `http://`.
const HOSTS: &[&str] = &[
    "[::ffff:169.254.169.254]",
    "[::ffff:a9fe:a9fe]",
    "[64:ff9b::a9fe:a9fe]",
    "[2002:a9fe:a9fe::]",
    "[2001:0:a9fe:a9fe::1]",
    "[2001:0:5ef5:79fd::5601:5601]",
    "2852039166",
    "0xa9fea9fe",
    "0251.0376.0251.0376",
    "0",
    "[::]",
    "[fe80::1%25eth0]",
    "[febf::1]",
    "[fec0::1]",
    "10.0.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "100.64.0.1",
    "100.127.255.255",
    "169.254.0.1",
    "192.0.0.192",
    "192.0.2.1",
    "198.18.0.1",
    "203.0.113.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "168.63.129.16",
    "100.100.100.200",
    "[fd00:ec2::254]",
    "[fc00::1]",
    "[ff02::1]",
    "[2001:db8::1]",
    "metadata.google.internal",
    "example.com:pass@169.254.169.254",
    "169.254.169.254#.office.com",
    "169.254.169.254?.office.com",
    "169.254.169.254/latest/meta-data/#",
    "１６９.２５４.１６９.２５４",
    "169。254。169。254",
    "169.254.169.254%00.example.com",
    "/10.0.0.1",
];

/// These are loopback, which the tests' context may reach; another may not.
const LOOPBACK: &[&str] = &[
    "127.0.0.1",
    "127.1",
    "0177.0.0.1",
    "0x7f000001",
    "localhost.",
    "api.localhost",
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[::ffff:127.0.0.1]",
];

const TEXTS: &[&str] = &[
    "//host",
    "http:///x",
    "file:///etc/passwd",
    "gopher://h:70/_x",
    "ftp://h/",
    "javascript:alert(1)",
    "data:text/html,x",
    "http://h/%00",
    "http://h\\@10.0.0.1/",
    "http://a b/",
    "http://h:99999/",
];

/// A monitor that nobody checked.
fn unchecked(spec: &Value) -> MonitorSpec {
    serde_json::from_value(spec.clone()).expect("a monitor's shape")
}

/// The check ended here, by a rule, before anything was connected to.
#[track_caller]
fn stayed_here(seen: &Observation, what: &str) {
    let by_rule = matches!(
        (seen.outcome, seen.reason),
        (Outcome::Policy, Some(Reason::PolicyAddress))
            | (Outcome::Unsupported, Some(Reason::UnsupportedSpec))
    );
    assert!(by_rule && seen.address.is_none(), "{what}: {seen:?}");
}

#[tokio::test]
async fn as_a_target() {
    let context = context();
    let strict = context_with(ProbeSettings { egress: Default::default(), ..loopback() });
    let targets = HOSTS.iter().map(|host| (&context, format!("http://{host}/")));
    let loopback = LOOPBACK.iter().map(|host| (&strict, format!("http://{host}/")));
    let texts = TEXTS.iter().map(|text| (&context, (*text).to_owned()));
    for (context, target) in targets.chain(loopback).chain(texts) {
        for http in [json!({}), json!({ "version": "3" }), json!({ "proxy": "http://127.0.0.1:9" })]
        {
            let spec = unchecked(&json!({ "name": "shop", "target": target, "http": http }));
            stayed_here(&probe::run(context, &spec, &check_id()).await, &target);
            let secure = unchecked(&json!({
                "name": "shop", "target": target.replacen("http:", "https:", 1), "http": http,
            }));
            stayed_here(&probe::run(context, &secure, &check_id()).await, &target);
        }
    }
}

#[tokio::test]
async fn as_where_a_redirect_leads() {
    let hosts = HOSTS.iter().map(|host| format!("http://{host}/"));
    let relative = HOSTS.iter().map(|host| format!("//{host}/"));
    // `//host` is a good location; `http:///x` and a backslash are repaired as
    // browsers do, and what comes out is a host that is judged like any other.
    let repaired = |text: &str| ["//host", "///x", "\\"].iter().any(|part| text.contains(part));
    let texts = TEXTS.iter().filter(|text| !repaired(text));
    let texts = texts.map(|text| (*text).to_owned());
    for location in hosts.chain(relative).chain(texts) {
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let away = location.clone();
        let server = Server::answering(move |_| {
            count.fetch_add(1, SeqCst);
            redirect(302, &away)
        })
        .await;
        let seen = check(&server.url("/"), json!({})).await;
        let refused = matches!(
            (seen.outcome, seen.reason),
            (Outcome::Policy, Some(Reason::PolicyAddress))
                | (Outcome::Fail, Some(Reason::RedirectInvalid))
        );
        assert!(refused, "{location}: {seen:?}");
        assert_eq!((seen.redirects, seen.address), (0, Some(server.address)), "{location}");
        assert_eq!(asked.load(SeqCst), 1, "{location}");
    }
}

#[tokio::test]
async fn as_an_address_to_use_or_a_proxy() {
    let context = context();
    for host in HOSTS {
        let bare = host.trim_matches(['[', ']']);
        if bare.parse::<std::net::IpAddr>().is_ok() {
            let spec = unchecked(&json!({
                "name": "shop", "target": "http://far.test/", "network": { "addresses": [bare] },
            }));
            stayed_here(&probe::run(&context, &spec, &check_id()).await, host);
        }
        for scheme in ["http", "https", "socks5"] {
            let spec = unchecked(&json!({
                "name": "shop", "target": "http://far.test/",
                "http": { "proxy": format!("{scheme}://{host}:3128") },
            }));
            let what = format!("{scheme} {host}");
            stayed_here(&probe::run(&context, &spec, &check_id()).await, &what);
        }
    }
}

#[tokio::test]
async fn a_name_is_asked_once_for_each_connection_and_judged_each_time() {
    let server = Server::answering(|_| redirect(302, "/again")).await;
    let resolver = Names::of(&[("rebind.test", &[&["127.0.0.1"], &["10.0.0.1"]])]);
    let context = context_with(ProbeSettings { resolver: Some(resolver), ..loopback() });
    let target = format!("http://rebind.test:{}/", server.address.port());
    let seen = probe::run(&context, &monitor(&target, json!({})), &check_id()).await;
    ended(&seen, Outcome::Policy, Some(Reason::PolicyAddress));
    assert_eq!((seen.redirects, seen.status), (1, Some(302)));
}
