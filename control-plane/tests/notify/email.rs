//! The e-mail channel against a real SMTP server.

use crate::python::{self, SmtpServer};
use crate::receiver::silent_peer;
use crate::stage::{QUICK, Stage, opened, resolved, wait_for};
use hyperverge_control_core::notification::{ChannelConfig, DeliveryState, EmailConfig};
use hyperverge_control_plane::clock;
use hyperverge_control_plane::notify::{Pace, Senders, send_test};
use hyperverge_control_plane::store::channels;
use std::collections::BTreeSet;
use std::time::Duration;

async fn stage(server: &SmtpServer) -> Stage {
    Stage::with_mail(&format!("smtp://127.0.0.1:{}", server.port)).await
}

#[tokio::test]
async fn each_recipient_gets_a_thread_of_two_mails_that_explain_themselves() {
    let mut server = SmtpServer::start().await;
    let stage = stage(&server).await;
    let channel = stage.email(&["ann@example.com", "ben@example.com"]).await;
    let running = stage.run(QUICK);
    let incident = clock::new_id();
    let first = stage.tell(channel, &opened(incident)).await;
    let mut to = BTreeSet::new();
    for _ in 0..2 {
        let mail = server.next().await;
        let header = |name: &str| mail.headers[name].as_str().unwrap_or_default().to_owned();
        assert_eq!(header("to"), mail.to, "an envelope of its own");
        assert_eq!(header("from"), "HyperVerge <hv@example.org>");
        assert_eq!(header("subject"), "[DOWN] checkout-api: down in 3 of 3 regions");
        assert_eq!(header("auto-submitted"), "auto-generated");
        let index = usize::from(mail.to.starts_with("ben"));
        assert_eq!(header("message-id"), format!("<{}@example.org>", first[index]));
        for words in [
            "checkout-api, https://api.example.com/health",
            "2026-01-02 03:04:05 UTC",
            "down in 3 of 3 regions",
            "it refused the connection",
            "https://hv.example.com/incidents/7",
        ] {
            assert!(mail.text.contains(words), "{words} in\n{}", mail.text);
            assert!(mail.html.contains(words), "{words} in\n{}", mail.html);
        }
        to.insert(mail.to);
    }
    assert_eq!(to.len(), 2);
    for id in &first {
        stage.until(*id, |d| d.state == DeliveryState::Delivered).await;
    }
    let second = stage.tell(channel, &resolved(incident)).await;
    for _ in 0..2 {
        let mail = server.next().await;
        let header = |name: &str| mail.headers[name].as_str().unwrap_or_default().to_owned();
        assert_eq!(header("subject"), "[RESOLVED] checkout-api: over after 12m 5s");
        let index = usize::from(mail.to.starts_with("ben"));
        assert_eq!(header("message-id"), format!("<{}@example.org>", second[index]));
        assert_eq!(header("in-reply-to"), format!("<{}@example.org>", first[index]));
        assert!(mail.text.contains("Lasted:   12m 5s"), "{}", mail.text);
    }
    for id in &second {
        stage.until(*id, |d| d.state == DeliveryState::Delivered).await;
    }
    running.stop().await;
    assert_eq!(python::rest(server).await, "", "no mail more");
}

#[tokio::test]
async fn a_refused_recipient_does_not_cost_another_his_mail() {
    let mut server = SmtpServer::start().await;
    let stage = stage(&server).await;
    let channel =
        stage.email(&["nobody@example.com", "later@example.com", "ann@example.com"]).await;
    let _running = stage.run(QUICK);
    let ids = stage.tell(channel, &opened(clock::new_id())).await;
    assert_eq!(server.next().await.to, "ann@example.com");
    for (id, code) in [(ids[0], "550"), (ids[1], "451")] {
        let failed = stage.until(id, |d| d.last_error.is_some()).await;
        assert!(failed.last_error.as_ref().unwrap().contains(code), "{failed:?}");
        assert!(!failed.outcome_unknown, "it was never handed over");
        assert_eq!(failed.state, DeliveryState::Pending);
    }
}

#[tokio::test]
async fn a_server_that_hangs_up_after_the_message_may_have_taken_it() {
    let mut server = SmtpServer::start().await;
    let stage = stage(&server).await;
    let channel = stage.email(&["hangup@example.com"]).await;
    let _running = stage.run(QUICK);
    let id = stage.tell_one(channel, &opened(clock::new_id())).await;
    server.next().await;
    let unknown = stage.until(id, |d| d.last_error.is_some()).await;
    assert!(unknown.outcome_unknown && unknown.state == DeliveryState::Pending);
    stage.let_time_pass().await;
    let again = server.next().await;
    assert_eq!(again.headers["message-id"], format!("<{id}@example.org>"), "the same id again");
}

#[tokio::test]
async fn a_server_that_never_greets_is_cut_off_and_nothing_was_sent() {
    let (port, peer) = silent_peer().await;
    let stage = Stage::with_mail(&format!("smtp://127.0.0.1:{port}")).await;
    let channel = stage.email(&["ann@example.com"]).await;
    let _running = stage.run(Pace { attempt: Duration::from_millis(200), ..QUICK });
    let id = stage.tell_one(channel, &opened(clock::new_id())).await;
    let cut = stage.until(id, |d| d.last_error.is_some()).await;
    assert!(!cut.outcome_unknown, "{cut:?}");
    wait_for(async || Some(()).filter(|()| peer.connections() == 1)).await;
}

