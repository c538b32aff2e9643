//! `DELETE /regions/{id}`.

use crate::api::{Api, Problem, input::Id};
use crate::auth::Admin;
use crate::store::{monitors, regions};
use axum::extract::State;
use http::StatusCode;

/// Monitors that the answer names.
const NAMED: usize = 5;

/// Retires a region that no agent and no monitor's list uses any more. What it
/// saw stays; making a region of the same name brings it back.
#[utoipa::path(delete, path = "/regions/{id}", tag = "fleet", operation_id = "retire_region",
    params(("id" = Uuid, Path, description = "The region")), responses((status = 204)))]
pub(super) async fn retire(
    State(api): State<Api>,
    Admin(caller): Admin,
    Id(id): Id,
) -> Result<StatusCode, Problem> {
    let organisation = caller.organisation;
    let mut tx = api.shared.store.begin().await?;
    let region = regions::get(&mut tx, organisation, id)
        .await?
        .filter(|region| region.retired_at.is_none())
        .ok_or_else(|| Problem::not_found("region"))?;
    if region.agents > 0 {
        let agents = region.agents;
        return Err(Problem::conflict(format!("{agents} agents are in it; revoke them first")));
    }
    let naming = monitors::naming_region(&mut tx, organisation, &region.name, NAMED).await?;
    if !naming.is_empty() {
        return Err(Problem::conflict(format!("monitors name it: {}", naming.join(", "))));
    }
    let now = tx.now().await?;
    regions::set_retired(&mut tx, organisation, id, Some(now)).await?;
    tx.commit().await?;
    api.shared.wake.planner.notify_one();
    Ok(StatusCode::NO_CONTENT)
}
