//! The tcp listener: REST and console where this process is `api`; health and
//! metrics in every process.
//!
//! `server/listen.rs` owns connections (TLS, time limits, shutdown),
//! `server/health.rs` the probes. Everything else is in `crate::api`.

mod health;
mod listen;
mod observe;
mod probe;
mod tls;

pub use health::Readiness;
pub use listen::serve;
pub use probe::{ProbeError, probe};
pub use tls::{TlsError, acceptor};

use crate::api;
use crate::roles::{Role, Roles};
use crate::shared::Shared;
use axum::Router;
use axum::routing::get;
use std::sync::Arc;

/// Everything this process answers on its tcp listener.
pub fn router(shared: &Arc<Shared>, roles: &Roles, readiness: Arc<Readiness>) -> Router {
    let operations = Router::new()
        .route("/health", get(health::alive))
        .route("/live", get(health::alive))
        .route("/ready", get(health::ready))
        .route("/metrics", get(health::metrics))
        .with_state(health::Health { shared: shared.clone(), readiness });
    let operations = observe::around(operations, shared);
    match roles.has(Role::Api) {
        true => operations.merge(api::router(shared.clone())),
        false => operations,
    }
}
