//! `POST /dead-letters/{id}/discard`.

use crate::api::{Api, Problem, input::Id};
use crate::auth::Editor;
use axum::extract::State;
use http::StatusCode;

/// Ends a dead letter: it need not be told any more.
#[utoipa::path(post, path = "/dead-letters/{id}/discard", tag = "notification", operation_id = "discard_dead_letter",
    params(("id" = Uuid, Path, description = "The dead letter")), responses((status = 204)))]
pub(super) async fn discard(
    State(api): State<Api>,
    Editor(caller): Editor,
    Id(id): Id,
) -> Result<StatusCode, Problem> {
    super::end(&api, caller.organisation, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
