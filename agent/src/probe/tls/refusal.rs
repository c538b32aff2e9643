//! Why a certificate was refused: one reason for each thing an operator does about it.

use super::certificate::{self, weakness};
use crate::probe::failure::Failure;
use crate::probe::limits;
use hyperverge_protocol::outcome::Reason;
use rustls::CertificateError as E;
use rustls_pki_types::{CertificateDer, UnixTime};
use webpki::{EndEntityCert, Error as W};
use x509_parser::certificate::X509Certificate;

/// A refused certificate. `says` ends a sentence that begins with
/// "the certificate of" and the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    verdict: Verdict,
    says: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Target(Reason),
    /// The algorithm may be fine with the monitor's own authority; this agent does
    /// not have it.
    Unknown,
}

impl Refusal {
    fn target(reason: Reason, says: impl Into<String>) -> Self {
        Self { verdict: Verdict::Target(reason), says: says.into() }
    }

    /// Public authorities sign with nothing that this agent lacks, so a server that
    /// comes with another algorithm has a certificate that no client accepts. Were
    /// that not its failure, it could choose not to be judged.
    fn unknown_algorithm(own_authority: bool) -> Self {
        if !own_authority {
            let says = "uses a signature algorithm that no public authority signs with";
            return Self::target(Reason::TlsHandshake, says);
        }
        let says = "uses a signature algorithm that this agent cannot verify";
        Self { verdict: Verdict::Unknown, says: says.to_owned() }
    }

    /// The pins do not hold the leaf.
    pub(super) fn of_pin() -> Self {
        Self::target(Reason::TlsPin, "is none of those that the monitor pins")
    }

    /// The peer's signature in the handshake was not good. `own_authority`: the
    /// monitor itself says whom to trust.
    pub(super) fn of_signature(leaf: &CertificateDer<'_>, why: &E, own_authority: bool) -> Self {
        let weak = certificate::parse(leaf).and_then(|leaf| weakness(&leaf, true));
        match (weak, why) {
            (Some(weak), _) => Self::target(Reason::TlsWeak, weak),
            (None, why) if is_unsupported(why) => Self::unknown_algorithm(own_authority),
            (None, _) => Self::target(
                Reason::TlsHandshake,
                "does not belong to the key that the server signed the handshake with",
            ),
        }
    }

    /// The chain was refused for `why`; see [`of_signature`](Self::of_signature).
    pub(super) fn of_chain(
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        why: &E,
        now: UnixTime,
        own_authority: bool,
    ) -> Self {
        let chain = Chain::read(leaf, intermediates);
        let now_s = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        match why {
            E::Expired | E::ExpiredContext { .. } => {
                let late = chain.beyond_leaf(|c| c.validity().not_after.timestamp() < now_s);
                Self::target(Reason::TlsExpired, of_whom(late, "has expired"))
            }
            E::NotValidYet | E::NotValidYetContext { .. } => {
                let early = chain.beyond_leaf(|c| c.validity().not_before.timestamp() > now_s);
                Self::target(Reason::TlsNotYetValid, of_whom(early, "is not valid yet"))
            }
            E::NotValidForName => Self::target(Reason::TlsWrongHost, "is for another host"),
            E::NotValidForNameContext { presented, .. } => {
                Self::target(Reason::TlsWrongHost, wrong_host(presented))
            }
            E::Revoked => Self::target(Reason::TlsRevoked, "was revoked"),
            E::UnknownIssuer => chain.end(),
            // Read no further than to one of the rules; what else it breaks comes after that.
            E::Other(_) if chain.is_self_signed() => chain.end(),
            why if is_unsupported(why) => {
                chain.weak().unwrap_or_else(|| Self::unknown_algorithm(own_authority))
            }
            // Else an authority that was made anew under its old name.
            E::BadSignature => chain.weak().unwrap_or_else(|| {
                Self::target(Reason::TlsUnknownIssuer, "is not signed by the authority it names")
            }),
            E::InvalidPurpose => {
                let other = chain.beyond_leaf(certificate::is_for_no_server);
                let says = "is not for servers, by its own extended key usage";
                Self::target(Reason::TlsHandshake, of_whom(other, says))
            }
            E::BadEncoding => chain.broken(&W::BadDer),
            E::UnhandledCriticalExtension => chain.broken(&W::UnsupportedCriticalExtension),
            E::Other(why) => why.0.downcast_ref().map_or_else(unusable, |why| chain.broken(why)),
            _ => unusable(),
        }
    }

