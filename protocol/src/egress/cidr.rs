//! A network in CIDR form: `10.0.0.0/8`, `fd00::/8`, or one address.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// A network. Made by parsing, so that no bit beyond the prefix is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cidr {
    address: IpAddr,
    prefix: u8,
}

/// Why a text is not a network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CidrError {
    #[error("must be an address and a prefix length, such as 10.0.0.0/8 or fd00::/8")]
    Shape,
    #[error("must have a prefix length of at most {0}")]
    Prefix(u8),
    #[error("must not have address bits beyond its prefix: write {0}")]
    HostBits(Cidr),
}

impl Cidr {
    pub(super) const fn v4(a: u8, b: u8, c: u8, d: u8, prefix: u8) -> Self {
        Self { address: IpAddr::V4(Ipv4Addr::new(a, b, c, d)), prefix }
    }

    pub(super) const fn v6(segments: [u16; 8], prefix: u8) -> Self {
        let [a, b, c, d, e, f, g, h] = segments;
        Self { address: IpAddr::V6(Ipv6Addr::new(a, b, c, d, e, f, g, h)), prefix }
    }

    /// The lowest address of the network.
    pub fn address(self) -> IpAddr {
        self.address
    }

    /// The number of leading bits that all its addresses share.
    pub fn prefix(self) -> u8 {
        self.prefix
    }

    /// Whether `address` lies in the network. Families do not mix: an
    /// IPv4-mapped address counts as the IPv4 address it reaches.
    pub fn contains(self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(net), IpAddr::V4(one)) => {
                (net.to_bits() ^ one.to_bits())
                    .checked_shr(32 - u32::from(self.prefix))
                    .unwrap_or(0)
                    == 0
            }
            (IpAddr::V6(net), IpAddr::V6(one)) => {
                (net.to_bits() ^ one.to_bits())
                    .checked_shr(128 - u32::from(self.prefix))
                    .unwrap_or(0)
                    == 0
            }
            _ => false,
        }
    }

    /// The network of `prefix` bits that `address` lies in.
    fn around(address: IpAddr, prefix: u8) -> Self {
        let address = match address {
            IpAddr::V4(one) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
                IpAddr::V4(Ipv4Addr::from_bits(one.to_bits() & mask))
            }
            IpAddr::V6(one) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
                IpAddr::V6(Ipv6Addr::from_bits(one.to_bits() & mask))
            }
        };
        Self { address, prefix }
    }
}

impl FromStr for Cidr {
    type Err = CidrError;

    fn from_str(text: &str) -> Result<Self, CidrError> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| CidrError::Shape)?;
        let bits = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => bits,
            Some(digits)
                if (1..=3).contains(&digits.len())
                    && digits.bytes().all(|b| b.is_ascii_digit())
                    && (digits == "0" || !digits.starts_with('0')) =>
            {
                digits.parse::<u8>().ok().filter(|p| *p <= bits).ok_or(CidrError::Prefix(bits))?
            }
            Some(_) => return Err(CidrError::Shape),
        };
        let network = Self::around(address, prefix);
        if network.address != address {
            return Err(CidrError::HostBits(network));
        }
        Ok(network.canonical())
    }
}

impl Cidr {
    /// `::ffff:10.0.0.0/104` is 10.0.0.0/8 by another name.
    fn canonical(self) -> Self {
        match (self.address.to_canonical(), self.prefix.checked_sub(96)) {
            (address @ IpAddr::V4(_), Some(prefix)) if self.address.is_ipv6() => {
                Self { address, prefix }
            }
            _ => self,
        }
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl Serialize for Cidr {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Cidr {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|rule| serde::de::Error::custom(format!("`{text}` {rule}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn texts_people_write() {
        for (text, shown) in [
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("192.0.2.7", "192.0.2.7/32"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("::/0", "::/0"),
            ("FD00::/8", "fd00::/8"),
            ("::1", "::1/128"),
            ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
        ] {
            assert_eq!(text.parse::<Cidr>().expect(text).to_string(), shown);
        }
    }

    #[test]
    fn each_mistake_has_its_own_sentence() {
        for text in [
            "",
            "/",
            "/8",
            "10/8",
            "10.0.0.0/",
            "10.0.0.0/-1",
            "10.0.0.0/+8",
            "10.0.0.0/08",
            "10.0.0.0/8/8",
            "010.0.0.0/8",
            "example.com",
            "fe80::1%eth0",
            " 10.0.0.0/8",
            "10.0.0.0/8 ",
        ] {
            assert_eq!(text.parse::<Cidr>(), Err(CidrError::Shape), "{text}");
        }
        assert_eq!("10.0.0.0/33".parse::<Cidr>(), Err(CidrError::Prefix(32)));
        assert_eq!("10.0.0.0/999".parse::<Cidr>(), Err(CidrError::Prefix(32)));
        assert_eq!("::/129".parse::<Cidr>(), Err(CidrError::Prefix(128)));
        let error = "10.1.2.3/8".parse::<Cidr>().expect_err("host bits");
        assert_eq!(
            error.to_string(),
            "must not have address bits beyond its prefix: write 10.0.0.0/8"
        );
    }

    #[test]
    fn membership_ends_where_the_prefix_says() {
        let net: Cidr = "172.16.0.0/12".parse().expect("a network");
        for (address, inside) in [
            ("172.16.0.0", true),
            ("172.31.255.255", true),
            ("172.15.255.255", false),
            ("172.32.0.0", false),
            ("::ffff:172.16.0.1", true),
            ("::ac10:1", false),
        ] {
            assert_eq!(net.contains(address.parse().expect("an address")), inside, "{address}");
        }
        let everything: Cidr = "::/0".parse().expect("a network");
        assert!(everything.contains("2001:db8::1".parse().expect("an address")));
        assert!(!everything.contains("10.0.0.1".parse().expect("an address")));
        assert!(!everything.contains("::ffff:10.0.0.1".parse().expect("an address")));
    }

    proptest! {
        #[test]
        fn the_network_around_an_address_holds_it(address: IpAddr, prefix in 0u8..=128) {
            let address = address.to_canonical();
            let prefix = if address.is_ipv4() { prefix.min(32) } else { prefix };
            let network = Cidr::around(address, prefix);
            prop_assert!(network.contains(address));
            prop_assert!(network.contains(network.address()));
            let reread: Cidr = network.to_string().parse().expect("its own text");
            if !(network.address().to_canonical().is_ipv4() && network.address().is_ipv6()) {
                prop_assert_eq!(reread, network);
            }
        }

        #[test]
        fn no_text_panics(text in ".{0,64}") {
            if let Ok(network) = text.parse::<Cidr>() {
                prop_assert!(network.contains(network.address()));
            }
        }
    }
}
