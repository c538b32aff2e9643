//! `hyperverge-control-plane organisation create`: another tenant on this
//! installation, with its owner. There is no way to it over the network.
//!
//! The first organisation of an installation claims it, just as the first
//! registration would: who sets up by command line leaves no open registration
//! behind.

use crate::auth::password::{self, PasswordError, Passwords};
use crate::auth::{Role, email};
use crate::clock;
use crate::store::users::{self, User};
use crate::store::{Store, StoreError, organisations};
use hyperverge_protocol::problem::FieldProblem;
use uuid::Uuid;

const NAME_CHARS: usize = 100;

/// Why there is no new organisation.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    #[error("{0}")]
    Input(FieldProblem),
    #[error("owner-email is taken")]
    EmailTaken,
    #[error(transparent)]
    Password(#[from] PasswordError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Makes the organisation and its owner; the organisation's id.
pub async fn create(
    store: &Store,
    name: &str,
    owner_email: &str,
    password: String,
) -> Result<Uuid, CreateError> {
    let name = name.trim();
    if name.is_empty() || name.chars().count() > NAME_CHARS {
        let rule = format!("must be 1 to {NAME_CHARS} characters");
        return Err(CreateError::Input(FieldProblem::new("name", rule)));
    }
    let email = email::normalise(owner_email).map_err(CreateError::Input)?;
    password::check(&password).map_err(CreateError::Input)?;
    let password_hash = Passwords::default().hash(password).await?;
    let mut tx = store.begin().await?;
    let now = tx.now().await?;
    let organisation = clock::new_id();
    let owner = User {
        organisation,
        id: clock::new_id(),
        email,
        role: Role::Owner,
        generation: 1,
        created_at: now,
    };
    organisations::claim_installation(&mut tx, organisation, owner.id, now).await?;
    organisations::insert(&mut tx, organisation, name, now).await?;
    users::insert(&mut tx, &owner, &password_hash).await.map_err(|error| match error {
        StoreError::Conflict => CreateError::EmailTaken,
        other => other.into(),
    })?;
    tx.commit().await?;
    Ok(organisation)
}
