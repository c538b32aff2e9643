//! The handshake's signature, by the key of a certificate that webpki does not read.
//!
//! webpki reads X.509 version 3 alone, and nothing with a critical extension that it does
//! not know. Where nobody is verified, or the monitor names the certificate, it need only
//! hold the key that the server signed with.

use super::certificate;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls13_signature_with_raw_key};
use rustls::{CertificateError, DigitallySignedStruct, Error};
use rustls_pki_types::{CertificateDer, SubjectPublicKeyInfoDer};
use webpki::RawPublicKeyEntity;

/// Whether `error` is that webpki could not read the certificate at all.
pub(super) fn is_unreadable(error: &Error) -> bool {
    use CertificateError as E;
    matches!(error, Error::InvalidCertificate(E::BadEncoding | E::Other(_)))
}

pub(super) fn verify_tls12_signature(
    message: &[u8],
    leaf: &CertificateDer<'_>,
    dss: &DigitallySignedStruct,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Result<HandshakeSignatureValid, Error> {
    let key = key(leaf)?;
    let key = RawPublicKeyEntity::try_from(&key).map_err(|_| CertificateError::BadEncoding)?;
    // In TLS 1.2 a scheme says nothing of the curve: the one that fits the key counts.
    let fitting = algorithms.mapping.iter().filter(|(scheme, _)| *scheme == dss.scheme);
    for algorithm in fitting.flat_map(|(_, algorithms)| *algorithms) {
        match key.verify_signature(*algorithm, message, dss.signature()) {
            Err(webpki::Error::UnsupportedSignatureAlgorithmForPublicKeyContext(_)) => {}
            Err(_) => return Err(CertificateError::BadSignature.into()),
            Ok(()) => return Ok(HandshakeSignatureValid::assertion()),
        }
    }
    Err(CertificateError::BadSignature.into())
}

pub(super) fn verify_tls13_signature(
    message: &[u8],
    leaf: &CertificateDer<'_>,
    dss: &DigitallySignedStruct,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Result<HandshakeSignatureValid, Error> {
    verify_tls13_signature_with_raw_key(message, &key(leaf)?, dss, algorithms)
}

fn key(leaf: &CertificateDer<'_>) -> Result<SubjectPublicKeyInfoDer<'static>, CertificateError> {
    let parsed = certificate::parse(leaf).ok_or(CertificateError::BadEncoding)?;
    Ok(SubjectPublicKeyInfoDer::from(parsed.public_key().raw.to_vec()))
}
