//! What the control plane knows: the tables of `migrations/` that decisions need,
//! with indexes of the cast for ids.

use super::table::{Redo, Table};
use crate::agent::AgentSet;
use crate::world::cast::{AgentIndex, MonitorIndex, RegionIndex};
use hyperverge_agent_core::Lane;
use hyperverge_control_core::assignment::Slots;
use hyperverge_control_core::correlation::{Newest, RegionView, Scope, StateRow, Verdict};
use hyperverge_control_core::incident::flap::Turn;
use hyperverge_control_core::incident::{Severity, SubjectKind};
use hyperverge_control_core::notification::NoticeKind;
use hyperverge_control_core::paging::Cause;
use std::sync::Arc;

/// An incident's number, in the order of opening.
pub type IncidentId = u64;
/// What an incident is about: a monitor, an agent or a region by its index.
pub type Subject = (SubjectKind, usize);

/// An agent's signs of life. What is written apart in the product is a table
/// apart here: a row is written as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeartbeatRow {
    /// Control-plane time, ms.
    pub at: i64,
    /// The newest session.
    pub connection: u64,
}

/// One assignment, current or ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssignmentRow {
    pub agent: AgentIndex,
    pub revision: i64,
    pub first_slot: i64,
    pub slots: Slots,
    pub last_slot: Option<i64>,
    pub predecessor_through: Option<i64>,
}

/// A batch that was stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchRow {
    pub stored: u32,
    pub duplicates: u32,
    pub refused: u32,
}

/// (monitor, region, revision, slot, burst, index in it).
pub type ResultKey = (MonitorIndex, RegionIndex, i64, i64, u128, u32);

/// A monitor's verdict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MonitorState {
    pub generation: i64,
    pub verdict: Verdict,
    pub scope: Option<Scope>,
    pub since: i64,
    /// When its incidents last opened or resolved.
    pub turns: Vec<Turn>,
    /// Until when a resolution is held because it flaps.
    pub hold_until: Option<i64>,
}

/// An incident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncidentRow {
    pub subject: Subject,
    pub verdict: Verdict,
    pub scope: Scope,
    pub severity: Severity,
    pub cause: Option<String>,
    pub summary: String,
    pub regions: Vec<RegionView>,
    pub started_at: i64,
    pub opened_at: i64,
    pub resolved_at: Option<i64>,
    pub last_event: i64,
    pub changed_at: i64,
    pub widest_down: Option<Scope>,
    /// The widest scope that people were told since the quorum was last reached.
    pub told: Option<Scope>,
    /// Its resolution was held once.
    pub flaps: bool,
    /// An opening notice was put in the outbox, with a quorum.
    pub paged: bool,
    /// One was put there below the quorum.
    pub told_quietly: bool,
    pub group: Option<u64>,
    /// It is only listed in its group: its own notice is held by a parent.
    pub listed: bool,
}

/// Something that people are to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IntentRow {
    pub kind: NoticeKind,
    pub due_at: i64,
    /// How long it was to wait, ms.
    pub waits: i64,
    /// Only for routes that name such incidents.
    pub quiet: bool,
    /// Why it was held last.
    pub held: Option<String>,
    /// Why it waits no more.
    pub outcome: Option<String>,
}

/// A confirmation burst.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BurstRow {
    pub monitor: MonitorIndex,
    pub revision: i64,
    /// The agent whose failure asked.
    pub origin: AgentIndex,
    pub failures: u32,
    pub asked_at: i64,
    pub expires_at: i64,
    pub settled: bool,
}

/// What one region was asked, and what it answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderRow {
    pub agent: AgentIndex,
    pub signed: bool,
    pub failures: u32,
    pub successes: u32,
    pub answered: bool,
}

/// Incidents of one cause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupRow {
    pub cause: Cause,
    pub summary: String,
    pub lead: IncidentId,
    pub opened_at: i64,
    pub resolved_at: Option<i64>,
    pub newest_started_at: i64,
    pub interval_ms: i64,
    pub quiet: bool,
    pub told_global: bool,
}

/// A process: a replica, and which of its starts. One that restarted is another.
pub type Holder = (usize, u64);

/// Work that one replica does at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseRow {
    pub holder: Holder,
    pub fence: i64,
    pub held_until: i64,
}

