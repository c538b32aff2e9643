//! One line of the timeline: what breaks, for whom, from when to when.

use super::ms;
use hyperverge_protocol::duration::Span;
use serde::{Deserialize, Serialize};

/// What breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// Connections are refused.
    Refuse,
    /// Nothing answers: every check lasts until its timeout.
    Hang,
    /// Connections break within the answer.
    Reset,
    /// The answer is 500.
    Status,
    /// Every answer takes `latency` longer.
    Slow,
    /// The certificate is expired; only where TLS is spoken.
    Certificate,
    /// The name does not exist any more.
    Name,
    /// Refused for `down`, well for `up`, and so on.
    Flap,
    /// The agents' resolvers answer SERVFAIL for every name.
    AgentDns,
    /// The agents' resolvers do not answer; the agents notice that it is their own.
    AgentResolver,
    /// Nothing gets out of the agents' hosts but the link.
    AgentEgress,
    /// The agents' processes end and start again afterwards; `reboot` for the host.
    AgentCrash,
    /// The agents' hosts sleep.
    AgentSuspend,
    /// The agents' wall clocks are set by `by`.
    AgentClock,
    /// Nothing passes between the agents and the control plane.
    Partition,
    /// Messages of the agents take `delay` longer.
    LinkDelay,
    /// The share `loss` of the agents' packets is lost.
    LinkLoss,
    /// A replica ends, or every one, and starts again afterwards.
    ControlCrash,
    /// A replica stands still, or every one.
    ControlPause,
    /// The database takes no transactions.
    Database,
    /// The database's clock is set by `by`.
    ControlClock,
}

/// Whose trouble a fault is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Target,
    Agent,
    Link,
    Control,
}

impl FaultKind {
    /// Whose trouble it is.
    pub fn side(self) -> Side {
        match self {
            Self::Refuse | Self::Hang | Self::Reset | Self::Status | Self::Slow => Side::Target,
            Self::Certificate | Self::Name | Self::Flap => Side::Target,
            Self::AgentDns | Self::AgentResolver | Self::AgentEgress => Side::Agent,
            Self::AgentCrash | Self::AgentSuspend | Self::AgentClock => Side::Agent,
            Self::Partition | Self::LinkDelay | Self::LinkLoss => Side::Link,
            Self::ControlCrash | Self::ControlPause | Self::Database | Self::ControlClock => {
                Side::Control
            }
        }
    }

    /// Whether it happens at one moment rather than for a while.
    pub fn is_moment(self) -> bool {
        matches!(self, Self::AgentClock | Self::ControlClock)
    }

    /// The word in a scenario.
    pub fn as_str(self) -> String {
        match serde_json::to_value(self) {
            Ok(serde_json::Value::String(word)) => word,
            _ => String::new(),
        }
    }
}

/// A fault, with its true extent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    pub kind: FaultKind,
    /// After the start.
    pub at: Span,
    /// How long.
    #[serde(rename = "for", default, skip_serializing_if = "Option::is_none")]
    pub lasts: Option<Span>,
    /// Names of monitors; `*` at the end stands for any rest.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub monitors: Vec<String>,
    /// Hosts of targets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
    /// Addresses, or beginnings of them: `192.0.2.`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub networks: Vec<String>,
    /// Regions that see it (targets) or whose agents have it; none: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub regions: Vec<String>,
    /// Providers whose regions do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub providers: Vec<String>,
    /// Agents that have it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub agents: Vec<String>,
    /// The share of requests that are hit, above 0 to 1.
    #[serde(default = "whole", skip_serializing_if = "is_whole")]
    pub share: f64,
    /// `slow`: how much longer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<Span>,
    /// `flap`: how long it is down, and up, in turn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub down: Option<Span>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub up: Option<Span>,
    /// `link_delay`: how much longer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay: Option<Span>,
    /// `link_loss`: the share of packets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loss: Option<f64>,
    /// Clocks: `30s` or `-30s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Which replica, from 1; none: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replica: Option<u32>,
    /// `agent_crash`: the whole host starts anew.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reboot: bool,
}

impl Fault {
    /// A fault that names nobody yet.
    pub fn new(kind: FaultKind, at: Span) -> Self {
        Self {
            kind,
            at,
            lasts: None,
            monitors: Vec::new(),
            hosts: Vec::new(),
            networks: Vec::new(),
            regions: Vec::new(),
            providers: Vec::new(),
            agents: Vec::new(),
            share: whole(),
            latency: None,
            down: None,
            up: None,
            delay: None,
            loss: None,
            by: None,
            replica: None,
            reboot: false,
        }
    }

    /// When it begins, ms.
    pub fn from(&self) -> i64 {
        ms(self.at)
    }

    /// When it is over, ms.
    pub fn until(&self) -> i64 {
        self.from().saturating_add(self.lasts.map_or(0, ms))
    }

    /// Whether it is on at `at`, ms.
    pub fn is_on(&self, at: i64) -> bool {
        (self.from()..self.until()).contains(&at)
    }

    /// The step of a clock, ms.
    pub fn step(&self) -> Option<i64> {
        let text = self.by.as_deref()?;
        match text.strip_prefix('-') {
            Some(back) => back.parse::<Span>().ok().map(|span| -ms(span)),
            None => text.parse::<Span>().ok().map(ms),
        }
    }
}

fn whole() -> f64 {
    1.0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_whole(share: &f64) -> bool {
    *share >= 1.0
}
