//! A Hello becomes a session, or is told why not.

use super::refusal;
use crate::clock;
use crate::limits::TRANSACTION_ATTEMPTS;
use crate::store::agents::{self, Agent, AgentState, LaneMark};
use crate::store::{Store, StoreError};
use ed25519_dalek::VerifyingKey;
use hyperverge_protocol::identity::Fingerprint;
use hyperverge_protocol::wire::{Hello, Lane, LaneState, Refusal, RefusalCode};
use uuid::Uuid;

/// An agent whose session the database knows.
#[derive(Debug)]
pub(super) struct Admitted {
    pub(super) agent: Agent,
    pub(super) session_id: Uuid,
    /// What is expected next in each lane.
    pub(super) lanes: Vec<LaneState>,
}

/// Asks the database about the holder of `key`, and makes this its newest session.
pub(super) async fn admit(
    store: &Store,
    key: &VerifyingKey,
    hello: &Hello,
) -> Result<Result<Admitted, Refusal>, StoreError> {
    let mut attempt = 1;
    loop {
        match try_admit(store, key, hello).await {
            Err(error) if error.is_transient() && attempt < TRANSACTION_ATTEMPTS => attempt += 1,
            other => return other,
        }
    }
}

async fn try_admit(
    store: &Store,
    key: &VerifyingKey,
    hello: &Hello,
) -> Result<Result<Admitted, Refusal>, StoreError> {
    let id = Fingerprint::of(key).to_string();
    // Strangers are told so without a transaction that writes.
    let mut tx = store.read().await?;
    let agent = agents::find(&mut tx, &id).await?;
    drop(tx);
    let Some(agent) = agent else {
        let message = "this key is not enrolled; enrol it with a token";
        return Ok(Err(refusal::fatal(RefusalCode::NotEnrolled, message)));
    };
    if agent.state != AgentState::Enrolled {
        return Ok(Err(refusal::barred(agent.state, agent.state_reason.as_deref())));
    }
    let mut tx = store.begin().await?;
    let now = tx.now().await?;
    let session_id = clock::new_id();
    let said = agents::Hello {
        session_id,
        version: &hello.version,
        host_name: &hello.host_name,
        capabilities: &hello.capabilities,
        wall_skew_ms: hello.wall_time_ms.saturating_sub(now),
    };
    if !agents::begin_session(&mut tx, agent.organisation_id, &id, &said, now).await? {
        // Revoked or quarantined since the look above.
        let code = RefusalCode::NotEnrolled;
        return Ok(Err(refusal::fatal(code, "this agent may not take part any more")));
    }
    let marks = agents::lanes(&mut tx, agent.organisation_id, &id).await?;
    tx.commit().await?;
    Ok(Ok(Admitted { agent, session_id, lanes: lane_states(&marks) }))
}

fn lane_states(marks: &[LaneMark]) -> Vec<LaneState> {
    let next = |lane: Lane| {
        let mark = marks.iter().find(|mark| mark.lane == i64::from(i32::from(lane)));
        mark.map_or(1, |mark| u64::try_from(mark.next_number).unwrap_or(1))
    };
    [Lane::Live, Lane::Backlog]
        .map(|lane| LaneState { lane: lane.into(), next_number: next(lane), waiting_batches: 0 })
        .to_vec()
}
