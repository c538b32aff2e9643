//! Which agents are compared, and what follows: votes lost and regained, and one
//! incident about each agent or region at fault.

use super::database::{Database, Subject};
use super::note::Note;
use super::verdicts::{self, open_of, record, seat};
use crate::world::cast::{AgentIndex, Cast};
use hyperverge_control_core::correlation::{DISCREDITED, RegionState, looked};
use hyperverge_control_core::incident::{SubjectKind, lose_trust, regain_trust};
use hyperverge_control_core::vantage::{
    Agent, Fault, Input, Look, UNRELATED, Watch, plan, settles_ms,
};
use std::collections::{BTreeMap, BTreeSet};

/// Whether the agents have to be compared.
pub(super) fn is_suspicious(db: &Database) -> bool {
    let mut failing: BTreeMap<AgentIndex, usize> = BTreeMap::new();
    for (place, _) in db.region_states.iter().filter(|(_, row)| row.failures > 0) {
        if let Some(current) = db.current.get(place) {
            *failing.entry(current.agent).or_default() += 1;
        }
    }
    let discredited = |(subject, id): (&Subject, &u64)| {
        let cause = db.incidents.get(id).and_then(|row| row.cause.as_deref());
        subject.0 != SubjectKind::Monitor && cause == Some(DISCREDITED)
    };
    !db.discredited.is_empty()
        || failing.values().any(|count| *count >= UNRELATED)
        || db.open.iter().any(discredited)
}

/// Compares them and writes what follows.
pub(super) fn judge(db: &mut Database, cast: &Cast, notes: &mut Vec<Note>, now: i64) {
    let plan = plan(&input(db, cast, now), now);
    let index_of = |id: &String| cast.agents.iter().position(|agent| agent.name == *id);
    let mut changed = BTreeSet::new();
    for agent in plan.lose.iter().filter_map(index_of) {
        db.discredited.put(agent, now);
        notes.push(Note::VoteLost(agent));
        changed.insert(agent);
    }
    for agent in plan.regain.iter().filter_map(index_of) {
        db.discredited.remove(&agent);
        doubt(db, agent);
        notes.push(Note::VoteRegained(agent));
        changed.insert(agent);
    }
    for fault in &plan.open {
        open(db, cast, fault, notes, now);
    }
    for (kind, id) in &plan.close {
        let Some(subject) = subject_of(cast, *kind, id) else { continue };
        let Some((incident, open)) = open_of(db, subject) else { continue };
        let name = crate::report::subject_name(cast, subject);
        let change = regain_trust(&name, open.started_at, open.told_quietly, now);
        record(db, subject, Some(incident), change, notes, now);
    }
    evaluate_all_of(db, cast, &changed, notes, now);
}

fn open(db: &mut Database, cast: &Cast, fault: &Fault, notes: &mut Vec<Note>, now: i64) {
    let Some(subject) = subject_of(cast, fault.subject, &fault.id) else { return };
    // A region that fell silent is one incident already.
    if open_of(db, subject).is_some() {
        return;
    }
    let name = crate::report::subject_name(cast, subject);
    record(db, subject, None, lose_trust(&name, fault, cast.group_wait, now), notes, now);
}

fn subject_of(cast: &Cast, kind: SubjectKind, id: &str) -> Option<Subject> {
    let index = match kind {
        SubjectKind::Agent => cast.agents.iter().position(|agent| agent.name == id)?,
        SubjectKind::Region => cast.regions.iter().position(|region| region.name == id)?,
        SubjectKind::Monitor => return None,
    };
    Some((kind, index))
}

fn input(db: &Database, cast: &Cast, now: i64) -> Input {
    let agents = (0..cast.agents.len()).map(|agent| Agent {
        id: cast.agents[agent].name.clone(),
        region_id: cast.regions[cast.agents[agent].region].name.clone(),
        discredited_at: db.discredited.get(&agent).copied(),
        assigned: db.current.iter().any(|(_, row)| row.agent == agent),
    });
    let watches = (0..cast.monitors.len()).map(|monitor| {
        let watched = &cast.monitors[monitor];
        let stale = watched.thresholds.stale_after_ms;
        let looks = watched.seats.iter().filter_map(|region| {
            let agent = db.current.get(&(monitor, *region))?.agent;
            let looked = looked(&seat(db, cast, monitor, *region), stale, now)?;
            let answered = answered(db, monitor, *region, agent);
            Some(Look::of(cast.agents[agent].name.clone(), looked, answered))
        });
        Watch {
            host: watched.monitor.host.to_lowercase(),
            network: watched.network(),
            needed: u32::try_from(watched.needed).unwrap_or(u32::MAX),
            settles_ms: settles_ms(&watched.monitor.spec),
            seats: looks.collect(),
        }
    });
    let open = db.open.iter().filter(|((kind, _), id)| {
        let cause = db.incidents.get(id).and_then(|row| row.cause.as_deref());
        *kind != SubjectKind::Monitor && cause == Some(DISCREDITED)
    });
    let name = |subject: &Subject| crate::report::subject_name(cast, *subject);
    Input {
        agents: agents.collect(),
        watches: watches.collect(),
        open: open.map(|(subject, _)| (subject.0, name(subject))).collect(),
    }
}

/// When the monitor's newest burst was asked, if the agent answered it with a success.
fn answered(db: &Database, monitor: usize, region: usize, agent: AgentIndex) -> Option<i64> {
    let burst = *db.newest_burst.get(&monitor)?;
    let order = db.orders.get(&(burst, region))?;
    let asked_at = db.bursts.get(&burst)?.asked_at;
    (order.agent == agent && order.successes > 0).then_some(asked_at)
}

/// What it saw while it was at fault is not held against its targets.
fn doubt(db: &mut Database, agent: AgentIndex) {
    let held = |place: &(usize, usize)| {
        db.current.get(place).is_some_and(|current| current.agent == agent)
    };
    let hurting =
        db.region_states.iter().filter(|(_, row)| row.state != RegionState::Up || row.failures > 0);
    let places: Vec<_> = hurting.map(|(place, _)| *place).filter(held).collect();
    for place in places {
        if let Some(row) = db.region_states.get(&place).cloned() {
            db.region_states.put(place, row.doubted());
        }
    }
}

/// A vote that counts no more, or again, may turn verdicts.
fn evaluate_all_of(
    db: &mut Database,
    cast: &Cast,
    agents: &BTreeSet<AgentIndex>,
    notes: &mut Vec<Note>,
    now: i64,
) {
    let of_them = db.current.iter().filter(|(_, row)| agents.contains(&row.agent));
    let turning: BTreeSet<usize> = of_them.map(|((monitor, _), _)| *monitor).collect();
    for monitor in turning {
        db.monitor_states.lock(&monitor);
        verdicts::evaluate(db, cast, monitor, notes, now);
    }
}
