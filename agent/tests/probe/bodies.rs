//! What the bodies of all checks together may take.

use crate::codings::{BROTLI_BOMB, brotli, coded};
use crate::serving::{Server, check_id, context_with, ended, loopback, monitor, read_request};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use hyperverge_agent::probe::{self, ProbeSettings};
use hyperverge_protocol::outcome::{Outcome, Reason};
use serde_json::json;
use std::future::pending;
use tokio::io::AsyncWriteExt;
use tokio::sync::watch;

const BODY: usize = 600 * 1024;
/// Room for one body, however generously its buffer grows, and not for three.
const BUDGET: usize = 2 * BODY;
const CHECKS: usize = 8;

/// Sends all of a body, and its end once `whole` is true.
async fn serve(whole: watch::Receiver<bool>) -> Server {
    Server::raw(move |mut stream| {
        let mut whole = whole.clone();
        async move {
            read_request(&mut stream).await;
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", BODY + 1);
            let body = [head.as_bytes(), &[b'x'; BODY]].concat();
            // A client that was refused its share is gone.
            if stream.write_all(&body).await.is_err() {
                return;
            }
            if whole.wait_for(|whole| *whole).await.is_err() {
                pending().await
            }
            drop(stream.write_all(b"y").await);
        }
    })
    .await
}

#[tokio::test]
async fn bodies_that_are_kept_share_a_budget() {
    let (end, whole) = watch::channel(false);
    let server = serve(whole).await;
    let context = context_with(ProbeSettings { bodies: BUDGET, ..loopback() });
    let kept = json!({ "expect": { "body_regex": "xy$" }, "timeout": "20s" });
    let spec = monitor(&server.url("/"), kept);
    let id = check_id();
    for _ in 0..3 {
        end.send_replace(false);
        let mut checks: FuturesUnordered<_> =
            (0..CHECKS).map(|_| probe::run(&context, &spec, &id)).collect();
        for _ in 0..CHECKS - 2 {
            let seen = checks.next().await.expect("a check");
            ended(&seen, Outcome::Unsupported, Some(Reason::AgentFault));
            assert!(seen.message.contains("1200 KiB"), "{}", seen.message);
        }
        // What is cancelled gives its share back as well.
        drop(checks);
        end.send_replace(true);
        ended(&probe::run(&context, &spec, &id).await, Outcome::Ok, None);
    }
    // Who keeps nothing needs no share.
    let counted = monitor(&server.url("/"), json!({}));
    let checks: FuturesUnordered<_> =
        (0..CHECKS).map(|_| probe::run(&context, &counted, &id)).collect();
    checks.for_each(|seen| async move { ended(&seen, Outcome::Ok, None) }).await;
}

#[tokio::test]
async fn what_a_decoder_takes_is_counted_too() {
    let server = Server::saying(coded("br", &brotli(BROTLI_BOMB))).await;
    let spec = monitor(&server.url("/"), json!({}));
    // Its window alone is 4 MiB; nothing of the body is kept.
    for (bodies, outcome, reason) in [
        (2 * 1024 * 1024, Outcome::Unsupported, Some(Reason::AgentFault)),
        (8 * 1024 * 1024, Outcome::Ok, None),
    ] {
        let context = context_with(ProbeSettings { bodies, ..loopback() });
        ended(&probe::run(&context, &spec, &check_id()).await, outcome, reason);
    }
}
