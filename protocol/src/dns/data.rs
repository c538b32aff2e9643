//! The data of a record, as in a zone file (RFC 1035, section 5.1).

use super::name::{DomainName, NameRule, unescape, write_escaped};
use crate::monitor::RecordType;
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// Data of one record, without its owner, TTL and class.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum RecordData {
    A(Ipv4Addr),
    Aaaa(Ipv6Addr),
    /// RFC 8659. The tag is in lower case.
    Caa {
        flags: u8,
        tag: String,
        value: Vec<u8>,
    },
    /// Of a CNAME, NS or PTR record.
    Name(DomainName),
    Mx {
        preference: u16,
        exchange: DomainName,
    },
    /// Times in seconds.
    Soa {
        primary: DomainName,
        mailbox: DomainName,
        serial: u32,
        refresh: u32,
        retry: u32,
        expire: u32,
        minimum: u32,
    },
    /// RFC 2782.
    Srv {
        priority: u16,
        weight: u16,
        port: u16,
        target: DomainName,
    },
    /// Its strings.
    Txt(Vec<Vec<u8>>),
}

/// Why a text is not the data of a record; reads well after the field's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DataRule {
    #[error("must be the data of a record of type {}, such as {}", .0.as_str(), example(*.0))]
    Shape(RecordType),
    #[error(transparent)]
    Name(#[from] NameRule),
    #[error("must be record data: a double quote is not closed")]
    Quote,
}

/// Data of each type, for people who wonder what is wanted.
fn example(record: RecordType) -> &'static str {
    match record {
        RecordType::A => "192.0.2.1",
        RecordType::Aaaa => "2001:db8::1",
        RecordType::Caa => "0 issue \"ca.example.net\"",
        RecordType::Cname | RecordType::Ptr => "www.example.com.",
        RecordType::Mx => "10 mail.example.com.",
        RecordType::Ns => "ns1.example.com.",
        RecordType::Soa => "ns1.example.com. admin.example.com. 2024010100 7200 900 1209600 300",
        RecordType::Srv => "0 5 5060 sip.example.com.",
        RecordType::Txt => "\"v=spf1 -all\"",
    }
}

/// What `text` is the data of in an authority section, where one name is a name
/// server's and anything longer the start of authority.
pub fn authority_type(text: &str) -> RecordType {
    match text.split_ascii_whitespace().nth(1) {
        None => RecordType::Ns,
        Some(_) => RecordType::Soa,
    }
}

impl RecordData {
    /// Reads the data of a `record`. A TXT record's text that does not begin
    /// with a quote is one string as it stands, spaces included.
    pub fn parse(record: RecordType, text: &str) -> Result<Self, DataRule> {
        let text = text.trim_matches([' ', '\t']);
        let shape = DataRule::Shape(record);
        if record == RecordType::Txt && !text.starts_with('"') {
            return if text.is_empty() { Err(shape) } else { Ok(Self::Txt(vec![text.into()])) };
        }
        let words = words(text)?;
        let mut words = Words { words: words.into_iter(), record };
        let data = match record {
            RecordType::A => Self::A(words.parsed()?),
            RecordType::Aaaa => Self::Aaaa(words.parsed()?),
            RecordType::Cname | RecordType::Ns | RecordType::Ptr => Self::Name(words.name()?),
            RecordType::Mx => Self::Mx { preference: words.parsed()?, exchange: words.name()? },
            RecordType::Srv => Self::Srv {
                priority: words.parsed()?,
                weight: words.parsed()?,
                port: words.parsed()?,
                target: words.name()?,
            },
            RecordType::Soa => Self::Soa {
                primary: words.name()?,
                mailbox: words.name()?,
                serial: words.parsed()?,
                refresh: words.parsed()?,
                retry: words.parsed()?,
                expire: words.parsed()?,
                minimum: words.parsed()?,
            },
            RecordType::Caa => Self::Caa {
                flags: words.parsed()?,
                tag: words.parsed::<String>()?.to_ascii_lowercase(),
                value: words.string()?,
            },
            RecordType::Txt => {
                let strings = words.words.by_ref().map(Word::into_bytes);
                Self::Txt(strings.collect::<Result<_, _>>()?)
            }
        };
        if words.words.next().is_some() { Err(shape) } else { Ok(data) }
    }

    /// Whether two records say the same. How a text is split into strings says
    /// nothing: readers of TXT records join them (RFC 7208, section 3.3).
    pub fn same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Txt(a), Self::Txt(b)) => a.concat() == b.concat(),
            _ => self == other,
        }
    }
}

impl fmt::Display for RecordData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::A(address) => address.fmt(f),
            Self::Aaaa(address) => address.fmt(f),
            Self::Caa { flags, tag, value } => {
                write!(f, "{flags} {tag} ")?;
                quote(f, value)
            }
            Self::Name(name) => name.fmt(f),
            Self::Mx { preference, exchange } => write!(f, "{preference} {exchange}"),
            Self::Soa { primary, mailbox, serial, refresh, retry, expire, minimum } => {
                write!(f, "{primary} {mailbox} {serial} {refresh} {retry} {expire} {minimum}")
            }
            Self::Srv { priority, weight, port, target } => {
                write!(f, "{priority} {weight} {port} {target}")
            }
            Self::Txt(strings) => {
                for (index, string) in strings.iter().enumerate() {
                    f.write_str(if index == 0 { "" } else { " " })?;
                    quote(f, string)?;
                }
                Ok(())
            }
        }
    }
}

