//! Enrolment tokens: how agents come in.

mod create;
mod delete;
mod list;

use crate::api::Api;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::default()
        .routes(routes!(list::list, create::create))
        .routes(routes!(delete::delete))
}
