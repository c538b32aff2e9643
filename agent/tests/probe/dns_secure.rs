//! `kind: dns` over TLS, HTTPS and QUIC against servers that misbehave.

use crate::name_server::{answer, framed};
use crate::serving::{Server, check_id, context_with, ended, failed, loopback, ok};
use crate::tls::{Authority, https, params};
use bytes::Bytes;
use hickory_resolver::proto::rr::rdata::TXT;
use hickory_resolver::proto::rr::{RData, Record};
use hyperverge_agent::probe::{self, ProbeSettings};
use hyperverge_protocol::monitor::MonitorSpec;
use hyperverge_protocol::outcome::{Observation, Outcome, Reason};
use quinn::crypto::rustls::QuicServerConfig;
use quinn::{Endpoint, TransportConfig};
use rustls::ServerConfig;
use rustls_pki_types::PrivateKeyDer;
use serde_json::json;
use std::future::pending;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

const HOST: &str = "127.0.0.1";

/// How a server deals with a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    Good,
    /// Another question's answer.
    Wrong,
    Garbage,
    /// Ends the connection before it answers.
    Leaves,
    /// Ends it in the middle.
    LeavesWithin,
    Hangs,
    HangsWithin,
    /// A text in place of the address.
    Text,
    /// https: says that there is no such page.
    NotFound,
    /// https: says that it is something else.
    Page,
}

impl Manner {
    /// What is sent of the answer to the question `asked`.
    fn says(self, asked: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Leaves | Self::Hangs => None,
            Self::Garbage => Some(vec![0xff; 40]),
            Self::Wrong => Some(answer(asked, |message| {
                message.queries[0].set_name("other.test.".parse().expect("a name"));
            })),
            Self::Text => Some(answer(asked, |message| {
                let owner = message.queries[0].name().clone();
                let text = RData::TXT(TXT::new(vec!["v=1".to_owned()]));
                message.answers = vec![Record::from_rdata(owner, 77, text)];
            })),
            _ => Some(answer(asked, |_| {})),
        }
    }

    /// How much of `bytes` comes.
    fn part(self, bytes: &[u8]) -> &[u8] {
        match self {
            Self::LeavesWithin | Self::HangsWithin => &bytes[..bytes.len() - 5],
            _ => bytes,
        }
    }

    fn hangs(self) -> bool {
        matches!(self, Self::Hangs | Self::HangsWithin)
    }
}

async fn check(address: SocketAddr, transport: &str, manner: Option<Manner>) -> Observation {
    check_trusting(&Authority::new(), address, transport, manner).await
}

/// With a timeout short enough to wait for, where it will be waited for.
async fn check_trusting(
    authority: &Authority,
    address: SocketAddr,
    transport: &str,
    manner: Option<Manner>,
) -> Observation {
    let settings = ProbeSettings { ca_pem: Some(authority.pem()), ..loopback() };
    let timeout = if manner.is_none_or(Manner::hangs) { "2s" } else { "10s" };
    let spec = json!({
        "name": "a", "kind": "dns", "target": "www.example.test", "timeout": timeout,
        "dns": { "server": address.to_string(), "transport": transport },
    });
    let spec = MonitorSpec::from_json(spec.to_string().as_bytes()).expect("a monitor");
    probe::run(&context_with(settings), &spec, &check_id()).await
}

/// A server over TLS that deals with connections by `serve`.
async fn secure<F>(
    authority: &Authority,
    serve: impl Fn(TlsStream<TcpStream>) -> F + Send + Sync + 'static,
) -> Server
where
    F: Future<Output = ()> + Send + 'static,
{
    let acceptor: TlsAcceptor = authority.acceptor(&[HOST]);
    let serve = Arc::new(serve);
    Server::raw(move |stream| {
        let (acceptor, serve) = (acceptor.clone(), Arc::clone(&serve));
        async move {
            if let Ok(stream) = acceptor.accept(stream).await {
                serve(stream).await;
            }
        }
    })
    .await
}

async fn over_tls(authority: &Authority, manner: Manner) -> Server {
    secure(authority, move |mut stream| async move {
        let Ok(length) = stream.read_u16().await else { return };
        let mut asked = vec![0; length.into()];
        drop(stream.read_exact(&mut asked).await);
        if let Some(answer) = manner.says(&asked) {
            drop(stream.write_all(manner.part(&framed(&answer))).await);
            drop(stream.flush().await);
        }
        if manner.hangs() {
            pending::<()>().await;
        }
    })
    .await
}

