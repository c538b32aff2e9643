//! `kind: dns` against name servers that misbehave, over UDP and TCP.

use crate::name_server::{NameServer, answer, framed};
use crate::serving::{Names, check_id, context_with, ended, failed, loopback};
use hickory_resolver::proto::op::{Message, ResponseCode};
use hickory_resolver::proto::rr::rdata::{CNAME, TXT};
use hickory_resolver::proto::rr::{Name, RData, Record};
use hyperverge_agent::probe::{self, ProbeSettings};
use hyperverge_protocol::monitor::MonitorSpec;
use hyperverge_protocol::outcome::{DnsFacts, Observation, Outcome, Reason};
use serde_json::{Value, json};
use std::net::SocketAddr;
use tokio::net::{TcpSocket, UdpSocket};

pub(crate) fn monitor(extra: Value) -> MonitorSpec {
    let mut spec =
        json!({ "name": "a", "kind": "dns", "target": "www.example.test", "timeout": "5s" });
    for (key, value) in extra.as_object().expect("an object") {
        spec[key] = value.clone();
    }
    MonitorSpec::from_json(spec.to_string().as_bytes()).expect("a monitor")
}

pub(crate) fn asking(server: SocketAddr, transport: &str) -> Value {
    json!({ "dns": { "server": server.to_string(), "transport": transport } })
}

pub(crate) async fn check_with(settings: ProbeSettings, extra: Value) -> Observation {
    probe::run(&context_with(settings), &monitor(extra), &check_id()).await
}

async fn check(extra: Value) -> Observation {
    check_with(loopback(), extra).await
}

/// With a timeout short enough to wait for.
fn briefly(mut extra: Value) -> Value {
    extra["timeout"] = json!("1s");
    extra
}

pub(crate) fn facts(seen: &Observation) -> &DnsFacts {
    seen.details.as_ref().and_then(|details| details.dns.as_ref()).expect("facts")
}

/// An address where nothing listens, for as long as the sockets are held.
pub(crate) fn deaf() -> (SocketAddr, TcpSocket) {
    loop {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind("127.0.0.1:0".parse().expect("an address")).expect("a free port");
        let address = socket.local_addr().expect("its address");
        // Free for UDP too, and nothing else takes it in the meantime: ports are handed out in turn.
        if std::net::UdpSocket::bind(address).is_ok() {
            return (address, socket);
        }
    }
}

pub(crate) fn good(asked: &[u8]) -> Vec<Vec<u8>> {
    vec![answer(asked, |_| {})]
}

pub(crate) fn good_framed(asked: &[u8]) -> Vec<Vec<u8>> {
    vec![framed(&answer(asked, |_| {}))]
}

#[tokio::test]
async fn a_good_answer_over_udp_and_tcp() {
    let server = NameServer::new(good, good_framed).await;
    for transport in ["udp", "tcp"] {
        let seen = check(asking(server.address, transport)).await;
        ended(&seen, Outcome::Ok, None);
        assert_eq!(seen.address, Some(server.address));
        let facts = facts(&seen);
        assert_eq!((facts.rcode.as_str(), facts.ttl_s), ("NOERROR", Some(300)));
        assert_eq!(facts.answers, ["192.0.2.1"]);
        assert!(!facts.authoritative && !facts.truncated);
        let phases = seen.phases;
        assert!(phases.processing.is_some() && phases.resolve.is_none());
        assert_eq!(phases.connect.is_some(), transport == "tcp");
        assert_eq!(phases.transfer.is_some(), transport == "tcp");
    }
}

#[tokio::test]
async fn a_server_by_name_is_looked_up() {
    let server = NameServer::new(good, good_framed).await;
    let names = Names::of(&[("ns.test", &[&["127.0.0.1"]]), ("inside.test", &[&["10.0.0.1"]])]);
    for transport in ["udp", "tcp"] {
        let settings = || ProbeSettings { resolver: Some(names.clone()), ..loopback() };
        let at = |host: &str| {
            let server = format!("{host}:{}", server.address.port());
            json!({ "dns": { "server": server, "transport": transport } })
        };
        let seen = check_with(settings(), at("ns.test")).await;
        ended(&seen, Outcome::Ok, None);
        assert!(seen.phases.resolve.is_some(), "{seen:?}");
        let seen = check_with(settings(), at("inside.test")).await;
        ended(&seen, Outcome::Policy, Some(Reason::PolicyAddress));
        failed(&check_with(settings(), at("nowhere.test")).await, Reason::DnsNxdomain);
        // Whom nobody finds cannot show what it does not serve.
        let mut inverted = at("nowhere.test");
        inverted["invert"] = json!(true);
        failed(&check_with(settings(), inverted).await, Reason::DnsNxdomain);
        let mut elsewhere = at("nowhere.test");
        elsewhere["network"] = json!({ "addresses": ["127.0.0.1"] });
        ended(&check_with(settings(), elsewhere).await, Outcome::Ok, None);
        let seen = check(json!({ "dns": { "server": "10.0.0.1", "transport": transport } })).await;
        ended(&seen, Outcome::Policy, Some(Reason::PolicyAddress));
    }
}

