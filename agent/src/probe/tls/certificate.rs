//! What a certificate says about itself.

use rustls::CertificateError;
use rustls_pki_types::{CertificateDer, UnixTime};
use x509_parser::asn1_rs::oid;
use x509_parser::certificate::{X509Certificate, X509CertificateParser};
use x509_parser::extensions::{ExtendedKeyUsage, GeneralName, SubjectAlternativeName};
use x509_parser::nom::Parser;
use x509_parser::oid_registry::{
    OID_PKCS1_MD2WITHRSAENC, OID_PKCS1_MD5WITHRSAENC, OID_PKCS1_SHA1WITHRSA,
    OID_X509_EXT_BASIC_CONSTRAINTS, OID_X509_EXT_EXTENDED_KEY_USAGE, OID_X509_EXT_SUBJECT_ALT_NAME,
    Oid,
};
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey;
use x509_parser::x509::X509Name;

/// Bytes of a certificate's name that are shown to people.
const NAME_BYTES: usize = 100;
/// The shortest RSA key that is accepted (NIST SP 800-131A, and every browser).
const RSA_BITS: usize = 2048;

/// Reads `certificate`; `None` if it is none. Extensions stay unread until asked for.
pub(super) fn parse<'a>(certificate: &'a CertificateDer<'_>) -> Option<X509Certificate<'a>> {
    let mut parser = X509CertificateParser::new().with_deep_parse_extensions(false);
    parser.parse(certificate.as_ref()).ok().map(|(_, parsed)| parsed)
}

/// When it expires, Unix seconds.
pub(super) fn expires_s(certificate: &X509Certificate<'_>) -> i64 {
    certificate.validity().not_after.timestamp()
}

/// Whether it names itself as its issuer.
pub(super) fn is_self_signed(certificate: &X509Certificate<'_>) -> bool {
    certificate.subject().as_raw() == certificate.issuer().as_raw()
}

/// What of `certificate` its issuer signed.
pub(super) fn signed_part(certificate: &CertificateDer<'_>) -> Option<Vec<u8>> {
    parse(certificate).map(|parsed| parsed.tbs_certificate.as_ref().to_vec())
}

/// A copy of an authority's certificate that says that it is nobody's; its signature
/// no longer fits.
pub(super) fn without_authority(
    certificate: &CertificateDer<'_>,
) -> Option<CertificateDer<'static>> {
    let parsed = parse(certificate)?;
    let value = extension(&parsed, &OID_X509_EXT_BASIC_CONSTRAINTS)?;
    // BasicConstraints is a sequence that begins with a boolean, `cA`.
    let [0x30, _, 0x01, 0x01, 0xff, ..] = value else { return None };
    let at = value.as_ptr().addr().checked_sub(certificate.as_ptr().addr())? + 4;
    let mut copy = certificate.to_vec();
    *copy.get_mut(at).filter(|byte| **byte == 0xff)? = 0;
    Some(copy.into())
}

/// Whether it says what it is for, and servers are not among that.
pub(super) fn is_for_no_server(certificate: &X509Certificate<'_>) -> bool {
    extension(certificate, &OID_X509_EXT_EXTENDED_KEY_USAGE)
        .and_then(|value| ExtendedKeyUsage::from_der(value).ok())
        .is_some_and(|(_, usage)| !usage.server_auth)
}

fn extension<'a>(certificate: &X509Certificate<'a>, oid: &Oid<'_>) -> Option<&'a [u8]> {
    certificate.iter_extensions().find(|extension| extension.oid == *oid).map(|one| one.value)
}

/// The name of `certificate`'s holder as it is written in it.
pub(super) fn subject_der(certificate: &CertificateDer<'_>) -> Option<Vec<u8>> {
    parse(certificate).map(|parsed| parsed.subject().as_raw().to_vec())
}

/// Its common name, else its first alternative name.
pub(super) fn subject(certificate: &X509Certificate<'_>) -> String {
    common_name(certificate.subject())
        .or_else(|| alternative_name(certificate))
        .unwrap_or_else(|| name(certificate.subject()))
}

/// The common name, else all of the name.
pub(super) fn name(name: &X509Name<'_>) -> String {
    common_name(name).unwrap_or_else(|| shown(&name.to_string()))
}

fn common_name(name: &X509Name<'_>) -> Option<String> {
    name.iter_common_name().next()?.as_str().ok().map(shown)
}

