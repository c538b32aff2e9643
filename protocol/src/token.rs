//! Enrolment tokens: everything an agent needs to find and trust a control plane.
//!
//! A token carries the addresses, the pins of the link's keys, the assignment
//! key and the region beside its secret, so there is no trust on first use.
//! The text form is `hvt1_` followed by unpadded base64url of a JSON object;
//! the control plane keeps only SHA-256 of the secret.

use crate::identity::{self, Fingerprint};
use crate::limits;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

const PREFIX: &str = "hvt1_";
/// Bytes of a token's secret.
pub const SECRET_BYTES: usize = 32;
/// The longest token text that is looked at.
pub const TEXT_BYTES: usize = 8 * 1024;
const ADDRESSES: usize = 16;
const PINS: usize = 4;

/// What an enrolment token says.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnrollmentToken {
    /// `host:port` of the link, tried in order.
    pub addresses: Vec<String>,
    /// Raw public keys the link may present, hexadecimal.
    pub link_keys: Vec<String>,
    /// The raw public key that signs assignment sets, hexadecimal.
    pub assignment_key: String,
    /// The region the agent will belong to; for people, the database decides.
    pub region: String,
    secret: String,
}

/// Why a token is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    #[error("token must begin with {PREFIX}")]
    Prefix,
    #[error("token is damaged: it does not decode (was it copied whole?)")]
    Damaged,
    #[error("token field {field} {rule}")]
    Field { field: &'static str, rule: &'static str },
}

impl EnrollmentToken {
    /// A token for `secret`, drawn by the caller.
    pub fn new(
        addresses: Vec<String>,
        link_keys: Vec<String>,
        assignment_key: String,
        region: String,
        secret: &[u8; SECRET_BYTES],
    ) -> Self {
        Self { addresses, link_keys, assignment_key, region, secret: hex::encode(secret) }
    }

    /// The text an operator copies.
    pub fn to_text(&self) -> String {
        let json = serde_json::to_vec(self).unwrap_or_default();
        format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(json))
    }

    /// Reads the text an operator pasted; white space around it is forgiven.
    pub fn parse(text: &str) -> Result<Self, TokenError> {
        let body = text.trim().strip_prefix(PREFIX).ok_or(TokenError::Prefix)?;
        if body.len() > TEXT_BYTES {
            return Err(TokenError::Damaged);
        }
        let json = URL_SAFE_NO_PAD.decode(body).map_err(|_| TokenError::Damaged)?;
        let token: Self = serde_json::from_slice(&json).map_err(|_| TokenError::Damaged)?;
        token.check()?;
        Ok(token)
    }

    /// The raw secret, which only the link may see.
    pub fn secret(&self) -> Result<[u8; SECRET_BYTES], TokenError> {
        let error = TokenError::Field { field: "secret", rule: "must be 32 bytes of hexadecimal" };
        let bytes = hex::decode(&self.secret).map_err(|_| error.clone())?;
        bytes.try_into().map_err(|_| error)
    }

    fn check(&self) -> Result<(), TokenError> {
        let field = |field, rule| Err(TokenError::Field { field, rule });
        if self.addresses.is_empty() || self.addresses.len() > ADDRESSES {
            return field("addresses", "must hold 1 to 16 addresses");
        }
        if self.addresses.iter().any(|a| a.len() > limits::SHORT_TEXT_BYTES || !a.contains(':')) {
            return field("addresses", "must each be host:port");
        }
        if self.link_keys.is_empty() || self.link_keys.len() > PINS {
            return field("link_keys", "must hold 1 to 4 keys");
        }
        for key in self.link_keys.iter().chain([&self.assignment_key]) {
            let raw = hex::decode(key).unwrap_or_default();
            if identity::public_key(&raw).is_err() {
                return field("link_keys and assignment_key", "must be ed25519 public keys");
            }
        }
        self.secret().map(drop)
    }
}

impl std::fmt::Debug for EnrollmentToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EnrollmentToken")
            .field("addresses", &self.addresses)
            .field("region", &self.region)
            .field("secret", &"redacted")
            .finish_non_exhaustive()
    }
}

/// What the control plane stores instead of the secret.
pub fn secret_hash(secret: &[u8]) -> [u8; 32] {
    Sha256::digest(secret).into()
}

/// The fingerprint of a key in a token's hexadecimal form.
pub fn key_fingerprint(hexadecimal: &str) -> Option<Fingerprint> {
    let raw = hex::decode(hexadecimal).ok()?;
    identity::public_key(&raw).ok().map(|key| Fingerprint::of(&key))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token() -> EnrollmentToken {
        let key = hex::encode(ed25519_dalek::SigningKey::from_bytes(&[3; 32]).verifying_key());
        EnrollmentToken::new(
            vec!["cp.example.com:4433".into()],
            vec![key.clone()],
            key,
            "eu-west".into(),
            &[5; 32],
        )
    }

    #[test]
    fn the_text_carries_everything() {
        let text = token().to_text();
        assert_eq!(EnrollmentToken::parse(&format!("  {text}\n")), Ok(token()));
        assert_eq!(token().secret(), Ok([5; 32]));
        assert!(!format!("{:?}", token()).contains("0505"));
    }

    #[test]
    fn damage_is_named() {
        let text = token().to_text();
        assert_eq!(EnrollmentToken::parse("abc"), Err(TokenError::Prefix));
        assert_eq!(EnrollmentToken::parse(&text[..text.len() - 7]), Err(TokenError::Damaged));
        let mut no_address = token();
        no_address.addresses.clear();
        assert!(matches!(
            EnrollmentToken::parse(&no_address.to_text()),
            Err(TokenError::Field { field: "addresses", .. })
        ));
    }
}
