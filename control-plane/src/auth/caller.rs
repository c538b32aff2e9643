//! The caller of a request, from its `Authorization: Bearer` header.

use crate::api::{Api, Problem};
use crate::auth::{Role, access::AccessError};
use crate::store::login_sessions;
use axum::extract::FromRequestParts;
use http::header::AUTHORIZATION;
use http::request::Parts;
use uuid::Uuid;

/// Somebody who is signed in, as the database knows them now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller {
    pub organisation: Uuid,
    pub user: Uuid,
    pub role: Role,
    /// The family of refresh tokens this sign-in began.
    pub family: Uuid,
}

/// A caller who may read.
#[derive(Debug, Clone, Copy)]
pub struct Viewer(pub Caller);
/// A caller who may change monitors and channels.
#[derive(Debug, Clone, Copy)]
pub struct Editor(pub Caller);
/// A caller who may change the fleet.
#[derive(Debug, Clone, Copy)]
pub struct Admin(pub Caller);

impl FromRequestParts<Api> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let token = bearer(parts).ok_or_else(|| {
            Problem::unauthenticated("an access token is needed: Authorization: Bearer …")
        })?;
        let claims = api.access.read(token).map_err(|error| match error {
            AccessError::Expired => Problem::unauthenticated("the access token has expired"),
            AccessError::Invalid | AccessError::Encode(_) => {
                Problem::unauthenticated("the access token is not valid here")
            }
        })?;
        let mut tx = api.shared.store.read().await?;
        let standing =
            login_sessions::standing(&mut tx, claims.org, claims.sub, claims.sid).await?;
        match standing {
            Some((role, generation)) if generation == claims.generation => {
                Ok(Self { organisation: claims.org, user: claims.sub, role, family: claims.sid })
            }
            Some(_) | None => Err(Problem::unauthenticated("the session has ended")),
        }
    }
}

fn bearer(parts: &Parts) -> Option<&str> {
    let (scheme, token) = parts.headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

impl Caller {
    fn at_least(self, role: Role) -> Result<Self, Problem> {
        if self.role >= role {
            return Ok(self);
        }
        Err(Problem::forbidden(format!(
            "this needs the role {} and yours is {}",
            role.as_str(),
            self.role.as_str()
        )))
    }
}

macro_rules! role_extractor {
    ($($name:ident)*) => {$(
        impl FromRequestParts<Api> for $name {
            type Rejection = Problem;

            async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
                let caller = Caller::from_request_parts(parts, api).await?;
                caller.at_least(Role::$name).map(Self)
            }
        }
    )*};
}

role_extractor! { Viewer Editor Admin }
