//! The TLS handshake of a check, and what its certificate says.
//!
//! Client configurations are built once. Sessions are never resumed: a check
//! that resumed would neither see the certificate nor measure the handshake.

mod refusal;
mod verifier;

use super::failure::Failure;
use super::limits;
use super::wire::Wire;
use hyperverge_protocol::outcome::Reason;
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::CryptoProvider;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use std::io;
use std::sync::Arc;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use verifier::{AcceptAny, Explain};

/// The configurations a check may use.
#[derive(Clone)]
pub struct TlsClients {
    verifying: TlsClient,
    accepting: TlsClient,
}

/// How one monitor, or many alike, speak TLS. Cheap to clone.
#[derive(Clone)]
pub struct TlsClient(TlsConnector);

impl std::fmt::Debug for TlsClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TlsClient").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for TlsClients {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TlsClients").finish_non_exhaustive()
    }
}

/// Why the configurations could not be built.
#[derive(Debug, thiserror::Error)]
pub enum TlsSetupError {
    #[error("the CA file must be certificates in PEM form: {0}")]
    CaPem(String),
    #[error("the CA file must hold 1 to {} certificates", limits::CA_CERTIFICATES)]
    CaCount,
    #[error("TLS cannot be set up: {0}")]
    Setup(String),
}

impl TlsClients {
    /// Trusts the public roots, and those in `ca_pem` beside them.
    pub fn new(ca_pem: Option<&[u8]>) -> Result<Self, TlsSetupError> {
        let mut roots = RootCertStore::from_iter(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        if let Some(pem) = ca_pem {
            add_roots(&mut roots, pem)?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let setup = |error: &dyn std::fmt::Display| TlsSetupError::Setup(error.to_string());
        let webpki =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
                .build()
                .map_err(|error| setup(&error))?;
        let verifying = client(&provider, Arc::new(Explain::new(webpki)));
        let accepting = client(&provider, Arc::new(AcceptAny::new(&provider)));
        Ok(Self {
            verifying: verifying.map_err(|error| setup(&error))?,
            accepting: accepting.map_err(|error| setup(&error))?,
        })
    }

    /// The client of every monitor that says nothing about TLS but whether to verify.
    pub fn shared(&self, verify: bool) -> &TlsClient {
        if verify { &self.verifying } else { &self.accepting }
    }
}

impl TlsClient {
    /// Shakes hands with `name` over `wire`.
    pub async fn handshake(
        &self,
        name: ServerName<'static>,
        wire: Wire,
    ) -> io::Result<TlsStream<Wire>> {
        self.0.connect(name, wire).await
    }
}

fn add_roots(roots: &mut RootCertStore, pem: &[u8]) -> Result<(), TlsSetupError> {
    let mut count = 0;
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|error| TlsSetupError::CaPem(error.to_string()))?;
        roots.add(certificate).map_err(|error| TlsSetupError::CaPem(error.to_string()))?;
        count += 1;
        if count > limits::CA_CERTIFICATES {
            return Err(TlsSetupError::CaCount);
        }
    }
    if count == 0 { Err(TlsSetupError::CaCount) } else { Ok(()) }
}

fn client(
    provider: &Arc<CryptoProvider>,
    verifier: Arc<dyn rustls::client::danger::ServerCertVerifier>,
) -> Result<TlsClient, rustls::Error> {
    let mut config = ClientConfig::builder_with_provider(Arc::clone(provider))
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsClient(TlsConnector::from(Arc::new(config))))
}

/// When the leaf certificate of `stream` expires, Unix seconds.
pub fn certificate_expires_s(stream: &TlsStream<Wire>) -> Option<i64> {
    let leaf = stream.get_ref().1.peer_certificates()?.first()?;
    Some(refusal::Dates::read(leaf)?.not_after_s)
}

/// What a failed handshake says, and the expiry of the certificate it failed on.
pub fn judge_handshake(host: &str, error: &io::Error) -> (Failure, Option<i64>) {
    if let Some(failure) = Failure::of_this_host(error) {
        return (failure, None);
    }
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(error) => refusal::judge(host, error),
        None => {
            let message = format!(
                "the connection to {host} ended during the TLS handshake: {}",
                error.kind()
            );
            (Failure::target(Reason::TlsHandshake, message), None)
        }
    }
}
