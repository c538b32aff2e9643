//! TLS of the link: RFC 7250 raw public keys on both sides.
//!
//! No certificates, so no expiry by a clock and no path building. A client must
//! show a well-formed ed25519 key and prove that it holds it; whether that key
//! is enrolled is a row in the database, so that an unknown or revoked agent
//! gets a readable answer and revoking needs no reload.

use ed25519_dalek::pkcs8::EncodePrivateKey;
use ed25519_dalek::{SigningKey, VerifyingKey};
use hyperverge_protocol::identity;
use quinn::crypto::rustls::QuicServerConfig;
use rustls::crypto::{CryptoProvider, verify_tls13_signature_with_raw_key};
use rustls::server::AlwaysResolvesServerRawPublicKeys;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::sign::CertifiedKey;
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme,
    client::danger::HandshakeSignatureValid,
};
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer, SubjectPublicKeyInfoDer, UnixTime};
use std::sync::Arc;

/// Why the link's TLS cannot be set up: a key or provider that is not what this program made.
#[derive(Debug, thiserror::Error)]
pub enum TlsSetupError {
    #[error("the link key is not usable for TLS")]
    Key,
    #[error("the TLS provider lacks what the link needs")]
    Provider(#[source] Error),
    #[error("the TLS provider lacks the cipher that QUIC begins with")]
    Quic,
}

/// A QUIC server configuration that shows `key` and takes any proven ed25519 key.
pub(super) fn server_config(key: &SigningKey) -> Result<QuicServerConfig, TlsSetupError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let resolver = AlwaysResolvesServerRawPublicKeys::new(certified(key)?);
    let mut config = rustls::ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(TlsSetupError::Provider)?
        .with_client_cert_verifier(Arc::new(AnyProvenKey { provider }))
        .with_cert_resolver(Arc::new(resolver));
    config.alpn_protocols = vec![hyperverge_protocol::ALPN.to_vec()];
    // 0-RTT can be replayed, and resumption would skip the proof of the key.
    config.max_early_data_size = 0;
    config.send_tls13_tickets = 0;
    QuicServerConfig::try_from(config).map_err(|_| TlsSetupError::Quic)
}

/// The key that the peer of `connection` proved to hold.
pub(super) fn peer_key(connection: &quinn::Connection) -> Option<VerifyingKey> {
    let identity = connection.peer_identity()?;
    let keys = identity.downcast_ref::<Vec<CertificateDer<'static>>>()?;
    identity::from_spki(keys.first()?).ok()
}

fn certified(key: &SigningKey) -> Result<Arc<CertifiedKey>, TlsSetupError> {
    let der = key.to_pkcs8_der().map_err(|_| TlsSetupError::Key)?;
    let der = PrivatePkcs8KeyDer::from(der.as_bytes());
    let signer =
        rustls::crypto::ring::sign::any_eddsa_type(&der).map_err(|_| TlsSetupError::Key)?;
    let spki = CertificateDer::from(identity::to_spki(&key.verifying_key()));
    Ok(Arc::new(CertifiedKey::new(vec![spki], signer)))
}

#[derive(Debug)]
struct AnyProvenKey {
    provider: Arc<CryptoProvider>,
}

impl ClientCertVerifier for AnyProvenKey {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        match identity::from_spki(end_entity) {
            Ok(_) => Ok(ClientCertVerified::assertion()),
            Err(_) => Err(Error::InvalidCertificate(CertificateError::BadEncoding)),
        }
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("the link speaks TLS 1.3 only".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let spki = SubjectPublicKeyInfoDer::from(cert.as_ref());
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature_with_raw_key(message, &spki, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}