    pub(super) fn failure(&self, shown: &str) -> Failure {
        let message = format!("the certificate of {shown} {}", self.says);
        match self.verdict {
            Verdict::Target(reason) => Failure::target(reason, message),
            Verdict::Unknown => Failure::unsupported(Reason::UnsupportedKind, message),
        }
    }
}

/// Whether `why` is that there is no such algorithm here.
fn is_unsupported(why: &E) -> bool {
    matches!(
        why,
        E::UnsupportedSignatureAlgorithmContext { .. }
            | E::UnsupportedSignatureAlgorithmForPublicKeyContext { .. }
    )
}

/// The certificates that were sent, as far as each names the next one.
pub(super) struct Chain<'a>(Vec<X509Certificate<'a>>);

impl<'a> Chain<'a> {
    pub(super) fn read(
        leaf: &'a CertificateDer<'_>,
        intermediates: &'a [CertificateDer<'_>],
    ) -> Self {
        let Some(leaf) = certificate::parse(leaf) else { return Self(Vec::new()) };
        let mut rest: Vec<_> = intermediates
            .iter()
            .take(limits::CHAIN_CERTIFICATES)
            .filter_map(certificate::parse)
            .collect();
        let mut chain = vec![leaf];
        // Servers send chains in any order, with strays among them.
        while let Some(last) = chain.last()
            && !certificate::is_self_signed(last)
            && let Some(next) = issuer_of(last, &rest)
        {
            chain.push(rest.swap_remove(next));
        }
        Self(chain)
    }

    /// `None` if it could not be read.
    pub(super) fn leaf(&self) -> Option<&X509Certificate<'a>> {
        self.0.first()
    }

    pub(super) fn first_to_expire(&self) -> Option<&X509Certificate<'a>> {
        self.0.iter().min_by_key(|one| certificate::expires_s(one))
    }

    /// Whether the last of them names one of `authorities` as its issuer.
    pub(super) fn leads_to(&self, authorities: &[Vec<u8>]) -> bool {
        let issuer = self.0.last().map(|last| last.issuer().as_raw());
        issuer.is_some_and(|issuer| authorities.iter().any(|name| name == issuer))
    }

    fn is_self_signed(&self) -> bool {
        self.leaf().is_some_and(certificate::is_self_signed)
    }

    /// The name of the first certificate but the leaf of which `bad` is true,
    /// unless it is true of the leaf itself.
    fn beyond_leaf(&self, bad: impl Fn(&X509Certificate<'_>) -> bool) -> Option<String> {
        let at = self.0.iter().position(bad).filter(|at| *at > 0)?;
        Some(certificate::subject(&self.0[at]))
    }

    /// What the chain ends in, when nobody we trust signed the end.
    fn end(&self) -> Refusal {
        let Some(last) = self.0.last() else {
            return Refusal::target(Reason::TlsHandshake, "cannot be read");
        };
        if !certificate::is_self_signed(last) {
            let issuer = certificate::name(last.issuer());
            // A leaf alone lacks an intermediate, as good as always. With one that came,
            // the server did what it has to, since nobody sends the root.
            let (reason, whom) = match self.0.len() {
                1 => {
                    (Reason::TlsIncompleteChain, "whom the server did not send and we do not have")
                }
                _ => (Reason::TlsUnknownIssuer, "an authority that is not trusted"),
            };
            return Refusal::target(reason, format!("leads to {issuer:?}, {whom}"));
        }
        if self.0.len() == 1 {
            return Refusal::target(Reason::TlsSelfSigned, "is self-signed");
        }
        let root = certificate::subject(last);
        let says = format!("leads to {root:?}, a root that is not trusted");
        Refusal::target(Reason::TlsUnknownIssuer, says)
    }

    /// That it breaks the rule `why`.
    fn broken(&self, why: &W) -> Refusal {
        let says = match why {
            W::CertDistrusted => "depends on a key that nobody trusts any more",
            W::EndEntityUsedAsCa => "depends on a certificate that is no authority's",
            W::NameConstraintViolation => {
                "is for a name that one of its authorities may not vouch for"
            }
            W::PathLenConstraintViolated => "has more authorities above it than they allow",
            W::MaximumPathDepthExceeded
            | W::MaximumPathBuildCallsExceeded
            | W::MaximumSignatureChecksExceeded
            | W::MaximumNameConstraintComparisonsExceeded => {
                "came with more certificates, or names in them, than a client looks through"
            }
            W::BadDer
            | W::ExtensionValueInvalid
            | W::InvalidSerialNumber
            | W::MalformedExtensions
            | W::SignatureAlgorithmMismatch
            | W::UnsupportedCertVersion
            | W::UnsupportedCriticalExtension => return self.unread(why),
            _ => return unusable(),
        };
        Refusal::target(Reason::TlsHandshake, says)
    }

    /// That webpki cannot read one of the certificates, for `why`.
    fn unread(&self, why: &W) -> Refusal {
        let unread = |c: &X509Certificate<'_>| {
            EndEntityCert::try_from(&CertificateDer::from(c.as_raw())).err()
        };
        let found = self.0.iter().enumerate().find_map(|(at, c)| Some((at, c, unread(c)?)));
        let badly = "is not written as certificates are (X.509)";
        let Some((at, certificate, why)) = found else {
            return match why {
                // A stray, which nobody needs: it is the issuer that is missing.
                W::UnsupportedCertVersion | W::UnsupportedCriticalExtension => self.end(),
                _ => {
                    let says = format!("came with one that {badly}, or {badly} itself");
                    Refusal::target(Reason::TlsHandshake, says)
                }
            };
        };
        let (reason, says) = match why {
            W::UnsupportedCertVersion if at == 0 => {
                (Reason::TlsWrongHost, "is of X.509 version 1 or 2, which can name no host")
            }
            W::UnsupportedCertVersion => {
                (Reason::TlsHandshake, "is of X.509 version 1 or 2, which no authority may be")
            }
            W::UnsupportedCriticalExtension => {
                (Reason::TlsHandshake, "has a critical extension that this agent does not know")
            }
            _ => (Reason::TlsHandshake, badly),
        };
        let other = (at > 0).then(|| certificate::subject(certificate));
        Refusal::target(reason, of_whom(other, says))
    }

    /// What nobody accepts any more, if that is in the chain.
    fn weak(&self) -> Option<Refusal> {
        self.0.iter().enumerate().find_map(|(at, c)| {
            let weak = weakness(c, certificate::is_self_signed(c))?;
            let whose = (at > 0).then(|| certificate::subject(c));
            Some(Refusal::target(Reason::TlsWeak, of_whom(whose, &weak)))
        })
    }
}

