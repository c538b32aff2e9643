//! Incidents: what was found wrong, since when, and what came of it.

mod acknowledge;
mod get;
mod list;
mod timeline;

use crate::api::{Api, Timestamp};
use crate::store::incidents::Incident;
use hyperverge_control_core::notification::NoticeRegion;
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
}

/// An incident.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Incident)]
struct IncidentView {
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
    acknowledged_by: Option<Uuid>,
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

impl From<Incident> for IncidentView {
    fn from(incident: Incident) -> Self {
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
            acknowledged_by: incident.acknowledged_by,
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
