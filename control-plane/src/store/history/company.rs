//! What an incident was told through another: the lead of its group.
//!
//! A group's deliveries are its lead's. A member that joined hears its beginning with
//! the group's, be that sent before it joined, and its end with the group's end; who
//! is only listed, and held, was told nothing.

use crate::params;
use crate::store::deliveries::{self, Delivery};
use crate::store::incidents::Event;
use crate::store::{StoreError, Tx};
use hyperverge_control_core::notification::{Notice, NoticeKind};
use hyperverge_control_core::paging::Plan;
use serde::Deserialize;
use uuid::Uuid;

/// How an incident came into a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joined {
    pub group: Uuid,
    /// The incident whose notices are the group's.
    pub lead: Uuid,
    pub at: i64,
    /// The event of the timeline.
    pub number: i64,
    /// It is only listed: its own notice is held.
    pub held: bool,
}

/// The evidence of an incident that came into a group.
#[derive(Deserialize)]
struct Evidence {
    group: Company,
    plan: Plan,
}

#[derive(Deserialize)]
struct Company {
    id: Uuid,
    lead: Uuid,
}

impl Joined {
    /// What `event` says of joining a group.
    pub fn by(event: &Event) -> Option<Self> {
        if event.kind != "grouped" {
            return None;
        }
        let Evidence { group, plan } = serde_json::from_value(event.evidence.clone()).ok()?;
        let held = plan.joins.first()?.held;
        Some(Self { group: group.id, lead: group.lead, at: event.at, number: event.number, held })
    }

    /// The newest group that the incident of these events was told with.
    pub fn told(events: &[Event]) -> Option<Self> {
        events.iter().rev().filter_map(Self::by).find(|joined| !joined.held)
    }

    /// When a notice of the lead told the incident, which was over at `resolved_at`;
    /// `None`: it is not about it.
    pub fn heard(&self, delivery: &Delivery, resolved_at: Option<i64>) -> Option<i64> {
        if tells_the_beginning(&delivery.notice) {
            return Some(delivery.created_at.max(self.at));
        }
        resolved_at.filter(|at| *at <= delivery.created_at).map(|_| delivery.created_at)
    }
}

/// Whether a notice tells that it began.
pub fn tells_the_beginning(notice: &Notice) -> bool {
    notice.kind != NoticeKind::Resolved || notice.opening_included
}

/// A delivery that told of an incident.
#[derive(Debug, Clone)]
pub struct Telling {
    pub delivery: Delivery,
    /// When it concerned the incident: when it was made, or when that joined.
    pub at: i64,
    /// The lead of its group, if it was told through that.
    pub through: Option<Uuid>,
}

/// Everything that told of an incident with these events: its own deliveries, and those
/// of the lead it was told with.
pub async fn tellings(
    tx: &mut Tx,
    organisation_id: Uuid,
    incident_id: Uuid,
    resolved_at: Option<i64>,
    events: &[Event],
) -> Result<Vec<Telling>, StoreError> {
    let own = deliveries::of_incident(tx, organisation_id, incident_id).await?;
    let own = own.into_iter().map(|delivery| Telling {
        at: delivery.created_at,
        delivery,
        through: None,
    });
    let mut found: Vec<Telling> = own.collect();
    let Some(joined) = Joined::told(events) else { return Ok(found) };
    for delivery in deliveries::of_incident(tx, organisation_id, joined.lead).await? {
        if let Some(at) = joined.heard(&delivery, resolved_at) {
            found.push(Telling { delivery, at, through: Some(joined.lead) });
        }
    }
    found.sort_by_key(|telling| (telling.at, telling.delivery.id));
    Ok(found)
}

/// The name of an incident's subject.
pub async fn subject_name(
    tx: &mut Tx,
    organisation_id: Uuid,
    incident_id: Uuid,
) -> Result<Option<String>, StoreError> {
    const SQL: &str = "SELECT subject_name FROM incidents WHERE organisation_id = $1 AND id = $2";
    let row = tx.fetch_optional(SQL, params![organisation_id, incident_id]).await?;
    row.map(|row| row.get("subject_name")).transpose()
}