/// Declares the tables once, with what every one of them must do in a transaction.
macro_rules! tables {
    ($($(#[$doc:meta])* $name:ident: $key:ty => $row:ty),+ $(,)?) => {
        /// See the module's head.
        #[derive(Debug, Default)]
        pub struct Database {
            $($(#[$doc])* pub $name: Table<$key, $row>,)+
            /// Ids are given out and never taken back, as by a sequence.
            pub next_incident: IncidentId,
            pub next_burst: u64,
            pub next_group: u64,
        }

        /// What a transaction does.
        #[derive(Debug)]
        pub struct Transaction { $($name: Redo<$key, $row>,)+ }

        impl Database {
            /// Takes everything back that was written since the last time.
            pub fn roll_back(&mut self) -> Transaction {
                Transaction { $($name: self.$name.roll_back(),)+ }
            }

            /// Commits, unless what was locked has changed; whether it did.
            pub fn commit(&mut self, transaction: Transaction) -> bool {
                let unchanged = true $(&& self.$name.is_unchanged(&transaction.$name))+;
                if unchanged {
                    $(self.$name.apply(transaction.$name);)+
                }
                unchanged
            }
        }

        impl Transaction {
            /// Whether it writes nothing.
            pub fn is_empty(&self) -> bool {
                true $(&& self.$name.is_empty())+
            }
        }
    };
}

tables! {
    heartbeats: AgentIndex => HeartbeatRow,
    /// Agents that are taken as lost, since when.
    lost: AgentIndex => i64,
    /// Agents that lost their vote, since when.
    discredited: AgentIndex => i64,
    /// All slots of the agent up to here are known.
    complete: AgentIndex => i64,
    /// The number that is expected next.
    lanes: (AgentIndex, Lane) => u64,
    batches: (AgentIndex, Lane, u64) => BatchRow,
    current: (MonitorIndex, RegionIndex) => AssignmentRow,
    /// The newest that ended.
    ended: (MonitorIndex, RegionIndex) => AssignmentRow,
    /// Everything an agent was ever asked.
    asked: (AgentIndex, MonitorIndex) => Vec<AssignmentRow>,
    sets: AgentIndex => Arc<AgentSet>,
    results: ResultKey => (),
    /// The newest stored slot, with the revision.
    newest: (MonitorIndex, RegionIndex) => (i64, Newest),
    region_states: (MonitorIndex, RegionIndex) => StateRow,
    monitor_states: MonitorIndex => MonitorState,
    incidents: IncidentId => IncidentRow,
    /// The one that is open.
    open: Subject => IncidentId,
    intents: (IncidentId, i64) => IntentRow,
    /// Those that wait.
    unsettled: (IncidentId, i64) => (),
    groups: u64 => GroupRow,
    /// (incident, event, channel) that were put in the outbox.
    deliveries: (IncidentId, i64, usize) => NoticeKind,
    leases: &'static str => LeaseRow,
    bursts: u64 => BurstRow,
    newest_burst: MonitorIndex => u64,
    orders: (u64, RegionIndex) => OrderRow,
}

impl Database {
    /// The intents of an incident that wait.
    pub fn waiting(&self, incident: IncidentId) -> impl Iterator<Item = (i64, &IntentRow)> {
        self.unsettled
            .range((incident, i64::MIN)..=(incident, i64::MAX))
            .filter_map(|(key, ())| Some((key.1, self.intents.get(key)?)))
    }

    /// Takes or renews a lease; its fence, or `None` while somebody else holds it.
    pub fn acquire(
        &mut self,
        name: &'static str,
        holder: Holder,
        for_ms: i64,
        now: i64,
    ) -> Option<i64> {
        let held = self.leases.lock(&name).cloned();
        let fence = match held {
            Some(lease) if lease.holder == holder => lease.fence,
            Some(lease) if lease.held_until > now => return None,
            Some(lease) => lease.fence + 1,
            None => 1,
        };
        self.leases.put(name, LeaseRow { holder, fence, held_until: now + for_ms });
        Some(fence)
    }

    /// Whether the lease is still held with this fence.
    pub fn guard(&mut self, name: &'static str, holder: Holder, fence: i64, now: i64) -> bool {
        let lease = self.leases.lock(&name);
        lease.is_some_and(|it| (it.holder, it.fence) == (holder, fence) && it.held_until > now)
    }
}
