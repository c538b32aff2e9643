//! Where a connection may go. One function for probes, webhooks, SMTP and OIDC.
//!
//! (skeleton: the rules are being written)

use std::net::IpAddr;
use url::Url;

/// Why a target URL is refused, as a rule for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlRule {
    #[error("must be an absolute http or https URL")]
    NotUrl,
    #[error("must have the scheme http or https")]
    Scheme,
    #[error("must not carry a user name or password")]
    UserInfo,
    #[error("must name a host")]
    Host,
    #[error("must not contain control characters or white space")]
    ControlCharacter,
}

/// Parses a target once, by WHATWG rules.
pub fn parse_url(text: &str) -> Result<Url, UrlRule> {
    let url = Url::parse(text).map_err(|_| UrlRule::NotUrl)?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(UrlRule::Scheme);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(UrlRule::UserInfo);
    }
    Ok(url)
}

/// A network in CIDR form, e.g. `10.0.0.0/8`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cidr {
    pub address: IpAddr,
    pub prefix: u8,
}

/// What a host allows beside the public internet. `[egress] allow` of both programs.
#[derive(Debug, Clone, Default)]
pub struct EgressPolicy {
    pub allow: Vec<Cidr>,
}

/// Why an address is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressRule {
    #[error("{0} is a cloud metadata address, which is never reached")]
    Metadata(IpAddr),
    #[error("{0} is not a public address and no [egress] allow entry lists it")]
    NotPublic(IpAddr),
}

impl EgressPolicy {
    /// Judges one address; literals and resolved addresses alike.
    pub fn judge(&self, address: IpAddr) -> Result<(), AddressRule> {
        let _ = address;
        Ok(())
    }
}
