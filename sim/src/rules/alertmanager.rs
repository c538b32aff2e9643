//! Grouping of firing alerts into notices.
//!
//! Alertmanager (`docs/configuration.md`, `dispatch/dispatch.go` at 68fb2d5): a new
//! group waits `group_wait`, 30 s by default, then notifies every `group_interval`,
//! 5 min by default, if an alert of it was added or resolved. What resolves within
//! the first wait is never told. A group without alerts is gone at its next flush.
//! The documentation's example groups by cluster and alert name; there is one of
//! each here, so one group.

use crate::world::cast::{AgentIndex, MonitorIndex};
use std::collections::BTreeMap;

const GROUP_WAIT_MS: i64 = 30_000;
const GROUP_INTERVAL_MS: i64 = 300_000;

/// An alert by its labels.
pub(super) type Labels = (MonitorIndex, AgentIndex);

/// See the module's head.
#[derive(Debug, Default)]
pub(super) struct Group {
    /// With the time at which they fired.
    firing: BTreeMap<Labels, i64>,
    told: BTreeMap<Labels, i64>,
    next_flush: Option<i64>,
}

/// What a flush tells.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    /// Alerts that were not told before, with the time at which they fired.
    pub(super) new: Vec<(Labels, i64)>,
    /// Nothing fires any more.
    pub(super) resolved: bool,
}

impl Group {
    /// `firing` is what fires at `now`, with the time since when.
    pub(super) fn update(&mut self, firing: BTreeMap<Labels, i64>, now: i64) -> Option<Told> {
        self.firing = firing;
        if self.next_flush.is_none() && !self.firing.is_empty() {
            self.next_flush = Some(now + GROUP_WAIT_MS);
        }
        self.next_flush.filter(|at| *at <= now)?;
        self.next_flush = Some(now + GROUP_INTERVAL_MS);
        let new: Vec<(Labels, i64)> = self
            .firing
            .iter()
            .filter(|(labels, since)| self.told.get(labels) != Some(since))
            .map(|(labels, since)| (*labels, *since))
            .collect();
        let resolved = self.firing.is_empty() && !self.told.is_empty();
        self.told.clone_from(&self.firing);
        if self.firing.is_empty() {
            self.next_flush = None;
        }
        (resolved || !new.is_empty()).then_some(Told { new, resolved })
    }
}
