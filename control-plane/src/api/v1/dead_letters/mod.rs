//! Dead letters: what could not be delivered, until somebody decides.

mod delete;
mod discard;
mod list;
mod replay;

use crate::api::{Api, Problem, Timestamp};
use crate::store::channels::{self, Channel};
use crate::store::deliveries::{self, Delivery};
use crate::store::{StoreError, Tx};
use hyperverge_control_core::notification::NoticeKind;
use serde::Serialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

pub(super) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::default()
        .routes(routes!(list::list))
        .routes(routes!(delete::delete))
        .routes(routes!(replay::replay))
        .routes(routes!(discard::discard))
}

/// A notice that could not be delivered.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = DeadLetter)]
struct DeadLetterView {
    id: Uuid,
    incident_id: Uuid,
    /// `opened`, `widened` or `resolved`.
    #[schema(value_type = String, example = "opened")]
    kind: NoticeKind,
    /// What the incident is about.
    subject: String,
    summary: String,
    channel_id: Uuid,
    channel: String,
    /// An address; empty where the channel has just one end.
    recipient: String,
    /// `dead`, or `pending` just after it was replayed.
    state: String,
    /// Attempts since it was made or replayed.
    attempts: u32,
    last_error: Option<String>,
    /// An attempt was sent and nobody said whether it arrived.
    may_have_arrived: bool,
    created_at: Timestamp,
    /// When it was given up.
    dead_at: Option<Timestamp>,
    replayed_at: Option<Timestamp>,
}

impl DeadLetterView {
    fn new(delivery: Delivery, channel: &Channel) -> Self {
        Self {
            id: delivery.id,
            incident_id: delivery.notice.incident_id,
            kind: delivery.notice.kind,
            subject: delivery.notice.subject.name,
            summary: delivery.notice.summary,
            channel_id: delivery.channel_id,
            channel: channel.name.clone(),
            recipient: delivery.recipient,
            state: delivery.state.to_string(),
            attempts: delivery.attempts,
            last_error: delivery.last_error,
            may_have_arrived: delivery.outcome_unknown,
            created_at: Timestamp(delivery.created_at),
            dead_at: delivery.settled_at.map(Timestamp),
            replayed_at: delivery.replayed_at.map(Timestamp),
        }
    }
}

/// The dead letter's channel; deleting a channel ends its dead letters.
async fn channel_of(tx: &mut Tx, delivery: &Delivery) -> Result<Option<Channel>, StoreError> {
    channels::get(tx, delivery.organisation_id, delivery.channel_id).await
}

fn not_found() -> Problem {
    Problem::not_found("dead letter")
}

/// Ends a dead letter for good.
async fn end(api: &Api, organisation: Uuid, id: Uuid) -> Result<(), Problem> {
    let mut tx = api.shared.store.begin().await?;
    let now = tx.now().await?;
    if !deliveries::discard(&mut tx, organisation, id, now).await? {
        return Err(not_found());
    }
    Ok(tx.commit().await?)
}
