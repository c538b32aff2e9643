//! What happens around every request: id, headers, problems, metrics, log.

use super::page::NextCursor;
use super::{Api, Problem};
use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, LINK};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use tracing::Instrument;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const REQUEST_ID_BYTES: usize = 64;

const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; \
    form-action 'self'";
const SECURITY_HEADERS: [(&str, &str); 7] = [
    ("content-security-policy", CONTENT_SECURITY_POLICY),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("permissions-policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
];
/// Two years; only where browsers already reached us over TLS.
const HSTS: (&str, &str) = ("strict-transport-security", "max-age=63072000; includeSubDomains");

/// The outermost layer.
pub(super) async fn exchange(State(api): State<Api>, request: Request, next: Next) -> Response {
    let started = crate::clock::monotonic();
    let id = request_id(request.headers());
    let method = request.method().clone();
    let uri = request.uri().clone();
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("unmatched", MatchedPath::as_str)
        .to_owned();
    let span = tracing::info_span!("request", request_id = %id, %method, route);
    async {
        let mut response = match cross_site(&request) {
            true => Problem::forbidden("a page of another site may not do this").into_response(),
            false => next.run(request).await,
        };
        response = write_problem(response, &id, method == Method::HEAD);
        add_headers(response.headers_mut(), &id, api.is_https());
        if let Some(next) = response.extensions_mut().remove::<NextCursor>()
            && let Some(link) = next.link(&uri)
        {
            response.headers_mut().insert(LINK, link);
        }
        let took = started.elapsed();
        let metrics = &api.shared.metrics;
        metrics.http_requests_total.with_label_values(&[response.status().as_str()]).inc();
        metrics.http_request_duration_seconds.observe(took.as_secs_f64());
        let status = response.status().as_u16();
        tracing::debug!(status, took_ms = took.as_secs_f64() * 1e3, "answered");
        response
    }
    .instrument(span)
    .await
}

/// The client's own id, if it is a plain word, so that its log and ours can be joined.
fn request_id(headers: &HeaderMap) -> String {
    let plain = |id: &&str| {
        (1..=REQUEST_ID_BYTES).contains(&id.len())
            && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
    };
    let given = headers.get(REQUEST_ID).and_then(|value| value.to_str().ok()).filter(plain);
    given.map_or_else(|| crate::clock::new_id().to_string(), str::to_owned)
}

/// Whether a browser says that another site's page made this unsafe request.
/// No cookie would go with it and so nothing is granted by it; this is the
/// second fence.
fn cross_site(request: &Request) -> bool {
    let safe = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    let site = request.headers().get("sec-fetch-site").and_then(|value| value.to_str().ok());
    !safe && matches!(site, Some("cross-site" | "same-site"))
}

/// Gives every error the one form, whoever answered it, and logs what failed inside.
fn write_problem(mut response: Response, id: &str, head: bool) -> Response {
    let status = response.status();
    let problem = match response.extensions_mut().remove::<Problem>() {
        Some(problem) => problem,
        None if status.is_client_error() || status.is_server_error() => {
            Problem::from_status(status)
        }
        None => return response,
    };
    match (status, problem.causes()) {
        (StatusCode::INTERNAL_SERVER_ERROR, causes) => {
            tracing::error!(error = causes.unwrap_or_default(), "a request failed on our side");
        }
        (_, Some(causes)) => tracing::warn!(error = causes, "a request could not be served"),
        (_, None) => {}
    }
    let (mut parts, _) = response.into_parts();
    parts.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    parts.headers.remove(CONTENT_LENGTH);
    let body = match serde_json::to_vec(&problem.body(id)) {
        Ok(json) if !head => Body::from(json),
        Ok(_) | Err(_) => Body::empty(),
    };
    Response::from_parts(parts, body)
}

fn add_headers(headers: &mut HeaderMap, id: &str, https: bool) {
    for (name, value) in SECURITY_HEADERS.into_iter().chain(https.then_some(HSTS)) {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    if let Ok(value) = HeaderValue::from_str(id) {
        headers.insert(REQUEST_ID, value);
    }
}
