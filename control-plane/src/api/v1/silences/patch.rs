//! `PATCH /silences/{id}`.

use super::SilenceView;
use crate::api::precondition::{IfMatch, etag};
use crate::api::v1::holds::require_not_over;
use crate::api::{Api, Problem, Timestamp, input::Id, input::JsonBody};
use crate::auth::Editor;
use crate::store::silences;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::ETAG;
use serde::Deserialize;

/// What is changed; what is left out stays. What it holds does not change: make
/// another one for that.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SilenceChange {
    /// In the future; `DELETE` ends it now.
    ends_at: Option<Timestamp>,
    comment: Option<String>,
}

/// Moves the end of a silence that is not over.
#[utoipa::path(patch, path = "/silences/{id}", tag = "notification", operation_id = "change_silence",
    params(("id" = Uuid, Path, description = "The silence"),
        ("If-Match" = Option<String>, Header, description = "The ETag it was read with; 412 when it has changed since")),
    request_body = SilenceChange,
    responses((status = 200, body = SilenceView), (status = 409, description = "It is over")))]
pub(super) async fn patch(
    State(api): State<Api>,
    Editor(caller): Editor,
    Id(id): Id,
    preconditions: IfMatch,
    body: JsonBody,
) -> Result<Response, Problem> {
    let change: SilenceChange = body.read()?;
    let organisation = caller.organisation;
    let mut tx = api.shared.store.begin().await?;
    let mut stored = silences::lock(&mut tx, organisation, id)
        .await?
        .ok_or_else(|| Problem::not_found("silence"))?;
    preconditions.require(stored.revision)?;
    let now = tx.now().await?;
    require_not_over(stored.silence.ends_at, now)?;
    if let Some(ends_at) = change.ends_at {
        stored.silence.ends_at = ends_at.0;
    }
    if let Some(comment) = change.comment {
        stored.silence.comment = comment;
    }
    let problems = stored.silence.check(now);
    if !problems.is_empty() {
        return Err(Problem::invalid(problems));
    }
    stored.revision += 1;
    silences::update(&mut tx, organisation, &stored).await?;
    tx.commit().await?;
    api.shared.wake.correlator.notify_one();
    let tag = etag(stored.revision);
    Ok(([(ETAG, tag)], Json(SilenceView::at(now, stored))).into_response())
}
