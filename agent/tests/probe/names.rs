//! The system resolver against a real name server on loopback.

use crate::serving::{Server, check_id, context_with, ended, failed, loopback, monitor, ok};
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::proto::op::{Message, ResponseCode};
use hickory_resolver::proto::rr::rdata::{A, AAAA, CNAME, NS};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use hyperverge_agent::probe::resolve::SystemResolver;
use hyperverge_agent::probe::{self, ProbeContext, ProbeSettings};
use hyperverge_protocol::outcome::{Observation, Outcome, Reason};
use serde_json::json;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::{TcpSocket, UdpSocket};
use tokio::sync::mpsc;

/// What the name server knows: a code, and records of the type that was asked for.
fn zone(name: &Name, kind: RecordType) -> Option<(ResponseCode, Vec<Record>)> {
    let a = |text: &str| RData::A(A(text.parse().expect("an address")));
    let aaaa = |text: &str| RData::AAAA(AAAA(text.parse().expect("an address")));
    let alias = |to: &str| RData::CNAME(CNAME(Name::from_ascii(to).expect("a name")));
    let text = name.to_ascii().to_ascii_lowercase();
    let (code, records) = match (text.trim_end_matches('.'), kind) {
        ("good.test" | "sub.good.test" | "v4.test", RecordType::A) => {
            (ResponseCode::NoError, vec![a("127.0.0.1")])
        }
        ("mixed.test", RecordType::A) => (ResponseCode::NoError, vec![a("127.0.0.1")]),
        ("mixed.test", RecordType::AAAA) => (ResponseCode::NoError, vec![aaaa("fd00::1")]),
        ("good.test" | "mixed.test" | "v4.test" | "empty.test", _) => {
            (ResponseCode::NoError, Vec::new())
        }
        ("alias.test", RecordType::A) => {
            let target = Name::from_ascii("inside.test.").expect("a name");
            let records = vec![record(name, alias("inside.test.")), record(&target, a("10.0.0.1"))];
            return Some((ResponseCode::NoError, records));
        }
        ("alias.test", _) => (ResponseCode::NoError, vec![alias("inside.test.")]),
        ("inside.test", RecordType::A) => (ResponseCode::NoError, vec![a("10.0.0.1")]),
        (ring, _) if ring.starts_with("ring") => {
            // Eight names, each an alias of the next.
            let number: u32 = ring[4..5].parse().expect("a digit");
            (ResponseCode::NoError, vec![alias(&format!("ring{}.test.", (number + 1) % 8))])
        }
        ("loop.test", _) => (ResponseCode::NoError, vec![alias("pool.test.")]),
        ("pool.test", _) => (ResponseCode::NoError, vec![alias("loop.test.")]),
        ("half.test", RecordType::A) => (ResponseCode::ServFail, Vec::new()),
        ("half.test", _) => (ResponseCode::NoError, Vec::new()),
        ("lame6.test", RecordType::A) => (ResponseCode::NoError, vec![a("127.0.0.1")]),
        ("lame6.test", _) => (ResponseCode::ServFail, Vec::new()),
        ("broken.test", _) => (ResponseCode::ServFail, Vec::new()),
        ("refused.test", _) => (ResponseCode::Refused, Vec::new()),
        ("silent.test", _) => return None,
        ("", RecordType::NS) => {
            let server = NS(Name::from_ascii("root.test.").expect("a name"));
            (ResponseCode::NoError, vec![RData::NS(server)])
        }
        _ => (ResponseCode::NXDomain, Vec::new()),
    };
    Some((code, records.into_iter().map(|data| record(name, data)).collect()))
}

fn record(name: &Name, data: RData) -> Record {
    Record::from_rdata(name.clone(), 0, data)
}

/// Answers from [`zone`] until the test is over.
async fn name_server() -> SocketAddr {
    serving(zone).await
}

