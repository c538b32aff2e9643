//! Passwords: argon2id with 19 MiB, two passes, one lane.
//!
//! One hash holds 19 MiB and a core, so that many at once would be a way to
//! exhaust either; [`Passwords`] lets a few run and makes the rest wait, for a
//! bounded time. A sign-in for an account that does not exist is hashed like
//! any other, against a hash nobody knows the password of: how long an answer
//! takes must not say which accounts there are.

use crate::limits;
use argon2::password_hash::PasswordHasher;
use argon2::password_hash::{PasswordVerifier, phc::PasswordHash};
use argon2::{Algorithm, Argon2, Params, Version};
use hyperverge_protocol::problem::FieldProblem;
use rand::RngExt;
use std::sync::{Arc, OnceLock};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;
const SALT_BYTES: usize = 16;

/// Why a password was not hashed or compared.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    #[error("too many passwords are being checked at once")]
    Busy,
    #[error("a password could not be hashed")]
    Hash(#[source] argon2::password_hash::Error),
    #[error("hashing a password was interrupted")]
    Interrupted(#[source] tokio::task::JoinError),
}

/// Hashes and compares passwords, a bounded number at a time.
#[derive(Debug)]
pub struct Passwords {
    turns: Arc<Semaphore>,
    nobodys: OnceLock<String>,
}

impl Default for Passwords {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let turns = cores.min(limits::PARALLEL_PASSWORD_HASHES);
        Self { turns: Arc::new(Semaphore::new(turns)), nobodys: OnceLock::new() }
    }
}

/// Judges a password somebody wants to have.
pub fn check(password: &str) -> Result<(), FieldProblem> {
    let rule = if password.chars().count() < limits::PASSWORD_MIN_CHARS {
        "must be at least 8 characters"
    } else if password.len() > limits::PASSWORD_MAX_BYTES {
        "must be at most 1024 bytes"
    } else {
        return Ok(());
    };
    Err(FieldProblem::new("password", rule))
}

impl Passwords {
    /// The PHC string to store for `password`.
    pub async fn hash(&self, password: String) -> Result<String, PasswordError> {
        let turn = self.turn().await?;
        let salt: [u8; SALT_BYTES] = crate::clock::rng().random();
        let work = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            hash(&password, &salt)
        });
        work.await.map_err(PasswordError::Interrupted)?
    }

    /// Whether `password` is the one behind `stored`; without a stored hash,
    /// the same work and no.
    pub async fn matches(
        &self,
        password: String,
        stored: Option<String>,
    ) -> Result<bool, PasswordError> {
        if password.len() > limits::PASSWORD_MAX_BYTES {
            return Ok(false);
        }
        let turn = self.turn().await?;
        let known = stored.is_some();
        let against = match stored {
            Some(hash) => hash,
            None => self.nobodys()?,
        };
        let work = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let parsed =
                PasswordHash::new(&against).map_err(|error| PasswordError::Hash(error.into()))?;
            Ok(argon2()?.verify_password(password.as_bytes(), &parsed).is_ok())
        });
        Ok(work.await.map_err(PasswordError::Interrupted)?? && known)
    }

    /// The permit goes with the work, which runs on even if the request is gone.
    async fn turn(&self) -> Result<OwnedSemaphorePermit, PasswordError> {
        let turn = Arc::clone(&self.turns).acquire_owned();
        match tokio::time::timeout(limits::PASSWORD_HASH_WAIT, turn).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) | Err(_) => Err(PasswordError::Busy),
        }
    }

    fn nobodys(&self) -> Result<String, PasswordError> {
        if let Some(hash) = self.nobodys.get() {
            return Ok(hash.clone());
        }
        let mut rng = crate::clock::rng();
        let password = hex::encode(rng.random::<[u8; 32]>());
        let made = hash(&password, &rng.random::<[u8; SALT_BYTES]>())?;
        Ok(self.nobodys.get_or_init(|| made).clone())
    }
}

fn hash(password: &str, salt: &[u8]) -> Result<String, PasswordError> {
    let hash = argon2()?
        .hash_password_with_salt(password.as_bytes(), salt)
        .map_err(PasswordError::Hash)?;
    Ok(hash.to_string())
}

fn argon2() -> Result<Argon2<'static>, PasswordError> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None)
        .map_err(|error| PasswordError::Hash(error.into()))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_password_itself_matches() {
        let passwords = Passwords::default();
        let stored = passwords.hash("correct horse".into()).await.expect("hashes");
        assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{stored}");
        let again = passwords.hash("correct horse".into()).await.expect("hashes");
        assert_ne!(stored, again, "each has a salt of its own");
        for (password, right) in [("correct horse", true), ("correct horsf", false), ("", false)] {
            let matches = passwords.matches(password.into(), Some(stored.clone())).await;
            assert_eq!(matches.expect("compares"), right, "{password}");
        }
        let nobody = passwords.matches("correct horse".into(), None).await;
        assert!(!nobody.expect("compares"));
    }

    #[test]
    fn too_short_and_too_long_are_named() {
        assert!(check("12345678").is_ok());
        assert!(check(&"x".repeat(1024)).is_ok());
        for password in ["1234567".to_owned(), "x".repeat(1025)] {
            assert_eq!(check(&password).expect_err("refused").field, "password");
        }
    }
}
