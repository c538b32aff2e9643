//! A region's silence: one incident about us, not about any target.
//!
//! It is quiet: only routes that name regions tell it; it shows in the list of
//! incidents and on the page in any case.

use super::{Change, EventKind, Intent, Severity, sentence};
use crate::correlation::{RegionState, RegionView, Scope, Verdict};
use crate::liveness::SilentRegion;
use crate::notification::NoticeKind;

/// The cause of such an incident.
pub const SILENT: &str = "silent";

/// Opens the incident of a region whose agents are all lost.
pub fn fall_silent(name: &str, region: &SilentRegion, group_wait_ms: i64, now: i64) -> Change {
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
        cause: Some(SILENT.to_owned()),
        summary: format!("region {name} is silent: nothing from {agents} for {quiet_for}"),
        started_at: region.last_heard_at,
        regions: vec![RegionView {
            region: name.to_owned(),
            region_id: Some(region.region_id),
            state: RegionState::Unknown,
            since: Some(region.last_heard_at),
            reason: Some(SILENT.to_owned()),
            message: None,
        }],
        intent: Some(Intent {
            kind: NoticeKind::Opened,
            due_at: now.saturating_add(group_wait_ms),
            quiet: true,
        }),
        reasons: vec![
            "every agent of the region is lost".to_owned(),
            "its monitors keep this seat and it casts no vote".to_owned(),
        ],
    }
}

/// Resolves it. `anybody`: agents are left that could be heard; `told`: somebody was told of
/// it, or is about to be.
pub fn hear_again(name: &str, anybody: bool, started_at: i64, told: bool, now: i64) -> Change {
    let after = sentence::span(now - started_at);
    let (summary, why) = match anybody {
        true => (
            format!("region {name} is heard again after {after}"),
            "an agent of the region is heard",
        ),
        false => (
            format!("region {name} was silent for {after} and has no agent any more"),
            "no agent of the region is left to wait for",
        ),
    };
    Change {
        kind: EventKind::Resolved,
        verdict: Verdict::Unknown,
        scope: Scope::Regional,
        severity: Severity::Warning,
        cause: Some(SILENT.to_owned()),
        summary,
        started_at,
        regions: Vec::new(),
        intent: told.then_some(Intent { kind: NoticeKind::Resolved, due_at: now, quiet: true }),
        reasons: vec![why.to_owned()],
    }
}
