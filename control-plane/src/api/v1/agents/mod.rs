//! Agents: who watches. They come by enrolment, not by this API.

mod get;
mod list;
mod revoke;

use crate::api::{Api, Timestamp};
use crate::store::agents::Agent;
use serde::Serialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::default()
        .routes(routes!(list::list))
        .routes(routes!(get::get))
        .routes(routes!(revoke::revoke))
}

/// An agent.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Agent)]
struct AgentView {
    /// The fingerprint of its key, 64 hexadecimal digits.
    id: String,
    region: String,
    /// `enrolled`, `quarantined` (it contradicted itself) or `revoked`.
    state: &'static str,
    /// Why it is not enrolled.
    state_reason: Option<String>,
    host_name: String,
    version: String,
    capabilities: Vec<String>,
    enrolled_at: Timestamp,
    last_heartbeat_at: Option<Timestamp>,
    /// Set while it is considered lost.
    lost_at: Option<Timestamp>,
    /// Its wall clock minus the control plane's, ms; its results are dated without it.
    wall_skew_ms: Option<i64>,
    /// All its slots up to here are known.
    complete_through: Option<Timestamp>,
}

impl From<Agent> for AgentView {
    fn from(agent: Agent) -> Self {
        Self {
            id: agent.id,
            region: agent.region,
            state: agent.state.as_str(),
            state_reason: agent.state_reason,
            host_name: agent.host_name,
            version: agent.version,
            capabilities: agent.capabilities,
            enrolled_at: Timestamp(agent.enrolled_at),
            last_heartbeat_at: agent.last_heartbeat_at.map(Timestamp),
            lost_at: agent.lost_at.map(Timestamp),
            wall_skew_ms: agent.wall_skew_ms,
            complete_through: agent.complete_through.map(Timestamp),
        }
    }
}
