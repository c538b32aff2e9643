//! Reads what `paging::plan` is asked with.

use super::shared_traits;
use crate::limits;
use crate::store::groups::{self, StoredGroup};
use crate::store::incidents::{self, Incident};
use crate::store::intents::{self, Waiting as StoredIntent};
use crate::store::notices::{self, Heard};
use crate::store::{StoreError, Tx, bursts, maintenance_windows, monitors, silences, states};
use crate::verdicts::count;
use hyperverge_control_core::correlation::Verdict;
use hyperverge_control_core::incident::SubjectKind;
use hyperverge_control_core::notification::hold::{self, Silence, Window};
use hyperverge_control_core::notification::route::Facts;
use hyperverge_control_core::paging::{
    Candidate, Group, Input, Parent, ParentState, Traits, Waiting,
};
use hyperverge_protocol::monitor::MonitorSpec;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use uuid::Uuid;

/// How long a result takes from an agent to a verdict, ms, beside the check itself.
const ARRIVAL_MS: i64 = 2_000;
/// How long the confirmation of a parent holds its children at most, ms.
const CONFIRMING_MS: i64 = 60_000;

/// The planner's input, and what carrying out its plan needs to know besides.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) input: Input,
    /// Candidates, and the leads of open groups.
    pub(super) incidents: BTreeMap<Uuid, Incident>,
    /// By incident.
    pub(super) specs: BTreeMap<Uuid, MonitorSpec>,
    /// Why each waiting intent was held last.
    pub(super) held_before: BTreeMap<(Uuid, i64), String>,
    pub(super) groups: BTreeMap<Uuid, StoredGroup>,
}

impl Loaded {
    /// What routes, silences and windows match.
    pub(super) fn facts(&self, incident: &Incident) -> Facts {
        facts(incident, self.specs.get(&incident.id))
    }
}

fn facts(incident: &Incident, spec: Option<&MonitorSpec>) -> Facts {
    Facts {
        subject: incident.subject_kind,
        name: incident.subject_name.clone(),
        labels: spec.map(|spec| spec.labels.clone()).unwrap_or_default(),
        severity: incident.severity,
        verdict: incident.verdict,
        scope: incident.scope,
    }
}

/// The monitor that an incident is about.
pub(super) fn monitor_of(incident: &Incident) -> Option<Uuid> {
    let monitor = incident.subject_kind == SubjectKind::Monitor;
    monitor.then(|| incident.subject_id.parse().ok()).flatten()
}

/// Reads everything; of monitors, only incidents of `locked` ones may be told.
pub(super) async fn load(
    tx: &mut Tx,
    organisation_id: Uuid,
    locked: &BTreeSet<Uuid>,
    now: i64,
) -> Result<Loaded, StoreError> {
    let waiting = intents::waiting(tx, organisation_id, limits::CORRELATED_INTENTS).await?;
    let waits: BTreeSet<Uuid> = waiting.iter().map(|one| one.intent.incident_id).collect();
    // What waits is judged in any case, whatever else hurts.
    let mut all = incidents::these(tx, organisation_id, waits.iter().copied().collect()).await?;
    let limit = limits::CORRELATED_INCIDENTS;
    all.extend(incidents::hurting(tx, organisation_id, limit).await?);
    // What began to wait just now is told in the next round.
    let changes = |one: &Incident| {
        waits.contains(&one.id) && monitor_of(one).is_some_and(|id| !locked.contains(&id))
    };
    let mut incidents: BTreeMap<Uuid, Incident> =
        all.into_iter().filter(|one| !changes(one)).map(|one| (one.id, one)).collect();
    let (groups, known) = told_groups(tx, organisation_id, &incidents).await?;
    let leads = groups.values().map(|group| group.lead_incident_id);
    let leads = leads.filter(|lead| !incidents.contains_key(lead)).collect();
    let leads = incidents::these(tx, organisation_id, leads).await?;
    incidents.extend(leads.into_iter().filter(|one| !changes(one)).map(|one| (one.id, one)));
    let speaking = incidents.values().filter(|one| waits.contains(&one.id));
    let speaking: Vec<Uuid> = speaking.filter_map(monitor_of).collect();
    let around = Around::read(tx, organisation_id, incidents.values(), &speaking, now).await?;
    let mut by_incident: BTreeMap<Uuid, Vec<Waiting>> = BTreeMap::new();
    let mut held_before = BTreeMap::new();
    for StoredIntent { intent, hold_reason } in waiting {
        let key = (intent.incident_id, intent.event_number);
        held_before.extend(hold_reason.map(|reason| (key, reason)));
        by_incident.entry(intent.incident_id).or_default().push(Waiting {
            event_number: intent.event_number,
            kind: intent.kind,
            due_at: if intent.due_at - now > limits::INTENT_WAIT_MS { now } else { intent.due_at },
            quiet: intent.quiet,
        });
    }
    let mut candidates = Vec::new();
    for incident in incidents.values() {
        let mut waiting = by_incident.remove(&incident.id).unwrap_or_default();
        waiting.sort_by_key(|waiting| waiting.event_number);
        let hurts = incident.resolved_at.is_none() && incident.verdict == Verdict::Down;
        if hurts || !waiting.is_empty() {
            let mut candidate = around.candidate(incident, waiting, now);
            candidate.group = candidate.group.filter(|id| groups.contains_key(id));
            candidates.push(candidate);
        }
    }
    let specs = incidents.values().filter_map(|incident| {
        Some((incident.id, around.specs.get(&monitor_of(incident)?)?.clone()))
    });
    let mut loaded = Loaded {
        specs: specs.collect(),
        held_before,
        groups,
        input: Input { candidates, groups: known, ..Input::default() },
        incidents,
    };
    shared_traits::complete(tx, organisation_id, &mut loaded, now).await?;
    Ok(loaded)
}

