//! What a session says about its agent. Each write names the session, so that an
//! older one that still runs somewhere cannot speak for the newer.

use super::AgentState;
use crate::params;
use crate::store::{StoreError, Tx, json_text};
use uuid::Uuid;

/// What an agent said when its session began.
#[derive(Debug, Clone)]
pub struct Hello<'a> {
    pub session_id: Uuid,
    pub version: &'a str,
    pub host_name: &'a str,
    pub capabilities: &'a [String],
    /// The agent's wall clock less ours; shown to people, used for nothing.
    pub wall_skew_ms: i64,
}

/// Makes this session the agent's newest, and counts as a heartbeat; false when
/// the agent may not take part.
pub async fn begin_session(
    tx: &mut Tx,
    organisation_id: Uuid,
    agent_id: &str,
    hello: &Hello<'_>,
    now: i64,
) -> Result<bool, StoreError> {
    const SQL: &str = "UPDATE agents SET session_id = $3, version = $4, host_name = $5,
            capabilities = $6, wall_skew_ms = $7, last_heartbeat_at = $8
        WHERE organisation_id = $1 AND id = $2 AND state = 'enrolled'";
    let capabilities = json_text("capabilities", &hello.capabilities)?;
    let values = params![
        organisation_id,
        agent_id,
        hello.session_id,
        hello.version,
        hello.host_name,
        capabilities,
        hello.wall_skew_ms,
        now
    ];
    Ok(tx.execute(SQL, values).await? == 1)
}

/// Notes that the agent was heard; false when the session is not its newest, or
/// the agent may not take part, and the session has to end.
pub async fn heartbeat(
    tx: &mut Tx,
    organisation_id: Uuid,
    agent_id: &str,
    session_id: Uuid,
    wall_skew_ms: i64,
    now: i64,
) -> Result<bool, StoreError> {
    const SQL: &str = "UPDATE agents SET last_heartbeat_at = $4, wall_skew_ms = $5
        WHERE organisation_id = $1 AND id = $2 AND session_id = $3 AND state = 'enrolled'";
    let values = params![organisation_id, agent_id, session_id, now, wall_skew_ms];
    Ok(tx.execute(SQL, values).await? == 1)
}

/// Notes which set the agent works from.
pub async fn accept_set(
    tx: &mut Tx,
    organisation_id: Uuid,
    agent_id: &str,
    session_id: Uuid,
    version: i64,
) -> Result<bool, StoreError> {
    const SQL: &str = "UPDATE agents SET accepted_version = $4
        WHERE organisation_id = $1 AND id = $2 AND session_id = $3";
    Ok(tx.execute(SQL, params![organisation_id, agent_id, session_id, version]).await? == 1)
}

/// All the agent's slots up to `through` are known. Never lowered, unless what is known
/// lies after `latest`: a clock showed it that was set back since.
pub async fn raise_complete_through(
    tx: &mut Tx,
    organisation_id: Uuid,
    agent_id: &str,
    through: i64,
    latest: i64,
) -> Result<bool, StoreError> {
    const SQL: &str = "UPDATE agents SET complete_through = $3
        WHERE organisation_id = $1 AND id = $2
            AND (complete_through IS NULL OR complete_through < $3 OR complete_through > $4)";
    Ok(tx.execute(SQL, params![organisation_id, agent_id, through, latest]).await? == 1)
}

/// The agent is considered lost from `now` on.
pub async fn mark_lost(
    tx: &mut Tx,
    organisation_id: Uuid,
    agent_id: &str,
    now: i64,
) -> Result<bool, StoreError> {
    const SQL: &str = "UPDATE agents SET lost_at = $3
        WHERE organisation_id = $1 AND id = $2 AND lost_at IS NULL";
    Ok(tx.execute(SQL, params![organisation_id, agent_id, now]).await? == 1)
}

