//! `GET /agents/{id}`.

use super::AgentView;
use crate::api::{Api, Problem};
use crate::auth::Viewer;
use crate::store::agents;
use axum::Json;
use axum::extract::{Path, State};

/// One agent.
#[utoipa::path(get, path = "/agents/{id}", tag = "fleet", operation_id = "get_agent",
    params(("id" = String, Path, description = "The agent's fingerprint")),
    responses((status = 200, body = AgentView)))]
pub(super) async fn get(
    State(api): State<Api>,
    Viewer(caller): Viewer,
    Path(id): Path<String>,
) -> Result<Json<AgentView>, Problem> {
    let mut tx = api.shared.store.read().await?;
    let agent = agents::find(&mut tx, &id)
        .await?
        .filter(|agent| agent.organisation_id == caller.organisation)
        .ok_or_else(|| Problem::not_found("agent"))?;
    Ok(Json(agent.into()))
}
