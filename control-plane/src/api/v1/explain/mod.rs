//! Why it was decided so: for an incident, and for any time of a monitor.

mod bursts;
mod group;
mod incident;
mod monitor;
mod told;
mod views;

use crate::api::Api;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::default().routes(routes!(incident::explain)).routes(routes!(monitor::explain))
}
