//! What a scenario says must come out, for tests and for whoever tries a policy.

use hyperverge_protocol::duration::Span;
use serde::{Deserialize, Serialize};

/// Counts of what a run showed; an absent field is not looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Expect {
    /// Notices that something began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opened: Option<Bound>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub widened: Option<Bound>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resolved: Option<Bound>,
    /// Incidents about monitors, those below the quorum too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub monitor_incidents: Option<Bound>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent_incidents: Option<Bound>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region_incidents: Option<Bound>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub groups: Option<Bound>,
    /// Every fault that reaches a quorum is known at most this long after it began,
    /// the group wait not counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detected_within: Option<Span>,
}

impl Expect {
    /// Every count with its name.
    pub(crate) fn bounds(&self) -> [(&'static str, Option<Bound>); 7] {
        [
            ("opened", self.opened),
            ("widened", self.widened),
            ("resolved", self.resolved),
            ("monitor_incidents", self.monitor_incidents),
            ("agent_incidents", self.agent_incidents),
            ("region_incidents", self.region_incidents),
            ("groups", self.groups),
        ]
    }
}

/// A number, or the least and the most: `1`, `[1, 3]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "must be a number, or [least, most]")]
pub enum Bound {
    Exactly(usize),
    Between(usize, usize),
}

impl Bound {
    /// Whether `count` is as expected.
    pub fn allows(self, count: usize) -> bool {
        match self {
            Self::Exactly(wanted) => count == wanted,
            Self::Between(least, most) => (least..=most).contains(&count),
        }
    }
}

impl std::fmt::Display for Bound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exactly(wanted) => write!(f, "{wanted}"),
            Self::Between(least, most) => write!(f, "{least} to {most}"),
        }
    }
}
