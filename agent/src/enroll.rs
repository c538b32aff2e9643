//! `enroll TOKEN`: makes the key, proves it, and keeps what the token said.
//!
//! The order makes a retry safe at every point: the key is durable before it is
//! shown, the spool (whose numbers belong to the key) before the enrolment
//! counts, and a control plane that already knows the key answers the same again.

use crate::config::Config;
use crate::identity::{self, Enrollment, IdentityError};
use crate::link::connect::{self, ConnectError, Link};
use crate::link::frames::{self, LinkIoError};
use crate::spool::{self, SpoolError};
use crate::{host_name, limits};
use bytes::Bytes;
use ed25519_dalek::VerifyingKey;
use hyperverge_protocol::identity::{AgentId, fingerprint};
use hyperverge_protocol::token::{EnrollmentToken, TokenError};
use hyperverge_protocol::wire::{EnrollRequest, Enrolled, agent_frame, control_frame};

/// Why an enrolment failed.
#[derive(Debug, thiserror::Error)]
pub enum EnrollError {
    #[error("the token is not usable")]
    Token(#[from] TokenError),
    #[error("the agent's key cannot be made or kept")]
    Identity(#[from] IdentityError),
    #[error("the spool cannot be made")]
    Spool(#[from] SpoolError),
    #[error("the control plane cannot be reached")]
    Connect(#[from] ConnectError),
    #[error("the control plane did not answer")]
    Link(#[from] LinkIoError),
    #[error("the control plane did not answer in time")]
    Timeout,
    #[error("the control plane refused: {0}")]
    Refused(String),
    #[error("the control plane answered for another key")]
    OtherKey,
    #[error(
        "this agent is already enrolled in another control plane; use another state_dir, or remove {0}"
    )]
    Elsewhere(std::path::PathBuf),
}

/// What an enrolment gives.
#[derive(Debug)]
pub struct Outcome {
    pub agent_id: AgentId,
    pub region: String,
}

/// Enrols this host with `token`.
pub async fn enroll(config: &Config, token: &str) -> Result<Outcome, EnrollError> {
    let token = EnrollmentToken::parse(token)?;
    let key = identity::load_or_create_key(&config.state_dir)?;
    if let Some(before) = identity::load_enrollment(&config.state_dir, &key)?
        && hex::encode(before.assignment_key) != token.assignment_key
    {
        return Err(EnrollError::Elsewhere(config.state_dir.clone()));
    }
    spool::create(&config.state_dir)?;
    let link = connect::connect(&token.addresses, &key, &pins(&token)).await?;
    let answer = tokio::time::timeout(limits::ENROLL_TIMEOUT, ask(&link, &token)).await;
    let enrolled = answer.map_err(|_| EnrollError::Timeout)??;
    link.connection.close(quinn::VarInt::from_u32(0), b"");
    link.endpoint.wait_idle().await;
    let agent_id = fingerprint(&key);
    if enrolled.agent_id != agent_id.as_bytes().as_slice() {
        return Err(EnrollError::OtherKey);
    }
    let region = enrolled.region;
    Enrollment::new(&token, region.clone(), agent_id).save(&config.state_dir)?;
    Ok(Outcome { agent_id, region })
}

async fn ask(link: &Link, token: &EnrollmentToken) -> Result<Enrolled, EnrollError> {
    let lost = |error: quinn::ConnectionError| LinkIoError::Lost(error.to_string());
    let (mut send, mut recv) = link.connection.open_bi().await.map_err(lost)?;
    let request = EnrollRequest {
        token_secret: Bytes::copy_from_slice(&token.secret()?),
        host_name: host_name(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let frame = frames::encode(agent_frame::Body::Enroll(request)).map_err(LinkIoError::from)?;
    frames::write(&mut send, &frame).await?;
    loop {
        match frames::read(&mut recv).await?.body {
            Some(control_frame::Body::Enrolled(enrolled)) => return Ok(enrolled),
            Some(control_frame::Body::Refusal(refusal)) => {
                let code = refusal.code().as_str_name().trim_start_matches("REFUSAL_CODE_");
                return Err(EnrollError::Refused(format!("{} ({code})", refusal.message)));
            }
            _ => {}
        }
    }
}

/// The keys a token pins; its parser has judged them.
fn pins(token: &EnrollmentToken) -> Vec<VerifyingKey> {
    let key = |text: &String| {
        hex::decode(text).ok().and_then(|raw| hyperverge_protocol::identity::public_key(&raw).ok())
    };
    token.link_keys.iter().filter_map(key).collect()
}
