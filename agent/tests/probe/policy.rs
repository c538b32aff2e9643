//! Where a probe may not go, however it is asked to.

use crate::serving::{
    Names, Server, check, check_id, context_with, egress, ended, failed, loopback, monitor, ok,
};
use hyperverge_agent::probe::{self, ProbeContext, ProbeSettings};
use hyperverge_protocol::outcome::{Observation, Outcome, Reason};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

async fn check_in(context: &ProbeContext, target: &str) -> Observation {
    probe::run(context, &monitor(target, json!({})), &check_id()).await
}

fn refused(seen: &Observation) {
    ended(seen, Outcome::Policy, Some(Reason::PolicyAddress));
    assert!(seen.address.is_none() && seen.phases.connect.is_none(), "{seen:?}");
}

/// A server that counts who connects.
async fn counting() -> (Server, Arc<AtomicUsize>) {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let server = Server::answering(move |_| {
        counted.fetch_add(1, SeqCst);
        ok("")
    })
    .await;
    (server, count)
}

#[tokio::test]
async fn private_addresses_are_refused_unless_listed() {
    let (server, connects) = counting().await;
    let port = server.address.port();
    let strict = context_with(ProbeSettings { egress: egress(&[]), ..loopback() });
    for host in
        ["127.0.0.1", "127.1", "2130706433", "[::ffff:127.0.0.1]", "localhost", "a.localhost."]
    {
        refused(&check_in(&strict, &format!("http://{host}:{port}/")).await);
    }
    assert_eq!(connects.load(SeqCst), 0);
    for host in ["127.0.0.1", "127.1", "[::ffff:127.0.0.1]", "localhost", "a.localhost."] {
        let seen = check(&format!("http://{host}:{port}/"), json!({})).await;
        ended(&seen, Outcome::Ok, None);
    }
}

#[tokio::test]
async fn one_bad_address_refuses_the_name() {
    let (server, connects) = counting().await;
    let resolver = Names::of(&[
        ("good.test", &[&["127.0.0.1"]]),
        ("mixed.test", &[&["127.0.0.1", "10.0.0.1"]]),
        ("metadata.test", &[&["169.254.169.254"]]),
        ("mapped.test", &[&["::ffff:169.254.169.254"]]),
        ("nat64.test", &[&["64:ff9b::a9fe:a9fe"]]),
    ]);
    let context = context_with(ProbeSettings { resolver: Some(resolver), ..loopback() });
    let target = |name: &str| format!("http://{name}.test:{}/", server.address.port());
    for name in ["mixed", "metadata", "mapped", "nat64"] {
        let seen = check_in(&context, &target(name)).await;
        refused(&seen);
        // What stands behind a name here is nothing to whoever made the monitor.
        let message = format!(
            "{name}.test resolves to an address that this agent's host does not allow ([egress])"
        );
        assert_eq!((seen.message, seen.address), (message, None));
    }
    assert_eq!(connects.load(SeqCst), 0);
    let seen = check_in(&context, &target("good")).await;
    ended(&seen, Outcome::Ok, None);
    assert!(seen.phases.resolve.is_some());
    failed(&check_in(&context, &target("none")).await, Reason::DnsNxdomain);
}

#[tokio::test]
async fn a_name_that_is_rebound_is_judged_again() {
    let (server, connects) = counting().await;
    let resolver = Names::of(&[("rebind.test", &[&["127.0.0.1"], &["10.0.0.1"]])]);
    let context = context_with(ProbeSettings { resolver: Some(resolver), ..loopback() });
    let target = format!("http://rebind.test:{}/", server.address.port());
    ended(&check_in(&context, &target).await, Outcome::Ok, None);
    refused(&check_in(&context, &target).await);
    assert_eq!(connects.load(SeqCst), 1);
}

#[tokio::test]
async fn the_next_address_is_tried_when_one_refuses() {
    let (server, _) = counting().await;
    // Nothing listens on this port of the other addresses.
    let resolver = Names::of(&[("dual.test", &[&["127.0.0.9", "127.0.0.1", "::1"]])]);
    let context = context_with(ProbeSettings { resolver: Some(resolver), ..loopback() });
    let seen = check_in(&context, &format!("http://dual.test:{}/", server.address.port())).await;
    ended(&seen, Outcome::Ok, None);
    assert_eq!(seen.address, Some(server.address));
}
