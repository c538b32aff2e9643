//! Access tokens: JWTs of one algorithm (EdDSA), good for 15 minutes.
//!
//! The algorithm is fixed here and not taken from the token, and its key id
//! only has to equal ours, so there is nothing for a token to choose. jsonwebtoken checks form,
//! issuer, audience and expiry; the signature is ed25519-dalek's strict
//! verification, brought in as the library's crypto provider because the one it
//! ships pulls in RSA and older curves.

use crate::auth::Role;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use hyperverge_protocol::identity;
use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use uuid::Uuid;

/// How long an access token is good for.
pub const LIFETIME: Duration = Duration::from_secs(15 * 60);
const ISSUER: &str = "hyperverge";
const AUDIENCE: &str = "hyperverge-api";
/// Clocks of replicas may differ by this much, seconds.
const LEEWAY_S: u64 = 5;
/// The longest token that is looked at.
const TEXT_BYTES: usize = 2_048;

/// What a token says about its bearer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    pub iss: String,
    pub aud: String,
    /// Unix seconds.
    pub iat: u64,
    pub exp: u64,
    /// The user.
    pub sub: Uuid,
    /// The organisation.
    pub org: Uuid,
    pub role: Role,
    /// The user's generation when the token was made; a later one ends it.
    #[serde(rename = "gen")]
    pub generation: i64,
    /// The family of refresh tokens it belongs to.
    pub sid: Uuid,
}

/// Why a token was not made or not taken.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    #[error("an access token cannot be made")]
    Encode(#[source] Error),
    #[error("the access token has expired")]
    Expired,
    #[error("not an access token of this installation")]
    Invalid,
}

/// Makes and judges tokens with one key.
pub struct AccessTokens {
    encoding: EncodingKey,
    decoding: DecodingKey,
    validation: Validation,
    key_id: String,
}

impl AccessTokens {
    /// Tokens signed by `key`.
    pub fn new(key: &SigningKey) -> Self {
        // The second call in a process finds the same provider installed.
        let _already = PROVIDER.install_default().is_err();
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[AUDIENCE]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        validation.leeway = LEEWAY_S;
        Self {
            // The library only carries these bytes to the provider below, which
            // takes the raw seed and the raw point.
            encoding: EncodingKey::from_ed_der(key.as_bytes()),
            decoding: DecodingKey::from_ed_der(key.verifying_key().as_bytes()),
            validation,
            key_id: identity::fingerprint(key).short(),
        }
    }

    /// A token for one signed-in user; `now_ms` is wall-clock time.
    pub fn issue(
        &self,
        organisation: Uuid,
        user: Uuid,
        role: Role,
        generation: i64,
        family: Uuid,
        now_ms: i64,
    ) -> Result<String, AccessError> {
        let iat = u64::try_from(now_ms / 1_000).unwrap_or(0);
        let claims = Claims {
            iss: ISSUER.into(),
            aud: AUDIENCE.into(),
            iat,
            exp: iat + LIFETIME.as_secs(),
            sub: user,
            org: organisation,
            role,
            generation,
            sid: family,
        };
        let mut header = Header::new(Algorithm::EdDSA);
        header.kid = Some(self.key_id.clone());
        jsonwebtoken::encode(&header, &claims, &self.encoding).map_err(AccessError::Encode)
    }

    /// Reads a token; whether the account still stands is the caller's to check.
    pub fn read(&self, token: &str) -> Result<Claims, AccessError> {
        if token.len() > TEXT_BYTES {
            return Err(AccessError::Invalid);
        }
        let data = jsonwebtoken::decode::<Claims>(token, &self.decoding, &self.validation)
            .map_err(|error| match error.kind() {
                ErrorKind::ExpiredSignature => AccessError::Expired,
                _ => AccessError::Invalid,
            })?;
        if data.header.kid.as_deref() != Some(&self.key_id) {
            return Err(AccessError::Invalid);
        }
        Ok(data.claims)
    }
}

