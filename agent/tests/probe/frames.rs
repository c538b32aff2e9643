//! HTTP/2 servers that hang, reset, flood and babble, frame by frame.

use crate::serving::{Server, check, ended, failed};
use hyperverge_protocol::outcome::{Observation, Outcome, Reason};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

// RFC 9113, section 6.
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PUSH_PROMISE: u8 = 5;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const PADDED: u8 = 8;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a frame").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

fn settings() -> Vec<u8> {
    frame(SETTINGS, 0, 0, &[])
}

/// A literal header that is not indexed (RFC 7541, section 6.2.2), below 127 bytes each.
fn literal(name: &str, value: &str) -> Vec<u8> {
    let length = |text: &str| u8::try_from(text.len()).expect("a short text");
    [&[0, length(name)], name.as_bytes(), &[length(value)], value.as_bytes()].concat()
}

/// `:status: 200` out of the static table, and `more`.
fn head(flags: u8, more: &[u8]) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | flags, 1, &[&[0x88], more].concat())
}

fn data(flags: u8, bytes: &[u8]) -> Vec<u8> {
    frame(DATA, flags, 1, bytes)
}

/// How a script ends.
#[derive(Clone, Copy)]
enum Then {
    Close,
    Hang,
    /// Sends the last piece again and again.
    Repeat,
}

/// Reads the request's first bytes, then sends the pieces.
async fn sending(pieces: Vec<Vec<u8>>, then: Then) -> Server {
    let pieces = Arc::new(pieces);
    Server::raw(move |mut stream| {
        let pieces = Arc::clone(&pieces);
        async move {
            let mut request = [0; 4_096];
            if stream.read(&mut request).await.is_err() {
                return;
            }
            for piece in pieces.iter() {
                if stream.write_all(piece).await.is_err() {
                    return;
                }
            }
            match then {
                Then::Close => {
                    drop(stream.shutdown().await);
                    while stream.read(&mut request).await.is_ok_and(|read| read > 0) {}
                }
                Then::Hang => while stream.read(&mut request).await.is_ok_and(|read| read > 0) {},
                Then::Repeat => {
                    let (mut from, mut to) = stream.into_split();
                    let reading =
                        async { while from.read(&mut request).await.is_ok_and(|n| n > 0) {} };
                    let last = pieces.last().expect("a piece").repeat(100);
                    let writing = async { while to.write_all(&last).await.is_ok() {} };
                    tokio::join!(reading, writing);
                }
            }
        }
    })
    .await
}

async fn seen(pieces: Vec<Vec<u8>>, then: Then, more: Value) -> Observation {
    let server = sending(pieces, then).await;
    let mut all = json!({ "http": { "version": "2" } });
    for (key, value) in more.as_object().expect("an object") {
        all[key] = value.clone();
    }
    check(&server.url("/"), all).await
}

#[tokio::test]
async fn a_good_answer_in_any_shape() {
    let trailers = frame(HEADERS, END_HEADERS | END_STREAM, 1, &literal("x-sum", "1"));
    let long = literal("content-length", "8");
    for pieces in [
        vec![settings(), head(0, &[]), data(END_STREAM, b"all good")],
        vec![settings(), head(0, &long), data(0, b"all "), data(0, b"good"), data(END_STREAM, b"")],
        vec![settings(), head(0, &[]), data(0, b"all good"), trailers],
        vec![
            settings(),
            frame(HEADERS, END_HEADERS, 1, &[0x08, 3, b'1', b'0', b'3']),
            frame(HEADERS, 0, 1, &[0x88]),
            frame(CONTINUATION, END_HEADERS, 1, &literal("x-long", "1")),
            frame(PING, 0, 0, &[0; 8]),
            frame(99, 0, 0, b"unknown"),
            data(PADDED | END_STREAM, b"\x03all good\0\0\0"),
        ],
    ] {
        let good = json!({ "expect": { "body": "all good" } });
        let seen = seen(pieces, Then::Hang, good).await;
        ended(&seen, Outcome::Ok, None);
        assert_eq!(seen.body_bytes, 8);
    }
    let none = seen(vec![settings(), head(END_STREAM, &[])], Then::Hang, json!({})).await;
    ended(&none, Outcome::Ok, None);
}

