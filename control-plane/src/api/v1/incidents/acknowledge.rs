//! `POST /incidents/{id}/acknowledge`.

use super::{IncidentView, view};
use crate::api::{Api, Problem, input::Id};
use crate::auth::Editor;
use crate::store::incidents;
use axum::Json;
use axum::extract::State;
use hyperverge_control_core::incident::IncidentState;

/// Says that the caller takes care of it. Doing so again changes nothing; a
/// resolved incident cannot be acknowledged any more.
#[utoipa::path(post, path = "/incidents/{id}/acknowledge", tag = "incidents", operation_id = "acknowledge_incident",
    params(("id" = Uuid, Path, description = "The incident")),
    responses((status = 200, body = IncidentView), (status = 409, description = "It is resolved")))]
pub(super) async fn acknowledge(
    State(api): State<Api>,
    Editor(caller): Editor,
    Id(id): Id,
) -> Result<Json<IncidentView>, Problem> {
    let organisation = caller.organisation;
    let mut tx = api.shared.store.begin().await?;
    let now = tx.now().await?;
    incidents::acknowledge(&mut tx, organisation, id, caller.user, now).await?;
    let incident = incidents::get(&mut tx, organisation, id)
        .await?
        .ok_or_else(|| Problem::not_found("incident"))?;
    if incident.state == IncidentState::Resolved {
        return Err(Problem::conflict("the incident is resolved"));
    }
    let view = view(&mut tx, organisation, incident).await?;
    tx.commit().await?;
    Ok(Json(view))
}
