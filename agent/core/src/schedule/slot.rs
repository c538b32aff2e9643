//! What goes into a schedule and what comes out of it.

use super::burst::BurstCheck;
use crate::missed::Missed;
use std::collections::BTreeSet;
use std::sync::Arc;
use uuid::Uuid;

/// One monitor this agent probes. `check` is whatever the shell needs to do it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assigned<C> {
    pub monitor: Uuid,
    pub revision: u64,
    pub anchor_ms: i64,
    /// At least 1.
    pub interval_ms: i64,
    /// The first slot this agent owns.
    pub first_slot: i64,
    /// The host that is watched: those that name the same one share its cap.
    pub target: Arc<str>,
    pub check: C,
}

impl<C> Assigned<C> {
    /// When `slot` is due, control-plane time.
    pub fn due_ms(&self, slot: i64) -> i64 {
        self.anchor_ms.saturating_add(slot.saturating_mul(self.interval_ms.max(1)))
    }

    /// The newest slot due at or before `control_ms`.
    pub fn slot_at(&self, control_ms: i64) -> i64 {
        control_ms.saturating_sub(self.anchor_ms).div_euclid(self.interval_ms.max(1))
    }
}

/// Both clocks at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    pub control_ms: i64,
    pub boot_ms: i64,
}

/// What an earlier process had already accounted for. Whatever of it lies after the time
/// that is known is not believed: the clock was set back.
#[derive(Debug, Clone, Default)]
pub struct Resume {
    /// Slots due up to here are sealed or listed as missed.
    pub complete_through_ms: Option<i64>,
    /// Later slots that are sealed all the same.
    pub sealed: BTreeSet<(Uuid, u64, i64)>,
}

/// Names one started check until it is finished or abandoned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub(super) u64);

/// A check to start now: of a slot, or of a burst.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due<C> {
    pub ticket: Ticket,
    pub monitor: Uuid,
    pub revision: u64,
    /// For a burst's check, the newest slot that is due.
    pub slot: i64,
    /// For a burst's check, now.
    pub due_ms: i64,
    pub burst: Option<BurstCheck>,
    pub check: C,
}

/// What the shell has to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect<C> {
    Start(Due<C>),
    Missed(Missed),
}
