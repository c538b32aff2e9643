//! What a handshake tells about its certificate, kept beside every check's outcome.

use super::certificate;
use super::refusal::Chain;
use crate::probe::limits;
use hyperverge_protocol::outcome::{Observation, TlsFacts};
use rustls::{ClientConnection, ProtocolVersion};
use rustls_pki_types::CertificateDer;
use sha2::{Digest, Sha256};
use x509_parser::certificate::X509Certificate;

/// What was read from the certificates that a server sent.
#[derive(Debug, Clone)]
pub(super) struct Sent {
    /// By the chain that they make by their names.
    facts: TlsFacts,
    /// Of each but the leaf, in the order in which they came; `None` where it cannot be read.
    others: Box<[Option<Expiry>]>,
}

#[derive(Debug, Clone)]
struct Expiry {
    at_s: i64,
    subject: String,
}

impl Expiry {
    fn of(certificate: &X509Certificate<'_>) -> Self {
        let at_s = certificate::expires_s(certificate);
        Self { at_s, subject: certificate::subject(certificate) }
    }
}

impl Sent {
    /// `None` if the leaf cannot be read.
    pub(super) fn read(
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
    ) -> Option<Self> {
        // Without the strays among what was sent, which nobody depends on.
        let chain = Chain::read(leaf, intermediates);
        let parsed = chain.leaf()?;
        let mut facts = TlsFacts {
            version: String::new(),
            cipher: String::new(),
            fingerprint: hex::encode(Sha256::digest(leaf)),
            leaf_expires_s: certificate::expires_s(parsed),
            chain_expires_s: 0,
            chain_subject: String::new(),
            subject: certificate::subject(parsed),
            issuer: certificate::name(parsed.issuer()),
        };
        depend(&mut facts, chain.first_to_expire().map(Expiry::of).as_ref());
        let others = intermediates.iter().take(limits::CHAIN_CERTIFICATES);
        let others = others.map(|other| certificate::parse(other).as_ref().map(Expiry::of));
        Some(Self { facts, others: others.collect() })
    }

    /// What the leaf and the intermediates at `path` say: the path to the authority that
    /// is trusted. What was sent beyond that authority, such as an old copy of its
    /// certificate, is nothing that the leaf depends on. `None`: nothing was verified,
    /// and all that the leaf leads to counts.
    pub(super) fn facts(&self, path: Option<&[usize]>) -> TlsFacts {
        let mut facts = self.facts.clone();
        if let Some(path) = path {
            let others = path.iter().filter_map(|at| self.others.get(*at)?.as_ref());
            depend(&mut facts, others.min_by_key(|other| other.at_s));
        }
        facts
    }
}

/// Notes that the leaf depends on certificates of which `first` expires first.
fn depend(facts: &mut TlsFacts, first: Option<&Expiry>) {
    match first.filter(|first| first.at_s < facts.leaf_expires_s) {
        Some(first) => {
            facts.chain_expires_s = first.at_s;
            facts.chain_subject.clone_from(&first.subject);
        }
        None => {
            facts.chain_expires_s = facts.leaf_expires_s;
            facts.chain_subject.clear();
        }
    }
}

/// Adds what both sides agreed on.
pub(super) fn negotiated(facts: &mut TlsFacts, connection: &ClientConnection) {
    facts.version = match connection.protocol_version() {
        Some(ProtocolVersion::TLSv1_2) => "1.2".to_owned(),
        Some(ProtocolVersion::TLSv1_3) => "1.3".to_owned(),
        _ => String::new(),
    };
    let cipher = connection.negotiated_cipher_suite().and_then(|suite| suite.suite().as_str());
    facts.cipher = cipher.map(iana).unwrap_or_default();
}

/// IANA's name of a cipher suite; rustls says `TLS13_` where the registry says `TLS_`.
fn iana(name: &str) -> String {
    match name.strip_prefix("TLS13_") {
        Some(rest) => format!("TLS_{rest}"),
        None => name.to_owned(),
    }
}

/// Writes `facts` into what was seen so far. Over several handshakes the
/// certificate, and the chain, that expires first is the one to know about.
pub fn note(seen: &mut Observation, facts: TlsFacts) {
    let earliest = seen
        .certificate_expires_s
        .map_or(facts.leaf_expires_s, |before| before.min(facts.leaf_expires_s));
    seen.certificate_expires_s = Some(earliest);
    let known = &mut seen.details_mut().tls;
    let first = |facts: &TlsFacts| (facts.chain_expires_s, facts.leaf_expires_s);
    if known.as_ref().is_none_or(|known| first(&facts) < first(known)) {
        *known = Some(facts);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyperverge_protocol::outcome::Outcome;
    use rcgen::{
        BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa,
        KeyPair, date_time_ymd,
    };

    #[test]
    fn a_cipher_has_its_name_of_the_registry() {
        assert_eq!(iana("TLS13_AES_128_GCM_SHA256"), "TLS_AES_128_GCM_SHA256");
        let older = "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256";
        assert_eq!(iana(older), older);
    }

    #[test]
    fn a_certificate_that_nobody_depends_on_does_not_count() {
        let authority = |name: &str, year| {
            let mut params = CertificateParams::new(Vec::new()).expect("no names");
            params.distinguished_name = DistinguishedName::new();
            params.distinguished_name.push(DnType::CommonName, name);
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.not_after = date_time_ymd(year, 1, 1);
            CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key"))
                .expect("an authority")
        };
        let (good, late, stray) =
            (authority("Good", 2040), authority("Good", 2020), authority("Stray", 2020));
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(vec!["a.test".to_owned()]).expect("a name");
        params.not_after = date_time_ymd(2050, 1, 1);
        let leaf = params.signed_by(&key, &good).expect("a certificate");
        let sent = |others: &[&CertificateDer<'static>]| {
            let others: Vec<_> = others.iter().map(|der| (*der).clone()).collect();
            Sent::read(leaf.der(), &others).expect("certificates").facts(None).chain_expires_s
        };
        let (good, late, stray) = (good.der(), late.der(), stray.der());
        let (in_2020, in_2040, in_2050) = (1_577_836_800, 2_208_988_800, 2_524_608_000);
        assert_eq!(sent(&[]), in_2050);
        assert_eq!(sent(&[stray]), in_2050);
        assert_eq!(sent(&[stray, good]), in_2040);
        assert_eq!(sent(&[late, good, stray]), in_2040);
        assert_eq!(sent(&[late]), in_2020);
    }

    #[test]
    fn what_expires_first_is_kept() {
        let expiring = |leaf, chain| TlsFacts {
            leaf_expires_s: leaf,
            chain_expires_s: chain,
            ..TlsFacts::default()
        };
        let mut seen = Observation::bare(Outcome::Ok, None, "");
        for (facts, leaf, chain) in [
            (expiring(500, 400), 500, 400),
            (expiring(450, 450), 450, 400),
            (expiring(900, 300), 450, 300),
            (expiring(950, 950), 450, 300),
        ] {
            note(&mut seen, facts);
            assert_eq!(seen.certificate_expires_s, Some(leaf));
            assert_eq!(seen.details_mut().tls.as_ref().map(|tls| tls.chain_expires_s), Some(chain));
        }
    }
}
