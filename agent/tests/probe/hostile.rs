//! Servers that refuse, reset, hang, flood and babble.

use crate::serving::{
    Server, answer, check, check_id, context, context_with, ended, failed, loopback, monitor, ok,
    read_request,
};
use futures_util::future::BoxFuture;
use hyperverge_agent::clock::monotonic;
use hyperverge_agent::probe::failure::Failure;
use hyperverge_agent::probe::resolve::Resolve;
use hyperverge_agent::probe::{self, Prepared, ProbeSettings};
use hyperverge_protocol::monitor::Family;
use hyperverge_protocol::outcome::{Outcome, Reason};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};

fn hurried() -> Value {
    json!({ "timeout": "300ms" })
}

/// Closes with a reset instead of a FIN.
fn reset(stream: &TcpStream) {
    socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO)).expect("a socket option");
}

/// A server that reads the request, sends `text` and then keeps quiet.
async fn hung_after(text: &'static str) -> Server {
    Server::raw(move |mut stream| async move {
        read_request(&mut stream).await;
        stream.write_all(text.as_bytes()).await.expect("a client");
        std::future::pending::<()>().await;
    })
    .await
}

/// A server that reads the request, sends `text` and then resets or closes.
async fn gone_after(text: &'static str, by_reset: bool) -> Server {
    Server::raw(move |mut stream| async move {
        read_request(&mut stream).await;
        stream.write_all(text.as_bytes()).await.expect("a client");
        if by_reset {
            // Else the reset could overtake what was just written.
            stream.readable().await.ok();
            reset(&stream);
        }
    })
    .await
}

#[tokio::test]
async fn nobody_listens() {
    // Bound and never listening, so that the port is ours and refuses.
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind("127.0.0.1:0".parse().expect("an address")).expect("a free port");
    let address = socket.local_addr().expect("its address");
    let seen = check(&format!("http://{address}/"), json!({})).await;
    failed(&seen, Reason::ConnectRefused);
    assert_eq!(seen.message, format!("{address} refused the connection"));
    assert_eq!(seen.address, Some(address));
    assert!(seen.phases.connect.is_some() && seen.phases.processing.is_none());
}

#[tokio::test]
async fn a_connection_is_never_accepted() {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind("127.0.0.1:0".parse().expect("an address")).expect("a free port");
    let listener = socket.listen(0).expect("a listener");
    let address = listener.local_addr().expect("its address");
    // Once its queue is full, the kernel drops further handshakes.
    let mut queue = Vec::new();
    while let Ok(stream) =
        tokio::time::timeout(Duration::from_millis(200), TcpStream::connect(address)).await
    {
        queue.push(stream.expect("a place in the queue"));
        assert!(queue.len() < 64, "the queue never filled");
    }
    let seen = check(&format!("http://{address}/"), hurried()).await;
    failed(&seen, Reason::TimeoutConnect);
    assert_eq!(seen.message, "not done within 300ms: the time ran out while connecting");
}

#[tokio::test]
async fn the_connection_goes_before_the_first_byte() {
    let closing = gone_after("", false).await;
    failed(&check(&closing.url("/"), json!({})).await, Reason::ResetProcessing);
    let resetting = Server::raw(|mut stream| async move {
        read_request(&mut stream).await;
        reset(&stream);
    })
    .await;
    failed(&check(&resetting.url("/"), json!({})).await, Reason::ResetProcessing);
    let rude = Server::raw(|stream| async move { reset(&stream) }).await;
    let seen = check(&rude.url("/"), json!({})).await;
    assert!(
        matches!(seen.reason, Some(Reason::ResetProcessing | Reason::ConnectReset)),
        "{seen:?}"
    );
}

#[tokio::test]
async fn the_connection_goes_after_the_first_byte() {
    for text in [
        "HTTP/1.1 20",
        "HTTP/1.1 200 OK\r\nContent-Le",
        "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\nhalf",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
    ] {
        let server = gone_after(text, false).await;
        failed(&check(&server.url("/"), json!({})).await, Reason::ResetTransfer);
    }
    let half = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf";
    let server = Server::raw(move |mut stream| async move {
        read_request(&mut stream).await;
        stream.write_all(half.as_bytes()).await.expect("a client");
        tokio::time::sleep(Duration::from_millis(50)).await;
        reset(&stream);
    })
    .await;
    let seen = check(&server.url("/"), json!({})).await;
    failed(&seen, Reason::ResetTransfer);
    assert_eq!((seen.status, &seen.sample[..]), (Some(200), &b"half"[..]));
}

