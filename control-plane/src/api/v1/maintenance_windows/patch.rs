//! `PATCH /maintenance-windows/{id}`.

use super::MaintenanceWindowView;
use crate::api::precondition::{IfMatch, etag};
use crate::api::v1::holds::require_not_over;
use crate::api::{Api, Problem, Timestamp, input::Id, input::JsonBody};
use crate::auth::Editor;
use crate::store::maintenance_windows;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::ETAG;
use serde::Deserialize;

/// What is changed; what is left out stays. What it holds does not change: make
/// another one for that.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct MaintenanceWindowChange {
    /// In the future; `DELETE` ends it now.
    ends_at: Option<Timestamp>,
    name: Option<String>,
}

/// Moves the end of a maintenance window that is not over.
#[utoipa::path(patch, path = "/maintenance-windows/{id}", tag = "notification", operation_id = "change_maintenance_window",
    params(("id" = Uuid, Path, description = "The maintenance window"),
        ("If-Match" = Option<String>, Header, description = "The ETag it was read with; 412 when it has changed since")),
    request_body = MaintenanceWindowChange,
    responses((status = 200, body = MaintenanceWindowView), (status = 409, description = "It is over")))]
pub(super) async fn patch(
    State(api): State<Api>,
    Editor(caller): Editor,
    Id(id): Id,
    preconditions: IfMatch,
    body: JsonBody,
) -> Result<Response, Problem> {
    let change: MaintenanceWindowChange = body.read()?;
    let organisation = caller.organisation;
    let mut tx = api.shared.store.begin().await?;
    let mut stored = maintenance_windows::lock(&mut tx, organisation, id)
        .await?
        .ok_or_else(|| Problem::not_found("maintenance window"))?;
    preconditions.require(stored.revision)?;
    let now = tx.now().await?;
    require_not_over(stored.window.ends_at, now)?;
    if let Some(ends_at) = change.ends_at {
        stored.window.ends_at = ends_at.0;
    }
    if let Some(name) = change.name {
        stored.window.name = name;
    }
    let problems = stored.window.check(now);
    if !problems.is_empty() {
        return Err(Problem::invalid(problems));
    }
    stored.revision += 1;
    maintenance_windows::update(&mut tx, organisation, &stored).await?;
    tx.commit().await?;
    api.shared.wake.correlator.notify_one();
    let tag = etag(stored.revision);
    Ok(([(ETAG, tag)], Json(MaintenanceWindowView::at(now, stored))).into_response())
}
