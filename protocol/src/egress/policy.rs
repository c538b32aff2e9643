//! The host's word on where its connections may go.

use super::address;
use super::cidr::Cidr;
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use url::{Host, Url};

/// What a host allows beside the public internet: `[egress]` of every program.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EgressPolicy {
    /// Networks besides the public ones, e.g. `["10.0.0.0/8", "::1"]`.
    pub allow: Vec<Cidr>,
}

/// Why a destination is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressRule {
    #[error("{0} is a cloud metadata address, which is never reached")]
    Metadata(IpAddr),
    #[error("{0} is the name of a cloud metadata service, which is never reached")]
    MetadataName(String),
    #[error("{0} is not a public address and no [egress] allow entry lists it")]
    NotPublic(IpAddr),
}

/// What a URL's host is, once judged as far as that goes without the network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// Addresses that may be connected to: of a literal, or of `localhost`.
    Addresses(Vec<IpAddr>),
    /// A name to resolve; each of its addresses has to be judged.
    Name(String),
}

impl EgressPolicy {
    /// Judges one address, literals and resolved ones alike. Public addresses
    /// pass, others only where `allow` lists them, metadata addresses never.
    pub fn judge(&self, address: IpAddr) -> Result<(), AddressRule> {
        if address::is_metadata(address) {
            return Err(AddressRule::Metadata(address));
        }
        if address::is_public(address) || self.allow.iter().any(|net| net.contains(address)) {
            return Ok(());
        }
        Err(AddressRule::NotPublic(address))
    }

    /// Judges all the answers for one name: a single bad one refuses them all,
    /// because a name that mixes public and internal addresses is an attack or
    /// a mistake, and the order of answers must not decide which.
    pub fn judge_all(&self, addresses: &[IpAddr]) -> Result<(), AddressRule> {
        addresses.iter().try_for_each(|address| self.judge(*address))
    }

    /// Judges the host of a URL that [`super::parse_url`] returned.
    /// `localhost` and names under it stand for loopback (RFC 6761) and are
    /// never looked up; of its two addresses, those that pass are kept.
    pub fn judge_url_host(&self, url: &Url) -> Result<Destination, AddressRule> {
        let literal =
            |address: IpAddr| self.judge(address).map(|()| Destination::Addresses(vec![address]));
        match url.host() {
            Some(Host::Ipv4(address)) => literal(IpAddr::V4(address)),
            Some(Host::Ipv6(address)) => literal(IpAddr::V6(address)),
            Some(Host::Domain(name)) if address::is_metadata_name(name) => {
                Err(AddressRule::MetadataName(name.to_owned()))
            }
            Some(Host::Domain(name)) if is_localhost(name) => self.judge_localhost(),
            Some(Host::Domain(name)) => Ok(Destination::Name(name.to_owned())),
            None => Ok(Destination::Name(String::new())),
        }
    }

    fn judge_localhost(&self) -> Result<Destination, AddressRule> {
        let v4 = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let both = [IpAddr::V6(Ipv6Addr::LOCALHOST), v4];
        let kept: Vec<IpAddr> = both.into_iter().filter(|a| self.judge(*a).is_ok()).collect();
        if kept.is_empty() {
            Err(AddressRule::NotPublic(v4))
        } else {
            Ok(Destination::Addresses(kept))
        }
    }
}

fn is_localhost(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    name == "localhost" || name.ends_with(".localhost")
}
