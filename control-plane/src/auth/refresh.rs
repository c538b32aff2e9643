//! Refresh tokens: 256 random bits, of which only a hash is kept.
//!
//! Each is good for one use and answers with the next. A token that comes a
//! second time has been copied, and nobody can tell which holder is the thief,
//! so that the whole family that began with one sign-in ends
//! (`store::login_sessions`).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::RngExt;
use sha2::{Digest, Sha256};

const PREFIX: &str = "hvr1_";
const SECRET_BYTES: usize = 32;
/// The prefix and 32 bytes in unpadded base64.
const TEXT_BYTES: usize = PREFIX.len() + 43;

/// A new token and the hash to store.
pub fn mint(rng: &mut impl rand::Rng) -> (String, Vec<u8>) {
    let secret: [u8; SECRET_BYTES] = rng.random();
    let text = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(secret));
    let hash = Sha256::digest(secret).to_vec();
    (text, hash)
}

/// The hash under which the token would be stored; `None` for what is no token of ours.
pub fn hash_of(text: &str) -> Option<Vec<u8>> {
    if text.len() != TEXT_BYTES {
        return None;
    }
    let secret = URL_SAFE_NO_PAD.decode(text.strip_prefix(PREFIX)?).ok()?;
    Some(Sha256::digest(secret).to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_of_what_was_minted_is_the_stored_one() {
        let mut rng = crate::clock::rng();
        let (text, hash) = mint(&mut rng);
        assert_eq!(hash_of(&text), Some(hash));
        let (other, _) = mint(&mut rng);
        assert_ne!(text, other);
        for text in ["", "hvr1_", "abc", &text[1..], &format!("{text}A")] {
            assert_eq!(hash_of(text), None);
        }
    }
}
