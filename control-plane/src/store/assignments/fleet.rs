//! What the assignment planner reads: an organisation's monitors, regions and agents.

use crate::params;
use crate::store::agents::AgentState;
use crate::store::{StoreError, Tx};
use uuid::Uuid;

/// All of an organisation that assignment depends on, besides its assignments.
#[derive(Debug, Clone)]
pub struct Fleet {
    pub monitors: Vec<FleetMonitor>,
    /// Those that have had an agent and were not retired.
    pub regions: Vec<FleetRegion>,
    pub agents: Vec<FleetAgent>,
}

/// A monitor with its specification as JSON.
#[derive(Debug, Clone)]
pub struct FleetMonitor {
    pub id: Uuid,
    pub revision: i64,
    pub spec_json: String,
    pub enabled: bool,
}

/// A region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FleetRegion {
    pub id: Uuid,
    pub name: String,
}

/// An agent.
#[derive(Debug, Clone)]
pub struct FleetAgent {
    pub id: String,
    pub region_id: Uuid,
    pub state: AgentState,
    pub capabilities: Vec<String>,
    pub last_heartbeat_at: Option<i64>,
    pub lost_at: Option<i64>,
    pub complete_through: Option<i64>,
    /// Whether it has lost its vote.
    pub discredited: bool,
}

/// Reads the organisation's fleet, everything in the order of its ids.
pub async fn fleet(tx: &mut Tx, organisation_id: Uuid) -> Result<Fleet, StoreError> {
    const MONITORS: &str = "SELECT id, revision, spec, enabled FROM monitors
        WHERE organisation_id = $1 ORDER BY id";
    const AGENTS: &str = "SELECT id, region_id, state, capabilities, last_heartbeat_at, lost_at,
            complete_through, discredited_at
        FROM agents WHERE organisation_id = $1 ORDER BY id";
    let monitors = tx.fetch_all(MONITORS, params![organisation_id]).await?;
    let agents = tx.fetch_all(AGENTS, params![organisation_id]).await?;
    Ok(Fleet {
        monitors: monitors
            .iter()
            .map(|row| {
                Ok(FleetMonitor {
                    id: row.get("id")?,
                    revision: row.get("revision")?,
                    spec_json: row.get("spec")?,
                    enabled: row.get("enabled")?,
                })
            })
            .collect::<Result<_, StoreError>>()?,
        regions: regions(tx, organisation_id).await?,
        agents: agents
            .iter()
            .map(|row| {
                Ok(FleetAgent {
                    id: row.get("id")?,
                    region_id: row.get("region_id")?,
                    state: row.word("state")?,
                    capabilities: row.json("capabilities")?,
                    last_heartbeat_at: row.get("last_heartbeat_at")?,
                    lost_at: row.get("lost_at")?,
                    complete_through: row.get("complete_through")?,
                    discredited: row.get::<Option<i64>>("discredited_at")?.is_some(),
                })
            })
            .collect::<Result<_, StoreError>>()?,
    })
}

/// The regions that have had an agent and were not retired, by name.
pub async fn regions(tx: &mut Tx, organisation_id: Uuid) -> Result<Vec<FleetRegion>, StoreError> {
    const SQL: &str = "SELECT id, name FROM regions WHERE organisation_id = $1
            AND first_agent_at IS NOT NULL AND retired_at IS NULL
        ORDER BY name";
    let rows = tx.fetch_all(SQL, params![organisation_id]).await?;
    rows.iter().map(|row| Ok(FleetRegion { id: row.get("id")?, name: row.get("name")? })).collect()
}