#[tokio::test]
async fn a_server_hangs() {
    for (text, reason) in [
        ("", Reason::TimeoutProcessing),
        ("HTTP/1.1 200", Reason::TimeoutTransfer),
        ("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", Reason::TimeoutTransfer),
        ("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", Reason::TimeoutTransfer),
        ("HTTP/1.1 100 Continue\r\n\r\n", Reason::TimeoutProcessing),
    ] {
        let server = hung_after(text).await;
        let seen = check(&server.url("/"), hurried()).await;
        failed(&seen, reason);
        assert!(seen.phases.processing.is_some(), "{seen:?}");
    }
}

#[tokio::test]
async fn a_body_drips() {
    let server = Server::raw(|mut stream| async move {
        read_request(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.expect("a client");
        while stream.write_all(b".").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    let seen = check(&server.url("/"), hurried()).await;
    failed(&seen, Reason::TimeoutTransfer);
    assert!(seen.body_bytes > 0 && seen.phases.transfer.is_some());
}

#[tokio::test]
async fn a_body_never_ends() {
    for head in [
        "HTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffff\r\n",
    ] {
        let server = Server::raw(move |mut stream| async move {
            read_request(&mut stream).await;
            stream.write_all(head.as_bytes()).await.expect("a client");
            while stream.write_all(&[b'x'; 8_192]).await.is_ok() {}
        })
        .await;
        let seen = check(&server.url("/"), json!({})).await;
        ended(&seen, Outcome::Ok, None);
        assert_eq!(seen.body_bytes, 1024 * 1024);
        let seen = check(&server.url("/"), json!({ "expect": { "body": "the end" } })).await;
        failed(&seen, Reason::BodyTooLarge);
    }
}

#[tokio::test]
async fn a_head_never_ends() {
    for (start, flood) in [
        ("", "HTTP/1.1 100 Continue\r\n\r\n"),
        ("", "HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n"),
        ("HTTP/1.1 200 OK\r\n", "X-Small: 1\r\n"),
        ("HTTP/1.1 200 OK\r\nX-Huge: ", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
        ("HTTP/1.1 200 ", "reason "),
    ] {
        let server = Server::raw(move |mut stream| async move {
            read_request(&mut stream).await;
            let many = flood.repeat(1_000);
            if stream.write_all(start.as_bytes()).await.is_ok() {
                while stream.write_all(many.as_bytes()).await.is_ok() {}
            }
        })
        .await;
        let seen = check(&server.url("/"), json!({})).await;
        failed(&seen, Reason::HttpHeadersTooLarge);
    }
}

#[tokio::test]
async fn what_comes_is_not_http() {
    for text in [
        "SSH-2.0-OpenSSH_9.6\r\n",
        "220 mail.example.com ESMTP\r\n",
        "HTTP/9.9 200 OK\r\n\r\n",
        "HTTP/1.1 2000 OK\r\n\r\n",
        "HTTP/1.1 abc\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX-Zero: a\0b\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nhalf",
        "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length : 5\r\n\r\nhalf",
        "HTTP/1.1 200 OK\r\nContent-Length: 4,\r\n 5\r\n\r\nhalf",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnot a size\r\n",
        "\0\0\0\0\0\0\0\0\0",
        "<html>hello</html>\r\n\r\n",
    ] {
        let server = Server::saying(text).await;
        let seen = check(&server.url("/"), json!({})).await;
        failed(&seen, Reason::HttpMalformed);
    }
}

#[tokio::test]
async fn an_odd_header_is_not_the_end_of_an_answer() {
    for odd in [
        "X-Policy: a;\r\n b\r\n",
        "X-Policy:\r\n\ta\r\n",
        "Server : x\r\n",
        "X Foo: x\r\n",
        "X-Control: a\x01b\r\n",
        "no colon here\r\n",
        ": no name\r\n",
        " folded, but what?\r\n",
    ] {
        let server = Server::saying(answer("200 OK", &format!("{odd}X-Next: 1\r\n"), "fine")).await;
        let next = json!({ "expect": { "body": "fine", "headers": { "x-next": "1" } } });
        ended(&check(&server.url("/"), next).await, Outcome::Ok, None);
    }
    let folded = answer("200 OK", "X-Policy: a;\r\n\t b\r\nServer : x\r\n", "");
    let server = Server::saying(folded).await;
    let read = json!({ "expect": { "headers": { "x-policy": "a; b", "server": "x" } } });
    ended(&check(&server.url("/"), read).await, Outcome::Ok, None);
}

#[tokio::test]
async fn chunks_count_where_a_length_is_told_as_well() {
    for name in ["Transfer-Encoding", "Transfer-Encoding "] {
        let both = format!(
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n{name}: chunked\r\n\r\n4\r\nfine\r\n0\r\n\r\n"
        );
        let server = Server::saying(both).await;
        let seen = check(&server.url("/"), json!({ "expect": { "body": "fine" } })).await;
        ended(&seen, Outcome::Ok, None);
        assert_eq!(seen.body_bytes, 4);
    }
}

#[tokio::test]
async fn a_failed_answer_is_reported_though_its_body_hangs() {
    let server = hung_after("HTTP/1.1 500 Oh\r\nContent-Length: 99\r\n\r\nhalf").await;
    let began = monotonic();
    let seen = check(&server.url("/"), json!({})).await;
    failed(&seen, Reason::Status);
    assert_eq!(seen.sample, b"half");
    assert!(began.elapsed() < Duration::from_secs(4), "waited for the timeout");
}

#[derive(Debug)]
struct Silent;

impl Resolve for Silent {
    fn resolve<'a>(&'a self, _: &'a str, _: Family) -> BoxFuture<'a, Result<Vec<IpAddr>, Failure>> {
        Box::pin(std::future::pending())
    }
}

#[tokio::test]
async fn name_servers_and_handshakes_hang() {
    let context = context_with(ProbeSettings { resolver: Some(Arc::new(Silent)), ..loopback() });
    let seen = probe::run(&context, &monitor("http://a.test/", hurried()), &check_id()).await;
    failed(&seen, Reason::TimeoutResolve);
    assert!(seen.phases.resolve.is_some() && seen.phases.connect.is_none());
    let server = Server::raw(|stream| async move {
        std::future::pending::<()>().await;
        drop(stream);
    })
    .await;
    let seen = check(&format!("https://{}/", server.address), hurried()).await;
    failed(&seen, Reason::TimeoutTls);
}

#[tokio::test]
async fn a_host_that_stalled_blames_nobody() {
    let server = hung_after("").await;
    let context = context();
    let spec = monitor(&server.url("/"), json!({ "timeout": "100ms" }));
    let check_id = check_id();
    let stall = async {
        // The runtime has this one thread: nothing else runs meanwhile.
        tokio::task::yield_now().await;
        let began = monotonic();
        while began.elapsed() < Duration::from_millis(1_300) {
            std::hint::spin_loop();
        }
    };
    let (seen, ()) = tokio::join!(probe::run(&context, &spec, &check_id), stall);
    ended(&seen, Outcome::Unsupported, Some(Reason::AgentFault));
    assert!(seen.message.contains("stalled"), "{}", seen.message);
}

#[tokio::test]
async fn a_hung_target_delays_no_other() {
    let hung = hung_after("").await;
    let good = Server::saying(ok("")).await;
    let context = context();
    let waiting =
        Arc::new(Prepared::new(&context, &monitor(&hung.url("/"), json!({ "timeout": "20s" }))));
    let held: Vec<_> = (0..200)
        .map(|_| {
            let (waiting, context) = (Arc::clone(&waiting), context.clone());
            tokio::spawn(async move { waiting.run(&context, &check_id()).await })
        })
        .collect();
    let began = monotonic();
    for _ in 0..20 {
        ended(&check(&good.url("/"), json!({})).await, Outcome::Ok, None);
    }
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    assert!(held.iter().all(|check| !check.is_finished()));
    held.iter().for_each(tokio::task::JoinHandle::abort);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever bytes come back, a check ends with an observation of the target.
    #[test]
    fn no_answer_panics(
        head in prop_oneof![Just(""), Just("HTTP/1.1 200 OK\r\n"), Just("HTTP/1.1 302 F\r\nLocation: ")],
        noise in proptest::collection::vec(any::<u8>(), 0..512),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let seen = runtime.block_on(async {
            let server = Server::saying([head.as_bytes(), &noise].concat()).await;
            check(&server.url("/"), json!({ "timeout": "2s" })).await
        });
        prop_assert_ne!(seen.outcome, Outcome::Unsupported);
        prop_assert_eq!(seen.reason.is_none(), seen.outcome == Outcome::Ok);
    }
}

#[tokio::test]
async fn an_answer_in_another_version_is_told_apart() {
    let server = Server::saying("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    let seen = check(&server.url("/"), json!({})).await;
    assert!(matches!(seen.reason, Some(Reason::HttpVersion | Reason::HttpMalformed)), "{seen:?}");
    let server = Server::saying(answer("101 Switching Protocols", "Upgrade: x\r\n", "")).await;
    failed(&check(&server.url("/"), json!({})).await, Reason::Status);
}

#[tokio::test]
async fn many_small_headers_are_no_fault_until_they_are_very_many() {
    let with = |count: usize| {
        let headers: String = (0..count).map(|n| format!("x-{n}: {n}\r\n")).collect();
        answer("200 OK", &headers, "fine")
    };
    let server = Server::saying(with(900)).await;
    let more = json!({ "expect": { "headers": { "x-899": "899" } } });
    ended(&check(&server.url("/"), more).await, Outcome::Ok, None);
    let server = Server::saying(with(1_100)).await;
    failed(&check(&server.url("/"), json!({})).await, Reason::HttpHeadersTooLarge);
}
