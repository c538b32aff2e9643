//! An agent: the product's schedule, clock, batcher, spool index and session, with
//! a shell as thin as the real one's (`agent/src/engine/`, `agent/src/link/`).
//!
//! [`Agent`] holds what survives a crash: the disk and the boot. [`Process`] is
//! what a crash ends. Both answer with [`Action`]s, which the world carries out.

mod drive;
mod process;
mod spool;

use crate::scenario::FaultKind;
use crate::world::cast::{AgentIndex, MonitorIndex};
use hyperverge_agent_core::Lane;
use hyperverge_agent_core::clock::SavedOffset;
use hyperverge_agent_core::schedule::{Burst, BurstCheck, Ticket};
use hyperverge_protocol::wire::{BatchAcknowledged, HeartbeatReply, Refusal, ResultBatch, Welcome};
use std::sync::Arc;

pub use process::Process;
pub use spool::Disk;

/// The assignments of one agent, as the control plane stores them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentSet {
    pub version: i64,
    /// The version in which the content last changed.
    pub content_version: i64,
    /// Control-plane time, ms.
    pub issued_at: i64,
    pub places: Vec<Place>,
}

/// One assignment in a set.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub monitor: MonitorIndex,
    pub revision: i64,
    pub anchor_ms: i64,
    pub interval_ms: i64,
    pub first_slot: i64,
}

/// From an agent to the control plane.
#[derive(Debug, Clone)]
pub enum Up {
    Hello { boot_ms: i64, set_version: i64 },
    Heartbeat { boot_ms: i64 },
    Batch(Arc<ResultBatch>),
}

/// From the control plane to an agent.
#[derive(Debug, Clone)]
pub enum Down {
    Welcome(Welcome),
    Reply(HeartbeatReply),
    Acknowledged(BatchAcknowledged),
    Refused(Refusal),
    Set(Arc<AgentSet>),
    Order(Burst),
    /// The connection ended.
    Closed,
}

/// What the world has to do for an agent.
#[derive(Debug)]
pub enum Action {
    Send(Up),
    /// A check starts; it is over when the target has answered.
    Probe {
        ticket: Ticket,
        due: Check,
    },
    /// Try to connect after so many ms.
    Connect {
        after: i64,
    },
    /// Give the connection up.
    Close,
    /// The control plane acknowledged a batch.
    Acknowledged {
        lane: Lane,
        batch: Arc<ResultBatch>,
    },
}

/// A check that runs.
#[derive(Debug, Clone)]
pub struct Check {
    pub monitor: MonitorIndex,
    pub revision: u64,
    pub slot: i64,
    /// It answers a burst.
    pub burst: Option<BurstCheck>,
    pub due_ms: i64,
    /// Control-plane time as the agent knows it, or the boot's; µs.
    pub started_us: i64,
    pub undated: bool,
}

/// One agent.
#[derive(Debug)]
pub struct Agent {
    pub index: AgentIndex,
    pub disk: Disk,
    pub boot: Boot,
    /// `None` while it does not run.
    pub process: Option<Process>,
    /// Rises with each process; what was meant for an older one is void.
    pub epoch: u64,
    /// Its host sleeps until then.
    pub asleep_until: Option<i64>,
}

/// Since when the host is up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Boot {
    pub id: [u8; 16],
    /// Virtual time, ms.
    pub at: i64,
}

impl Boot {
    /// The boot clock, ms. It runs on while the host sleeps.
    pub fn clock(&self, now: i64) -> i64 {
        now - self.at
    }
}

impl Agent {
    /// An agent that was enrolled just now and is about to start.
    pub fn new(index: AgentIndex) -> Self {
        Self {
            index,
            disk: Disk::new(),
            boot: boot(index, 0, 0),
            process: None,
            epoch: 0,
            asleep_until: None,
        }
    }

    /// Starts a process.
    pub fn start(&mut self, now: i64) -> Vec<Action> {
        self.epoch += 1;
        self.process = Some(Process::new(&self.disk, self.boot, now));
        vec![Action::Connect { after: 0 }]
    }

    /// The process ends at once, or the whole host.
    pub fn crash(&mut self, kind: FaultKind, reboot: bool, now: i64) {
        self.process = None;
        self.epoch += 1;
        if kind == FaultKind::AgentCrash && reboot {
            self.boot = boot(self.index, self.epoch, now);
        }
    }
}

fn boot(agent: AgentIndex, number: u64, at: i64) -> Boot {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&(agent as u64 + 1).to_be_bytes());
    id[8..].copy_from_slice(&number.to_be_bytes());
    // A host is up for a while before an agent runs on it.
    Boot { id, at: at - 60_000 }
}

/// The offset that a process of this boot may use.
pub(super) fn saved_offset(disk: &Disk) -> Option<&SavedOffset> {
    disk.offset.as_ref()
}
