//! What an agent is told when something is not taken.

use super::frames::ReadError;
use crate::store::StoreError;
use crate::store::agents::AgentState;
use crate::telemetry;
use hyperverge_protocol::frame::FrameError;
use hyperverge_protocol::problem::FieldProblem;
use hyperverge_protocol::wire::{Refusal, RefusalCode};
use std::time::Duration;

/// A refusal that ends the session.
pub(super) fn fatal(code: RefusalCode, message: impl Into<String>) -> Refusal {
    Refusal { code: code.into(), message: message.into(), fatal: true, ..Refusal::default() }
}

/// Ends the session; the agent may come back after `wait`.
pub(super) fn busy(message: &str, wait: Duration) -> Refusal {
    let retry_after_ms = u32::try_from(wait.as_millis()).unwrap_or(u32::MAX);
    Refusal { retry_after_ms, ..fatal(RefusalCode::Busy, message) }
}

/// Names the field and the rule.
pub(super) fn malformed(problem: &FieldProblem) -> Refusal {
    fatal(RefusalCode::Malformed, problem.to_string())
}

/// The agent's row says no.
pub(super) fn barred(state: AgentState, reason: Option<&str>) -> Refusal {
    let code = match state {
        AgentState::Quarantined => RefusalCode::Quarantined,
        AgentState::Revoked => RefusalCode::Revoked,
        AgentState::Enrolled => RefusalCode::Unspecified,
    };
    let because = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
    fatal(code, format!("this agent is {}{because}", state.as_str()))
}

/// Something of ours failed: logged here, and nothing of it told.
pub(super) fn internal(error: &StoreError) -> Refusal {
    tracing::error!(error = telemetry::chain(error), "the link could not ask the database");
    let wait = Duration::from_secs(5);
    Refusal {
        code: RefusalCode::Internal.into(),
        ..busy("the control plane cannot answer now; try again", wait)
    }
}

/// What a frame that cannot be read deserves; `None` when the peer just left.
pub(super) fn unreadable(error: &ReadError) -> Option<Refusal> {
    match error {
        ReadError::Left(_) => None,
        ReadError::Frame(FrameError::TooLarge { .. }) => {
            Some(fatal(RefusalCode::TooLarge, error.to_string()))
        }
        ReadError::Frame(_) | ReadError::Unknown => {
            Some(fatal(RefusalCode::Malformed, error.to_string()))
        }
    }
}
