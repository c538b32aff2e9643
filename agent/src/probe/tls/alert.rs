//! Why a handshake failed where it was not the certificate: what the server's
//! alert, or its silence, says.

use super::witness::Witness;
use crate::probe::failure::Failure;
use crate::probe::wire::Flood;
use hyperverge_protocol::outcome::Reason;
use rustls::{AlertDescription as Alert, Error, InvalidMessage, PeerIncompatible};
use std::io;

/// What a handshake with the server that people know as `shown` failed from;
/// `offered` are the protocols in our ALPN.
pub(super) fn judge_handshake(
    shown: &str,
    error: &io::Error,
    witness: &Witness,
    offered: &[Vec<u8>],
) -> Failure {
    if let Some(failure) = Failure::of_this_host(error) {
        return failure;
    }
    if Flood::is_in(error) {
        return flood(shown);
    }
    match inner(error) {
        Some(error) => judge(shown, error, witness, offered),
        None => closed(shown, error, witness),
    }
}

/// What an error on a stream that may be secured already says about TLS, or about
/// a flood that is none of what TLS carries, if anything. In TLS 1.3 a server judges the client's certificate only after the
/// client is done, so its alert comes in place of the first answer.
pub fn judge_read(shown: &str, error: &io::Error) -> Option<Failure> {
    if Flood::is_in(error) {
        return Some(flood(shown));
    }
    let Error::AlertReceived(alert) = inner(error)? else { return None };
    concerns_client(*alert).then(|| client_certificate(shown, *alert))
}

/// What the error `code` with which a server closes a QUIC connection says about
/// TLS, if anything: there too the client's certificate is judged last.
pub fn judge_close(shown: &str, code: u64) -> Option<Failure> {
    let alert = Alert::from(quic_alert(code)?);
    concerns_client(alert).then(|| client_certificate(shown, alert))
}

/// A TLS alert is an error code of QUIC (RFC 9001, section 4.8).
pub fn quic_alert(code: u64) -> Option<u8> {
    u8::try_from(code.checked_sub(0x100)?).ok()
}

/// What QUIC says: the alert in its error code, if there is one.
pub(super) fn judge_alert(
    shown: &str,
    alert: Option<u8>,
    witness: &Witness,
    offered: &[Vec<u8>],
) -> Failure {
    match alert {
        Some(alert) => judge(shown, &Error::AlertReceived(Alert::from(alert)), witness, offered),
        None => failed(shown, Reason::TlsHandshake, "failed the TLS handshake"),
    }
}

fn flood(shown: &str) -> Failure {
    failed(shown, Reason::Response, "sent far more than any answer needs")
}

fn inner(error: &io::Error) -> Option<&Error> {
    error.get_ref()?.downcast_ref::<Error>()
}

fn failed(shown: &str, reason: Reason, what: &str) -> Failure {
    Failure::target(reason, format!("{shown} {what}"))
}

fn closed(shown: &str, error: &io::Error, witness: &Witness) -> Failure {
    let how = match error.kind() {
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => "reset",
        _ => "closed",
    };
    let when = match (witness.asked(), witness.showed_certificate()) {
        (true, _) => "after asking for a client certificate",
        (false, true) => "after showing its certificate",
        (false, false) => "in the middle of the TLS handshake",
    };
    failed(shown, Reason::TlsReset, &format!("{how} the connection {when}"))
}

fn judge(shown: &str, error: &Error, witness: &Witness, offered: &[Vec<u8>]) -> Failure {
    use PeerIncompatible as P;
    let failed = |reason, what: &str| failed(shown, reason, what);
    match error {
        Error::AlertReceived(Alert::CertificateRequired) => {
            client_certificate(shown, Alert::CertificateRequired)
        }
        // Before it asked, a server can say this of nothing of ours.
        Error::AlertReceived(alert)
            if witness.asked()
                && (concerns_client(*alert) || *alert == Alert::HandshakeFailure) =>
        {
            client_certificate(shown, *alert)
        }
        Error::PeerIncompatible(
            P::ServerDoesNotSupportTls12Or13 | P::ServerTlsVersionIsDisabledByOurConfig,
        )
        | Error::AlertReceived(Alert::ProtocolVersion) => {
            failed(Reason::TlsWeak, "offers only versions of TLS that are not accepted")
        }
        Error::PeerIncompatible(
            P::NoCipherSuitesInCommon
            | P::NoKxGroupsInCommon
            | P::NoSignatureSchemesInCommon
            | P::ExtendedMasterSecretExtensionRequired
            | P::UncompressedEcPointsRequired
            | P::NullCompressionRequired,
        )
        | Error::AlertReceived(Alert::InsufficientSecurity) => {
            failed(Reason::TlsWeak, "offers only ciphers or groups that are not accepted")
        }
        Error::AlertReceived(Alert::HandshakeFailure) if !witness.showed_certificate() => failed(
            Reason::TlsWeak,
            "found no cipher, group or signature that both sides accept: what it offers is too \
             old, or this agent does not have it (keys of RSA-PSS, Brainpool and Ed448), or it \
             has no certificate for this name",
        ),
        Error::AlertReceived(Alert::UnrecognisedName) => {
            failed(Reason::TlsWrongHost, "says that it does not serve this name")
        }
        Error::NoApplicationProtocol | Error::AlertReceived(Alert::NoApplicationProtocol) => {
            no_protocol(shown, offered)
        }
        Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            failed(Reason::TlsHandshake, "does not speak TLS on this port")
        }
        error => failed(Reason::TlsHandshake, &format!("failed the TLS handshake: {error}")),
    }
}

/// Alerts by which a server refuses a client's certificate (RFC 8446, section 6.2).
fn concerns_client(alert: Alert) -> bool {
    matches!(
        alert,
        Alert::CertificateRequired
            | Alert::NoCertificate
            | Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::UnknownCA
            | Alert::AccessDenied
            | Alert::DecryptError
    )
}

fn client_certificate(shown: &str, alert: Alert) -> Failure {
    let says = match alert {
        Alert::CertificateRequired | Alert::NoCertificate => "wants a client certificate",
        Alert::CertificateRevoked => "says that our client certificate was revoked",
        Alert::CertificateExpired => "says that our client certificate has expired",
        Alert::UnknownCA => "does not know the issuer of our client certificate",
        _ => "does not accept our client certificate",
    };
    failed(shown, Reason::TlsClientCertificate, says)
}

/// None of the protocols that were offered will do.
fn no_protocol(shown: &str, offered: &[Vec<u8>]) -> Failure {
    let http = |name: &[u8]| match name {
        b"http/1.1" => Some("HTTP/1.1"),
        b"h2" => Some("HTTP/2"),
        b"h3" => Some("HTTP/3"),
        _ => None,
    };
    let versions: Option<Vec<_>> = offered.iter().map(|name| http(name)).collect();
    match versions {
        Some(versions) => {
            let what = format!("does not speak {} here", versions.join(" or "));
            failed(shown, Reason::HttpVersion, &what)
        }
        None => failed(
            shown,
            Reason::TlsHandshake,
            "speaks none of the protocols that were offered (ALPN)",
        ),
    }
}
