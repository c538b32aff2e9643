//! What a check learnt beside its outcome and phases, by kind.
//!
//! On the wire and in the store these are the encoded `wire::Details`; the API
//! shows them as this crate's own types, as JSON.

use crate::limits::{DETAIL_ANSWERS, DETAIL_TEXT_BYTES};
use crate::wire;
use serde::Serialize;

/// Facts of one check. A kind that says nothing leaves its part out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Details {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http: Option<HttpFacts>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsFacts>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dns: Option<DnsFacts>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub icmp: Option<IcmpFacts>,
}

/// Of the last answer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HttpFacts {
    /// `1.0`, `1.1`, `2` or `3`.
    pub version: String,
}

/// Of the handshake whose certificate expires first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TlsFacts {
    /// `1.2` or `1.3`.
    pub version: String,
    /// IANA's name, such as `TLS_AES_128_GCM_SHA256`.
    pub cipher: String,
    /// SHA-256 of the leaf certificate, 64 hex digits.
    pub fingerprint: String,
    /// When the leaf expires, Unix seconds.
    pub leaf_expires_s: i64,
    /// When the first certificate expires that the leaf depends on, or the leaf itself, Unix seconds.
    pub chain_expires_s: i64,
    /// Whose that is, if not the leaf's; for the agent's own messages, so not on the wire.
    #[serde(skip)]
    pub chain_subject: String,
    /// Common name or first alternative name of the leaf.
    pub subject: String,
    /// Common name of its issuer.
    pub issuer: String,
}

/// Of the answer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DnsFacts {
    /// IANA's name, such as `NXDOMAIN`.
    pub rcode: String,
    /// Data of the records of the type asked for, sorted; the first 32 of them.
    pub answers: Vec<String>,
    /// The lowest TTL among them, seconds.
    pub ttl_s: Option<u32>,
    pub authoritative: bool,
    /// The answer over UDP was cut, and asked for again over TCP.
    pub truncated: bool,
}

/// Of all echo requests of a check. Round trips in microseconds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct IcmpFacts {
    pub sent: u32,
    pub received: u32,
    pub min_us: Option<u64>,
    pub mean_us: Option<u64>,
    pub max_us: Option<u64>,
    /// Mean difference from one round trip to the next (RFC 3393 without its sign).
    pub jitter_us: Option<u64>,
}

impl IcmpFacts {
    /// Percent of the requests that stayed unanswered, rounded up.
    pub fn loss_percent(&self) -> u32 {
        match self.sent {
            0 => 0,
            sent => (sent.saturating_sub(self.received) * 100).div_ceil(sent),
        }
    }
}

impl Details {
    /// As on the wire, every text and list cut to its limit.
    pub fn to_wire(&self) -> wire::Details {
        wire::Details {
            http_version: self.http.as_ref().map(|http| cut(&http.version)).unwrap_or_default(),
            tls: self.tls.as_ref().map(|tls| wire::TlsDetails {
                version: cut(&tls.version),
                cipher: cut(&tls.cipher),
                fingerprint: hex::decode(&tls.fingerprint).unwrap_or_default().into(),
                leaf_expires_s: tls.leaf_expires_s,
                chain_expires_s: tls.chain_expires_s,
                subject: cut(&tls.subject),
                issuer: cut(&tls.issuer),
            }),
            dns: self.dns.as_ref().map(|dns| wire::DnsDetails {
                rcode: cut(&dns.rcode),
                answers: dns.answers.iter().take(DETAIL_ANSWERS).map(|data| cut(data)).collect(),
                ttl_s: dns.ttl_s,
                authoritative: dns.authoritative,
                truncated: dns.truncated,
            }),
            icmp: self.icmp.as_ref().map(|icmp| wire::IcmpDetails {
                sent: icmp.sent,
                received: icmp.received,
                min_us: icmp.min_us,
                mean_us: icmp.mean_us,
                max_us: icmp.max_us,
                jitter_us: icmp.jitter_us,
            }),
        }
    }

    /// From the wire; what an agent sent beyond the limits is cut.
    pub fn from_wire(details: &wire::Details) -> Self {
        Self {
            http: (!details.http_version.is_empty())
                .then(|| HttpFacts { version: cut(&details.http_version) }),
            tls: details.tls.as_ref().map(|tls| TlsFacts {
                version: cut(&tls.version),
                cipher: cut(&tls.cipher),
                fingerprint: hex::encode(&tls.fingerprint[..tls.fingerprint.len().min(32)]),
                leaf_expires_s: tls.leaf_expires_s,
                chain_expires_s: tls.chain_expires_s,
                chain_subject: String::new(),
                subject: cut(&tls.subject),
                issuer: cut(&tls.issuer),
            }),
            dns: details.dns.as_ref().map(|dns| DnsFacts {
                rcode: cut(&dns.rcode),
                answers: dns.answers.iter().take(DETAIL_ANSWERS).map(|data| cut(data)).collect(),
                ttl_s: dns.ttl_s,
                authoritative: dns.authoritative,
                truncated: dns.truncated,
            }),
            icmp: details.icmp.as_ref().map(|icmp| IcmpFacts {
                sent: icmp.sent,
                received: icmp.received,
                min_us: icmp.min_us,
                mean_us: icmp.mean_us,
                max_us: icmp.max_us,
                jitter_us: icmp.jitter_us,
            }),
        }
    }
}

/// The beginning of `text`, whole characters, without control characters.
fn cut(text: &str) -> String {
    let end = text.floor_char_boundary(DETAIL_TEXT_BYTES);
    text[..end].chars().filter(|c| !c.is_control()).collect()
}
