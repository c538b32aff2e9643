//! The webhook channel against receivers that behave and that do not.

use crate::python;
use crate::receiver::{Answer, Receiver};
use crate::stage::{QUICK, Stage, notice, opened, resolved};
use hyperverge_control_core::notification::{DeliveryState, NoticeKind, NoticeRegion};
use hyperverge_control_plane::clock;
use hyperverge_control_plane::notify::{Pace, Senders, send_test};
use rustls::RootCertStore;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use std::sync::Arc;
use std::time::Duration;
use tokio_rustls::TlsAcceptor;

#[tokio::test]
async fn a_notice_arrives_once_signed_as_the_published_library_wants() {
    let stage = Stage::new().await;
    let receiver = Receiver::start([]).await;
    let (channel, secret) = stage.webhook(&receiver.url()).await;
    let running = stage.run(QUICK);
    let incident = clock::new_id();
    let first = stage.tell_one(channel, &opened(incident)).await;
    stage.until(first, |d| d.state == DeliveryState::Delivered).await;
    let second = stage.tell_one(channel, &resolved(incident)).await;
    stage.until(second, |d| d.state == DeliveryState::Delivered).await;
    running.stop().await;

    let received = receiver.received();
    assert_eq!(received.len(), 2);
    for (request, id) in received.iter().zip([first, second]) {
        assert_eq!(request.line, "POST /hook?team=a HTTP/1.1");
        assert_eq!(request.header("host"), format!("127.0.0.1:{}", receiver.port));
        assert_eq!(request.header("content-type"), "application/json");
        assert_eq!(request.header("webhook-id"), id.to_string());
        let verified = python::verify(&secret, &request.headers, &request.body).await.unwrap();
        assert_eq!(verified, request.json());
        let forged = request.body.replace("checkout-api", "checkout-apl");
        assert!(python::verify(&secret, &request.headers, &forged).await.is_err());
    }
    let body = received[0].json();
    assert_eq!(body["type"], "incident.opened");
    assert_eq!(body["data"]["incident_id"], incident.to_string());
    assert_eq!(body["data"]["state"], "open");
    assert_eq!(body["data"]["headline"], "[DOWN] checkout-api: down in 3 of 3 regions");
    assert_eq!(body["data"]["cause_text"], "it refused the connection");
    assert_eq!(body["data"]["regions"][0]["region"], "eu-west");
    assert_eq!(body["data"]["started_at"], "2026-01-02T03:04:05.000Z");
    assert!(body["data"].get("late_by_seconds").is_none(), "it is in time");
    assert_eq!(received[1].json()["data"]["state"], "resolved");
    assert_eq!(received[1].json()["data"]["opening_included"], false);
}

#[tokio::test]
async fn failures_are_tried_again_under_the_same_id_until_it_is_taken() {
    let stage = Stage::new().await;
    let receiver =
        Receiver::start([Answer::status(500), Answer::HangUp, Answer::status(404)]).await;
    let (channel, _) = stage.webhook(&receiver.url()).await;
    let _running = stage.run(QUICK);
    let id = stage.tell_one(channel, &opened(clock::new_id())).await;
    let failed = stage.until(id, |d| d.last_error.is_some()).await;
    assert_eq!(failed.last_error.as_deref(), Some("answered 500 Internal Server Error"));
    assert!(failed.next_at >= failed.created_at + 5_000, "by the schedule");
    assert!(stage.channel(channel).await.failing_since.is_some());
    assert!(!failed.outcome_unknown, "it was answered");
    stage.let_time_pass().await;
    let unknown = stage.until(id, |d| d.attempts == 2 && d.next_at > 0).await;
    assert!(unknown.outcome_unknown, "sent, and nobody said");
    stage.let_time_pass().await;
    let again = stage.until(id, |d| d.attempts == 3 && d.next_at > 0).await;
    assert!(again.outcome_unknown, "the second attempt may still have arrived");
    stage.let_time_pass().await;
    stage.until(id, |d| d.state == DeliveryState::Delivered).await;
    assert_eq!(stage.channel(channel).await.failing_since, None);
    let received = receiver.received();
    assert_eq!(received.len(), 4);
    for request in &received {
        assert_eq!(request.header("webhook-id"), id.to_string());
    }
}

