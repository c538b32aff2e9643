//! What a run showed, as JSON and as a table. `docs/simulation.md` documents the
//! shape; times are ms since the start.

mod build;
mod detection;
mod expected;
mod table;

use crate::reference::Judged;
use crate::world::Counts;
use serde::Serialize;
use std::collections::BTreeMap;

pub use build::of;
pub(crate) use build::subject_name;
pub use table::table;

/// See the module's head.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    pub scenario: String,
    pub seed: u64,
    pub duration_ms: i64,
    /// No invariant was broken and everything expected came out.
    pub ok: bool,
    pub truth: Vec<TruthLine>,
    pub verdicts: Vec<VerdictLine>,
    pub incidents: Vec<IncidentLine>,
    pub groups: Vec<GroupLine>,
    pub pages: Vec<PageLine>,
    pub held: Vec<HeldLine>,
    pub detections: Vec<Detection>,
    pub counts: Counts,
    /// Bursts that were asked for, and those that were not, by the reason.
    pub bursts_asked: u64,
    pub bursts_kept: BTreeMap<&'static str, u64>,
    pub votes_lost: Vec<VoteLine>,
    pub judged: Judged,
    pub violations: Vec<String>,
    pub expectations: Vec<Expectation>,
}

/// A fault with its true extent.
#[derive(Debug, Clone, Serialize)]
pub struct TruthLine {
    /// Its place in the scenario, from 0.
    pub fault: usize,
    pub kind: String,
    pub from_ms: i64,
    pub until_ms: i64,
    /// `down` or `degraded`; of none but targets' faults. A fault that does both has two lines.
    pub hurt: Option<&'static str>,
    /// Monitors that truly hurt, and regions in which they do; of none but targets' faults.
    pub monitors: Vec<String>,
    pub regions: Vec<String>,
    /// Agents that have it.
    pub agents: Vec<String>,
}

/// A verdict changed.
#[derive(Debug, Clone, Serialize)]
pub struct VerdictLine {
    pub at_ms: i64,
    pub monitor: String,
    pub from: String,
    pub to: String,
    pub scope: Option<String>,
    /// Since when, as the product dates it.
    pub since_ms: i64,
    /// The vote as a sentence.
    pub vote: String,
}

/// An incident and its life.
#[derive(Debug, Clone, Serialize)]
pub struct IncidentLine {
    pub id: u64,
    /// `monitor`, `agent` or `region`.
    pub subject_kind: String,
    pub subject: String,
    pub opened_ms: i64,
    pub resolved_ms: Option<i64>,
    /// When it began to hurt, as the product dates it.
    pub started_ms: i64,
    /// The last, and the widest while it was down.
    pub verdict: String,
    pub scope: String,
    pub widest_scope: Option<String>,
    pub severity: String,
    pub cause: Option<String>,
    pub group: Option<u64>,
    pub paged: bool,
    pub events: Vec<EventLine>,
    /// Where each region stood when it last changed: region and state.
    pub regions: BTreeMap<String, String>,
}

/// A line of an incident's timeline.
#[derive(Debug, Clone, Serialize)]
pub struct EventLine {
    pub at_ms: i64,
    pub kind: String,
    pub verdict: String,
    pub scope: String,
    pub summary: String,
    pub reasons: Vec<String>,
}

/// Incidents of one cause.
#[derive(Debug, Clone, Serialize)]
pub struct GroupLine {
    pub id: u64,
    /// `parent`, `certificate`, `host`, `address`, `network` or `region`.
    pub cause_kind: String,
    pub cause: String,
    /// Told only to routes that name incidents below the quorum.
    pub quiet: bool,
    pub opened_ms: i64,
    pub resolved_ms: Option<i64>,
    pub members: Vec<u64>,
}

/// People were told.
#[derive(Debug, Clone, Serialize)]
pub struct PageLine {
    pub at_ms: i64,
    /// `opened`, `widened` or `resolved`.
    pub kind: String,
    pub incident: u64,
    pub group: Option<u64>,
    /// What it is about: monitors, an agent or a region.
    pub subjects: Vec<String>,
    pub channels: Vec<String>,
    pub summary: String,
    /// How much of the time until now was waiting for what belongs to it.
    pub group_wait_ms: i64,
    pub opening_included: bool,
    /// Below the quorum or about us: only routes that name it are told.
    pub quiet: bool,
}

/// People were not told.
#[derive(Debug, Clone, Serialize)]
pub struct HeldLine {
    pub at_ms: i64,
    pub incident: u64,
    pub kind: String,
    pub reason: String,
}

/// An agent lost its vote, or got it back.
#[derive(Debug, Clone, Serialize)]
pub struct VoteLine {
    pub at_ms: i64,
    pub agent: String,
    pub lost: bool,
}

/// How soon a fault was known.
#[derive(Debug, Clone, Serialize)]
pub struct Detection {
    pub fault: usize,
    pub kind: String,
    /// As in [`TruthLine`].
    pub hurt: &'static str,
    pub from_ms: i64,
    pub until_ms: i64,
    /// Monitors that hurt in as many regions as make a quorum.
    pub reach_quorum: usize,
    /// Of those, how many were known to.
    pub detected: usize,
    pub missed: Vec<String>,
    /// From the fault's begin to the verdict: least, median, most.
    pub verdict_delay_ms: Option<[i64; 3]>,
    /// From the fault's begin to the first page about it, the group wait taken off.
    pub page_delay_ms: Option<i64>,
    pub group_wait_ms: Option<i64>,
    /// Opening pages about it.
    pub pages: usize,
}

/// Something the scenario expects.
#[derive(Debug, Clone, Serialize)]
pub struct Expectation {
    pub what: String,
    pub wanted: String,
    pub found: String,
    pub met: bool,
}
