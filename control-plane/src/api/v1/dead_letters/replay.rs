//! `POST /dead-letters/{id}/replay`.

use super::{DeadLetterView, channel_of, not_found};
use crate::api::{Api, Problem, input::Id};
use crate::auth::Editor;
use crate::store::deliveries;
use axum::Json;
use axum::extract::State;

/// Sends a dead letter again, under its old id and from the beginning of the
/// schedule. It says how late it is and how the incident stands now.
#[utoipa::path(post, path = "/dead-letters/{id}/replay", tag = "notification", operation_id = "replay_dead_letter",
    params(("id" = Uuid, Path, description = "The dead letter")),
    responses((status = 200, body = DeadLetterView), (status = 409, description = "Its channel is disabled")))]
pub(super) async fn replay(
    State(api): State<Api>,
    Editor(caller): Editor,
    Id(id): Id,
) -> Result<Json<DeadLetterView>, Problem> {
    let organisation = caller.organisation;
    let mut tx = api.shared.store.begin().await?;
    let letter = deliveries::dead_letter(&mut tx, organisation, id).await?.ok_or_else(not_found)?;
    let channel = channel_of(&mut tx, &letter).await?.ok_or_else(not_found)?;
    if let Some(why) = &channel.disabled {
        let detail = format!("its channel {} is disabled ({why}); enable it first", channel.name);
        return Err(Problem::conflict(detail));
    }
    let now = tx.now().await?;
    if !deliveries::replay(&mut tx, organisation, id, now).await? {
        return Err(not_found());
    }
    let replayed = deliveries::get(&mut tx, organisation, id).await?.ok_or_else(not_found)?;
    tx.commit().await?;
    api.shared.wake.delivery.notify_one();
    Ok(Json(DeadLetterView::new(replayed, &channel)))
}
