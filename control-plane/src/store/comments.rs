//! What people write to an incident.
//!
//! A comment is an event of the incident's timeline, and takes its number there.

use super::{Row, StoreError, Tx, incidents};
use crate::params;
use uuid::Uuid;

/// A comment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comment {
    /// Of its event in the timeline.
    pub number: i64,
    pub author_id: Uuid,
    pub text: String,
    pub created_at: i64,
}

/// Writes a comment and its event; `None` when there is no such incident.
pub async fn insert(
    tx: &mut Tx,
    organisation_id: Uuid,
    incident_id: Uuid,
    author_id: Uuid,
    text: &str,
    now: i64,
) -> Result<Option<Comment>, StoreError> {
    const NUMBER: &str = "UPDATE incidents SET last_event = last_event + 1
        WHERE organisation_id = $1 AND id = $2 RETURNING last_event";
    const COMMENT: &str = "INSERT INTO incident_comments
            (organisation_id, incident_id, number, author_id, text, created_at)
        VALUES ($1, $2, $3, $4, $5, $6)";
    let numbered = tx.fetch_optional(NUMBER, params![organisation_id, incident_id]).await?;
    let Some(row) = numbered else { return Ok(None) };
    let number: i64 = row.get("last_event")?;
    let said = ("comment", text);
    incidents::insert_event_of(tx, organisation_id, incident_id, author_id, said, now).await?;
    let values = params![organisation_id, incident_id, number, author_id, text, now];
    tx.execute(COMMENT, values).await?;
    Ok(Some(Comment { number, author_id, text: text.to_owned(), created_at: now }))
}

/// A page of an incident's comments in order, after the event `after`.
pub async fn page(
    tx: &mut Tx,
    organisation_id: Uuid,
    incident_id: Uuid,
    after: i64,
    limit: i64,
) -> Result<Vec<Comment>, StoreError> {
    const SQL: &str = "SELECT * FROM incident_comments
        WHERE organisation_id = $1 AND incident_id = $2 AND number > $3 ORDER BY number LIMIT $4";
    let rows = tx.fetch_all(SQL, params![organisation_id, incident_id, after, limit]).await?;
    rows.iter().map(read).collect()
}

/// How many comments an incident has.
pub async fn count(
    tx: &mut Tx,
    organisation_id: Uuid,
    incident_id: Uuid,
) -> Result<i64, StoreError> {
    const SQL: &str = "SELECT COUNT(*) AS comments FROM incident_comments
        WHERE organisation_id = $1 AND incident_id = $2";
    let row = tx.fetch_optional(SQL, params![organisation_id, incident_id]).await?;
    row.map_or(Ok(0), |row| row.get("comments"))
}

fn read(row: &Row) -> Result<Comment, StoreError> {
    Ok(Comment {
        number: row.get("number")?,
        author_id: row.get("author_id")?,
        text: row.get("text")?,
        created_at: row.get("created_at")?,
    })
}
