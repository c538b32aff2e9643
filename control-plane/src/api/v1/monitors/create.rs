//! `POST /monitors`.

use super::{MonitorView, name_taken, read_spec, references, wake};
use crate::api::create::{Begun, Create, CreateRequest};
use crate::api::{Api, Problem, input::JsonBody};
use crate::auth::Editor;
use crate::store::monitors;
use axum::extract::State;
use axum::response::Response;
use hyperverge_protocol::monitor::MonitorSpec;

/// Makes a monitor. A name and a target are enough; the rest has defaults.
#[utoipa::path(post, path = "/monitors", tag = "monitors", operation_id = "create_monitor",
    params(("Idempotency-Key" = Option<String>, Header, description = "The same key and body get the same answer for a day")),
    request_body = MonitorSpec, responses((status = 201, body = MonitorView)))]
pub(super) async fn create(
    State(api): State<Api>,
    Editor(caller): Editor,
    request: CreateRequest,
    body: JsonBody,
) -> Result<Response, Problem> {
    let spec = read_spec(&body.0)?;
    let mut create = match Create::begin(&api, caller, request, &body.0).await? {
        Begun::Fresh(create) => create,
        Begun::Replayed(response) => return Ok(response),
    };
    let organisation = caller.organisation;
    let limit = i64::from(api.shared.settings.limits.monitors);
    if monitors::count(&mut create.tx, organisation).await? >= limit {
        return Err(Problem::conflict(format!("an organisation may have {limit} monitors")));
    }
    references::require(&mut create.tx, organisation, &spec).await?;
    let id = crate::clock::new_id();
    let now = create.now;
    monitors::insert(&mut create.tx, organisation, id, &spec, now).await.map_err(name_taken)?;
    let monitor = monitors::get(&mut create.tx, organisation, id)
        .await?
        .ok_or_else(|| Problem::not_found("monitor"))?;
    let response = create.finish(&api, &MonitorView::from(monitor)).await?;
    wake(&api);
    Ok(response)
}
