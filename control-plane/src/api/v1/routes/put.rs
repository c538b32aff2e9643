//! `PUT /routes/{id}`: a whole new route.

use super::{RouteBody, RouteView, name_taken, require};
use crate::api::precondition::{IfMatch, etag};
use crate::api::{Api, Problem, input::Id, input::JsonBody};
use crate::auth::{Caller, Editor};
use crate::store::routes;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::ETAG;
use hyperverge_control_core::notification::route::Route;
use uuid::Uuid;

/// Replaces a route; what is left out is empty.
#[utoipa::path(put, path = "/routes/{id}", tag = "notification", operation_id = "replace_route",
    params(("id" = Uuid, Path, description = "The route"),
        ("If-Match" = Option<String>, Header, description = "The ETag it was read with; 412 when it has changed since")),
    request_body = RouteBody, responses((status = 200, body = RouteView)))]
pub(super) async fn put(
    State(api): State<Api>,
    Editor(caller): Editor,
    Id(id): Id,
    preconditions: IfMatch,
    body: JsonBody,
) -> Result<Response, Problem> {
    let route: Route = body.read::<RouteBody>()?.into();
    replace(&api, caller, id, &preconditions, |_| route).await
}

/// Makes the route what `change` makes of the present one. What changes nothing
/// makes no revision.
pub(super) async fn replace(
    api: &Api,
    caller: Caller,
    id: Uuid,
    preconditions: &IfMatch,
    change: impl FnOnce(&Route) -> Route,
) -> Result<Response, Problem> {
    let organisation = caller.organisation;
    let mut tx = api.shared.store.begin().await?;
    let mut stored = routes::lock(&mut tx, organisation, id)
        .await?
        .ok_or_else(|| Problem::not_found("route"))?;
    preconditions.require(stored.revision)?;
    let route = change(&stored.route);
    if route != stored.route {
        require(&mut tx, organisation, &route).await?;
        stored.route = route;
        stored.revision += 1;
        stored.updated_at = tx.now().await?;
        routes::update(&mut tx, organisation, &stored).await.map_err(name_taken)?;
        tx.commit().await?;
        api.shared.wake.correlator.notify_one();
    }
    let tag = etag(stored.revision);
    Ok(([(ETAG, tag)], Json(RouteView::from(stored))).into_response())
}