#[tokio::test]
async fn the_request_is_one_of_http2() {
    let server = Server::raw(|stream| async move {
        let mut connection = h2::server::handshake(stream).await.expect("a client");
        while let Some(Ok((request, mut respond))) = connection.accept().await {
            let (head, mut body) = request.into_parts();
            let length = match body.data().await {
                Some(Ok(data)) => data.len(),
                _ => 0,
            };
            let says = format!(
                "{} {} {length} {:?} {:?} {:?} {:?}",
                head.method,
                head.uri,
                head.headers.get("host"),
                head.headers.get("connection"),
                head.headers.get("x-hyperverge-check"),
                head.headers.get("content-length"),
            );
            let answer = http::Response::new(());
            let mut sending = respond.send_response(answer, false).expect("an answer");
            sending.send_data(says.into(), true).expect("a body");
        }
    })
    .await;
    let expected = format!(
        "POST http://{}/a?b=c 5 None None Some(\"shop/eu-west/42\") Some(\"5\")",
        server.address
    );
    let http = json!({ "version": "2", "method": "POST", "body": "x=y&z" });
    let more = json!({ "http": http, "expect": { "body": expected } });
    ended(&check(&server.url("/a?b=c#d"), more).await, Outcome::Ok, None);
}

#[tokio::test]
async fn a_server_ends_the_request() {
    let reset = |code: u32| frame(RST_STREAM, 0, 1, &code.to_be_bytes());
    let begun = || data(0, b"half");
    let goodbye = frame(GOAWAY, 0, 0, &[0; 8]);
    let long = literal("content-length", "99");
    for (pieces, reason) in [
        (vec![], Reason::ResetProcessing),
        (vec![settings()], Reason::ResetProcessing),
        (vec![settings(), reset(7)], Reason::ResetProcessing),
        (vec![settings(), goodbye], Reason::ResetProcessing),
        (vec![settings(), reset(0xd)], Reason::HttpVersion),
        (vec![settings(), head(0, &[]), begun()], Reason::ResetTransfer),
        (vec![settings(), head(0, &[]), begun(), reset(2)], Reason::ResetTransfer),
        (vec![settings(), head(0, &long), data(END_STREAM, b"half")], Reason::ResetTransfer),
    ] {
        let seen = seen(pieces, Then::Close, json!({})).await;
        failed(&seen, reason);
    }
}

#[tokio::test]
async fn a_server_hangs() {
    let long = literal("content-length", "99");
    for (pieces, reason) in [
        (vec![], Reason::TimeoutProcessing),
        (vec![settings()], Reason::TimeoutProcessing),
        (vec![settings(), frame(HEADERS, 0, 1, &[0x88])], Reason::TimeoutProcessing),
        (vec![settings(), head(0, &[])], Reason::TimeoutTransfer),
        (vec![settings(), head(0, &long), data(0, b"half")], Reason::TimeoutTransfer),
    ] {
        let seen = seen(pieces, Then::Hang, json!({ "timeout": "300ms" })).await;
        failed(&seen, reason);
        assert!(seen.phases.processing.is_some(), "{seen:?}");
    }
}

#[tokio::test]
async fn what_comes_is_not_http2() {
    for text in
        ["HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", "HTTP/1.0 505 Version\r\n\r\n"]
    {
        let seen = seen(vec![text.into()], Then::Close, json!({})).await;
        failed(&seen, Reason::HttpVersion);
    }
    let push = frame(PUSH_PROMISE, END_HEADERS, 1, &[0, 0, 0, 2, 0x82]);
    for pieces in [
        vec![b"SSH-2.0-OpenSSH_9.6\r\n".to_vec()],
        vec![vec![0xff; 64]],
        vec![settings(), push],
        vec![settings(), head(0, b"\xff\xff\xff\xff\xff")],
        vec![settings(), frame(HEADERS, END_HEADERS, 1, &literal("x", "no status"))],
        vec![settings(), data(0, b"no head")],
        vec![settings(), head(0, &[]), frame(HEADERS, END_HEADERS, 1, &[0x88])],
    ] {
        let shown = format!("{pieces:?}");
        let seen = seen(pieces, Then::Close, json!({})).await;
        assert_eq!(seen.reason, Some(Reason::HttpMalformed), "{shown}: {seen:?}");
    }
}

