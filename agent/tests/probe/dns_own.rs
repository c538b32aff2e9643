//! `kind: dns` without a server of its own: the agent's host's are asked.

use crate::dns::{check_with, deaf, good, good_framed, monitor};
use crate::name_server::{NameServer, answer};
use crate::serving::{check_id, context_with, ended, failed};
use hickory_resolver::proto::op::{Message, ResponseCode};
use hyperverge_agent::probe::dns::NameServers;
use hyperverge_agent::probe::{self, ProbeSettings};
use hyperverge_protocol::outcome::{Outcome, Reason};
use serde_json::json;
use std::net::SocketAddr;
use std::time::Duration;

fn own(servers: &[SocketAddr]) -> ProbeSettings {
    ProbeSettings {
        // Private addresses are not allowed, and do not have to be.
        name_servers: Some(NameServers::new(servers.to_vec())),
        ..ProbeSettings::default()
    }
}

fn asks_about_root(asked: &[u8]) -> bool {
    Message::from_vec(asked).expect("a question").queries[0].name().is_root()
}

/// An answer with this code and nothing else.
fn failing(asked: &[u8], code: ResponseCode) -> Vec<Vec<u8>> {
    vec![answer(asked, |message| {
        message.answers.clear();
        message.metadata.response_code = code;
    })]
}

#[tokio::test]
async fn the_hosts_own_servers_are_asked_in_turn() {
    let server = NameServer::new(good, good_framed).await;
    let silent = NameServer::udp(|_: &[u8]| Vec::new()).await;
    let (gone, _held) = deaf();
    for transport in ["udp", "tcp"] {
        let how = json!({ "dns": { "transport": transport }, "timeout": "2s" });
        let seen = check_with(own(&[gone, server.address]), how.clone()).await;
        ended(&seen, Outcome::Ok, None);
        assert_eq!(seen.address, Some(server.address));
        let seen = check_with(own(&[gone]), how.clone()).await;
        ended(&seen, Outcome::Unsupported, Some(Reason::AgentFault));
        let seen = check_with(own(&[]), how.clone()).await;
        ended(&seen, Outcome::Unsupported, Some(Reason::AgentFault));
    }
    let seen = check_with(own(&[silent.address, server.address]), json!({ "timeout": "3s" })).await;
    ended(&seen, Outcome::Ok, None);
    assert_eq!(seen.address, Some(server.address));
    let seen =
        check_with(own(&[silent.address, silent.address]), json!({ "timeout": "500ms" })).await;
    ended(&seen, Outcome::Unsupported, Some(Reason::AgentFault));
    let only_v6 = json!({ "network": { "family": "ipv6" } });
    let seen = check_with(own(&[server.address]), only_v6).await;
    ended(&seen, Outcome::Unsupported, Some(Reason::AgentFault));
}

#[tokio::test]
async fn own_servers_that_answer_others_are_silent_about_this_name() {
    let server =
        NameServer::udp(
            |question: &[u8]| {
                if asks_about_root(question) { good(question) } else { Vec::new() }
            },
        )
        .await;
    let context = context_with(ProbeSettings {
        name_servers: Some(NameServers::new(vec![server.address])),
        ..ProbeSettings::default()
    });
    let spec = monitor(json!({ "timeout": "2s" }));
    failed(&probe::run(&context, &spec, &check_id()).await, Reason::DnsTimeout);
}

#[tokio::test]
async fn own_servers_that_serve_nobody_accuse_no_target() {
    for code in [ResponseCode::Refused, ResponseCode::ServFail] {
        let useless = NameServer::udp(move |asked: &[u8]| failing(asked, code)).await;
        let well = NameServer::udp(good).await;
        // That the next one is well says nothing of the one that answered.
        for servers in [vec![useless.address], vec![useless.address, well.address]] {
            for expect in [json!({}), json!({ "rcode": [code_name(code)] })] {
                let seen = check_with(own(&servers), json!({ "expect": expect })).await;
                ended(&seen, Outcome::Unsupported, Some(Reason::AgentFault));
                assert!(seen.details.is_none() && seen.sample.is_empty(), "{seen:?}");
            }
        }
    }
}

fn code_name(code: ResponseCode) -> &'static str {
    if code == ResponseCode::Refused { "REFUSED" } else { "SERVFAIL" }
}

#[tokio::test]
async fn own_servers_that_serve_others_accuse_the_one_name() {
    for (code, reason) in
        [(ResponseCode::Refused, Reason::DnsRefused), (ResponseCode::ServFail, Reason::DnsServfail)]
    {
        let server = NameServer::udp(move |asked: &[u8]| {
            if asks_about_root(asked) { good(asked) } else { failing(asked, code) }
        })
        .await;
        failed(&check_with(own(&[server.address]), json!({})).await, reason);
        let expected = json!({ "expect": { "rcode": [code_name(code)] } });
        ended(&check_with(own(&[server.address]), expected).await, Outcome::Ok, None);
    }
}

#[tokio::test]
async fn a_doubt_about_own_servers_ends_with_the_check() {
    let server = NameServer::udp(|asked: &[u8]| {
        if asks_about_root(asked) { Vec::new() } else { failing(asked, ResponseCode::Refused) }
    })
    .await;
    let check = check_with(own(&[server.address]), json!({ "timeout": "300ms" }));
    // Less than the doubt would last by itself.
    let seen = tokio::time::timeout(Duration::from_secs(1), check).await.expect("an end");
    ended(&seen, Outcome::Unsupported, Some(Reason::AgentFault));
}