#[tokio::test]
async fn texts_from_outside_stay_texts() {
    let mut server = SmtpServer::start().await;
    let stage = stage(&server).await;
    let channel = stage.email(&["ann@example.com"]).await;
    let _running = stage.run(QUICK);
    let mut hostile = opened(clock::new_id());
    hostile.subject.name = "x\r\nBcc: everybody@example.com".into();
    hostile.summary = "<img src=x onerror=alert(1)>\r\n.\r\nMAIL FROM:<a@b>".into();
    hostile.regions[0].message = Some("\r\n.\r\nQUIT\r\n".into());
    stage.tell_one(channel, &hostile).await;
    let mail = server.next().await;
    assert_eq!(mail.to, "ann@example.com");
    assert!(mail.headers.get("bcc").is_none());
    assert!(!mail.html.contains("<img"));
    assert!(mail.text.contains("(. QUIT)"), "{}", mail.text);
}

#[tokio::test]
async fn a_test_mail_answers_for_each_recipient() {
    let mut server = SmtpServer::start().await;
    let stage = stage(&server).await;
    let channel = stage.email(&["ann@example.com", "nobody@example.com"]).await;
    let tested = send_test(&stage.shared, &stage.channel(channel).await).await.unwrap();
    assert!(tested[0].accepted && !tested[1].accepted);
    assert!(tested[1].error.as_ref().unwrap().contains("550"));
    let mail = server.next().await;
    assert!(mail.headers["subject"].as_str().unwrap().starts_with("[TEST]"));
    assert!(mail.text.contains("This is a test"));
}

#[tokio::test]
async fn who_was_taken_off_the_channel_hears_nothing_more() {
    let mut server = SmtpServer::start().await;
    let stage = stage(&server).await;
    let channel = stage.email(&["ann@example.com", "ben@example.com"]).await;
    let ids = stage.tell(channel, &opened(clock::new_id())).await;
    let mut present = stage.channel(channel).await;
    let to = vec!["ben@example.com".to_owned()];
    present.config = ChannelConfig::Email(EmailConfig { to });
    let mut tx = stage.shared.store.begin().await.unwrap();
    assert!(channels::update(&mut tx, &present, 1).await.unwrap());
    tx.commit().await.unwrap();
    let running = stage.run(QUICK);
    assert_eq!(server.next().await.to, "ben@example.com");
    let ended = stage.until(ids[0], |d| d.state == DeliveryState::Dead).await;
    assert_eq!(ended.last_error.as_deref(), Some("no longer a recipient of the channel"));
    running.stop().await;
    assert_eq!(python::rest(server).await, "");
}

#[tokio::test]
async fn a_password_goes_over_verified_tls() {
    let certified = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let (certificate, key) = (dir.path().join("cert.pem"), dir.path().join("key.pem"));
    std::fs::write(&certificate, certified.cert.pem()).unwrap();
    std::fs::write(&key, certified.signing_key.serialize_pem()).unwrap();
    let mut server = SmtpServer::start_with(&[
        ("SMTP_CERTIFICATE", certificate.to_str().unwrap()),
        ("SMTP_KEY", key.to_str().unwrap()),
        ("SMTP_PASSWORD", "p@ss"),
    ])
    .await;
    let url = format!("smtps://ann%40example.com:p%40ss@localhost:{}", server.port);
    let stage = Stage::with_mail(&url).await;
    let channel = stage.email(&["ben@example.com"]).await;
    let stranger = stage.run(QUICK);
    let id = stage.tell_one(channel, &opened(clock::new_id())).await;
    let refused = stage.until(id, |d| d.last_error.is_some()).await;
    assert!(refused.last_error.unwrap().starts_with("no TLS with localhost"));
    stranger.stop().await;

    let mut roots = rustls::RootCertStore::empty();
    roots.add(certified.cert.der().clone()).unwrap();
    let senders = Senders::trusting(&stage.shared.settings, roots).unwrap();
    let _running = stage.run_with(senders, QUICK);
    stage.let_time_pass().await;
    assert_eq!(server.next().await.to, "ben@example.com");
    stage.until(id, |d| d.state == DeliveryState::Delivered).await;
}

#[tokio::test]
async fn a_wrong_password_is_a_refusal_that_says_so() {
    let server = SmtpServer::start_with(&[("SMTP_PASSWORD", "right")]).await;
    let url = format!("smtp://ann%40example.com:wrong@127.0.0.1:{}", server.port);
    let stage = Stage::with_mail(&url).await;
    let channel = stage.email(&["ben@example.com"]).await;
    let _running = stage.run(QUICK);
    let id = stage.tell_one(channel, &opened(clock::new_id())).await;
    let refused = stage.until(id, |d| d.last_error.is_some()).await;
    let error = refused.last_error.unwrap();
    assert!(error.contains("login") && error.contains("535"), "{error}");
    assert!(!error.contains("wrong"), "{error}");
}

#[tokio::test]
async fn where_tls_is_required_nothing_goes_without_it() {
    let server = SmtpServer::start().await;
    let stage = Stage::with_mail(&format!("smtp://127.0.0.1:{}?tls=required", server.port)).await;
    let channel = stage.email(&["ann@example.com"]).await;
    let running = stage.run(QUICK);
    let id = stage.tell_one(channel, &opened(clock::new_id())).await;
    let refused = stage.until(id, |d| d.last_error.is_some()).await;
    assert!(refused.last_error.unwrap().contains("STARTTLS"));
    running.stop().await;
    assert_eq!(python::rest(server).await, "");
}
