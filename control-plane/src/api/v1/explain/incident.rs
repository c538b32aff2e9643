//! `GET /incidents/{id}/explain`.

use super::bursts::{BurstView, NotAskedView};
use super::group::{GroupView, group};
use super::views::{CheckView, DeliveryView, EvaluationView, IntentView};
use crate::api::v1::incidents::{IncidentView, view};
use crate::api::{Api, Problem, Timestamp, input::Id};
use crate::auth::Viewer;
use crate::store::bursts::{self, Confirmation};
use crate::store::channels::{self, Channel};
use crate::store::history::{self, Check, Span, StoredIntent, Telling, tells_the_beginning};
use crate::store::incidents::{self, Event, Incident};
use crate::store::{StoreError, Tx, deliveries};
use axum::Json;
use axum::extract::State;
use hyperverge_control_core::correlation::{Evaluation, RegionState};
use hyperverge_control_core::explain::{
    Night, NoticeStands, Stored, asked, at_night, decided_again,
};
use hyperverge_control_core::incident::SubjectKind;
use serde::Serialize;
use std::collections::BTreeSet;
use uuid::Uuid;

/// Decisions that are shown besides the first, the newest ones; a longer timeline is read
/// through its own path.
const EVENTS: i64 = 199;
/// Bursts that are shown.
const BURSTS: i64 = 20;
/// The burst of a failure is asked when that arrives; clocks differ by less than this, ms.
const BURSTS_BEFORE_MS: i64 = 5_000;
/// Checks shown of one region around the beginning, and around the end.
const CHECKS_BEFORE: i64 = 20;
/// See [`CHECKS_BEFORE`].
const CHECKS_END: i64 = 5;

/// Why an incident is what it is.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = IncidentExplanation)]
pub(super) struct IncidentExplanationView {
    /// One sentence for a person woken at night.
    summary: String,
    incident: IncidentView,
    /// The decisions of its timeline, in order: the first, and the newest 199.
    decisions: Vec<DecisionView>,
    /// What of it is not shown here because there is too much, in sentences.
    left_out: Vec<String>,
    /// The checks of the regions that hurt, around its beginning and its end.
    checks: Vec<CheckView>,
    /// What was asked at once of every region to confirm it, and the answers.
    bursts: Vec<BurstView>,
    /// When a streak of failures began and nothing was asked at once, and why.
    not_asked: Vec<NotAskedView>,
    /// What was to be told, and what became of it.
    intents: Vec<IntentView>,
    /// The incidents it shares a cause with, and which of them carried the page.
    group: Option<GroupView>,
    /// Who was told, and how that went; with those of its group that told of it.
    deliveries: Vec<DeliveryView>,
}

/// A decision.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = ExplainedDecision)]
pub(super) struct DecisionView {
    number: i64,
    at: Timestamp,
    /// As in the timeline.
    kind: String,
    summary: String,
    /// Why this and nothing else.
    reasons: Vec<String>,
    /// The vote it was decided on, where there was one.
    vote: Option<EvaluationView>,
    replay: ReplayView,
    /// What the planner was asked with, as it was stored.
    #[schema(value_type = Object)]
    input: serde_json::Value,
}

/// The same question to the present planner.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = ExplainedReplay)]
pub(super) struct ReplayView {
    /// `same`, `different`, `unknown` (evidence this version cannot decide on) or
    /// `nobody` (no planner decided it).
    result: &'static str,
    /// What differs, or why it is not known.
    with: Vec<String>,
}

/// Why an incident was opened, told, held and resolved: each decision with what
/// it was made on, and whether the present planner would decide the same.
#[utoipa::path(get, path = "/incidents/{id}/explain", tag = "incidents", operation_id = "explain_incident",
    params(("id" = Uuid, Path, description = "The incident")),
    responses((status = 200, body = IncidentExplanationView)))]
