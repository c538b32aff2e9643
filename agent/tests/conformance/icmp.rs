//! `kind: icmp` against the kernel's own answers and against a host that
//! answers as a test says, each in a network of its own.

use crate::network::Network;
use hyperverge_agent::probe::icmp::{Right, right_to_ping};
use hyperverge_agent::probe::{self, CheckId, ProbeContext, ProbeSettings};
use hyperverge_protocol::egress::EgressPolicy;
use hyperverge_protocol::monitor::MonitorSpec;
use hyperverge_protocol::outcome::{IcmpFacts, Observation, Outcome, Reason};
use serde_json::{Value, json};

/// Two more hosts in a row behind this one: `router`, and `far` behind it. What
/// the router does not know is unreachable, prohibited or swallowed.
const ROUTED: &str = r#"
    host router; host far
    link near router r0 192.0.2.1/24 192.0.2.2/24 2001:db8:1::1/64 2001:db8:1::2/64
    join router f0 far f1 198.51.100.1/24 198.51.100.2/24 2001:db8:2::1/64 2001:db8:2::2/64
    on router sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv4.icmp_ratelimit=0 net.ipv4.icmp_ratemask=0 net.ipv6.icmp.ratelimit=0
    on router ip link set f0 mtu 1300
    on far ip link set f1 mtu 1300
    on router ip route add unreachable 203.0.113.1
    on router ip route add prohibit 203.0.113.2
    on router ip route add blackhole 203.0.113.3
    on router ip -6 route add unreachable 2001:db8:3::1
    on router ip -6 route add prohibit 2001:db8:3::2
    ip route add default via 192.0.2.2
    ip -6 route add default via 2001:db8:1::2
    on far ip route add default via 198.51.100.1
    on far ip -6 route add default via 2001:db8:2::1
"#;
const PING_SOCKETS: &str = "sysctl -qw 'net.ipv4.ping_group_range=0 0'\n";
/// A network begins with a range that no group is within.
const RAW_SOCKETS: &str = "";

pub(crate) async fn check(target: &str, more: Value) -> Observation {
    let allow = ["0.0.0.0/0", "::/0"].iter().map(|net| net.parse().expect("a network")).collect();
    let settings = ProbeSettings { egress: EgressPolicy { allow }, ..ProbeSettings::default() };
    let context = ProbeContext::new(settings).expect("a context");
    probe::run(&context, &monitor(target, more), &id()).await
}

fn monitor(target: &str, more: Value) -> MonitorSpec {
    let mut spec = json!({
        "name": "gate", "kind": "icmp", "target": target, "timeout": "2s",
        "icmp": { "spacing": "10ms" },
    });
    for (key, value) in more.as_object().expect("an object") {
        spec[key] = value.clone();
    }
    MonitorSpec::from_json(&serde_json::to_vec(&spec).expect("JSON")).expect("a good monitor")
}

fn id() -> CheckId<'static> {
    CheckId { monitor_name: "gate", region: "here", slot: 1 }
}

pub(crate) fn facts(seen: &Observation) -> &IcmpFacts {
    seen.details.as_ref().and_then(|details| details.icmp.as_ref()).expect("facts")
}

#[track_caller]
pub(crate) fn ended(seen: &Observation, outcome: Outcome, reason: Option<Reason>, says: &str) {
    assert_eq!((seen.outcome, seen.reason), (outcome, reason), "{seen:?}");
    assert!(seen.message.contains(says), "{seen:?}");
}

#[track_caller]
fn all_answered(seen: &Observation) {
    ended(seen, Outcome::Ok, None, "");
    let facts = facts(seen);
    assert_eq!((facts.sent, facts.received), (3, 3), "{seen:?}");
    let (min, mean, max) = (facts.min_us, facts.mean_us, facts.max_us);
    assert!(min > Some(0) && min <= mean && mean <= max, "{seen:?}");
    assert!(max < Some(2_000_000) && facts.jitter_us.is_some(), "{seen:?}");
    let processing = seen.phases.processing.expect("measured");
    assert_eq!(Some(processing.as_micros()), mean.map(u128::from));
}

