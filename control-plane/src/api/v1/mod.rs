//! Version 1 of the API: a folder for each resource.

mod agents;
mod auth;
mod backtests;
mod channels;
mod dead_letters;
mod enrollment_tokens;
mod explain;
mod groups;
mod holds;
mod incidents;
mod maintenance_windows;
mod monitors;
mod openapi;
mod regions;
mod routes;
mod silences;

use super::Api;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Every route, under its path.
pub(super) fn routes() -> OpenApiRouter<Api> {
    let v1 = OpenApiRouter::default()
        .merge(auth::router())
        .merge(monitors::router())
        .merge(monitors::overview_router())
        .merge(incidents::router())
        .merge(groups::router())
        .merge(backtests::router())
        .merge(explain::router())
        .merge(regions::router())
        .merge(agents::router())
        .merge(enrollment_tokens::router())
        .merge(channels::router())
        .merge(dead_letters::router())
        .merge(routes::router())
        .merge(silences::router())
        .merge(maintenance_windows::router())
        .routes(routes!(openapi::document));
    // The paths the original system had; documented once, under the prefix.
    let (original, _) = auth::router().merge(monitors::router()).split_for_parts();
    OpenApiRouter::default().nest("/api/v1", v1).merge(original.into())
}