fn quote(f: &mut fmt::Formatter<'_>, string: &[u8]) -> fmt::Result {
    f.write_str("\"")?;
    for byte in string {
        write_escaped(f, *byte, matches!(byte, b' '..=b'~') && !b"\"\\".contains(byte))?;
    }
    f.write_str("\"")
}

/// A word of a zone file, its escapes not yet undone.
struct Word {
    text: String,
    quoted: bool,
}

impl Word {
    fn into_bytes(self) -> Result<Vec<u8>, DataRule> {
        let mut bytes = self.text.bytes();
        let mut plain = Vec::with_capacity(bytes.len());
        while let Some(byte) = bytes.next() {
            plain.push(if byte == b'\\' { unescape(&mut bytes)? } else { byte });
        }
        Ok(plain)
    }
}

fn words(text: &str) -> Result<Vec<Word>, DataRule> {
    let mut words = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches([' ', '\t']);
        if rest.is_empty() {
            return Ok(words);
        }
        let quoted = rest.starts_with('"');
        let body = if quoted { &rest[1..] } else { rest };
        let end = end_of_word(body, quoted).ok_or(DataRule::Quote)?;
        words.push(Word { text: body[..end].to_owned(), quoted });
        rest = &body[end + usize::from(quoted)..];
    }
}

/// Where the word at the beginning of `text` ends; `None` if a quote stays open.
fn end_of_word(text: &str, quoted: bool) -> Option<usize> {
    let mut escaped = false;
    for (at, character) in text.char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' if quoted => return Some(at),
            ' ' | '\t' | '"' if !quoted => return Some(at),
            _ => {}
        }
    }
    (!quoted).then_some(text.len())
}

struct Words {
    words: std::vec::IntoIter<Word>,
    record: RecordType,
}

impl Words {
    fn next(&mut self) -> Result<Word, DataRule> {
        self.words.next().ok_or(DataRule::Shape(self.record))
    }

    /// A word that is no quoted string.
    fn bare(&mut self) -> Result<String, DataRule> {
        let word = self.next()?;
        if word.quoted { Err(DataRule::Shape(self.record)) } else { Ok(word.text) }
    }

    fn parsed<T: FromStr>(&mut self) -> Result<T, DataRule> {
        let shape = DataRule::Shape(self.record);
        self.bare()?.parse().map_err(|_| shape)
    }

    fn name(&mut self) -> Result<DomainName, DataRule> {
        Ok(self.bare()?.parse()?)
    }

    fn string(&mut self) -> Result<Vec<u8>, DataRule> {
        self.next()?.into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use RecordType as T;

    #[test]
    fn data_in_many_spellings() {
        for (record, text, canonical) in [
            (T::A, "192.0.2.1", "192.0.2.1"),
            (T::Aaaa, "2001:DB8:0:0::1", "2001:db8::1"),
            (T::Mx, "10  Mail.Example.COM", "10 mail.example.com."),
            (T::Cname, "www.Example.com.", "www.example.com."),
            (T::Srv, "0 5 5060 sip.example.com", "0 5 5060 sip.example.com."),
            (T::Caa, "0 ISSUE letsencrypt.org", "0 issue \"letsencrypt.org\""),
            (T::Caa, "128 issue \";\"", "128 issue \";\""),
            (T::Soa, "a. B\\.c.d. 1 2 3 4 4294967295", "a. b\\.c.d. 1 2 3 4 4294967295"),
            (T::Txt, "v=spf1 \"x\" -all", "\"v=spf1 \\\"x\\\" -all\""),
            (T::Txt, "\"a\" \"b\\\"\\010é\"", "\"a\" \"b\\\"\\010\\195\\169\""),
            (T::Txt, "\"\"", "\"\""),
        ] {
            let data = RecordData::parse(record, text).expect(text);
            assert_eq!(data.to_string(), canonical, "{text}");
            assert_eq!(RecordData::parse(record, canonical), Ok(data), "{text}");
        }
    }

    #[test]
    fn texts_are_compared_joined() {
        let text = |text| RecordData::parse(T::Txt, text).expect(text);
        assert!(text("\"v=spf1 \" \"-all\"").same(&text("v=spf1 -all")));
        assert!(!text("\"v=spf1\" \"-all\"").same(&text("v=spf1 -all")));
    }

    #[test]
    fn what_is_no_data_says_what_is_wanted() {
        for (record, text) in [
            (T::A, "2001:db8::1"),
            (T::A, "192.0.2.1 192.0.2.2"),
            (T::A, ""),
            (T::Aaaa, "192.0.2.1"),
            (T::Mx, "mail.example.com"),
            (T::Mx, "65536 mail.example.com"),
            (T::Mx, "\"10\" mail.example.com"),
            (T::Srv, "0 5 5060"),
            (T::Soa, "a. b. 1 2 3 4"),
            (T::Soa, "a. b. 1 2 3 4 8h"),
            (T::Caa, "256 issue x"),
            (T::Txt, " "),
            (T::Txt, "\"open"),
            (T::Cname, "a..b"),
        ] {
            assert!(RecordData::parse(record, text).is_err(), "{text}");
        }
        assert_eq!(
            RecordData::parse(T::Mx, "x").expect_err("refused").to_string(),
            "must be the data of a record of type MX, such as 10 mail.example.com."
        );
    }
}
