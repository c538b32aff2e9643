//! `GET /incidents/{id}`.

use super::{IncidentView, view};
use crate::api::{Api, Problem, input::Id};
use crate::auth::Viewer;
use crate::store::incidents;
use axum::Json;
use axum::extract::State;

/// One incident.
#[utoipa::path(get, path = "/incidents/{id}", tag = "incidents", operation_id = "get_incident",
    params(("id" = Uuid, Path, description = "The incident")),
    responses((status = 200, body = IncidentView)))]
pub(super) async fn get(
    State(api): State<Api>,
    Viewer(caller): Viewer,
    Id(id): Id,
) -> Result<Json<IncidentView>, Problem> {
    let mut tx = api.shared.store.read().await?;
    let incident = incidents::get(&mut tx, caller.organisation, id)
        .await?
        .ok_or_else(|| Problem::not_found("incident"))?;
    Ok(Json(view(&mut tx, caller.organisation, incident).await?))
}
