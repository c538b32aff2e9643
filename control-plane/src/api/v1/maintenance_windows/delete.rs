//! `DELETE /maintenance-windows/{id}`.

use crate::api::precondition::IfMatch;
use crate::api::{Api, Problem, input::Id};
use crate::auth::Editor;
use crate::store::maintenance_windows;
use axum::extract::State;
use http::StatusCode;

/// Ends a maintenance window now; one that is over stays as it was. It remains in
/// the list, for whoever asks later why nobody was told.
#[utoipa::path(delete, path = "/maintenance-windows/{id}", tag = "notification", operation_id = "end_maintenance_window",
    params(("id" = Uuid, Path, description = "The maintenance window"),
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
    let mut stored = maintenance_windows::lock(&mut tx, organisation, id)
        .await?
        .ok_or_else(|| Problem::not_found("maintenance window"))?;
    preconditions.require(stored.revision)?;
    let now = tx.now().await?;
    if stored.window.ends_at > now {
        stored.window.ends_at = now;
        stored.revision += 1;
        maintenance_windows::update(&mut tx, organisation, &stored).await?;
        tx.commit().await?;
        api.shared.wake.correlator.notify_one();
    }
    Ok(StatusCode::NO_CONTENT)
}