#[tokio::test]
async fn an_answer_that_does_not_fit_is_asked_for_over_tcp() {
    let cut = |asked: &[u8]| {
        vec![answer(asked, |message| {
            message.metadata.truncation = true;
            message.answers.clear();
        })]
    };
    let long = |asked: &[u8]| {
        vec![framed(&answer(asked, |message| {
            let owner = message.queries[0].name().clone();
            let text = RData::TXT(TXT::new(vec!["x".repeat(200); 300]));
            message.answers = vec![Record::from_rdata(owner, 1, text)];
        }))]
    };
    let server = NameServer::new(cut, long).await;
    let mut monitor = asking(server.address, "udp");
    monitor["dns"]["record"] = json!("TXT");
    monitor["expect"] = json!({ "answers": ["x".repeat(4_000)] });
    let seen = check(monitor.clone()).await;
    failed(&seen, Reason::DnsAnswer);
    assert!(facts(&seen).truncated && facts(&seen).answers[0].len() > 60_000);
    assert!(seen.phases.connect.is_some() && seen.phases.transfer.is_some());
    let deaf = NameServer::udp(cut).await;
    let seen = check(asking(deaf.address, "udp")).await;
    failed(&seen, Reason::ResetProcessing);
    assert!(seen.message.ends_with("(over TCP, after a truncated answer over UDP)"), "{seen:?}");
}

#[tokio::test]
async fn a_server_that_is_not_there() {
    let (address, _held) = deaf();
    for transport in ["udp", "tcp"] {
        let seen = check(asking(address, transport)).await;
        failed(&seen, Reason::ConnectRefused);
        assert_eq!(seen.address, Some(address));
    }
}

#[tokio::test]
async fn silence_is_a_timeout_of_its_own() {
    let silent = |_: &[u8]| Vec::new();
    let server = NameServer::udp(silent).await;
    let seen = check(briefly(asking(server.address, "udp"))).await;
    failed(&seen, Reason::DnsTimeout);
    assert!(seen.phases.processing.is_some(), "{seen:?}");
    // Over TCP: connected by the kernel, and nobody accepts.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("its address");
    let seen = check(briefly(asking(address, "tcp"))).await;
    failed(&seen, Reason::DnsTimeout);
    assert!(seen.phases.connect.is_some() && seen.phases.processing.is_some(), "{seen:?}");
}

#[tokio::test]
async fn a_stream_that_breaks_says_where() {
    for (bytes, reason) in [
        (vec![], Reason::ResetProcessing),
        (vec![0], Reason::ResetTransfer),
        (vec![0xff, 0xff], Reason::ResetTransfer),
        (vec![0xff, 0xff, 1, 2, 3], Reason::ResetTransfer),
        (vec![0, 0], Reason::DnsMalformed),
        (vec![0, 2, 1, 2], Reason::DnsMalformed),
    ] {
        let shown = format!("{bytes:?}");
        let server = NameServer::tcp(move |_: &[u8]| vec![bytes.clone()]).await;
        let seen = check(asking(server.address, "tcp")).await;
        assert_eq!(seen.reason, Some(reason), "{shown}: {seen:?}");
        assert_eq!(seen.outcome, Outcome::Fail);
    }
}

#[tokio::test]
async fn a_stream_that_hangs_in_its_answer_runs_out_of_time_there() {
    let server = crate::serving::Server::raw(|mut stream| async move {
        let mut question = [0; 512];
        drop(tokio::io::AsyncReadExt::read(&mut stream, &mut question).await);
        drop(tokio::io::AsyncWriteExt::write_all(&mut stream, &[0, 100, 1]).await);
        std::future::pending().await
    })
    .await;
    let seen = check(briefly(asking(server.address, "tcp"))).await;
    failed(&seen, Reason::TimeoutTransfer);
    assert!(seen.phases.processing.is_some() && seen.phases.transfer.is_some(), "{seen:?}");
}

