//! Section `network`.

use super::Problems;
use crate::egress::{AddressRule, EgressPolicy};
use crate::limits;
use crate::monitor::{Family, MonitorSpec};

pub(super) fn check(spec: &MonitorSpec, found: &mut Problems) {
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

fn shown(family: Family) -> &'static str {
    match family {
        Family::Any => "IP",
        Family::Ipv4 => "IPv4",
        Family::Ipv6 => "IPv6",
    }
}
