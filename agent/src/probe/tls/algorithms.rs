//! The signatures that can be verified: all of ring's, and ECDSA with P-521, which
//! ring does not have, but servers and authorities of companies do.

use p521::ecdsa::signature::hazmat::PrehashVerifier;
use p521::ecdsa::{Signature, VerifyingKey};
use rustls::SignatureScheme;
use rustls::crypto::{WebPkiSupportedAlgorithms, ring};
use rustls_pki_types::{
    AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm, alg_id,
};
use sha2::{Digest, Sha256, Sha384, Sha512};
use std::sync::LazyLock;

type Algorithm = &'static dyn SignatureVerificationAlgorithm;

/// For certificates and handshakes.
pub(super) fn all() -> WebPkiSupportedAlgorithms {
    // rustls wants lists that live for ever; these are made once.
    static ALL: LazyLock<WebPkiSupportedAlgorithms> = LazyLock::new(|| {
        let rings = ring::default_provider().signature_verification_algorithms;
        let mut mapping: Vec<(SignatureScheme, &'static [Algorithm])> = rings.mapping.to_vec();
        // In TLS 1.2 a scheme says nothing of the curve.
        for (scheme, algorithms) in &mut mapping {
            let more: Algorithm = match scheme {
                SignatureScheme::ECDSA_NISTP256_SHA256 => &P521_SHA256,
                SignatureScheme::ECDSA_NISTP384_SHA384 => &P521_SHA384,
                _ => continue,
            };
            *algorithms = [*algorithms, &[more]].concat().leak();
        }
        mapping.push((SignatureScheme::ECDSA_NISTP521_SHA512, &OURS[..1]));
        let all = [rings.all, &OURS].concat();
        WebPkiSupportedAlgorithms { all: all.leak(), mapping: mapping.leak() }
    });
    *ALL
}

/// ECDSA with P-521 and a digest.
#[derive(Debug)]
struct P521 {
    digest: fn(&[u8]) -> Vec<u8>,
    id: AlgorithmIdentifier,
}

static P521_SHA256: P521 =
    P521 { digest: |message| Sha256::digest(message).to_vec(), id: alg_id::ECDSA_SHA256 };
static P521_SHA384: P521 =
    P521 { digest: |message| Sha384::digest(message).to_vec(), id: alg_id::ECDSA_SHA384 };
static P521_SHA512: P521 =
    P521 { digest: |message| Sha512::digest(message).to_vec(), id: alg_id::ECDSA_SHA512 };

/// The one that a scheme of TLS 1.3 has a word for first.
static OURS: [Algorithm; 3] = [&P521_SHA512, &P521_SHA384, &P521_SHA256];

impl SignatureVerificationAlgorithm for P521 {
    fn verify_signature(
        &self,
        public_key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        let key = VerifyingKey::from_sec1_bytes(public_key).map_err(|_| InvalidSignature)?;
        let signature = Signature::from_der(signature).map_err(|_| InvalidSignature)?;
        key.verify_prehash(&(self.digest)(message), &signature).map_err(|_| InvalidSignature)
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        alg_id::ECDSA_P521
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.id
    }
}