/// The agent is there again.
pub async fn mark_found(
    tx: &mut Tx,
    organisation_id: Uuid,
    agent_id: &str,
) -> Result<bool, StoreError> {
    const SQL: &str = "UPDATE agents SET lost_at = NULL
        WHERE organisation_id = $1 AND id = $2 AND lost_at IS NOT NULL";
    Ok(tx.execute(SQL, params![organisation_id, agent_id]).await? == 1)
}

/// An agent's signs of life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heartbeat {
    pub id: String,
    pub region_id: Uuid,
    pub last_heartbeat_at: Option<i64>,
    pub lost_at: Option<i64>,
}

/// When each agent in `state` was last heard, by id.
pub async fn heartbeats(
    tx: &mut Tx,
    organisation_id: Uuid,
    state: AgentState,
) -> Result<Vec<Heartbeat>, StoreError> {
    const SQL: &str = "SELECT id, region_id, last_heartbeat_at, lost_at FROM agents
        WHERE organisation_id = $1 AND state = $2 ORDER BY id";
    let rows = tx.fetch_all(SQL, params![organisation_id, state.as_str()]).await?;
    rows.iter()
        .map(|row| {
            Ok(Heartbeat {
                id: row.get("id")?,
                region_id: row.get("region_id")?,
                last_heartbeat_at: row.get("last_heartbeat_at")?,
                lost_at: row.get("lost_at")?,
            })
        })
        .collect()
}

/// These agents lose their vote at `now`.
pub async fn lose_trust(
    tx: &mut Tx,
    organisation_id: Uuid,
    agent_ids: Vec<String>,
    now: i64,
) -> Result<(), StoreError> {
    let lost = crate::among!(tx, "UPDATE agents SET discredited_at = $2
        WHERE organisation_id = $1 AND id ", texts "$3", "");
    let noted = crate::among!(tx, "INSERT INTO discredits (organisation_id, agent_id, lost_at)
        SELECT organisation_id, id, discredited_at FROM agents
        WHERE organisation_id = $1 AND discredited_at = $2 AND id ", texts "$3",
        " ON CONFLICT DO NOTHING");
    tx.execute(lost, params![organisation_id, now, agent_ids.clone()]).await?;
    tx.execute(noted, params![organisation_id, now, agent_ids]).await.map(drop)
}

/// These agents vote again from `now` on.
pub async fn regain_trust(
    tx: &mut Tx,
    organisation_id: Uuid,
    agent_ids: Vec<String>,
    now: i64,
) -> Result<(), StoreError> {
    let regained = crate::among!(tx, "UPDATE agents SET discredited_at = NULL
        WHERE organisation_id = $1 AND id ", texts "$2", "");
    let noted = crate::among!(tx, "UPDATE discredits SET regained_at = $2
        WHERE organisation_id = $1 AND regained_at IS NULL AND agent_id ", texts "$3", "");
    tx.execute(regained, params![organisation_id, agent_ids.clone()]).await?;
    tx.execute(noted, params![organisation_id, now, agent_ids]).await.map(drop)
}

/// An agent that takes part, and whether it is believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    pub id: String,
    pub host_name: String,
    pub region_id: Uuid,
    /// Since when it has no vote.
    pub discredited_at: Option<i64>,
}

/// Every enrolled agent, by id.
pub async fn standings(tx: &mut Tx, organisation_id: Uuid) -> Result<Vec<Standing>, StoreError> {
    const SQL: &str = "SELECT id, host_name, region_id, discredited_at FROM agents
        WHERE organisation_id = $1 AND state = 'enrolled' ORDER BY id";
    let rows = tx.fetch_all(SQL, params![organisation_id]).await?;
    rows.iter()
        .map(|row| {
            Ok(Standing {
                id: row.get("id")?,
                host_name: row.get("host_name")?,
                region_id: row.get("region_id")?,
                discredited_at: row.get("discredited_at")?,
            })
        })
        .collect()
}