#[tokio::test]
async fn a_receiver_that_asks_for_quiet_gets_it_for_all_its_notices() {
    let stage = Stage::new().await;
    let busy = Answer::Status(429, "retry-after: 300\r\n".into());
    let receiver = Receiver::start([busy]).await;
    let other = Receiver::start([]).await;
    let (channel, _) = stage.webhook(&receiver.url()).await;
    let (elsewhere, _) = stage.webhook(&other.url()).await;
    let _running = stage.run(QUICK);
    let id = stage.tell_one(channel, &opened(clock::new_id())).await;
    let asked = stage.until(id, |d| d.last_error.is_some()).await;
    assert!(asked.next_at >= asked.created_at + 300_000);
    let held = stage.tell_one(channel, &opened(clock::new_id())).await;
    let free = stage.tell_one(elsewhere, &opened(clock::new_id())).await;
    stage.until(free, |d| d.state == DeliveryState::Delivered).await;
    assert_eq!(stage.delivery(held).await.attempts, 0);
    assert_eq!(receiver.received().len(), 1);
}

#[tokio::test]
async fn gone_switches_the_channel_off_and_what_follows_is_a_dead_letter() {
    let stage = Stage::new().await;
    let receiver = Receiver::start([Answer::status(410)]).await;
    let (channel, _) = stage.webhook(&receiver.url()).await;
    let _running = stage.run(QUICK);
    let id = stage.tell_one(channel, &opened(clock::new_id())).await;
    stage.until(id, |d| d.state == DeliveryState::Dead).await;
    let disabled = stage.channel(channel).await.disabled;
    assert_eq!(disabled.as_deref(), Some("answered 410 Gone"));
    let later = stage.tell_one(channel, &opened(clock::new_id())).await;
    let buried = stage.until(later, |d| d.state == DeliveryState::Dead).await;
    let why = "the channel is disabled: answered 410 Gone";
    assert_eq!(buried.last_error.as_deref(), Some(why));
    assert_eq!(receiver.received().len(), 1);
}

#[tokio::test]
async fn a_redirect_is_a_failure_and_is_not_followed() {
    let stage = Stage::new().await;
    let elsewhere = Receiver::start([]).await;
    let to = format!("location: {}\r\n", elsewhere.url());
    let receiver = Receiver::start([Answer::Status(307, to)]).await;
    let (channel, _) = stage.webhook(&receiver.url()).await;
    let _running = stage.run(QUICK);
    let id = stage.tell_one(channel, &opened(clock::new_id())).await;
    let failed = stage.until(id, |d| d.last_error.is_some()).await;
    assert!(failed.last_error.unwrap().contains("redirects are not followed"));
    assert_eq!(elsewhere.received().len(), 0);
}

#[tokio::test]
async fn an_answer_without_end_ends_and_is_not_quoted_from_an_inner_address() {
    let stage = Stage::new().await;
    let receiver = Receiver::start([Answer::Endless(500), Answer::Endless(200)]).await;
    let (channel, _) = stage.webhook(&receiver.url()).await;
    let _running = stage.run(QUICK);
    let id = stage.tell_one(channel, &opened(clock::new_id())).await;
    let failed = stage.until(id, |d| d.last_error.is_some()).await;
    assert_eq!(failed.last_error.as_deref(), Some("answered 500 Internal Server Error"));
    stage.let_time_pass().await;
    stage.until(id, |d| d.state == DeliveryState::Delivered).await;
}

#[tokio::test]
async fn where_it_may_not_connect_it_does_not() {
    let stage = Stage::new().await;
    let _running = stage.run(QUICK);
    for (url, why) in [
        ("https://10.0.0.1/hook", "no [egress] allow entry lists it"),
        ("http://169.254.169.254/latest/meta-data/", "metadata address"),
        ("http://[::ffff:169.254.169.254]/", "metadata address"),
        (
            "http://93.184.215.14/hook",
            "plain http is only sent to addresses that [egress] allow lists",
        ),
        ("https://does-not-exist.invalid/hook", "cannot be looked up"),
    ] {
        let (channel, _) = stage.webhook(url).await;
        let id = stage.tell_one(channel, &opened(clock::new_id())).await;
        let failed = stage.until(id, |d| d.last_error.is_some()).await;
        let error = failed.last_error.unwrap();
        assert!(error.contains(why), "{url}: {error}");
        assert!(!failed.outcome_unknown, "{url}: nothing was sent");
    }
}

