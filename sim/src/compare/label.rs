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
    /// How soon a page is wanted, where nothing else is broken and every check is hit.
    pub wanted: Option<Wanted>,
    /// A check of it takes no time to fail.
    pub at_once: bool,
}

/// How soon a page is wanted: a region's share of the interval, two seconds, and
/// the checks where they take time to fail; ms.
///
/// The regions take turns over the interval. Those that see the target well can tell
/// nobody, so what is wanted counts the turns of those that truly hurt: interval/3
/// where three of five do. That is later than interval/5, which no rule could keep
/// to: most of the fifths pass without anybody having seen a failure. It still takes
/// the turns as if they lay evenly, though those of the well regions leave gaps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// The regions that truly hurt take turns.
    pub hurting: i64,
    /// All of the monitor's do, as if each could see it.
    pub all: i64,
}

/// The label of the world's faults.
pub(super) fn of(world: &World) -> Label {
    let extents = &world.truth.extents;
    let from = extents.iter().map(|extent| extent.from).min().unwrap_or(0);
    let until = extents.iter().map(|extent| extent.until).max().unwrap_or(0);
    let nobody =
        Label { due: Due::NoPage, hurt: Vec::new(), from, until, wanted: None, at_once: true };
    let Some(extent) = extents.iter().find(|extent| extent.kind.side() == Side::Target) else {
        return nobody;
    };
    let reaches = |monitor: &MonitorIndex| {
        let watched = &world.cast.monitors[*monitor];
        extent.hurt == Hurt::Down && hurting(extent, watched) >= watched.needed
    };
    let hurt: Vec<MonitorIndex> = extent.monitors.iter().copied().filter(reaches).collect();
    let dues = hurt.iter().map(|monitor| due(world, extent, &world.cast.monitors[*monitor]));
    let Some(due) = dues.min() else { return Label { from: extent.from, ..nobody } };
    let alone = extents.len() == 1 && extent.share >= 1.0;
    let wanted = hurt.iter().map(|it| wanted(world, extent, &world.cast.monitors[*it]));
    // A page about one of several is a page about all, so the soonest is wanted.
    let soonest = wanted.reduce(|one, other| Wanted {
        hurting: one.hurting.min(other.hurting),
        all: one.all.min(other.all),
    });
    Label {
        due,
        wanted: soonest.filter(|_| alone),
        at_once: hurt.iter().all(|it| takes(world, extent, &world.cast.monitors[*it]) == 0),
        hurt,
        from: extent.from,
        until: extent.until,
    }
}

/// In how many of the monitor's regions it truly hurts.
fn hurting(extent: &Extent, watched: &CastMonitor) -> usize {
    watched.seats.iter().filter(|region| extent.regions.contains(region)).count()
}

fn wanted(world: &World, extent: &Extent, watched: &CastMonitor) -> Wanted {
    let taken = ALLOWED_MS + checks(watched) * takes(world, extent, watched);
    let turn = |regions: usize| watched.interval / i64::try_from(regions).unwrap_or(1).max(1);
    Wanted {
        hurting: turn(hurting(extent, watched)) + taken,
        all: turn(watched.seats.len()) + taken,
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
