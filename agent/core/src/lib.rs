//! The agent's decisions, without I/O, clock or entropy.
//!
//! Event machines in the order in which a check passes through them: time and
//! inputs are parameters, what is to be done comes back as values, and the
//! shell (`agent/`) does it.
//!
//! | step | module | decides |
//! |---|---|---|
//! | 2 assignment | [`clock`] | what control-plane time it is |
//! | 3 probe | [`schedule`] | which slot starts when, and which were missed |
//! | 4 result | [`batch`], [`missed`] | what goes into one batch, and when it is sealed |
//! | 4 result | [`spool`] | which number and lane a batch gets, what a full spool gives up |
//! | 4 result | [`session`] | what is sent next, and what an answer means |
//!
//! Times are `i64` milliseconds; `control_ms` is control-plane time, `boot_ms`
//! the host's boot clock, which runs through suspend and never steps.

pub mod batch;
pub mod clock;
pub mod judge;
pub mod limits;
pub mod missed;
pub mod schedule;
pub mod secrets;
pub mod session;
pub mod spool;

use hyperverge_protocol::wire;

/// One of the two numbered sequences in which batches reach the control plane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// Results of now: what incidents are decided from.
    Live,
    /// Results that waited while there was no session: history.
    Backlog,
}

impl Lane {
    /// Both lanes, the one that is sent first in front.
    pub const ALL: [Self; 2] = [Self::Live, Self::Backlog];

    /// The word in logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Backlog => "backlog",
        }
    }

    /// The lane's number on the wire and on disk.
    pub fn to_wire(self) -> wire::Lane {
        match self {
            Self::Live => wire::Lane::Live,
            Self::Backlog => wire::Lane::Backlog,
        }
    }

    /// Reads a lane's number; `None` when it is not one.
    pub fn from_wire(lane: i32) -> Option<Self> {
        match wire::Lane::try_from(lane) {
            Ok(wire::Lane::Live) => Some(Self::Live),
            Ok(wire::Lane::Backlog) => Some(Self::Backlog),
            _ => None,
        }
    }
}
