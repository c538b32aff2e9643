//! Section `tls` to a client configuration.

use super::verifier::{Rules, Verifier};
use super::witness::Witness;
use crate::control_time::ControlTime;
use crate::probe::{endpoint, limits};
use hyperverge_protocol::egress::parse_endpoint;
use hyperverge_protocol::monitor::{TlsOptions, TlsVersion};
use rustls::client::{ClientConfig, Resumption};
use rustls::crypto::CryptoProvider;
use rustls::time_provider::TimeProvider;
use rustls::{InconsistentKeys, SupportedProtocolVersion};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use std::sync::Arc;

/// What in section `tls` cannot be used; names the field and its rule. Says
/// nothing of what the field holds: it may be a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TlsOptionsError {
    #[error("tls.ca must hold 1 to {} certificates in PEM form", limits::CA_CERTIFICATES)]
    Ca,
    #[error("tls.certificate must be certificates in PEM form, ours first")]
    Certificate,
    #[error(
        "tls.key must be a private key in PEM form: PKCS#8, PKCS#1 or SEC1, without a password"
    )]
    Key,
    #[error("tls.key must be the key of tls.certificate")]
    KeyMismatch,
    #[error("tls.certificate and tls.key must be given together")]
    Half,
    #[error("tls.pins must be SHA-256 fingerprints of 64 hexadecimal digits")]
    Pin,
    #[error("tls.server_name must be a host name or an address")]
    ServerName,
    #[error("TLS cannot be set up")]
    Setup,
}

/// What of `options` holds for a host that the monitor did not name, such as where a
/// redirect leads: pins, a name and our own certificate are for the target alone.
pub fn elsewhere(options: &TlsOptions) -> TlsOptions {
    TlsOptions {
        verify: options.verify,
        ca: options.ca.clone(),
        min_version: options.min_version,
        ..TlsOptions::default()
    }
}

/// The versions to offer; nothing below 1.2 is ever spoken (RFC 8996).
fn versions(lowest: TlsVersion) -> &'static [&'static SupportedProtocolVersion] {
    static TLS_13: [&SupportedProtocolVersion; 1] = [&rustls::version::TLS13];
    match lowest {
        TlsVersion::Tls12 => rustls::ALL_VERSIONS,
        TlsVersion::Tls13 => &TLS_13,
    }
}

/// Everything a handshake needs but its name and its witness.
pub(super) fn config(
    (provider, time): (&Arc<CryptoProvider>, &Arc<ControlTime>),
    options: &TlsOptions,
    rules: &Arc<Rules>,
    protocols: &[&str],
) -> Result<ClientConfig, TlsOptionsError> {
    let nobody = Arc::new(Witness::default());
    let time: Arc<dyn TimeProvider> = Arc::<ControlTime>::clone(time);
    let builder = ClientConfig::builder_with_details(Arc::clone(provider), time)
        .with_protocol_versions(versions(options.min_version))
        .map_err(|_| TlsOptionsError::Setup)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Verifier::new(rules, &nobody)));
    let mut config = match (&options.certificate, &options.key) {
        (None, None) => builder.with_no_client_auth(),
        (Some(certificate), Some(key)) => {
            let chain = certificates(certificate.as_bytes()).ok_or(TlsOptionsError::Certificate)?;
            let key =
                PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(|_| TlsOptionsError::Key)?;
            builder.with_client_auth_cert(chain, key).map_err(|error| match error {
                rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                    TlsOptionsError::KeyMismatch
                }
                rustls::Error::InvalidCertificate(_) => TlsOptionsError::Certificate,
                _ => TlsOptionsError::Key,
            })?
        }
        _ => return Err(TlsOptionsError::Half),
    };
    config.resumption = Resumption::disabled();
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    Ok(config)
}

/// All certificates of a PEM file; `None` if one is broken, or there are none or too many.
pub(super) fn certificates(pem: &[u8]) -> Option<Vec<CertificateDer<'static>>> {
    let found: Result<Vec<_>, _> =
        CertificateDer::pem_slice_iter(pem).take(limits::CA_CERTIFICATES + 1).collect();
    found.ok().filter(|found| (1..=limits::CA_CERTIFICATES).contains(&found.len()))
}

/// As a target's host would be read: in canonical letters, an address with or without brackets.
pub(super) fn server_name(name: &str) -> Result<ServerName<'static>, TlsOptionsError> {
    let endpoint = parse_endpoint(name).map_err(|_| TlsOptionsError::ServerName)?;
    let host = endpoint.url.host().and_then(|host| endpoint::server_name(&host));
    host.filter(|_| endpoint.port.is_none()).ok_or(TlsOptionsError::ServerName)
}

pub(super) fn pins(pins: &[String]) -> Result<Vec<[u8; 32]>, TlsOptionsError> {
    pins.iter()
        .map(|pin| {
            let mut digest = [0; 32];
            hex::decode_to_slice(pin, &mut digest).map_err(|_| TlsOptionsError::Pin)?;
            Ok(digest)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::alpn;
    use super::super::clients::TlsClients;
    use super::*;
    use rcgen::KeyPair;

    fn refused(options: TlsOptions) -> TlsOptionsError {
        let clients = TlsClients::new(None, &ControlTime::default()).expect("TLS");
        clients.client(&options, true, alpn::NONE).expect_err("a refusal")
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        let made = rcgen::generate_simple_self_signed(vec!["a.test".to_owned()]).expect("one");
        let (certificate, key) = (Some(made.cert.pem()), Some(made.signing_key.serialize_pem()));
        let other = Some(KeyPair::generate().expect("a key").serialize_pem());
        let nonsense = Some("nonsense".to_owned());
        let plain = TlsOptions::default;
        for (options, error) in [
            (TlsOptions { ca: nonsense.clone(), ..plain() }, TlsOptionsError::Ca),
            (TlsOptions { ca: key.clone(), ..plain() }, TlsOptionsError::Ca),
            (TlsOptions { key: key.clone(), ..plain() }, TlsOptionsError::Half),
            (TlsOptions { certificate: certificate.clone(), ..plain() }, TlsOptionsError::Half),
            (
                TlsOptions { certificate: nonsense.clone(), key: key.clone(), ..plain() },
                TlsOptionsError::Certificate,
            ),
            (
                TlsOptions { certificate: certificate.clone(), key: nonsense, ..plain() },
                TlsOptionsError::Key,
            ),
            (
                TlsOptions { certificate: certificate.clone(), key: other, ..plain() },
                TlsOptionsError::KeyMismatch,
            ),
            (TlsOptions { pins: vec!["12".to_owned()], ..plain() }, TlsOptionsError::Pin),
            (
                TlsOptions { server_name: Some("a b".to_owned()), ..plain() },
                TlsOptionsError::ServerName,
            ),
        ] {
            assert_eq!(refused(options), error);
        }
        let clients = TlsClients::new(None, &ControlTime::default()).expect("TLS");
        let good = TlsOptions { certificate, key, ..plain() };
        clients.client(&good, true, alpn::NONE).expect("a pair");
    }
}
