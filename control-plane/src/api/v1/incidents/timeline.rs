//! `GET /incidents/{id}/timeline`.

use crate::api::page::{Page, PageQuery};
use crate::api::{Api, Problem, Timestamp, input::Id, input::Params};
use crate::auth::Viewer;
use crate::store::incidents::{self, Event};
use axum::extract::State;
use serde::Serialize;

/// A decision about an incident, with what it was made on.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = IncidentEvent)]
pub(super) struct EventView {
    /// 1 upward, without gaps.
    number: i64,
    at: Timestamp,
    /// `opened`, `widened`, `narrowed`, `changed`, `acknowledged`, `comment`, `resolved`, `paged`, `held`.
    kind: String,
    verdict: &'static str,
    scope: &'static str,
    /// One sentence for people.
    summary: String,
    /// The input and the reasons.
    #[schema(value_type = Object)]
    evidence: serde_json::Value,
}

/// Every decision about an incident, in order.
#[utoipa::path(get, path = "/incidents/{id}/timeline", tag = "incidents", operation_id = "list_incident_events",
    params(("id" = Uuid, Path, description = "The incident"), PageQuery),
    responses((status = 200, body = Page<EventView>)))]
pub(super) async fn timeline(
    State(api): State<Api>,
    Viewer(caller): Viewer,
    Id(id): Id,
    Params(query): Params<PageQuery>,
) -> Result<Page<EventView>, Problem> {
    let (organisation, after, rows) = (caller.organisation, query.after_number()?, query.rows()?);
    let mut tx = api.shared.store.read().await?;
    incidents::get(&mut tx, organisation, id)
        .await?
        .ok_or_else(|| Problem::not_found("incident"))?;
    let events = incidents::timeline(&mut tx, organisation, id, after, rows).await?;
    Ok(Page::new(events, &query, |event| event.number.to_string())?.map(EventView::from))
}

impl From<Event> for EventView {
    fn from(event: Event) -> Self {
        Self {
            number: event.number,
            at: Timestamp(event.at),
            kind: event.kind,
            verdict: event.verdict.as_str(),
            scope: event.scope.as_str(),
            summary: event.summary,
            evidence: event.evidence,
        }
    }
}