async fn over_https(authority: &Authority, manner: Manner) -> Server {
    secure(authority, move |stream| async move {
        let Ok(mut connection) = h2::server::handshake(stream).await else { return };
        while let Some(Ok((request, mut respond))) = connection.accept().await {
            tokio::spawn(async move {
                let (head, mut body) = request.into_parts();
                assert_eq!((head.method.as_str(), head.uri.path()), ("POST", "/dns-query"));
                assert_eq!(head.headers["content-type"], "application/dns-message");
                let asked = body.data().await.expect("a question").expect("a question");
                let (status, media_type) = match manner {
                    Manner::NotFound => (404, "text/plain"),
                    Manner::Page => (200, "text/html"),
                    _ => (200, "application/dns-message"),
                };
                let Some(answer) = manner.says(&asked) else {
                    if manner.hangs() {
                        pending::<()>().await;
                    }
                    respond.send_reset(h2::Reason::INTERNAL_ERROR);
                    return;
                };
                let head = ::http::Response::builder()
                    .status(status)
                    .header("content-type", media_type)
                    .body(())
                    .expect("a head");
                let mut sending = respond.send_response(head, false).expect("sent");
                let part = Bytes::copy_from_slice(manner.part(&answer));
                match manner {
                    // Dropped unfinished, the stream is reset once what it holds is sent.
                    Manner::LeavesWithin => sending.send_data(part, false).expect("sent"),
                    Manner::HangsWithin => {
                        sending.send_data(part, false).expect("sent");
                        pending::<()>().await;
                    }
                    _ => sending.send_data(part, true).expect("sent"),
                }
            });
        }
    })
    .await
}

/// A server over QUIC; it ends with its endpoint.
fn over_quic(authority: &Authority, manner: Manner) -> Endpoint {
    over_quic_with(authority, manner, TransportConfig::default())
}

fn over_quic_with(authority: &Authority, manner: Manner, transport: TransportConfig) -> Endpoint {
    let (certificate, key) = authority.issue(params(&[HOST]));
    let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .expect("a server");
    config.alpn_protocols = vec![b"doq".to_vec()];
    let config = QuicServerConfig::try_from(config).expect("QUIC");
    let mut config = quinn::ServerConfig::with_crypto(Arc::new(config));
    config.transport_config(Arc::new(transport));
    let endpoint = Endpoint::server(config, "127.0.0.1:0".parse().expect("an address"));
    let endpoint = endpoint.expect("an endpoint");
    let accepting = endpoint.clone();
    tokio::spawn(async move {
        while let Some(incoming) = accepting.accept().await {
            tokio::spawn(async move {
                let Ok(connection) = incoming.await else { return };
                let Ok((mut sending, mut receiving)) = connection.accept_bi().await else { return };
                let asked = receiving.read_to_end(1_000).await.expect("a question");
                assert_eq!(&asked[2..4], [0, 0], "RFC 9250, section 4.2.1");
                let answer = manner.says(&asked[2..]);
                if let Some(answer) = &answer {
                    drop(sending.write_all(manner.part(&framed(answer))).await);
                }
                match (manner, answer) {
                    (Manner::Leaves, _) => connection.close(2u32.into(), b""),
                    (Manner::LeavesWithin, _) => drop(sending.finish()),
                    (manner, _) if manner.hangs() => pending().await,
                    _ => drop(sending.finish()),
                }
                connection.closed().await;
            });
        }
    });
    endpoint
}

/// How each manner ends, over every transport.
const MANNERS: [(Manner, Option<Reason>); 7] = [
    (Manner::Good, None),
    (Manner::Wrong, Some(Reason::DnsMalformed)),
    (Manner::Garbage, Some(Reason::DnsMalformed)),
    (Manner::Leaves, Some(Reason::ResetProcessing)),
    (Manner::LeavesWithin, Some(Reason::ResetTransfer)),
    (Manner::Hangs, Some(Reason::DnsTimeout)),
    (Manner::HangsWithin, Some(Reason::TimeoutTransfer)),
];

#[track_caller]
fn ended_so(seen: &Observation, transport: &str, manner: Manner, reason: Option<Reason>) {
    assert_eq!(seen.reason, reason, "{transport} {manner:?}: {seen:?}");
    let outcome = if reason.is_some() { Outcome::Fail } else { Outcome::Ok };
    ended(seen, outcome, reason);
    let phases = seen.phases;
    assert!(
        phases.tls.is_some() && phases.processing.is_some(),
        "{transport} {manner:?}: {seen:?}"
    );
    assert_eq!(phases.connect.is_some(), transport != "quic", "{transport} {manner:?}: {seen:?}");
    assert!(seen.certificate_expires_s.is_some(), "{transport} {manner:?}: {seen:?}");
    let answered = matches!(
        manner,
        Manner::Good | Manner::Wrong | Manner::Garbage | Manner::LeavesWithin | Manner::HangsWithin
    );
    assert_eq!(phases.transfer.is_some(), answered, "{transport} {manner:?}: {seen:?}");
}

#[tokio::test]
async fn every_manner_has_its_reason_over_tls() {
    let authority = Authority::new();
    for (manner, reason) in MANNERS {
        let server = over_tls(&authority, manner).await;
        let seen = check_trusting(&authority, server.address, "tls", Some(manner)).await;
        ended_so(&seen, "tls", manner, reason);
    }
}

