//! Sections `expect` and `warn`: what must be seen, and what had better be.
//!
//! A field belongs to the kinds named in its comment and is refused for others.

use super::options::is_default;
use super::status::StatusRange;
use crate::duration::Span;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What must be seen; missed is a failure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Expect {
    /// http: `"204"` or `"200-299"`.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<String>, example = json!(["200-299"])))]
    pub status: Vec<StatusRange>,
    /// The phases together must not take longer (icmp: the lookup and the mean round trip).
    pub latency: Option<Span>,
    /// http: a substring of the answer's body.
    pub body: Option<String>,
    /// The leaf certificate must be good for at least this many days.
    pub certificate_days: Option<u32>,
    /// http: a text that the body must not hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body_without: Option<String>,
    /// http: a regular expression that the body must match somewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body_regex: Option<String>,
    /// http: headers by name, each with a regular expression for its value.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// The certificate, and every one that it depends on, must be good for at least this many days.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chain_days: Option<u32>,
    /// icmp: percent of requests that may stay unanswered, 0 to 99; absent: all but one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loss: Option<u8>,
    /// icmp: how much round trips may vary, as the mean difference from one to the next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jitter: Option<Span>,
    /// dns: response codes, such as `NOERROR` (the default) or `NXDOMAIN`, any of which will do.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rcode: Vec<String>,
    /// dns: data of records, as in a zone file, that must be among the answers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub answers: Vec<String>,
    /// dns: and no other answers may be there.
    #[serde(skip_serializing_if = "is_default")]
    pub answers_only: bool,
    /// dns: every answer must be good for at least this long.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl: Option<Span>,
    /// dns: the server must (or must not) speak with authority (AA).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authoritative: Option<bool>,
    /// dns: data of records that must be in the authority section.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub authority: Vec<String>,
}

/// What should not be crossed; crossed is `degraded`. Fields as in [`Expect`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Warn {
    pub latency: Option<Span>,
    pub certificate_days: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chain_days: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loss: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jitter: Option<Span>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl: Option<Span>,
}

impl Default for Expect {
    fn default() -> Self {
        Self {
            status: vec![StatusRange { first: 200, last: 299 }],
            latency: None,
            body: None,
            certificate_days: None,
            body_without: None,
            body_regex: None,
            headers: BTreeMap::new(),
            chain_days: None,
            loss: None,
            jitter: None,
            rcode: Vec::new(),
            answers: Vec::new(),
            answers_only: false,
            ttl: None,
            authoritative: None,
            authority: Vec::new(),
        }
    }
}