pub(super) async fn explain(
    State(api): State<Api>,
    Viewer(caller): Viewer,
    Id(id): Id,
) -> Result<Json<IncidentExplanationView>, Problem> {
    let organisation = caller.organisation;
    let mut tx = api.shared.store.read().await?;
    let incident = incidents::get(&mut tx, organisation, id)
        .await?
        .ok_or_else(|| Problem::not_found("incident"))?;
    let events = events_of(&mut tx, organisation, id).await?;
    let intents = history::intents(&mut tx, organisation, id).await?;
    let over = incident.resolved_at;
    let told = history::tellings(&mut tx, organisation, id, over, i64::MAX).await?;
    let channels = channels_of(&mut tx, organisation, &told).await?;
    let group = group(&mut tx, organisation, &incident, i64::MAX).await?;
    let checks = checks(&mut tx, organisation, &incident, &events).await?;
    let confirmation = confirmation_of(&mut tx, organisation, &incident).await?;
    let shown = view(&mut tx, organisation, incident.clone()).await?;
    drop(tx);
    Ok(Json(IncidentExplanationView {
        left_out: left_out(&incident, &events, &told, &confirmation),
        summary: summary(&incident, &events, &intents, (&told, &channels), group.as_ref()),
        decisions: events.into_iter().map(|event| decision(event, &incident)).collect(),
        checks: checks.into_iter().map(CheckView::from).collect(),
        bursts: confirmation.bursts.into_iter().map(BurstView::from).collect(),
        not_asked: confirmation.kept.into_iter().map(NotAskedView::from).collect(),
        intents: intents.into_iter().map(IntentView::from).collect(),
        group,
        deliveries: told.into_iter().map(|one| DeliveryView::new(one, &channels)).collect(),
        incident: shown,
    }))
}

fn decision(event: Event, incident: &Incident) -> DecisionView {
    let replayed = decided_again(&stored(&event, incident));
    let vote = evaluation(&event);
    let reasons = event.evidence.get("reasons").cloned();
    DecisionView {
        number: event.number,
        at: Timestamp(event.at),
        kind: event.kind,
        summary: event.summary,
        reasons: reasons
            .and_then(|reasons| serde_json::from_value(reasons).ok())
            .unwrap_or_default(),
        vote: vote.as_ref().map(EvaluationView::from),
        replay: ReplayView { result: replayed.result.as_str(), with: replayed.with },
        input: event.evidence.get("input").cloned().unwrap_or(event.evidence),
    }
}

fn stored<'a>(event: &'a Event, incident: &'a Incident) -> Stored<'a> {
    Stored {
        kind: &event.kind,
        at: event.at,
        verdict: event.verdict,
        scope: event.scope,
        summary: &event.summary,
        evidence: &event.evidence,
        subject: &incident.subject_name,
        started_at: incident.started_at,
    }
}

/// The vote that an event was decided on.
fn evaluation(event: &Event) -> Option<Evaluation> {
    asked(&event.evidence).map(|input| input.evaluation)
}

/// The channels of what was told, as far as they are there.
pub(super) async fn channels_of(
    tx: &mut Tx,
    organisation: Uuid,
    told: &[Telling],
) -> Result<Vec<Channel>, StoreError> {
    let ids: BTreeSet<Uuid> = told.iter().map(|one| one.delivery.channel_id).collect();
    let mut found = Vec::new();
    for id in ids {
        found.extend(channels::get(tx, organisation, id).await?);
    }
    Ok(found)
}

/// The monitor that an incident is about.
fn monitor_of(incident: &Incident) -> Option<Uuid> {
    let is_monitor = incident.subject_kind == SubjectKind::Monitor;
    incident.subject_id.parse().ok().filter(|_| is_monitor)
}

/// The first decision, and the newest ones.
async fn events_of(
    tx: &mut Tx,
    organisation: Uuid,
    incident: Uuid,
) -> Result<Vec<Event>, StoreError> {
    let newest = incidents::newest(tx, organisation, incident, i64::MAX, EVENTS).await?;
    let mut events = match newest.first() {
        Some(event) if event.number > 1 => {
            incidents::timeline(tx, organisation, incident, 0, 1).await?
        }
        _ => Vec::new(),
    };
    events.extend(newest);
    Ok(events)
}

/// What was asked at once, and what was not, from the first failure until it was over.
async fn confirmation_of(
    tx: &mut Tx,
    organisation: Uuid,
    incident: &Incident,
) -> Result<Confirmation, StoreError> {
    let Some(monitor_id) = monitor_of(incident) else { return Ok(Confirmation::default()) };
    let from = incident.started_at.min(incident.opened_at).saturating_sub(BURSTS_BEFORE_MS);
    let until = incident.resolved_at.unwrap_or(i64::MAX);
    bursts::confirmation(tx, organisation, monitor_id, (from, until), BURSTS).await
}

