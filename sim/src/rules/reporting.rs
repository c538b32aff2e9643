//! More than half of the regions that report have two failures in a row.
//!
//! uptimepage (`docs/multi-region.md`, `docs/incidents.md`, and its pure decision
//! `decide_multi`, November 2026): a region fails after `alert_confirmations`
//! failures in a row (2 by default); the incident opens once more than half of the
//! regions that delivered results within the evaluation window fail. A region that
//! falls silent drops out and the threshold is counted anew. It closes when fewer
//! fail and a region it was counted in has passed as often in a row, or, where all
//! of those are silent, every region that still reports.
//!
//! The documentation does not say how long the window is. Five minutes, or three
//! intervals if they are longer, is taken here; results count the moment they come.

use super::{failed, page};
use crate::control::note::Seen;
use crate::rule::{Fleet, Rule, RulePage};
use crate::world::cast::{Cast, MonitorIndex, RegionIndex};
use hyperverge_control_core::notification::NoticeKind;
use std::collections::{BTreeMap, BTreeSet};

const CONFIRMATIONS: u32 = 2;
const WINDOW_MS: i64 = 300_000;

/// See the module's head.
#[derive(Debug, Default)]
pub struct Reporting {
    regions: BTreeMap<(MonitorIndex, RegionIndex), Region>,
    /// Open incidents with the regions they were counted in.
    open: BTreeMap<MonitorIndex, BTreeSet<RegionIndex>>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Region {
    at: i64,
    failures: u32,
    successes: u32,
    /// Confirmed; `None` while it is not known.
    down: Option<bool>,
}

impl Region {
    fn count(&mut self, fails: bool, at: i64) {
        self.at = at;
        let run = if fails { &mut self.failures } else { &mut self.successes };
        *run += 1;
        if *run >= CONFIRMATIONS {
            self.down = Some(fails);
        }
        *(if fails { &mut self.successes } else { &mut self.failures }) = 0;
    }
}

impl Reporting {
    fn decide(&mut self, cast: &Cast, monitor: MonitorIndex, now: i64, pages: &mut Vec<RulePage>) {
        let window = WINDOW_MS.max(3 * cast.monitors[monitor].interval);
        let reports: Vec<(RegionIndex, Region)> = self
            .regions
            .range((monitor, 0)..=(monitor, usize::MAX))
            .filter(|(_, region)| now - region.at <= window)
            .map(|((_, index), region)| (*index, *region))
            .collect();
        let quorum = (reports.len() / 2 + 1).min(reports.len()).max(1);
        let trailing = |(_, region): &&(RegionIndex, Region)| region.failures >= CONFIRMATIONS;
        let failing: BTreeSet<RegionIndex> =
            reports.iter().filter(trailing).map(|(index, _)| *index).collect();
        let Some(counted) = self.open.get_mut(&monitor) else {
            if failing.len() >= quorum {
                self.open.insert(monitor, failing);
                pages.push(page(NoticeKind::Opened, monitor));
            }
            return;
        };
        if failing.len() >= quorum {
            counted.extend(failing);
        }
        let down = reports.iter().filter(|(_, region)| region.down == Some(true)).count();
        let is_up = |region: &Region| region.down == Some(false);
        let mut of_outage = reports.iter().filter(|(index, _)| counted.contains(index)).peekable();
        let over = match of_outage.peek() {
            Some(_) => of_outage.any(|(_, region)| is_up(region)),
            None => !reports.is_empty() && reports.iter().all(|(_, region)| is_up(region)),
        };
        if down < quorum && over {
            self.open.remove(&monitor);
            pages.push(page(NoticeKind::Resolved, monitor));
        }
    }
}

impl Rule for Reporting {
    fn name(&self) -> &'static str {
        "uptimepage"
    }

    fn observe(&mut self, seen: &Seen, fleet: &Fleet<'_>, now: i64, pages: &mut Vec<RulePage>) {
        let Some(fails) = failed(seen, now) else { return };
        let region = self.regions.entry((seen.monitor, seen.region)).or_default();
        region.count(fails, seen.started_at);
        self.decide(fleet.cast, seen.monitor, now, pages);
    }

    /// Silence alone can move the threshold.
    fn tick(&mut self, fleet: &Fleet<'_>, now: i64, pages: &mut Vec<RulePage>) {
        for monitor in 0..fleet.cast.monitors.len() {
            self.decide(fleet.cast, monitor, now, pages);
        }
    }
}