/// The open groups that matter now: those of `incidents`, the newest, which others may
/// join, and those that are over. One that nobody was told of is only a list until it is
/// over: who is in it is as if by itself.
async fn told_groups(
    tx: &mut Tx,
    organisation_id: Uuid,
    incidents: &BTreeMap<Uuid, Incident>,
) -> Result<(BTreeMap<Uuid, StoredGroup>, Vec<Group>), StoreError> {
    let named: BTreeSet<Uuid> = incidents.values().filter_map(|one| one.group_id).collect();
    let limit = limits::CORRELATED_GROUPS;
    let mut all = groups::open(tx, organisation_id, limit).await?;
    all.extend(groups::over(tx, organisation_id, limit).await?);
    if !named.is_empty() {
        let named = groups::some(tx, organisation_id, named.into_iter().collect()).await?;
        all.extend(named.into_iter().filter(|group| group.resolved_at.is_none()));
    }
    let mut groups: BTreeMap<Uuid, StoredGroup> =
        all.into_iter().map(|group| (group.id, group)).collect();
    if groups.is_empty() {
        return Ok(Default::default());
    }
    let ids = groups.keys().copied().collect();
    let sizes = groups::sizes(tx, organisation_id, ids).await?;
    let size = |id: &Uuid| sizes.get(id).copied().unwrap_or_default();
    groups.retain(|id, group| group.paged || size(id).hurting == 0);
    let known = groups.values().map(|group| group.known(size(&group.id).unresolved)).collect();
    Ok((groups, known))
}

/// What candidates are made of beside their incidents.
struct Around {
    specs: BTreeMap<Uuid, MonitorSpec>,
    verdicts: BTreeMap<Uuid, Verdict>,
    /// By name.
    parents: BTreeMap<String, ParentState>,
    /// Channels that were told, by incident.
    told: BTreeMap<Uuid, Heard>,
    silences: Vec<Silence>,
    windows: Vec<Window>,
}

impl Around {
    async fn read(
        tx: &mut Tx,
        organisation_id: Uuid,
        incidents: impl Iterator<Item = &Incident>,
        speaking: &[Uuid],
        now: i64,
    ) -> Result<Self, StoreError> {
        let incidents: Vec<&Incident> = incidents.collect();
        let told = incidents.iter().filter(|one| one.paged || one.told_quietly);
        let told = told.map(|one| one.id).collect();
        let ids: BTreeSet<Uuid> = incidents.into_iter().filter_map(monitor_of).collect();
        let ids: Vec<Uuid> = ids.into_iter().collect();
        let specs = monitors::newest_specs(tx, organisation_id, ids.clone()).await?;
        let named: BTreeSet<String> =
            specs.values().flat_map(|spec| spec.depends_on.iter().cloned()).collect();
        Ok(Self {
            parents: parents(tx, organisation_id, named, now).await?,
            verdicts: verdicts(tx, organisation_id, ids, speaking, now).await?,
            told: notices::told_channels(tx, organisation_id, told).await?,
            silences: silences::active(tx, organisation_id, now).await?,
            windows: maintenance_windows::active(tx, organisation_id, now).await?,
            specs,
        })
    }

