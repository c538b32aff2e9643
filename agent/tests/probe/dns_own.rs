//! `kind: dns` without a server of its own: the agent's host's are asked.

use crate::dns::{asking, check_with, deaf, facts, good, good_framed, monitor};
use crate::name_server::{NameServer, answer, framed};
use crate::serving::{check_id, context_with, egress, ended, failed};
use hickory_resolver::proto::op::{Message, ResponseCode};
use hickory_resolver::proto::rr::rdata::{A, AAAA, CNAME, PTR};
use hickory_resolver::proto::rr::{Name, RData, Record};
use hyperverge_agent::probe::dns::NameServers;
use hyperverge_agent::probe::{self, ProbeSettings};
use hyperverge_protocol::outcome::{Observation, Outcome, Reason};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::Duration;

fn own(servers: &[SocketAddr]) -> ProbeSettings {
    ProbeSettings {
        // The servers' own addresses are not allowed, and do not have to be.
        egress: egress(&["192.0.2.0/24"]),
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

/// Nothing of what the servers said.
fn tells_nothing(seen: &Observation) {
    ended(seen, Outcome::Policy, Some(Reason::PolicyAddress));
    assert!(seen.details.is_none() && seen.sample.is_empty() && seen.body_bytes == 0, "{seen:?}");
    assert!(seen.address.is_none() && !seen.message.contains("10.9."), "{seen:?}");
    assert!(!seen.message.contains("fd00") && !seen.message.contains("inside"), "{seen:?}");
}

#[tokio::test]
async fn an_address_that_may_not_be_checked_is_not_told() {
    type Records = fn(&Name) -> Vec<Record>;
    let ways: [(&str, &str, Records); 4] = [
        ("an address", "A", |name| vec![v4(name, 10)]),
        ("one of two", "A", |name| vec![v4(name, 192), v4(name, 10)]),
        ("another family", "AAAA", |name| {
            let address = RData::AAAA(AAAA("fd00::1".parse().expect("an address")));
            vec![Record::from_rdata(name.clone(), 60, address)]
        }),
        ("behind an alias", "A", |name| {
            let inside = Name::from_ascii("inside.test.").expect("a name");
            let alias = RData::CNAME(CNAME(inside.clone()));
            vec![Record::from_rdata(name.clone(), 60, alias), v4(&inside, 10)]
        }),
    ];
    for (what, record, records) in ways {
        let says = move |asked: &[u8]| {
            answer(asked, |message| message.answers = records(message.queries[0].name()))
        };
        let server = NameServer::new(
            move |asked: &[u8]| vec![says(asked)],
            move |asked: &[u8]| vec![framed(&says(asked))],
        )
        .await;
        for transport in ["udp", "tcp"] {
            for more in [json!({}), json!({ "expect": { "answers_only": true } })] {
                let mut more: Value = more;
                more["dns"] = json!({ "record": record, "transport": transport });
                println!("{what} over {transport}: {more}");
                tells_nothing(&check_with(own(&[server.address]), more.clone()).await);
                more["invert"] = json!(true);
                tells_nothing(&check_with(own(&[server.address]), more).await);
            }
        }
        // Whoever asks a server that the policy allows gets what it tells everybody.
        let mut named = asking(server.address, "udp");
        named["dns"]["record"] = json!(record);
        let seen = check_with(crate::serving::loopback(), named).await;
        ended(&seen, Outcome::Ok, None);
        assert!(!facts(&seen).answers.is_empty(), "{seen:?}");
    }
}

fn v4(owner: &Name, first: u8) -> Record {
    let rest = if first == 10 { (9, 8, 7) } else { (0, 2, 1) };
    Record::from_rdata(owner.clone(), 60, RData::A(A::new(first, rest.0, rest.1, rest.2)))
}

#[tokio::test]
async fn whose_an_address_is_that_may_not_be_checked_is_not_asked() {
    let server = NameServer::udp(|asked: &[u8]| {
        vec![answer(asked, |message| {
            let owner = message.queries[0].name().clone();
            let host = Name::from_ascii("inside.test.").expect("a name");
            message.answers = vec![Record::from_rdata(owner, 60, RData::PTR(PTR(host)))];
        })]
    })
    .await;
    let ask = |target: &str| json!({ "target": target, "dns": { "record": "PTR" } });
    for target in ["10.9.8.7", "fd00::1", "7.8.9.10.in-addr.arpa", "7.8.9.10.IN-ADDR.ARPA."] {
        let seen = check_with(own(&[server.address]), ask(target)).await;
        ended(&seen, Outcome::Policy, Some(Reason::PolicyAddress));
        assert!(seen.details.is_none() && seen.address.is_none(), "{seen:?}");
    }
    for target in ["192.0.2.1", "1.2.0.192.in-addr.arpa"] {
        let seen = check_with(own(&[server.address]), ask(target)).await;
        ended(&seen, Outcome::Ok, None);
        assert_eq!(facts(&seen).answers, ["inside.test."]);
    }
}
