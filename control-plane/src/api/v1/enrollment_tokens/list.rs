//! `GET /enrollment-tokens`.

use crate::api::page::{Page, PageQuery};
use crate::api::{Api, Problem, Timestamp, input::Params};
use crate::auth::Admin;
use crate::store::tokens::{self, EnrollmentToken};
use axum::extract::State;
use serde::Serialize;
use uuid::Uuid;

/// A token, without its secret.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = EnrollmentToken)]
pub(super) struct EnrollmentTokenView {
    id: Uuid,
    region: String,
    created_at: Timestamp,
    /// The user who made it.
    created_by: Uuid,
    expires_at: Timestamp,
    used_at: Option<Timestamp>,
    /// The agent that enrolled with it.
    used_by: Option<String>,
}

/// Tokens, the newest first.
#[utoipa::path(get, path = "/enrollment-tokens", tag = "fleet", operation_id = "list_enrollment_tokens",
    params(PageQuery), responses((status = 200, body = Page<EnrollmentTokenView>)))]
pub(super) async fn list(
    State(api): State<Api>,
    Admin(caller): Admin,
    Params(query): Params<PageQuery>,
) -> Result<Page<EnrollmentTokenView>, Problem> {
    let before = query.after_id()?.unwrap_or(Uuid::max());
    let mut tx = api.shared.store.read().await?;
    let rows = tokens::page(&mut tx, caller.organisation, before, query.rows()?).await?;
    Ok(Page::new(rows, &query, |token| token.id.to_string())?.map(EnrollmentTokenView::from))
}

impl From<EnrollmentToken> for EnrollmentTokenView {
    fn from(token: EnrollmentToken) -> Self {
        Self {
            id: token.id,
            region: token.region,
            created_at: Timestamp(token.created_at),
            created_by: token.created_by,
            expires_at: Timestamp(token.expires_at),
            used_at: token.used_at.map(Timestamp),
            used_by: token.used_by,
        }
    }
}
