//! `DELETE /dead-letters/{id}`: the same as discarding it.

use crate::api::{Api, Problem, input::Id};
use crate::auth::Editor;
use axum::extract::State;
use http::StatusCode;

/// Ends a dead letter: it need not be told any more.
#[utoipa::path(delete, path = "/dead-letters/{id}", tag = "notification", operation_id = "delete_dead_letter",
    params(("id" = Uuid, Path, description = "The dead letter")), responses((status = 204)))]
pub(super) async fn delete(
    State(api): State<Api>,
    Editor(caller): Editor,
    Id(id): Id,
) -> Result<StatusCode, Problem> {
    super::end(&api, caller.organisation, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
