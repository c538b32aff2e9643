//! Version 1 of the API: a folder for each resource.

mod auth;

use super::Api;
use utoipa_axum::router::OpenApiRouter;

/// Every route, under its path.
pub(super) fn routes() -> OpenApiRouter<Api> {
    let v1 = OpenApiRouter::default().merge(auth::router());
    // The paths the original system had; documented once, under the prefix.
    let (original, _) = auth::router().split_for_parts();
    OpenApiRouter::default().nest("/api/v1", v1).merge(original.into())
}
