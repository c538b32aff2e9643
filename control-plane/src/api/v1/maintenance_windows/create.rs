//! `POST /maintenance-windows`.

use super::MaintenanceWindowView;
use crate::api::create::{Begun, Create, CreateRequest};
use crate::api::v1::holds::{MatchersBody, begins};
use crate::api::{Api, Problem, Timestamp, input::JsonBody, input::object};
use crate::auth::Editor;
use crate::limits;
use crate::store::maintenance_windows::{self, StoredWindow};
use axum::extract::State;
use axum::response::Response;
use hyperverge_control_core::notification::hold::Window;
use serde::Deserialize;

/// A maintenance window to make.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewMaintenanceWindow {
    /// What the work is.
    name: String,
    #[serde(deserialize_with = "object")]
    matchers: MatchersBody,
    /// Now, if it is left out or in the past.
    #[serde(default)]
    starts_at: Option<Timestamp>,
    /// The first moment at which it no longer holds.
    ends_at: Timestamp,
}

/// Makes a maintenance window. What waits to be told is judged by it at once.
#[utoipa::path(post, path = "/maintenance-windows", tag = "notification", operation_id = "create_maintenance_window",
    params(("Idempotency-Key" = Option<String>, Header, description = "The same key and body get the same answer for a day")),
    request_body = NewMaintenanceWindow, responses((status = 201, body = MaintenanceWindowView)))]
pub(super) async fn create(
    State(api): State<Api>,
    Editor(caller): Editor,
    request: CreateRequest,
    body: JsonBody,
) -> Result<Response, Problem> {
    let new: NewMaintenanceWindow = body.read()?;
    let mut create = match Create::begin(&api, caller, request, &body.0).await? {
        Begun::Fresh(create) => create,
        Begun::Replayed(response) => return Ok(response),
    };
    let (organisation, now) = (caller.organisation, create.now);
    let window = Window {
        id: crate::clock::new_id(),
        name: new.name,
        matchers: new.matchers.into(),
        starts_at: begins(new.starts_at, now),
        ends_at: new.ends_at.0,
    };
    let problems = window.check(now);
    if !problems.is_empty() {
        return Err(Problem::invalid(problems));
    }
    if maintenance_windows::count(&mut create.tx, organisation, now).await?
        >= limits::MAINTENANCE_WINDOWS
    {
        let limit = limits::MAINTENANCE_WINDOWS;
        let rule =
            format!("an organisation may have {limit} maintenance windows that are not over");
        return Err(Problem::conflict(rule));
    }
    let stored = StoredWindow { window, revision: 1, created_by: caller.user, created_at: now };
    maintenance_windows::insert(&mut create.tx, organisation, &stored).await?;
    let response = create.finish(&api, &MaintenanceWindowView::at(now, stored)).await?;
    api.shared.wake.correlator.notify_one();
    Ok(response)
}
