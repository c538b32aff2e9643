//! `[mail] smtp_url`: which server, how it is encrypted, and who we are to it.
//!
//! `smtps://host` speaks TLS from the first byte (port 465). `smtp://host` speaks
//! plainly (port 25) unless `?tls=required` (STARTTLS or nothing) or
//! `?tls=opportunistic` (where it is offered). A name and password in the URL
//! are only sent under TLS, or to this machine itself.

use lettre::transport::smtp::authentication::Credentials;
use std::net::IpAddr;
use url::{Host, Url};

/// Why an SMTP URL is not usable; reads well after the setting's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SmtpUrlRule {
    #[error("must be smtp://host:port or smtps://host:port")]
    NotUrl,
    #[error("may have tls=required, tls=opportunistic or tls=none, and nothing else after `?`")]
    Query,
    #[error("must not carry a password without TLS: use smtps:// or ?tls=required")]
    PlainPassword,
    #[error("must have percent-encoded UTF-8 in its user name and password")]
    Encoding,
}

/// When TLS begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tls {
    Never,
    IfOffered,
    Upgraded,
    FromTheStart,
}

#[derive(Clone)]
pub(super) struct SmtpServer {
    pub(super) url: Url,
    pub(super) port: u16,
    pub(super) tls: Tls,
    pub(super) credentials: Option<Credentials>,
}

impl std::fmt::Debug for SmtpServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SmtpServer({}:{}, {:?})", self.host(), self.port, self.tls)
    }
}

impl SmtpServer {
    pub(super) fn parse(text: &str) -> Result<Self, SmtpUrlRule> {
        let url = Url::parse(text).map_err(|_| SmtpUrlRule::NotUrl)?;
        if !matches!(url.scheme(), "smtp" | "smtps") || url.host().is_none() {
            return Err(SmtpUrlRule::NotUrl);
        }
        let tls = tls(&url)?;
        let credentials = credentials(&url)?;
        if credentials.is_some() && matches!(tls, Tls::Never | Tls::IfOffered) && !is_here(&url) {
            return Err(SmtpUrlRule::PlainPassword);
        }
        let port = url.port().unwrap_or(if url.scheme() == "smtps" { 465 } else { 25 });
        Ok(Self { url, port, tls, credentials })
    }

    pub(super) fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default()
    }
}

fn tls(url: &Url) -> Result<Tls, SmtpUrlRule> {
    let mut pairs = url.query_pairs();
    let first = pairs.next();
    if pairs.next().is_some() {
        return Err(SmtpUrlRule::Query);
    }
    match (url.scheme(), first.as_ref().map(|(key, value)| (&**key, &**value))) {
        ("smtps", None | Some(("tls", "required"))) => Ok(Tls::FromTheStart),
        ("smtp", None | Some(("tls", "none"))) => Ok(Tls::Never),
        ("smtp", Some(("tls", "required"))) => Ok(Tls::Upgraded),
        ("smtp", Some(("tls", "opportunistic"))) => Ok(Tls::IfOffered),
        _ => Err(SmtpUrlRule::Query),
    }
}

fn credentials(url: &Url) -> Result<Option<Credentials>, SmtpUrlRule> {
    let Some(password) = url.password() else { return Ok(None) };
    Ok(Some(Credentials::new(percent_decoded(url.username())?, percent_decoded(password)?)))
}

/// Loopback, where nobody listens in between. The URL's scheme is not one that
/// the URL standard parses hosts of, so an address may come as a name.
fn is_here(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain("localhost")) => true,
        Some(Host::Domain(name)) => name.parse().is_ok_and(|a: IpAddr| a.is_loopback()),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

fn percent_decoded(text: &str) -> Result<String, SmtpUrlRule> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let (digits, tail) = rest.split_at_checked(2).ok_or(SmtpUrlRule::Encoding)?;
        let digits = std::str::from_utf8(digits).map_err(|_| SmtpUrlRule::Encoding)?;
        bytes.push(u8::from_str_radix(digits, 16).map_err(|_| SmtpUrlRule::Encoding)?);
        rest = tail;
    }
    String::from_utf8(bytes).map_err(|_| SmtpUrlRule::Encoding)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_url_says() {
        for (text, port, tls) in [
            ("smtp://127.0.0.1:2525", 2525, Tls::Never),
            ("smtp://mail.example.com", 25, Tls::Never),
            ("smtp://mail.example.com:587?tls=required", 587, Tls::Upgraded),
            ("smtp://mail.example.com?tls=opportunistic", 25, Tls::IfOffered),
            ("smtps://mail.example.com", 465, Tls::FromTheStart),
            ("smtp://u:p@127.0.0.1", 25, Tls::Never),
            ("smtp://u:p@[::1]:26", 26, Tls::Never),
            ("smtps://u%40example.com:p%25@mail.example.com", 465, Tls::FromTheStart),
        ] {
            let server = SmtpServer::parse(text).unwrap_or_else(|rule| panic!("{text} {rule}"));
            assert_eq!((server.port, server.tls), (port, tls), "{text}");
            assert_eq!(server.credentials.is_some(), text.contains('@'), "{text}");
        }
    }

    #[test]
    fn what_a_url_must_not_say() {
        for (text, rule) in [
            ("mail.example.com", SmtpUrlRule::NotUrl),
            ("http://mail.example.com", SmtpUrlRule::NotUrl),
            ("smtp://", SmtpUrlRule::NotUrl),
            ("smtp://mail.example.com?tls=maybe", SmtpUrlRule::Query),
            ("smtps://mail.example.com?tls=none", SmtpUrlRule::Query),
            ("smtp://mail.example.com?tls=none&x=1", SmtpUrlRule::Query),
            ("smtp://u:p@mail.example.com", SmtpUrlRule::PlainPassword),
            ("smtp://u:p@mail.example.com?tls=opportunistic", SmtpUrlRule::PlainPassword),
            ("smtps://u:%zz@mail.example.com", SmtpUrlRule::Encoding),
            ("smtps://u:%ff@mail.example.com", SmtpUrlRule::Encoding),
        ] {
            assert_eq!(SmtpServer::parse(text).err(), Some(rule), "{text}");
        }
        assert_eq!(percent_decoded("a%40b%25"), Ok("a@b%".to_owned()));
    }
}
