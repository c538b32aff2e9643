//! Networks: what addresses of one provider's site have in common.

use std::net::IpAddr;

/// The network of `address`: its /24, or its /48 (the usual assignment to one site,
/// RFC 6177).
pub fn network_of(address: &str) -> Option<String> {
    match address.parse().ok()? {
        IpAddr::V4(address) => {
            let [a, b, c, _] = address.octets();
            Some(format!("{a}.{b}.{c}.0/24"))
        }
        IpAddr::V6(address) => match address.to_ipv4_mapped() {
            Some(mapped) => network_of(&mapped.to_string()),
            None => {
                let [a, b, c, ..] = address.segments();
                let network = std::net::Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0);
                Some(format!("{network}/48"))
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_in_one_network() {
        assert_eq!(network_of("192.0.2.7").as_deref(), Some("192.0.2.0/24"));
        assert_eq!(network_of("::ffff:192.0.2.7"), network_of("192.0.2.8"));
        assert_eq!(network_of("2001:db8:1:2::3").as_deref(), Some("2001:db8:1::/48"));
        assert_eq!(network_of("edge.example.com"), None);
    }
}
