//! The dialogues before TLS, each with a server that plays its part, and `kind: tls`.

use crate::serving::{Server, ended, failed};
use crate::tcp::check;
use crate::tls::{Authority, serve_tls, trusting};
use hyperverge_protocol::outcome::{Outcome, Reason};
use serde_json::json;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// What a server says first, and then after each thing that the client says.
type Part = &'static [&'static [u8]];

const MYSQL: &[u8] =
    b"\x1d\x00\x00\x00\x0a8.0\0\x01\0\0\0challeng\0\xff\xff\x2d\x02\0\xff\xff\x15aaa";
const MYSQL_PLAIN: &[u8] =
    b"\x1d\x00\x00\x00\x0a8.0\0\x01\0\0\0challeng\0\xff\xf7\x2d\x02\0\xff\xff\x15aaa";
const LDAP_GO: &[u8] = b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x00\x04\x00\x04\x00";
const LDAP_NO: &[u8] = b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x34\x04\x00\x04\x00";

/// Plays `part`; then shakes hands if it got that far.
async fn playing(authority: &Authority, part: Part, then_tls: bool) -> Server {
    let acceptor = Arc::new(authority.acceptor(&["good.test"]));
    Server::raw(move |mut stream| {
        let acceptor = Arc::clone(&acceptor);
        async move {
            let mut said = [0; 512];
            for (at, line) in part.iter().enumerate() {
                if at > 0 && !stream.read(&mut said).await.is_ok_and(|count| count > 0) {
                    return;
                }
                drop(stream.write_all(line).await);
            }
            if then_tls {
                // MySQL's client answers the greeting and goes on at once.
                if part.first() == Some(&MYSQL) {
                    drop(stream.read_exact(&mut said[..36]).await);
                }
                let mut stream = serve_tls(&acceptor, stream).await;
                while stream.read(&mut said).await.is_ok_and(|count| count > 0) {}
            } else {
                while stream.read(&mut said).await.is_ok_and(|count| count > 0) {}
            }
        }
    })
    .await
}

#[tokio::test]
async fn every_protocol_finds_its_way_to_tls() {
    let authority = Authority::new();
    let context = trusting(&authority);
    let parts: [(&str, Part); 9] = [
        ("smtp", &[b"220-hi\r\n220 there\r\n", b"250-me\r\n250 STARTTLS\r\n", b"220 go\r\n"]),
        ("imap", &[b"* OK hi\r\n", b"* CAPABILITY\r\na OK go\r\n"]),
        ("imap", &[b"* OK hi\r\n* CAPABILITY IMAP4rev1\r\n", b"a OK go\r\n"]),
        ("smtp", &[b"220 hi\r\n220 there\r\n", b"250 me\r\n", b"220 go\r\n"]),
        ("pop3", &[b"+OK hi\r\n", b"+OK go\r\n"]),
        ("ftp", &[b"220 hi\r\n", b"234 go\r\n"]),
        ("ldap", &[b"", LDAP_GO]),
        ("postgres", &[b"", b"S"]),
        ("mysql", &[MYSQL]),
    ];
    for (protocol, part) in parts {
        let server = playing(&authority, part, true).await;
        let tls = json!({ "tls": { "starttls": protocol } });
        for kind in ["tls", "tcp"] {
            let seen = check(&context, kind, &server, tls.clone()).await;
            assert_eq!(seen.outcome, Outcome::Ok, "{protocol}: {seen:?}");
            let phases = seen.phases;
            assert!(phases.processing.is_some() && phases.tls.is_some(), "{protocol}: {seen:?}");
            assert!(seen.details.is_some_and(|details| details.tls.is_some()), "{protocol}");
        }
    }
}

