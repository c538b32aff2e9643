//! Page intents: what an incident's change asks to be told, before it is known to whom.
//!
//! Committed with the change; turned into deliveries, or found needless, when due.
//! What is held keeps waiting: its time is moved.

use super::{Row, StoreError, Tx, listed_id, rows_text};
use crate::limits::INTENT_WAIT_MS;
use crate::params;
use hyperverge_control_core::correlation::DISCREDITED;
use hyperverge_control_core::notification::NoticeKind;
use serde_json::json;
use uuid::Uuid;

/// An intent as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Intent {
    pub organisation_id: Uuid,
    pub incident_id: Uuid,
    pub event_number: i64,
    pub kind: NoticeKind,
    /// Only for routes that name such incidents.
    pub quiet: bool,
    pub due_at: i64,
    pub created_at: i64,
}

/// An intent that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    pub intent: Intent,
    /// Why it was held last.
    pub hold_reason: Option<String>,
}

/// What becomes of an intent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    pub incident_id: Uuid,
    pub event_number: i64,
    /// Why, in words.
    pub outcome: String,
}

/// An intent that waits on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Postponed {
    pub incident_id: Uuid,
    pub event_number: i64,
    pub due_at: i64,
    /// Why, in words.
    pub reason: String,
}

/// Records an intent; a second one for the same event changes nothing.
pub async fn insert(tx: &mut Tx, intent: &Intent) -> Result<bool, StoreError> {
    let intents = std::slice::from_ref(intent);
    Ok(insert_all(tx, intent.organisation_id, intents).await? == 1)
}

/// As [`insert`], of any number of an organisation's; how many were new.
pub async fn insert_all(
    tx: &mut Tx,
    organisation_id: Uuid,
    intents: &[Intent],
) -> Result<u64, StoreError> {
    if intents.is_empty() {
        return Ok(0);
    }
    let sql = crate::listed!(tx, "$2",
        [incident_id uuid, event_number bigint, kind text, quiet boolean, due_at bigint,
         created_at bigint],
        "INSERT INTO page_intents (organisation_id, incident_id, event_number, kind, quiet,
            due_at, created_at)
        SELECT $1, l.incident_id, l.event_number, l.kind, l.quiet, l.due_at, l.created_at
        FROM listed l WHERE TRUE ON CONFLICT DO NOTHING");
    let rows = intents.iter().map(|intent| {
        json!({
            "incident_id": listed_id(intent.incident_id),
            "event_number": intent.event_number,
            "kind": intent.kind.as_str(),
            "quiet": intent.quiet,
            "due_at": intent.due_at,
            "created_at": intent.created_at,
        })
    });
    tx.execute(sql, params![organisation_id, rows_text(rows)]).await
}

/// Organisations that the correlator has to look at: with an intent that is due, with a
/// group that may be over, or with agents that have to be compared (`sightings::suspicious`
/// tells whether they really have).
pub async fn organisations_with_work(
    tx: &mut Tx,
    now: i64,
    failing: i64,
    limit: i64,
) -> Result<Vec<Uuid>, StoreError> {
    const SQL: &str = "SELECT organisation_id FROM page_intents
                WHERE settled_at IS NULL AND (due_at <= $1 OR due_at > $5)
            UNION SELECT organisation_id FROM agents
                WHERE discredited_at IS NOT NULL AND state = 'enrolled'
            UNION SELECT organisation_id FROM incidents
                WHERE resolved_at IS NULL AND subject_kind <> 'monitor' AND cause = $4
            UNION SELECT organisation_id FROM region_states WHERE failures > 0
                GROUP BY organisation_id HAVING COUNT(*) >= $2
            UNION SELECT g.organisation_id FROM incident_groups g
                WHERE g.state = 'open' AND NOT EXISTS (SELECT 1 FROM incidents i
                    WHERE i.organisation_id = g.organisation_id AND i.group_id = g.id
                        AND i.resolved_at IS NULL AND (i.paged OR i.told_quietly OR NOT g.paged))
        ORDER BY organisation_id LIMIT $3";
    let longest = now.saturating_add(INTENT_WAIT_MS);
    let values = params![now, failing, limit, DISCREDITED, longest];
    let rows = tx.fetch_all(SQL, values).await?;
    rows.iter().map(|row| row.get("organisation_id")).collect()
}

