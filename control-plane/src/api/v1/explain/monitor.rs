//! `GET /monitors/{id}/explain`: how a monitor stood at a time, and why there was
//! a page then, or none.

use super::bursts::{BurstView, NotAskedView};
use super::group::GroupView;
use super::told::{Then, then};
use super::views::{CheckView, DeliveryView, EvaluationView, IntentView};
use crate::api::v1::incidents::{IncidentView, view};
use crate::api::{Api, Problem, Timestamp, input::Id, input::Params, timestamp};
use crate::auth::Viewer;
use crate::limits::{EXPLAIN_MISSED, EXPLAIN_RESULTS};
use crate::store::history::{self, Check, Depth, Span};
use crate::store::{StoreError, Tx, bursts, maintenance_windows, monitors, silences};
use axum::Json;
use axum::extract::State;
use hyperverge_control_core::backtest::Read;
use hyperverge_control_core::correlation::{Evaluation, Scope, Seat};
use hyperverge_control_core::explain::{At, why_at};
use hyperverge_control_core::history::{Asked, History, Replay};
use hyperverge_control_core::incident::{SubjectKind, severity};
use hyperverge_control_core::notification::hold::held;
use hyperverge_control_core::notification::route::Facts;
use hyperverge_control_core::notification::utc;
use hyperverge_protocol::monitor::{MonitorSpec, Policy};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Checks shown of each region.
const CHECKS: i64 = 5;
/// Bursts that are shown, and how long before the time they were asked at most, ms.
const BURSTS: i64 = 20;
/// See [`BURSTS`].
const BURSTS_MS: i64 = 600_000;
/// What is read to rebuild a moment.
const DEPTH: Depth = Depth { results: EXPLAIN_RESULTS, ranges: EXPLAIN_MISSED, messages: true };

/// Parameters of the explanation.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct MomentQuery {
    /// RFC 3339; now when absent.
    #[param(format = DateTime)]
    at: Option<String>,
}

/// How a monitor stood at a time.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = MomentExplanation)]
pub(super) struct MomentExplanationView {
    /// Why there was a page, or none, in one sentence.
    summary: String,
    at: Timestamp,
    /// `stored`: what a decision was made on, the newest by then of the incident
    /// that was open. `rebuilt`: from results and who was to look. `forgotten`: no decision
    /// was made then, and the results are gone.
    source: &'static str,
    /// When the stored decision was made.
    decided_at: Option<Timestamp>,
    /// What it was rebuilt from, in sentences.
    rebuilt_from: Vec<String>,
    /// What cannot be known of that time, in sentences.
    unknown: Vec<String>,
    monitor: MomentMonitorView,
    /// Null while the monitor was disabled, deleted or not there yet, and where it is forgotten.
    vote: Option<EvaluationView>,
    /// Who held each seat, how far that was known, and its streak; rebuilt.
    seats: Vec<SeatView>,
    /// The silence or maintenance window that held its notices then; of several, the
    /// one that lasts longest.
    hold: Option<HoldView>,
    /// The newest checks that had arrived by then, of each region.
    checks: Vec<CheckView>,
    /// What had been asked at once of every region to confirm a failure, in the ten minutes
    /// before, with the answers as they are now.
    bursts: Vec<BurstView>,
    /// When a streak of failures began in that time and nothing was asked, and why.
    not_asked: Vec<NotAskedView>,
    /// The incident that was open, as it is now.
    incident: Option<IncidentView>,
    /// The incidents it shared a cause with by then, as they are now, and which of them
    /// carried the page.
    group: Option<GroupView>,
    /// What of it was to be told by then, and what became of it later.
    intents: Vec<IntentView>,
    /// Who was told of it by then, and how that went.
    deliveries: Vec<DeliveryView>,
}

/// The monitor as it was.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = MomentMonitor)]
struct MomentMonitorView {
    id: Uuid,
    name: String,
    /// In force then; null while there was none.
    revision: Option<i64>,
    enabled: bool,
    policy: Option<Policy>,
}

/// A seat with its agent.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = MomentSeat)]
struct SeatView {
    region: String,
    /// Null: nobody was to look.
    agent_id: Option<String>,
    /// All the agent's checks up to here were known.
    complete_through: Option<Timestamp>,
    /// Failures in a row, or checks in a row that say nothing about the target.
    failures: u32,
    successes: u32,
    streak_began: Option<Timestamp>,
}

