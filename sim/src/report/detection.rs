//! How soon each fault was known, against the declared truth.

use super::Detection;
use crate::control::note::Note;
use crate::world::World;
use crate::world::cast::MonitorIndex;
use crate::world::truth::{Extent, Hurt};
use hyperverge_control_core::correlation::Verdict;
use hyperverge_control_core::incident::SubjectKind;
use hyperverge_control_core::notification::NoticeKind;
use std::collections::BTreeMap;

/// Monitors that are named when they were missed.
const NAMED: usize = 20;

/// Every fault of a target.
pub(super) fn of(world: &World) -> Vec<Detection> {
    let changes = changes(world);
    let extents = world.truth.extents.iter().filter(|extent| !extent.monitors.is_empty());
    extents.map(|extent| one(world, extent, &changes)).collect()
}

/// Verdicts by monitor, in the order of time.
fn changes(world: &World) -> BTreeMap<MonitorIndex, Vec<(i64, Verdict)>> {
    let mut changes: BTreeMap<MonitorIndex, Vec<(i64, Verdict)>> = BTreeMap::new();
    for line in &world.lines {
        if let Note::Verdict { monitor, to, .. } = &line.note {
            changes.entry(*monitor).or_default().push((line.at, *to));
        }
    }
    changes
}

/// Until when an answer to a fault may come: its last checks are still on their way.
fn late_until(world: &World, monitor: MonitorIndex, extent: &Extent) -> i64 {
    extent.until + world.cast.monitors[monitor].timeout + 5_000
}

/// Whether the fault hurts this monitor in as many regions as make a quorum.
pub(crate) fn reaches_quorum(world: &World, monitor: MonitorIndex, extent: &Extent) -> bool {
    let watched = &world.cast.monitors[monitor];
    watched.seats.iter().filter(|region| extent.regions.contains(region)).count() >= watched.needed
}

fn one(
    world: &World,
    extent: &Extent,
    changes: &BTreeMap<MonitorIndex, Vec<(i64, Verdict)>>,
) -> Detection {
    let reached: Vec<MonitorIndex> =
        extent.monitors.iter().copied().filter(|it| reaches_quorum(world, *it, extent)).collect();
    let mut delays = Vec::new();
    let mut missed = Vec::new();
    for monitor in &reached {
        let known = changes.get(monitor).and_then(|changes| {
            let until = late_until(world, *monitor, extent);
            known_at(changes, extent, until)
        });
        match known {
            Some(at) => delays.push((at - extent.from).max(0)),
            None => missed.push(world.cast.monitors[*monitor].name().to_owned()),
        }
    }
    delays.sort_unstable();
    missed.truncate(NAMED);
    let middle = delays.get(delays.len() / 2).copied();
    let ends = delays.first().copied().zip(delays.last().copied());
    let (pages, first) = pages(world, extent, &reached);
    Detection {
        fault: extent.fault,
        kind: extent.kind.as_str(),
        hurt: extent.hurt.as_str(),
        from_ms: extent.from,
        until_ms: extent.until,
        reach_quorum: reached.len(),
        detected: delays.len(),
        missed,
        verdict_delay_ms: ends.zip(middle).map(|((least, most), middle)| [least, middle, most]),
        page_delay_ms: first.map(|(at, waited)| at - waited - extent.from),
        group_wait_ms: first.map(|(_, waited)| waited),
        pages,
    }
}

/// When the verdict was as it should be; at the fault's begin if it was before.
fn known_at(changes: &[(i64, Verdict)], extent: &Extent, until: i64) -> Option<i64> {
    let fits = |verdict: Verdict| match extent.hurt {
        Hurt::Down => verdict == Verdict::Down,
        Hurt::Degraded => matches!(verdict, Verdict::Down | Verdict::Degraded),
    };
    let before = changes.iter().rfind(|(at, _)| *at < extent.from);
    if before.is_some_and(|(_, verdict)| fits(*verdict)) {
        return Some(extent.from);
    }
    let within = changes.iter().filter(|(at, _)| (extent.from..=until).contains(at));
    within.clone().find(|(_, verdict)| fits(*verdict)).map(|(at, _)| *at)
}

/// Opening pages about what the fault hurts, and when the first was with its wait.
fn pages(world: &World, extent: &Extent, reached: &[MonitorIndex]) -> (usize, Option<(i64, i64)>) {
    let mut count = 0;
    let mut first = None;
    for line in &world.lines {
        let Note::Told(told) = &line.note else { continue };
        let opening = told.kind == NoticeKind::Opened || told.opening_included;
        let late = world.cast.group_wait + 65_000;
        if !opening || !(extent.from..=extent.until + late).contains(&line.at) {
            continue;
        }
        let about = told.members.iter().any(|id| {
            let row = world.control.db.incidents.get(id);
            row.is_some_and(|row| {
                row.subject.0 == SubjectKind::Monitor && reached.contains(&row.subject.1)
            })
        });
        if about {
            count += 1;
            first = first.or(Some((line.at, told.waited)));
        }
    }
    (count, first)
}
