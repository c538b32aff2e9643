//! Reading a target that is no URL: `host`, `host:port`, `[address]:port`.
//!
//! The text goes through [`parse_url`] behind a scheme, so that a host means
//! the same here as in a URL: numbers in any base, full-width digits and
//! international names come out canonical, and are judged like any other.

use super::url_rule::{UrlRule, parse_url};
use url::{Host, Url};

/// A host and a port, judged as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// An `http` URL that holds the host and nothing else of use;
    /// [`super::EgressPolicy::judge_url_host`] takes it.
    pub url: Url,
    /// `None` where the text named none.
    pub port: Option<u16>,
}

/// Why a text is not an endpoint; reads well after the field's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EndpointRule {
    #[error(
        "must be a host or address with a port where one is needed, such as db.example.com:5432 or [2001:db8::1]:443, not a URL"
    )]
    NotEndpoint,
    #[error(transparent)]
    Url(#[from] UrlRule),
}

/// Reads `host` or `host:port`. A bare IPv6 address needs no brackets.
pub fn parse_endpoint(text: &str) -> Result<Endpoint, EndpointRule> {
    if text.contains(['/', '?', '#', '\\', '@']) {
        return Err(EndpointRule::NotEndpoint);
    }
    let bare_v6 = !text.starts_with('[') && text.matches(':').count() > 1;
    let (host, port) = match text.rsplit_once(':') {
        _ if bare_v6 => (format!("[{text}]"), None),
        Some((host, port)) if !text.ends_with(']') => (host.to_owned(), Some(port)),
        _ => (text.to_owned(), None),
    };
    let port = port.map(read_port).transpose()?;
    let url = parse_url(&format!("http://{host}/"))?;
    Ok(Endpoint { url, port })
}

/// Whether a certificate can be for `host`, so that TLS can be spoken with it: an
/// address, or a name of letters, digits, underscores and inner hyphens.
pub fn is_tls_host(host: &Host<&str>) -> bool {
    let Host::Domain(name) = host else { return true };
    let name = name.strip_suffix('.').unwrap_or(name);
    let lawful = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    name.split('.')
        .all(|label| !label.starts_with('-') && !label.ends_with('-') && label.bytes().all(lawful))
}

fn read_port(text: &str) -> Result<u16, UrlRule> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    match text.parse() {
        Ok(port) if digits && port > 0 => Ok(port),
        _ => Err(UrlRule::Port),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_ports_people_write() {
        for (text, host, port) in [
            ("db.example.com:5432", "db.example.com", Some(5432)),
            ("Example.com", "example.com", None),
            ("192.0.2.1:80", "192.0.2.1", Some(80)),
            ("2001:db8::1", "[2001:db8::1]", None),
            ("[2001:db8::1]:443", "[2001:db8::1]", Some(443)),
            ("0x7f000001:1", "127.0.0.1", Some(1)),
            ("localhost.", "localhost.", None),
        ] {
            let endpoint = parse_endpoint(text).expect(text);
            assert_eq!(endpoint.url.host_str(), Some(host), "{text}");
            assert_eq!(endpoint.port, port, "{text}");
        }
        for text in [
            "",
            ":80",
            "host:",
            "host:0",
            "host:65536",
            "host:+1",
            "http://host",
            "a@b:1",
            "a/b",
            "[fe80::1%25eth0]:1",
            "a b",
            "host:80:80",
            "a..b",
            "\u{0}",
        ] {
            assert!(parse_endpoint(text).is_err(), "{text:?}");
        }
    }
}
