//! Page intents: what an incident's change asks to be told, before it is known to whom.
//!
//! Committed with the change; turned into deliveries, or found needless, when due.

use super::{Row, StoreError, Tx};
use crate::params;
use hyperverge_control_core::notification::NoticeKind;
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

/// Records an intent; a second one for the same event changes nothing.
pub async fn insert(tx: &mut Tx, intent: &Intent) -> Result<bool, StoreError> {
    const SQL: &str = "INSERT INTO page_intents (organisation_id, incident_id, event_number, kind,
            quiet, due_at, created_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING";
    let values = params![
        intent.organisation_id,
        intent.incident_id,
        intent.event_number,
        intent.kind.as_str(),
        intent.quiet,
        intent.due_at,
        intent.created_at
    ];
    Ok(tx.execute(SQL, values).await? == 1)
}

/// Organisations that have an intent due at `now`.
pub async fn organisations_due(tx: &mut Tx, now: i64, limit: i64) -> Result<Vec<Uuid>, StoreError> {
    const SQL: &str = "SELECT DISTINCT organisation_id FROM page_intents
        WHERE settled_at IS NULL AND due_at <= $1 LIMIT $2";
    let rows = tx.fetch_all(SQL, params![now, limit]).await?;
    rows.iter().map(|row| row.get("organisation_id")).collect()
}

/// The organisation's intents due at `now`, in the order of their events within an incident.
pub async fn due(
    tx: &mut Tx,
    organisation_id: Uuid,
    now: i64,
    limit: i64,
) -> Result<Vec<Intent>, StoreError> {
    const SQL: &str = "SELECT * FROM page_intents
        WHERE organisation_id = $1 AND settled_at IS NULL AND due_at <= $2
        ORDER BY due_at, incident_id, event_number LIMIT $3";
    let rows = tx.fetch_all(SQL, params![organisation_id, now, limit]).await?;
    rows.iter().map(read).collect()
}

/// The incident's intents that wait, due or not, in the order of their events.
pub async fn unsettled(
    tx: &mut Tx,
    organisation_id: Uuid,
    incident_id: Uuid,
) -> Result<Vec<Intent>, StoreError> {
    const SQL: &str = "SELECT * FROM page_intents
        WHERE organisation_id = $1 AND incident_id = $2 AND settled_at IS NULL
        ORDER BY event_number LIMIT 100";
    let rows = tx.fetch_all(SQL, params![organisation_id, incident_id]).await?;
    rows.iter().map(read).collect()
}

/// When the earliest waiting intent of any organisation is due.
pub async fn next_due(tx: &mut Tx) -> Result<Option<i64>, StoreError> {
    const SQL: &str = "SELECT MIN(due_at) AS due_at FROM page_intents WHERE settled_at IS NULL";
    match tx.fetch_optional(SQL, params![]).await? {
        Some(row) => row.get("due_at"),
        None => Ok(None),
    }
}

/// Ends an intent, with why; whether it still waited.
pub async fn settle(
    tx: &mut Tx,
    intent: &Intent,
    outcome: &str,
    now: i64,
) -> Result<bool, StoreError> {
    const SQL: &str = "UPDATE page_intents SET settled_at = $4, outcome = $5
        WHERE organisation_id = $1 AND incident_id = $2 AND event_number = $3
            AND settled_at IS NULL";
    let values =
        params![intent.organisation_id, intent.incident_id, intent.event_number, now, outcome];
    Ok(tx.execute(SQL, values).await? == 1)
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