#[tokio::test]
async fn what_answers_another_question_is_not_taken_for_the_answer() {
    let other_id = |asked: &[u8]| answer(asked, |message| message.metadata.id ^= 0x55);
    let other_name = |asked: &[u8]| {
        answer(asked, |message| {
            message.queries[0].set_name("other.test.".parse().expect("a name"));
        })
    };
    let first = move |asked: &[u8]| {
        vec![other_id(asked), other_name(asked), vec![], vec![1], answer(asked, |_| {})]
    };
    let server = NameServer::udp(first).await;
    ended(&check(asking(server.address, "udp")).await, Outcome::Ok, None);

    let never = move |asked: &[u8]| vec![other_id(asked), other_name(asked)];
    let server = NameServer::udp(never).await;
    let seen = check(briefly(asking(server.address, "udp"))).await;
    failed(&seen, Reason::DnsMalformed);
    assert_eq!(
        seen.message,
        format!(
            "{} answered another question; 2 such datagrams and no answer came",
            server.address
        )
    );
    // A stream has no strangers on it.
    for wrong in [other_id as fn(&[u8]) -> Vec<u8>, other_name] {
        let server = NameServer::tcp(move |asked: &[u8]| vec![framed(&wrong(asked))]).await;
        failed(&check(asking(server.address, "tcp")).await, Reason::DnsMalformed);
    }
}

#[tokio::test]
async fn a_flood_of_strays_ends() {
    let flood = |asked: &[u8]| {
        let stray = answer(asked, |message| message.metadata.id ^= 1);
        std::iter::repeat_n(stray, 5_000).collect()
    };
    let server = NameServer::udp(flood).await;
    failed(&check(asking(server.address, "udp")).await, Reason::DnsMalformed);
}

#[tokio::test]
async fn an_answer_from_elsewhere_is_not_heard() {
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a free port");
    let elsewhere = UdpSocket::bind("127.0.0.1:0").await.expect("a free port");
    let address = socket.local_addr().expect("its address");
    let serving = async move {
        let mut buffer = [0; 512];
        let (length, from) = socket.recv_from(&mut buffer).await.expect("a question");
        let answer = answer(&buffer[..length], |_| {});
        elsewhere.send_to(&answer, from).await.expect("sent");
        (socket, elsewhere)
    };
    let (seen, _held) = tokio::join!(check(briefly(asking(address, "udp"))), serving);
    failed(&seen, Reason::DnsTimeout);
}

#[tokio::test]
async fn what_cannot_be_read_is_malformed_at_once() {
    for (what, break_it) in [
        (
            "cut",
            (|mut good| {
                good.truncate(20);
                good
            }) as fn(Vec<u8>) -> Vec<u8>,
        ),
        ("65535 answers", |mut good| {
            good[6..8].fill(0xff);
            good
        }),
    ] {
        let server = NameServer::new(
            move |asked: &[u8]| vec![break_it(answer(asked, |_| {}))],
            move |asked: &[u8]| vec![framed(&break_it(answer(asked, |_| {})))],
        )
        .await;
        for transport in ["udp", "tcp"] {
            let seen = check(asking(server.address, transport)).await;
            assert_eq!(seen.reason, Some(Reason::DnsMalformed), "{what} {transport}: {seen:?}");
        }
    }
    let large = |asked: &[u8]| {
        let mut good = answer(asked, |_| {});
        good.resize(8_000, 0);
        vec![good]
    };
    let server = NameServer::udp(large).await;
    failed(&check(asking(server.address, "udp")).await, Reason::DnsMalformed);
}

#[tokio::test]
async fn bytes_behind_the_answer_are_not_held_against_it() {
    let more = |asked: &[u8]| [answer(asked, |_| {}), vec![0; 7]].concat();
    let server = NameServer::new(
        move |asked: &[u8]| vec![more(asked)],
        move |asked: &[u8]| vec![framed(&more(asked))],
    )
    .await;
    for transport in ["udp", "tcp"] {
        let seen = check(asking(server.address, transport)).await;
        ended(&seen, Outcome::Ok, None);
        assert_eq!(facts(&seen).answers, ["192.0.2.1"]);
    }
}

#[tokio::test]
async fn a_cut_answer_is_asked_for_over_tcp_wherever_it_was_cut() {
    for missing in [1, 5, 16, 17, 30] {
        let cut = move |asked: &[u8]| {
            let mut cut = answer(asked, |message| {
                message.metadata.truncation = true;
                message.edns = None;
                message.answers.push(message.answers[0].clone());
            });
            cut.truncate(cut.len() - missing);
            vec![cut]
        };
        let server = NameServer::new(cut, good_framed).await;
        let seen = check(asking(server.address, "udp")).await;
        ended(&seen, Outcome::Ok, None);
        assert!(facts(&seen).truncated && seen.phases.connect.is_some(), "{missing}: {seen:?}");
        assert_eq!(facts(&seen).answers, ["192.0.2.1"]);
    }
}

