//! What an address stands for: public, special-purpose, a metadata service, or
//! a wrapping of some IPv4 address.
//!
//! The ranges are IANA's special-purpose registries (RFC 6890 and successors)
//! and what clouds document. The standard library's `is_private` and friends are not
//! used: they follow the registries of the compiler's day and miss what is
//! dangerous rather than reserved.

use super::cidr::Cidr;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// IPv4 ranges that are not global unicast.
const SPECIAL_V4: [Cidr; 15] = [
    Cidr::v4(0, 0, 0, 0, 8),       // this network
    Cidr::v4(10, 0, 0, 0, 8),      // private
    Cidr::v4(100, 64, 0, 0, 10),   // carrier-grade NAT
    Cidr::v4(127, 0, 0, 0, 8),     // loopback
    Cidr::v4(169, 254, 0, 0, 16),  // link-local
    Cidr::v4(172, 16, 0, 0, 12),   // private
    Cidr::v4(192, 0, 0, 0, 24),    // protocol assignments
    Cidr::v4(192, 0, 2, 0, 24),    // documentation
    Cidr::v4(192, 88, 99, 0, 24),  // 6to4 relays, deprecated
    Cidr::v4(192, 168, 0, 0, 16),  // private
    Cidr::v4(198, 18, 0, 0, 15),   // benchmarking
    Cidr::v4(198, 51, 100, 0, 24), // documentation
    Cidr::v4(203, 0, 113, 0, 24),  // documentation
    Cidr::v4(224, 0, 0, 0, 4),     // multicast
    Cidr::v4(240, 0, 0, 0, 4),     // reserved, broadcast
];

/// What IANA has allocated as IPv6 global unicast.
const GLOBAL_V6: Cidr = Cidr::v6([0x2000, 0, 0, 0, 0, 0, 0, 0], 3);

/// Ranges within [`GLOBAL_V6`] that are not ordinary destinations. Everything
/// outside it (loopback, link-local, site-local, unique local, multicast,
/// discard, segment routing) is special already.
const SPECIAL_V6: [Cidr; 4] = [
    Cidr::v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 23), // protocol assignments, Teredo, ORCHID
    Cidr::v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32), // documentation
    Cidr::v6([0x2002, 0, 0, 0, 0, 0, 0, 0], 16), // 6to4
    Cidr::v6([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20), // documentation
];

/// Services that hand an instance its credentials or configuration.
const METADATA: [IpAddr; 11] = [
    v4(169, 254, 169, 254),                      // most clouds
    v4(169, 254, 170, 2),                        // AWS ECS task credentials
    v4(169, 254, 170, 23),                       // AWS EKS pod identity
    v4(169, 254, 0, 23),                         // Tencent
    v4(168, 63, 129, 16),                        // Azure wire server; in public address space
    v4(192, 0, 0, 192),                          // Oracle
    v4(100, 100, 100, 200),                      // Alibaba
    v6([0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254]),   // AWS
    v6([0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23]),    // AWS EKS pod identity
    v6([0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254]),    // Google
    v6([0xfe80, 0, 0, 0, 0, 0, 0xa9fe, 0xa9fe]), // OpenStack
];

/// Names that resolve to a metadata service inside a cloud.
const METADATA_NAMES: [&str; 4] = [
    "metadata.google.internal",
    "metadata.goog",
    "metadata.tencentyun.com",
    "instance-data.ec2.internal",
];

const fn v4(a: u8, b: u8, c: u8, d: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(a, b, c, d))
}

const fn v6(segments: [u16; 8]) -> IpAddr {
    let [a, b, c, d, e, f, g, h] = segments;
    IpAddr::V6(Ipv6Addr::new(a, b, c, d, e, f, g, h))
}

/// Whether `address`, or an IPv4 address wrapped in it, is a metadata service.
pub(super) fn is_metadata(address: IpAddr) -> bool {
    let listed = |one: IpAddr| METADATA.contains(&one);
    match address {
        IpAddr::V4(_) => listed(address),
        IpAddr::V6(outer) => {
            listed(address) || wrapped(outer).any(|inner| listed(IpAddr::V4(inner)))
        }
    }
}

/// Whether `name` (lower case) is a metadata service's.
pub(super) fn is_metadata_name(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    METADATA_NAMES.contains(&name)
}

/// Whether `address` is an ordinary destination on the public internet, and
/// every IPv4 address wrapped in it is one too.
pub(super) fn is_public(address: IpAddr) -> bool {
    let outer = match address {
        IpAddr::V4(one) => return is_public_v4(one),
        IpAddr::V6(outer) => outer,
    };
    // Two wrappings lead to the IPv4 internet itself: mapped, and a translator (DNS64).
    let leads_to_v4 = outer.to_ipv4_mapped().is_some() || NAT64.contains(address);
    let ordinary = GLOBAL_V6.contains(address) && !SPECIAL_V6.iter().any(|n| n.contains(address));
    (leads_to_v4 || ordinary) && wrapped(outer).all(is_public_v4)
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    !SPECIAL_V4.iter().any(|network| network.contains(IpAddr::V4(address)))
}

const NAT64: Cidr = Cidr::v6([0x64, 0xff9b, 0, 0, 0, 0, 0, 0], 96);
const NAT64_LOCAL: Cidr = Cidr::v6([0x64, 0xff9b, 1, 0, 0, 0, 0, 0], 48);
const SIX_TO_FOUR: Cidr = Cidr::v6([0x2002, 0, 0, 0, 0, 0, 0, 0], 16);
const TEREDO: Cidr = Cidr::v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 32);
const COMPATIBLE: Cidr = Cidr::v6([0; 8], 96);

/// The IPv4 addresses that a packet to `outer` may end at.
fn wrapped(outer: Ipv6Addr) -> impl Iterator<Item = Ipv4Addr> {
    let bits = outer.to_bits();
    let at = |shift: u32| Ipv4Addr::from_bits(low32(bits >> shift));
    let within = |network: Cidr| network.contains(IpAddr::V6(outer));
    let isatap = matches!((bits >> 32) as u32, 0x0000_5efe | 0x0200_5efe);
    let low = outer.to_ipv4_mapped().is_some() || within(COMPATIBLE) || within(NAT64) || isatap;
    let local = within(NAT64_LOCAL);
    // RFC 6052 lays the address around a zero octet, at a place that depends
    // on the operator's prefix length; all of them are looked at.
    let split = |high: u32, high_bits: u32, rest: u32| {
        let head = low32(bits >> high) & low32((1u128 << high_bits) - 1);
        let tail = low32(bits >> rest) & low32((1u128 << (32 - high_bits)) - 1);
        Ipv4Addr::from_bits((head << (32 - high_bits)) | tail)
    };
    [
        (low || local).then(|| at(0)),
        local.then(|| split(64, 16, 40)),
        local.then(|| split(64, 8, 32)),
        local.then(|| at(24)),
        within(SIX_TO_FOUR).then(|| at(80)),
        within(TEREDO).then(|| at(64)),
        within(TEREDO).then(|| Ipv4Addr::from_bits(!low32(bits))),
    ]
    .into_iter()
    .flatten()
}

/// The lowest 32 bits.
const fn low32(bits: u128) -> u32 {
    (bits & 0xffff_ffff) as u32
}
