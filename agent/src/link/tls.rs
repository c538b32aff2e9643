//! TLS for the link: RFC 7250 raw public keys on both sides, no certificates,
//! no clock. The server must hold one of the pinned keys; we show the agent's.

use ed25519_dalek::pkcs8::EncodePrivateKey;
use ed25519_dalek::{SigningKey, VerifyingKey};
use hyperverge_protocol::identity;
use quinn::crypto::rustls::QuicClientConfig;
use rustls::client::AlwaysResolvesClientRawPublicKeys;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls13_signature_with_raw_key};
use rustls::sign::CertifiedKey;
use rustls::{DigitallySignedStruct, Error, SignatureScheme};
use rustls_pki_types::{
    CertificateDer, PrivatePkcs8KeyDer, ServerName, SubjectPublicKeyInfoDer, UnixTime,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Why the link's TLS cannot be set up; a bug rather than bad input.
#[derive(Debug, thiserror::Error)]
pub enum TlsSetupError {
    #[error("the agent's key is not usable for TLS")]
    Key,
    #[error("the TLS provider lacks what the link needs")]
    Provider(#[source] Error),
    #[error("the TLS provider lacks the cipher that QUIC begins with")]
    Quic,
}

/// Whether a handshake failed because the server showed a key that is not pinned.
#[derive(Debug, Clone, Default)]
pub struct PinWatch(Arc<AtomicBool>);

impl PinWatch {
    /// Since this watch was made.
    pub fn saw_wrong_key(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// A QUIC client configuration that shows `key` and accepts `pins`.
pub fn client_config(
    key: &SigningKey,
    pins: &[VerifyingKey],
    watch: PinWatch,
) -> Result<QuicClientConfig, TlsSetupError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = Pinned {
        spkis: pins.iter().map(identity::to_spki).collect(),
        provider: provider.clone(),
        watch,
    };
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(TlsSetupError::Provider)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_client_cert_resolver(Arc::new(AlwaysResolvesClientRawPublicKeys::new(certified(
            key,
        )?)));
    config.alpn_protocols = vec![hyperverge_protocol::ALPN.to_vec()];
    config.enable_early_data = false;
    config.resumption = rustls::client::Resumption::disabled();
    QuicClientConfig::try_from(config).map_err(|_| TlsSetupError::Quic)
}

/// `key` in the form TLS presents it.
fn certified(key: &SigningKey) -> Result<Arc<CertifiedKey>, TlsSetupError> {
    let der = key.to_pkcs8_der().map_err(|_| TlsSetupError::Key)?;
    let signer =
        rustls::crypto::ring::sign::any_eddsa_type(&PrivatePkcs8KeyDer::from(der.as_bytes()))
            .map_err(|_| TlsSetupError::Key)?;
    let spki = CertificateDer::from(identity::to_spki(&key.verifying_key()));
    Ok(Arc::new(CertifiedKey::new(vec![spki], signer)))
}

/// Accepts exactly the pinned keys.
#[derive(Debug)]
struct Pinned {
    spkis: Vec<Vec<u8>>,
    provider: Arc<CryptoProvider>,
    watch: PinWatch,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if self.spkis.iter().any(|spki| spki.as_slice() == end_entity.as_ref()) {
            return Ok(ServerCertVerified::assertion());
        }
        self.watch.0.store(true, Ordering::Relaxed);
        Err(Error::InvalidCertificate(rustls::CertificateError::ApplicationVerificationFailure))
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("the link speaks TLS 1.3 only".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature_with_raw_key(
            message,
            &SubjectPublicKeyInfoDer::from(cert.as_ref()),
            dss,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}
