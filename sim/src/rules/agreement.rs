//! As many probes agree as are required, or as are connected if those are fewer.
//!
//! OneUptime (`checkProbeAgreement` in `Common/Server/Utils/Monitor/MonitorResource.ts`
//! at ab6f409): with every result, the newest result of each connected probe is
//! judged; what most of them say holds if at least `min(required, connected)` say
//! it, and with none connected the result speaks alone. `minimumProbeAgreement` is
//! unset by default: all connected probes must agree. A probe counts as connected
//! until it has not been heard for three minutes
//! (`App/FeatureSet/Workers/Jobs/Probe/UpdateConnectionStatus.ts`). A check is tried
//! three times, a second apart (`PROBE_MONITOR_RETRY_LIMIT`), which is the world's
//! part: [`crate::world::Retries`].

use super::{failed, page};
use crate::control::note::Seen;
use crate::rule::{Fleet, Rule, RulePage};
use crate::world::cast::{AgentIndex, MonitorIndex, RegionIndex};
use hyperverge_control_core::notification::NoticeKind;
use std::collections::{BTreeMap, BTreeSet};

/// How long a probe counts as connected after it was last heard, ms.
const CONNECTED_MS: i64 = 180_000;

/// See the module's head.
#[derive(Debug)]
pub struct Agreement {
    name: &'static str,
    /// As many as the monitor's quorum needs; else all that are connected.
    majority: bool,
    newest: BTreeMap<(MonitorIndex, RegionIndex), bool>,
    heard_at: BTreeMap<AgentIndex, i64>,
    down: BTreeSet<MonitorIndex>,
}

impl Agreement {
    /// As it comes: all connected probes must agree.
    pub fn of_all() -> Self {
        Self::new("OneUptime, as it comes", false)
    }

    /// Told to require more than half of the probes.
    pub fn of_majority() -> Self {
        Self::new("OneUptime, majority", true)
    }

    fn new(name: &'static str, majority: bool) -> Self {
        Self {
            name,
            majority,
            newest: BTreeMap::new(),
            heard_at: BTreeMap::new(),
            down: BTreeSet::new(),
        }
    }

    fn is_connected(&self, fleet: &Fleet<'_>, region: RegionIndex, now: i64) -> bool {
        let heard = |agent: AgentIndex| self.heard_at.get(&agent).copied();
        fleet.cast.agents_of(region).filter_map(heard).any(|at| now - at < CONNECTED_MS)
    }

    /// What is agreed, if anything is.
    fn agreed(&self, seen: &Seen, fails: bool, fleet: &Fleet<'_>, now: i64) -> Option<bool> {
        let watched = &fleet.cast.monitors[seen.monitor];
        let connected: Vec<RegionIndex> = watched
            .seats
            .iter()
            .copied()
            .filter(|region| self.is_connected(fleet, *region, now))
            .collect();
        if connected.is_empty() {
            return Some(fails);
        }
        let required = if self.majority { watched.needed } else { connected.len() };
        let says = |what: bool| {
            let said = |region: &&RegionIndex| self.newest.get(&(seen.monitor, **region));
            connected.iter().filter(|region| said(region) == Some(&what)).count()
        };
        let (down, up) = (says(true), says(false));
        let threshold = required.min(connected.len());
        (down.max(up) >= threshold && down != up).then_some(down > up)
    }
}

impl Rule for Agreement {
    fn name(&self) -> &str {
        self.name
    }

    fn observe(&mut self, seen: &Seen, fleet: &Fleet<'_>, now: i64, pages: &mut Vec<RulePage>) {
        let Some(fails) = failed(seen, now) else { return };
        self.newest.insert((seen.monitor, seen.region), fails);
        match self.agreed(seen, fails, fleet, now) {
            Some(true) if self.down.insert(seen.monitor) => {
                pages.push(page(NoticeKind::Opened, seen.monitor));
            }
            Some(false) if self.down.remove(&seen.monitor) => {
                pages.push(page(NoticeKind::Resolved, seen.monitor));
            }
            _ => {}
        }
    }

    fn tick(&mut self, fleet: &Fleet<'_>, now: i64, _: &mut Vec<RulePage>) {
        let connected = (0..fleet.connected.len()).filter(|agent| fleet.connected[*agent]);
        self.heard_at.extend(connected.map(|agent| (agent, now)));
    }
}
