//! `DELETE /enrollment-tokens/{id}`.

use crate::api::{Api, Problem, input::Id};
use crate::auth::Admin;
use crate::store::tokens;
use axum::extract::State;
use http::StatusCode;

/// Deletes a token; nobody can enrol with it any more. Who has enrolled stays.
#[utoipa::path(delete, path = "/enrollment-tokens/{id}", tag = "fleet", operation_id = "delete_enrollment_token",
    params(("id" = Uuid, Path, description = "The token")), responses((status = 204)))]
pub(super) async fn delete(
    State(api): State<Api>,
    Admin(caller): Admin,
    Id(id): Id,
) -> Result<StatusCode, Problem> {
    let mut tx = api.shared.store.begin().await?;
    if !tokens::delete(&mut tx, caller.organisation, id).await? {
        return Err(Problem::not_found("enrolment token"));
    }
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}
