//! HTTP/3 servers that hang, reset, flood and babble.

use crate::serving::{Names, check_id, context_with, ended, failed, loopback, monitor};
use crate::tls::{Authority, params, quic_config, self_signed_der};
use futures_util::future::BoxFuture;
use hyperverge_agent::probe::{self, ProbeSettings};
use hyperverge_protocol::outcome::{Observation, Outcome, Reason};
use quinn::crypto::rustls::QuicServerConfig;
use quinn::{Endpoint, SendStream, ServerConfig, TransportConfig, VarInt};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;

/// `:status: 200` out of QPACK's static table, as a HEADERS frame.
const OK: &[u8] = &[1, 3, 0, 0, 0xd9];
/// `:status: 103`.
const INTERIM: &[u8] = &[1, 3, 0, 0, 0xd8];

/// Answers the stream of each request by `answer`.
struct Server {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

type Answer = Arc<dyn Fn(quinn::Connection, SendStream) -> BoxFuture<'static, ()> + Send + Sync>;

impl Server {
    fn new(authority: &Authority, protocol: &str, answer: Answer) -> Self {
        let mut tls = authority.quic_config(&["good.test"]);
        tls.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        Self::showing(tls, TransportConfig::default(), answer)
    }

    fn showing(tls: rustls::ServerConfig, transport: TransportConfig, answer: Answer) -> Self {
        let tls = QuicServerConfig::try_from(tls).expect("a configuration");
        let local = "127.0.0.1:0".parse().expect("an address");
        let mut config = ServerConfig::with_crypto(Arc::new(tls));
        config.transport_config(Arc::new(transport));
        let endpoint = Endpoint::server(config, local).expect("a free port");
        let address = endpoint.local_addr().expect("its address");
        let task = tokio::spawn(async move {
            while let Some(incoming) = endpoint.accept().await {
                let answer = Arc::clone(&answer);
                tokio::spawn(async move {
                    let Ok(connection) = incoming.await else { return };
                    while let Ok((send, mut receive)) = connection.accept_bi().await {
                        // The request is over when the client says so.
                        drop(receive.read_to_end(1 << 20).await);
                        tokio::spawn(answer(connection.clone(), send));
                    }
                });
            }
        });
        Self { address, task }
    }
}

fn framed(kind: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a frame") | 0x8000_0000;
    [&[kind][..], &length.to_be_bytes(), payload].concat()
}

/// What a server does with a request's stream once it has sent some bytes.
#[derive(Clone, Copy)]
enum Then {
    Finish,
    Hang,
    /// RESET_STREAM.
    Reset(u32),
    /// CONNECTION_CLOSE.
    Close(u32),
    /// The last piece again and again.
    Repeat,
}

async fn act(
    connection: quinn::Connection,
    mut send: SendStream,
    pieces: Vec<Vec<u8>>,
    then: Then,
) {
    for piece in &pieces {
        if send.write_all(piece).await.is_err() {
            return;
        }
    }
    match then {
        Then::Finish => {
            drop(send.finish());
            drop(send.stopped().await);
        }
        Then::Hang => std::future::pending().await,
        Then::Reset(code) => drop(send.reset(VarInt::from_u32(code))),
        Then::Close(code) => connection.close(VarInt::from_u32(code), b""),
        Then::Repeat => {
            let last = pieces.last().expect("a piece").repeat(100);
            while send.write_all(&last).await.is_ok() {}
        }
    }
}

async fn check_at(authority: &Authority, address: SocketAddr, more: Value) -> Observation {
    let context = context_with(ProbeSettings {
        ca_pem: Some(authority.pem()),
        resolver: Some(Names::of(&[("good.test", &[&["127.0.0.1"]])])),
        ..loopback()
    });
    let mut all = json!({ "http": { "version": "3" } });
    for (key, value) in more.as_object().expect("an object") {
        all[key] = value.clone();
    }
    let target = format!("https://good.test:{}/", address.port());
    probe::run(&context, &monitor(&target, all), &check_id()).await
}

async fn seen(pieces: Vec<Vec<u8>>, then: Then, more: Value) -> Observation {
    let authority = Authority::new();
    let answer: Answer =
        Arc::new(move |connection, send| Box::pin(act(connection, send, pieces.clone(), then)));
    let server = Server::new(&authority, "h3", answer);
    check_at(&authority, server.address, more).await
}

#[tokio::test]
async fn a_good_answer_in_any_shape() {
    for pieces in [
        vec![OK.to_vec(), framed(0, b"all good")],
        vec![
            INTERIM.to_vec(),
            OK.to_vec(),
            framed(0, b"all "),
            framed(0x21, b"?"),
            framed(0, b"good"),
        ],
    ] {
        let good = json!({ "expect": { "body": "all good" } });
        let seen = seen(pieces, Then::Finish, good).await;
        ended(&seen, Outcome::Ok, None);
        let phases = seen.phases;
        assert!(phases.tls.is_some() && phases.connect.is_none(), "{phases:?}");
        assert!(phases.processing.is_some() && phases.transfer.is_some(), "{phases:?}");
        assert!(seen.certificate_expires_s.is_some() && seen.address.is_some());
    }
}

#[tokio::test]
async fn a_server_ends_the_request() {
    for (pieces, then, reason) in [
        (vec![], Then::Reset(0x102), Reason::ResetProcessing),
        (vec![], Then::Close(0x100), Reason::ResetProcessing),
        (vec![], Then::Reset(0x110), Reason::HttpVersion),
        (vec![], Then::Close(0x110), Reason::HttpVersion),
    ] {
        failed(&seen(pieces, then, json!({})).await, reason);
    }
    // A reset may overtake what was sent before it (RFC 9000, section 3.2).
    for then in [Then::Reset(0x102), Then::Close(0x102)] {
        let half = vec![OK.to_vec(), framed(0, b"half")];
        let seen = seen(half, then, json!({})).await;
        assert!(
            matches!(seen.reason, Some(Reason::ResetTransfer | Reason::ResetProcessing)),
            "{seen:?}"
        );
    }
    let long = [&[1, 6, 0, 0, 0xd9, 0x54, 1, b'9'][..], &framed(0, b"half")].concat();
    failed(&seen(vec![long], Then::Finish, json!({})).await, Reason::ResetTransfer);
}

#[tokio::test]
async fn a_server_hangs() {
    for (pieces, reason) in [
        (vec![], Reason::TimeoutProcessing),
        (vec![vec![1]], Reason::TimeoutProcessing),
        (vec![OK.to_vec()], Reason::TimeoutTransfer),
        (vec![OK.to_vec(), framed(0, b"half")], Reason::TimeoutTransfer),
    ] {
        failed(&seen(pieces, Then::Hang, json!({ "timeout": "700ms" })).await, reason);
    }
    let silent = tokio::net::UdpSocket::bind("127.0.0.1:0").await.expect("a free port");
    let address = silent.local_addr().expect("its address");
    let seen = check_at(&Authority::new(), address, json!({ "timeout": "300ms" })).await;
    failed(&seen, Reason::TimeoutTls);
    assert_eq!(seen.address, Some(address));
}

#[tokio::test]
async fn what_comes_is_not_http3() {
    for pieces in [
        vec![framed(0, b"no head")],
        vec![framed(1, b"\xff\xff\xff\xff")],
        vec![framed(4, b"")],
        vec![framed(1, &[0, 0])],
    ] {
        let shown = format!("{pieces:?}");
        let seen = seen(pieces, Then::Finish, json!({})).await;
        assert_eq!(seen.reason, Some(Reason::HttpMalformed), "{shown}: {seen:?}");
    }
    let authority = Authority::new();
    let nothing: Answer = Arc::new(|_, _| Box::pin(std::future::ready(())));
    let server = Server::new(&authority, "doq", nothing);
    failed(&check_at(&authority, server.address, json!({})).await, Reason::HttpVersion);
    let stranger = Authority::new();
    let seen = check_at(&stranger, server.address, json!({})).await;
    assert_eq!(seen.outcome, Outcome::Fail, "{seen:?}");
}

#[tokio::test]
async fn a_head_never_ends() {
    // The first announces a gigabyte of header.
    let endless = [&[1][..], &0xc000_0000_4000_0000_u64.to_be_bytes()].concat();
    for pieces in
        [vec![endless, vec![0; 8_192]], vec![INTERIM.to_vec()], vec![framed(0x21, &[0; 100])]]
    {
        let seen = seen(pieces, Then::Repeat, json!({ "timeout": "30s" })).await;
        failed(&seen, Reason::HttpHeadersTooLarge);
    }
}

#[tokio::test]
async fn a_body_never_ends() {
    let pieces = vec![OK.to_vec(), framed(0, &[b'x'; 8_192])];
    let long = seen(pieces, Then::Repeat, json!({ "timeout": "30s" })).await;
    ended(&long, Outcome::Ok, None);
    assert_eq!(long.body_bytes, 1024 * 1024);
    let flood = framed(0x21, &[0; 1_000]);
    let seen = seen(vec![OK.to_vec(), flood], Then::Repeat, json!({ "timeout": "30s" })).await;
    failed(&seen, Reason::HttpMalformed);
    assert_eq!(seen.body_bytes, 0);
}

fn nothing() -> Answer {
    Arc::new(|_, _| Box::pin(std::future::ready(())))
}

#[tokio::test]
async fn each_bad_certificate_has_its_reason_here_too() {
    let authority = Authority::new();
    let mut expired = params(&["good.test"]);
    expired.not_after = rcgen::date_time_ymd(2020, 1, 1);
    let mut early = params(&["good.test"]);
    early.not_before = rcgen::date_time_ymd(2095, 1, 1);
    let pin = json!({ "tls": { "pins": ["0".repeat(64)] } });
    for ((certificate, key), more, reason) in [
        (authority.issued(expired), json!({}), Reason::TlsExpired),
        (authority.issued(early), json!({}), Reason::TlsNotYetValid),
        (authority.issued(params(&["other.test"])), json!({}), Reason::TlsWrongHost),
        (self_signed_der(params(&["good.test"])), json!({}), Reason::TlsSelfSigned),
        (authority.issued(params(&["good.test"])), pin, Reason::TlsPin),
    ] {
        let mut tls = quic_config(certificate, &key);
        tls.alpn_protocols = vec![b"h3".to_vec()];
        let server = Server::showing(tls, TransportConfig::default(), nothing());
        let seen = check_at(&authority, server.address, more).await;
        failed(&seen, reason);
        let facts = seen.details.as_ref().and_then(|details| details.tls.as_ref()).expect("facts");
        assert_eq!((facts.subject.as_str(), facts.cipher.as_str()), ("Test Leaf", ""));
    }
}

#[tokio::test]
async fn a_connection_that_falls_silent_is_no_reset() {
    let authority = Authority::new();
    for (pieces, reason) in [
        (vec![], Reason::TimeoutProcessing),
        (vec![OK.to_vec(), framed(0, b"half")], Reason::TimeoutTransfer),
    ] {
        let mut tls = authority.quic_config(&["good.test"]);
        tls.alpn_protocols = vec![b"h3".to_vec()];
        // Both sides give a connection up when either would.
        let mut transport = TransportConfig::default();
        let idle = Duration::from_millis(300).try_into().expect("an idle timeout");
        transport.max_idle_timeout(Some(idle));
        let answer: Answer = Arc::new(move |connection, send| {
            Box::pin(act(connection, send, pieces.clone(), Then::Hang))
        });
        let server = Server::showing(tls, transport, answer);
        let seen = check_at(&authority, server.address, json!({ "timeout": "20s" })).await;
        failed(&seen, reason);
        assert!(seen.message.ends_with("fell silent on the connection"), "{}", seen.message);
    }
}

#[tokio::test]
async fn a_server_that_takes_no_connections_refuses() {
    let authority = Authority::new();
    let tls = QuicServerConfig::try_from(authority.quic_config(&["good.test"])).expect("TLS");
    let local = "127.0.0.1:0".parse().expect("an address");
    let endpoint =
        Endpoint::server(ServerConfig::with_crypto(Arc::new(tls)), local).expect("a free port");
    let address = endpoint.local_addr().expect("its address");
    let refusing = tokio::spawn(async move {
        while let Some(incoming) = endpoint.accept().await {
            incoming.refuse();
        }
    });
    let seen = check_at(&authority, address, json!({})).await;
    failed(&seen, Reason::ConnectRefused);
    assert_eq!(seen.message, format!("{address} refused the connection"));
    refusing.abort();
}

#[tokio::test]
async fn a_body_is_announced_with_its_length() {
    let authority = Authority::new();
    for (method, body, length) in
        [("POST", Some("four"), Some("4")), ("PUT", None, Some("0")), ("GET", None, None)]
    {
        let mut tls = authority.quic_config(&["good.test"]);
        tls.alpn_protocols = vec![b"h3".to_vec()];
        let tls = QuicServerConfig::try_from(tls).expect("TLS");
        let local = "127.0.0.1:0".parse().expect("an address");
        let endpoint =
            Endpoint::server(ServerConfig::with_crypto(Arc::new(tls)), local).expect("a free port");
        let address = endpoint.local_addr().expect("its address");
        let serving = tokio::spawn(async move {
            let connection = endpoint.accept().await.expect("a client").await.expect("QUIC");
            let below = h3_quinn::Connection::new(connection);
            let mut http = h3::server::Connection::<_, bytes::Bytes>::new(below).await.expect("h3");
            let request = http.accept().await.expect("a request").expect("a request");
            let (request, mut stream) = request.resolve_request().await.expect("a request");
            let told = request.headers().get("content-length").cloned();
            let head = ::http::Response::builder().status(200).body(()).expect("a head");
            stream.send_response(head).await.expect("sent");
            stream.finish().await.expect("sent");
            drop(http.accept().await);
            told
        });
        let mut http = json!({ "version": "3", "method": method });
        if let Some(body) = body {
            http["body"] = json!(body);
        }
        ended(&check_at(&authority, address, json!({ "http": http })).await, Outcome::Ok, None);
        let told = serving.await.expect("no panic");
        assert_eq!(told.as_ref().and_then(|told| told.to_str().ok()), length, "{method}");
    }
}
