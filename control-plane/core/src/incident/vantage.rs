//! An agent's own trouble: one incident about us, not about its targets.
//!
//! Quiet, as a region's silence is: only routes that name agents or regions tell it.

use super::{Change, EventKind, Intent, Severity};
use crate::correlation::{DISCREDITED, Scope, Verdict};
use crate::notification::NoticeKind;
use crate::vantage::Fault;

/// Opens the incident of an agent, or of a region, that lost its vote.
pub fn lose_trust(name: &str, fault: &Fault, group_wait_ms: i64, now: i64) -> Change {
    Change {
        summary: format!("{name} {}", fault.sentence()),
        started_at: fault.since.unwrap_or(now),
        intent: Some(Intent {
            kind: NoticeKind::Opened,
            due_at: now.saturating_add(group_wait_ms),
            quiet: true,
        }),
        reasons: vec![
            fault.arithmetic(),
            "its votes do not count until it sees what others see".to_owned(),
        ],
        ..about_us(EventKind::Opened, now)
    }
}

/// Resolves it.
pub fn regain_trust(name: &str, started_at: i64, told: bool, now: i64) -> Change {
    let after = super::sentence::span(now - started_at);
    Change {
        summary: format!("{name} sees what others see again after {after}"),
        started_at,
        intent: told.then_some(Intent { kind: NoticeKind::Resolved, due_at: now, quiet: true }),
        reasons: vec!["its votes count again".to_owned()],
        ..about_us(EventKind::Resolved, now)
    }
}

/// Resolves it because the agent, or every agent of the region, takes part no more.
pub fn leave_distrusted(name: &str, started_at: i64, told: bool, now: i64) -> Change {
    let after = super::sentence::span(now - started_at);
    Change {
        summary: format!("{name} takes no part any more after {after} at fault"),
        reasons: vec![
            "it was revoked, quarantined or removed: there is nobody to believe".to_owned(),
        ],
        ..regain_trust(name, started_at, told, now)
    }
}

fn about_us(kind: EventKind, now: i64) -> Change {
    Change {
        kind,
        verdict: Verdict::Unknown,
        scope: Scope::Regional,
        severity: Severity::Warning,
        cause: Some(DISCREDITED.to_owned()),
        summary: String::new(),
        started_at: now,
        regions: Vec::new(),
        intent: None,
        reasons: Vec::new(),
    }
}
