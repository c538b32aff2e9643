//! Routes: who hears of what, besides the channels that a monitor names.

mod create;
mod delete;
mod get;
mod list;
mod patch;
mod put;
mod test;

use crate::api::{Api, Problem, Timestamp, input::object};
use crate::store::routes::StoredRoute;
use crate::store::{StoreError, Tx, channels};
use hyperverge_control_core::correlation::Scope;
use hyperverge_control_core::incident::{Severity, SubjectKind};
use hyperverge_control_core::notification::Labels;
use hyperverge_control_core::notification::route::{Match, Route};
use hyperverge_protocol::problem::FieldProblem;
use serde::{Deserialize, Serialize};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

pub(super) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::default()
        .routes(routes!(list::list, create::create))
        .routes(routes!(test::test))
        .routes(routes!(get::get, put::put, patch::patch, delete::delete))
}

/// What a route takes; all of it must hold.
#[derive(Serialize, Deserialize, Default, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(as = RouteMatch)]
struct MatchBody {
    /// All of these, exactly; the value `*` is any.
    #[schema(example = json!({ "team": "payments" }))]
    labels: Labels,
    /// `critical`, `warning`, `info`; empty: every severity.
    #[schema(value_type = Vec<String>)]
    severity: Vec<Severity>,
    /// `local`, `regional`, `global`; empty: regional and global, of what is down.
    #[schema(value_type = Vec<String>)]
    scope: Vec<Scope>,
    /// `monitor`, `agent`, `region`; empty: monitors.
    #[schema(value_type = Vec<String>)]
    subject: Vec<SubjectKind>,
}

/// A route to make.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewRoute)]
struct RouteBody {
    /// Slug: `a-z 0-9 -`, at most 63.
    #[schema(example = "payments")]
    name: String,
    #[serde(rename = "match", default, deserialize_with = "object")]
    matches: MatchBody,
    /// Channels by name.
    #[schema(example = json!(["payments-oncall"]))]
    channels: Vec<String>,
}

/// A route. Who is told of an incident are the channels its monitor names and
/// those of every route that matches; if that is nobody, the default channels. What
/// is of scope `local`, or about an agent or a region, goes only to routes that name
/// that scope or that subject.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Route)]
struct RouteView {
    id: Uuid,
    name: String,
    #[serde(rename = "match")]
    matches: MatchBody,
    channels: Vec<String>,
    /// 1 upward; also the `ETag`.
    revision: i64,
    created_at: Timestamp,
    updated_at: Timestamp,
}

impl From<MatchBody> for Match {
    fn from(body: MatchBody) -> Self {
        let MatchBody { labels, severity, scope, subject } = body;
        Self { labels, severity, scope, subject }
    }
}

impl From<Match> for MatchBody {
    fn from(matches: Match) -> Self {
        let Match { labels, severity, scope, subject } = matches;
        Self { labels, severity, scope, subject }
    }
}

impl From<RouteBody> for Route {
    fn from(body: RouteBody) -> Self {
        Self { name: body.name, matches: body.matches.into(), channels: body.channels }
    }
}

impl From<StoredRoute> for RouteView {
    fn from(stored: StoredRoute) -> Self {
        Self {
            id: stored.id,
            name: stored.route.name,
            matches: stored.route.matches.into(),
            channels: stored.route.channels,
            revision: stored.revision,
            created_at: Timestamp(stored.created_at),
            updated_at: Timestamp(stored.updated_at),
        }
    }
}

/// Refuses a route that breaks a rule or names a channel that is not there, which
/// then stays there until the commit.
async fn require(tx: &mut Tx, organisation: Uuid, route: &Route) -> Result<(), Problem> {
    let mut problems = route.check();
    if problems.is_empty() {
        for index in channels::lock_names(tx, organisation, &route.channels).await? {
            let rule = format!("names a channel that does not exist: {}", route.channels[index]);
            problems.push(FieldProblem::new(format!("channels[{index}]"), rule));
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(Problem::invalid(problems)) }
}

/// Names the field behind a unique key.
fn name_taken(error: StoreError) -> Problem {
    match error {
        StoreError::Conflict => Problem::taken("name", "is the name of another route"),
        other => other.into(),
    }
}
