//! What both explanations show: votes, the arithmetic, checks, what was told.

use crate::api::Timestamp;
use crate::api::v1::monitors::outcome_word;
use crate::store::channels::Channel;
use crate::store::history::{Check, StoredIntent, Telling};
use hyperverge_control_core::correlation::Evaluation;
use hyperverge_control_core::explain::{Vote, votes};
use serde::Serialize;
use uuid::Uuid;

/// A count of votes.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = VoteCount)]
pub(super) struct EvaluationView {
    verdict: &'static str,
    /// Null while nothing hurts.
    scope: Option<&'static str>,
    /// When the deciding region came to its state; null: before what is known.
    since: Option<Timestamp>,
    /// Regions that may vote, whether they do or not.
    seats: u32,
    /// Votes that make it down.
    needed: u32,
    down: u32,
    degraded: u32,
    up: u32,
    /// Seats that cast no vote.
    silent: u32,
    /// The same as a sentence.
    arithmetic: String,
    votes: Vec<VoteView>,
}

/// A seat.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Vote)]
pub(super) struct VoteView {
    region: String,
    /// `up`, `degraded`, `down` or `unknown`.
    state: &'static str,
    since: Option<Timestamp>,
    reason: Option<String>,
    message: Option<String>,
    /// Whether it voted; a seat that did not is not taken away.
    cast: bool,
    /// What it says, or why it says nothing.
    why: String,
}

/// A check.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = ExplainedCheck)]
pub(super) struct CheckView {
    region: String,
    agent_id: String,
    revision: i64,
    slot: i64,
    /// Above 0: one of a burst that confirmed a failure.
    burst_index: i64,
    due_at: Timestamp,
    started_at: Timestamp,
    ended_at: Timestamp,
    /// When it was stored; what comes too late changes no decision.
    received_at: Timestamp,
    outcome: &'static str,
    reason: Option<String>,
    message: Option<String>,
}

/// Something that was to be told.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = ExplainedIntent)]
pub(super) struct IntentView {
    /// Of the timeline.
    event: i64,
    /// `opened`, `widened` or `resolved`.
    kind: String,
    /// Below the quorum, or about us: only for routes that name such incidents.
    quiet: bool,
    due_at: Timestamp,
    /// Why it was held last, in words.
    held: Option<String>,
    /// Null while it waits.
    settled_at: Option<Timestamp>,
    /// What became of it, in words.
    outcome: Option<String>,
}

/// A notice on its way to one recipient.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = ExplainedDelivery)]
pub(super) struct DeliveryView {
    id: Uuid,
    /// The lead of its group, where that carried it; null: its own.
    through: Option<Uuid>,
    /// Of the timeline of the incident that carried it.
    event: i64,
    kind: &'static str,
    /// Below the quorum, or about us: only routes that name such incidents were told.
    quiet: bool,
    channel_id: Uuid,
    /// Null when the channel is gone.
    channel: Option<String>,
    /// An address; empty where the channel has just one end.
    recipient: String,
    /// `pending`, `delivered`, `dead`, `discarded` or `superseded`.
    state: String,
    attempts: u32,
    last_error: Option<String>,
    /// An attempt was sent and nobody said whether it arrived.
    may_have_arrived: bool,
    created_at: Timestamp,
    settled_at: Option<Timestamp>,
}

impl From<&Evaluation> for EvaluationView {
    fn from(evaluation: &Evaluation) -> Self {
        Self {
            verdict: evaluation.verdict.as_str(),
            scope: evaluation.scope.map(|scope| scope.as_str()),
            since: evaluation.since.map(Timestamp),
            seats: evaluation.seats,
            needed: evaluation.needed,
            down: evaluation.down,
            degraded: evaluation.degraded,
            up: evaluation.up,
            silent: evaluation.silent,
            arithmetic: evaluation.arithmetic(),
            votes: votes(&evaluation.regions).into_iter().map(VoteView::from).collect(),
        }
    }
}

impl From<Vote> for VoteView {
    fn from(vote: Vote) -> Self {
        Self {
            region: vote.region,
            state: vote.state.as_str(),
            since: vote.since.map(Timestamp),
            reason: vote.reason,
            message: vote.message,
            cast: vote.cast,
            why: vote.why,
        }
    }
}

impl From<Check> for CheckView {
    fn from(check: Check) -> Self {
        Self {
            region: check.region,
            agent_id: check.agent_id,
            revision: check.revision,
            slot: check.slot,
            burst_index: check.burst_index,
            due_at: Timestamp(check.due_us / 1_000),
            started_at: Timestamp(check.started_us / 1_000),
            ended_at: Timestamp(check.ended_us / 1_000),
            received_at: Timestamp(check.received_at),
            outcome: outcome_word(check.outcome),
            reason: check.reason,
            message: check.message,
        }
    }
}

impl From<StoredIntent> for IntentView {
    fn from(intent: StoredIntent) -> Self {
        Self {
            event: intent.event_number,
            kind: intent.kind,
            quiet: intent.quiet,
            due_at: Timestamp(intent.due_at),
            held: intent.hold_reason,
            settled_at: intent.settled_at.map(Timestamp),
            outcome: intent.outcome,
        }
    }
}

impl DeliveryView {
    pub(super) fn new(telling: Telling, channels: &[Channel]) -> Self {
        let Telling { delivery, through, quiet, .. } = telling;
        let channel = channels.iter().find(|channel| channel.id == delivery.channel_id);
        Self {
            id: delivery.id,
            through,
            event: delivery.notice.event_number,
            kind: delivery.notice.kind.as_str(),
            quiet,
            channel_id: delivery.channel_id,
            channel: channel.map(|channel| channel.name.clone()),
            recipient: delivery.recipient,
            state: delivery.state.to_string(),
            attempts: delivery.attempts,
            last_error: delivery.last_error,
            may_have_arrived: delivery.outcome_unknown,
            created_at: Timestamp(delivery.created_at),
            settled_at: delivery.settled_at.map(Timestamp),
        }
    }
}
