//! `POST /auth/register`: the first to come becomes the owner, once.

use super::Credentials;
use crate::api::input::{ClientAddress, JsonBody};
use crate::api::{Api, Problem, Timestamp};
use crate::auth::{Role, email, password};
use crate::store::users::{self, User};
use crate::store::{StoreError, organisations};
use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::Serialize;
use uuid::Uuid;

const FIRST_ORGANISATION: &str = "default";

/// Somebody with an account.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Registered {
    id: Uuid,
    email: String,
    role: Role,
    organisation_id: Uuid,
    created_at: Timestamp,
}

/// Registers the owner of a new installation; afterwards registration is closed.
#[utoipa::path(post, path = "/auth/register", tag = "auth", security(()),
    request_body = Credentials,
    responses((status = 201, body = Registered), (status = 403, description = "Registration is closed")))]
pub(super) async fn register(
    State(api): State<Api>,
    from: ClientAddress,
    body: JsonBody,
) -> Result<(StatusCode, Json<Registered>), Problem> {
    let credentials: Credentials = body.read()?;
    let email = judge(&credentials)?;
    require_open(&api).await?;
    api.throttle
        .attempt(&email, from.0, crate::clock::monotonic())
        .map_err(Problem::too_many_requests)?;
    let password_hash = api.passwords.hash(credentials.password).await?;
    let owner = become_owner(&api, &email, &password_hash).await?;
    api.throttle.succeeded(&email, from.0);
    tracing::info!(user = %owner.id, "the first owner registered");
    let registered = Registered {
        id: owner.id,
        email,
        role: owner.role,
        organisation_id: owner.organisation,
        created_at: Timestamp(owner.created_at),
    };
    Ok((StatusCode::CREATED, Json(registered)))
}

fn judge(credentials: &Credentials) -> Result<String, Problem> {
    let email = email::normalise(&credentials.email);
    let password = password::check(&credentials.password);
    match (email, password) {
        (Ok(email), Ok(())) => Ok(email),
        (email, password) => {
            Err(Problem::invalid(email.err().into_iter().chain(password.err()).collect()))
        }
    }
}

async fn require_open(api: &Api) -> Result<(), Problem> {
    let mut tx = api.shared.store.read().await?;
    if organisations::is_installed(&mut tx).await? { Err(closed()) } else { Ok(()) }
}

fn closed() -> Problem {
    Problem::forbidden("registration is closed; ask an owner for an invitation")
}

/// Of any number at once, the one whose row of `installation` commits first.
async fn become_owner(api: &Api, email: &str, password_hash: &str) -> Result<User, Problem> {
    let mut tx = api.shared.store.begin().await?;
    let now = tx.now().await?;
    let owner = User {
        organisation: crate::clock::new_id(),
        id: crate::clock::new_id(),
        email: email.to_owned(),
        role: Role::Owner,
        generation: 1,
        created_at: now,
    };
    let organisation = owner.organisation;
    if !organisations::claim_installation(&mut tx, organisation, owner.id, now).await? {
        return Err(closed());
    }
    organisations::insert(&mut tx, organisation, FIRST_ORGANISATION, now).await?;
    users::insert(&mut tx, &owner, password_hash).await.map_err(|error| match error {
        StoreError::Conflict => Problem::taken("email", "is taken"),
        other => other.into(),
    })?;
    tx.commit().await?;
    Ok(owner)
}
