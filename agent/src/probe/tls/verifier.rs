//! The certificate verifier of every handshake: webpki's rules, then the
//! monitor's pins, and everything that was seen left with the handshake's witness.

use super::certificate;
use super::clients::TlsSetupError;
use super::options::{self, TlsOptionsError};
use super::path::{self, Path, Search};
use super::raw_key;
use super::recent::Recent;
use super::refusal::{Chain, Refusal};
use super::witness::Witness;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use rustls::{CertificateError as E, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use webpki::{EndEntityCert, Error as W};

/// Whom to believe.
#[derive(Debug)]
pub(super) struct Trust {
    /// `None`: anybody who holds the key of the certificate they show.
    roots: Option<RootCertStore>,
    /// Certificates that section `tls` names; a server may show one of them as
    /// its own, as a self-signed one does.
    named: Vec<CertificateDer<'static>>,
    /// The names (DER) of the authorities in the agent's own CA file.
    authorities: Vec<Vec<u8>>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Trust {
    /// The public roots, and those in `pem` beside them.
    pub(super) fn public(
        provider: &CryptoProvider,
        pem: Option<&[u8]>,
    ) -> Result<Self, TlsSetupError> {
        let mut roots = RootCertStore::from_iter(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        let mut authorities = Vec::new();
        if let Some(pem) = pem {
            for root in options::certificates(pem).ok_or(TlsSetupError::CaCount)? {
                authorities.extend(certificate::subject_der(&root));
                roots.add(root).map_err(|error| TlsSetupError::CaPem(error.to_string()))?;
            }
        }
        Ok(Self { authorities, ..Self::of(provider, Some(roots), Vec::new()) })
    }

    /// Only the certificates in `pem`.
    pub(super) fn private(provider: &CryptoProvider, pem: &[u8]) -> Result<Self, TlsOptionsError> {
        let named = options::certificates(pem).ok_or(TlsOptionsError::Ca)?;
        let mut roots = RootCertStore::empty();
        for root in &named {
            roots.add(root.clone()).map_err(|_| TlsOptionsError::Ca)?;
        }
        Ok(Self::of(provider, Some(roots), named))
    }

    /// Whoever it is.
    pub(super) fn anybody(provider: &CryptoProvider) -> Self {
        Self::of(provider, None, Vec::new())
    }

    fn of(
        provider: &CryptoProvider,
        roots: Option<RootCertStore>,
        named: Vec<CertificateDer<'static>>,
    ) -> Self {
        let algorithms = provider.signature_verification_algorithms;
        Self { roots, named, authorities: Vec::new(), algorithms }
    }

    /// Whether the chain is an affair of the house: the monitor itself says whom to
    /// trust, or the chain leads to an authority in the agent's own CA file.
    fn is_own(&self, leaf: &CertificateDer<'_>, intermediates: &[CertificateDer<'_>]) -> bool {
        !self.named.is_empty()
            || !self.authorities.is_empty()
                && Chain::read(leaf, intermediates).leads_to(&self.authorities)
    }

    /// The path to whom is trusted; `None` where that is anybody.
    fn verify(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<Option<Path>, E> {
        let Some(roots) = &self.roots else { return Ok(None) };
        // webpki refuses an authority's certificate in a server's place, which is what
        // most self-signed ones are. Named by the monitor itself, it is good in its time.
        let is_named = || self.named.iter().any(|named| named == leaf);
        let parsed = match EndEntityCert::try_from(leaf) {
            Err(W::UnsupportedCertVersion) if is_named() => {
                certificate::verify_time(leaf, now)?;
                // It is who the monitor says, but of an X.509 in which it can name no host.
                let (expected, presented) = (name.to_owned(), Vec::new());
                return Err(E::NotValidForNameContext { expected, presented });
            }
            Err(W::UnsupportedCriticalExtension) if is_named() => {
                return Err(E::UnhandledCriticalExtension);
            }
            parsed => parsed.map_err(path::told)?,
        };
        let algorithms = self.algorithms.all;
        let search = Search { roots: &roots.roots, intermediates, now, algorithms };
        let path = match search.verify(&parsed) {
            Err(_) if is_named() => {
                certificate::verify_time(leaf, now)?;
                Path::new()
            }
            Err(W::CaUsedAsEndEntity) => search.verify_authority(leaf).map_err(path::told)?,
            verified => verified.map_err(path::told)?,
        };
        parsed.verify_is_valid_for_subject_name(name).map_err(path::told)?;
        Ok(Some(path))
    }
}

/// What a certificate must fulfil for one sort of monitors.
#[derive(Debug)]
pub(super) struct Rules {
    trust: Arc<Trust>,
    /// SHA-256 of leaf certificates, any of which will do; empty: no pins.
    pins: Vec<[u8; 32]>,
    recent: Arc<Recent>,
}

impl Rules {
    pub(super) fn new(trust: Arc<Trust>, pins: Vec<[u8; 32]>, recent: &Arc<Recent>) -> Self {
        Self { trust, pins, recent: Arc::clone(recent) }
    }

    fn allows(&self, leaf: &CertificateDer<'_>) -> bool {
        self.pins.is_empty() || self.pins.contains(&Sha256::digest(leaf).into())
    }
}

/// Verifies one handshake.
#[derive(Debug)]
pub(super) struct Verifier {
    rules: Arc<Rules>,
    witness: Arc<Witness>,
}

impl Verifier {
    pub(super) fn new(rules: &Arc<Rules>, witness: &Arc<Witness>) -> Self {
        Self { rules: Arc::clone(rules), witness: Arc::clone(witness) }
    }

    /// A signature that does not fit may be the key's fault: too short to be accepted.
    fn signature(
        &self,
        leaf: &CertificateDer<'_>,
        verified: Result<HandshakeSignatureValid, Error>,
    ) -> Result<HandshakeSignatureValid, Error> {
        verified.inspect_err(|error| {
            if let Error::InvalidCertificate(why) = error {
                let own = self.rules.trust.is_own(leaf, &[]);
                self.witness.refuse(Refusal::of_signature(leaf, why, own));
            }
        })
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified = self.rules.trust.verify(leaf, intermediates, name, now);
        let path = verified.as_ref().ok().and_then(Option::as_deref);
        self.witness.certificate(self.rules.recent.facts(leaf, intermediates, path));
        if let Err(why) = verified {
            let own = self.rules.trust.is_own(leaf, intermediates);
            self.witness.refuse(Refusal::of_chain(leaf, intermediates, &why, now, own));
            return Err(why.into());
        }
        if !self.rules.allows(leaf) {
            self.witness.refuse(Refusal::of_pin());
            return Err(E::ApplicationVerificationFailure.into());
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.rules.trust.algorithms;
        let verified = match verify_tls12_signature(message, leaf, dss, algorithms) {
            Err(error) if raw_key::is_unreadable(&error) => {
                raw_key::verify_tls12_signature(message, leaf, dss, algorithms)
            }
            verified => verified,
        };
        self.signature(leaf, verified)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.rules.trust.algorithms;
        let verified = match verify_tls13_signature(message, leaf, dss, algorithms) {
            Err(error) if raw_key::is_unreadable(&error) => {
                raw_key::verify_tls13_signature(message, leaf, dss, algorithms)
            }
            verified => verified,
        };
        self.signature(leaf, verified)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.rules.trust.algorithms.supported_schemes()
    }
}