async fn answers() {
    for target in
        ["127.0.0.1", "::1", "192.0.2.2", "2001:db8:1::2", "198.51.100.2", "2001:db8:2::2"]
    {
        let seen = check(target, json!({})).await;
        all_answered(&seen);
        let address = seen.address.expect("an address");
        assert_eq!((address.ip().to_string().as_str(), address.port()), (target, 0));
        // More than the last cable takes in one piece. Over IPv6 the first request for
        // which that is found out is lost, as for everybody.
        let size = if address.is_ipv4() { 1_472 } else { 1_200 };
        let large = check(target, json!({ "icmp": { "spacing": "10ms", "size": size } })).await;
        all_answered(&large);
    }
}

#[test]
fn hosts_answer_through_ping_sockets() {
    Network::new(&[ROUTED, PING_SOCKETS]).run("icmp::hosts_answer_through_ping_sockets", answers);
}

#[test]
fn hosts_answer_through_raw_sockets() {
    Network::new(&[ROUTED, RAW_SOCKETS]).run("icmp::hosts_answer_through_raw_sockets", answers);
}

async fn errors() {
    // Routers may keep error messages back (RFC 1812, 4.3.2.8), and Linux sends at most five
    // at once for such routes: of three requests some are answered, and one answer is enough.
    for (target, says) in [
        ("203.0.113.1", "192.0.2.2 says that the host is unreachable (ICMP type 3, code 1)"),
        ("203.0.113.2", "communication is administratively prohibited (ICMP type 3, code 13)"),
        (
            "2001:db8:3::1",
            "2001:db8:1::2 says that there is no route to the destination (ICMPv6 type 1, code 0)",
        ),
        ("2001:db8:3::2", "communication is administratively prohibited (ICMPv6 type 1, code 1)"),
    ] {
        let icmp = json!({ "packets": 3, "spacing": "1s" });
        let seen = check(target, json!({ "timeout": "10s", "icmp": icmp })).await;
        ended(&seen, Outcome::Fail, Some(Reason::IcmpUnreachable), says);
        assert_eq!((facts(&seen).sent, facts(&seen).received), (3, 0), "{seen:?}");
        assert_eq!(seen.phases.processing, None);
    }
    for (target, says) in [
        ("198.51.100.2", "the time to live was exceeded on the way (ICMP type 11, code 0)"),
        ("2001:db8:2::2", "the hop limit was exceeded on the way (ICMPv6 type 3, code 0)"),
    ] {
        let icmp = |ttl| json!({ "timeout": "30s", "icmp": { "spacing": "10ms", "ttl": ttl } });
        let seen = check(target, icmp(1)).await;
        ended(&seen, Outcome::Fail, Some(Reason::IcmpUnreachable), says);
        all_answered(&check(target, icmp(2)).await);
    }
    for (target, says) in [
        ("198.51.100.2", "the packet must be fragmented, but may not be (ICMP type 3, code 4)"),
        ("2001:db8:2::2", "the packet is too big for the way (ICMPv6 type 2, code 0)"),
    ] {
        let icmp = |size| {
            let icmp = json!({ "spacing": "10ms", "size": size, "dont_fragment": true });
            json!({ "timeout": "30s", "icmp": icmp })
        };
        let seen = check(target, icmp(1_400)).await;
        ended(&seen, Outcome::Fail, Some(Reason::IcmpUnreachable), says);
        all_answered(&check(target, icmp(1_200)).await);
    }
}

#[test]
fn an_error_message_says_who_refused_and_why_through_ping_sockets() {
    let test = "icmp::an_error_message_says_who_refused_and_why_through_ping_sockets";
    Network::new(&[ROUTED, PING_SOCKETS]).run(test, errors);
}

#[test]
fn an_error_message_says_who_refused_and_why_through_raw_sockets() {
    let test = "icmp::an_error_message_says_who_refused_and_why_through_raw_sockets";
    Network::new(&[ROUTED, RAW_SOCKETS]).run(test, errors);
}

#[test]
fn nobody_answers() {
    Network::new(&[ROUTED, PING_SOCKETS]).run("icmp::nobody_answers", || async {
        let seen = check("203.0.113.3", json!({ "timeout": "300ms" })).await;
        let says = "203.0.113.3 answered none of 3 echo requests within 300ms";
        ended(&seen, Outcome::Fail, Some(Reason::IcmpNoReply), says);
        assert_eq!((facts(&seen).sent, facts(&seen).received), (3, 0));
        let seen = check("203.0.113.3", json!({ "timeout": "300ms", "invert": true })).await;
        ended(&seen, Outcome::Ok, None, "");
    });
}

