//! Section `dns`.

use super::is_default;
use serde::{Deserialize, Serialize};

/// Options of `kind: dns`. The target is the name to ask for (an address, for PTR).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DnsOptions {
    pub record: RecordType,
    /// Name or address, with a port where it is not the transport's own; for
    /// `https` also a URL. Absent: the system's name servers, in their order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    #[serde(skip_serializing_if = "is_default")]
    pub transport: DnsTransport,
    /// Whether the server is asked to look further (RD).
    #[serde(skip_serializing_if = "is_true")]
    pub recursion: bool,
}

/// What is asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum RecordType {
    #[default]
    A,
    Aaaa,
    Caa,
    Cname,
    Mx,
    Ns,
    Ptr,
    Soa,
    Srv,
    Txt,
}

impl RecordType {
    /// The word in a zone file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::Aaaa => "AAAA",
            Self::Caa => "CAA",
            Self::Cname => "CNAME",
            Self::Mx => "MX",
            Self::Ns => "NS",
            Self::Ptr => "PTR",
            Self::Soa => "SOA",
            Self::Srv => "SRV",
            Self::Txt => "TXT",
        }
    }
}

/// How the server is asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum DnsTransport {
    /// With TCP where the answer is truncated.
    #[default]
    Udp,
    Tcp,
    /// RFC 7858, port 853.
    Tls,
    /// RFC 8484, port 443, path `/dns-query`.
    Https,
    /// RFC 9250, port 853.
    Quic,
}

impl DnsTransport {
    /// The port where the server names none.
    pub fn port(self) -> u16 {
        match self {
            Self::Udp | Self::Tcp => 53,
            Self::Tls | Self::Quic => 853,
            Self::Https => 443,
        }
    }

    /// Whether TLS is spoken.
    pub fn is_encrypted(self) -> bool {
        matches!(self, Self::Tls | Self::Https | Self::Quic)
    }
}

impl Default for DnsOptions {
    fn default() -> Self {
        Self { record: RecordType::A, server: None, transport: DnsTransport::Udp, recursion: true }
    }
}

fn is_true(value: &bool) -> bool {
    *value
}
