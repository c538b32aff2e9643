//! Signing secrets: `whsec_` and 24 to 64 random bytes in base64.
//!
//! Shown once, when made; at rest sealed with the wrapping key and bound to the
//! channel's row.

use crate::keys::{Keys, SealError};
use crate::store::channels::Channel;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rand::{CryptoRng, RngExt};
use uuid::Uuid;

const PREFIX: &str = "whsec_";
const BYTES: usize = 32;

/// A webhook's signing key. Its text is nowhere but in [`Self::reveal`].
#[derive(Clone, PartialEq, Eq)]
pub struct SigningSecret(Vec<u8>);

/// Why a stored secret cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    #[error("the channel has no signing secret")]
    Missing,
    #[error("the channel's signing secret does not open")]
    Sealed(#[from] SealError),
}

impl SigningSecret {
    /// A new one.
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        let key: [u8; BYTES] = rng.random();
        Self(key.to_vec())
    }

    /// The text its owner configures the receiver with.
    pub fn reveal(&self) -> String {
        format!("{PREFIX}{}", STANDARD.encode(&self.0))
    }

    /// The key that signs.
    pub(super) fn key(&self) -> &[u8] {
        &self.0
    }

    /// For storing in the channel of this id.
    pub fn seal(&self, keys: &Keys, organisation_id: Uuid, channel_id: Uuid) -> Vec<u8> {
        keys.seal(place(organisation_id, channel_id).as_bytes(), &self.0)
    }

    /// The secret of a stored channel.
    pub fn open(keys: &Keys, channel: &Channel) -> Result<Self, SecretError> {
        let sealed = channel.sealed_secret.as_ref().ok_or(SecretError::Missing)?;
        let place = place(channel.organisation_id, channel.id);
        Ok(Self(keys.open_sealed(place.as_bytes(), sealed)?))
    }
}

fn place(organisation_id: Uuid, channel_id: Uuid) -> String {
    format!("channel/{organisation_id}/{channel_id}")
}

impl std::fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SigningSecret")
    }
}
