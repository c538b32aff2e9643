//! `GET /monitors/{id}/results`.

use super::seats::{PhasesView, read_details};
use crate::api::page::{Page, PageQuery};
use crate::api::{Api, Problem, Timestamp, input::Id, input::Params};
use crate::auth::Viewer;
use crate::store::monitors;
use crate::store::results::{self, Position, StoredResult};
use axum::extract::State;
use hyperverge_protocol::outcome::Details;
use hyperverge_protocol::wire;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Parameters of the list.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ResultsQuery {
    /// Items on a page: 1 to 200.
    #[param(default = 50, minimum = 1, maximum = 200)]
    limit: Option<i64>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// Only what this region saw.
    region: Option<String>,
}

/// One check.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = CheckResult)]
pub(super) struct ResultView {
    region: String,
    agent_id: String,
    /// The monitor's revision it was judged by.
    revision: i64,
    slot: i64,
    /// The burst that asked for it, to confirm a failure; null for a slot's own check.
    burst_id: Option<Uuid>,
    /// Which of the burst's checks it is, from 1; 0 for a slot's own check.
    burst_index: i64,
    /// In control-plane time, unless `undated`.
    due_at: Timestamp,
    started_at: Timestamp,
    ended_at: Timestamp,
    /// `ok`, `degraded`, `fail`, `policy` or `unsupported`.
    outcome: &'static str,
    reason: Option<String>,
    message: Option<String>,
    phases: PhasesView,
    /// The address that was reached, or tried last.
    address: Option<String>,
    /// Protocol status, such as HTTP's.
    status: Option<i64>,
    certificate_expires_at: Option<Timestamp>,
    /// The beginning of an answer that failed.
    sample: Option<String>,
    redirects: i64,
    body_bytes: i64,
    /// What else the kind tells: HTTP version, certificate, DNS answers, packet loss.
    details: Option<Details>,
    /// Its host never met the control plane since it booted; its times mean nothing.
    undated: bool,
}

/// A monitor's checks, the newest first. A deleted monitor's are there as long
/// as results are kept.
#[utoipa::path(get, path = "/monitors/{id}/results", tag = "monitors", operation_id = "list_monitor_results",
    params(("id" = Uuid, Path, description = "The monitor"), ResultsQuery),
    responses((status = 200, body = Page<ResultView>)))]
pub(super) async fn results(
    State(api): State<Api>,
    Viewer(caller): Viewer,
    Id(id): Id,
    Params(query): Params<ResultsQuery>,
) -> Result<Page<ResultView>, Problem> {
    let page = PageQuery { limit: query.limit, cursor: query.cursor };
    let before = page.after()?.map(|key| position(&key)).transpose()?;
    let (organisation, rows) = (caller.organisation, page.rows()?);
    let mut tx = api.shared.store.read().await?;
    if !monitors::existed(&mut tx, organisation, id).await? {
        return Err(Problem::not_found("monitor"));
    }
    let region = query.region.as_deref();
    let found = results::page(&mut tx, organisation, id, region, before, rows).await?;
    Ok(Page::new(found, &page, |result| key(result.position))?.map(ResultView::from))
}

fn key(position: Position) -> String {
    let Position { due_us, region_id, burst_id, burst_index } = position;
    format!("{due_us}.{}.{}.{burst_index}", region_id.simple(), burst_id.simple())
}

fn position(key: &str) -> Result<Position, Problem> {
    let parts: Vec<&str> = key.split('.').collect();
    let read = || {
        let [due_us, region_id, burst_id, burst_index] = parts.as_slice() else { return None };
        Some(Position {
            due_us: due_us.parse().ok()?,
            region_id: region_id.parse().ok()?,
            burst_id: burst_id.parse().ok()?,
            burst_index: burst_index.parse().ok()?,
        })
    };
    read().ok_or_else(|| Problem::field("cursor", "must be the next_cursor of the page before"))
}

impl From<StoredResult> for ResultView {
    fn from(result: StoredResult) -> Self {
        Self {
            region: result.region,
            agent_id: result.agent_id,
            revision: result.revision,
            slot: result.slot,
            // Undated rows have the boot there, which is no burst.
            burst_id: (result.burst_index > 0).then_some(result.position.burst_id),
            burst_index: result.burst_index,
            due_at: Timestamp(result.due_us / 1_000),
            started_at: Timestamp(result.started_us / 1_000),
            ended_at: Timestamp(result.ended_us / 1_000),
            outcome: outcome_word(result.outcome),
            reason: result.reason,
            message: result.message,
            phases: result.phases.into(),
            address: result.address,
            status: result.status,
            certificate_expires_at: result
                .certificate_expires_s
                .map(|seconds| Timestamp(seconds.saturating_mul(1_000))),
            sample: result.sample.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()),
            redirects: result.redirects,
            body_bytes: result.body_bytes,
            details: result.details.as_deref().and_then(read_details),
            undated: result.undated,
        }
    }
}

pub(in crate::api::v1) fn outcome_word(stored: i64) -> &'static str {
    match i32::try_from(stored).ok().and_then(|number| wire::Outcome::try_from(number).ok()) {
        Some(wire::Outcome::Ok) => "ok",
        Some(wire::Outcome::Degraded) => "degraded",
        Some(wire::Outcome::Fail) => "fail",
        Some(wire::Outcome::Policy) => "policy",
        Some(wire::Outcome::Unsupported) | Some(wire::Outcome::Unspecified) | None => "unsupported",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_back_as_the_position_it_was_made_of() {
        let made = Position {
            due_us: 1_700_000_000_000_001,
            region_id: Uuid::from_u128(5),
            burst_id: Uuid::nil(),
            burst_index: 2,
        };
        assert_eq!(position(&key(made)).expect("a position"), made);
        for text in ["", "1.2.3", "a.b.c.d", "1.2.3.4.5"] {
            assert!(position(text).is_err(), "{text}");
        }
    }
}
