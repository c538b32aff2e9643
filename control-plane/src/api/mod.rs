//! The REST API, and the page at `/`.
//!
//! One endpoint is one file under `v1/<resource>/`: its path and documentation
//! (`#[utoipa::path]`), its input, its handler. From the same attributes comes
//! the OpenAPI document, which is committed as `docs/openapi.json`.
//!
//! To add an endpoint: a file in its resource's folder, a line in that folder's
//! `router()`, a row in the matrix of `tests/api/tenancy.rs` (which fails without
//! one), and `hyperverge-control-plane openapi > docs/openapi.json`. A handler takes
//! who may call it from [`crate::auth`], and the rest from here:
//!
//! | module | gives |
//! |---|---|
//! | [`input`] | JSON body, id in the path, query parameters, client address |
//! | [`page`] | keyset pages |
//! | [`precondition`] | `ETag` and `If-Match` |
//! | [`create`] | creates with `Idempotency-Key` |
//! | [`problem`] | every error's answer |
//! | [`timestamp`] | times as clients see them |

pub mod create;
mod documentation;
mod exchange;
pub mod input;
pub mod page;
pub mod precondition;
pub mod problem;
pub mod timestamp;
mod v1;

pub use documentation::{openapi, openapi_text};
pub use problem::Problem;
pub use timestamp::Timestamp;

use crate::auth::access::AccessTokens;
use crate::auth::password::Passwords;
use crate::auth::throttle::Throttle;
use crate::limits;
use crate::shared::Shared;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use std::any::Any;
use std::sync::Arc;
use std::time::Duration;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::timeout::TimeoutLayer;

/// What every handler can reach.
#[derive(Debug, Clone)]
pub struct Api {
    pub shared: Arc<Shared>,
    pub(crate) access: Arc<AccessTokens>,
    pub(crate) passwords: Arc<Passwords>,
    pub(crate) throttle: Arc<Throttle>,
}

impl Api {
    fn new(shared: Arc<Shared>) -> Self {
        let access = AccessTokens::new(shared.keys.session());
        Self {
            shared,
            access: Arc::new(access),
            passwords: Arc::default(),
            throttle: Arc::default(),
        }
    }

    fn is_https(&self) -> bool {
        self.shared.settings.server.public_url.starts_with("https://")
    }
}

/// Everything this process answers over HTTP besides health and metrics. It
/// wants `into_make_service_with_connect_info::<SocketAddr>()`, so that sign-ins
/// can be throttled by network.
pub fn router(shared: Arc<Shared>) -> Router {
    let (routes, _) = v1::routes().split_for_parts();
    layered(Api::new(shared), routes.merge(crate::page::router()), limits::REQUEST)
}

/// What is around every route, from the inside out; a request may take `longest`.
fn layered(api: Api, routes: Router<Api>, longest: Duration) -> Router {
    let body_bytes = api.shared.settings.limits.body_bytes as usize;
    let given_up = StatusCode::SERVICE_UNAVAILABLE;
    routes
        .fallback(|| async { StatusCode::NOT_FOUND })
        .layer(DefaultBodyLimit::max(body_bytes))
        .layer(TimeoutLayer::with_status_code(given_up, longest))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn_with_state(api.clone(), exchange::exchange))
        .with_state(api)
}

/// What a handler panicked with.
#[derive(Debug, thiserror::Error)]
#[error("a handler panicked: {0}")]
struct Panicked(String);

fn panicked(payload: Box<dyn Any + Send + 'static>) -> Response {
    let text = payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_default();
    Problem::internal(Panicked(text)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::Keys;
    use crate::settings::Settings;
    use crate::store::Store;
    use axum::body::Body;
    use axum::routing::get;
    use http::Request;
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    /// The answer of `routes` under the layers, as status, headers and text.
    async fn answer(
        public_url: &str,
        routes: Router<Api>,
    ) -> (StatusCode, http::HeaderMap, String) {
        let dir = tempfile::tempdir().expect("a folder");
        let url = format!("sqlite://{}", dir.path().join("api.db").display());
        let store = Store::open(&url).await.expect("a database");
        let mut settings = Settings::default();
        settings.server.public_url = public_url.to_owned();
        let shared = Shared::new(store, Keys::generate(&mut crate::clock::rng()), settings);
        let longest = Duration::from_millis(200);
        let router = layered(Api::new(Arc::new(shared)), routes, longest);
        let request = Request::get("/").body(Body::empty()).expect("a request");
        let response = router.oneshot(request).await.expect("infallible");
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.expect("a body").to_bytes();
        (parts.status, parts.headers, String::from_utf8_lossy(&bytes).into_owned())
    }

    fn panicking() -> StatusCode {
        panic!("the secret is hunter2")
    }

    #[tokio::test]
    async fn a_panic_is_a_problem_that_tells_nothing() {
        let routes = Router::new().route("/", get(async || panicking()));
        let (status, headers, text) = answer("http://a.example", routes).await;
        assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(headers["content-type"], "application/problem+json");
        assert!(text.contains("urn:hyperverge:problem:internal") && !text.contains("hunter2"));
    }

    #[tokio::test]
    async fn a_request_that_hangs_is_given_up() {
        let routes = Router::new().route("/", get(std::future::pending::<StatusCode>));
        let (status, _, text) = answer("http://a.example", routes).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(text.contains("took too long"), "{text}");
    }

    #[tokio::test]
    async fn browsers_are_held_to_tls_where_the_public_url_is() {
        let routes = || Router::new().route("/", get(async || "hello"));
        let (_, headers, _) = answer("https://a.example", routes()).await;
        assert!(headers.contains_key("strict-transport-security"));
        let (_, headers, _) = answer("http://a.example", routes()).await;
        assert!(!headers.contains_key("strict-transport-security"));
    }
}