#[tokio::test]
async fn a_head_never_ends() {
    let interim = frame(HEADERS, END_HEADERS, 1, &[0x08, 3, b'1', b'0', b'3']);
    let small = frame(CONTINUATION, 0, 1, &literal("x-small", "1"));
    let large = literal("x-large", &"x".repeat(120)).repeat(100);
    let large = frame(CONTINUATION, 0, 1, &large);
    let open = frame(HEADERS, 0, 1, &[0x88]);
    for (flood, opened) in [
        (settings(), false),
        (frame(PING, 0, 0, &[0; 8]), false),
        (frame(WINDOW_UPDATE, 0, 1, &[0, 0, 0, 1]), false),
        (frame(PRIORITY, 0, 3, &[0, 0, 0, 0, 1]), false),
        (frame(99, 0, 0, &[0; 100]), false),
        (interim, false),
        (frame(CONTINUATION, 0, 1, &[]), true),
        (small, true),
        (large, true),
    ] {
        let kind = flood[3];
        let mut pieces = vec![settings()];
        if opened {
            pieces.push(open.clone());
        }
        pieces.push(flood);
        let seen = seen(pieces, Then::Repeat, json!({ "timeout": "30s" })).await;
        // Whoever says so first: the meter, or h2 with its own limits.
        assert!(
            matches!(seen.reason, Some(Reason::HttpHeadersTooLarge | Reason::HttpMalformed)),
            "{kind}: {seen:?}"
        );
    }
}

#[tokio::test]
async fn a_list_that_unfolds_is_not_kept() {
    // One entry of 4 KiB into the dynamic table, then references to it.
    let value = [&[0x7f, 0xa1, 0x1e][..], &[b'x'; 4_000]].concat();
    let entry = [&[0x40, 1, b'x'][..], &value].concat();
    let block = [&[0x88][..], &entry, &[0xbe; 12_000]].concat();
    let seen = seen(
        vec![settings(), frame(HEADERS, END_HEADERS, 1, &block)],
        Then::Hang,
        json!({ "timeout": "30s" }),
    )
    .await;
    assert!(
        matches!(seen.reason, Some(Reason::HttpHeadersTooLarge | Reason::HttpMalformed)),
        "{seen:?}"
    );
}

#[tokio::test]
async fn a_body_never_ends() {
    let seen_of = |flood: Vec<u8>| async {
        seen(vec![settings(), head(0, &[]), flood], Then::Repeat, json!({ "timeout": "30s" })).await
    };
    // Past what it was allowed (RFC 9113, section 6.9.1).
    let greedy = seen_of(data(0, &[b'x'; 8_192])).await;
    failed(&greedy, Reason::HttpMalformed);
    assert!(greedy.body_bytes <= 1024 * 1024);
    let padding = [&[255][..], &[0; 255]].concat();
    for flood in [
        data(0, b""),
        data(PADDED, &padding),
        settings(),
        frame(PING, 0, 0, &[0; 8]),
        frame(99, 0, 0, &[0; 1_000]),
    ] {
        let kind = flood[3];
        let seen = seen_of(flood).await;
        assert_eq!(seen.reason, Some(Reason::HttpMalformed), "{kind}: {seen:?}");
        assert_eq!(seen.body_bytes, 0);
    }
}

#[tokio::test]
async fn a_body_drips() {
    let server = Server::raw(|mut stream| async move {
        let mut request = [0; 4_096];
        drop(stream.read(&mut request).await);
        let mut piece = [settings(), head(0, &[])].concat();
        while stream.write_all(&piece).await.is_ok() {
            piece = data(0, b".");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    let more = json!({ "http": { "version": "2" }, "timeout": "400ms" });
    let seen = check(&server.url("/"), more).await;
    failed(&seen, Reason::TimeoutTransfer);
    assert!(seen.body_bytes > 0);
}