/// Answers as `zone` says until the test is over.
async fn serving(
    zone: impl Fn(&Name, RecordType) -> Option<(ResponseCode, Vec<Record>)> + Send + 'static,
) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a free port");
    let address = socket.local_addr().expect("its address");
    tokio::spawn(async move {
        let mut buffer = [0; 4096];
        while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
            let Ok(asked) = Message::from_vec(&buffer[..length]) else { continue };
            let query = asked.queries[0].clone();
            let Some((code, records)) = zone(query.name(), query.query_type()) else { continue };
            let mut answer = Message::response(asked.metadata.id, asked.metadata.op_code);
            answer.metadata.response_code = code;
            answer.metadata.recursion_available = true;
            answer.add_query(query);
            answer.add_answers(records);
            let bytes = answer.to_vec().expect("an answer");
            drop(socket.send_to(&bytes, from).await);
        }
    });
    address
}

/// Resolves by asking `server` alone.
fn asking(server: SocketAddr, mut by: ConnectionConfig) -> ProbeContext {
    by.port = server.port();
    let server = NameServerConfig::new(server.ip(), true, vec![by]);
    let resolver = SystemResolver::with_config(ResolverConfig::from_name_servers(vec![server]));
    context_with(ProbeSettings { resolver: Some(Arc::new(resolver)), ..loopback() })
}

async fn check_name(context: &ProbeContext, name: &str, port: u16) -> Observation {
    let spec = monitor(&format!("http://{name}:{port}/"), json!({ "timeout": "2s" }));
    let seen = probe::run(context, &spec, &check_id()).await;
    assert!(seen.phases.resolve.is_some(), "{seen:?}");
    seen
}

#[tokio::test]
async fn a_name_is_looked_up_and_reached() {
    let server = Server::saying(ok("")).await;
    let context = asking(name_server().await, ConnectionConfig::udp());
    for name in ["good.test", "v4.test.", "GOOD.test", "lame6.test"] {
        let seen = check_name(&context, name, server.address.port()).await;
        ended(&seen, Outcome::Ok, None);
        assert_eq!(seen.address, Some(server.address));
    }
}

#[tokio::test]
async fn each_trouble_with_a_name_has_its_reason() {
    let context = asking(name_server().await, ConnectionConfig::udp());
    for (name, reason) in [
        // Nobody was heard of yet; that they answer others is found out meanwhile.
        ("silent.test", Reason::TimeoutResolve),
        ("none.test", Reason::DnsNxdomain),
        ("empty.test", Reason::DnsNoAddress),
        ("broken.test", Reason::DnsServfail),
        // No IPv6 address, and the server of the other ones failed.
        ("half.test", Reason::DnsServfail),
        ("refused.test", Reason::DnsRefused),
        ("silent.test", Reason::TimeoutResolve),
    ] {
        let seen = check_name(&context, name, 80).await;
        failed(&seen, reason);
        assert!(seen.address.is_none() && seen.phases.connect.is_none(), "{seen:?}");
    }
}

#[tokio::test]
async fn name_servers_of_ours_that_are_silent_accuse_no_target() {
    let silent = UdpSocket::bind("127.0.0.1:0").await.expect("a free port");
    let context = asking(silent.local_addr().expect("its address"), ConnectionConfig::udp());
    // Nobody is asked for this one, so its answer shows nothing of them.
    failed(&check_name(&context, "a.invalid", 80).await, Reason::DnsNxdomain);
    let seen = check_name(&context, "good.test", 80).await;
    ended(&seen, Outcome::Unsupported, Some(Reason::AgentFault));
}

#[tokio::test]
async fn name_servers_of_ours_that_serve_nobody_accuse_no_target() {
    for code in [ResponseCode::Refused, ResponseCode::ServFail] {
        let names = serving(move |_, _| Some((code, Vec::new()))).await;
        let context = asking(names, ConnectionConfig::udp());
        // The second time somebody was heard, but nobody was served.
        for _ in 0..2 {
            let seen = check_name(&context, "good.test", 80).await;
            ended(&seen, Outcome::Unsupported, Some(Reason::AgentFault));
        }
    }
}

#[tokio::test]
async fn name_servers_of_ours_that_serve_others_accuse_the_one_name() {
    for (name, reason) in
        [("refused.test", Reason::DnsRefused), ("broken.test", Reason::DnsServfail)]
    {
        // Nobody was heard of yet.
        let context = asking(name_server().await, ConnectionConfig::udp());
        failed(&check_name(&context, name, 80).await, reason);
    }
    // Whoever was served lately shows it too, even where the root is refused.
    let names = serving(|name, kind| match name.is_root() {
        true => Some((ResponseCode::Refused, Vec::new())),
        false => zone(name, kind),
    })
    .await;
    let context = asking(names, ConnectionConfig::udp());
    let seen = check_name(&context, "refused.test", 80).await;
    ended(&seen, Outcome::Unsupported, Some(Reason::AgentFault));
    failed(&check_name(&context, "none.test", 80).await, Reason::DnsNxdomain);
    failed(&check_name(&context, "refused.test", 80).await, Reason::DnsRefused);
}

