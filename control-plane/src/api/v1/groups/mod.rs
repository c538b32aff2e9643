//! Groups: incidents of one cause, which people are told of once.

mod get;
mod list;

use super::incidents::{CauseView, SubjectView};
use crate::api::{Api, Problem, Timestamp};
use crate::store::Tx;
use crate::store::groups::{self, Size, StoredGroup};
use crate::store::incidents::{self, Incident};
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

pub(super) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::default().routes(routes!(list::list)).routes(routes!(get::get))
}

/// Incidents that share a cause.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Group)]
struct GroupView {
    id: Uuid,
    cause: CauseView,
    /// One sentence for people.
    summary: String,
    /// `open` until its last member is over, then `resolved`.
    state: &'static str,
    opened_at: Timestamp,
    resolved_at: Option<Timestamp>,
    /// The incident through which it is told.
    lead: Uuid,
    /// Whether its notice was sent on its way.
    paged: bool,
    /// How many incidents belong to it.
    member_count: u32,
    /// How many of them are not over.
    unresolved_count: u32,
    /// The first to hurt first: up to 200, in a list up to 20. `GET /incidents?group=` has all.
    members: Vec<MemberView>,
}

/// An incident of a group.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = GroupMember)]
pub(super) struct MemberView {
    id: Uuid,
    /// `open`, `acknowledged` or `resolved`.
    state: &'static str,
    verdict: &'static str,
    scope: &'static str,
    severity: &'static str,
    subject: SubjectView,
    started_at: Timestamp,
    resolved_at: Option<Timestamp>,
}

/// Groups as they are shown, each with up to `most` of its members.
async fn views(
    tx: &mut Tx,
    organisation: Uuid,
    groups: Vec<StoredGroup>,
    most: i64,
) -> Result<Vec<GroupView>, Problem> {
    let ids: Vec<Uuid> = groups.iter().map(|group| group.id).collect();
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let sizes = groups::sizes(tx, organisation, ids.clone()).await?;
    let mut members: BTreeMap<Uuid, Vec<MemberView>> = BTreeMap::new();
    for incident in incidents::of_groups(tx, organisation, ids, most).await? {
        if let Some(group) = incident.group_id {
            members.entry(group).or_default().push(incident.into());
        }
    }
    let shown = groups.into_iter().map(|group| {
        let size = sizes.get(&group.id).copied().unwrap_or_default();
        let members = members.remove(&group.id).unwrap_or_default();
        GroupView::new(group, size, members)
    });
    Ok(shown.collect())
}

impl GroupView {
    fn new(group: StoredGroup, size: Size, members: Vec<MemberView>) -> Self {
        Self {
            id: group.id,
            state: group.state(),
            cause: group.cause.into(),
            summary: group.summary,
            opened_at: Timestamp(group.opened_at),
            resolved_at: group.resolved_at.map(Timestamp),
            lead: group.lead_incident_id,
            paged: group.paged,
            member_count: size.members,
            unresolved_count: size.hurting,
            members,
        }
    }
}

impl From<Incident> for MemberView {
    fn from(incident: Incident) -> Self {
        Self {
            id: incident.id,
            state: incident.state.as_str(),
            verdict: incident.verdict.as_str(),
            scope: incident.scope.as_str(),
            severity: incident.severity.as_str(),
            started_at: Timestamp(incident.started_at),
            resolved_at: incident.resolved_at.map(Timestamp),
            subject: SubjectView::of(
                incident.subject_kind,
                incident.subject_id,
                incident.subject_name,
            ),
        }
    }
}
