//! Agents: who is enrolled, when each was heard, how far each has reported.
//!
//! An agent's id is the fingerprint of its key and unique over all
//! organisations: a connection knows nothing but the key, and the row says whose it is.

mod lanes;
mod presence;

use super::{Row, StoreError, Tx};
use crate::params;
use uuid::Uuid;

pub use lanes::{
    Batch, LaneMark, LockedLane, advance_lane, find_batch, insert_batch, lanes, lock_lane,
};
pub use presence::{
    Heartbeat, Hello, Standing, accept_set, begin_session, heartbeat, heartbeats, lose_trust,
    mark_found, mark_lost, raise_complete_through, regain_trust, standings,
};

/// Whether an agent may take part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum AgentState {
    Enrolled,
    /// It contradicted itself; a person has to look.
    Quarantined,
    /// For ever.
    Revoked,
}

/// A word that is no state of an agent.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a state of an agent")]
pub struct UnknownAgentState(String);

impl AgentState {
    /// The word in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Enrolled => "enrolled",
            Self::Quarantined => "quarantined",
            Self::Revoked => "revoked",
        }
    }
}

impl std::str::FromStr for AgentState {
    type Err = UnknownAgentState;
    fn from_str(word: &str) -> Result<Self, Self::Err> {
        [Self::Enrolled, Self::Quarantined, Self::Revoked]
            .into_iter()
            .find(|state| state.as_str() == word)
            .ok_or_else(|| UnknownAgentState(word.to_owned()))
    }
}

/// An agent as it is stored, with its region's name.
#[derive(Debug, Clone)]
pub struct Agent {
    pub organisation_id: Uuid,
    pub id: String,
    /// Raw ed25519 key, 32 bytes.
    pub public_key: Vec<u8>,
    pub region_id: Uuid,
    pub region: String,
    pub state: AgentState,
    pub state_reason: Option<String>,
    pub host_name: String,
    pub version: String,
    pub capabilities: Vec<String>,
    pub enrolled_at: i64,
    pub last_heartbeat_at: Option<i64>,
    pub session_id: Option<Uuid>,
    pub wall_skew_ms: Option<i64>,
    /// All its slots up to here are known.
    pub complete_through: Option<i64>,
    /// The set it says it works from.
    pub accepted_version: Option<i64>,
    pub lost_at: Option<i64>,
}

/// An agent that enrols.
#[derive(Debug, Clone)]
pub struct NewAgent<'a> {
    pub organisation_id: Uuid,
    pub id: &'a str,
    pub public_key: &'a [u8],
    pub region_id: Uuid,
    pub host_name: &'a str,
    pub version: &'a str,
}

/// Enrols an agent with its two lanes, and makes its region one that has had an
/// agent. [`StoreError::Conflict`] when the key is known already.
pub async fn enroll(tx: &mut Tx, new: &NewAgent<'_>, now: i64) -> Result<(), StoreError> {
    const AGENT: &str = "INSERT INTO agents (organisation_id, id, public_key, region_id, state,
            host_name, version, capabilities, enrolled_at)
        VALUES ($1, $2, $3, $4, 'enrolled', $5, $6, '[]', $7)";
    const LANES: &str = "INSERT INTO agent_lanes (organisation_id, agent_id, lane, next_number)
        VALUES ($1, $2, 1, 1), ($1, $2, 2, 1)";
    const REGION: &str = "UPDATE regions SET first_agent_at = $3
        WHERE organisation_id = $1 AND id = $2 AND first_agent_at IS NULL";
    let values = params![
        new.organisation_id,
        new.id,
        new.public_key,
        new.region_id,
        new.host_name,
        new.version,
        now
    ];
    tx.execute(AGENT, values).await?;
    tx.execute(LANES, params![new.organisation_id, new.id]).await?;
    tx.execute(REGION, params![new.organisation_id, new.region_id, now]).await?;
    Ok(())
}

/// The agent with this id, of whichever organisation.
pub async fn find(tx: &mut Tx, id: &str) -> Result<Option<Agent>, StoreError> {
    const SQL: &str = "SELECT a.*, r.name AS region FROM agents a
        JOIN regions r ON r.organisation_id = a.organisation_id AND r.id = a.region_id
        WHERE a.id = $1";
    tx.fetch_optional(SQL, params![id]).await?.as_ref().map(read).transpose()
}

/// A page of the organisation's agents in the order of their ids, after `after`.
pub async fn list(
    tx: &mut Tx,
    organisation_id: Uuid,
    after: Option<&str>,
    limit: i64,
) -> Result<Vec<Agent>, StoreError> {
    const SQL: &str = "SELECT a.*, r.name AS region FROM agents a
        JOIN regions r ON r.organisation_id = a.organisation_id AND r.id = a.region_id
        WHERE a.organisation_id = $1 AND a.id > $2 ORDER BY a.id LIMIT $3";
    let rows = tx.fetch_all(SQL, params![organisation_id, after.unwrap_or(""), limit]).await?;
    rows.iter().map(read).collect()
}

/// Changes whether the agent may take part; whether that was a change. A revoked
/// agent stays revoked.
pub async fn set_state(
    tx: &mut Tx,
    organisation_id: Uuid,
    id: &str,
    state: AgentState,
    reason: &str,
) -> Result<bool, StoreError> {
    const SQL: &str = "UPDATE agents SET state = $3, state_reason = $4
        WHERE organisation_id = $1 AND id = $2 AND state <> $3 AND state <> 'revoked'";
    Ok(tx.execute(SQL, params![organisation_id, id, state.as_str(), reason]).await? == 1)
}

/// Of these agents, those that may not take part, with their state: what a
/// gateway asks every second for its open sessions.
pub async fn barred(
    tx: &mut Tx,
    ids: Vec<String>,
) -> Result<Vec<(String, AgentState)>, StoreError> {
    let sql = crate::among!(tx, "SELECT id, state FROM agents WHERE id ", texts "$1",
        " AND state <> 'enrolled' ORDER BY id");
    let rows = tx.fetch_all(sql, params![ids]).await?;
    rows.iter().map(|row| Ok((row.get("id")?, row.word("state")?))).collect()
}

fn read(row: &Row) -> Result<Agent, StoreError> {
    Ok(Agent {
        organisation_id: row.get("organisation_id")?,
        id: row.get("id")?,
        public_key: row.get("public_key")?,
        region_id: row.get("region_id")?,
        region: row.get("region")?,
        state: row.word("state")?,
        state_reason: row.get("state_reason")?,
        host_name: row.get("host_name")?,
        version: row.get("version")?,
        capabilities: row.json("capabilities")?,
        enrolled_at: row.get("enrolled_at")?,
        last_heartbeat_at: row.get("last_heartbeat_at")?,
        session_id: row.get("session_id")?,
        wall_skew_ms: row.get("wall_skew_ms")?,
        complete_through: row.get("complete_through")?,
        accepted_version: row.get("accepted_version")?,
        lost_at: row.get("lost_at")?,
    })
}
