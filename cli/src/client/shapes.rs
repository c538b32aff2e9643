//! The API's answers, as far as commands use them. Unknown fields are ignored,
//! so an older command line works with a newer control plane.

use serde::Deserialize;

/// One page of a list.
#[derive(Debug, Clone, Deserialize)]
pub struct Page<T> {
    pub items: Vec<T>,
    pub next_cursor: Option<String>,
}

/// A field of a request that breaks a rule.
#[derive(Debug, Clone, Deserialize)]
pub struct FieldAtFault {
    pub field: String,
    pub rule: String,
}

/// What the regions see of one monitor.
#[derive(Debug, Clone, Deserialize)]
pub struct MonitorRegions {
    /// `up | degraded | down | unknown`.
    pub verdict: String,
    /// `local | regional | global`, or none while nothing hurts.
    pub scope: Option<String>,
    pub items: Vec<RegionState>,
}

/// What one region sees.
#[derive(Debug, Clone, Deserialize)]
pub struct RegionState {
    pub region: String,
    /// `up | degraded | down | unknown`.
    pub state: String,
    /// RFC 3339, UTC, milliseconds: texts of equal length, so they compare as times.
    pub last_result_at: Option<String>,
    pub reason: Option<String>,
}

/// An incident.
#[derive(Debug, Clone, Deserialize)]
pub struct Incident {
    pub id: String,
    /// `open | acknowledged | resolved`.
    pub state: String,
    pub verdict: String,
    pub scope: String,
    pub severity: String,
    pub subject: Subject,
    pub started_at: String,
    pub resolved_at: Option<String>,
    pub cause: Option<String>,
}

/// What an incident is about.
#[derive(Debug, Clone, Deserialize)]
pub struct Subject {
    /// `monitor | agent | region`.
    pub kind: String,
    pub id: String,
    pub name: String,
}

/// An agent.
#[derive(Debug, Clone, Deserialize)]
pub struct Agent {
    pub id: String,
    pub region: String,
    pub state: String,
    /// Set while the agent is considered lost.
    pub lost_at: Option<String>,
}