fn unusable() -> Refusal {
    Refusal::target(Reason::TlsHandshake, "is not usable")
}

/// Where among `rest` the one is that `last` names. Of several, such as an
/// authority signed by another one too, that which is good the longest: a
/// client has use for any of them.
fn issuer_of(last: &X509Certificate<'_>, rest: &[X509Certificate<'_>]) -> Option<usize> {
    let named =
        |(_, c): &(usize, &X509Certificate<'_>)| c.subject().as_raw() == last.issuer().as_raw();
    let named = rest.iter().enumerate().filter(named);
    named.max_by_key(|(_, c)| certificate::expires_s(c)).map(|(at, _)| at)
}

/// `what` of the leaf, or of the certificate `other` that it depends on.
fn of_whom(other: Option<String>, what: &str) -> String {
    match other {
        Some(other) => format!("depends on that of {other:?}, which {what}"),
        None => what.to_owned(),
    }
}

/// rustls gives names as `DnsName("a.test")`.
fn wrong_host(presented: &[String]) -> String {
    let mut names = presented.iter().map(|name| match name.split_once("(\"") {
        Some((_, rest)) => rest.trim_end_matches("\")"),
        None => name.as_str(),
    });
    let shown: Vec<String> =
        names.by_ref().take(limits::NAMES_SHOWN).map(certificate::shown).collect();
    match (shown.is_empty(), names.next()) {
        (true, _) => "names no host".to_owned(),
        (false, None) => format!("is for another host: {}", shown.join(", ")),
        (false, Some(_)) => format!("is for other hosts: {}, …", shown.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyperverge_protocol::outcome::Outcome;

    #[test]
    fn an_unknown_algorithm_is_excused_only_by_the_monitors_own_authority() {
        let made = rcgen::generate_simple_self_signed(vec!["a.test".to_owned()]).expect("one");
        let leaf = made.cert.der();
        let why = E::UnsupportedSignatureAlgorithmContext {
            signature_algorithm_id: Vec::new(),
            supported_algorithms: Vec::new(),
        };
        let now = UnixTime::since_unix_epoch(std::time::Duration::ZERO);
        for (own_authority, outcome, reason) in [
            (false, Outcome::Fail, Reason::TlsHandshake),
            (true, Outcome::Unsupported, Reason::UnsupportedKind),
        ] {
            for refusal in [
                Refusal::of_signature(leaf, &why, own_authority),
                Refusal::of_chain(leaf, &[], &why, now, own_authority),
            ] {
                let failure = refusal.failure("a.test");
                assert_eq!((failure.outcome, failure.reason), (outcome, reason), "{failure:?}");
            }
        }
    }
}
