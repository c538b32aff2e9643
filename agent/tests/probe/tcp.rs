//! `kind: tcp` against servers that do exactly what a test says.

use crate::serving::{Server, check_id, context, ended, failed, monitor};
use crate::tls::{Authority, serve_tls, trusting};
use futures_util::future::join_all;
use hyperverge_agent::probe::{self, ProbeContext};
use hyperverge_protocol::outcome::{Observation, Outcome, Reason};
use nix::sys::socket::{MsgFlags, send};
use serde_json::{Value, json};
use std::io::Read;
use std::net::TcpListener;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

fn with(mut spec: Value, kind: &str) -> Value {
    spec["kind"] = kind.into();
    spec
}

/// Checks `server` once; it is known as `good.test`.
pub(crate) async fn check(
    context: &ProbeContext,
    kind: &str,
    server: &Server,
    more: Value,
) -> Observation {
    let target = format!("good.test:{}", server.address.port());
    probe::run(context, &monitor(&target, with(more, kind)), &check_id()).await
}

async fn check_plain(server: &Server, more: Value) -> Observation {
    let target = server.address.to_string();
    probe::run(&context(), &monitor(&target, with(more, "tcp")), &check_id()).await
}

fn steps(steps: Value) -> Value {
    json!({ "timeout": "2s", "tcp": { "steps": steps } })
}

/// Says `text`, then does nothing until the client is gone.
async fn hanging(text: &'static [u8]) -> Server {
    Server::raw(move |mut stream| async move {
        drop(stream.write_all(text).await);
        until_gone(&mut stream).await;
    })
    .await
}

async fn until_gone(stream: &mut TcpStream) {
    let mut rest = [0; 256];
    while stream.read(&mut rest).await.is_ok_and(|n| n > 0) {}
}

/// Says `text` and closes in order.
async fn closing(text: &'static [u8]) -> Server {
    Server::raw(move |mut stream| async move {
        drop(stream.write_all(text).await);
        drop(stream.shutdown().await);
        until_gone(&mut stream).await;
    })
    .await
}

/// Says `text`, waits for an answer and resets.
async fn resetting(text: &'static [u8]) -> Server {
    Server::raw(move |mut stream| async move {
        drop(stream.write_all(text).await);
        let mut word = [0; 1];
        drop(stream.read(&mut word).await);
        drop(stream.set_zero_linger());
    })
    .await
}

/// Says it all before the client has read anything, one byte of it urgently.
fn urgent() -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("its address");
    std::thread::spawn(move || {
        let say = |stream: &std::net::TcpStream, text: &[u8], how| {
            send(stream.as_raw_fd(), text, how).expect("a client")
        };
        while let Ok((mut stream, _)) = listener.accept() {
            say(&stream, b"220 hel", MsgFlags::empty());
            say(&stream, b"!", MsgFlags::MSG_OOB);
            say(&stream, b"lo ready\r\n", MsgFlags::empty());
            // Until the client is gone.
            drop(stream.read(&mut [0]));
        }
    });
    address
}

#[tokio::test]
async fn what_lies_behind_an_urgent_byte_is_read() {
    let target = urgent().to_string();
    let spec = monitor(&target, with(steps(json!([{ "expect": "lo ready" }])), "tcp"));
    for _ in 0..50 {
        let seen = probe::run(&context(), &spec, &check_id()).await;
        ended(&seen, Outcome::Ok, None);
        assert_eq!(seen.body_bytes, 17);
    }
}

#[tokio::test]
async fn a_connection_is_enough() {
    let server = hanging(b"").await;
    let seen = check_plain(&server, json!({})).await;
    ended(&seen, Outcome::Ok, None);
    assert!(seen.phases.connect.is_some() && seen.phases.processing.is_none());
    assert_eq!((seen.address, seen.body_bytes), (Some(server.address), 0));
}

#[tokio::test]
async fn a_dialogue_goes_step_by_step() {
    let server = Server::raw(|mut stream| async move {
        drop(stream.write_all(b"220 here\r\n").await);
        let mut said = [0; 64];
        while let Ok(count @ 1..) = stream.read(&mut said).await {
            let echo: Vec<u8> = said[..count].iter().rev().copied().collect();
            if stream.write_all(&echo).await.is_err() {
                return;
            }
        }
    })
    .await;
    let dialogue = json!([
        { "expect_regex": "^220 \\w+" }, { "expect": "220" }, { "send": "abc" }, { "expect": "cba" },
        { "send_hex": "0001ff" }, { "expect_hex": "ff0100" }, { "expect_regex": "(?-u)^\\xff" }
    ]);
    let seen = check_plain(&server, steps(dialogue)).await;
    ended(&seen, Outcome::Ok, None);
    assert!(seen.phases.processing.is_some() && seen.phases.transfer.is_some());
    assert_eq!((seen.body_bytes, seen.sample.len()), (16, 0));
    // What came before the last word is not looked at again.
    let dialogue = json!([{ "expect": "220" }, { "send": "abc" }, { "expect": "220" }]);
    let seen = check_plain(&server, steps(dialogue)).await;
    assert_eq!(seen.sample, b"cba");
}

