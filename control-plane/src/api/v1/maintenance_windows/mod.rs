//! Maintenance windows: work that is announced.

mod create;
mod delete;
mod get;
mod list;
mod patch;

use super::holds::{MatchersBody, state};
use crate::api::{Api, Timestamp};
use crate::store::maintenance_windows::StoredWindow;
use serde::Serialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

pub(super) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::default().routes(routes!(list::list, create::create)).routes(routes!(
        get::get,
        patch::patch,
        delete::delete
    ))
}

/// A maintenance window. It holds what it matches as a silence does.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = MaintenanceWindow)]
struct MaintenanceWindowView {
    id: Uuid,
    /// What the work is.
    name: String,
    matchers: MatchersBody,
    /// `pending`, `active` or `expired`.
    state: &'static str,
    starts_at: Timestamp,
    /// The first moment at which it no longer holds.
    ends_at: Timestamp,
    created_by: Uuid,
    created_at: Timestamp,
    /// 1 upward; also the `ETag`.
    revision: i64,
}

impl MaintenanceWindowView {
    /// As it stands at `now`.
    fn at(now: i64, stored: StoredWindow) -> Self {
        let window = stored.window;
        Self {
            id: window.id,
            name: window.name,
            matchers: window.matchers.into(),
            state: state(window.starts_at, window.ends_at, now),
            starts_at: Timestamp(window.starts_at),
            ends_at: Timestamp(window.ends_at),
            created_by: stored.created_by,
            created_at: Timestamp(stored.created_at),
            revision: stored.revision,
        }
    }
}
