//! A token makes an agent, and only the control plane it names.

use crate::agent::Host;
use crate::plane::Plane;
use ed25519_dalek::SigningKey;
use hyperverge_agent::enroll::{self, EnrollError};
use hyperverge_agent::link::connect::ConnectError;
use hyperverge_agent::{app, doctor, identity};
use hyperverge_protocol::wire::RefusalCode;
use sha2::{Digest, Sha256};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

#[tokio::test]
async fn an_enrolment_proves_the_key_and_keeps_the_pins() {
    let plane = Plane::start();
    let host = Host::new();
    let token = plane.token(&plane.link_key);
    let outcome = enroll::enroll(&host.config, &token).await.expect("enrolled");
    assert_eq!(outcome.region, "eu-test");
    let again = enroll::enroll(&host.config, &token).await.expect("a retry is answered the same");
    assert_eq!(again.agent_id, outcome.agent_id);
    let id = Sha256::digest(host.key().verifying_key().as_bytes()).to_vec();
    assert_eq!(plane.state().enrolled, [id.clone(), id]);
    let enrolled = identity::load_enrollment(&host.config.state_dir, &host.key())
        .expect("readable")
        .expect("there");
    assert_eq!(enrolled.pins, [plane.link_key.verifying_key()]);
    assert_eq!(failing(&host).await, [""; 0]);
}

#[tokio::test]
async fn a_server_with_another_key_is_refused() {
    let plane = Plane::start();
    let host = Host::new();
    let token = plane.token(&SigningKey::from_bytes(&[99; 32]));
    let error = enroll::enroll(&host.config, &token).await.expect_err("not the one we trust");
    assert!(matches!(error, EnrollError::Connect(ConnectError::WrongPin { .. })), "{error:?}");
    assert!(plane.state().enrolled.is_empty(), "the secret was not shown");
    let unenrolled =
        app::run(&host.config, Arc::new(crate::agent::FakeProber), CancellationToken::new());
    assert!(unenrolled.await.expect_err("not enrolled").to_string().contains("enroll TOKEN"));
}

#[tokio::test]
async fn a_refusal_says_why() {
    let plane = Plane::start();
    plane.state().enroll_refusal = Some(RefusalCode::TokenUsed);
    let host = Host::new();
    let error = enroll::enroll(&host.config, &plane.token(&plane.link_key)).await;
    let EnrollError::Refused(says) = error.expect_err("used") else { panic!("a refusal") };
    assert!(says.contains("TOKEN_USED"), "{says}");
    let broken = enroll::enroll(&host.config, "hvt1_garbage").await;
    assert!(matches!(broken, Err(EnrollError::Token(_))));
}

/// The layers that the doctor finds fault with, but for the right to ping: that is
/// the machine's matter, and not every one that runs these tests has it.
async fn failing(host: &Host) -> Vec<&'static str> {
    let findings = doctor::examine(&host.config).await;
    findings.into_iter().filter(|f| !f.good && f.layer != "ping").map(|f| f.layer).collect()
}

#[tokio::test]
async fn doctor_names_the_layer() {
    let plane = Plane::start();
    let host = Host::new();
    assert_eq!(failing(&host).await, ["key"]);
    enroll::enroll(&host.config, &plane.token(&plane.link_key)).await.expect("enrolled");
    let path = host.config.state_dir.join("enrollment.json");
    let record = std::fs::read_to_string(&path).expect("there");
    let pin = hex::encode(plane.link_key.verifying_key());
    let other = hex::encode(SigningKey::from_bytes(&[99; 32]).verifying_key());
    std::fs::write(&path, record.replace(&pin, &other)).expect("written");
    assert_eq!(failing(&host).await, ["pin"]);
    let nowhere = record.replace(&plane.address.to_string(), "no-such-host.invalid:1");
    std::fs::write(&path, nowhere).expect("written");
    assert_eq!(failing(&host).await, ["dns"]);
}
