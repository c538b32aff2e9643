//! TLS of the tcp listener, where no proxy does it.

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls;

/// Why the certificate or key is not usable.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("server.tls_cert: {path}: {source}")]
    Certificate {
        path: String,
        #[source]
        source: rustls_pki_types::pem::Error,
    },
    #[error("server.tls_key: {path}: {source}")]
    Key {
        path: String,
        #[source]
        source: rustls_pki_types::pem::Error,
    },
    #[error("server.tls_cert and server.tls_key: {0}")]
    Pair(#[source] rustls::Error),
}

/// Reads the PEM files of `[server] tls_cert` and `tls_key`.
pub fn acceptor(certificate: &str, key: &str) -> Result<TlsAcceptor, TlsError> {
    let chain: Vec<_> = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect)
        .map_err(|source| TlsError::Certificate { path: certificate.to_owned(), source })?;
    let key = PrivateKeyDer::from_pem_file(key)
        .map_err(|source| TlsError::Key { path: key.to_owned(), source })?;
    let mut config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(TlsError::Pair)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
