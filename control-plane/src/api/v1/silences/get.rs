//! `GET /silences/{id}`.

use super::SilenceView;
use crate::api::precondition::etag;
use crate::api::{Api, Problem, input::Id};
use crate::auth::Viewer;
use crate::store::silences;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::ETAG;

/// One silence.
#[utoipa::path(get, path = "/silences/{id}", tag = "notification", operation_id = "get_silence",
    params(("id" = Uuid, Path, description = "The silence")),
    responses((status = 200, body = SilenceView, headers(("ETag" = String, description = "The revision")))))]
pub(super) async fn get(
    State(api): State<Api>,
    Viewer(caller): Viewer,
    Id(id): Id,
) -> Result<Response, Problem> {
    let mut tx = api.shared.store.read().await?;
    let now = tx.now().await?;
    let stored = silences::get(&mut tx, caller.organisation, id)
        .await?
        .ok_or_else(|| Problem::not_found("silence"))?;
    let tag = etag(stored.revision);
    Ok(([(ETAG, tag)], Json(SilenceView::at(now, stored))).into_response())
}
