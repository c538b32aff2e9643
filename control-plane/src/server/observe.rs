//! Counts the requests that the API's own outermost layer does not see: health
//! and metrics. Paths are not labels, since anybody can invent paths.

use crate::clock;
use crate::shared::Shared;
use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::Response;
use std::sync::Arc;

/// Puts the layer around `router`.
pub(super) fn around(router: Router, shared: &Arc<Shared>) -> Router {
    router.layer(middleware::from_fn_with_state(shared.clone(), count))
}

async fn count(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let began = clock::monotonic();
    let response = next.run(request).await;
    let metrics = &shared.metrics;
    metrics.http_requests_total.with_label_values(&[response.status().as_str()]).inc();
    metrics.http_request_duration_seconds.observe(began.elapsed().as_secs_f64());
    response
}
