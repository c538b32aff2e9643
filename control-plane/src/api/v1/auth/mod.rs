//! Signing in and out.

mod login;
mod logout;
mod refresh;
mod register;

use crate::api::{Api, Problem};
use crate::auth::password::PasswordError;
use crate::auth::{access, refresh as refresh_token};
use crate::limits;
use crate::store::Tx;
use crate::store::login_sessions::{self, LoginSession};
use crate::store::users::User;
use serde::{Deserialize, Serialize};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

pub(super) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::default()
        .routes(routes!(register::register))
        .routes(routes!(login::login))
        .routes(routes!(refresh::refresh))
        .routes(routes!(logout::logout))
}

/// Who somebody says they are.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct Credentials {
    #[schema(example = "ann@example.com")]
    email: String,
    /// 8 characters to 1024 bytes.
    #[schema(format = Password)]
    password: String,
}

/// The two tokens of a session.
#[derive(Serialize, utoipa::ToSchema)]
struct TokenPair {
    /// Goes into `Authorization: Bearer …`.
    access_token: String,
    /// Good for one `POST /auth/refresh`; keep it secret.
    refresh_token: String,
    #[schema(example = "Bearer")]
    token_type: &'static str,
    /// Seconds until the access token expires.
    expires_in: u64,
}

/// Adds a refresh token to `family` and signs the access token that goes with it.
async fn issue(tx: &mut Tx, api: &Api, user: &User, family: Uuid) -> Result<TokenPair, Problem> {
    let (text, hash) = refresh_token::mint(&mut crate::clock::rng());
    let now = tx.now().await?;
    let lifetime_ms = i64::try_from(limits::REFRESH_LIFETIME.as_millis()).unwrap_or(i64::MAX);
    let session = LoginSession {
        organisation: user.organisation,
        id: crate::clock::new_id(),
        family,
        user: user.id,
        generation: user.generation,
        created_at: now,
        expires_at: now.saturating_add(lifetime_ms),
        used_at: None,
        revoked_at: None,
    };
    login_sessions::insert(tx, &session, hash).await?;
    let wall = crate::clock::wall_ms();
    let access_token = api
        .access
        .issue(user.organisation, user.id, user.role, user.generation, family, wall)
        .map_err(Problem::internal)?;
    Ok(TokenPair {
        access_token,
        refresh_token: text,
        token_type: "Bearer",
        expires_in: access::LIFETIME.as_secs(),
    })
}

impl From<PasswordError> for Problem {
    fn from(error: PasswordError) -> Self {
        match error {
            PasswordError::Busy => Self::unavailable("too many sign-ins at once; try again"),
            PasswordError::Hash(_) | PasswordError::Interrupted(_) => Self::internal(error),
        }
    }
}
