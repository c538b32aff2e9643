//! Frames nobody should send: each gets an answer that names the rule, and the
//! gateway goes on for everybody else.

use crate::fake_agent::FakeAgent;
use crate::site::Site;
use hyperverge_control_plane::clock;
use hyperverge_protocol::limits::FRAME_BYTES;
use hyperverge_protocol::wire::{Heartbeat, RefusalCode, agent_frame, control_frame::Body};
use rand::RngExt;

#[tokio::test]
async fn a_frame_over_the_limit_is_refused_before_it_is_read() {
    let site = Site::start().await;
    let agent = site.enrolled_agent("eu-west").await;
    for mut link in [agent.connect().await, agent.session().await.0] {
        let length = u32::try_from(FRAME_BYTES + 1).unwrap();
        link.send_bytes(&length.to_be_bytes()).await;
        let refusal = link.refused(RefusalCode::TooLarge).await;
        assert_eq!(refusal.message, "frame of 1048577 bytes exceeds the limit of 1048576");
    }
}

#[tokio::test]
async fn what_is_no_message_is_named() {
    let site = Site::start().await;
    let agent = site.enrolled_agent("eu-west").await;
    let empty = 0u32.to_be_bytes().to_vec();
    let unknown_field = [0, 0, 0, 3, 0xfa, 0x01, 0x00].to_vec();
    let damaged = [0, 0, 0, 2, 0xff, 0xff].to_vec();
    for (bytes, message) in [
        (empty, "frame is empty"),
        (unknown_field, "frame body is missing or of an unknown kind"),
        (damaged, "frame is not a message of this protocol"),
    ] {
        let mut link = agent.session().await.0;
        link.send_bytes(&bytes).await;
        assert_eq!(link.refused(RefusalCode::Malformed).await.message, message);
    }
}

#[tokio::test]
async fn a_session_begins_with_enroll_or_hello_and_only_once() {
    let site = Site::start().await;
    let agent = site.enrolled_agent("eu-west").await;
    let mut early = agent.connect().await;
    early.send(agent_frame::Body::Heartbeat(Heartbeat::default())).await;
    let refusal = early.refused(RefusalCode::Malformed).await;
    assert_eq!(refusal.message, "frame must be enroll or hello at first");

    let (mut twice, _) = agent.session().await;
    twice.send(agent_frame::Body::Hello(agent.hello())).await;
    let refusal = twice.refused(RefusalCode::Malformed).await;
    assert_eq!(refusal.message, "frame must not begin a session twice");

    let mut bad = agent.hello();
    bad.capabilities = vec!["b".into(), "a".into()];
    let mut link = agent.connect().await;
    link.send(agent_frame::Body::Hello(bad)).await;
    let refusal = link.refused(RefusalCode::Malformed).await;
    assert_eq!(refusal.message, "hello.capabilities must be sorted and without duplicates");
}

#[tokio::test]
async fn random_bytes_end_a_connection_and_nothing_else() {
    let site = Site::start().await;
    let agent = site.enrolled_agent("eu-west").await;
    let (mut bystander, _) = site.enrolled_agent("us-east").await.session().await;
    let mut rng = clock::rng();
    for round in 0..60 {
        let mut noise: Vec<u8> = (0..rng.random_range(1..600)).map(|_| rng.random()).collect();
        if round % 2 == 0 {
            // A plausible length, so that the noise reaches the decoder.
            let length = u32::try_from(noise.len()).unwrap().to_be_bytes();
            noise.splice(0..0, length);
        }
        let mut link = match round % 3 {
            0 => agent.session().await.0,
            _ => agent.connect().await,
        };
        if link.try_send_bytes(&noise).await && round % 5 == 0 {
            drop(link);
            continue;
        }
        link.finish();
        while let Some(body) = link.receive().await {
            let known = matches!(&body, Body::Refusal(refusal) if refusal.fatal);
            assert!(known || matches!(body, Body::Heartbeat(_) | Body::SetManifest(_)), "{body:?}");
        }
    }
    bystander.send(agent_frame::Body::Heartbeat(Heartbeat::default())).await;
    assert!(matches!(bystander.receive().await, Some(Body::Heartbeat(_))));
}

#[tokio::test]
async fn when_many_are_under_way_a_client_proves_its_address_and_gets_in() {
    let site = Site::start().await;
    let agent = site.enrolled_agent("eu-west").await;
    let mut silent = Vec::new();
    let handshakes = &site.shared.metrics.link_handshakes_total;
    while handshakes.with_label_values(&["retry"]).get() == 0 {
        assert!(silent.len() < 1_000, "nobody was asked to prove an address");
        silent.push(agent.handshake(hyperverge_protocol::ALPN).await.unwrap());
    }
    let (_link, welcome) = agent.session().await;
    assert_eq!(welcome.region, "eu-west");
    assert!(handshakes.with_label_values(&["retry"]).get() >= 2);
}

#[tokio::test]
async fn another_protocol_is_refused_in_the_handshake() {
    let site = Site::start().await;
    let agent = FakeAgent::new(site.address, site.pin());
    assert!(agent.handshake(b"hyperverge/9").await.is_err());
    assert!(agent.handshake(hyperverge_protocol::ALPN).await.is_ok());
}