/// What of an organisation waits, what is due first coming first.
pub async fn waiting(
    tx: &mut Tx,
    organisation_id: Uuid,
    limit: i64,
) -> Result<Vec<Waiting>, StoreError> {
    const SQL: &str = "SELECT * FROM page_intents
        WHERE organisation_id = $1 AND settled_at IS NULL
        ORDER BY due_at, incident_id, event_number LIMIT $2";
    let rows = tx.fetch_all(SQL, params![organisation_id, limit]).await?;
    rows.iter().map(read_waiting).collect()
}

/// Whether anything of the organisation is due at `now`.
pub async fn any_due(tx: &mut Tx, organisation_id: Uuid, now: i64) -> Result<bool, StoreError> {
    const SQL: &str = "SELECT 1 AS n FROM page_intents
        WHERE organisation_id = $1 AND settled_at IS NULL AND (due_at <= $2 OR due_at > $3)
        LIMIT 1";
    let longest = now.saturating_add(INTENT_WAIT_MS);
    Ok(tx.fetch_optional(SQL, params![organisation_id, now, longest]).await?.is_some())
}

/// The event under which the incident's beginning is told, with a quorum or quietly.
pub async fn opening(
    tx: &mut Tx,
    organisation_id: Uuid,
    incident_id: Uuid,
    quiet: bool,
) -> Result<Option<i64>, StoreError> {
    const SQL: &str = "SELECT event_number FROM page_intents
        WHERE organisation_id = $1 AND incident_id = $2 AND kind = 'opened' AND quiet = $3
        ORDER BY event_number DESC LIMIT 1";
    let row = tx.fetch_optional(SQL, params![organisation_id, incident_id, quiet]).await?;
    row.map(|row| row.get("event_number")).transpose()
}

/// Ends intents that still wait.
pub async fn settle(
    tx: &mut Tx,
    organisation_id: Uuid,
    settled: &[Settled],
    now: i64,
) -> Result<u64, StoreError> {
    let sql = crate::listed!(tx, "$3", [incident_id uuid, event_number bigint, outcome text],
        "UPDATE page_intents SET settled_at = $2, outcome = l.outcome FROM listed l
        WHERE page_intents.organisation_id = $1 AND page_intents.incident_id = l.incident_id
            AND page_intents.event_number = l.event_number AND page_intents.settled_at IS NULL");
    let rows = settled.iter().map(|one| {
        json!({
            "incident_id": listed_id(one.incident_id),
            "event_number": one.event_number,
            "outcome": one.outcome,
        })
    });
    tx.execute(sql, params![organisation_id, now, rows_text(rows)]).await
}

/// Lets intents wait on.
pub async fn postpone(
    tx: &mut Tx,
    organisation_id: Uuid,
    postponed: &[Postponed],
) -> Result<(), StoreError> {
    let sql = crate::listed!(tx, "$2",
        [incident_id uuid, event_number bigint, due_at bigint, reason text],
        "UPDATE page_intents SET due_at = l.due_at, hold_reason = l.reason FROM listed l
        WHERE page_intents.organisation_id = $1 AND page_intents.incident_id = l.incident_id
            AND page_intents.event_number = l.event_number AND page_intents.settled_at IS NULL");
    let rows = postponed.iter().map(|one| {
        json!({
            "incident_id": listed_id(one.incident_id),
            "event_number": one.event_number,
            "due_at": one.due_at,
            "reason": one.reason,
        })
    });
    tx.execute(sql, params![organisation_id, rows_text(rows)]).await.map(drop)
}

fn read_waiting(row: &Row) -> Result<Waiting, StoreError> {
    Ok(Waiting { intent: read(row)?, hold_reason: row.get("hold_reason")? })
}

fn read(row: &Row) -> Result<Intent, StoreError> {
    Ok(Intent {
        organisation_id: row.get("organisation_id")?,
        incident_id: row.get("incident_id")?,
        event_number: row.get("event_number")?,
        kind: row.word("kind")?,
        quiet: row.get("quiet")?,
        due_at: row.get("due_at")?,
        created_at: row.get("created_at")?,
    })
}
