//! A token becomes an agent, exactly once.
//!
//! Everything happens in one transaction that locks the token's row: the agent,
//! its lanes, its region's first agent and the token's end. A retry by the same
//! key gets the same answer however late, since the agent cannot know whether
//! its first attempt arrived.

use super::refusal;
use crate::limits::TRANSACTION_ATTEMPTS;
use crate::store::agents::{self, Agent, AgentState, NewAgent};
use crate::store::tokens::{self, Claimable};
use crate::store::{Store, StoreError, Tx, regions};
use ed25519_dalek::VerifyingKey;
use hyperverge_protocol::identity::Fingerprint;
use hyperverge_protocol::token;
use hyperverge_protocol::wire::{EnrollRequest, Refusal, RefusalCode};

/// What became of a request.
#[derive(Debug)]
pub(super) enum Outcome {
    Enrolled {
        region: String,
        /// False when the agent was enrolled already.
        new: bool,
    },
    Refused(Refusal),
}

/// Enrols the holder of `key` with the token of `request`, which was found well-formed.
pub(super) async fn enroll(
    store: &Store,
    key: &VerifyingKey,
    request: &EnrollRequest,
) -> Result<Outcome, StoreError> {
    let mut attempt = 1;
    loop {
        match try_enroll(store, key, request).await {
            // Conflict: the same key enrolled at the same time with another token.
            Err(StoreError::Conflict | StoreError::Busy(_)) if attempt < TRANSACTION_ATTEMPTS => {
                attempt += 1;
            }
            other => return other,
        }
    }
}

async fn try_enroll(
    store: &Store,
    key: &VerifyingKey,
    request: &EnrollRequest,
) -> Result<Outcome, StoreError> {
    let agent_id = Fingerprint::of(key).to_string();
    let mut tx = store.begin().await?;
    let hash = token::secret_hash(&request.token_secret);
    let Some(token) = tokens::lock_by_secret(&mut tx, hash.to_vec()).await? else {
        return Ok(refused(RefusalCode::TokenUnknown, "token is not known here"));
    };
    let known = agents::find(&mut tx, &agent_id).await?;
    let now = tx.now().await?;
    if let Some(refusal) = judge(&token, known.as_ref(), &agent_id, now) {
        return Ok(Outcome::Refused(refusal));
    }
    let new = known.is_none();
    if new {
        insert(&mut tx, &token, &agent_id, key, request, now).await?;
    }
    tokens::spend(&mut tx, token.organisation, token.id, &agent_id, now).await?;
    let region = regions::get(&mut tx, token.organisation, token.region_id).await?;
    tx.commit().await?;
    let region = region.map(|region| region.name).unwrap_or_default();
    Ok(Outcome::Enrolled { region, new })
}

/// Why this token does not enrol this agent.
fn judge(token: &Claimable, known: Option<&Agent>, agent_id: &str, now: i64) -> Option<Refusal> {
    if let Some(agent) = known.filter(|agent| agent.state != AgentState::Enrolled) {
        return Some(refusal::barred(agent.state, agent.state_reason.as_deref()));
    }
    match token.used_by.as_deref() {
        Some(user) if user == agent_id => return None,
        Some(_) => {
            return Some(refusal::fatal(RefusalCode::TokenUsed, "token was used by another agent"));
        }
        None if token.expires_at <= now => {
            return Some(refusal::fatal(RefusalCode::TokenExpired, "token is expired"));
        }
        None => {}
    }
    let elsewhere = known.filter(|agent| {
        agent.organisation_id != token.organisation || agent.region_id != token.region_id
    })?;
    let place = match elsewhere.organisation_id == token.organisation {
        true => format!("in region {}", elsewhere.region),
        false => "in another organisation".to_owned(),
    };
    let message = format!("key is enrolled {place}; an agent that moves needs a new key");
    Some(refusal::fatal(RefusalCode::TokenUsed, message))
}

async fn insert(
    tx: &mut Tx,
    token: &Claimable,
    agent_id: &str,
    key: &VerifyingKey,
    request: &EnrollRequest,
    now: i64,
) -> Result<(), StoreError> {
    let new = NewAgent {
        organisation_id: token.organisation,
        id: agent_id,
        public_key: key.as_bytes(),
        region_id: token.region_id,
        host_name: &request.host_name,
        version: &request.version,
    };
    agents::enroll(tx, &new, now).await
}

fn refused(code: RefusalCode, message: &str) -> Outcome {
    Outcome::Refused(refusal::fatal(code, message))
}
