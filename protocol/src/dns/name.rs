//! A domain name.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// Bytes of one label (RFC 1035, section 2.3.4).
const LABEL_BYTES: usize = 63;
/// Bytes of a name in a message: labels, a length before each, and the root's 0.
const NAME_BYTES: usize = 255;

/// An absolute name in lower case. Its text ends with a dot.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DomainName(Vec<Box<[u8]>>);

/// Why a text is not a domain name; reads well after the field's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameRule {
    #[error("must be a domain name: it has an empty label")]
    EmptyLabel,
    #[error("must be a domain name: a label has more than 63 bytes")]
    LongLabel,
    #[error("must be a domain name: it is longer than 255 bytes")]
    LongName,
    #[error("must be a domain name: the character {0:?} has to be written as an escape")]
    Character(char),
    #[error("must be a domain name: a backslash wants a character or three digits (000 to 255)")]
    Escape,
    #[error("must be a domain name: its international characters cannot be encoded (IDNA)")]
    Idna,
}

impl DomainName {
    /// From the labels of a message, in their order.
    pub fn from_labels<'a>(labels: impl IntoIterator<Item = &'a [u8]>) -> Result<Self, NameRule> {
        let mut name = Self::default();
        for label in labels {
            name.push(label.to_ascii_lowercase())?;
        }
        Ok(name)
    }

    /// The name under which the host name of `address` is kept (RFC 1035,
    /// section 3.5, and RFC 3596, section 2.5).
    pub fn reverse(address: IpAddr) -> Self {
        let labels: Vec<String> = match address {
            IpAddr::V4(v4) => v4.octets().iter().rev().map(ToString::to_string).collect(),
            IpAddr::V6(v6) => {
                let nibbles = v6.octets().into_iter().rev().flat_map(|b| [b & 0xf, b >> 4]);
                nibbles.map(|nibble| format!("{nibble:x}")).collect()
            }
        };
        let tree = if address.is_ipv4() { "in-addr" } else { "ip6" };
        let labels = labels.iter().map(String::as_str).chain([tree, "arpa"]);
        Self(labels.map(|label| label.as_bytes().into()).collect())
    }

    /// Its labels, the root's not among them.
    pub fn labels(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().map(AsRef::as_ref)
    }

    fn push(&mut self, label: Vec<u8>) -> Result<(), NameRule> {
        if label.is_empty() {
            return Err(NameRule::EmptyLabel);
        }
        if label.len() > LABEL_BYTES {
            return Err(NameRule::LongLabel);
        }
        let bytes: usize = self.0.iter().map(|label| label.len() + 1).sum();
        if bytes + label.len() + 2 > NAME_BYTES {
            return Err(NameRule::LongName);
        }
        self.0.push(label.into());
        Ok(())
    }
}

impl FromStr for DomainName {
    type Err = NameRule;

    fn from_str(text: &str) -> Result<Self, NameRule> {
        if text == "." {
            return Ok(Self::default());
        }
        let ascii = if text.is_ascii() {
            text.to_ascii_lowercase()
        } else {
            idna::domain_to_ascii(text).map_err(|_| NameRule::Idna)?
        };
        let mut name = Self::default();
        let mut label = Vec::new();
        let mut bytes = ascii.bytes();
        let mut ended = false;
        while let Some(byte) = bytes.next() {
            ended = byte == b'.';
            match byte {
                b'.' => name.push(std::mem::take(&mut label))?,
                b'\\' => label.push(unescape(&mut bytes)?.to_ascii_lowercase()),
                _ if is_plain(byte) => label.push(byte),
                _ => return Err(NameRule::Character(char::from(byte))),
            }
        }
        if !ended {
            name.push(label)?;
        }
        Ok(name)
    }
}

impl fmt::Display for DomainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str(".");
        }
        for label in &self.0 {
            for byte in label {
                write_escaped(f, *byte, is_plain(*byte))?;
            }
            f.write_str(".")?;
        }
        Ok(())
    }
}

/// What stands for itself in a name: letters, digits, and what is found in
/// service names, wildcards and classless reverse zones.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_*/+=".contains(&byte)
}

/// What follows a backslash: three digits, or any other character as it is.
pub(super) fn unescape(bytes: &mut impl Iterator<Item = u8>) -> Result<u8, NameRule> {
    let first = bytes.next().ok_or(NameRule::Escape)?;
    if !first.is_ascii_digit() {
        return Ok(first);
    }
    let mut code = u32::from(first - b'0');
    for _ in 0..2 {
        let digit = bytes.next().filter(u8::is_ascii_digit).ok_or(NameRule::Escape)?;
        code = code * 10 + u32::from(digit - b'0');
    }
    u8::try_from(code).map_err(|_| NameRule::Escape)
}

/// Writes `byte`, behind a backslash unless it is `plain`.
pub(super) fn write_escaped(f: &mut fmt::Formatter<'_>, byte: u8, plain: bool) -> fmt::Result {
    match byte {
        _ if plain => write!(f, "{}", char::from(byte)),
        b'!'..=b'~' => write!(f, "\\{}", char::from(byte)),
        _ => write!(f, "\\{byte:03}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_name_in_many_spellings() {
        for (text, canonical) in [
            ("Example.COM", "example.com."),
            ("example.com.", "example.com."),
            ("_sip._tcp.example.com", "_sip._tcp.example.com."),
            ("*.example.com", "*.example.com."),
            ("0/25.2.0.192.in-addr.arpa", "0/25.2.0.192.in-addr.arpa."),
            ("bücher.example", "xn--bcher-kva.example."),
            ("first\\.last.example.com", "first\\.last.example.com."),
            ("a\\032b\\@.example", "a\\032b\\@.example."),
            ("\\065.example", "a.example."),
            (".", "."),
            ("com", "com."),
        ] {
            let name: DomainName = text.parse().expect(text);
            assert_eq!(name.to_string(), canonical, "{text}");
            assert_eq!(canonical.parse(), Ok(name.clone()), "{text}");
            assert_eq!(DomainName::from_labels(name.labels()), Ok(name), "{text}");
        }
    }

    #[test]
    fn what_is_no_name_says_why() {
        let long = format!("{}.example", "a".repeat(64));
        let longer = ["a".repeat(63).as_str(); 4].join(".");
        for (text, rule) in [
            ("", NameRule::EmptyLabel),
            ("a..b", NameRule::EmptyLabel),
            (".a", NameRule::EmptyLabel),
            ("..", NameRule::EmptyLabel),
            (&long, NameRule::LongLabel),
            (&longer, NameRule::LongName),
            ("a b", NameRule::Character(' ')),
            ("https://a", NameRule::Character(':')),
            ("a@b", NameRule::Character('@')),
            ("a\u{0}b", NameRule::Character('\u{0}')),
            ("a\\", NameRule::Escape),
            ("a\\25", NameRule::Escape),
            ("a\\256", NameRule::Escape),
            ("xn--é", NameRule::Idna),
        ] {
            assert_eq!(text.parse::<DomainName>(), Err(rule), "{text:?}");
        }
        let longest = format!("{}.{}", ["a".repeat(63).as_str(); 3].join("."), "a".repeat(61));
        assert!(longest.parse::<DomainName>().is_ok());
    }

    #[test]
    fn an_address_has_a_name_of_its_own() {
        let reverse = |text: &str| DomainName::reverse(text.parse().expect(text)).to_string();
        assert_eq!(reverse("192.0.2.7"), "7.2.0.192.in-addr.arpa.");
        assert_eq!(
            reverse("2001:db8::567:89ab"),
            "b.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa."
        );
    }
}
