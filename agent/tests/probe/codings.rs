//! Bodies that come compressed, and those that only say so.

use crate::serving::{Server, check, ended, failed, header, ok};
use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use hyperverge_protocol::outcome::{Outcome, Reason};
use serde_json::json;
use std::io::Write;
use std::sync::{Arc, Mutex};

const LINE: &str = "all is well, again and again\n";
/// [`LINE`] 40 times over, by brotli.
const BROTLI: &str =
    "1b8704f81d076eac1e9f5c50d33aac8c6d4ea5dd35081b8bc21c6420c7520116186a8ab5ee7e5cc202";
/// 64 MiB of zeros, by brotli.
pub(crate) const BROTLI_BOMB: &str = "cbffff3ff82700e2b14020f7fe8fffff7ff04f00c4611180eefd1fffffffe09f0088c30200ddfb3ffeffffc13f0110870500baf77ffcffff837f02200e0b0074effff8ffff07ff04401c1600e8defff1ffff0ffe0980382c00d0bdffcbffff3ffc1300715800a07bff07";

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(body).expect("memory");
    encoder.finish().expect("memory")
}

fn zlib(body: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(body).expect("memory");
    encoder.finish().expect("memory")
}

fn bare(body: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(body).expect("memory");
    encoder.finish().expect("memory")
}

fn zstd(body: &[u8]) -> Vec<u8> {
    zstd::stream::encode_all(body, 3).expect("memory")
}

pub(crate) fn brotli(hex: &str) -> Vec<u8> {
    hex::decode(hex).expect("hex")
}

/// An answer whose body says it is in `coding`.
pub(crate) fn coded(coding: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Encoding: {coding}\r\nContent-Length: {length}\r\n\r\n"
    );
    [head.as_bytes(), body].concat()
}

/// Each coding, with the same text in it.
fn codings() -> Vec<(&'static str, Vec<u8>)> {
    let text = LINE.repeat(40).into_bytes();
    vec![
        ("gzip", gzip(&text)),
        ("X-GZip", gzip(&text)),
        ("gzip", [gzip(&text[..100]), gzip(&text[100..])].concat()),
        ("deflate", zlib(&text)),
        ("deflate", bare(&text)),
        ("br", brotli(BROTLI)),
        ("zstd", zstd(&text)),
        ("identity", text.clone()),
        ("no-such-coding", text),
    ]
}

#[tokio::test]
async fn every_coding_is_read() {
    for (coding, body) in codings() {
        let server = Server::saying(coded(coding, &body)).await;
        let more = json!({ "expect": { "body": "again\nall is well", "body_without": "\u{1f}" } });
        let seen = check(&server.url("/"), more).await;
        ended(&seen, Outcome::Ok, None);
        assert_eq!(seen.body_bytes, LINE.len() as u64 * 40, "{coding}");
    }
}

#[tokio::test]
async fn a_broken_stream_is_no_answer() {
    for (coding, body) in codings() {
        if matches!(coding, "identity" | "no-such-coding") {
            continue;
        }
        let mut bent = body.clone();
        let middle = bent.len() / 2;
        bent[middle] ^= 0xff;
        let short = body[..body.len() - 3].to_vec();
        let text = LINE.as_bytes().to_vec();
        for (what, body) in [("bent", bent), ("short", short), ("text", text), ("one", vec![0x78])]
        {
            let server = Server::saying(coded(coding, &body)).await;
            let seen = check(&server.url("/"), json!({})).await;
            // Without a checksum, a bent one may be another text.
            if what != "bent" || coding.contains("zip") {
                failed(&seen, Reason::HttpEncoding);
            }
        }
        let empty = Server::saying(coded(coding, b"")).await;
        ended(&check(&empty.url("/"), json!({})).await, Outcome::Ok, None);
        let head = Server::saying(coded(coding, &body)).await;
        let asked = json!({ "http": { "method": "HEAD" } });
        ended(&check(&head.url("/"), asked).await, Outcome::Ok, None);
    }
}

