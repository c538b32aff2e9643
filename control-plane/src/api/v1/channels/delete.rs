//! `DELETE /channels/{id}`.

use super::{locked, require_unnamed};
use crate::api::precondition::IfMatch;
use crate::api::{Api, Problem, input::Id};
use crate::auth::Editor;
use crate::store::{channels, deliveries};
use axum::extract::State;
use http::StatusCode;

/// Deletes a channel, and what still waits for it or is a dead letter of it.
/// Refused while monitors or routes name it.
#[utoipa::path(delete, path = "/channels/{id}", tag = "notification", operation_id = "delete_channel",
    params(("id" = Uuid, Path, description = "The channel"),
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
    let channel = locked(&mut tx, organisation, id).await?;
    preconditions.require(channel.revision)?;
    require_unnamed(&mut tx, &channel, "deleted").await?;
    let now = tx.now().await?;
    deliveries::discard_channel(&mut tx, organisation, id, now).await?;
    channels::delete(&mut tx, organisation, id).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}
