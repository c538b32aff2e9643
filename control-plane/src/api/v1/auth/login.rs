//! `POST /auth/login`: e-mail and password for a pair of tokens.

use super::{Credentials, TokenPair, issue};
use crate::api::input::{ClientAddress, JsonBody};
use crate::api::{Api, Problem};
use crate::auth::email;
use crate::store::users;
use axum::Json;
use axum::extract::State;

/// Signs somebody in. Wrong guesses slow down what follows them (429).
#[utoipa::path(post, path = "/auth/login", tag = "auth", security(()),
    request_body = Credentials,
    responses((status = 200, body = TokenPair), (status = 401, description = "Wrong e-mail or password")))]
pub(super) async fn login(
    State(api): State<Api>,
    from: ClientAddress,
    body: JsonBody,
) -> Result<Json<TokenPair>, Problem> {
    let credentials: Credentials = body.read()?;
    // What is no address has no account, and is told the same in the same time.
    let account = email::normalise(&credentials.email).unwrap_or_default();
    api.throttle
        .attempt(&account, from.0, crate::clock::monotonic())
        .map_err(Problem::too_many_requests)?;
    let mut tx = api.shared.store.read().await?;
    let known = users::by_email(&mut tx, &account).await?;
    drop(tx);
    let (user, stored) = known.unzip();
    let matches = api.passwords.matches(credentials.password, stored).await?;
    let Some(user) = user.filter(|_| matches) else {
        return Err(Problem::unauthenticated("e-mail or password is wrong"));
    };
    let mut tx = api.shared.store.begin().await?;
    let pair = issue(&mut tx, &api, &user, crate::clock::new_id()).await?;
    tx.commit().await?;
    api.throttle.succeeded(&account, from.0);
    Ok(Json(pair))
}
