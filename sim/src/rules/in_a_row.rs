//! So many failures in a row, seen from one place.
//!
//! - Uptime Kuma 2.5 (`server/model/monitor.js`, `src/pages/EditMonitor.vue` at
//!   6398a95): `maxretries` is 0 by default, so the first failure is `DOWN` and
//!   notifies; the first success is `UP`.
//! - Gatus (`alerting/alert/alert.go`, `watchdog/alerting.go` at 08c4635):
//!   `failure-threshold` 3, `success-threshold` 2.
//!
//! The one place is the region of the monitor's first seat.

use super::{Sight, page};
use crate::control::note::Seen;
use crate::rule::{Fleet, Rule, RulePage};
use crate::world::cast::MonitorIndex;
use hyperverge_control_core::notification::NoticeKind;
use std::collections::BTreeMap;

/// See the module's head.
#[derive(Debug)]
pub struct InARow {
    name: &'static str,
    failures: u32,
    successes: u32,
    streaks: BTreeMap<MonitorIndex, Streak>,
}

#[derive(Debug, Default)]
struct Streak {
    failures: u32,
    successes: u32,
    down: bool,
}

impl InARow {
    /// With Uptime Kuma's defaults.
    pub fn uptime_kuma() -> Self {
        Self::new("Uptime Kuma", 1, 1)
    }

    /// With Gatus's defaults.
    pub fn gatus() -> Self {
        Self::new("Gatus", 3, 2)
    }

    fn new(name: &'static str, failures: u32, successes: u32) -> Self {
        Self { name, failures, successes, streaks: BTreeMap::new() }
    }
}

impl Rule for InARow {
    fn name(&self) -> &str {
        self.name
    }

    fn observe(&mut self, seen: &Seen, fleet: &Fleet<'_>, now: i64, pages: &mut Vec<RulePage>) {
        let Some(fails) = Sight::OnePlace.failed(seen, fleet, now) else { return };
        let streak = self.streaks.entry(seen.monitor).or_default();
        if fails {
            (streak.failures, streak.successes) = (streak.failures + 1, 0);
        } else {
            (streak.failures, streak.successes) = (0, streak.successes + 1);
        }
        if !streak.down && streak.failures >= self.failures {
            streak.down = true;
            pages.push(page(NoticeKind::Opened, seen.monitor));
        } else if streak.down && streak.successes >= self.successes {
            streak.down = false;
            pages.push(page(NoticeKind::Resolved, seen.monitor));
        }
    }

    fn tick(&mut self, _: &Fleet<'_>, _: i64, _: &mut Vec<RulePage>) {}
}
