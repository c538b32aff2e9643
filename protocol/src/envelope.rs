//! Signing: an envelope is a payload, the signer's key id and a signature.
//!
//! The signature is ed25519 over `"hyperverge/1/<type>\0"` followed by the
//! payload *exactly as received*; nothing is ever decoded and encoded again
//! before it is verified, because a decoder that drops an unknown field would
//! change what was signed. The type in front keeps a signature made for one
//! purpose from being replayed for another. Verification is strict
//! (`verify_strict`): one signature, one message, no malleability.

use crate::identity::{self, Fingerprint};
use crate::wire::Envelope;
use bytes::Bytes;
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};

/// What an envelope is for; part of what is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    ResultBatch,
    AssignmentSet,
    BurstOrder,
}

impl Purpose {
    fn prefix(self) -> &'static [u8] {
        match self {
            Self::ResultBatch => b"hyperverge/1/result-batch\0",
            Self::AssignmentSet => b"hyperverge/1/assignment-set\0",
            Self::BurstOrder => b"hyperverge/1/burst-order\0",
        }
    }
}

/// Why an envelope is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    #[error("key_id does not name the expected key")]
    WrongKey,
    #[error("signature must be 64 bytes")]
    SignatureLength,
    #[error("signature does not fit the payload")]
    BadSignature,
}

/// Signs `payload` for `purpose`.
pub fn seal(purpose: Purpose, payload: Bytes, key: &SigningKey) -> Envelope {
    let signature = key.sign(&signed_bytes(purpose, &payload));
    Envelope {
        payload,
        key_id: Bytes::copy_from_slice(identity::fingerprint(key).as_bytes()),
        signature: Bytes::copy_from_slice(&signature.to_bytes()),
    }
}

/// The payload of `envelope`, if `key` signed it for `purpose`.
pub fn open<'a>(
    purpose: Purpose,
    envelope: &'a Envelope,
    key: &VerifyingKey,
) -> Result<&'a Bytes, EnvelopeError> {
    if envelope.key_id != Fingerprint::of(key).as_bytes().as_slice() {
        return Err(EnvelopeError::WrongKey);
    }
    let signature =
        Signature::from_slice(&envelope.signature).map_err(|_| EnvelopeError::SignatureLength)?;
    key.verify_strict(&signed_bytes(purpose, &envelope.payload), &signature)
        .map_err(|_| EnvelopeError::BadSignature)?;
    Ok(&envelope.payload)
}

fn signed_bytes(purpose: Purpose, payload: &[u8]) -> Vec<u8> {
    [purpose.prefix(), payload].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_signer_the_purpose_and_the_bytes_together_open_it() {
        let key = SigningKey::from_bytes(&[1; 32]);
        let other = SigningKey::from_bytes(&[2; 32]);
        let sealed = seal(Purpose::ResultBatch, Bytes::from_static(b"rows"), &key);
        let public = key.verifying_key();
        assert_eq!(open(Purpose::ResultBatch, &sealed, &public).map(|p| &p[..]), Ok(&b"rows"[..]));
        assert_eq!(
            open(Purpose::AssignmentSet, &sealed, &public),
            Err(EnvelopeError::BadSignature)
        );
        assert_eq!(
            open(Purpose::ResultBatch, &sealed, &other.verifying_key()),
            Err(EnvelopeError::WrongKey)
        );
        let mut tampered = sealed.clone();
        tampered.payload = Bytes::from_static(b"Rows");
        assert_eq!(
            open(Purpose::ResultBatch, &tampered, &public),
            Err(EnvelopeError::BadSignature)
        );
        let mut short = sealed;
        short.signature.truncate(63);
        assert_eq!(
            open(Purpose::ResultBatch, &short, &public),
            Err(EnvelopeError::SignatureLength)
        );
    }
}
