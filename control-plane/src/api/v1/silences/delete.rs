//! `DELETE /silences/{id}`.

use crate::api::precondition::IfMatch;
use crate::api::{Api, Problem, input::Id};
use crate::auth::Editor;
use crate::store::silences;
use axum::extract::State;
use http::StatusCode;

/// Ends a silence now; one that is over stays as it was. It remains in
/// the list, for whoever asks later why nobody was told.
#[utoipa::path(delete, path = "/silences/{id}", tag = "notification", operation_id = "end_silence",
    params(("id" = Uuid, Path, description = "The silence"),
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
    let mut stored = silences::lock(&mut tx, organisation, id)
        .await?
        .ok_or_else(|| Problem::not_found("silence"))?;
    preconditions.require(stored.revision)?;
    let now = tx.now().await?;
    if stored.silence.ends_at > now {
        stored.silence.ends_at = now;
        stored.revision += 1;
        silences::update(&mut tx, organisation, &stored).await?;
        tx.commit().await?;
        api.shared.wake.correlator.notify_one();
    }
    Ok(StatusCode::NO_CONTENT)
}
