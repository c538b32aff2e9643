//! Section `network`.

use super::Problems;
use crate::egress::{self, AddressRule, EgressPolicy};
use crate::limits;
use crate::monitor::{Family, Kind, MonitorSpec};
use std::net::IpAddr;
use url::{Host, Url};

pub(super) fn check(spec: &MonitorSpec, found: &mut Problems) {
    check_family(spec, found);
    let network = &spec.network;
    if network.addresses.len() > limits::ADDRESSES {
        return found.unless(false, "network.addresses", "must be at most 16 addresses");
    }
    for (index, address) in network.addresses.iter().enumerate() {
        let field = format!("network.addresses[{index}]");
        found.unless(
            network.family.allows(*address),
            &field,
            format!("must be an {} address, as network.family says", shown(network.family)),
        );
        found.unless(!network.addresses[..index].contains(address), &field, "must not repeat");
        // Private addresses are each host's own affair; metadata is nobody's.
        let metadata = EgressPolicy::default().judge(*address);
        found.unless(
            !matches!(metadata, Err(AddressRule::Metadata(_))),
            &field,
            "must not be a cloud metadata service",
        );
    }
}

/// An address of the other family, written where it is connected to, could never be.
fn check_family(spec: &MonitorSpec, found: &mut Problems) {
    let family = spec.network.family;
    // Addresses that are given take the place of the host's own.
    let is_own = spec.network.addresses.is_empty();
    let http = (spec.kind == Kind::Http).then_some(&spec.http);
    let proxy = http.and_then(|http| http.proxy.as_deref());
    let server = spec.dns.server.as_deref().filter(|_| spec.kind == Kind::Dns && is_own);
    // What a proxy connects to is the proxy's affair, and a dns target is asked about.
    let target = (is_own && proxy.is_none() && spec.kind != Kind::Dns).then_some(&*spec.target);
    let proxy_url = |text| egress::parse_proxy(text).ok().map(|proxy| proxy.url);
    for (field, url) in [
        ("target", target.and_then(url)),
        ("http.proxy", proxy.and_then(proxy_url)),
        ("dns.server", server.and_then(url)),
    ] {
        let address: IpAddr = match url.as_ref().and_then(Url::host) {
            Some(Host::Ipv4(address)) => address.into(),
            Some(Host::Ipv6(address)) => address.into(),
            Some(Host::Domain(_)) | None => continue,
        };
        found.unless(
            family.allows(address),
            "network.family",
            format!("must allow the address that {field} names"),
        );
    }
}

/// A URL, or a host that may have a port.
fn url(text: &str) -> Option<Url> {
    if text.contains("://") {
        return egress::parse_url(text).ok();
    }
    egress::parse_endpoint(text).ok().map(|endpoint| endpoint.url)
}

fn shown(family: Family) -> &'static str {
    match family {
        Family::Any => "IP",
        Family::Ipv4 => "IPv4",
        Family::Ipv6 => "IPv6",
    }
}
