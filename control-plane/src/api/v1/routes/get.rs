//! `GET /routes/{id}`.

use super::RouteView;
use crate::api::precondition::etag;
use crate::api::{Api, Problem, input::Id};
use crate::auth::Viewer;
use crate::store::routes;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::ETAG;

/// One route.
#[utoipa::path(get, path = "/routes/{id}", tag = "notification", operation_id = "get_route",
    params(("id" = Uuid, Path, description = "The route")),
    responses((status = 200, body = RouteView, headers(("ETag" = String, description = "The revision")))))]
pub(super) async fn get(
    State(api): State<Api>,
    Viewer(caller): Viewer,
    Id(id): Id,
) -> Result<Response, Problem> {
    let mut tx = api.shared.store.read().await?;
    let stored = routes::get(&mut tx, caller.organisation, id)
        .await?
        .ok_or_else(|| Problem::not_found("route"))?;
    let tag = etag(stored.revision);
    Ok(([(ETAG, tag)], Json(RouteView::from(stored))).into_response())
}
