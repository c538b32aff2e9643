//! `POST /backtests`.

use super::views::BacktestView;
use crate::api::v1::monitors::{merge, read_spec};
use crate::api::{Api, Problem, input::JsonBody, timestamp};
use crate::auth::Viewer;
use crate::backtest::{BacktestError, backtest};
use crate::limits;
use crate::store::{Tx, history, monitors};
use axum::Json;
use axum::extract::State;
use hyperverge_control_core::backtest::Question;
use hyperverge_protocol::monitor::MonitorSpec;
use hyperverge_protocol::problem::FieldProblem;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

const DAY_MS: i64 = 86_400_000;

/// A policy to be tried on what is stored.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewBacktest {
    /// The monitor's id or name.
    monitor: String,
    /// RFC 3339; a day before `to` when absent.
    #[schema(format = DateTime)]
    from: Option<String>,
    /// RFC 3339; now when absent. At most 31 days after `from`.
    #[schema(format = DateTime)]
    to: Option<String>,
    /// What is different from the monitor's present policy: a JSON merge patch of it.
    #[serde(default)]
    #[schema(value_type = Object)]
    policy: Map<String, Value>,
    /// The regions that vote; the monitor's own when absent.
    regions: Option<Vec<String>>,
}

/// Sends stored results through a proposed policy and answers which pages it
/// would have sent, missed and saved. Nothing is changed or sent.
#[utoipa::path(post, path = "/backtests", tag = "monitors", operation_id = "create_backtest",
    request_body = NewBacktest, responses((status = 200, body = BacktestView)))]
pub(super) async fn create(
    State(api): State<Api>,
    Viewer(caller): Viewer,
    body: JsonBody,
) -> Result<Json<BacktestView>, Problem> {
    let wanted: NewBacktest = body.read()?;
    let organisation = caller.organisation;
    let mut tx = api.shared.store.read().await?;
    let now = tx.now().await?;
    let (from, until) = span(&wanted, now)?;
    let (monitor_id, present) = find(&mut tx, organisation, &wanted.monitor, now).await?;
    let proposed = propose(&present, wanted)?;
    require_regions(&mut tx, organisation, &proposed).await?;
    let group_wait = api.shared.settings.correlator.group_wait.as_millis();
    let group_wait_ms = i64::try_from(group_wait).unwrap_or(i64::MAX);
    let question = Question { proposed, present, from, until, group_wait_ms };
    let answer = backtest(tx, organisation, monitor_id, question.clone()).await;
    let report = answer.map_err(|error| match error {
        BacktestError::Busy => Problem::unavailable("too many backtests are under way; try again"),
        BacktestError::TooMany => {
            let most = limits::BACKTEST_RESULTS;
            Problem::field("from", format!("must leave no more than {most} results until to"))
        }
        BacktestError::Store(error) => error.into(),
        BacktestError::Ended(error) => Problem::internal(error),
    })?;
    Ok(Json(BacktestView::new(monitor_id, &question, report)))
}

fn span(wanted: &NewBacktest, now: i64) -> Result<(i64, i64), Problem> {
    let read = |field: &str, text: &Option<String>, otherwise: i64| match text {
        None => Ok(otherwise),
        Some(text) => timestamp::parse(text).ok_or_else(|| Problem::field(field, timestamp::RULE)),
    };
    let until = read("to", &wanted.to, now)?;
    let from = read("from", &wanted.from, until.saturating_sub(DAY_MS))?;
    if until > now {
        return Err(Problem::field("to", "must not lie in the future"));
    }
    if from >= until {
        return Err(Problem::field("from", "must lie before to"));
    }
    let longest = i64::try_from(limits::BACKTEST_RANGE.as_millis()).unwrap_or(i64::MAX);
    if until.saturating_sub(from) > longest {
        return Err(Problem::field("from", "must lie at most 31 days before to"));
    }
    Ok((from, until))
}

/// The monitor as it is, or was when it was deleted.
async fn find(
    tx: &mut Tx,
    organisation: Uuid,
    monitor: &str,
    now: i64,
) -> Result<(Uuid, MonitorSpec), Problem> {
    let unknown = || Problem::field("monitor", "must be the id or the name of a monitor");
    let (id, found) = match monitor.parse() {
        Ok(id) => (id, monitors::get(tx, organisation, id).await?),
        Err(_) => {
            let named = monitors::by_name(tx, organisation, monitor).await?;
            let found = named.ok_or_else(unknown)?;
            (found.id, Some(found))
        }
    };
    if let Some(found) = found {
        return Ok((id, found.spec));
    }
    let last = history::revisions(tx, organisation, id, now).await?.pop();
    Ok((id, last.ok_or_else(unknown)?.spec))
}

/// The present specification with the proposed policy and regions.
fn propose(present: &MonitorSpec, wanted: NewBacktest) -> Result<MonitorSpec, Problem> {
    let mut target = serde_json::to_value(present).map_err(Problem::internal)?;
    merge(&mut target, json!({ "policy": wanted.policy }));
    if let Some(regions) = wanted.regions {
        merge(&mut target, json!({ "regions": regions }));
    }
    read_spec(target.to_string().as_bytes())
}

/// Retired regions may be named: their results are stored.
async fn require_regions(
    tx: &mut Tx,
    organisation: Uuid,
    proposed: &MonitorSpec,
) -> Result<(), Problem> {
    let places = history::places(tx, organisation).await?;
    let is_known = |name: &str| name == "*" || places.iter().any(|place| place.name == name);
    let unknown = proposed.regions.iter().enumerate().filter(|(_, name)| !is_known(name));
    let problems: Vec<FieldProblem> = unknown
        .map(|(index, name)| {
            let rule = format!("names a region that never existed: {name}");
            FieldProblem::new(format!("regions[{index}]"), rule)
        })
        .collect();
    if problems.is_empty() { Ok(()) } else { Err(Problem::invalid(problems)) }
}
