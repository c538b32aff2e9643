//! Who is lost, who is silent, who gets which monitor, and whose vote grew old: the
//! reconcilers of `control-plane/src/tasks/liveness/` and `…/planner/`.

use super::database::{AssignmentRow, Database};
use super::note::Note;
use super::verdicts::{self, open_of, record};
use crate::agent::{AgentSet, Place};
use crate::world::cast::{AgentIndex, Cast, MonitorIndex};
use hyperverge_control_core::assignment::{
    self, Assign, Current, Ended, Health, Monitor, Plan, Region,
};
use hyperverge_control_core::correlation::Verdict;
use hyperverge_control_core::incident::{SubjectKind, fall_silent, hear_again};
use hyperverge_control_core::liveness::{self, Settings};
use std::collections::BTreeSet;
use std::sync::Arc;

/// An agent seals a batch at least every 10 s; one that is this late lags, ms.
const LAG_MS: i64 = 15_000;
/// Monitors of one round of [`stale`].
const PAGE: usize = 1_000;
/// An unchanged set is signed again when it is this old, ms.
const RENEW_AFTER_MS: i64 = 3_600_000;

/// Agents lost and found; one incident for each silent region.
pub(super) fn liveness(
    db: &mut Database,
    cast: &Cast,
    listening_since: i64,
    notes: &mut Vec<Note>,
    now: i64,
) {
    let agents = (0..cast.agents.len()).map(|index| liveness::Agent {
        id: cast.agents[index].name.clone(),
        region_id: cast.regions[cast.agents[index].region].id,
        last_heartbeat_at: db.heartbeats.get(&index).map(|beat| beat.at),
        lost_at: db.lost.get(&index).copied(),
        barred: false,
    });
    let silent = db.open.iter().filter(|((kind, _), id)| {
        let cause = db.incidents.get(id).and_then(|row| row.cause.as_deref());
        *kind == SubjectKind::Region && cause == Some("silent")
    });
    let input = liveness::Input {
        agents: agents.collect(),
        silent: silent.map(|((_, region), _)| cast.regions[*region].id).collect(),
        listening_since,
    };
    let plan = liveness::plan(&input, Settings::default(), now);
    let index_of = |id: &String| cast.agents.iter().position(|agent| agent.name == *id);
    for agent in plan.lost.iter().filter_map(|(id, _)| index_of(id)) {
        db.lost.put(agent, now);
        notes.push(Note::AgentLost(agent));
    }
    for agent in plan.found.iter().filter_map(index_of) {
        db.lost.remove(&agent);
        notes.push(Note::AgentFound(agent));
    }
    for region in &plan.silent {
        let Some(index) = cast.region_by_id.get(&region.region_id).copied() else { continue };
        let subject = (SubjectKind::Region, index);
        // A region whose agents are at fault is one incident already.
        if open_of(db, subject).is_some() {
            continue;
        }
        let change = fall_silent(&cast.regions[index].name, region, cast.group_wait, now);
        record(db, subject, None, change, notes, now);
    }
    for region in &plan.heard {
        let Some(index) = cast.region_by_id.get(region).copied() else { continue };
        let subject = (SubjectKind::Region, index);
        let Some((id, open)) = open_of(db, subject) else { continue };
        let (name, told) = (&cast.regions[index].name, open.told_quietly);
        let change = hear_again(name, true, open.started_at, told, now);
        record(db, subject, Some(id), change, notes, now);
    }
}

/// Evaluates the next page of monitors that may turn by time alone, after `cursor`.
pub(super) fn stale(
    db: &mut Database,
    cast: &Cast,
    cursor: Option<MonitorIndex>,
    notes: &mut Vec<Note>,
    now: i64,
) -> Option<MonitorIndex> {
    let mut turning: BTreeSet<MonitorIndex> =
        db.region_states.iter().map(|((monitor, _), _)| *monitor).collect();
    let states = db.monitor_states.iter();
    turning.extend(
        states
            .filter(|(_, it)| it.verdict != Verdict::Up || it.hold_until.is_some())
            .map(|(id, _)| *id),
    );
    let fresh = now - LAG_MS..=now + LAG_MS;
    let lags =
        |agent: &AgentIndex| db.complete.get(agent).is_none_or(|through| !fresh.contains(through));
    if (0..cast.agents.len()).any(|agent| lags(&agent)) {
        let lagging = db.current.iter().filter(|(_, row)| lags(&row.agent));
        turning.extend(lagging.map(|((monitor, _), _)| *monitor));
    }
    let after = cursor.map_or(0, |monitor| monitor + 1);
    let page: Vec<MonitorIndex> = turning.range(after..).take(PAGE).copied().collect();
    for monitor in &page {
        db.monitor_states.lock(monitor);
        verdicts::evaluate(db, cast, *monitor, notes, now);
    }
    page.last().copied().filter(|_| page.len() == PAGE)
}

