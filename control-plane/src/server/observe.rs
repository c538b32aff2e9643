//! Around every request: an id, a log line, two metrics, and an answer even if
//! the handler panics.
//!
//! The id comes from `X-Request-Id` where a proxy made one, and goes back in the
//! answer and into every log line of the request. Paths are not labels of
//! metrics, since anybody can invent paths.

use crate::clock;
use crate::shared::Shared;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use tracing::Instrument;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const REQUEST_ID_BYTES: usize = 64;

/// Puts the layer around `router`.
pub(super) fn around(router: Router, shared: &Arc<Shared>) -> Router {
    router.layer(middleware::from_fn_with_state(shared.clone(), observe))
}

async fn observe(State(shared): State<Arc<Shared>>, mut request: Request, next: Next) -> Response {
    let began = clock::monotonic();
    let id = request_id(&request);
    request.headers_mut().insert(REQUEST_ID, id.clone());
    let span = tracing::info_span!("request",
        request_id = id.to_str().unwrap_or_default(),
        method = %request.method(),
        path = request.uri().path(),
    );
    let answer = AssertUnwindSafe(next.run(request)).catch_unwind().instrument(span.clone()).await;
    let mut response = answer.unwrap_or_else(|_| internal_error(&id));
    let status = response.status();
    let took = began.elapsed();
    shared.metrics.http_requests_total.with_label_values(&[status.as_str()]).inc();
    shared.metrics.http_request_duration_seconds.observe(took.as_secs_f64());
    span.in_scope(|| {
        let status = status.as_u16();
        let ms = took.as_millis() as u64;
        match status >= 500 {
            true => tracing::warn!(status, ms, "answered"),
            false => tracing::debug!(status, ms, "answered"),
        }
    });
    response.headers_mut().insert(REQUEST_ID, id);
    response
}

/// The caller's id if it is a plain word, else a new one.
fn request_id(request: &Request) -> HeaderValue {
    let given = request.headers().get(&REQUEST_ID).filter(|value| {
        let bytes = value.as_bytes();
        !bytes.is_empty()
            && bytes.len() <= REQUEST_ID_BYTES
            && bytes.iter().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(b))
    });
    given.cloned().unwrap_or_else(|| {
        HeaderValue::try_from(clock::new_id().to_string()).expect("a UUID is a header value")
    })
}

/// The panic itself was logged by the hook; the caller gets the id to quote.
fn internal_error(id: &HeaderValue) -> Response {
    let id = id.to_str().unwrap_or_default();
    let body = serde_json::json!({
        "type": "about:blank",
        "title": "Internal Server Error",
        "status": 500,
        "detail": format!("The request failed; quote request id {id}."),
    });
    let kind = [(header::CONTENT_TYPE, "application/problem+json")];
    (StatusCode::INTERNAL_SERVER_ERROR, kind, body.to_string()).into_response()
}
