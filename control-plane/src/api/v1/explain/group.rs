//! The group of what is explained: what it has in common with others, and through
//! which of them people were told.

use crate::api::v1::groups::MemberView;
use crate::api::v1::incidents::CauseView;
use crate::api::{Problem, Timestamp};
use crate::limits::GROUP_MEMBERS_IN_LIST;
use crate::store::Tx;
use crate::store::groups;
use crate::store::history::{self, Joined};
use crate::store::incidents::{self, Incident};
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

/// The group that the incident had at `at`, if it had one by then.
pub(super) async fn group(
    tx: &mut Tx,
    organisation: Uuid,
    incident: &Incident,
    at: i64,
) -> Result<Option<GroupView>, Problem> {
    let joined = history::joins(tx, organisation, incident.id, at).await?.pop();
    let led = groups::led_by(tx, organisation, incident.id).await?;
    let led = led.filter(|led| led.opened_at <= at);
    let (group, role, joined_at) = match (led, joined) {
        (Some(led), joined) if joined.as_ref().is_none_or(|other| other.at <= led.opened_at) => {
            let since = led.opened_at;
            (led, Role::Lead, since)
        }
        (_, Some(joined)) if stays(&joined, incident, at) => {
            let Some(group) = groups::get(tx, organisation, joined.group).await? else {
                return Ok(None);
            };
            let role = if joined.held { Role::Listed } else { Role::Member };
            (group, role, joined.at)
        }
        _ => return Ok(None),
    };
    let (id, lead) = (group.id, group.lead_incident_id);
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

/// Whether it was in the group it came into last. Now that is stored; before, who was only
/// listed had left once something was decided of its own notice.
fn stays(joined: &Joined, incident: &Incident, at: i64) -> bool {
    let left = at == i64::MAX || joined.held && joined.moved_on;
    incident.group_id == Some(joined.group) || !left
}
