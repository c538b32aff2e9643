//! What an incident was told through another: the lead of its group.
//!
//! A group's deliveries are its lead's. A member that joined hears its beginning with
//! the group's, be that sent before it joined, and its end with the group's end; who
//! is only listed, and held, was told nothing.

use crate::params;
use crate::store::deliveries::{self, Delivery};
use crate::store::{Row, StoreError, Tx};
use hyperverge_control_core::notification::{Notice, NoticeKind};
use hyperverge_control_core::paging::Plan;
use serde::Deserialize;
use std::collections::BTreeSet;
use uuid::Uuid;

/// Events of one timeline about groups and notices that are read, the newest ones.
const EVENTS: i64 = 100;
/// Events of one incident that are told only to routes that name it.
const QUIET: i64 = 500;

/// How an incident came into a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joined {
    pub group: Uuid,
    /// The incident whose notices are the group's.
    pub lead: Uuid,
    pub at: i64,
    /// It is only listed: its own notice is held.
    pub held: bool,
    /// Something was decided of its own notice since.
    pub moved_on: bool,
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

/// The groups that the incident came into by `until`, in order.
pub async fn joins(
    tx: &mut Tx,
    organisation_id: Uuid,
    incident_id: Uuid,
    until: i64,
) -> Result<Vec<Joined>, StoreError> {
    const SQL: &str = "SELECT at, kind, CASE WHEN kind = 'grouped' THEN evidence END AS evidence
        FROM incident_events WHERE organisation_id = $1 AND incident_id = $2 AND at <= $3
            AND kind IN ('grouped', 'paged', 'held')
        ORDER BY number DESC LIMIT $4";
    let values = params![organisation_id, incident_id, until, EVENTS];
    let (mut found, mut own) = (Vec::new(), None);
    for row in &tx.fetch_all(SQL, values).await? {
        match Joined::by(row, own)? {
            Some(joined) => found.push(joined),
            None => own = own.max(Some(row.get("at")?)),
        }
    }
    found.reverse();
    Ok(found)
}

impl Joined {
    /// What an event says of joining a group, if it does; of its own notice something was
    /// decided last at `own`.
    fn by(row: &Row, own: Option<i64>) -> Result<Option<Self>, StoreError> {
        let Some(text) = row.get::<Option<String>>("evidence")? else { return Ok(None) };
        // A lead's own, or what another version wrote.
        let Ok(Evidence { group, plan }) = serde_json::from_str(&text) else { return Ok(None) };
        let Some(join) = plan.joins.first() else { return Ok(None) };
        let at = row.get("at")?;
        let moved_on = own.is_some_and(|own| own > at);
        Ok(Some(Self { group: group.id, lead: group.lead, at, held: join.held, moved_on }))
    }

    /// The newest group that the incident was told with.
    pub fn told(joins: &[Self]) -> Option<&Self> {
        joins.iter().rfind(|joined| !joined.held)
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
    /// It went only to routes that name what is below the quorum, or about us: no page.
    pub quiet: bool,
}

/// Everything that told of an incident: its own deliveries, and those of the lead that it
/// was told with by `until`.
pub async fn tellings(
    tx: &mut Tx,
    organisation_id: Uuid,
    incident_id: Uuid,
    resolved_at: Option<i64>,
    until: i64,
) -> Result<Vec<Telling>, StoreError> {
    let quiet = quiet_events(tx, organisation_id, incident_id).await?;
    let own = deliveries::of_incident(tx, organisation_id, incident_id).await?;
    let own = own.into_iter().map(|delivery| Telling {
        at: delivery.created_at,
        quiet: quiet.contains(&delivery.notice.event_number),
        delivery,
        through: None,
    });
    let mut found: Vec<Telling> = own.collect();
    let joins = joins(tx, organisation_id, incident_id, until).await?;
    let Some(joined) = Joined::told(&joins) else { return Ok(found) };
    let quiet = quiet_events(tx, organisation_id, joined.lead).await?;
    for delivery in deliveries::of_incident(tx, organisation_id, joined.lead).await? {
        if let Some(at) = joined.heard(&delivery, resolved_at) {
            let quiet = quiet.contains(&delivery.notice.event_number);
            found.push(Telling { delivery, at, through: Some(joined.lead), quiet });
        }
    }
    found.sort_by_key(|telling| (telling.at, telling.delivery.id));
    Ok(found)
}

/// The events of an incident that are told quietly.
async fn quiet_events(
    tx: &mut Tx,
    organisation_id: Uuid,
    incident_id: Uuid,
) -> Result<BTreeSet<i64>, StoreError> {
    const SQL: &str = "SELECT event_number FROM page_intents
        WHERE organisation_id = $1 AND incident_id = $2 AND quiet ORDER BY event_number LIMIT $3";
    let rows = tx.fetch_all(SQL, params![organisation_id, incident_id, QUIET]).await?;
    rows.iter().map(|row| row.get("event_number")).collect()
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
