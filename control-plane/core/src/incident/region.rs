//! A region's silence: one incident about us, not about any target.
//!
//! It is quiet: who is paged about our own fleet is a matter of routes, which
//! know severity and scope; until there are routes it shows in the list of
//! incidents and on the page.

use super::{Change, EventKind, Severity, sentence};
use crate::correlation::{RegionState, RegionView, Scope, Verdict};
use crate::liveness::SilentRegion;

/// Opens the incident of a region whose agents are all lost.
pub fn fall_silent(name: &str, region: &SilentRegion, now: i64) -> Change {
    let quiet_for = sentence::span(now - region.last_heard_at);
    let agents = match region.agents {
        1 => "its only agent".to_owned(),
        count => format!("its {count} agents"),
    };
    Change {
        kind: EventKind::Opened,
        verdict: Verdict::Unknown,
        scope: Scope::Regional,
        severity: Severity::Warning,
        cause: Some("silent".to_owned()),
        summary: format!("region {name} is silent: nothing from {agents} for {quiet_for}"),
        started_at: region.last_heard_at,
        regions: vec![RegionView {
            region: name.to_owned(),
            region_id: Some(region.region_id),
            state: RegionState::Unknown,
            since: Some(region.last_heard_at),
            reason: Some("silent".to_owned()),
            message: None,
        }],
        intent: None,
        reasons: vec![
            "every agent of the region is lost".to_owned(),
            "its monitors keep this seat and it casts no vote".to_owned(),
        ],
    }
}

/// Resolves it.
pub fn hear_again(name: &str, started_at: i64, now: i64) -> Change {
    let after = sentence::span(now - started_at);
    Change {
        kind: EventKind::Resolved,
        verdict: Verdict::Unknown,
        scope: Scope::Regional,
        severity: Severity::Warning,
        cause: Some("silent".to_owned()),
        summary: format!("region {name} is heard again after {after}"),
        started_at,
        regions: Vec::new(),
        intent: None,
        reasons: vec!["an agent of the region is heard, or none is left to wait for".to_owned()],
    }
}
