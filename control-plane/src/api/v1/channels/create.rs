//! `POST /channels`.

use super::{ChannelView, name_problem, name_taken};
use crate::api::create::{Begun, Create, CreateRequest};
use crate::api::{Api, Problem, input::JsonBody};
use crate::auth::Editor;
use crate::limits;
use crate::notify::SigningSecret;
use crate::store::channels::{self, Channel};
use axum::extract::State;
use axum::response::Response;
use hyperverge_control_core::notification::{ChannelConfig, ChannelKind, UnknownChannelKind};
use hyperverge_protocol::problem::FieldProblem;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A channel to make.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewChannel {
    /// Slug: `a-z 0-9 -`, at most 63.
    #[schema(example = "payments-oncall")]
    name: String,
    /// `webhook` or `email`.
    #[schema(example = "webhook")]
    kind: String,
    /// `{"url": "https://…"}` of a webhook, `{"to": ["…"]}` of e-mail.
    #[schema(value_type = Object)]
    config: Value,
    /// Whether it is told when a monitor names no channel.
    #[serde(default = "yes")]
    default: bool,
}

fn yes() -> bool {
    true
}

/// A channel just made.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct CreatedChannel {
    #[serde(flatten)]
    channel: ChannelView,
    /// The signing secret of a webhook (`whsec_…`); it is not shown again.
    secret: Option<String>,
}

/// Makes a channel. A webhook's signing secret is in the answer, and only there.
#[utoipa::path(post, path = "/channels", tag = "notification", operation_id = "create_channel",
    params(("Idempotency-Key" = Option<String>, Header, description = "The same key and body get the same answer for a day")),
    request_body = NewChannel, responses((status = 201, body = CreatedChannel)))]
pub(super) async fn create(
    State(api): State<Api>,
    Editor(caller): Editor,
    request: CreateRequest,
    body: JsonBody,
) -> Result<Response, Problem> {
    let new: NewChannel = body.read()?;
    let (name, is_default) = (new.name.clone(), new.default);
    let config = judge(new)?;
    let mut create = match Create::begin(&api, caller, request, &body.0).await? {
        Begun::Fresh(create) => create,
        Begun::Replayed(response) => return Ok(response),
    };
    let organisation = caller.organisation;
    if channels::count(&mut create.tx, organisation).await? >= limits::CHANNELS {
        let limit = limits::CHANNELS;
        return Err(Problem::conflict(format!("an organisation may have {limit} channels")));
    }
    let id = crate::clock::new_id();
    let secret = (config.kind() == ChannelKind::Webhook)
        .then(|| SigningSecret::generate(&mut crate::clock::rng()));
    let channel = Channel {
        organisation_id: organisation,
        id,
        name,
        config,
        sealed_secret: secret.as_ref().map(|s| s.seal(&api.shared.keys, organisation, id)),
        is_default,
        disabled: None,
        failing_since: None,
        revision: 1,
        created_at: create.now,
    };
    channels::insert(&mut create.tx, &channel).await.map_err(name_taken)?;
    let secret = secret.map(|secret| secret.reveal());
    create.finish(&api, &CreatedChannel { channel: channel.into(), secret }).await
}

/// Every rule it breaks, at once.
fn judge(new: NewChannel) -> Result<ChannelConfig, Problem> {
    let mut problems: Vec<FieldProblem> = name_problem(&new.name).into_iter().collect();
    let kind: Result<ChannelKind, UnknownChannelKind> = new.kind.parse();
    let config = match kind {
        Ok(kind) => ChannelConfig::read(kind, new.config),
        Err(rule) => Err(vec![FieldProblem::new("kind", rule.to_string())]),
    };
    match config {
        Ok(config) if problems.is_empty() => Ok(config),
        Ok(_) => Err(Problem::invalid(problems)),
        Err(more) => {
            problems.extend(more);
            Err(Problem::invalid(problems))
        }
    }
}
