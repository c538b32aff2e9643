//! Step 6: from a verdict to what happens to the subject's one incident.
//!
//! One incident is open per subject. It opens quietly when a region fails below
//! the quorum, widens to a page when the quorum is reached, narrows, is told again when
//! the quorum is reached again, and resolves
//! when the verdict is up and no region is down any more; one that flaps first has
//! to settle (`flap.rs`). `unknown` neither opens nor resolves, with one exception:
//! what nobody was paged for and rests on the vote of an agent that turned out to be
//! at fault is withdrawn. Every change carries the sentence people read, its
//! reasons, and what it asks to be told ([`Intent`]).
//!
//! [`plan()`] decides for a monitor, [`end`] for a monitor that is no more,
//! [`fall_silent`] and [`hear_again`] for a region, [`lose_trust`],
//! [`regain_trust`] and [`leave_distrusted`] for an agent. Who is told, and whether now, is judged when an
//! intent is due: [`crate::paging`].

pub mod flap;
mod plan;
mod region;
mod sentence;
mod severity;
mod vantage;

use crate::correlation::{Evaluation, RegionView, Scope, Verdict};
use crate::notification::NoticeKind;
use crate::words::words;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

pub use plan::{Ending, end, plan};
pub use region::{SILENT, fall_silent, hear_again};
pub use sentence::phrase;
pub use severity::{SEVERITY_LABEL, severity};
pub use vantage::{leave_distrusted, lose_trust, regain_trust};

/// What an incident is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SubjectKind {
    Monitor,
    Agent,
    Region,
}
words!(SubjectKind, "kind of subject", Monitor = "monitor", Agent = "agent", Region = "region");

/// Where an incident stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum IncidentState {
    Open,
    Acknowledged,
    Resolved,
}
words!(
    IncidentState,
    "state of an incident",
    Open = "open",
    Acknowledged = "acknowledged",
    Resolved = "resolved"
);

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    Info,
    Warning,
    Critical,
}
words!(Severity, "severity", Info = "info", Warning = "warning", Critical = "critical");

/// What a line of the timeline says happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum EventKind {
    Opened,
    Widened,
    Narrowed,
    Changed,
    Acknowledged,
    Resolved,
    /// A notice was put in the outbox.
    Paged,
    /// A notice was held back.
    Held,
    /// It became part of a group.
    Grouped,
    /// Somebody wrote something.
    Comment,
}
words!(
    EventKind,
    "kind of event",
    Opened = "opened",
    Widened = "widened",
    Narrowed = "narrowed",
    Changed = "changed",
    Acknowledged = "acknowledged",
    Resolved = "resolved",
    Paged = "paged",
    Held = "held",
    Grouped = "grouped",
    Comment = "comment"
);

/// What the planner is asked with; stored with each change as its evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    /// The monitor's name.
    pub name: String,
    pub open: Option<Open>,
    pub evaluation: Evaluation,
    /// How long an opening waits for what belongs to it, ms.
    pub group_wait_ms: i64,
    /// The monitor's labels; `severity` caps the incident's.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    #[serde(default)]
    pub flap: flap::Rule,
    /// When incidents of this monitor last opened, resolved or came back over the
    /// quorum, the oldest first.
    #[serde(default)]
    pub turns: Vec<flap::Turn>,
    /// Until when a resolution is held because the monitor flaps.
    #[serde(default)]
    pub hold_until: Option<i64>,
}

/// What follows from an [`Input`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    pub change: Option<Change>,
    /// The new [`Input::hold_until`]; look again then.
    pub hold_until: Option<i64>,
    /// The new [`Input::turns`].
    #[serde(default)]
    pub turns: Vec<flap::Turn>,
}

/// The incident that is open, as far as a change depends on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Open {
    pub verdict: Verdict,
    pub scope: Scope,
    pub cause: Option<String>,
    pub regions: Vec<RegionView>,
    pub started_at: i64,
    /// When its first event was.
    #[serde(default)]
    pub opened_at: i64,
    /// When its newest event was.
    pub changed_at: i64,
    /// An opening notice was put in the outbox, with a quorum.
    pub paged: bool,
    /// The intent of such an opening waits.
    pub opening_waits: bool,
    /// A silence, a window, a parent or votes that are not fresh kept it back when it was due.
    #[serde(default)]
    pub opening_held: bool,
    /// The intent of a widening waits.
    #[serde(default)]
    pub widening_waits: bool,
    /// The widest scope that people were told since the quorum was last reached.
    #[serde(default)]
    pub told: Option<Scope>,
    /// Its resolution was held once, because it flaps.
    #[serde(default)]
    pub flaps: bool,
    /// Somebody was told of it, or is about to be, below the quorum.
    #[serde(default)]
    pub told_quietly: bool,
    /// The widest scope it ever had while down.
    pub widest_down: Option<Scope>,
}

impl Open {
    /// Whether people were paged for it, or are about to be.
    fn is_loud(&self) -> bool {
        self.paged || (self.opening_waits && !self.opening_held)
    }
}

/// What happens to the incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    pub kind: EventKind,
    pub verdict: Verdict,
    pub scope: Scope,
    pub severity: Severity,
    pub cause: Option<String>,
    /// One sentence for people.
    pub summary: String,
    /// When the target began to hurt; once a quorum was reached, when that was.
    pub started_at: i64,
    pub regions: Vec<RegionView>,
    pub intent: Option<Intent>,
    /// Why this and nothing else.
    pub reasons: Vec<String>,
}

/// Something people are to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    pub kind: NoticeKind,
    pub due_at: i64,
    /// Below the quorum, or about us: only for routes that name such incidents.
    #[serde(default)]
    pub quiet: bool,
}
