//! What is true of a scripted fault: whom it hurts, from when to when, and whether
//! somebody has to be paged. Nothing here asks any rule.
//!
//! | a fault | is |
//! |---|---|
//! | hurts no target in as many regions as the monitor's quorum, or only so that it warns | not to be paged |
//! | hurts that many for at most [`BLIP_MS`], or at most [`RARE`] of the requests | not to be paged |
//! | hurts that many for longer than the interval, and as many checks longer as must fail in a row | to be paged |
//! | lies between | neither: a page is no mistake and no page is none |

use crate::scenario::{FaultKind, Side, ms};
use crate::world::World;
use crate::world::cast::{CastMonitor, MonitorIndex};
use crate::world::truth::{Extent, Hurt};

/// Who notices so short an outage took it for a lost packet, ms.
const BLIP_MS: i64 = 3_000;
/// The share of failing requests that is everyday.
const RARE: f64 = 0.05;
/// From this share on nearly every user is hurt.
const MOST: f64 = 0.75;
/// How many intervals a partial outage must last to be due.
const PARTIAL_INTERVALS: i64 = 5;
/// From one check's end to the next when failures are counted at once, ms.
const BETWEEN_MS: i64 = 1_000;
/// What a page may take beside the interval and the checks, ms.
const ALLOWED_MS: i64 = 2_000;

/// Whether a page must come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Due {
    Page,
    NoPage,
    Either,
}

/// See the module's head.
#[derive(Debug, Clone)]
pub struct Label {
    pub due: Due,
    /// Monitors that truly hurt in as many regions as make their quorum.
    pub hurt: Vec<MonitorIndex>,
    /// When the fault began, ms since the start.
    pub from: i64,
    /// ms since the start.
    pub until: i64,
    /// How soon a page is wanted where nothing else is broken and every check is
    /// hit: a region's share of the interval, and the checks; ms.
    pub wanted_within: Option<i64>,
    /// A check of it takes no time to fail.
    pub at_once: bool,
}

/// The label of the world's faults.
pub(super) fn of(world: &World) -> Label {
    let extents = &world.truth.extents;
    let from = extents.iter().map(|extent| extent.from).min().unwrap_or(0);
    let until = extents.iter().map(|extent| extent.until).max().unwrap_or(0);
    let nobody = Label {
        due: Due::NoPage,
        hurt: Vec::new(),
        from,
        until,
        wanted_within: None,
        at_once: true,
    };
    let Some(extent) = extents.iter().find(|extent| extent.kind.side() == Side::Target) else {
        return nobody;
    };
    let reaches = |monitor: &MonitorIndex| {
        let watched = &world.cast.monitors[*monitor];
        let hurting = watched.seats.iter().filter(|region| extent.regions.contains(region));
        extent.hurt == Hurt::Down && hurting.count() >= watched.needed
    };
    let hurt: Vec<MonitorIndex> = extent.monitors.iter().copied().filter(reaches).collect();
    let dues = hurt.iter().map(|monitor| due(world, extent, &world.cast.monitors[*monitor]));
    let Some(due) = dues.min() else { return Label { from: extent.from, ..nobody } };
    let alone = extents.len() == 1 && extent.share >= 1.0;
    let wanted = hurt.iter().map(|monitor| {
        let watched = &world.cast.monitors[*monitor];
        let share = watched.interval / i64::try_from(watched.seats.len()).unwrap_or(1).max(1);
        share + ALLOWED_MS + checks(watched) * takes(world, extent, watched)
    });
    Label {
        due,
        wanted_within: wanted.min().filter(|_| alone),
        at_once: hurt.iter().all(|it| takes(world, extent, &world.cast.monitors[*it]) == 0),
        hurt,
        from: extent.from,
        until: extent.until,
    }
}

fn checks(watched: &CastMonitor) -> i64 {
    i64::from(watched.thresholds.fail_after)
}

/// How long a check takes to fail, ms.
fn takes(world: &World, extent: &Extent, watched: &CastMonitor) -> i64 {
    let latency = world.scenario.faults[extent.fault].latency.map_or(0, ms);
    match extent.kind {
        FaultKind::Hang => watched.timeout,
        FaultKind::Slow => latency.min(watched.timeout),
        _ => 0,
    }
}

fn due(world: &World, extent: &Extent, watched: &CastMonitor) -> Due {
    let fault = &world.scenario.faults[extent.fault];
    let whole = extent.until - extent.from;
    let lasts = fault.down.map_or(whole, |down| ms(down).min(whole));
    let checks = checks(watched) * (takes(world, extent, watched) + BETWEEN_MS);
    if lasts <= BLIP_MS || extent.share <= RARE {
        Due::NoPage
    } else if extent.share < 1.0 {
        let long = lasts > PARTIAL_INTERVALS * watched.interval;
        if extent.share >= MOST && long { Due::Page } else { Due::Either }
    } else if lasts > watched.interval + checks {
        Due::Page
    } else {
        Due::Either
    }
}
