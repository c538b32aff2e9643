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
use crate::store::groups::{self, StoredGroup};
use crate::store::incidents::Incident;
use hyperverge_control_core::incident::SubjectKind;
use hyperverge_control_core::notification::NoticeRegion;
use hyperverge_control_core::paging::Cause;
use people::{People, PersonView};
use serde::Serialize;
use std::collections::BTreeSet;
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
    group: Option<GroupRefView>,
    /// Whether an opening notice was sent on its way.
    paged: bool,
}

/// What an incident is about.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = IncidentSubject)]
pub(super) struct SubjectView {
    /// `monitor`, `agent` or `region`.
    kind: &'static str,
    id: String,
    name: String,
}

impl SubjectView {
    pub(super) fn of(kind: SubjectKind, id: String, name: String) -> Self {
        Self { kind: kind.as_str(), id, name }
    }
}

/// The likeliest common cause.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = GroupCause)]
pub(super) struct CauseView {
    /// `parent`, `certificate`, `host`, `address`, `network` or `region`.
    kind: &'static str,
    value: String,
}

impl From<Cause> for CauseView {
    fn from(cause: Cause) -> Self {
        Self { kind: cause.kind.as_str(), value: cause.value }
    }
}

/// The group an incident belongs to.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = GroupReference)]
struct GroupRefView {
    id: Uuid,
    cause: CauseView,
    /// One sentence for people.
    summary: String,
    /// `open` or `resolved`.
    state: &'static str,
}

impl From<StoredGroup> for GroupRefView {
    fn from(group: StoredGroup) -> Self {
        Self {
            id: group.id,
            state: group.state(),
            cause: group.cause.into(),
            summary: group.summary,
        }
    }
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
    let named: BTreeSet<Uuid> = incidents.iter().filter_map(|incident| incident.group_id).collect();
    let groups = match named.is_empty() {
        true => Vec::new(),
        false => groups::some(tx, organisation, named.into_iter().collect()).await?,
    };
    let view = |incident: Incident| {
        let of_it = |group: &&StoredGroup| Some(group.id) == incident.group_id;
        let group = groups.iter().find(of_it).cloned().map(GroupRefView::from);
        IncidentView::new(incident, &people, group)
    };
    Ok(incidents.into_iter().map(view).collect())
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
    fn new(incident: Incident, people: &People, group: Option<GroupRefView>) -> Self {
        Self {
            id: incident.id,
            state: incident.state.as_str(),
            verdict: incident.verdict.as_str(),
            scope: incident.scope.as_str(),
            severity: incident.severity.as_str(),
            subject: SubjectView::of(
                incident.subject_kind,
                incident.subject_id,
                incident.subject_name,
            ),
            summary: incident.summary,
            regions: incident.regions.into_iter().map(IncidentRegionView::from).collect(),
            started_at: Timestamp(incident.started_at),
            opened_at: Timestamp(incident.opened_at),
            resolved_at: incident.resolved_at.map(Timestamp),
            acknowledged_at: incident.acknowledged_at.map(Timestamp),
            acknowledged_by: incident.acknowledged_by.map(|id| people.person(id)),
            cause: incident.cause,
            group,
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
