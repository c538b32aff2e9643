//! `DELETE /monitors/{id}`.

use super::{references, wake};
use crate::api::precondition::IfMatch;
use crate::api::{Api, Problem, input::Id};
use crate::auth::Editor;
use crate::store::monitors;
use crate::verdicts;
use axum::extract::State;
use http::StatusCode;
use hyperverge_control_core::incident::Ending;

/// Ends a monitor. Its incident is resolved with a notice; results and history stay.
/// Refused while others depend on it.
#[utoipa::path(delete, path = "/monitors/{id}", tag = "monitors", operation_id = "delete_monitor",
    params(("id" = Uuid, Path, description = "The monitor"),
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
    let monitor = monitors::lock(&mut tx, organisation, id)
        .await?
        .ok_or_else(|| Problem::not_found("monitor"))?;
    preconditions.require(monitor.revision)?;
    let why = references::dependents(&mut tx, organisation, &monitor.spec.name).await?;
    why.map_or(Ok(()), |why| Err(Problem::conflict(format!("this monitor {why}"))))?;
    let now = tx.now().await?;
    verdicts::end(&mut tx, organisation, id, &monitor.spec, Ending::Deleted, now).await?;
    monitors::delete(&mut tx, organisation, &monitor, now).await?;
    tx.commit().await?;
    wake(&api);
    Ok(StatusCode::NO_CONTENT)
}