#[tokio::test]
async fn a_code_is_a_reason_and_an_expected_one_is_good() {
    for (code, reason, name) in [
        (ResponseCode::NXDomain, Reason::DnsNxdomain, "NXDOMAIN"),
        (ResponseCode::ServFail, Reason::DnsServfail, "SERVFAIL"),
        (ResponseCode::Refused, Reason::DnsRefused, "REFUSED"),
        (ResponseCode::NotImp, Reason::DnsRcode, "NOTIMP"),
    ] {
        let server = NameServer::udp(move |asked: &[u8]| {
            vec![answer(asked, |message| {
                message.answers.clear();
                message.metadata.response_code = code;
            })]
        })
        .await;
        let mut monitor = asking(server.address, "udp");
        let seen = check(monitor.clone()).await;
        failed(&seen, reason);
        assert_eq!(facts(&seen).rcode, name);
        monitor["expect"] = json!({ "rcode": [name] });
        ended(&check(monitor).await, Outcome::Ok, None);
    }
}

#[tokio::test]
async fn a_server_that_refuses_edns_is_asked_without() {
    let refusing = |code: ResponseCode| {
        move |asked: &[u8]| {
            let question = Message::from_vec(asked).expect("a question");
            vec![answer(asked, |message| {
                if question.edns.is_some() {
                    message.answers.clear();
                    message.edns = None;
                    message.metadata.response_code = code;
                }
            })]
        }
    };
    for code in [ResponseCode::FormErr, ResponseCode::NotImp] {
        let framing =
            move |asked: &[u8]| refusing(code)(asked).iter().map(|it| framed(it)).collect();
        let server = NameServer::new(refusing(code), framing).await;
        for transport in ["udp", "tcp"] {
            let seen = check(asking(server.address, transport)).await;
            ended(&seen, Outcome::Ok, None);
            assert_eq!(facts(&seen).answers, ["192.0.2.1"]);
        }
        // Who expects the refusal is answered with it.
        let mut monitor = asking(server.address, "udp");
        monitor["expect"] = json!({ "rcode": ["FORMERR", "NOTIMP"] });
        let seen = check(monitor).await;
        ended(&seen, Outcome::Ok, None);
        assert_ne!(facts(&seen).rcode, "NOERROR");
    }
}

#[tokio::test]
async fn a_server_that_falls_silent_without_edns_refused_with_it() {
    let server = NameServer::udp(|asked: &[u8]| {
        let question = Message::from_vec(asked).expect("a question");
        let refusal = answer(asked, |message| {
            message.answers.clear();
            message.metadata.response_code = ResponseCode::FormErr;
        });
        question.edns.map(|_| refusal).into_iter().collect()
    })
    .await;
    let seen = check(briefly(asking(server.address, "udp"))).await;
    failed(&seen, Reason::DnsRcode);
    assert_eq!(facts(&seen).rcode, "FORMERR");
}

#[tokio::test]
async fn an_address_is_asked_about_by_its_name_in_arpa() {
    let server = NameServer::udp(|asked: &[u8]| {
        let message = Message::from_vec(asked).expect("a question");
        let name = message.queries[0].name().to_string();
        vec![answer(asked, |message| {
            let owner = message.queries[0].name().clone();
            let said = RData::PTR(hickory_resolver::proto::rr::rdata::PTR(
                format!("host.{name}").parse().expect("a name"),
            ));
            message.answers = vec![Record::from_rdata(owner, 60, said)];
        })]
    })
    .await;
    let mut monitor = asking(server.address, "udp");
    monitor["dns"]["record"] = json!("PTR");
    monitor["target"] = json!("192.0.2.7");
    let seen = check(monitor).await;
    ended(&seen, Outcome::Ok, None);
    assert_eq!(facts(&seen).answers, ["host.7.2.0.192.in-addr.arpa."]);
}

#[tokio::test]
async fn aliases_that_lead_in_a_ring_lead_to_no_answer() {
    let ring = |asked: &[u8]| {
        vec![answer(asked, |message| {
            let own = message.queries[0].name().clone();
            let name = |n: usize| match n % 8 {
                0 => own.clone(),
                n => Name::from_ascii(format!("alias{n}.test.")).expect("a name"),
            };
            let alias = |n| Record::from_rdata(name(n), 300, RData::CNAME(CNAME(name(n + 1))));
            message.answers = (0..8).map(alias).collect();
        })]
    };
    let server = NameServer::udp(ring).await;
    let seen = check(asking(server.address, "udp")).await;
    failed(&seen, Reason::DnsAnswer);
    assert_eq!(facts(&seen).answers, Vec::<String>::new());
}
