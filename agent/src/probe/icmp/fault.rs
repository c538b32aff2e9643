//! The error messages that a request may be answered with, in words.

use super::packet::Version;
use std::fmt;

/// Type and code of an ICMP error message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) version: Version,
    pub(super) kind: u8,
    pub(super) code: u8,
}

impl Fault {
    /// `None` for messages that do not say that a packet was lost, such as redirects.
    pub(super) fn new(version: Version, kind: u8, code: u8) -> Option<Self> {
        let lost = match version {
            Version::V4 => matches!(kind, 3 | 11 | 12),
            Version::V6 => (1..=4).contains(&kind),
        };
        lost.then_some(Self { version, kind, code })
    }

    /// As in IANA's registries of ICMP and ICMPv6 parameters.
    fn words(self) -> &'static str {
        match (self.version, self.kind, self.code) {
            (Version::V4, 3, 0 | 6) => "the network is unreachable",
            (Version::V4, 3, 1 | 7) => "the host is unreachable",
            (Version::V4, 3, 2) => "the protocol is unreachable",
            (Version::V4, 3, 3) => "the port is unreachable",
            (Version::V4, 3, 4) => "the packet must be fragmented, but may not be",
            (Version::V4, 3, 5) => "the source route failed",
            (Version::V4, 3, 8) => "the source is isolated",
            (Version::V4, 3, 9) => "the network is administratively prohibited",
            (Version::V4, 3, 10) => "the host is administratively prohibited",
            (Version::V4, 3, 11) => "the network is unreachable for this type of service",
            (Version::V4, 3, 12) => "the host is unreachable for this type of service",
            (Version::V4, 3, 13) | (Version::V6, 1, 1) => {
                "communication is administratively prohibited"
            }
            (Version::V4, 3, 14) => "the precedence is not permitted",
            (Version::V4, 3, 15) => "the precedence is too low",
            (Version::V4, 11, 0) => "the time to live was exceeded on the way",
            (Version::V4, 11, _) | (Version::V6, 3, 1) => "fragments were missing for too long",
            (Version::V6, 1, 0) => "there is no route to the destination",
            (Version::V6, 1, 2) => "the destination is beyond the scope of the source address",
            (Version::V6, 1, 3) => "the address is unreachable",
            (Version::V6, 1, 4) => "the port is unreachable",
            (Version::V6, 1, 5) => "the source address failed a policy",
            (Version::V6, 1, 6) => "the route to the destination rejects packets",
            (Version::V6, 2, _) => "the packet is too big for the way",
            (Version::V6, 3, _) => "the hop limit was exceeded on the way",
            (Version::V4, 12, _) | (Version::V6, 4, _) => "the packet's header is faulty",
            _ => "the destination is unreachable",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.version {
            Version::V4 => "ICMP",
            Version::V6 => "ICMPv6",
        };
        write!(f, "{} ({name} type {}, code {})", self.words(), self.kind, self.code)
    }
}
