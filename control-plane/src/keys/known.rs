//! Compares this process's keys with those the installation is known by.
//!
//! A replica with other keys would hand out tokens nobody can use, sign sets
//! that agents refuse and fail to open secrets; it must not start.

use super::Keys;
use crate::params;
use crate::store::{Store, StoreError};

/// Why the keys are not taken.
#[derive(Debug, thiserror::Error)]
pub enum KeyMismatch {
    #[error(
        "the {name} key is not this installation's: its fingerprint is {ours}, the database knows {known}; \
         give this process the same keys as the others ([keys] dir)"
    )]
    Differs { name: &'static str, ours: String, known: String },
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Whether this installation has keys.
pub async fn are_known(store: &Store) -> Result<bool, StoreError> {
    let mut tx = store.read().await?;
    let row = tx.fetch_optional("SELECT name FROM key_fingerprints LIMIT 1", params![]).await?;
    Ok(row.is_some())
}

/// Stores the fingerprints at first start; later, requires them to be the same.
pub async fn require_known(store: &Store, keys: &Keys) -> Result<(), KeyMismatch> {
    let mut tx = store.begin().await?;
    let now = tx.now().await?;
    for (name, ours) in keys.fingerprints() {
        tx.execute(
            "INSERT INTO key_fingerprints (name, fingerprint, created_at) VALUES ($1, $2, $3)
             ON CONFLICT (name) DO NOTHING",
            params![name, &ours, now],
        )
        .await?;
        let row = tx
            .fetch_optional(
                "SELECT fingerprint FROM key_fingerprints WHERE name = $1",
                params![name],
            )
            .await?;
        let known: String = row.map(|row| row.get("fingerprint")).transpose()?.unwrap_or_default();
        if known != ours {
            return Err(KeyMismatch::Differs { name, ours, known });
        }
    }
    tx.commit().await?;
    Ok(())
}
