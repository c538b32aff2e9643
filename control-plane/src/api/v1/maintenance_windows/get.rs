//! `GET /maintenance-windows/{id}`.

use super::MaintenanceWindowView;
use crate::api::precondition::etag;
use crate::api::{Api, Problem, input::Id};
use crate::auth::Viewer;
use crate::store::maintenance_windows;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::ETAG;

/// One maintenance window.
#[utoipa::path(get, path = "/maintenance-windows/{id}", tag = "notification", operation_id = "get_maintenance_window",
    params(("id" = Uuid, Path, description = "The maintenance window")),
    responses((status = 200, body = MaintenanceWindowView, headers(("ETag" = String, description = "The revision")))))]
pub(super) async fn get(
    State(api): State<Api>,
    Viewer(caller): Viewer,
    Id(id): Id,
) -> Result<Response, Problem> {
    let mut tx = api.shared.store.read().await?;
    let now = tx.now().await?;
    let stored = maintenance_windows::get(&mut tx, caller.organisation, id)
        .await?
        .ok_or_else(|| Problem::not_found("maintenance window"))?;
    let tag = etag(stored.revision);
    Ok(([(ETAG, tag)], Json(MaintenanceWindowView::at(now, stored))).into_response())
}