#[test]
fn what_this_host_lacks_is_unsupported() {
    let setup = ["ip link set lo up\n", PING_SOCKETS];
    Network::new(&setup).run("icmp::what_this_host_lacks_is_unsupported", || async {
        for target in ["192.0.2.1", "2001:db8::1"] {
            let seen = check(target, json!({})).await;
            let reason = Some(Reason::UnsupportedFamily);
            ended(&seen, Outcome::Unsupported, reason, "the agent's host has no route to");
        }
        // A name with an address of each family needs only one that can be reached.
        let network = json!({ "addresses": ["2001:db8::1", "127.0.0.1"] });
        all_answered(&check("both.example", json!({ "network": network })).await);
        let network = json!({ "addresses": ["2001:db8::1"], "family": "ipv6" });
        let seen = check("one.example", json!({ "network": network })).await;
        ended(&seen, Outcome::Unsupported, Some(Reason::UnsupportedFamily), "no route");
    });
}

#[test]
fn without_permission_a_target_is_not_down() {
    let setup = ["ip link set lo up\n", RAW_SOCKETS];
    let network = Network::new(&setup).without_capability("net_raw");
    network.run("icmp::without_permission_a_target_is_not_down", || async {
        let seen = check("127.0.0.1", json!({})).await;
        let reason = Some(Reason::UnsupportedPermission);
        ended(&seen, Outcome::Unsupported, reason, "net.ipv4.ping_group_range");
        let failure = right_to_ping().expect_err("no right");
        assert_eq!(failure.message, seen.message);
        assert!(!probe::capabilities().contains(&"probe:icmp".to_owned()));
    });
}

#[test]
fn the_packaged_setting_lets_an_agent_without_capabilities_ping() {
    let shipped = include_str!("../../../packaging/systemd/hyperverge-agent.sysctl");
    // The namespace knows only the group it runs as, so the range is cut to it.
    assert!(shipped.contains("\n-net.ipv4.ping_group_range = 0 2147483647\n"), "{shipped}");
    let setup = ["ip link set lo up\n", PING_SOCKETS];
    let test = "icmp::the_packaged_setting_lets_an_agent_without_capabilities_ping";
    Network::new(&setup).without_capability("all").run(test, || async {
        assert_eq!(right_to_ping(), Ok(Right::PingSockets));
        assert!(probe::capabilities().contains(&"probe:icmp".to_owned()));
        assert!(probe::capabilities().is_sorted());
        all_answered(&check("127.0.0.1", json!({})).await);
        all_answered(&check("::1", json!({})).await);
    });
}

#[test]
fn many_checks_share_a_socket() {
    Network::new(&[ROUTED, PING_SOCKETS]).run("icmp::many_checks_share_a_socket", || async {
        let allow = vec!["0.0.0.0/0".parse().expect("a network")];
        let settings = ProbeSettings { egress: EgressPolicy { allow }, ..ProbeSettings::default() };
        let context = ProbeContext::new(settings).expect("a context");
        let checks = (0..300).map(|number| {
            let context = context.clone();
            tokio::spawn(async move {
                // Good ones, and a few whose errors fail other sends of the same socket;
                // few, since Linux sends at most five error messages at once for such routes.
                let (target, packets) = match number {
                    40 | 90 | 150 | 250 => ("203.0.113.1", 1),
                    even if even % 2 == 0 => ("127.0.0.1", 3),
                    _ => ("198.51.100.2", 3),
                };
                let icmp = json!({ "packets": packets, "spacing": "10ms" });
                let spec = monitor(target, json!({ "timeout": "20s", "icmp": icmp }));
                (target, probe::run(&context, &spec, &id()).await)
            })
        });
        for done in futures_util::future::join_all(checks).await {
            let (target, seen) = done.expect("no panic");
            match target {
                "203.0.113.1" => ended(&seen, Outcome::Fail, Some(Reason::IcmpUnreachable), ""),
                _ => all_answered(&seen),
            }
        }
        let descriptors = std::fs::read_dir("/proc/self/fd").expect("proc").count();
        assert!(descriptors < 40, "{descriptors} descriptors");
    });
}
