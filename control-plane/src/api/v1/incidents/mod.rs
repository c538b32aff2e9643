//! Incidents: what was found wrong, since when, and what came of it.

mod acknowledge;
mod comments;
mod get;
mod list;
mod people;
mod post_mortem;
mod timeline;

use crate::api::{Api, Problem, Timestamp};
use crate::store::Tx;
use crate::store::incidents::Incident;
use hyperverge_control_core::notification::NoticeRegion;
use people::{People, PersonView};
use serde::Serialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

pub(super) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::default()
        .routes(routes!(list::list))
        .routes(routes!(get::get))
        .routes(routes!(timeline::timeline))
        .routes(routes!(acknowledge::acknowledge))
        .routes(routes!(comments::comments, comments::comment))
        .routes(routes!(post_mortem::post_mortem))
}

/// An incident.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Incident)]
pub(super) struct IncidentView {
    id: Uuid,
    /// `open`, `acknowledged` or `resolved`.
    state: &'static str,
    verdict: &'static str,
    /// `local`, `regional` or `global`.
    scope: &'static str,
    /// `critical`, `warning` or `info`.
    severity: &'static str,
    subject: SubjectView,
    /// One sentence for people.
    summary: String,
    /// What each region saw at the newest change.
    regions: Vec<IncidentRegionView>,
    /// When the target began to hurt.
    started_at: Timestamp,
    /// When that was known.
    opened_at: Timestamp,
    resolved_at: Option<Timestamp>,
    acknowledged_at: Option<Timestamp>,
    acknowledged_by: Option<PersonView>,
    /// The reason most regions give.
    cause: Option<String>,
    /// Incidents of one cause share a group.
    group: Option<Uuid>,
    /// Whether an opening notice was sent on its way.
    paged: bool,
}

/// What an incident is about.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = IncidentSubject)]
struct SubjectView {
    /// `monitor`, `agent` or `region`.
    kind: &'static str,
    id: String,
    name: String,
}

/// What a region saw.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = IncidentRegion)]
struct IncidentRegionView {
    region: String,
    state: String,
    since: Option<Timestamp>,
    reason: Option<String>,
    message: Option<String>,
}

/// Incidents as they are shown, with who and what they refer to.
async fn views(
    tx: &mut Tx,
    organisation: Uuid,
    incidents: Vec<Incident>,
) -> Result<Vec<IncidentView>, Problem> {
    let handlers = incidents.iter().filter_map(|incident| incident.acknowledged_by);
    let people = People::of(tx, organisation, handlers).await?;
    Ok(incidents.into_iter().map(|incident| IncidentView::new(incident, &people)).collect())
}

/// One incident as it is shown.
pub(super) async fn view(
    tx: &mut Tx,
    organisation: Uuid,
    incident: Incident,
) -> Result<IncidentView, Problem> {
    let mut views = views(tx, organisation, vec![incident]).await?;
    views.pop().ok_or_else(|| Problem::not_found("incident"))
}

impl IncidentView {
    fn new(incident: Incident, people: &People) -> Self {
        Self {
            id: incident.id,
            state: incident.state.as_str(),
            verdict: incident.verdict.as_str(),
            scope: incident.scope.as_str(),
            severity: incident.severity.as_str(),
            subject: SubjectView {
                kind: incident.subject_kind.as_str(),
                id: incident.subject_id,
                name: incident.subject_name,
            },
            summary: incident.summary,
            regions: incident.regions.into_iter().map(IncidentRegionView::from).collect(),
            started_at: Timestamp(incident.started_at),
            opened_at: Timestamp(incident.opened_at),
            resolved_at: incident.resolved_at.map(Timestamp),
            acknowledged_at: incident.acknowledged_at.map(Timestamp),
            acknowledged_by: incident.acknowledged_by.map(|id| people.person(id)),
            cause: incident.cause,
            group: incident.group_id,
            paged: incident.paged,
        }
    }
}

impl From<NoticeRegion> for IncidentRegionView {
    fn from(region: NoticeRegion) -> Self {
        Self {
            region: region.region,
            state: region.state,
            since: region.since_ms.map(Timestamp),
            reason: region.reason,
            message: region.message,
        }
    }
}