/// Plans assignments and renews the sets that change.
pub(super) fn plan(db: &mut Database, cast: &Cast, notes: &mut Vec<Note>, now: i64) {
    let plan = assignment::plan(&input(db, cast), now);
    write(db, cast, &plan);
    let changed = plan.agents();
    for agent in 0..cast.agents.len() {
        let due = db.sets.get(&agent).is_some_and(|set| now - set.issued_at >= RENEW_AFTER_MS);
        if due || changed.contains(cast.agents[agent].name.as_str()) {
            renew(db, agent, now);
            notes.push(Note::SetChanged(agent));
        }
    }
}

fn input(db: &Database, cast: &Cast) -> assignment::Input {
    let agents = (0..cast.agents.len()).map(|index| assignment::Agent {
        id: cast.agents[index].name.clone(),
        region_id: cast.regions[cast.agents[index].region].id,
        health: match (db.heartbeats.get(&index), db.lost.get(&index)) {
            (Some(_), None) => Health::Healthy,
            _ => Health::Silent,
        },
        capabilities: CAPABILITIES.iter().map(|it| (*it).to_owned()).collect(),
        complete_through: db.complete.get(&index).copied(),
        discredited: db.discredited.get(&index).is_some(),
    });
    let monitors = cast.monitors.iter();
    let regions = cast.regions.iter();
    assignment::Input {
        monitors: monitors.map(|it| Monitor::of(it.id, 1, &it.monitor.spec)).collect(),
        regions: regions.map(|it| Region { id: it.id, name: it.name.clone() }).collect(),
        agents: agents.collect(),
        current: db
            .current
            .iter()
            .map(|((monitor, region), row)| Current {
                monitor_id: cast.monitors[*monitor].id,
                region_id: cast.regions[*region].id,
                agent_id: cast.agents[row.agent].name.clone(),
                revision: row.revision,
                first_slot: row.first_slot,
                slots: row.slots,
                predecessor_through: row.predecessor_through,
            })
            .collect(),
        ended: db
            .ended
            .iter()
            .filter(|(place, _)| db.current.get(place).is_none())
            .map(|((monitor, region), row)| Ended {
                monitor_id: cast.monitors[*monitor].id,
                region_id: cast.regions[*region].id,
                revision: row.revision,
                last_slot: row.last_slot.unwrap_or(row.first_slot - 1),
                slots: row.slots,
            })
            .collect(),
    }
}

const CAPABILITIES: [&str; 5] = ["probe:http", "probe:tcp", "probe:icmp", "probe:dns", "probe:tls"];

fn write(db: &mut Database, cast: &Cast, plan: &Plan) {
    for end in &plan.ends {
        let Some(place) = place_of(cast, end.monitor_id, end.region_id) else { continue };
        let Some(row) = db.current.lock(&place).cloned() else { continue };
        let ended = AssignmentRow { last_slot: Some(end.last_slot), ..row };
        let mut asked = db.asked.get(&(ended.agent, place.0)).cloned().unwrap_or_default();
        if let Some(span) = asked.iter_mut().find(|span| span.last_slot.is_none()) {
            span.last_slot = Some(end.last_slot);
        }
        db.asked.put((ended.agent, place.0), asked);
        db.ended.put(place, ended);
        db.current.remove(&place);
    }
    for assign in &plan.assigns {
        let Some(place) = place_of(cast, assign.monitor_id, assign.region_id) else { continue };
        db.current.lock(&place);
        let Some(row) = row_of(cast, assign) else { continue };
        let mut asked = db.asked.get(&(row.agent, place.0)).cloned().unwrap_or_default();
        asked.push(row.clone());
        db.asked.put((row.agent, place.0), asked);
        db.current.put(place, row);
    }
}

fn place_of(cast: &Cast, monitor: uuid::Uuid, region: uuid::Uuid) -> Option<(usize, usize)> {
    Some((*cast.monitor_by_id.get(&monitor)?, *cast.region_by_id.get(&region)?))
}

fn row_of(cast: &Cast, assign: &Assign) -> Option<AssignmentRow> {
    Some(AssignmentRow {
        agent: cast.agents.iter().position(|agent| agent.name == assign.agent_id)?,
        revision: assign.revision,
        first_slot: assign.first_slot,
        slots: assign.slots,
        last_slot: None,
        predecessor_through: assign.predecessor_through,
    })
}

fn renew(db: &mut Database, agent: AgentIndex, now: i64) {
    let current = db.current.iter().filter(|(_, row)| row.agent == agent);
    let places: Vec<Place> = current
        .map(|((monitor, _), row)| Place {
            monitor: *monitor,
            revision: row.revision,
            anchor_ms: row.slots.anchor_ms,
            interval_ms: row.slots.interval_ms,
            first_slot: row.first_slot,
        })
        .collect();
    let last = db.sets.get(&agent);
    let version = last.map_or(0, |last| last.version + 1).max(now);
    let same = last.filter(|last| last.places == places);
    let content_version = same.map_or(version, |last| last.content_version);
    db.sets.put(agent, Arc::new(AgentSet { version, content_version, issued_at: now, places }));
}
