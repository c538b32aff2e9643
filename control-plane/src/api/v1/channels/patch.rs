//! `PATCH /channels/{id}`.

use super::{ChannelView, locked, name_problem, name_taken, require_unnamed};
use crate::api::precondition::{IfMatch, etag};
use crate::api::{Api, Problem, input::Id, input::JsonBody};
use crate::auth::Editor;
use crate::store::channels::{self, Channel};
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::ETAG;
use hyperverge_control_core::notification::ChannelConfig;
use serde::Deserialize;
use serde_json::Value;

/// What is changed; what is left out stays.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ChannelChange {
    /// Refused while monitors or routes name the channel.
    name: Option<String>,
    /// As a whole; the signing secret of a webhook stays.
    #[schema(value_type = Option<Object>)]
    config: Option<Value>,
    default: Option<bool>,
    /// `true` also takes up a channel again that was disabled because its receiver answered 410.
    enabled: Option<bool>,
}

/// Changes a channel.
#[utoipa::path(patch, path = "/channels/{id}", tag = "notification", operation_id = "change_channel",
    params(("id" = Uuid, Path, description = "The channel"),
        ("If-Match" = Option<String>, Header, description = "The ETag it was read with; 412 when it has changed since")),
    request_body = ChannelChange, responses((status = 200, body = ChannelView)))]
pub(super) async fn patch(
    State(api): State<Api>,
    Editor(caller): Editor,
    Id(id): Id,
    preconditions: IfMatch,
    body: JsonBody,
) -> Result<Response, Problem> {
    let change: ChannelChange = body.read()?;
    let mut tx = api.shared.store.begin().await?;
    let present = locked(&mut tx, caller.organisation, id).await?;
    preconditions.require(present.revision)?;
    if change.name.as_ref().is_some_and(|name| *name != present.name) {
        require_unnamed(&mut tx, &present, "renamed").await?;
    }
    let was = present.revision;
    let changed = apply(present, change)?;
    channels::update(&mut tx, &changed, was).await.map_err(name_taken)?;
    tx.commit().await?;
    api.shared.wake.delivery.notify_one();
    let tag = etag(changed.revision);
    Ok(([(ETAG, tag)], Json(ChannelView::from(changed))).into_response())
}

fn apply(mut channel: Channel, change: ChannelChange) -> Result<Channel, Problem> {
    let mut problems = Vec::new();
    if let Some(name) = change.name {
        problems.extend(name_problem(&name));
        channel.name = name;
    }
    if let Some(config) = change.config {
        match ChannelConfig::read(channel.kind(), config) {
            Ok(config) => channel.config = config,
            Err(more) => problems.extend(more),
        }
    }
    if !problems.is_empty() {
        return Err(Problem::invalid(problems));
    }
    channel.is_default = change.default.unwrap_or(channel.is_default);
    match change.enabled {
        Some(true) => channel.disabled = None,
        Some(false) if channel.disabled.is_none() => {
            channel.disabled = Some("disabled by hand".to_owned());
        }
        Some(false) | None => {}
    }
    channel.revision += 1;
    Ok(channel)
}
