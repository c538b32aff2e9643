//! Monitors: what is watched.

mod create;
mod delete;
mod get;
mod list;
mod overview;
mod patch;
mod put;
mod references;
mod regions;
mod results;
mod seats;

use crate::api::{Api, Problem, Timestamp};
use crate::store::StoreError;
use crate::store::monitors::Monitor;
use hyperverge_protocol::monitor::MonitorSpec;
use hyperverge_protocol::problem::FieldProblem;
use serde::Serialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

pub(super) use patch::merge;
pub(super) use results::outcome_word;

pub(super) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::default()
        .routes(routes!(list::list, create::create))
        .routes(routes!(get::get, put::put, patch::patch, delete::delete))
        .routes(routes!(regions::regions))
        .routes(routes!(results::results))
}

/// What the original system had no path for.
pub(super) fn overview_router() -> OpenApiRouter<Api> {
    OpenApiRouter::default().routes(routes!(overview::overview))
}

/// A monitor: its specification, and how it stands.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Monitor)]
struct MonitorView {
    id: Uuid,
    #[serde(flatten)]
    spec: MonitorSpec,
    /// 1 upward; also the `ETag`.
    revision: i64,
    created_at: Timestamp,
    updated_at: Timestamp,
    state: MonitorStateView,
}

/// How a monitor stands.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = MonitorState)]
struct MonitorStateView {
    /// `up`, `degraded`, `down`, or `unknown` while nobody can tell.
    verdict: String,
    /// `local`, `regional` or `global`; null while nothing hurts.
    scope: Option<String>,
}

impl From<Monitor> for MonitorView {
    fn from(monitor: Monitor) -> Self {
        Self {
            id: monitor.id,
            spec: monitor.spec,
            revision: monitor.revision,
            created_at: Timestamp(monitor.created_at),
            updated_at: Timestamp(monitor.updated_at),
            state: MonitorStateView { verdict: monitor.verdict, scope: monitor.scope },
        }
    }
}

/// Reads a specification; what is no object of that shape at all is malformed,
/// a field that breaks a rule is named.
pub(super) fn read_spec(json: &[u8]) -> Result<MonitorSpec, Problem> {
    MonitorSpec::from_json(json).map_err(|problems| match problems.as_slice() {
        [FieldProblem { field, rule }] if field.is_empty() => {
            Problem::malformed(format!("the body {rule}"))
        }
        _ => Problem::invalid(problems),
    })
}

/// Names the field behind a unique key.
fn name_taken(error: StoreError) -> Problem {
    match error {
        StoreError::Conflict => Problem::taken("name", "is the name of another monitor"),
        other => other.into(),
    }
}

/// Wakes whoever acts on monitors; after the commit.
fn wake(api: &Api) {
    api.shared.wake.planner.notify_one();
    api.shared.wake.correlator.notify_one();
}
