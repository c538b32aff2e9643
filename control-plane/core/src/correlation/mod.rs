//! Step 5: from single observations to a verdict.
//!
//! 1. [`Track`] counts the observations of one monitor in one region into a
//!    [`StateRow`]. Only what is not steadily up has a row.
//! 2. [`view()`] says what that region tells now, given who is assigned, how far
//!    the agent has reported, and the row. Silence is `unknown` here, never up
//!    and never down.
//! 3. [`burst`] decides whether the first failure of a streak asks every region at once.
//! 4. [`evaluate`] counts the regions' votes over a fixed number of seats.
//!
//! Trouble on our side keeps its seat and casts no vote, so it never makes a
//! quorum easier.

pub mod burst;
mod marks;
mod streak;
mod verdict;
mod view;

use crate::words::words;
use hyperverge_protocol::monitor::MonitorSpec;

pub use marks::{BurstMark, BurstMarks};
pub use streak::{HISTORY_AFTER_MS, Newest, Sight, StateRow, Step, Taken, Track, casts_no_vote};
pub use verdict::{Evaluation, evaluate};
pub use view::{DISCREDITED, Held, Looked, RegionView, Seat, looked, seat_names, view};

/// What one region tells about one monitor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RegionState {
    Up,
    Degraded,
    Down,
    /// Nobody looked, or what we saw says nothing about the target.
    Unknown,
}
words!(RegionState, "state", Up = "up", Degraded = "degraded", Down = "down", Unknown = "unknown");

/// What all regions together tell about one monitor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    Up,
    Degraded,
    Down,
    /// Neither quorum is reached; opens nothing and resolves nothing.
    Unknown,
}
words!(Verdict, "verdict", Up = "up", Degraded = "degraded", Down = "down", Unknown = "unknown");

/// How far it hurts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// In fewer regions than a quorum.
    Local,
    /// In a quorum, while some region sees it well.
    Regional,
    /// In every region that votes.
    Global,
}
words!(Scope, "scope", Local = "local", Regional = "regional", Global = "global");

/// A monitor's policy, as numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Thresholds {
    /// Failures in a row before a region is down; 1 or more.
    pub fail_after: u32,
    /// Successes in a row before it is up again; 1 or more.
    pub recover_after: u32,
    /// How old an observation may be and still say something.
    pub stale_after_ms: i64,
}

impl Thresholds {
    /// What `spec` asks for.
    pub fn of(spec: &MonitorSpec) -> Self {
        Self {
            fail_after: spec.policy.fail_after.max(1),
            recover_after: spec.policy.recover_after.max(1),
            stale_after_ms: i64::try_from(spec.stale_after().as_millis()).unwrap_or(i64::MAX),
        }
    }
}
