//! Bursts: what was asked to confirm a failure and what was answered, or why nothing was.

use crate::api::Timestamp;
use crate::store::bursts::{Burst, KeptBack, Order};
use hyperverge_control_core::correlation::burst::why_not_asked;
use serde::Serialize;
use uuid::Uuid;

/// A burst: every region was asked at once.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = ExplainedBurst)]
pub(super) struct BurstView {
    id: Uuid,
    /// Whose failure asked.
    region: String,
    asked_at: Timestamp,
    expires_at: Timestamp,
    settled_at: Option<Timestamp>,
    /// `answered`, `expired` or `ended`; null while answers are waited for.
    outcome: Option<String>,
    /// Failures in a row after which a region stops.
    failures: u32,
    orders: Vec<OrderView>,
}

/// What one region was asked and answered.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = ExplainedOrder)]
pub(super) struct OrderView {
    region: String,
    agent_id: String,
    /// Null: it did not reach the agent.
    sent_at: Option<Timestamp>,
    /// Null: not answered in full.
    answered_at: Option<Timestamp>,
    failures: u32,
    successes: u32,
}

impl From<Burst> for BurstView {
    fn from(burst: Burst) -> Self {
        Self {
            id: burst.id,
            region: burst.region,
            asked_at: Timestamp(burst.asked_at),
            expires_at: Timestamp(burst.expires_at),
            settled_at: burst.settled_at.map(Timestamp),
            outcome: burst.outcome,
            failures: burst.failures,
            orders: burst.orders.into_iter().map(OrderView::from).collect(),
        }
    }
}

impl From<Order> for OrderView {
    fn from(order: Order) -> Self {
        Self {
            region: order.region,
            agent_id: order.agent_id,
            sent_at: order.sent_at.map(Timestamp),
            answered_at: order.answered_at.map(Timestamp),
            failures: order.failures,
            successes: order.successes,
        }
    }
}

/// A streak of failures that began, and nothing was asked.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = ExplainedNotAsked)]
pub(super) struct NotAskedView {
    at: Timestamp,
    /// Where it began.
    region: String,
    /// A word: `active`, `rested`, `discredited`, `origin_cap`, `host_cap`,
    /// `organisation_cap` or `nobody_to_ask`.
    reason: String,
    /// The same in a clause.
    why: String,
}

impl From<KeptBack> for NotAskedView {
    fn from(kept: KeptBack) -> Self {
        let why = why_not_asked(&kept.reason);
        Self { at: Timestamp(kept.at), region: kept.region, reason: kept.reason, why }
    }
}