/// What there is too much of.
fn left_out(
    incident: &Incident,
    events: &[Event],
    told: &[Telling],
    confirmation: &Confirmation,
) -> Vec<String> {
    let mut said = Vec::new();
    if let Some(next) = events.get(1).filter(|event| event.number > 2) {
        let (last, id) = (next.number - 1, incident.id);
        said.push(format!("decisions 2 to {last}: GET /api/v1/incidents/{id}/timeline has them"));
    }
    if told.len() >= usize::try_from(deliveries::OF_INCIDENT).unwrap_or(usize::MAX) {
        said.push(format!("deliveries after the first {}", deliveries::OF_INCIDENT));
    }
    if confirmation.more {
        said.push(format!("bursts, and failures that asked for none, before the newest {BURSTS}"));
    }
    said
}

/// What the regions that hurt saw around the beginning and the end, in order.
async fn checks(
    tx: &mut Tx,
    organisation_id: Uuid,
    incident: &Incident,
    events: &[Event],
) -> Result<Vec<Check>, StoreError> {
    let Some(monitor_id) = monitor_of(incident) else { return Ok(Vec::new()) };
    let revisions = history::revisions(tx, organisation_id, monitor_id, incident.opened_at).await?;
    let interval = revisions.last().map_or(0, |revision| revision.spec.interval.as_millis());
    let before = i64::try_from(interval).unwrap_or(i64::MAX).saturating_mul(3);
    let mut found = Vec::new();
    for region in hurting(events) {
        let first = events.iter().find(|event| says_hurt(event, &region));
        let until = first.map_or(incident.opened_at, |event| event.at);
        let from = incident.started_at.min(incident.opened_at).saturating_sub(before);
        let span = Span { organisation_id, monitor_id, from, until };
        let mut of_region = history::checks(tx, span, &region, CHECKS_BEFORE).await?;
        if let Some(until) = incident.resolved_at {
            let span = Span { until, ..span };
            of_region.extend(history::checks(tx, span, &region, CHECKS_END).await?);
        }
        of_region.sort_by_key(|check| (check.started_us, check.slot, check.burst_index));
        of_region.dedup();
        found.extend(of_region);
    }
    Ok(found)
}

/// The regions that hurt at any decision, by name.
fn hurting(events: &[Event]) -> BTreeSet<String> {
    let votes = events.iter().filter_map(evaluation);
    votes.flat_map(|vote| names(&vote).map(str::to_owned).collect::<Vec<_>>()).collect()
}

fn says_hurt(event: &Event, region: &str) -> bool {
    evaluation(event).is_some_and(|vote| names(&vote).any(|name| name == region))
}

fn names(vote: &Evaluation) -> impl Iterator<Item = &str> {
    let hurt = vote.of(RegionState::Down).chain(vote.of(RegionState::Degraded));
    hurt.map(|region| region.region.as_str())
}

fn summary(
    incident: &Incident,
    events: &[Event],
    intents: &[StoredIntent],
    (told, channels): (&[Telling], &[Channel]),
    group: Option<&GroupView>,
) -> String {
    let notices: Vec<NoticeStands<'_>> = told
        .iter()
        .filter(|telling| tells_the_beginning(&telling.delivery.notice))
        .map(|Telling { delivery, through, quiet, .. }| {
            let channel = channels.iter().find(|channel| channel.id == delivery.channel_id);
            NoticeStands {
                channel: channel.map_or("a channel that is gone", |channel| &channel.name),
                state: delivery.state,
                made_at: delivery.created_at,
                settled_at: delivery.settled_at,
                last_error: delivery.last_error.as_deref(),
                through: through.and_then(|_| group.map(GroupView::lead)),
                quiet: *quiet,
            }
        })
        .collect();
    let worst = events.iter().filter_map(evaluation).max_by_key(|vote| (vote.down, vote.degraded));
    let loud: Vec<&StoredIntent> = intents.iter().filter(|intent| !intent.quiet).collect();
    let waits = loud.iter().find(|intent| intent.settled_at.is_none());
    let settled =
        |intents: &[&StoredIntent]| intents.iter().rev().find_map(|intent| intent.outcome.clone());
    let all: Vec<&StoredIntent> = intents.iter().collect();
    let nobody = match waits {
        Some(intent) => {
            Some(intent.hold_reason.clone().unwrap_or_else(|| "its notice waits".to_owned()))
        }
        None if loud.is_empty() && !notices.is_empty() => None,
        None if intents.is_empty() => Some("it asked for no notice".to_owned()),
        None => settled(&loud).or_else(|| settled(&all)),
    };
    at_night(&Night {
        summary: &incident.summary,
        started_at: incident.started_at,
        opened_at: incident.opened_at,
        resolved_at: incident.resolved_at,
        arithmetic: worst.map(|vote| vote.arithmetic()),
        notices: &notices,
        nobody: nobody.as_deref(),
    })
}