impl std::fmt::Debug for AccessTokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AccessTokens").field("key_id", &self.key_id).finish_non_exhaustive()
    }
}

static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: |algorithm, key| {
        require_eddsa(*algorithm)?;
        let seed = key.as_bytes().try_into();
        let seed = seed.map_err(|_| Error::from(ErrorKind::InvalidEddsaKey))?;
        Ok(Box::new(Signer(SigningKey::from_bytes(seed))))
    },
    verifier_factory: |algorithm, key| {
        require_eddsa(*algorithm)?;
        let key = identity::public_key(key.try_get_as_bytes()?)
            .map_err(|_| Error::from(ErrorKind::InvalidEddsaKey))?;
        Ok(Box::new(Verifier(key)))
    },
    key_utils: KeyUtils::new_unimplemented(),
};

fn require_eddsa(algorithm: Algorithm) -> Result<(), Error> {
    if algorithm == Algorithm::EdDSA { Ok(()) } else { Err(ErrorKind::InvalidAlgorithm.into()) }
}

struct Signer(SigningKey);

impl signature::Signer<Vec<u8>> for Signer {
    fn try_sign(&self, message: &[u8]) -> Result<Vec<u8>, signature::Error> {
        Ok(self.0.sign(message).to_bytes().to_vec())
    }
}

impl JwtSigner for Signer {
    fn algorithm(&self) -> Algorithm {
        Algorithm::EdDSA
    }
}

struct Verifier(VerifyingKey);

impl signature::Verifier<Vec<u8>> for Verifier {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), signature::Error> {
        let signature = Signature::from_slice(signature).map_err(|_| signature::Error::new())?;
        self.0.verify_strict(message, &signature).map_err(|_| signature::Error::new())
    }
}

impl JwtVerifier for Verifier {
    fn algorithm(&self) -> Algorithm {
        Algorithm::EdDSA
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    fn tokens(seed: u8) -> AccessTokens {
        AccessTokens::new(&SigningKey::from_bytes(&[seed; 32]))
    }

    fn issue(tokens: &AccessTokens, now_ms: i64) -> String {
        let id = Uuid::from_u128(7);
        tokens.issue(id, id, Role::Editor, 3, id, now_ms).expect("issues")
    }

    #[test]
    fn a_token_says_what_was_put_in() {
        let tokens = tokens(1);
        let claims = tokens.read(&issue(&tokens, crate::clock::wall_ms())).expect("good");
        assert_eq!((claims.role, claims.generation), (Role::Editor, 3));
        assert_eq!(claims.exp - claims.iat, 900);
    }

    #[test]
    fn an_old_token_has_expired() {
        let tokens = tokens(1);
        let old = issue(&tokens, crate::clock::wall_ms() - 16 * 60_000);
        assert!(matches!(tokens.read(&old), Err(AccessError::Expired)));
    }

    #[test]
    fn another_key_another_algorithm_and_a_changed_claim_are_refused() {
        let ours = tokens(1);
        let now = crate::clock::wall_ms();
        let foreign = issue(&tokens(2), now);
        let good = issue(&ours, now);
        let parts: Vec<&str> = good.split('.').collect();
        let none = URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"JWT"}"#);
        let hmac = URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","typ":"JWT"}"#);
        let claims = URL_SAFE_NO_PAD.decode(parts[1]).expect("base64");
        let owner = String::from_utf8(claims).expect("text").replace("editor", "owner");
        let owner = URL_SAFE_NO_PAD.encode(owner);
        for token in [
            foreign,
            format!("{none}.{}.", parts[1]),
            format!("{hmac}.{}.{}", parts[1], parts[2]),
            format!("{}.{owner}.{}", parts[0], parts[2]),
            format!("{}.{}.", parts[0], parts[1]),
            String::new(),
            "x".repeat(10_000),
        ] {
            assert!(matches!(ours.read(&token), Err(AccessError::Invalid)), "{token}");
        }
    }
}
