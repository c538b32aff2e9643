//! The watermark of each agent and lane, and the batches behind it.

use super::AgentState;
use crate::params;
use crate::store::{StoreError, Tx};
use uuid::Uuid;

/// What is expected next in a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LaneMark {
    /// Wire `Lane`: 1 live, 2 backlog.
    pub lane: i64,
    /// 1 upward.
    pub next_number: i64,
}

/// A batch that was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    pub lane: i64,
    pub number: i64,
    /// SHA-256 of the envelope's payload.
    pub payload_hash: Vec<u8>,
    pub stored: i64,
    pub duplicates: i64,
    pub refused: i64,
    /// How far its agent is known to be with it, if it says so.
    pub complete_through: Option<i64>,
}

/// What is expected next in each of the agent's lanes.
pub async fn lanes(
    tx: &mut Tx,
    organisation_id: Uuid,
    agent_id: &str,
) -> Result<Vec<LaneMark>, StoreError> {
    const SQL: &str = "SELECT lane, next_number FROM agent_lanes
        WHERE organisation_id = $1 AND agent_id = $2 ORDER BY lane";
    let rows = tx.fetch_all(SQL, params![organisation_id, agent_id]).await?;
    rows.iter()
        .map(|row| Ok(LaneMark { lane: row.get("lane")?, next_number: row.get("next_number")? }))
        .collect()
}

/// A lane that is locked until the commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LockedLane {
    pub next_number: i64,
    /// Whether the agent may take part.
    pub state: AgentState,
}

/// Locks a lane until the commit; `None` when there is no such agent or lane.
pub async fn lock_lane(
    tx: &mut Tx,
    organisation_id: Uuid,
    agent_id: &str,
    lane: i64,
) -> Result<Option<LockedLane>, StoreError> {
    const PLAIN: &str = "SELECT l.next_number, a.state FROM agent_lanes l JOIN agents a
            ON a.organisation_id = l.organisation_id AND a.id = l.agent_id
        WHERE l.organisation_id = $1 AND l.agent_id = $2 AND l.lane = $3";
    const LOCKING: &str = "SELECT l.next_number, a.state FROM agent_lanes l JOIN agents a
            ON a.organisation_id = l.organisation_id AND a.id = l.agent_id
        WHERE l.organisation_id = $1 AND l.agent_id = $2 AND l.lane = $3 FOR UPDATE OF l";
    let sql = tx.for_update(PLAIN, LOCKING);
    let row = tx.fetch_optional(sql, params![organisation_id, agent_id, lane]).await?;
    row.map(|row| {
        Ok(LockedLane { next_number: row.get("next_number")?, state: row.word("state")? })
    })
    .transpose()
}

/// Moves a locked lane past `number`.
pub async fn advance_lane(
    tx: &mut Tx,
    organisation_id: Uuid,
    agent_id: &str,
    lane: i64,
    number: i64,
) -> Result<bool, StoreError> {
    const SQL: &str = "UPDATE agent_lanes SET next_number = $4 + 1
        WHERE organisation_id = $1 AND agent_id = $2 AND lane = $3 AND next_number = $4";
    Ok(tx.execute(SQL, params![organisation_id, agent_id, lane, number]).await? == 1)
}

/// The batch stored under this number; `None` also when retention dropped it.
pub async fn find_batch(
    tx: &mut Tx,
    organisation_id: Uuid,
    agent_id: &str,
    lane: i64,
    number: i64,
) -> Result<Option<Batch>, StoreError> {
    const SQL: &str = "SELECT * FROM agent_batches
        WHERE organisation_id = $1 AND agent_id = $2 AND lane = $3 AND number = $4";
    let row = tx.fetch_optional(SQL, params![organisation_id, agent_id, lane, number]).await?;
    row.map(|row| {
        Ok(Batch {
            lane: row.get("lane")?,
            number: row.get("number")?,
            payload_hash: row.get("payload_hash")?,
            stored: row.get("stored")?,
            duplicates: row.get("duplicates")?,
            refused: row.get("refused")?,
            complete_through: row.get("complete_through")?,
        })
    })
    .transpose()
}

/// Records a stored batch.
pub async fn insert_batch(
    tx: &mut Tx,
    organisation_id: Uuid,
    agent_id: &str,
    batch: &Batch,
    now: i64,
) -> Result<(), StoreError> {
    const SQL: &str = "INSERT INTO agent_batches (organisation_id, agent_id, lane, number,
            payload_hash, stored, duplicates, refused, complete_through, received_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
    let values = params![
        organisation_id,
        agent_id,
        batch.lane,
        batch.number,
        batch.payload_hash.clone(),
        batch.stored,
        batch.duplicates,
        batch.refused,
        batch.complete_through,
        now
    ];
    tx.execute(SQL, values).await?;
    Ok(())
}
