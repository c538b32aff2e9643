//! This installation's keys, and what they may be used for.
//!
//! | key | signs or seals | who needs it |
//! |---|---|---|
//! | link | the QUIC handshake | gateway; the API puts its public half into tokens |
//! | assignment | assignment sets | scheduler; never a process that is only `api` |
//! | session | access tokens | api |
//! | wrapping | secrets at rest (XChaCha20-Poly1305) | api, notifier |
//!
//! They are separate so that what leaks with one role does not give away the
//! others: whoever holds the assignment key decides what agents do. Files and
//! first start are in `keys/files.rs`, the comparison with the database in
//! `keys/known.rs`.

mod files;
mod known;
mod seal;

pub use files::{Absent, KeyFileError, open};
pub use known::{KeyMismatch, are_known, require_known};
pub use seal::SealError;

use ed25519_dalek::{SigningKey, VerifyingKey};
use hyperverge_protocol::identity::{self, Fingerprint};
use rand::CryptoRng;
use rand::RngExt;
use sha2::{Digest, Sha256};

/// The keys one process holds.
#[derive(Clone)]
pub struct Keys {
    link: SigningKey,
    assignment: Option<SigningKey>,
    assignment_public: VerifyingKey,
    session: SigningKey,
    wrapping: [u8; 32],
}

impl Keys {
    /// New keys. Tests use this with a seeded generator.
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        let assignment = SigningKey::generate(rng);
        Self {
            link: SigningKey::generate(rng),
            assignment_public: assignment.verifying_key(),
            assignment: Some(assignment),
            session: SigningKey::generate(rng),
            wrapping: rng.random(),
        }
    }

    /// Presented in the link's TLS handshake.
    pub fn link(&self) -> &SigningKey {
        &self.link
    }

    /// Signs assignment sets. `None` in a process that is only `api`.
    pub fn assignment(&self) -> Option<&SigningKey> {
        self.assignment.as_ref()
    }

    /// The public half, which enrolment tokens carry; every process has it.
    pub fn assignment_public(&self) -> &VerifyingKey {
        &self.assignment_public
    }

    /// Signs access tokens.
    pub fn session(&self) -> &SigningKey {
        &self.session
    }

    /// Encrypts `plain` for storage, bound to `aad`: put the row's place there
    /// (`channel/<organisation>/<id>`), so that it cannot be moved to another row.
    pub fn seal(&self, aad: &[u8], plain: &[u8]) -> Vec<u8> {
        seal::seal(&self.wrapping, aad, plain, &mut crate::clock::rng())
    }

    /// Reads what [`Self::seal`] made with the same `aad`.
    pub fn open_sealed(&self, aad: &[u8], sealed: &[u8]) -> Result<Vec<u8>, SealError> {
        seal::open(&self.wrapping, aad, sealed)
    }

    /// Names and fingerprints, as `key_fingerprints` holds them. The wrapping
    /// key's is a hash under a prefix of its own, since it has no public half.
    fn fingerprints(&self) -> [(&'static str, String); 4] {
        let mut hash = Sha256::new();
        hash.update(b"hyperverge wrapping key\0");
        hash.update(self.wrapping);
        [
            ("link", identity::fingerprint(&self.link).to_string()),
            ("assignment", Fingerprint::of(&self.assignment_public).to_string()),
            ("session", identity::fingerprint(&self.session).to_string()),
            ("wrapping", hex::encode(hash.finalize())),
        ]
    }
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keys")
            .field("link", &identity::fingerprint(&self.link))
            .field("assignment", &Fingerprint::of(&self.assignment_public))
            .field("session", &identity::fingerprint(&self.session))
            .finish_non_exhaustive()
    }
}
