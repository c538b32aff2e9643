//! Reading the URL of a proxy.
//!
//! Unlike a target's, it may hold a user and a password. They are taken off the
//! text first; what is left is an endpoint like any other, and its host is judged
//! like any other.

use super::endpoint::{EndpointRule, parse_endpoint};
use crate::limits::PROXY_CREDENTIAL_BYTES;
use url::Url;

/// How a proxy is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyScheme {
    /// RFC 9110 in the clear.
    Http,
    /// The same over TLS.
    Https,
    /// RFC 1928.
    Socks5,
}

/// A proxy's URL, taken apart.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    pub scheme: ProxyScheme,
    /// Holds the host; [`super::EgressPolicy::judge_url_host`] takes it.
    pub url: Url,
    pub port: u16,
    /// User and password as they are meant, without percent signs.
    pub credentials: Option<(String, String)>,
}

impl std::fmt::Debug for Proxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let host = self.url.host_str().unwrap_or_default();
        write!(f, "Proxy({:?} {host}:{})", self.scheme, self.port)
    }
}

/// Why a text is no proxy; reads well after the field's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProxyRule {
    #[error(
        "must be http://, https:// or socks5:// with a host and a port, such as http://proxy.example.com:3128"
    )]
    NotProxy,
    #[error(
        "must have a user of 1 to 255 bytes without a colon and a password of 1 to 255 bytes, percent-encoded, without control characters"
    )]
    Credentials,
    #[error(transparent)]
    Endpoint(#[from] EndpointRule),
}

/// Reads `scheme://[user:password@]host:port`.
pub fn parse_proxy(text: &str) -> Result<Proxy, ProxyRule> {
    let (scheme, rest) = text.split_once("://").ok_or(ProxyRule::NotProxy)?;
    let scheme = match scheme.to_ascii_lowercase().as_str() {
        "http" => ProxyScheme::Http,
        "https" => ProxyScheme::Https,
        "socks5" => ProxyScheme::Socks5,
        _ => return Err(ProxyRule::NotProxy),
    };
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    let (credentials, endpoint) = match rest.rsplit_once('@') {
        Some((credentials, endpoint)) => (Some(read_credentials(credentials)?), endpoint),
        None => (None, rest),
    };
    let endpoint = parse_endpoint(endpoint)?;
    let port = endpoint.port.ok_or(ProxyRule::NotProxy)?;
    Ok(Proxy { scheme, url: endpoint.url, port, credentials })
}

fn read_credentials(text: &str) -> Result<(String, String), ProxyRule> {
    let (user, password) = text.split_once(':').ok_or(ProxyRule::Credentials)?;
    let lawful = |text: &str| {
        let text = percent_decode(text).ok_or(ProxyRule::Credentials)?;
        let fits = (1..=PROXY_CREDENTIAL_BYTES).contains(&text.len());
        if fits && !text.chars().any(char::is_control) {
            Ok(text)
        } else {
            Err(ProxyRule::Credentials)
        }
    };
    let (user, password) = (lawful(user)?, lawful(password)?);
    if user.contains(':') { Err(ProxyRule::Credentials) } else { Ok((user, password)) }
}

/// RFC 3986, section 2.1.
fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let (digits, after) = rest.split_at_checked(2)?;
        let mut byte = [0];
        hex::decode_to_slice(digits, &mut byte).ok()?;
        bytes.push(byte[0]);
        rest = after;
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proxies_people_write() {
        let credentials = |user: &str, password: &str| Some((user.to_owned(), password.to_owned()));
        for (text, scheme, host, port, says) in [
            ("http://proxy.test:3128", ProxyScheme::Http, "proxy.test", 3128, None),
            ("HTTPS://proxy.test:443/", ProxyScheme::Https, "proxy.test", 443, None),
            ("socks5://[2001:db8::1]:1080", ProxyScheme::Socks5, "[2001:db8::1]", 1080, None),
            ("http://u:p@10.0.0.1:1", ProxyScheme::Http, "10.0.0.1", 1, credentials("u", "p")),
            ("socks5://u:a%3a%40:b@h:1", ProxyScheme::Socks5, "h", 1, credentials("u", "a:@:b")),
        ] {
            let proxy = parse_proxy(text).expect(text);
            assert_eq!((proxy.scheme, proxy.port), (scheme, port), "{text}");
            assert_eq!(proxy.url.host_str(), Some(host), "{text}");
            assert_eq!(proxy.credentials, says, "{text}");
            assert!(!format!("{proxy:?}").contains("a:@"), "a password is never shown");
        }
    }

    #[test]
    fn what_is_no_proxy() {
        let long = format!("http://u:{}@h:1", "p".repeat(256));
        for text in [
            "",
            "proxy.test:3128",
            "ftp://proxy.test:21",
            "socks4://proxy.test:1080",
            "socks5h://proxy.test:1080",
            "http://proxy.test",
            "http://proxy.test:0",
            "http://:3128",
            "http://proxy.test:3128/path",
            "http://proxy.test:3128?x",
            "http://u@h:1",
            "http://:p@h:1",
            "http://u:@h:1",
            "http://u%3a:p@h:1",
            "http://u:%0d%0aX@h:1",
            "http://u:%zz@h:1",
            "http://u:%f@h:1",
            "http://u:%ff@h:1",
            &long,
        ] {
            assert!(parse_proxy(text).is_err(), "{text:?}");
        }
        // The last sign separates: the first belongs to the password.
        let odd = parse_proxy("http://u:p@h:1@i:2").expect("a proxy");
        assert_eq!((odd.url.host_str(), odd.port), (Some("i"), 2));
    }
}
