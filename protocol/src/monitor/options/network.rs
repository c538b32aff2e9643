//! Section `network`: by which addresses a target is reached.

use super::is_default;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// How the target's address is chosen; for every kind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NetworkOptions {
    #[serde(skip_serializing_if = "is_default")]
    pub family: Family,
    /// Addresses to use for the target's host instead of looking it up. A
    /// redirect to another host is looked up all the same.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<String>))]
    pub addresses: Vec<IpAddr>,
}

/// Which addresses may be used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Family {
    /// IPv6 first, then IPv4.
    #[default]
    Any,
    Ipv4,
    Ipv6,
}

impl Family {
    /// Whether `address` may be used.
    pub fn allows(self, address: IpAddr) -> bool {
        match self {
            Self::Any => true,
            Self::Ipv4 => address.is_ipv4(),
            Self::Ipv6 => address.is_ipv6(),
        }
    }
}
