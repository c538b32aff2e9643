//! Silences: what somebody knows of already and need not be told again.

mod create;
mod delete;
mod get;
mod list;
mod patch;

use super::holds::{MatchersBody, state};
use crate::api::{Api, Timestamp};
use crate::store::silences::StoredSilence;
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

/// A silence. While it lasts, beginnings and widenings of what it matches are not told;
/// what still hurts when it ends is told then. Observation goes on, and what was told
/// before is told as resolved.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Silence)]
struct SilenceView {
    id: Uuid,
    /// Why, in words.
    comment: String,
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

impl SilenceView {
    /// As it stands at `now`.
    fn at(now: i64, stored: StoredSilence) -> Self {
        let silence = stored.silence;
        Self {
            id: silence.id,
            comment: silence.comment,
            matchers: silence.matchers.into(),
            state: state(silence.starts_at, silence.ends_at, now),
            starts_at: Timestamp(silence.starts_at),
            ends_at: Timestamp(silence.ends_at),
            created_by: stored.created_by,
            created_at: Timestamp(stored.created_at),
            revision: stored.revision,
        }
    }
}
