//! Phases take at least as long as the server made them take.

use crate::serving::{
    Names, Server, check_id, context_with, ended, loopback, monitor, ok, read_request,
};
use crate::tls::{Authority, serve_tls};
use futures_util::future::BoxFuture;
use hyperverge_agent::clock::monotonic;
use hyperverge_agent::probe::failure::Failure;
use hyperverge_agent::probe::resolve::Resolve;
use hyperverge_agent::probe::{self, ProbeSettings};
use hyperverge_protocol::monitor::Family;
use hyperverge_protocol::outcome::{Outcome, Reason};
use serde_json::json;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::time::sleep;

/// Far above anything a busy machine adds, far below mixing up two phases' sums.
const SLACK: Duration = Duration::from_secs(3);
const RESOLVE: Duration = Duration::from_millis(40);
const TLS: Duration = Duration::from_millis(60);
const PROCESSING: Duration = Duration::from_millis(90);
const TRANSFER: Duration = Duration::from_millis(140);

#[derive(Debug)]
struct Slow(Arc<Names>);

impl Resolve for Slow {
    fn resolve<'a>(
        &'a self,
        name: &'a str,
        family: Family,
    ) -> BoxFuture<'a, Result<Vec<IpAddr>, Failure>> {
        Box::pin(async move {
            sleep(RESOLVE).await;
            self.0.resolve(name, family).await
        })
    }
}

#[tokio::test]
async fn every_phase_has_its_own_time() {
    let authority = Authority::new();
    let acceptor = authority.acceptor(&["slow.test"]);
    let server = Server::raw(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            sleep(TLS).await;
            let mut stream = serve_tls(&acceptor, stream).await;
            let mut request = [0; 1024];
            tokio::io::AsyncReadExt::read(&mut stream, &mut request).await.expect("a request");
            sleep(PROCESSING).await;
            stream
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf")
                .await
                .expect("sent");
            stream.flush().await.expect("sent");
            sleep(TRANSFER).await;
            stream.write_all(b"half").await.expect("sent");
            stream.flush().await.expect("sent");
        }
    })
    .await;
    let names = Names::of(&[("slow.test", &[&["127.0.0.1"]])]);
    let context = context_with(ProbeSettings {
        resolver: Some(Arc::new(Slow(names))),
        ca_pem: Some(authority.pem()),
        ..loopback()
    });
    let target = format!("https://slow.test:{}/", server.address.port());
    let began = monotonic();
    let seen = probe::run(&context, &monitor(&target, json!({})), &check_id()).await;
    let whole = began.elapsed();
    ended(&seen, Outcome::Ok, None);
    let phases = seen.phases;
    for (name, measured, delay) in [
        ("resolve", phases.resolve, RESOLVE),
        ("connect", phases.connect, Duration::ZERO),
        ("tls", phases.tls, TLS),
        ("processing", phases.processing, PROCESSING),
        ("transfer", phases.transfer, TRANSFER),
    ] {
        let measured = measured.expect(name);
        assert!(measured >= delay, "{name} took {measured:?}, made to take {delay:?}");
        assert!(measured < delay + SLACK, "{name} took {measured:?}, made to take {delay:?}");
    }
    let sum = [phases.resolve, phases.connect, phases.tls, phases.processing, phases.transfer];
    assert!(sum.into_iter().flatten().sum::<Duration>() <= whole, "{phases:?} in {whole:?}");
}

#[tokio::test]
async fn an_interim_answer_ends_no_phase() {
    let server = Server::raw(|mut stream| async move {
        read_request(&mut stream).await;
        stream.write_all(b"HTTP/1.1 103 Early Hints\r\n\r\n").await.expect("a client");
        sleep(PROCESSING).await;
        stream.write_all(&ok("")).await.expect("a client");
    })
    .await;
    let seen = crate::serving::check(&server.url("/"), json!({})).await;
    ended(&seen, Outcome::Ok, None);
    assert!(seen.phases.processing.expect("measured") >= PROCESSING, "{seen:?}");
}

#[tokio::test]
async fn the_phases_of_redirects_add_up() {
    let server = Server::raw(|mut stream| async move {
        let request = read_request(&mut stream).await;
        sleep(PROCESSING).await;
        let answer = match request.split(' ').nth(1) {
            Some("/") => crate::serving::redirect(302, "/next"),
            _ => ok(""),
        };
        stream.write_all(&answer).await.expect("a client");
    })
    .await;
    let seen = crate::serving::check(&server.url("/"), json!({})).await;
    ended(&seen, Outcome::Ok, None);
    assert!(seen.phases.processing.expect("measured") >= PROCESSING * 2, "{seen:?}");
}

#[tokio::test]
async fn a_timeout_says_how_long_each_phase_had_taken() {
    let server = Server::raw(|mut stream| async move {
        read_request(&mut stream).await;
        std::future::pending::<()>().await;
    })
    .await;
    let began = monotonic();
    let seen = crate::serving::check(&server.url("/"), json!({ "timeout": "200ms" })).await;
    assert_eq!(seen.reason, Some(Reason::TimeoutProcessing));
    let (processing, whole) = (seen.phases.processing.expect("measured"), began.elapsed());
    assert!(whole >= Duration::from_millis(200) && whole < SLACK, "{whole:?}");
    assert!(processing > Duration::from_millis(100) && processing <= whole, "{processing:?}");
}
