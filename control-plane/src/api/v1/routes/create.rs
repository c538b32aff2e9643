//! `POST /routes`.

use super::{RouteBody, RouteView, name_taken, require};
use crate::api::create::{Begun, Create, CreateRequest};
use crate::api::{Api, Problem, input::JsonBody};
use crate::auth::Editor;
use crate::limits;
use crate::store::routes::{self, StoredRoute};
use axum::extract::State;
use axum::response::Response;
use hyperverge_control_core::notification::route::Route;

/// Makes a route. What waits to be told is judged by it at once.
#[utoipa::path(post, path = "/routes", tag = "notification", operation_id = "create_route",
    params(("Idempotency-Key" = Option<String>, Header, description = "The same key and body get the same answer for a day")),
    request_body = RouteBody, responses((status = 201, body = RouteView)))]
pub(super) async fn create(
    State(api): State<Api>,
    Editor(caller): Editor,
    request: CreateRequest,
    body: JsonBody,
) -> Result<Response, Problem> {
    let route: Route = body.read::<RouteBody>()?.into();
    let mut create = match Create::begin(&api, caller, request, &body.0).await? {
        Begun::Fresh(create) => create,
        Begun::Replayed(response) => return Ok(response),
    };
    let organisation = caller.organisation;
    require(&mut create.tx, organisation, &route).await?;
    if routes::count(&mut create.tx, organisation).await? >= limits::ROUTES {
        let limit = limits::ROUTES;
        return Err(Problem::conflict(format!("an organisation may have {limit} routes")));
    }
    let now = create.now;
    let id = crate::clock::new_id();
    let stored = StoredRoute { id, route, revision: 1, created_at: now, updated_at: now };
    routes::insert(&mut create.tx, organisation, &stored).await.map_err(name_taken)?;
    let response = create.finish(&api, &RouteView::from(stored)).await?;
    api.shared.wake.correlator.notify_one();
    Ok(response)
}
