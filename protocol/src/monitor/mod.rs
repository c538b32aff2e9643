//! Step 1: what somebody wants watched.
//!
//! One schema serves REST JSON, YAML files, the console and the agents.
//! Unknown fields are refused everywhere: a misspelt `timeuot` must not turn
//! into a default that nobody chose. Shape is judged by serde, meaning by
//! [`MonitorSpec::check`], which names every broken rule at once.
//!
//! To add a kind: a variant of [`Kind`], a section with its options in
//! `options/`, its rules in `check/`, and a probe of the same name under
//! `agent/src/probe/`.

mod check;
mod expect;
mod host;
mod options;
mod shape;
mod status;

use crate::duration::Span;
use crate::problem::FieldProblem;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

pub use check::is_slug;
pub use expect::{Expect, Warn};
use options::is_default;
pub use options::{
    Auth, Basic, DnsOptions, DnsTransport, Family, HttpOptions, HttpVersion, IcmpOptions, Method,
    NetworkOptions, RecordType, StartTls, Step, TcpOptions, TlsOptions, TlsVersion,
};
pub use shape::read as read_shape;
pub use status::StatusRange;

/// A monitor as people write it. Every field but `name` and `target` has a default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MonitorSpec {
    /// Slug, unique in the organisation: `a-z 0-9 -`, at most 63.
    pub name: String,
    #[serde(default)]
    pub kind: Kind,
    /// URL, host:port or name, as the kind wants.
    pub target: String,
    /// 1s to 24h.
    #[serde(default = "default_interval")]
    pub interval: Span,
    /// At most the interval; 10s, or the interval where that is shorter.
    #[serde(default)]
    pub timeout: Option<Span>,
    /// Names of regions, or `["*"]`.
    #[serde(default = "every_region")]
    pub regions: Vec<String>,
    #[serde(default, deserialize_with = "shape::object")]
    pub http: HttpOptions,
    #[serde(default, deserialize_with = "shape::object", skip_serializing_if = "is_default")]
    pub tcp: TcpOptions,
    #[serde(default, deserialize_with = "shape::object", skip_serializing_if = "is_default")]
    pub icmp: IcmpOptions,
    #[serde(default, deserialize_with = "shape::object", skip_serializing_if = "is_default")]
    pub dns: DnsOptions,
    #[serde(default, deserialize_with = "shape::object", skip_serializing_if = "is_default")]
    pub tls: TlsOptions,
    #[serde(default, deserialize_with = "shape::object", skip_serializing_if = "is_default")]
    pub network: NetworkOptions,
    #[serde(default, deserialize_with = "shape::object")]
    pub expect: Expect,
    #[serde(default, deserialize_with = "shape::object")]
    pub warn: Warn,
    /// CEL expressions, each of which must be true; see `protocol::expression` for what they see.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub assert: Vec<String>,
    /// A success is what `expect` calls a failure.
    #[serde(default)]
    pub invert: bool,
    #[serde(default, deserialize_with = "shape::object")]
    pub policy: Policy,
    /// Channels by name; empty means the organisation's default channels.
    #[serde(default)]
    pub notify: Vec<String>,
    /// Monitors by name without which this one cannot work: while one of them is
    /// down, this one's page is held.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<String>,
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    #[serde(default = "yes")]
    pub enabled: bool,
}

/// What is probed. More kinds follow; an agent says which it can.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Kind {
    #[default]
    Http,
    Tcp,
    Icmp,
    Dns,
    Tls,
}

impl Kind {
    /// Every kind, in the order of the design.
    pub const ALL: [Self; 5] = [Self::Http, Self::Tcp, Self::Icmp, Self::Dns, Self::Tls];

    /// The word in a specification.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Tcp => "tcp",
            Self::Icmp => "icmp",
            Self::Dns => "dns",
            Self::Tls => "tls",
        }
    }

    /// The capability an agent needs for this kind.
    pub fn capability(self) -> &'static str {
        match self {
            Self::Http => "probe:http",
            Self::Tcp => "probe:tcp",
            Self::Icmp => "probe:icmp",
            Self::Dns => "probe:dns",
            Self::Tls => "probe:tls",
        }
    }
}

/// How observations become a verdict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Policy {
    pub quorum: Quorum,
    /// Failures in a row before a region is down.
    pub fail_after: u32,
    /// Successes in a row before it is up again.
    pub recover_after: u32,
    /// How old a region's last observation may be and still vote; absent:
    /// three intervals, at least 90 s.
    pub stale_after: Option<Span>,
    /// Whether the first failure of a streak asks every region at once.
    pub confirm: bool,
    #[serde(deserialize_with = "shape::object")]
    pub flap: Flap,
}

/// When an incident that keeps coming back is one incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Flap {
    /// Openings and resolutions within `within` that make it flapping; 2 to 32, or 0 for never.
    pub changes: u32,
    /// 1m to 24h.
    pub within: Span,
    /// How long it must then be well before it resolves; 1s to 24h.
    pub settle: Span,
}

/// Votes needed, out of the regions the specification names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Quorum {
    Any,
    /// More than half.
    #[default]
    Majority,
    All,
    /// `{ count: 2 }`.
    Count(u32),
}

impl Quorum {
    /// The number of votes out of `regions`; never 0, never more than `regions`
    /// (a count above the regions there are is refused by [`MonitorSpec::check`]
    /// where they are listed, and capped where the list is `*`).
    pub fn votes(self, regions: u32) -> u32 {
        let wanted = match self {
            Self::Any => 1,
            Self::Majority => regions / 2 + 1,
            Self::All => regions,
            Self::Count(count) => count,
        };
        wanted.clamp(1, regions.max(1))
    }
}

impl MonitorSpec {
    /// Every broken rule of meaning; empty when the specification may be used.
    pub fn check(&self) -> Vec<FieldProblem> {
        check::check(self)
    }

    /// Reads JSON and judges it. A shape error names its field too.
    pub fn from_json(json: &[u8]) -> Result<Self, Vec<FieldProblem>> {
        let spec: Self = shape::read(json).map_err(|problem| vec![problem])?;
        let problems = spec.check();
        if problems.is_empty() { Ok(spec) } else { Err(problems) }
    }

    /// The timeout in force.
    pub fn timeout(&self) -> Span {
        self.timeout.unwrap_or_else(|| DEFAULT_TIMEOUT.min(self.interval))
    }

    /// How old a vote may be and still count.
    pub fn stale_after(&self) -> Span {
        self.policy.stale_after.unwrap_or_else(|| Span(self.interval.0 * 3).max(STALE_AFTER_MIN))
    }

    /// Whether the monitor runs in every region there is.
    pub fn every_region(&self) -> bool {
        self.regions.iter().any(|region| region == "*")
    }
}

const DEFAULT_TIMEOUT: Span = Span::from_secs(10);
const STALE_AFTER_MIN: Span = Span::from_secs(90);

fn default_interval() -> Span {
    Span::from_secs(60)
}

fn every_region() -> Vec<String> {
    vec!["*".to_owned()]
}

fn yes() -> bool {
    true
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            quorum: Quorum::default(),
            fail_after: 2,
            recover_after: 2,
            stale_after: None,
            confirm: true,
            flap: Flap::default(),
        }
    }
}

impl Default for Flap {
    fn default() -> Self {
        Self { changes: 4, within: Span::from_secs(1_800), settle: Span::from_secs(600) }
    }
}
