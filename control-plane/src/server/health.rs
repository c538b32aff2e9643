//! `/health`, `/live`: the process answers. `/ready`: it can do its work, which
//! means that the database takes a write. `/metrics`: the catalogue.
//!
//! The write probe is a real one, because a full disk or a standby answers reads
//! for ever. Its result is kept for a second, so that nobody can make the
//! database work by asking often.

use crate::clock;
use crate::limits::READY_PROBE;
use crate::params;
use crate::roles::Roles;
use crate::shared::Shared;
use crate::store::{Store, StoreError};
use crate::telemetry;
use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::Mutex;
use uuid::Uuid;

const PROBE_KEPT: Duration = Duration::from_secs(1);

/// Whether this process should be sent work.
#[derive(Debug)]
pub struct Readiness {
    roles: Vec<&'static str>,
    stopping: AtomicBool,
    last: Mutex<Option<(Instant, bool)>>,
}

impl Readiness {
    /// Ready as soon as the database is.
    pub fn new(roles: &Roles) -> Self {
        Self { roles: roles.words(), stopping: AtomicBool::new(false), last: Mutex::new(None) }
    }

    /// From here on `/ready` says no, so that a balancer looks elsewhere.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    async fn database(&self, store: &Store) -> bool {
        let mut last = self.last.lock().await;
        if let Some((at, writable)) = *last
            && at.elapsed() < PROBE_KEPT
        {
            return writable;
        }
        let writable = match tokio::time::timeout(READY_PROBE, write(store)).await {
            Ok(Ok(())) => true,
            Ok(Err(error)) => {
                tracing::warn!(error = telemetry::chain(&error), "the database takes no write");
                false
            }
            Err(_) => {
                tracing::warn!(waited = ?READY_PROBE, "the database does not answer");
                false
            }
        };
        *last = Some((clock::monotonic(), writable));
        writable
    }
}

/// Writes a row that means nothing: a lease that is held until it was written.
async fn write(store: &Store) -> Result<(), StoreError> {
    let mut tx = store.begin().await?;
    let now = tx.now().await?;
    tx.execute(
        "INSERT INTO leases (organisation_id, name, holder, fence, held_until)
         VALUES ($1, 'readiness', $1, 0, $2)
         ON CONFLICT (organisation_id, name) DO UPDATE SET held_until = excluded.held_until",
        params![Uuid::nil(), now],
    )
    .await?;
    tx.commit().await
}

#[derive(Clone)]
pub(super) struct Health {
    pub(super) shared: Arc<Shared>,
    pub(super) readiness: Arc<Readiness>,
}

pub(super) async fn alive() -> Json<serde_json::Value> {
    Json(json!({ "status": "ok", "version": env!("CARGO_PKG_VERSION") }))
}

pub(super) async fn ready(State(health): State<Health>) -> Response {
    let readiness = &health.readiness;
    let stopping = readiness.stopping.load(Ordering::Relaxed);
    let database = readiness.database(&health.shared.store).await;
    let (code, status) = match (stopping, database) {
        (false, true) => (StatusCode::OK, "ready"),
        (true, _) => (StatusCode::SERVICE_UNAVAILABLE, "stopping"),
        (false, false) => (StatusCode::SERVICE_UNAVAILABLE, "not ready"),
    };
    let database = if database { "ok" } else { "takes no write" };
    let body = json!({ "status": status, "database": database, "roles": readiness.roles });
    (code, Json(body)).into_response()
}

pub(super) async fn metrics(State(health): State<Health>) -> Response {
    match health.shared.metrics.render() {
        Ok(text) => {
            let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
            (kind, text).into_response()
        }
        Err(error) => {
            tracing::error!(error = telemetry::chain(&error), "metrics cannot be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
