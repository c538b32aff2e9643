//! `POST /auth/logout`: ends the session.

use crate::api::{Api, Problem};
use crate::auth::Viewer;
use crate::store::login_sessions;
use axum::extract::State;
use http::StatusCode;

/// Ends the session of the access token: neither it nor its refresh token is good afterwards.
#[utoipa::path(post, path = "/auth/logout", tag = "auth", responses((status = 204)))]
pub(super) async fn logout(
    State(api): State<Api>,
    Viewer(caller): Viewer,
) -> Result<StatusCode, Problem> {
    let mut tx = api.shared.store.begin().await?;
    let now = tx.now().await?;
    login_sessions::end_family(&mut tx, caller.organisation, caller.family, now).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}