#[tokio::test]
async fn who_does_not_want_to_says_so() {
    let authority = Authority::new();
    let context = trusting(&authority);
    let parts: [(&str, Part, Reason); 18] = [
        ("smtp", &[b"220 hi\r\n", b"250 me\r\n", b"454 not now\r\n"], Reason::Starttls),
        ("smtp", &[b"554 go away\r\n"], Reason::Starttls),
        ("smtp", &[b"HTTP/1.1 400 Bad Request\r\n\r\n"], Reason::Starttls),
        ("smtp", &[b"220 hi\r\n", b"250 me\r\n", b"220 go\r\n250 injected\r\n"], Reason::Starttls),
        ("smtp", &[b""], Reason::TimeoutProcessing),
        ("smtp", &[b"220-hi\r\n"], Reason::TimeoutTransfer),
        ("imap", &[b"* PREAUTH hi\r\n"], Reason::Starttls),
        ("imap", &[b"* OK hi\r\n", b"a BAD no\r\n"], Reason::Starttls),
        ("pop3", &[b"+OK hi\r\n", b"-ERR no\r\n"], Reason::Starttls),
        ("ftp", &[b"220 hi\r\n", b"502 no\r\n"], Reason::Starttls),
        ("ldap", &[b"", LDAP_NO], Reason::Starttls),
        ("ldap", &[b"", b"HTTP/1.1 400\r\n"], Reason::Starttls),
        ("postgres", &[b"", b"N"], Reason::Starttls),
        ("postgres", &[b"", b"SE"], Reason::Starttls),
        ("postgres", &[b"", b"E\0\0\0\x05"], Reason::Starttls),
        ("mysql", &[MYSQL_PLAIN], Reason::Starttls),
        ("mysql", &[b"\x05\0\0\0\xff\x10\x04no"], Reason::Starttls),
        ("mysql", &[b"HTTP/1.1 400 Bad Request\r\n\r\n"], Reason::Starttls),
    ];
    for (protocol, part, reason) in parts {
        let server = playing(&authority, part, false).await;
        let more = json!({ "timeout": "2s", "tls": { "starttls": protocol } });
        let seen = check(&context, "tls", &server, more).await;
        assert_eq!(
            (seen.outcome, seen.reason),
            (Outcome::Fail, Some(reason)),
            "{protocol} {seen:?}"
        );
        assert!(seen.details.is_none());
    }
}

#[tokio::test]
async fn a_handshake_is_a_check() {
    let authority = Authority::new();
    let context = trusting(&authority);
    let server = playing(&authority, &[], true).await;
    let seen = check(&context, "tls", &server, json!({ "warn": { "chain_days": 30 } })).await;
    ended(&seen, Outcome::Ok, None);
    assert!(seen.phases.tls.is_some() && seen.phases.processing.is_none());
    let wrong = json!({ "tls": { "server_name": "other.test" } });
    failed(&check(&context, "tls", &server, wrong).await, Reason::TlsWrongHost);
    let unverified = json!({ "tls": { "server_name": "other.test", "verify": false } });
    ended(&check(&context, "tls", &server, unverified).await, Outcome::Ok, None);
    // The server picks none of the protocols that it was offered.
    let offering = json!({ "tls": { "alpn": ["h2", "http/1.1"] } });
    failed(&check(&context, "tls", &server, offering).await, Reason::TlsHandshake);
}

#[tokio::test]
async fn a_handshake_that_hangs_or_breaks_off_says_which() {
    let context = trusting(&Authority::new());
    let hung = Server::raw(|mut stream| async move {
        let mut said = [0; 512];
        while stream.read(&mut said).await.is_ok_and(|count| count > 0) {}
    })
    .await;
    let seen = check(&context, "tls", &hung, json!({ "timeout": "500ms" })).await;
    failed(&seen, Reason::TimeoutTls);
    assert!(seen.phases.tls.is_some() && seen.details.is_none());
    let reset = Server::raw(|mut stream| async move {
        let mut said = [0; 512];
        drop(stream.read(&mut said).await);
        drop(stream.set_zero_linger());
    })
    .await;
    let seen = check(&context, "tls", &reset, json!({})).await;
    failed(&seen, Reason::TlsReset);
    assert!(seen.message.contains("reset the connection"), "{seen:?}");
}