/// What held notices.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = MomentHold)]
struct HoldView {
    /// `silence` or `maintenance`.
    kind: &'static str,
    id: Uuid,
    /// A window's name, a silence's comment.
    name: String,
    until: Timestamp,
}

/// How a monitor stood at a time, and why people were told then or were not. What
/// was decided then is read from the decision; any other time is rebuilt from
/// what had arrived by then, and the answer says which.
#[utoipa::path(get, path = "/monitors/{id}/explain", tag = "monitors", operation_id = "explain_monitor",
    params(("id" = Uuid, Path, description = "The monitor"), MomentQuery),
    responses((status = 200, body = MomentExplanationView)))]
pub(super) async fn explain(
    State(api): State<Api>,
    Viewer(caller): Viewer,
    Id(monitor_id): Id,
    Params(query): Params<MomentQuery>,
) -> Result<Json<MomentExplanationView>, Problem> {
    let organisation_id = caller.organisation;
    let mut tx = api.shared.store.read().await?;
    if !monitors::existed(&mut tx, organisation_id, monitor_id).await? {
        return Err(Problem::not_found("monitor"));
    }
    let now = tx.now().await?;
    let at = moment(query.at.as_deref(), now)?;
    let (span, history, read) =
        history::moment(&mut tx, organisation_id, monitor_id, at, DEPTH).await?;
    let then = then(&mut tx, span).await?;
    let mut replay = Replay::new(&history, Asked::AsThen);
    replay.go_through(at);
    let days = api.shared.settings.retention.results_days;
    let forgotten = now - at > i64::from(days) * 86_400_000;
    let rebuilt = replay.evaluation().filter(|_| !forgotten);
    let stored = then.decided.as_ref().map(|(_, evaluation)| evaluation);
    let evaluation = stored.or(rebuilt.as_ref());
    let checks = checks(&mut tx, span, replay.seats()).await?;
    let asked = (at.saturating_sub(BURSTS_MS), at);
    let confirmation =
        bursts::confirmation(&mut tx, organisation_id, monitor_id, asked, BURSTS).await?;
    let incident = match then.incident.clone() {
        Some(incident) => Some(view(&mut tx, organisation_id, incident).await?),
        None => None,
    };
    let hold = hold(&mut tx, organisation_id, &replay, evaluation, at).await?;
    drop(tx);
    let unknown = unknown(&read, forgotten.then_some(days));
    let rebuilt_from = match rebuilt {
        Some(_) if stored.is_none() => rebuilt_from(&history, &read, span),
        _ => Vec::new(),
    };
    Ok(Json(MomentExplanationView {
        summary: summary(&history, &replay, evaluation, &then, at),
        at: Timestamp(at),
        source: match (stored, forgotten) {
            (Some(_), _) => "stored",
            (None, false) => "rebuilt",
            (None, true) => "forgotten",
        },
        decided_at: then.decided.as_ref().map(|(at, _)| Timestamp(*at)),
        rebuilt_from,
        unknown,
        monitor: monitor(monitor_id, &history, at),
        vote: evaluation.map(EvaluationView::from),
        seats: if forgotten { Vec::new() } else { seats(&replay) },
        hold,
        checks: checks.into_iter().map(CheckView::from).collect(),
        bursts: confirmation.bursts.into_iter().map(BurstView::from).collect(),
        not_asked: confirmation.kept.into_iter().map(NotAskedView::from).collect(),
        intents: then.intents.into_iter().map(IntentView::from).collect(),
        deliveries: then
            .deliveries
            .into_iter()
            .map(|delivery| DeliveryView::new(delivery, &then.channels))
            .collect(),
        incident,
        group: then.group,
    }))
}

fn moment(text: Option<&str>, now: i64) -> Result<i64, Problem> {
    let Some(text) = text else { return Ok(now) };
    let at = timestamp::parse(text).ok_or_else(|| Problem::field("at", timestamp::RULE))?;
    if at > now { Err(Problem::field("at", "must not lie in the future")) } else { Ok(at) }
}

