//! From a world that has run to its report.

use super::{
    EventLine, GroupLine, HeldLine, IncidentLine, PageLine, Report, TruthLine, VerdictLine,
    VoteLine, detection, expected,
};
use crate::control::EPOCH_MS;
use crate::control::database::{IncidentId, IncidentRow, Subject};
use crate::control::note::Note;
use crate::world::World;
use crate::world::cast::Cast;
use hyperverge_control_core::incident::{EventKind, SubjectKind};
use std::collections::BTreeMap;

/// The report of a run.
pub fn of(world: &World) -> Report {
    let incidents = incidents(world);
    let mut report = Report {
        scenario: world.scenario.name.clone(),
        seed: world.cast.seed,
        duration_ms: world.scenario.duration,
        ok: true,
        truth: truth(world),
        verdicts: verdicts(world),
        incidents,
        groups: groups(world),
        pages: pages(world),
        held: held(world),
        detections: detection::of(world),
        counts: world.counts,
        bursts_asked: count(world, |note| matches!(note, Note::BurstAsked { .. })),
        bursts_kept: kept(world),
        votes_lost: votes(world),
        judged: world.reference.judged,
        violations: world.reference.violations.clone(),
        expectations: Vec::new(),
    };
    if let Some(expect) = &world.scenario.expect {
        report.expectations = expected::compare(expect, &report);
    }
    report.ok = report.violations.is_empty() && report.expectations.iter().all(|it| it.met);
    report
}

fn count(world: &World, such: impl Fn(&Note) -> bool) -> u64 {
    world.lines.iter().filter(|line| such(&line.note)).count() as u64
}

fn kept(world: &World) -> BTreeMap<&'static str, u64> {
    let mut kept = BTreeMap::new();
    for line in &world.lines {
        if let Note::BurstKept { why, .. } = &line.note {
            *kept.entry(why.as_str()).or_default() += 1;
        }
    }
    kept
}

fn votes(world: &World) -> Vec<VoteLine> {
    let lines = world.lines.iter().filter_map(|line| {
        let (agent, lost) = match &line.note {
            Note::VoteLost(agent) => (*agent, true),
            Note::VoteRegained(agent) => (*agent, false),
            _ => return None,
        };
        Some(VoteLine { at_ms: line.at, agent: world.cast.agents[agent].name.clone(), lost })
    });
    lines.collect()
}

/// What people call a subject.
pub(crate) fn subject_name(cast: &Cast, (kind, index): Subject) -> String {
    match kind {
        SubjectKind::Monitor => cast.monitors[index].name().to_owned(),
        SubjectKind::Agent => cast.agents[index].name.clone(),
        SubjectKind::Region => cast.regions[index].name.clone(),
    }
}

fn truth(world: &World) -> Vec<TruthLine> {
    let cast = &world.cast;
    let lines = world.truth.extents.iter().map(|extent| TruthLine {
        fault: extent.fault,
        kind: extent.kind.as_str(),
        from_ms: extent.from,
        until_ms: extent.until,
        hurt: (!extent.monitors.is_empty()).then(|| extent.hurt.as_str()),
        monitors: extent.monitors.iter().map(|it| cast.monitors[*it].name().to_owned()).collect(),
        regions: extent.regions.iter().map(|it| cast.regions[*it].name.clone()).collect(),
        agents: extent.agents.iter().map(|it| cast.agents[*it].name.clone()).collect(),
    });
    lines.collect()
}

fn verdicts(world: &World) -> Vec<VerdictLine> {
    let lines = world.lines.iter().filter_map(|line| match &line.note {
        Note::Verdict { monitor, from, to, scope, since, evaluation } => Some(VerdictLine {
            at_ms: line.at,
            monitor: world.cast.monitors[*monitor].name().to_owned(),
            from: from.to_string(),
            to: to.to_string(),
            scope: scope.map(|scope| scope.to_string()),
            since_ms: since - EPOCH_MS,
            vote: evaluation.arithmetic(),
        }),
        _ => None,
    });
    lines.collect()
}

