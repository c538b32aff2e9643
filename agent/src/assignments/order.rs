//! Orders of confirmation bursts: believed like sets, only from the assignment
//! key of the enrolment and only for this agent. Whether one is carried out is
//! the schedule's to say.

use ed25519_dalek::VerifyingKey;
use hyperverge_agent_core::schedule::Burst;
use hyperverge_protocol::envelope::{self, EnvelopeError, Purpose};
use hyperverge_protocol::identity::AgentId;
use hyperverge_protocol::wire::{BurstOrder, Envelope};
use prost::Message;
use uuid::Uuid;

/// Why an order is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OrderError {
    #[error("the order's signature is not believed: {0}")]
    Signature(#[from] EnvelopeError),
    #[error("the order does not decode")]
    Malformed,
    #[error("the order is for another agent")]
    OtherAgent,
}

/// The order in `envelope`, if `key` signed it for `agent`.
pub(super) fn open(
    envelope: &Envelope,
    key: &VerifyingKey,
    agent: &AgentId,
) -> Result<Burst, OrderError> {
    let payload = envelope::open(Purpose::BurstOrder, envelope, key)?;
    let order = BurstOrder::decode(payload.clone()).map_err(|_| OrderError::Malformed)?;
    if order.agent_id != agent.as_bytes().as_slice() {
        return Err(OrderError::OtherAgent);
    }
    let id = |bytes: &[u8]| Uuid::from_slice(bytes).map_err(|_| OrderError::Malformed);
    Ok(Burst {
        id: id(&order.burst_id)?,
        monitor: id(&order.monitor_id)?,
        revision: order.revision,
        failures: order.failures,
        asked_ms: order.asked_ms,
        expires_ms: order.expires_ms,
    })
}