#[tokio::test]
async fn every_manner_has_its_reason_over_https() {
    let authority = Authority::new();
    let more = [(Manner::NotFound, Reason::Status), (Manner::Page, Reason::DnsMalformed)];
    for (manner, reason) in MANNERS {
        let server = over_https(&authority, manner).await;
        let seen = check_trusting(&authority, server.address, "https", Some(manner)).await;
        ended_so(&seen, "https", manner, reason);
    }
    for (manner, reason) in more {
        let server = over_https(&authority, manner).await;
        failed(&check_trusting(&authority, server.address, "https", Some(manner)).await, reason);
    }
}

#[tokio::test]
async fn every_manner_has_its_reason_over_quic() {
    let authority = Authority::new();
    for (manner, reason) in MANNERS {
        let server = over_quic(&authority, manner);
        let address = server.local_addr().expect("its address");
        let seen = check_trusting(&authority, address, "quic", Some(manner)).await;
        ended_so(&seen, "quic", manner, reason);
    }
}

#[tokio::test]
async fn a_connection_that_falls_silent_is_no_reset() {
    let authority = Authority::new();
    for (manner, reason) in
        [(Manner::Hangs, Reason::DnsTimeout), (Manner::HangsWithin, Reason::TimeoutTransfer)]
    {
        // Both sides give a connection up when either would.
        let mut transport = TransportConfig::default();
        let idle = std::time::Duration::from_millis(300).try_into().expect("an idle timeout");
        transport.max_idle_timeout(Some(idle));
        let server = over_quic_with(&authority, manner, transport);
        let address = server.local_addr().expect("its address");
        let patient = Some(Manner::Good);
        failed(&check_trusting(&authority, address, "quic", patient).await, reason);
    }
}

#[tokio::test]
async fn other_types_and_their_ttl_over_quic() {
    let authority = Authority::new();
    let server = over_quic(&authority, Manner::Text);
    let address = server.local_addr().expect("its address").to_string();
    let settings = ProbeSettings { ca_pem: Some(authority.pem()), ..loopback() };
    let context = context_with(settings);
    for (record, expect, reason) in [
        ("TXT", json!({ "answers": ["v=1"], "ttl": "77s" }), None),
        ("TXT", json!({ "ttl": "78s" }), Some(Reason::DnsTtl)),
        ("TXT", json!({ "answers": ["v=2"] }), Some(Reason::DnsAnswer)),
        ("MX", json!({}), Some(Reason::DnsAnswer)),
    ] {
        let spec = json!({
            "name": "a", "kind": "dns", "target": "www.example.test", "expect": expect,
            "dns": { "server": address, "transport": "quic", "record": record },
        });
        let spec = MonitorSpec::from_json(spec.to_string().as_bytes()).expect("a monitor");
        let seen = probe::run(&context, &spec, &check_id()).await;
        assert_eq!(seen.reason, reason, "{record}: {seen:?}");
    }
}

#[tokio::test]
async fn a_server_that_nobody_vouches_for_is_not_asked() {
    let authority = Authority::new();
    let tls = over_tls(&authority, Manner::Good).await;
    let https = over_https(&authority, Manner::Good).await;
    let quic = over_quic(&authority, Manner::Good);
    for (address, transport) in [
        (tls.address, "tls"),
        (https.address, "https"),
        (quic.local_addr().expect("its address"), "quic"),
    ] {
        let seen = check(address, transport, Some(Manner::Good)).await;
        failed(&seen, Reason::TlsUnknownIssuer);
        assert!(seen.phases.processing.is_none(), "{seen:?}");
    }
}

#[tokio::test]
async fn a_server_that_does_not_shake_hands_runs_out_of_time_there() {
    let silent = Server::raw(|stream| async move {
        let _held = stream;
        pending().await
    })
    .await;
    for transport in ["tls", "https"] {
        failed(&check(silent.address, transport, None).await, Reason::TimeoutTls);
    }
    let deaf = UdpSocket::bind("127.0.0.1:0").await.expect("a free port");
    let address = deaf.local_addr().expect("its address");
    failed(&check(address, "quic", None).await, Reason::TimeoutTls);
}

#[tokio::test]
async fn a_server_that_speaks_only_http_1_is_no_name_server() {
    let authority = Authority::new();
    let server = https(authority.acceptor(&[HOST]), ok("not a message")).await;
    let manner = Some(Manner::Good);
    let seen = check_trusting(&authority, server.address, "https", manner).await;
    failed(&seen, Reason::HttpVersion);
}

#[tokio::test]
async fn a_server_that_is_not_there_or_leaves_in_the_handshake() {
    let gone = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = gone.local_addr().expect("its address");
    drop(gone);
    let leaves = Server::raw(|mut stream| async move {
        let mut hello = [0; 64];
        drop(stream.read(&mut hello).await);
    })
    .await;
    for transport in ["tls", "https"] {
        failed(&check(address, transport, Some(Manner::Good)).await, Reason::ConnectRefused);
        failed(&check(leaves.address, transport, Some(Manner::Good)).await, Reason::TlsReset);
    }
}
