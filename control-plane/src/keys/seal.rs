//! Secrets at rest: `1 ‖ nonce (24) ‖ XChaCha20-Poly1305`.
//!
//! The nonce is random, which 24 bytes allow for any number of secrets. The
//! first byte names the scheme, so that a later one can live beside it.

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use rand::{CryptoRng, RngExt};

const SCHEME: u8 = 1;
const NONCE_BYTES: usize = 24;

/// What was stored does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    #[error("sealed secret is of an unknown scheme")]
    Scheme,
    #[error("sealed secret does not open: wrong wrapping key, wrong row, or damaged")]
    Open,
}

pub(super) fn seal(key: &[u8; 32], aad: &[u8], plain: &[u8], rng: &mut impl CryptoRng) -> Vec<u8> {
    let nonce: [u8; NONCE_BYTES] = rng.random();
    let sealed = XChaCha20Poly1305::new(key.into())
        .encrypt(XNonce::from_slice(&nonce), Payload { msg: plain, aad })
        .expect("the cipher refuses only more than 256 GiB");
    [&[SCHEME], nonce.as_slice(), &sealed].concat()
}

pub(super) fn open(key: &[u8; 32], aad: &[u8], sealed: &[u8]) -> Result<Vec<u8>, SealError> {
    let rest = sealed.strip_prefix(&[SCHEME]).ok_or(SealError::Scheme)?;
    let (nonce, sealed) = rest.split_at_checked(NONCE_BYTES).ok_or(SealError::Open)?;
    XChaCha20Poly1305::new(key.into())
        .decrypt(XNonce::from_slice(nonce), Payload { msg: sealed, aad })
        .map_err(|_| SealError::Open)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_opens_only_whole_with_its_key_in_its_place() {
        let mut rng = crate::clock::rng();
        let sealed = seal(&[1; 32], b"channel/1", b"whsec_x", &mut rng);
        assert_ne!(sealed, seal(&[1; 32], b"channel/1", b"whsec_x", &mut rng));
        assert_eq!(open(&[1; 32], b"channel/1", &sealed), Ok(b"whsec_x".to_vec()));
        assert_eq!(open(&[1; 32], b"channel/2", &sealed), Err(SealError::Open));
        assert_eq!(open(&[2; 32], b"channel/1", &sealed), Err(SealError::Open));
        for cut in 0..sealed.len() {
            assert!(open(&[1; 32], b"channel/1", &sealed[..cut]).is_err());
        }
    }
}
