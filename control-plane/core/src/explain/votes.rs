//! How each seat voted, or why it did not, in words.

use crate::correlation::{DISCREDITED, RegionState, RegionView};
use crate::incident::phrase;
use serde::{Deserialize, Serialize};

/// One seat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vote {
    pub region: String,
    pub state: RegionState,
    pub since: Option<i64>,
    pub reason: Option<String>,
    pub message: Option<String>,
    /// Whether it voted; `unknown` keeps the seat and says nothing.
    pub cast: bool,
    /// One clause: what it says, or why it says nothing.
    pub why: String,
}

/// The seats in their order.
pub fn votes(regions: &[RegionView]) -> Vec<Vote> {
    regions.iter().map(vote).collect()
}

fn vote(region: &RegionView) -> Vote {
    let reason = region.reason.as_deref();
    let why = match region.state {
        RegionState::Up => "it sees it well".to_owned(),
        RegionState::Degraded => format!("it sees it degraded{}", because(reason)),
        RegionState::Down => format!("it sees it down{}", because(reason)),
        RegionState::Unknown => silence(reason.unwrap_or("pending")),
    };
    Vote {
        region: region.region.clone(),
        state: region.state,
        since: region.since,
        reason: region.reason.clone(),
        message: region.message.clone(),
        cast: region.state != RegionState::Unknown,
        why,
    }
}

fn because(reason: Option<&str>) -> String {
    reason.map(|reason| format!(": {}", phrase(reason))).unwrap_or_default()
}

/// Why a seat casts no vote.
fn silence(reason: &str) -> String {
    let words = match reason {
        "unassigned" => "no agent of it was given the monitor",
        "pending" => "its agent has not yet reported the first check",
        "silent" => "its agent has not reported for longer than a vote lasts",
        "missed" => "its newest check is older than a vote lasts",
        "missed_overload" => "its agent had too much to do and missed checks",
        "missed_suspend" => "its agent's host was suspended and missed checks",
        "missed_stopped" => "its agent was stopped and missed checks",
        "agent_fault" => "its agent could not check because of trouble of its own",
        DISCREDITED => "its agent fails what others see healthy, so its vote does not count",
        _ if reason.starts_with("policy") => {
            return format!("its agent may not check that ({})", phrase(reason));
        }
        _ if reason.starts_with("unsupported") => {
            return format!("its agent cannot check that ({})", phrase(reason));
        }
        // It came out of silence, or of another state, and has not failed or
        // succeeded often enough since.
        _ => {
            return format!(
                "nothing was known of it, and its newest check failed: {}",
                phrase(reason)
            );
        }
    };
    words.to_owned()
}
