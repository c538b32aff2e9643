//! `GET /monitors/{id}/regions`.

use super::seats::MonitorRegionsView;
use crate::api::{Api, Problem, input::Id};
use crate::auth::Viewer;
use crate::store::states;
use axum::Json;
use axum::extract::State;

/// The verdict, and what each region sees now.
#[utoipa::path(get, path = "/monitors/{id}/regions", tag = "monitors", operation_id = "get_monitor_regions",
    params(("id" = Uuid, Path, description = "The monitor")),
    responses((status = 200, body = MonitorRegionsView)))]
pub(super) async fn regions(
    State(api): State<Api>,
    Viewer(caller): Viewer,
    Id(id): Id,
) -> Result<Json<MonitorRegionsView>, Problem> {
    let mut tx = api.shared.store.read().await?;
    let now = tx.now().await?;
    let seen = states::monitor_regions(&mut tx, caller.organisation, id, now)
        .await?
        .ok_or_else(|| Problem::not_found("monitor"))?;
    Ok(Json(seen.into()))
}