#[tokio::test]
async fn each_way_to_go_wrong_has_its_own_reason() {
    let expecting = || steps(json!([{ "expect": "secret-word" }]));
    let asking =
        || steps(json!([{ "expect": "220" }, { "send": "x" }, { "expect": "secret-word" }]));
    let ways = [
        (hanging(b"").await, expecting(), Reason::TimeoutProcessing, &b""[..]),
        (hanging(b"22").await, expecting(), Reason::TimeoutTransfer, b"22"),
        (hanging(b"554 no\r\n").await, expecting(), Reason::Response, b"554 no\r\n"),
        (closing(b"").await, expecting(), Reason::ResetProcessing, b""),
        (closing(b"554 no\r\n").await, expecting(), Reason::Response, b"554 no\r\n"),
        (resetting(b"220 hi\r\n").await, asking(), Reason::ResetTransfer, b""),
        (closing(b"220 hi\r\n").await, asking(), Reason::ResetTransfer, b""),
        (hanging(b"220 hi\r\n").await, asking(), Reason::TimeoutTransfer, b""),
    ];
    // Side by side, since some of them take all their time.
    join_all(ways.into_iter().map(|(server, spec, reason, sample)| async move {
        let seen = check_plain(&server, spec).await;
        failed(&seen, reason);
        assert_eq!(seen.sample, sample, "{seen:?}");
        assert!(!seen.message.contains("secret-word"), "{seen:?}");
    }))
    .await;
    let hex = steps(json!([{ "expect_hex": "0a0b0c" }]));
    failed(&check_plain(&hanging(b"abc").await, hex.clone()).await, Reason::Response);
    failed(&check_plain(&hanging(b"ab").await, hex).await, Reason::TimeoutTransfer);
    let gone = TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr();
    let gone = gone.expect("its address");
    let target = monitor(&gone.to_string(), with(json!({}), "tcp"));
    failed(&probe::run(&context(), &target, &check_id()).await, Reason::ConnectRefused);
}

#[tokio::test]
async fn who_never_stops_talking_is_cut_off() {
    let server =
        Server::raw(
            |mut stream| async move { while stream.write_all(&[b'x'; 4096]).await.is_ok() {} },
        )
        .await;
    let seen = check_plain(&server, steps(json!([{ "expect_regex": "(?s)y.{100}z" }]))).await;
    failed(&seen, Reason::Response);
    assert_eq!((seen.body_bytes, seen.sample.len()), (65_536, 1_024));
}

#[tokio::test]
async fn latency_and_certificates_are_judged() {
    let authority = Authority::new();
    let acceptor = authority.acceptor(&["good.test"]);
    let server = Server::raw(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let mut stream = serve_tls(&acceptor, stream).await;
            drop(stream.write_all(b"hello\n").await);
            let mut rest = [0; 64];
            while stream.read(&mut rest).await.is_ok_and(|n| n > 0) {}
        }
    })
    .await;
    let context = trusting(&authority);
    let spec = json!({ "tcp": { "tls": true, "steps": [{ "expect": "hello" }] } });
    let seen = check(&context, "tcp", &server, spec.clone()).await;
    ended(&seen, Outcome::Ok, None);
    let facts = seen.details.expect("details").tls.expect("facts");
    assert_eq!((facts.version.as_str(), facts.subject.as_str()), ("1.3", "Test Leaf"));
    assert!(seen.phases.tls.is_some() && seen.phases.processing.is_some());
    let mut soon = spec;
    soon["expect"] = json!({ "chain_days": 3_650 });
    let seen = check(&context, "tcp", &server, soon).await;
    ended(&seen, Outcome::Ok, None);
}

#[tokio::test]
async fn a_step_begins_tls_in_the_middle() {
    let authority = Authority::new();
    let acceptor = Arc::new(authority.acceptor(&["good.test"]));
    let server = Server::raw(move |mut stream| {
        let acceptor = Arc::clone(&acceptor);
        async move {
            drop(stream.write_all(b"ready\n").await);
            let mut said = [0; 64];
            drop(stream.read(&mut said).await);
            drop(stream.write_all(b"go\n").await);
            let mut stream = serve_tls(&acceptor, stream).await;
            drop(stream.write_all(b"safe\n").await);
            while stream.read(&mut said).await.is_ok_and(|n| n > 0) {}
        }
    })
    .await;
    let dialogue = json!([{ "expect": "ready" }, { "send": "TLS\n" }, { "expect": "go" }, "starttls",
               { "expect": "safe" }]);
    let seen = check(&trusting(&authority), "tcp", &server, steps(dialogue)).await;
    ended(&seen, Outcome::Ok, None);
    assert!(seen.details.is_some_and(|details| details.tls.is_some()));
}

#[tokio::test]
async fn an_answer_in_very_many_pieces_is_searched_to_its_end() {
    // Each byte by itself, and a pattern that is costly on all of them.
    let dribbling = |text: Vec<u8>| {
        Server::raw(move |mut stream| {
            let text = text.clone();
            async move {
                stream.set_nodelay(true).expect("a socket option");
                for byte in text.chunks(1) {
                    if stream.write_all(byte).await.is_err() {
                        return;
                    }
                    tokio::task::yield_now().await;
                }
                drop(stream.shutdown().await);
                until_gone(&mut stream).await;
            }
        })
    };
    let costly = || {
        let mut spec = steps(json!([{ "expect_regex": "(?-u)(?:x.{1,200}){1,5}y" }]));
        spec["timeout"] = json!("50s");
        spec
    };
    let mut text = b"x ".repeat(2_500);
    let seen = check_plain(&dribbling(text.clone()).await, costly()).await;
    failed(&seen, Reason::Response);
    assert_eq!(seen.body_bytes, 5_000);
    text.push(b'y');
    ended(&check_plain(&dribbling(text).await, costly()).await, Outcome::Ok, None);
}
