//! Channels: who is told.

mod create;
mod delete;
mod get;
mod list;
mod patch;
mod rotate_secret;
mod test;

use super::regions::NAME_RULE;
use crate::api::{Api, Problem, Timestamp};
use crate::store::channels::{self, Channel};
use crate::store::{StoreError, Tx, routes};
use hyperverge_control_core::notification::{ChannelConfig, ChannelKind};
use hyperverge_protocol::monitor::is_slug;
use hyperverge_protocol::problem::FieldProblem;
use serde::Serialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

pub(super) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::default()
        .routes(routes!(list::list, create::create))
        .routes(routes!(get::get, patch::patch, delete::delete))
        .routes(routes!(test::test))
        .routes(routes!(rotate_secret::rotate_secret))
}

/// A channel. Its signing secret is shown once, when it is made.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Channel)]
struct ChannelView {
    id: Uuid,
    name: String,
    /// `webhook` or `email`.
    #[schema(value_type = String, example = "webhook")]
    kind: ChannelKind,
    /// `{url}` of a webhook, `{to}` of e-mail.
    #[schema(value_type = Object)]
    config: ChannelConfig,
    /// Told when a monitor names no channel.
    default: bool,
    /// A disabled channel is sent nothing; its notices become dead letters.
    enabled: bool,
    /// Why it is disabled.
    disabled_reason: Option<String>,
    /// Since when nothing it was sent has been accepted; null while it works.
    failing_since: Option<Timestamp>,
    /// 1 upward; also the `ETag`.
    revision: i64,
    created_at: Timestamp,
}

impl From<Channel> for ChannelView {
    fn from(channel: Channel) -> Self {
        Self {
            id: channel.id,
            name: channel.name,
            kind: channel.config.kind(),
            config: channel.config,
            default: channel.is_default,
            enabled: channel.disabled.is_none(),
            disabled_reason: channel.disabled,
            failing_since: channel.failing_since.map(Timestamp),
            revision: channel.revision,
            created_at: Timestamp(channel.created_at),
        }
    }
}

/// Why a name is none.
fn name_problem(name: &str) -> Option<FieldProblem> {
    (!is_slug(name)).then(|| FieldProblem::new("name", NAME_RULE))
}

/// Names the field behind a unique key.
fn name_taken(error: StoreError) -> Problem {
    match error {
        StoreError::Conflict => Problem::taken("name", "is the name of another channel"),
        other => other.into(),
    }
}

/// The channel, locked until the commit.
async fn locked(tx: &mut Tx, organisation: Uuid, id: Uuid) -> Result<Channel, Problem> {
    channels::lock(tx, organisation, id).await?.ok_or_else(|| Problem::not_found("channel"))
}

/// Refuses while monitors or routes name the channel: they would tell nobody.
async fn require_unnamed(tx: &mut Tx, channel: &Channel, what: &str) -> Result<(), Problem> {
    const SHOWN: usize = 5;
    let (organisation, name) = (channel.organisation_id, &channel.name);
    let monitors = channels::monitors_naming(tx, organisation, name, SHOWN).await?;
    let routes = routes::naming_channel(tx, organisation, name, SHOWN).await?;
    for (naming, names) in [("monitors", monitors), ("routes", routes)] {
        if !names.is_empty() {
            let names = names.join(", ");
            let detail = format!("{naming} name this channel, so it cannot be {what}: {names}");
            return Err(Problem::conflict(detail));
        }
    }
    Ok(())
}
