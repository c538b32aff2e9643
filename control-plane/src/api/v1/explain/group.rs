//! The group of what is explained: what it has in common with others, and through
//! which of them people were told.

use crate::api::v1::groups::MemberView;
use crate::api::v1::incidents::CauseView;
use crate::api::{Problem, Timestamp};
use crate::limits::GROUP_MEMBERS_IN_LIST;
use crate::store::Tx;
use crate::store::groups;
use crate::store::history::{self, Joined};
use crate::store::incidents::{self, Event, Incident};
use hyperverge_control_core::explain::{Role, in_company};
use serde::Serialize;
use uuid::Uuid;

/// The incidents it shares a cause with.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = ExplainedGroup)]
pub(super) struct GroupView {
    id: Uuid,
    cause: CauseView,
    /// One sentence for people.
    summary: String,
    /// `open` or `resolved`.
    state: &'static str,
    opened_at: Timestamp,
    resolved_at: Option<Timestamp>,
    /// `lead`, `member`, or `listed`: it depends on another, and its own notice is held.
    role: &'static str,
    /// When it came into the group.
    joined_at: Timestamp,
    /// What that means for who was told of it, in a clause.
    told: String,
    /// The incident that carried the page.
    lead: LeadView,
    /// Whether its notice was sent on its way.
    paged: bool,
    member_count: u32,
    /// How many of them are not over.
    unresolved_count: u32,
    /// The first to hurt first, up to 20. `GET /incidents?group=` has all.
    members: Vec<MemberView>,
}

impl GroupView {
    /// The name of what its lead is about.
    pub(super) fn lead(&self) -> &str {
        &self.lead.name
    }
}

/// The incident whose notices are its group's.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = ExplainedLead)]
struct LeadView {
    id: Uuid,
    /// Of what it is about.
    name: String,
}

/// The group of an incident with these events, if it had one by `at`.
pub(super) async fn group(
    tx: &mut Tx,
    organisation: Uuid,
    incident: &Incident,
    events: &[Event],
    at: i64,
) -> Result<Option<GroupView>, Problem> {
    let joined = events.iter().rev().find_map(Joined::by);
    let joined = joined.filter(|joined| Some(joined.group) == incident.group_id);
    let Some(id) = incident.group_id else { return Ok(None) };
    let Some(group) = groups::get(tx, organisation, id).await? else { return Ok(None) };
    let lead = group.lead_incident_id;
    let (role, joined_at) = match &joined {
        _ if group.opened_at > at => return Ok(None),
        _ if lead == incident.id => (Role::Lead, group.opened_at),
        Some(joined) if joined.held => (Role::Listed, joined.at),
        Some(joined) => (Role::Member, joined.at),
        // It had not come into the group yet.
        None => return Ok(None),
    };
    let size = groups::sizes(tx, organisation, vec![id]).await?.remove(&id).unwrap_or_default();
    let members = incidents::of_groups(tx, organisation, vec![id], GROUP_MEMBERS_IN_LIST).await?;
    let name = history::subject_name(tx, organisation, lead).await?.unwrap_or_default();
    Ok(Some(GroupView {
        id,
        summary: group.summary.clone(),
        state: group.state(),
        opened_at: Timestamp(group.opened_at),
        resolved_at: group.resolved_at.map(Timestamp),
        role: role.as_str(),
        joined_at: Timestamp(joined_at),
        told: in_company(role, &name, group.paged),
        lead: LeadView { id: lead, name },
        paged: group.paged,
        member_count: size.members,
        unresolved_count: size.hurting,
        members: members.into_iter().map(MemberView::from).collect(),
        cause: group.cause.into(),
    }))
}
