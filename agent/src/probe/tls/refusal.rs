//! Why a handshake failed: one reason for each thing an operator does about it.

use crate::probe::failure::Failure;
use hyperverge_protocol::outcome::Reason;
use rustls::{
    AlertDescription, CertificateError, Error, InvalidMessage, OtherError, PeerIncompatible,
};
use rustls_pki_types::CertificateDer;
use std::sync::Arc;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

/// The validity of a certificate, Unix seconds.
pub(super) struct Dates {
    pub(super) not_after_s: i64,
}

impl Dates {
    /// Reads them from a certificate; `None` if it is none.
    pub(super) fn read(certificate: &CertificateDer<'_>) -> Option<Self> {
        let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
        Some(Self { not_after_s: parsed.validity().not_after.timestamp() })
    }
}

/// A refused certificate: rustls's reason, and what the certificate itself says.
#[derive(Debug)]
pub(super) struct Refusal {
    why: CertificateError,
    self_signed: bool,
    expires_s: Option<i64>,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.why.fmt(f)
    }
}

impl std::error::Error for Refusal {}

impl Refusal {
    /// Wraps the verifier's `error` about `leaf`.
    pub(super) fn explain(leaf: &CertificateDer<'_>, error: Error) -> Error {
        let Error::InvalidCertificate(why) = error else { return error };
        let parsed = X509Certificate::from_der(leaf).ok().map(|(_, parsed)| parsed);
        let refusal = Self {
            why,
            self_signed: parsed.as_ref().is_some_and(|c| c.subject() == c.issuer()),
            expires_s: parsed.map(|c| c.validity().not_after.timestamp()),
        };
        Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(refusal))))
    }

    fn judge(&self) -> (Reason, &'static str) {
        use CertificateError as E;
        match &self.why {
            E::Expired | E::ExpiredContext { .. } => (Reason::TlsExpired, "has expired"),
            E::NotValidYet | E::NotValidYetContext { .. } => {
                (Reason::TlsNotYetValid, "is not valid yet")
            }
            E::NotValidForName | E::NotValidForNameContext { .. } => {
                (Reason::TlsWrongHost, "is for another host")
            }
            E::Revoked => (Reason::TlsRevoked, "was revoked"),
            // A self-signed CA certificate in a server's place is refused as such
            // before anybody looks for its issuer.
            E::UnknownIssuer | E::Other(_) if self.self_signed => {
                (Reason::TlsSelfSigned, "is self-signed")
            }
            E::UnknownIssuer => (Reason::TlsUnknownIssuer, "has an issuer that is not trusted"),
            // An authority that was made anew under its old name.
            E::BadSignature => {
                (Reason::TlsUnknownIssuer, "is not signed by the authority it names")
            }
            E::UnsupportedSignatureAlgorithmContext { .. }
            | E::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
                (Reason::TlsWeak, "is signed in a way that is no longer accepted")
            }
            _ => (Reason::TlsHandshake, "is not usable"),
        }
    }
}

/// The failure of a handshake with `host`, and the certificate's expiry if it was the certificate.
pub(super) fn judge(host: &str, error: &Error) -> (Failure, Option<i64>) {
    if let Error::InvalidCertificate(CertificateError::Other(OtherError(inner))) = error
        && let Some(refusal) = inner.downcast_ref::<Refusal>()
    {
        let (reason, what) = refusal.judge();
        let detail = match reason {
            Reason::TlsHandshake => format!(": {}", refusal.why),
            _ => String::new(),
        };
        let message = format!("the certificate of {host} {what}{detail}");
        return (Failure::target(reason, message), refusal.expires_s);
    }
    let (reason, what) = judge_protocol(error);
    (Failure::target(reason, format!("{host} {what}: {error}")), None)
}

fn judge_protocol(error: &Error) -> (Reason, &'static str) {
    use PeerIncompatible as P;
    const WEAK: (Reason, &str) = (Reason::TlsWeak, "offers only TLS that is no longer accepted");
    match error {
        Error::PeerIncompatible(
            P::NoCipherSuitesInCommon
            | P::NoKxGroupsInCommon
            | P::NoSignatureSchemesInCommon
            | P::ExtendedMasterSecretExtensionRequired
            | P::ServerDoesNotSupportTls12Or13
            | P::ServerTlsVersionIsDisabledByOurConfig,
        )
        | Error::AlertReceived(
            AlertDescription::ProtocolVersion | AlertDescription::InsufficientSecurity,
        ) => WEAK,
        Error::NoApplicationProtocol
        | Error::AlertReceived(AlertDescription::NoApplicationProtocol) => {
            (Reason::HttpVersion, "does not speak HTTP/1.1")
        }
        Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            (Reason::TlsHandshake, "does not speak TLS on this port")
        }
        _ => (Reason::TlsHandshake, "failed the TLS handshake"),
    }
}