fn incidents(world: &World) -> Vec<IncidentLine> {
    let mut found: BTreeMap<IncidentId, IncidentLine> = BTreeMap::new();
    for line in &world.lines {
        let Note::Incident { id, subject, kind, row, reasons } = &line.note else { continue };
        let incident =
            found.entry(*id).or_insert_with(|| opened(world, *id, *subject, row, line.at));
        fill(incident, row);
        if *kind == EventKind::Resolved {
            incident.resolved_ms = Some(line.at);
        }
        incident.events.push(EventLine {
            at_ms: line.at,
            kind: kind.to_string(),
            verdict: row.verdict.to_string(),
            scope: row.scope.to_string(),
            summary: row.summary.clone(),
            reasons: reasons.clone(),
        });
    }
    for (id, incident) in &mut found {
        let row = world.control.db.incidents.get(id);
        incident.paged = row.is_some_and(|row| row.paged);
        incident.group = row.and_then(|row| row.group);
    }
    found.into_values().collect()
}

fn opened(
    world: &World,
    id: IncidentId,
    subject: Subject,
    row: &IncidentRow,
    at: i64,
) -> IncidentLine {
    IncidentLine {
        id,
        subject_kind: subject.0.to_string(),
        subject: subject_name(&world.cast, subject),
        opened_ms: at,
        resolved_ms: None,
        started_ms: row.started_at - EPOCH_MS,
        verdict: String::new(),
        scope: String::new(),
        widest_scope: None,
        severity: String::new(),
        cause: None,
        group: None,
        paged: false,
        events: Vec::new(),
        regions: BTreeMap::new(),
    }
}

fn fill(incident: &mut IncidentLine, row: &IncidentRow) {
    incident.verdict = row.verdict.to_string();
    incident.scope = row.scope.to_string();
    incident.widest_scope = row.widest_down.map(|scope| scope.to_string());
    incident.severity = row.severity.to_string();
    incident.cause.clone_from(&row.cause);
    let states = row.regions.iter().map(|it| (it.region.clone(), it.state.to_string()));
    incident.regions = states.collect();
}

fn groups(world: &World) -> Vec<GroupLine> {
    let mut found: BTreeMap<u64, GroupLine> = BTreeMap::new();
    for line in &world.lines {
        match &line.note {
            Note::GroupFormed { id, cause, quiet, .. } => {
                let formed = GroupLine {
                    id: *id,
                    cause_kind: cause.kind.to_string(),
                    cause: cause.value.clone(),
                    quiet: *quiet,
                    opened_ms: line.at,
                    resolved_ms: None,
                    members: Vec::new(),
                };
                found.insert(*id, formed);
            }
            Note::GroupJoined { group, incident, .. } => {
                if let Some(group) = found.get_mut(group) {
                    group.members.push(*incident);
                }
            }
            Note::GroupClosed(id) => {
                if let Some(group) = found.get_mut(id) {
                    group.resolved_ms = Some(line.at);
                }
            }
            _ => {}
        }
    }
    found.into_values().collect()
}

fn pages(world: &World) -> Vec<PageLine> {
    let name = |id: &IncidentId| {
        let row = world.control.db.incidents.get(id)?;
        Some(subject_name(&world.cast, row.subject))
    };
    let lines = world.lines.iter().filter_map(|line| match &line.note {
        Note::Told(told) => Some(PageLine {
            at_ms: line.at,
            kind: told.kind.to_string(),
            incident: told.incident,
            group: told.group,
            subjects: told.members.iter().filter_map(name).collect(),
            channels: told.channels.iter().map(|it| world.cast.channels[*it].clone()).collect(),
            summary: told.summary.clone(),
            group_wait_ms: told.waited,
            opening_included: told.opening_included,
            quiet: told.quiet,
        }),
        _ => None,
    });
    lines.collect()
}

fn held(world: &World) -> Vec<HeldLine> {
    let lines = world.lines.iter().filter_map(|line| match &line.note {
        Note::Held { incident, kind, reason } => Some(HeldLine {
            at_ms: line.at,
            incident: *incident,
            kind: kind.to_string(),
            reason: reason.clone(),
        }),
        _ => None,
    });
    lines.collect()
}