#[tokio::test]
async fn https_is_verified_against_the_roots() {
    let certified = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let key = PrivatePkcs8KeyDer::from(certified.signing_key.serialize_der());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certified.cert.der().clone()], PrivateKeyDer::from(key))
        .unwrap();
    let tls = TlsAcceptor::from(Arc::new(config));
    let receiver = Receiver::listen([], Some(tls)).await;
    let stage = Stage::new().await;
    let (channel, secret) =
        stage.webhook(&format!("https://localhost:{}/hook", receiver.port)).await;

    let stranger = stage.run(QUICK);
    let id = stage.tell_one(channel, &opened(clock::new_id())).await;
    let refused = stage.until(id, |d| d.last_error.is_some()).await;
    assert!(refused.last_error.unwrap().starts_with("no TLS with localhost"));
    stranger.stop().await;
    assert_eq!(receiver.received().len(), 0);

    let mut roots = RootCertStore::empty();
    roots.add(certified.cert.der().clone()).unwrap();
    let senders = Senders::trusting(&stage.shared.settings, roots).unwrap();
    let _running = stage.run_with(senders, QUICK);
    stage.let_time_pass().await;
    stage.until(id, |d| d.state == DeliveryState::Delivered).await;
    let received = receiver.received();
    python::verify(&secret, &received[0].headers, &received[0].body).await.unwrap();
}

#[tokio::test]
async fn a_body_stays_under_20_kb_however_much_there_is_to_say() {
    let stage = Stage::new().await;
    let receiver = Receiver::start([]).await;
    let (channel, _) = stage.webhook(&receiver.url()).await;
    let _running = stage.run(QUICK);
    let mut long = notice(clock::new_id(), 1, NoticeKind::Opened);
    long.summary = "\u{1}\"".repeat(5_000);
    long.target = Some(format!("https://example.com/{}", "\"".repeat(2_000)));
    long.regions = (0..64)
        .map(|index| NoticeRegion {
            region: format!("{index:03}{}", "r".repeat(60)),
            message: Some("\"\\".repeat(256)),
            ..long.regions[0].clone()
        })
        .collect();
    let id = stage.tell_one(channel, &long).await;
    stage.until(id, |d| d.state == DeliveryState::Delivered).await;
    let received = receiver.received();
    assert!(received[0].body.len() < 20_000, "{} bytes", received[0].body.len());
    assert_eq!(received[0].json()["data"]["truncated"], true);
    assert_eq!(received[0].json()["data"]["regions"].as_array().unwrap().len(), 64);
}

#[tokio::test]
async fn a_test_message_says_what_happened() {
    let stage = Stage::new().await;
    let receiver = Receiver::start([Answer::status(500)]).await;
    let (channel, secret) = stage.webhook(&receiver.url()).await;
    let channel = stage.channel(channel).await;
    let tested = send_test(&stage.shared, &channel).await.unwrap();
    assert_eq!(tested[0].error.as_deref(), Some("answered 500 Internal Server Error"));
    let tested = send_test(&stage.shared, &channel).await.unwrap();
    assert!(tested[0].accepted);
    let received = receiver.received();
    assert_eq!(received[1].json()["type"], "channel.test");
    python::verify(&secret, &received[1].headers, &received[1].body).await.unwrap();
}

#[tokio::test]
async fn one_that_hangs_is_cut_off_and_its_outcome_is_unknown() {
    let stage = Stage::new().await;
    let receiver = Receiver::start([Answer::Hang]).await;
    let (channel, _) = stage.webhook(&receiver.url()).await;
    let _running = stage.run(Pace { attempt: Duration::from_millis(200), ..QUICK });
    let id = stage.tell_one(channel, &opened(clock::new_id())).await;
    let cut = stage.until(id, |d| d.last_error.is_some()).await;
    assert_eq!(cut.last_error.as_deref(), Some("no answer within 0.2 s"));
    assert!(cut.outcome_unknown && cut.state == DeliveryState::Pending);
}
