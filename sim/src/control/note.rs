//! What a committed transaction did, for the report, the reference model and the
//! tasks that have to be woken.

use super::database::{IncidentId, IncidentRow, Subject};
use crate::world::cast::{AgentIndex, MonitorIndex, RegionIndex};
use hyperverge_agent_core::Lane;
use hyperverge_control_core::correlation::burst::Kept;
use hyperverge_control_core::correlation::{Evaluation, Scope, Verdict};
use hyperverge_control_core::incident::EventKind;
use hyperverge_control_core::notification::NoticeKind;
use hyperverge_control_core::paging::Cause;
use hyperverge_protocol::outcome::Outcome;

/// One observation, as it was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    pub monitor: MonitorIndex,
    pub region: RegionIndex,
    pub agent: AgentIndex,
    pub revision: i64,
    pub slot: i64,
    /// Answers a burst.
    pub burst: Option<(u128, u32)>,
    /// Control-plane time, ms.
    pub started_at: i64,
    pub ended_at: i64,
    pub outcome: Outcome,
    pub reason: String,
    /// It could be dated.
    pub dated: bool,
    /// What is known already is stored, and no news.
    pub late: bool,
}

/// A notice that goes out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    pub kind: NoticeKind,
    /// Through whose event it is told.
    pub incident: IncidentId,
    /// The incidents it tells about: one, or a group's.
    pub members: Vec<IncidentId>,
    /// Those of them whose beginning this tells.
    pub begins: Vec<IncidentId>,
    pub group: Option<u64>,
    pub channels: Vec<usize>,
    pub summary: String,
    /// How long it waited for what belongs to it, ms.
    pub waited: i64,
    /// The opening was never told; this tells it too.
    pub opening_included: bool,
    /// Only routes that name such incidents are told.
    pub quiet: bool,
}

/// How an incident came into a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Joined {
    /// The group is told through it.
    Leads,
    /// The group's notice tells its beginning.
    Told,
    /// So it does, though it asked only for routes that name quiet incidents.
    Quietly,
    /// It is only listed there.
    Listed,
}

/// Why no region was asked to confirm a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unasked {
    Kept(Kept),
    /// No agent that could be asked is there.
    NobodyToAsk,
}

impl Unasked {
    /// The word in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Kept(kept) => kept.as_str(),
            Self::NobodyToAsk => "nobody_to_ask",
        }
    }
}

/// See the module's head.
#[derive(Debug, Clone, PartialEq)]
pub enum Note {
    Stored(Seen),
    /// A batch is committed: rows stored, known before, refused.
    Batch {
        agent: AgentIndex,
        lane: Lane,
        number: u64,
        refused: u32,
    },
    Verdict {
        monitor: MonitorIndex,
        from: Verdict,
        to: Verdict,
        scope: Option<Scope>,
        since: i64,
        evaluation: Box<Evaluation>,
    },
    Incident {
        id: IncidentId,
        subject: Subject,
        kind: EventKind,
        row: Box<IncidentRow>,
        reasons: Vec<String>,
    },
    /// An intent waits, or waits no more and why.
    Intent {
        incident: IncidentId,
        event: i64,
        kind: NoticeKind,
        outcome: Option<String>,
    },
    Told(Told),
    Held {
        incident: IncidentId,
        kind: NoticeKind,
        reason: String,
    },
    BurstAsked {
        monitor: MonitorIndex,
        burst: u64,
        origin: AgentIndex,
        asked: usize,
    },
    BurstKept {
        monitor: MonitorIndex,
        agent: AgentIndex,
        why: Unasked,
    },
    OrdersSigned,
    VoteLost(AgentIndex),
    VoteRegained(AgentIndex),
    GroupFormed {
        id: u64,
        cause: Cause,
        lead: IncidentId,
        /// Below the quorum.
        quiet: bool,
    },
    GroupJoined {
        group: u64,
        incident: IncidentId,
        how: Joined,
    },
    GroupClosed(u64),
    /// A transaction did what the store refuses.
    Refused(String),
    AgentLost(AgentIndex),
    AgentFound(AgentIndex),
    SetChanged(AgentIndex),
}
