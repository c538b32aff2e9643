//! The path from a server's certificate to an authority that is trusted.
//!
//! webpki finds and verifies it. One of its rules is put aside here: it refuses in a
//! server's place whatever may be an authority's too. Houses issue such certificates,
//! and every other client takes them, since the rule guards nothing: whoever holds an
//! authority's key can issue what the rule would let pass.

use super::certificate;
use rustls::{CertificateError as E, OtherError};
use rustls_pki_types::{
    AlgorithmIdentifier, CertificateDer, InvalidSignature, SignatureVerificationAlgorithm,
    TrustAnchor, UnixTime,
};
use std::sync::Arc;
use webpki::{Cert, EndEntityCert, Error, KeyUsage};

/// The places of its certificates among the intermediates that were sent: without the
/// leaf, and without the authority that is trusted or anything beyond it.
pub(super) type Path = Vec<usize>;

/// Where to look for it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Search<'a> {
    pub(super) roots: &'a [TrustAnchor<'a>],
    pub(super) intermediates: &'a [CertificateDer<'a>],
    pub(super) now: UnixTime,
    pub(super) algorithms: &'a [&'a dyn SignatureVerificationAlgorithm],
}

impl Search<'_> {
    /// By all of webpki's rules.
    pub(super) fn verify(&self, leaf: &EndEntityCert<'_>) -> Result<Path, Error> {
        let server = KeyUsage::server_auth();
        let path = leaf.verify_for_usage(
            self.algorithms,
            self.roots,
            self.intermediates,
            self.now,
            server,
            None,
            None,
        )?;
        let place = |used: &Cert<'_>| self.intermediates.iter().position(|one| *one == used.der());
        Ok(path.intermediate_certificates().filter_map(place).collect())
    }

    /// By all of them but that `leaf` must not be an authority's: webpki is shown a copy
    /// that says it is none, and the signature is verified over what was signed.
    pub(super) fn verify_authority(&self, leaf: &CertificateDer<'_>) -> Result<Path, Error> {
        let copy = certificate::without_authority(leaf).ok_or(Error::CaUsedAsEndEntity)?;
        let (shown, signed) = (certificate::signed_part(&copy), certificate::signed_part(leaf));
        let (shown, signed) = shown.zip(signed).ok_or(Error::CaUsedAsEndEntity)?;
        let instead: Vec<Instead<'_>> = self
            .algorithms
            .iter()
            .map(|inner| Instead { inner: *inner, shown: &shown, signed: &signed })
            .collect();
        let algorithms: Vec<&dyn SignatureVerificationAlgorithm> =
            instead.iter().map(|one| one as &dyn SignatureVerificationAlgorithm).collect();
        Search { algorithms: &algorithms, ..*self }.verify(&EndEntityCert::try_from(&copy)?)
    }
}

/// Verifies a signature over `signed` where webpki asks for one over `shown`.
#[derive(Debug)]
struct Instead<'a> {
    inner: &'a dyn SignatureVerificationAlgorithm,
    shown: &'a [u8],
    signed: &'a [u8],
}

impl SignatureVerificationAlgorithm for Instead<'_> {
    fn verify_signature(
        &self,
        public_key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        let message = if message == self.shown { self.signed } else { message };
        self.inner.verify_signature(public_key, message, signature)
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        self.inner.public_key_alg_id()
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.inner.signature_alg_id()
    }
}

/// As rustls says it, which also makes the alert of it.
pub(super) fn told(error: Error) -> E {
    match error {
        Error::BadDer | Error::BadDerTime | Error::TrailingData(_) => E::BadEncoding,
        Error::CertNotValidYet { time, not_before } => E::NotValidYetContext { time, not_before },
        Error::CertExpired { time, not_after } => E::ExpiredContext { time, not_after },
        Error::InvalidCertValidity => E::Expired,
        Error::UnknownIssuer => E::UnknownIssuer,
        Error::CertNotValidForName(names) => {
            E::NotValidForNameContext { expected: names.expected, presented: names.presented }
        }
        Error::InvalidSignatureForPublicKey => E::BadSignature,
        Error::UnsupportedSignatureAlgorithmContext(of) => {
            E::UnsupportedSignatureAlgorithmContext {
                signature_algorithm_id: of.signature_algorithm_id,
                supported_algorithms: of.supported_algorithms,
            }
        }
        Error::UnsupportedSignatureAlgorithmForPublicKeyContext(of) => {
            E::UnsupportedSignatureAlgorithmForPublicKeyContext {
                signature_algorithm_id: of.signature_algorithm_id,
                public_key_algorithm_id: of.public_key_algorithm_id,
            }
        }
        Error::RequiredEkuNotFoundContext(_) | Error::EmptyEkuExtension => E::InvalidPurpose,
        error => E::Other(OtherError(Arc::new(error))),
    }
}