async fn checks(tx: &mut Tx, span: Span, seats: &[Seat]) -> Result<Vec<Check>, StoreError> {
    let mut found = Vec::new();
    for seat in seats {
        let mut of_region = history::checks(tx, span, &seat.region, CHECKS).await?;
        of_region.reverse();
        found.extend(of_region);
    }
    Ok(found)
}

/// What held a notice about the monitor at `at`.
async fn hold(
    tx: &mut Tx,
    organisation_id: Uuid,
    replay: &Replay<'_>,
    evaluation: Option<&Evaluation>,
    at: i64,
) -> Result<Option<HoldView>, StoreError> {
    let (Some(spec), Some(evaluation)) = (replay.spec(), evaluation) else { return Ok(None) };
    let silences = silences::active(tx, organisation_id, at).await?;
    let windows = maintenance_windows::active(tx, organisation_id, at).await?;
    let scope = evaluation.scope.unwrap_or(Scope::Local);
    let facts = Facts {
        subject: SubjectKind::Monitor,
        name: spec.name.clone(),
        labels: spec.labels.clone(),
        severity: severity(evaluation.verdict, scope, &spec.labels),
        verdict: evaluation.verdict,
        scope,
    };
    let hold = held(&silences, &windows, &facts, at);
    Ok(hold.map(|hold| HoldView {
        kind: hold.kind.as_str(),
        id: hold.id,
        name: hold.name,
        until: Timestamp(hold.until),
    }))
}

fn summary(
    history: &History,
    replay: &Replay<'_>,
    evaluation: Option<&Evaluation>,
    then: &Then,
    at: i64,
) -> String {
    let named = history.revisions.iter().rfind(|revision| revision.created_at <= at);
    let name = named.map_or("the monitor", |revision| &revision.spec.name);
    let (spec, seats) = (replay.spec(), replay.seats());
    why_at(&At { name, spec, evaluation, seats, told: then.told() })
}

fn monitor(id: Uuid, history: &History, at: i64) -> MomentMonitorView {
    let revision = history.in_force(at);
    let spec: Option<&MonitorSpec> = revision.map(|revision| &revision.spec);
    let last = history.revisions.last().map(|revision| revision.spec.name.clone());
    MomentMonitorView {
        id,
        name: spec.map(|spec| spec.name.clone()).or(last).unwrap_or_default(),
        revision: revision.map(|revision| revision.number),
        enabled: spec.is_some_and(|spec| spec.enabled),
        policy: spec.map(|spec| spec.policy.clone()),
    }
}

fn seats(replay: &Replay<'_>) -> Vec<SeatView> {
    let seats = replay.seats().iter().zip(replay.holders());
    seats
        .map(|(seat, holder)| {
            let through = seat.held.as_ref().and_then(|held| held.complete_through);
            let row = seat.row.as_ref();
            SeatView {
                region: seat.region.clone(),
                agent_id: holder.map(str::to_owned),
                complete_through: through.map(Timestamp),
                failures: row.map_or(0, |row| row.failures),
                successes: row.map_or(0, |row| row.successes),
                streak_began: row.and_then(|row| row.streak_began).map(Timestamp),
            }
        })
        .collect()
}

fn rebuilt_from(history: &History, read: &Read, span: Span) -> Vec<String> {
    let mut said = vec![format!(
        "{} checks and {} ranges of missed checks that had arrived by then, from {} on",
        read.results,
        read.missed_ranges,
        utc(span.from)
    )];
    if let Some(revision) = history.in_force(span.until) {
        let since = utc(revision.created_at);
        said.push(format!("revision {}, in force since {since}", revision.number));
    }
    said.push(format!("{} assignments of that time", history.tenures.len()));
    said.push("how far each agent was, by the newest batch it had sent".to_owned());
    said
}

fn unknown(read: &Read, forgotten_after: Option<u32>) -> Vec<String> {
    let mut said = vec!["Whether the control plane was listening then is not stored.".to_owned()];
    if let Some(days) = forgotten_after {
        said.push(format!("Results are kept for {days} days; those of that time are gone."));
    }
    if read.results as usize >= EXPLAIN_RESULTS {
        said.push(format!("Only the first {EXPLAIN_RESULTS} checks were read."));
    }
    if read.undated > 0 {
        said.push(format!("{} checks without a known time are left out.", read.undated));
    }
    said
}
