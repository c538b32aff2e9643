//! By which addresses a target is reached.

use crate::serving::{
    Names, Server, check, check_id, context_with, ended, failed, loopback, monitor, ok, redirect,
};
use hyperverge_agent::probe::{self, ProbeSettings};
use hyperverge_protocol::outcome::{Observation, Outcome, Reason};
use serde_json::{Value, json};

async fn check_knowing(names: &[(&str, &[&[&str]])], target: &str, more: Value) -> Observation {
    let context = context_with(ProbeSettings { resolver: Some(Names::of(names)), ..loopback() });
    probe::run(&context, &monitor(target, more), &check_id()).await
}

#[tokio::test]
async fn a_family_is_kept_to() {
    let server = Server::saying(ok("")).await;
    let target = format!("http://dual.test:{}/", server.address.port());
    let names: &[(&str, &[&[&str]])] = &[("dual.test", &[&["::1", "127.0.0.1"]])];
    let seen = check_knowing(names, &target, json!({ "network": { "family": "ipv4" } })).await;
    ended(&seen, Outcome::Ok, None);
    // Nobody listens on ::1, and the other address is not tried.
    let seen = check_knowing(names, &target, json!({ "network": { "family": "ipv6" } })).await;
    assert_ne!(seen.outcome, Outcome::Ok, "{seen:?}");
    assert!(seen.address.is_none_or(|address| address.is_ipv6()), "{seen:?}");
    let names: &[(&str, &[&[&str]])] = &[("dual.test", &[&["127.0.0.1"]])];
    let seen = check_knowing(names, &target, json!({ "network": { "family": "ipv6" } })).await;
    failed(&seen, Reason::DnsNoAddress);
    assert_eq!(seen.message, "dual.test has no IPv6 address");
}

#[tokio::test]
async fn a_family_does_not_hide_a_refused_address() {
    let server = Server::saying(ok("")).await;
    let target = format!("http://mixed.test:{}/", server.address.port());
    let names: &[(&str, &[&[&str]])] = &[("mixed.test", &[&["127.0.0.1", "fd00::1"]])];
    let seen = check_knowing(names, &target, json!({ "network": { "family": "ipv4" } })).await;
    ended(&seen, Outcome::Policy, Some(Reason::PolicyAddress));
}

#[tokio::test]
async fn addresses_stand_in_for_looking_the_name_up() {
    let server = Server::saying(ok("")).await;
    let target = format!("http://nowhere.test:{}/", server.address.port());
    let at = |address: &str| json!({ "network": { "addresses": [address] } });
    let seen = check(&target, at("127.0.0.1")).await;
    ended(&seen, Outcome::Ok, None);
    assert_eq!((seen.address, seen.phases.resolve), (Some(server.address), None));
    for refused in ["10.0.0.1", "::ffff:10.0.0.1", "64:ff9b::a00:1"] {
        let seen = check(&target, at(refused)).await;
        ended(&seen, Outcome::Policy, Some(Reason::PolicyAddress));
        assert!(seen.message.contains(" is not a public address"), "{}", seen.message);
    }
}

#[tokio::test]
async fn addresses_are_for_the_targets_host_alone() {
    let there = Server::saying(ok("there")).await;
    let away = format!("http://away.test:{}/", there.address.port());
    let server = Server::answering(move |request| match request.split(' ').nth(1) {
        Some("/") => redirect(302, "/again"),
        _ => redirect(302, &away),
    })
    .await;
    let target = format!("http://nowhere.test:{}/", server.address.port());
    let names: &[(&str, &[&[&str]])] = &[("away.test", &[&["127.0.0.1"]])];
    let more = json!({ "network": { "addresses": ["127.0.0.1"] }, "expect": { "body": "there" } });
    let seen = check_knowing(names, &target, more.clone()).await;
    ended(&seen, Outcome::Ok, None);
    assert_eq!(seen.redirects, 2);
    failed(&check_knowing(&[], &target, more).await, Reason::DnsNxdomain);
}
