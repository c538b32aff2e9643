//! `PUT /monitors/{id}`: a whole new specification.

use super::{MonitorView, name_taken, read_spec, references, wake};
use crate::api::precondition::{IfMatch, etag};
use crate::api::{Api, Problem, input::Id, input::JsonBody};
use crate::auth::{Caller, Editor};
use crate::store::monitors;
use crate::verdicts;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::ETAG;
use hyperverge_control_core::incident::Ending;
use hyperverge_protocol::monitor::MonitorSpec;
use uuid::Uuid;

/// Replaces the specification; fields it leaves out take their defaults.
#[utoipa::path(put, path = "/monitors/{id}", tag = "monitors", operation_id = "replace_monitor",
    params(("id" = Uuid, Path, description = "The monitor"),
        ("If-Match" = Option<String>, Header, description = "The ETag it was read with; 412 when it has changed since")),
    request_body = MonitorSpec,
    responses((status = 200, body = MonitorView)))]
pub(super) async fn put(
    State(api): State<Api>,
    Editor(caller): Editor,
    Id(id): Id,
    preconditions: IfMatch,
    body: JsonBody,
) -> Result<Response, Problem> {
    let spec = read_spec(&body.0)?;
    replace(&api, caller, id, &preconditions, |_| Ok(spec)).await
}

/// Gives a monitor the specification that `change` makes of the present one.
/// What changes nothing makes no revision.
pub(super) async fn replace(
    api: &Api,
    caller: Caller,
    id: Uuid,
    preconditions: &IfMatch,
    change: impl FnOnce(&MonitorSpec) -> Result<MonitorSpec, Problem>,
) -> Result<Response, Problem> {
    let organisation = caller.organisation;
    let mut tx = api.shared.store.begin().await?;
    let mut monitor = monitors::lock(&mut tx, organisation, id)
        .await?
        .ok_or_else(|| Problem::not_found("monitor"))?;
    preconditions.require(monitor.revision)?;
    let spec = change(&monitor.spec)?;
    if spec != monitor.spec {
        if spec.name != monitor.spec.name {
            let why = references::dependents(&mut tx, organisation, &monitor.spec.name).await?;
            why.map_or(Ok(()), |why| Err(Problem::taken("name", why)))?;
        }
        references::require(&mut tx, organisation, &spec).await?;
        let now = tx.now().await?;
        if let Some(ending) = Ending::of(&monitor.spec, &spec) {
            verdicts::end(&mut tx, organisation, id, &monitor.spec, ending, now).await?;
        }
        monitor.revision += 1;
        monitors::replace(&mut tx, organisation, id, monitor.revision, &spec, now)
            .await
            .map_err(name_taken)?;
        monitor = monitors::get(&mut tx, organisation, id)
            .await?
            .ok_or_else(|| Problem::not_found("monitor"))?;
        tx.commit().await?;
        wake(api);
    }
    let tag = etag(monitor.revision);
    Ok(([(ETAG, tag)], Json(MonitorView::from(monitor))).into_response())
}
