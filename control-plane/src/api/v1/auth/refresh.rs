//! `POST /auth/refresh`: the next pair of tokens for a refresh token, once.

use super::{TokenPair, issue};
use crate::api::input::JsonBody;
use crate::api::{Api, Problem};
use crate::auth::refresh as refresh_token;
use crate::store::login_sessions::{self, Use};
use crate::store::users;
use axum::Json;
use axum::extract::State;
use serde::Deserialize;

/// The token to spend.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RefreshRequest {
    refresh_token: String,
}

/// Spends a refresh token and answers with the next pair. A token that was
/// spent before ends the whole session, since one of its two holders stole it.
#[utoipa::path(post, path = "/auth/refresh", tag = "auth", security(()),
    request_body = RefreshRequest,
    responses((status = 200, body = TokenPair), (status = 401, description = "Not a token, spent, expired or ended")))]
pub(super) async fn refresh(
    State(api): State<Api>,
    body: JsonBody,
) -> Result<Json<TokenPair>, Problem> {
    let request: RefreshRequest = body.read()?;
    let ended =
        || Problem::unauthenticated("the refresh token is not good any more; sign in again");
    let hash = refresh_token::hash_of(&request.refresh_token).ok_or_else(ended)?;
    let mut tx = api.shared.store.begin().await?;
    let now = tx.now().await?;
    let session = match login_sessions::spend(&mut tx, hash, now).await? {
        Use::First(session) => session,
        Use::Again(session) => {
            login_sessions::end_family(&mut tx, session.organisation, session.family, now).await?;
            tx.commit().await?;
            tracing::warn!(user = %session.user, family = %session.family,
                "a refresh token came a second time; its session was ended");
            return Err(ended());
        }
        Use::Refused => return Err(ended()),
    };
    let user = users::get(&mut tx, session.organisation, session.user).await?;
    let Some(user) = user.filter(|user| user.generation == session.generation) else {
        return Err(ended());
    };
    let pair = issue(&mut tx, &api, &user, session.family).await?;
    tx.commit().await?;
    Ok(Json(pair))
}
