//! `DELETE /routes/{id}`.

use crate::api::precondition::IfMatch;
use crate::api::{Api, Problem, input::Id};
use crate::auth::Editor;
use crate::store::routes;
use axum::extract::State;
use http::StatusCode;

/// Deletes a route. Whoever it told of a beginning is still told of the end.
#[utoipa::path(delete, path = "/routes/{id}", tag = "notification", operation_id = "delete_route",
    params(("id" = Uuid, Path, description = "The route"),
        ("If-Match" = Option<String>, Header, description = "The ETag it was read with; 412 when it has changed since")),
    responses((status = 204)))]
pub(super) async fn delete(
    State(api): State<Api>,
    Editor(caller): Editor,
    Id(id): Id,
    preconditions: IfMatch,
) -> Result<StatusCode, Problem> {
    let organisation = caller.organisation;
    let mut tx = api.shared.store.begin().await?;
    let stored = routes::lock(&mut tx, organisation, id)
        .await?
        .ok_or_else(|| Problem::not_found("route"))?;
    preconditions.require(stored.revision)?;
    routes::delete(&mut tx, organisation, id).await?;
    tx.commit().await?;
    api.shared.wake.correlator.notify_one();
    Ok(StatusCode::NO_CONTENT)
}
