//! Who is who: ed25519 keys and their fingerprints.
//!
//! An agent's id is the fingerprint of its public key (SHA-256 of the 32 raw
//! bytes), so an id cannot be claimed without the key, and revocation names
//! something that cannot be re-encoded into a second spelling. TLS carries the
//! same key as an RFC 7250 raw public key, whose SPKI is the fixed prefix of
//! RFC 8410 followed by those 32 bytes.

use ed25519_dalek::{SigningKey, VerifyingKey};
use sha2::{Digest, Sha256};
use std::fmt;

/// RFC 8410: SEQUENCE { SEQUENCE { OID 1.3.101.112 } BIT STRING } of an ed25519 key.
const SPKI_PREFIX: [u8; 12] =
    [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// SHA-256 of a raw ed25519 public key. Shown as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint([u8; 32]);

/// The fingerprint of an agent's key, which is the agent's id.
pub type AgentId = Fingerprint;

/// Why bytes are not a key or fingerprint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    #[error("a fingerprint is 32 bytes or 64 hexadecimal digits")]
    Fingerprint,
    #[error("not an ed25519 public key")]
    PublicKey,
    #[error("a public key of small order proves nothing")]
    WeakKey,
}

impl Fingerprint {
    /// The fingerprint of `key`.
    pub fn of(key: &VerifyingKey) -> Self {
        Self(Sha256::digest(key.as_bytes()).into())
    }

    /// Reads the 32 raw bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, IdentityError> {
        bytes.try_into().map(Self).map_err(|_| IdentityError::Fingerprint)
    }

    /// The 32 raw bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The first eight digits: enough for people to tell agents apart in a log.
    pub fn short(&self) -> String {
        hex::encode(&self.0[..4])
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({})", self.short())
    }
}

impl std::str::FromStr for Fingerprint {
    type Err = IdentityError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = hex::decode(text).map_err(|_| IdentityError::Fingerprint)?;
        Self::from_bytes(&bytes)
    }
}

/// Reads a raw public key; weak (small-order) keys are refused.
pub fn public_key(bytes: &[u8]) -> Result<VerifyingKey, IdentityError> {
    let raw: [u8; 32] = bytes.try_into().map_err(|_| IdentityError::PublicKey)?;
    let key = VerifyingKey::from_bytes(&raw).map_err(|_| IdentityError::PublicKey)?;
    if key.is_weak() {
        return Err(IdentityError::WeakKey);
    }
    Ok(key)
}

/// The RFC 7250 form of `key`: its SubjectPublicKeyInfo, 44 bytes.
pub fn to_spki(key: &VerifyingKey) -> Vec<u8> {
    [SPKI_PREFIX.as_slice(), key.as_bytes()].concat()
}

/// Reads a SubjectPublicKeyInfo as a peer's TLS stack hands it over.
pub fn from_spki(spki: &[u8]) -> Result<VerifyingKey, IdentityError> {
    let raw = spki.strip_prefix(&SPKI_PREFIX).ok_or(IdentityError::PublicKey)?;
    public_key(raw)
}

/// The fingerprint of the public half of `key`.
pub fn fingerprint(key: &SigningKey) -> Fingerprint {
    Fingerprint::of(&key.verifying_key())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spki_is_what_another_implementation_writes() {
        use ed25519_dalek::pkcs8::EncodePublicKey;
        let key = SigningKey::from_bytes(&[7; 32]).verifying_key();
        let der = key.to_public_key_der().expect("encodes");
        assert_eq!(to_spki(&key), der.as_bytes());
        assert_eq!(from_spki(der.as_bytes()), Ok(key));
    }

    #[test]
    fn a_small_order_key_is_refused() {
        let mut identity_point = [0u8; 32];
        identity_point[0] = 1;
        assert_eq!(public_key(&identity_point), Err(IdentityError::WeakKey));
    }

    #[test]
    fn a_fingerprint_survives_its_text_form() {
        let id = fingerprint(&SigningKey::from_bytes(&[9; 32]));
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!("zz".parse::<Fingerprint>(), Err(IdentityError::Fingerprint));
    }
}
