//! Regions: where agents watch from.

mod create;
mod list;
mod retire;

use crate::api::{Api, Timestamp};
use crate::store::regions::Region;
use serde::Serialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

/// The rule of a region's name.
pub(super) const NAME_RULE: &str =
    "must be 1 to 63 of a-z, 0-9 and hyphens, neither beginning nor ending with a hyphen";

pub(super) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::default()
        .routes(routes!(list::list, create::create))
        .routes(routes!(retire::retire))
}

/// A region.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Region)]
struct RegionView {
    id: Uuid,
    name: String,
    created_at: Timestamp,
    /// When its first agent enrolled; monitors of every region run in it from then on.
    first_agent_at: Option<Timestamp>,
    /// Agents that are not revoked.
    agents: i64,
}

impl From<Region> for RegionView {
    fn from(region: Region) -> Self {
        Self {
            id: region.id,
            name: region.name,
            created_at: Timestamp(region.created_at),
            first_agent_at: region.first_agent_at.map(Timestamp),
            agents: region.agents,
        }
    }
}
