//! The newest signed set of each agent, and its parts, ready to send.

use crate::params;
use crate::store::{StoreError, Tx};
use uuid::Uuid;

/// A signed set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSet {
    pub version: i64,
    /// Of the parts: unchanged content is only renewed.
    pub content_hash: Vec<u8>,
    /// Encoded wire `Envelope` around the `AssignmentSet`.
    pub envelope: Vec<u8>,
    /// Encoded wire `AssignmentPart`s.
    pub parts: Vec<Vec<u8>>,
    pub issued_at: i64,
}

/// The newest set of the agent, if it is newer than `held` (0: none held).
pub async fn newest_set(
    tx: &mut Tx,
    organisation_id: Uuid,
    agent_id: &str,
    held: i64,
) -> Result<Option<StoredSet>, StoreError> {
    const SET: &str = "SELECT * FROM assignment_sets
        WHERE organisation_id = $1 AND agent_id = $2 AND version > $3";
    const PARTS: &str = "SELECT payload FROM assignment_set_parts
        WHERE organisation_id = $1 AND agent_id = $2 ORDER BY part";
    let Some(row) = tx.fetch_optional(SET, params![organisation_id, agent_id, held]).await? else {
        return Ok(None);
    };
    let parts = tx.fetch_all(PARTS, params![organisation_id, agent_id]).await?;
    Ok(Some(StoredSet {
        version: row.get("version")?,
        content_hash: row.get("content_hash")?,
        envelope: row.get("envelope")?,
        parts: parts.iter().map(|part| part.get("payload")).collect::<Result<_, _>>()?,
        issued_at: row.get("issued_at")?,
    }))
}

/// The version of the newest set of each of these agents: what a gateway asks
/// every second for its open sessions.
pub async fn set_versions(
    tx: &mut Tx,
    agent_ids: Vec<String>,
) -> Result<Vec<(String, i64)>, StoreError> {
    let sql = crate::among!(tx, "SELECT s.agent_id, s.version FROM agents a JOIN assignment_sets s
            ON s.organisation_id = a.organisation_id AND s.agent_id = a.id
        WHERE a.id ", texts "$1", " ORDER BY s.agent_id");
    let rows = tx.fetch_all(sql, params![agent_ids]).await?;
    rows.iter().map(|row| Ok((row.get("agent_id")?, row.get("version")?))).collect()
}

/// Replaces the agent's set. The version only rises: false, and nothing changed,
/// when a newer one is stored.
pub async fn put_set(
    tx: &mut Tx,
    organisation_id: Uuid,
    agent_id: &str,
    set: &StoredSet,
) -> Result<bool, StoreError> {
    const SET: &str = "INSERT INTO assignment_sets (organisation_id, agent_id, version,
            content_hash, content_version, envelope, issued_at)
        VALUES ($1, $2, $3, $4, $3, $5, $6)
        ON CONFLICT (organisation_id, agent_id) DO UPDATE SET version = excluded.version,
            content_version = CASE WHEN assignment_sets.content_hash = excluded.content_hash
                THEN assignment_sets.content_version ELSE excluded.version END,
            content_hash = excluded.content_hash, envelope = excluded.envelope,
            issued_at = excluded.issued_at
        WHERE assignment_sets.version < excluded.version";
    const CLEAR: &str =
        "DELETE FROM assignment_set_parts WHERE organisation_id = $1 AND agent_id = $2";
    const PART: &str = "INSERT INTO assignment_set_parts (organisation_id, agent_id, part, payload)
        VALUES ($1, $2, $3, $4)";
    let values = params![
        organisation_id,
        agent_id,
        set.version,
        set.content_hash.clone(),
        set.envelope.clone(),
        set.issued_at
    ];
    if tx.execute(SET, values).await? == 0 {
        return Ok(false);
    }
    tx.execute(CLEAR, params![organisation_id, agent_id]).await?;
    for (index, part) in (0i64..).zip(&set.parts) {
        tx.execute(PART, params![organisation_id, agent_id, index, part.as_slice()]).await?;
    }
    Ok(true)
}

/// The version that brought what the agent is asked now. What it reports under an
/// older set says nothing about how far it is with this one.
pub async fn content_version(
    tx: &mut Tx,
    organisation_id: Uuid,
    agent_id: &str,
) -> Result<Option<i64>, StoreError> {
    const SQL: &str = "SELECT content_version FROM assignment_sets
        WHERE organisation_id = $1 AND agent_id = $2";
    let row = tx.fetch_optional(SQL, params![organisation_id, agent_id]).await?;
    row.map(|row| row.get("content_version")).transpose()
}

/// Agents of the organisation whose set was issued at or before `issued_before`, or after
/// `now` by a clock that was set back since, or that take part and have none yet.
pub async fn due_for_renewal(
    tx: &mut Tx,
    organisation_id: Uuid,
    issued_before: i64,
    now: i64,
) -> Result<Vec<String>, StoreError> {
    const SQL: &str = "SELECT a.id FROM agents a LEFT JOIN assignment_sets s
            ON s.organisation_id = a.organisation_id AND s.agent_id = a.id
        WHERE a.organisation_id = $1 AND a.state = 'enrolled'
            AND (s.issued_at IS NULL OR s.issued_at <= $2 OR s.issued_at > $3)
        ORDER BY a.id";
    let rows = tx.fetch_all(SQL, params![organisation_id, issued_before, now]).await?;
    rows.iter().map(|row| row.get("id")).collect()
}
