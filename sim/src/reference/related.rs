//! What targets have in common, by hand: a provider's site or network.

use crate::world::cast::{Cast, MonitorIndex};
use std::collections::BTreeSet;

/// As many unrelated targets tell an agent's own fault from theirs.
pub(super) const ENOUGH: usize = 3;

/// How many of these targets share neither site nor network.
pub(super) fn unrelated(cast: &Cast, monitors: &[MonitorIndex]) -> usize {
    let of = |monitor: &MonitorIndex| &cast.monitors[*monitor].monitor;
    let sites: BTreeSet<String> = monitors.iter().map(|it| site(&of(it).host)).collect();
    let networks: BTreeSet<&str> = monitors.iter().map(|it| network(&of(it).address)).collect();
    sites.len().min(networks.len())
}

/// The last two labels of a name; an address stands for itself.
fn site(host: &str) -> String {
    if host.parse::<std::net::IpAddr>().is_ok() {
        return host.to_owned();
    }
    let labels: Vec<&str> = host.split('.').collect();
    labels[labels.len().saturating_sub(2)..].join(".")
}

/// The first three numbers of an address.
fn network(address: &str) -> &str {
    address.rfind('.').map_or(address, |end| &address[..end])
}
