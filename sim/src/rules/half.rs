//! At least half of the monitor's regions have the same status.
//!
//! openstatus (`apps/workflows/src/checker/index.ts` at 22df52e): a region's check
//! replaces the region's status; when the regions with that status are at least
//! half of those the monitor names, the monitor takes it, and an incident opens
//! with `error` and resolves with `active`. No region's status grows old. A check
//! is tried up to four times before it counts as failed
//! (`apps/checker/handlers/checker.go`), which is the world's part:
//! [`crate::world::Retries`].

use super::{failed, page};
use crate::control::note::Seen;
use crate::rule::{Fleet, Rule, RulePage};
use crate::world::cast::{MonitorIndex, RegionIndex};
use hyperverge_control_core::notification::NoticeKind;
use std::collections::{BTreeMap, BTreeSet};

/// See the module's head.
#[derive(Debug, Default)]
pub struct Half {
    /// Whether a region's newest check failed.
    regions: BTreeMap<(MonitorIndex, RegionIndex), bool>,
    down: BTreeSet<MonitorIndex>,
}

impl Rule for Half {
    fn name(&self) -> &'static str {
        "openstatus"
    }

    fn observe(&mut self, seen: &Seen, fleet: &Fleet<'_>, now: i64, pages: &mut Vec<RulePage>) {
        let Some(fails) = failed(seen, now) else { return };
        let monitor = seen.monitor;
        self.regions.insert((monitor, seen.region), fails);
        let seats = &fleet.cast.monitors[monitor].seats;
        let same = |region: &&RegionIndex| self.regions.get(&(monitor, **region)) == Some(&fails);
        let affected = seats.iter().filter(same).count();
        if affected * 2 < seats.len() {
            return;
        }
        if fails && self.down.insert(monitor) {
            pages.push(page(NoticeKind::Opened, monitor));
        } else if !fails && self.down.remove(&monitor) {
            pages.push(page(NoticeKind::Resolved, monitor));
        }
    }

    fn tick(&mut self, _: &Fleet<'_>, _: i64, _: &mut Vec<RulePage>) {}
}
