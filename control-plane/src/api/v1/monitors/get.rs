//! `GET /monitors/{id}`.

use super::MonitorView;
use crate::api::precondition::etag;
use crate::api::{Api, Problem, input::Id};
use crate::auth::Viewer;
use crate::store::monitors;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::ETAG;

/// One monitor.
#[utoipa::path(get, path = "/monitors/{id}", tag = "monitors", operation_id = "get_monitor",
    params(("id" = Uuid, Path, description = "The monitor")),
    responses((status = 200, body = MonitorView, headers(("ETag" = String, description = "The revision")))))]
pub(super) async fn get(
    State(api): State<Api>,
    Viewer(caller): Viewer,
    Id(id): Id,
) -> Result<Response, Problem> {
    let mut tx = api.shared.store.read().await?;
    let monitor = monitors::get(&mut tx, caller.organisation, id)
        .await?
        .ok_or_else(|| Problem::not_found("monitor"))?;
    let tag = etag(monitor.revision);
    Ok(([(ETAG, tag)], Json(MonitorView::from(monitor))).into_response())
}
