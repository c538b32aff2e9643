//! `POST /agents/{id}/revoke`.

use super::AgentView;
use crate::api::{Api, Problem};
use crate::auth::Admin;
use crate::store::agents::{self, AgentState};
use axum::Json;
use axum::extract::{Path, State};

/// Bars an agent's key for ever. Its sessions are closed within 5 s on every
/// replica, and others of its region take over. To come back it needs a new key
/// and a new token.
#[utoipa::path(post, path = "/agents/{id}/revoke", tag = "fleet", operation_id = "revoke_agent",
    params(("id" = String, Path, description = "The agent's fingerprint")),
    responses((status = 200, body = AgentView)))]
pub(super) async fn revoke(
    State(api): State<Api>,
    Admin(caller): Admin,
    Path(id): Path<String>,
) -> Result<Json<AgentView>, Problem> {
    let organisation = caller.organisation;
    let missing = || Problem::not_found("agent");
    let mut tx = api.shared.store.begin().await?;
    let reason = "revoked by an administrator";
    let known = agents::find(&mut tx, &id).await?;
    known.filter(|agent| agent.organisation_id == organisation).ok_or_else(missing)?;
    agents::set_state(&mut tx, organisation, &id, AgentState::Revoked, reason).await?;
    let agent = agents::find(&mut tx, &id).await?.ok_or_else(missing)?;
    tx.commit().await?;
    api.shared.wake.gateway.notify_one();
    api.shared.wake.planner.notify_one();
    tracing::info!(agent = id, by = %caller.user, "an agent was revoked");
    Ok(Json(agent.into()))
}