    fn candidate(&self, incident: &Incident, waiting: Vec<Waiting>, now: i64) -> Candidate {
        let monitor = monitor_of(incident);
        let spec = monitor.and_then(|id| self.specs.get(&id));
        let verdict = monitor.and_then(|id| self.verdicts.get(&id));
        let facts = facts(incident, spec);
        let depends_on = spec.map(|spec| spec.depends_on.as_slice()).unwrap_or_default();
        Candidate {
            incident_id: incident.id,
            subject: incident.subject_kind,
            name: incident.subject_name.clone(),
            verdict: verdict.copied().unwrap_or(Verdict::Unknown),
            scope: incident.scope,
            started_at: incident.started_at,
            resolved: incident.resolved_at.is_some(),
            paged: incident.paged,
            told_quietly: incident.told_quietly,
            told_alone: self.told.contains_key(&incident.id),
            group: incident.group_id,
            waiting,
            traits: Traits::default(),
            parents: depends_on
                .iter()
                .map(|name| Parent {
                    name: name.clone(),
                    state: self.parents.get(name).copied().unwrap_or(ParentState::Unknown),
                })
                .collect(),
            interval_ms: spec.map_or(0, |spec| ms(spec.interval.0)),
            recheck_ms: spec.map_or(0, recheck_ms),
            hold: hold::held(&self.silences, &self.windows, &facts, now),
        }
    }
}

/// The verdicts of these monitors; of those that want to be told, counted anew: a
/// stored one may rest on votes that grew old while nobody was there to see it.
async fn verdicts(
    tx: &mut Tx,
    organisation_id: Uuid,
    ids: Vec<Uuid>,
    speaking: &[Uuid],
    now: i64,
) -> Result<BTreeMap<Uuid, Verdict>, StoreError> {
    let stored = states::verdicts(tx, organisation_id, ids).await?;
    let mut found: BTreeMap<Uuid, Verdict> =
        stored.into_iter().map(|(id, state)| (id, state.verdict)).collect();
    for monitor in states::watched(tx, organisation_id, speaking).await? {
        found.insert(monitor.monitor_id, count(&monitor, now).verdict);
    }
    Ok(found)
}

fn ms(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

/// Until every region has looked often enough to be up again.
fn recheck_ms(spec: &MonitorSpec) -> i64 {
    let checks = i64::from(spec.policy.recover_after.max(1));
    ms(spec.interval.0).saturating_mul(checks) + ms(spec.timeout().0) + ARRIVAL_MS
}

/// How the monitors of these names are.
async fn parents(
    tx: &mut Tx,
    organisation_id: Uuid,
    named: BTreeSet<String>,
    now: i64,
) -> Result<BTreeMap<String, ParentState>, StoreError> {
    if named.is_empty() {
        return Ok(BTreeMap::new());
    }
    let by_name = monitors::ids_of(tx, organisation_id, named.into_iter().collect()).await?;
    let ids: Vec<Uuid> = by_name.values().copied().collect();
    let states = states::verdicts(tx, organisation_id, ids.clone()).await?;
    let bursts = bursts::newest(tx, organisation_id, ids.clone(), now).await?;
    let downs = incidents::downs(tx, organisation_id, ids).await?;
    let state = |id: Uuid| {
        let Some(state) = states.get(&id) else { return ParentState::Unknown };
        let burst = bursts.get(&id).filter(|(_, last)| last.active);
        match (state.verdict, downs.get(&id), burst) {
            (Verdict::Down, ..) => ParentState::Down,
            // Its votes are not fresh any more, but nobody saw it well since.
            (Verdict::Unknown, Some(down), _) if down.pages_now => {
                ParentState::Lost { since: state.since }
            }
            (Verdict::Unknown, ..) => ParentState::Unknown,
            (_, _, Some((_, last))) => {
                ParentState::Confirming { until: last.asked_at.saturating_add(CONFIRMING_MS) }
            }
            (_, Some(down), None) => {
                // While its incident is open below the quorum, it is well since the verdict turned.
                ParentState::Well { since: down.over_at.unwrap_or(state.since) }
            }
            (_, None, None) => ParentState::Well { since: 0 },
        }
    };
    Ok(by_name.into_iter().map(|(name, id)| (name, state(id))).collect())
}
