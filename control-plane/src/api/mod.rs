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
    let api = Api::new(shared);
    let body_bytes = api.shared.settings.limits.body_bytes as usize;
    let (routes, _) = v1::routes().split_for_parts();
    let routes = routes.merge(crate::page::router());
    let given_up = StatusCode::SERVICE_UNAVAILABLE;
    routes
        .fallback(|| async { StatusCode::NOT_FOUND })
        .layer(DefaultBodyLimit::max(body_bytes))
        .layer(TimeoutLayer::with_status_code(given_up, limits::REQUEST))
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