#[tokio::test]
async fn a_doubt_about_our_name_servers_ends_with_the_check() {
    let names =
        serving(|name, _| (!name.is_root()).then_some((ResponseCode::Refused, Vec::new()))).await;
    let context = asking(names, ConnectionConfig::udp());
    let spec = monitor("http://good.test/", json!({ "timeout": "300ms" }));
    let seen = probe::run(&context, &spec, &check_id()).await;
    ended(&seen, Outcome::Unsupported, Some(Reason::AgentFault));
    assert!(seen.phases.resolve < Some(Duration::from_secs(1)), "{seen:?}");
}

#[tokio::test]
async fn a_lost_question_fails_nobody_who_asks_the_same() {
    let server = Server::saying(ok("")).await;
    let (lost, mut losses) = mpsc::unbounded_channel();
    let seen_kinds = Mutex::new(BTreeSet::new());
    // The first question about each type is lost.
    let names = serving(move |name, kind| {
        if seen_kinds.lock().expect("the types").insert(kind.to_string()) {
            lost.send(kind).expect("the test waits");
            return None;
        }
        zone(name, kind)
    })
    .await;
    let context = asking(names, ConnectionConfig::udp());
    // Time stands still for as long as this thread waits, so that nothing is asked again.
    let (go_on, wait) = std::sync::mpsc::channel::<()>();
    let waits = tokio::task::spawn_blocking(move || wait.recv());
    tokio::time::pause();
    let port = server.address.port();
    let unlucky = check_name(&context, "good.test", port);
    let other = async {
        for _ in [RecordType::A, RecordType::AAAA] {
            losses.recv().await.expect("a loss");
        }
        check_name(&context, "good.test", port).await
    };
    tokio::select! {
        seen = other => ended(&seen, Outcome::Ok, None),
        seen = unlucky => panic!("nobody answered that one: {seen:?}"),
    }
    drop(go_on);
    assert!(waits.await.is_ok_and(|waited| waited.is_err()));
}

#[tokio::test]
async fn a_search_list_is_for_single_labels() {
    let server = Server::saying(ok("")).await;
    let names = name_server().await;
    let mut by = ConnectionConfig::udp();
    by.port = names.port();
    let names = NameServerConfig::new(names.ip(), true, vec![by]);
    let search = vec![Name::from_ascii("test.").expect("a name")];
    let config = ResolverConfig::from_parts(None, search, vec![names]);
    let resolver = SystemResolver::with_config(config);
    let context = context_with(ProbeSettings { resolver: Some(Arc::new(resolver)), ..loopback() });
    let seen = check_name(&context, "good", server.address.port()).await;
    ended(&seen, Outcome::Ok, None);
    failed(&check_name(&context, "sub.good", 80).await, Reason::DnsNxdomain);
}

#[tokio::test]
async fn an_alias_leads_no_further_than_its_address_may() {
    let context = asking(name_server().await, ConnectionConfig::udp());
    for name in ["alias.test", "mixed.test"] {
        let seen = check_name(&context, name, 80).await;
        ended(&seen, Outcome::Policy, Some(Reason::PolicyAddress));
    }
    for name in ["loop.test", "ring0.test"] {
        failed(&check_name(&context, name, 80).await, Reason::DnsNoAddress);
    }
}

#[tokio::test]
async fn name_servers_of_ours_that_are_gone_accuse_no_target() {
    // By TCP, where the refusal is heard; by UDP a dead server is mere silence.
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind("127.0.0.1:0".parse().expect("an address")).expect("a free port");
    let context = asking(socket.local_addr().expect("its address"), ConnectionConfig::tcp());
    let seen = check_name(&context, "good.test", 80).await;
    ended(&seen, Outcome::Unsupported, Some(Reason::AgentFault));
}
