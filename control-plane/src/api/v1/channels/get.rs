//! `GET /channels/{id}`.

use super::ChannelView;
use crate::api::precondition::etag;
use crate::api::{Api, Problem, input::Id};
use crate::auth::Viewer;
use crate::store::channels;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::ETAG;

/// One channel.
#[utoipa::path(get, path = "/channels/{id}", tag = "notification", operation_id = "get_channel",
    params(("id" = Uuid, Path, description = "The channel")),
    responses((status = 200, body = ChannelView, headers(("ETag" = String, description = "The revision")))))]
pub(super) async fn get(
    State(api): State<Api>,
    Viewer(caller): Viewer,
    Id(id): Id,
) -> Result<Response, Problem> {
    let mut tx = api.shared.store.read().await?;
    let channel = channels::get(&mut tx, caller.organisation, id)
        .await?
        .ok_or_else(|| Problem::not_found("channel"))?;
    let tag = etag(channel.revision);
    Ok(([(ETAG, tag)], Json(ChannelView::from(channel))).into_response())
}