fn alternative_name(certificate: &X509Certificate<'_>) -> Option<String> {
    let value = extension(certificate, &OID_X509_EXT_SUBJECT_ALT_NAME)?;
    let (_, names) = SubjectAlternativeName::from_der(value).ok()?;
    names.general_names.iter().find_map(|name| match name {
        GeneralName::DNSName(name) => Some(shown(name)),
        GeneralName::IPAddress(bytes) => match <[u8; 4]>::try_from(*bytes) {
            Ok(v4) => Some(std::net::Ipv4Addr::from(v4).to_string()),
            Err(_) => {
                <[u8; 16]>::try_from(*bytes).ok().map(|v6| std::net::Ipv6Addr::from(v6).to_string())
            }
        },
        _ => None,
    })
}

/// A name is whatever the target wrote: cut, and without control characters.
pub(super) fn shown(text: &str) -> String {
    let end = text.floor_char_boundary(NAME_BYTES);
    text[..end].chars().filter(|c| !c.is_control()).collect()
}

/// What nobody accepts any more about `certificate`, as the end of a sentence. A root is
/// trusted for its key, so `is_root` leaves out how it is signed.
pub(super) fn weakness(certificate: &X509Certificate<'_>, is_root: bool) -> Option<String> {
    if let Ok(PublicKey::RSA(key)) = certificate.public_key().parsed() {
        let bits = bits(key.modulus);
        if bits < RSA_BITS {
            return Some(format!("has an RSA key of only {bits} bits"));
        }
    }
    let algorithm = &certificate.signature_algorithm.algorithm;
    let digest = WEAK_SIGNATURES.iter().find(|(oid, _)| oid == algorithm)?.1;
    (!is_root).then(|| format!("is signed with {digest}"))
}

static WEAK_SIGNATURES: [(Oid<'static>, &str); 4] = [
    (OID_PKCS1_SHA1WITHRSA, "SHA-1"),
    // ecdsa-with-SHA1
    (oid!(1.2.840.10045.4.1), "SHA-1"),
    (OID_PKCS1_MD5WITHRSAENC, "MD5"),
    (OID_PKCS1_MD2WITHRSAENC, "MD2"),
];

fn bits(number: &[u8]) -> usize {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    let digits = &number[zeros..];
    let leading = digits.first().map_or(0, |first| first.leading_zeros());
    digits.len() * 8 - usize::try_from(leading).unwrap_or_default()
}

/// Whether `certificate` is valid at `now`, and nothing else about it.
pub(super) fn verify_time(
    certificate: &CertificateDer<'_>,
    now: UnixTime,
) -> Result<(), CertificateError> {
    let parsed = parse(certificate).ok_or(CertificateError::BadEncoding)?;
    let now_s = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    let validity = parsed.validity();
    if now_s > validity.not_after.timestamp() {
        Err(CertificateError::Expired)
    } else if now_s < validity.not_before.timestamp() {
        Err(CertificateError::NotValidYet)
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_as_long_as_its_highest_bit() {
        for (number, length) in [
            (&[][..], 0),
            (&[0, 0], 0),
            (&[0, 0x80], 8),
            (&[0x7f], 7),
            (&[0, 0xff, 0xff], 16),
            (&[1, 0], 9),
        ] {
            assert_eq!(bits(number), length, "{number:?}");
        }
    }

    #[test]
    fn names_are_the_common_one_else_the_first_alternative() {
        let of = |common: Option<&str>, names: &[&str]| {
            let names = names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
            let mut params = rcgen::CertificateParams::new(names).expect("names");
            params.distinguished_name = rcgen::DistinguishedName::new();
            if let Some(common) = common {
                params.distinguished_name.push(rcgen::DnType::CommonName, common);
            }
            let key = rcgen::KeyPair::generate().expect("a key");
            let made = params.self_signed(&key).expect("a certificate");
            subject(&parse(made.der()).expect("a certificate"))
        };
        assert_eq!(of(Some("The Shop"), &["shop.test"]), "The Shop");
        assert_eq!(of(None, &["shop.test", "other.test"]), "shop.test");
        assert_eq!(of(None, &["2001:db8::1"]), "2001:db8::1");
        assert_eq!(of(None, &["192.0.2.1"]), "192.0.2.1");
        assert_eq!(of(None, &[]), "");
        assert_eq!(of(Some("a\u{7}b"), &[]), "ab");
        assert_eq!(of(Some(&"é".repeat(200)), &[]).len(), NAME_BYTES);
    }

    #[test]
    fn what_is_no_certificate_says_nothing() {
        for bytes in [&b""[..], b"\x30", b"\x30\x03abc", &[0x30; 64]] {
            assert!(parse(&CertificateDer::from(bytes)).is_none());
        }
    }
}