#[tokio::test]
async fn a_bomb_costs_what_the_limit_allows() {
    let zeros = vec![0; 64 * 1024 * 1024];
    for (coding, body) in [
        ("gzip", gzip(&zeros)),
        ("deflate", zlib(&zeros)),
        ("br", brotli(BROTLI_BOMB)),
        ("zstd", zstd(&zeros)),
    ] {
        assert!(body.len() < zeros.len() / 900, "{coding} is no bomb: {}", body.len());
        let server = Server::saying(coded(coding, &body)).await;
        let seen = check(&server.url("/"), json!({})).await;
        ended(&seen, Outcome::Ok, None);
        assert_eq!(seen.body_bytes, 1024 * 1024, "{coding}");
        let more = json!({ "http": { "body_limit": 1000 }, "expect": { "body": "the end" } });
        let seen = check(&server.url("/"), more).await;
        failed(&seen, Reason::BodyTooLarge);
        assert_eq!(seen.body_bytes, 1_000, "{coding}");
        let refused = json!({ "expect": { "status": ["404"] } });
        let seen = check(&server.url("/"), refused).await;
        failed(&seen, Reason::Status);
        assert_eq!(seen.sample, [0; 1_024], "{coding}");
    }
}

#[tokio::test]
async fn a_window_is_bounded() {
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).expect("memory");
    encoder.window_log(27).expect("a window");
    encoder.include_contentsize(false).expect("a frame");
    encoder.write_all(LINE.as_bytes()).expect("memory");
    encoder.flush().expect("memory");
    let body = encoder.finish().expect("memory");
    let server = Server::saying(coded("zstd", &body)).await;
    failed(&check(&server.url("/"), json!({})).await, Reason::HttpEncoding);
}

#[tokio::test]
async fn a_stream_that_stands_for_nothing_ends() {
    let server = Server::raw(|mut stream| async move {
        crate::serving::read_request(&mut stream).await;
        let head = b"HTTP/1.1 200 OK\r\nContent-Encoding: deflate\r\n\r\n\x78\x01";
        // Stored blocks of no bytes (RFC 1951, section 3.2.4).
        let nothing = [0, 0, 0, 0xff, 0xff].repeat(4_096);
        if tokio::io::AsyncWriteExt::write_all(&mut stream, head).await.is_ok() {
            while tokio::io::AsyncWriteExt::write_all(&mut stream, &nothing).await.is_ok() {}
        }
    })
    .await;
    let seen = check(&server.url("/"), json!({ "timeout": "30s" })).await;
    failed(&seen, Reason::HttpMalformed);
    assert_eq!(seen.body_bytes, 0);
}

#[tokio::test]
async fn a_body_of_very_many_members_is_given_up() {
    let text = LINE.as_bytes();
    let of = |empty: usize| [gzip(b"").repeat(empty), gzip(text)].concat();
    let server = Server::saying(coded("gzip", &of(60))).await;
    let seen = check(&server.url("/"), json!({ "expect": { "body": LINE } })).await;
    ended(&seen, Outcome::Ok, None);
    assert_eq!(seen.body_bytes, text.len() as u64);
    // As many as fit below the limit of what is read; with a body each they are no better.
    for body in [of(400_000), gzip(text).repeat(100)] {
        let server = Server::saying(coded("gzip", &body)).await;
        failed(&check(&server.url("/"), json!({})).await, Reason::HttpEncoding);
    }
}

#[tokio::test]
async fn compression_is_asked_for_only_where_it_is_wanted() {
    let heard = Arc::new(Mutex::new(String::new()));
    let log = Arc::clone(&heard);
    let server = Server::answering(move |request| {
        request.clone_into(&mut log.lock().expect("the log"));
        ok("")
    })
    .await;
    for (http, expected) in [
        (json!({}), None),
        (json!({ "compression": true }), Some("gzip, br, zstd")),
        (json!({ "compression": true, "headers": { "Accept-Encoding": "br" } }), Some("br")),
    ] {
        ended(&check(&server.url("/"), json!({ "http": http })).await, Outcome::Ok, None);
        let request = heard.lock().expect("the log").clone();
        assert_eq!(header(&request, "accept-encoding").as_deref(), expected, "{request}");
    }
}

#[tokio::test]
async fn what_follows_a_complete_gzip_is_left_alone() {
    let text = LINE.repeat(40).into_bytes();
    let expect = || json!({ "expect": { "body": LINE } });
    for rest in [&b"\0\0\0\0\0"[..], b"\n", b"\x1f", b"\x1fx", b"<!-- served by test -->"] {
        let body = [gzip(&text), rest.to_vec()].concat();
        let server = Server::saying(coded("gzip", &body)).await;
        let seen = check(&server.url("/"), expect()).await;
        ended(&seen, Outcome::Ok, None);
        assert_eq!(seen.body_bytes, text.len() as u64, "{rest:?}");
    }
    // But what begins like a member has to be one.
    let body = [gzip(&text), b"\x1f\x8b and no more".to_vec()].concat();
    let server = Server::saying(coded("gzip", &body)).await;
    failed(&check(&server.url("/"), expect()).await, Reason::HttpEncoding);
}
