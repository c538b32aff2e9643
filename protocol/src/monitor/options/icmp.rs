//! Section `icmp`.

use super::is_default;
use crate::duration::Span;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Options of `kind: icmp`: echo requests (RFC 792, RFC 4443).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct IcmpOptions {
    /// Requests of one check, 1 to 100.
    pub packets: u8,
    /// From one request to the next, 10ms to 10s. All of them must fit into the timeout.
    pub spacing: Span,
    /// Bytes of payload, 16 to 1472.
    pub size: u16,
    /// Time to live (hop limit); absent: the host's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl: Option<u8>,
    /// Forbid fragments on the way.
    #[serde(skip_serializing_if = "is_default")]
    pub dont_fragment: bool,
}

impl Default for IcmpOptions {
    fn default() -> Self {
        Self {
            packets: 3,
            spacing: Span(Duration::from_millis(200)),
            size: 56,
            ttl: None,
            dont_fragment: false,
        }
    }
}
