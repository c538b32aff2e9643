//! What the newest results say of targets: what incidents may have in common, and
//! what agents are compared by.

use super::{Row, StoreError, Tx};
use crate::params;
use hyperverge_control_core::assignment::Slots;
use hyperverge_control_core::correlation::{Held, StateRow};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// Addresses that these monitors were last reached at from each region, as far as
/// that was due since `since_us`; of every enabled monitor if there is no list.
pub async fn addresses(
    tx: &mut Tx,
    organisation_id: Uuid,
    monitor_ids: Option<Vec<Uuid>>,
    since_us: i64,
) -> Result<BTreeMap<Uuid, BTreeSet<String>>, StoreError> {
    const ALL: &str = "SELECT a.monitor_id, (SELECT r.address FROM results r
            WHERE r.organisation_id = a.organisation_id AND r.monitor_id = a.monitor_id
                AND r.due_us >= $2 AND r.region_id = a.region_id AND r.address IS NOT NULL
            ORDER BY r.due_us DESC LIMIT 1) AS address
        FROM assignments a WHERE a.organisation_id = $1 AND a.ended_at IS NULL";
    let rows = match monitor_ids {
        None => tx.fetch_all(ALL, params![organisation_id, since_us]).await?,
        Some(ids) => {
            let sql = crate::among!(tx, "SELECT a.monitor_id, (SELECT r.address FROM results r
                    WHERE r.organisation_id = a.organisation_id AND r.monitor_id = a.monitor_id
                        AND r.due_us >= $2 AND r.region_id = a.region_id AND r.address IS NOT NULL
                    ORDER BY r.due_us DESC LIMIT 1) AS address
                FROM assignments a WHERE a.organisation_id = $1 AND a.ended_at IS NULL
                    AND a.monitor_id ", uuids "$3", "");
            tx.fetch_all(sql, params![organisation_id, since_us, ids]).await?
        }
    };
    let mut found: BTreeMap<Uuid, BTreeSet<String>> = BTreeMap::new();
    for row in &rows {
        if let Some(address) = row.get::<Option<String>>("address")? {
            found.entry(row.get("monitor_id")?).or_default().insert(address);
        }
    }
    Ok(found)
}

/// Wire `Details` of each of these monitors' newest result that has any, due since `since_us`.
pub async fn details(
    tx: &mut Tx,
    organisation_id: Uuid,
    monitor_ids: Vec<Uuid>,
    since_us: i64,
) -> Result<Vec<(Uuid, Vec<u8>)>, StoreError> {
    let sql = crate::among!(tx, "SELECT m.id, (SELECT r.details FROM results r
            WHERE r.organisation_id = m.organisation_id AND r.monitor_id = m.id
                AND r.due_us >= $2 AND r.details IS NOT NULL
            ORDER BY r.due_us DESC LIMIT 1) AS details
        FROM monitors m WHERE m.organisation_id = $1 AND m.id ", uuids "$3", "");
    let rows = tx.fetch_all(sql, params![organisation_id, since_us, monitor_ids]).await?;
    let mut found = Vec::new();
    for row in &rows {
        if let Some(details) = row.get::<Option<Vec<u8>>>("details")? {
            found.push((row.get("id")?, details));
        }
    }
    Ok(found)
}

/// From which regions, by name, each monitor is watched.
pub async fn watched_from(
    tx: &mut Tx,
    organisation_id: Uuid,
) -> Result<BTreeMap<Uuid, BTreeSet<String>>, StoreError> {
    const SQL: &str = "SELECT a.monitor_id, r.name FROM assignments a
        JOIN regions r ON r.organisation_id = a.organisation_id AND r.id = a.region_id
        WHERE a.organisation_id = $1 AND a.ended_at IS NULL";
    let mut found: BTreeMap<Uuid, BTreeSet<String>> = BTreeMap::new();
    for row in &tx.fetch_all(SQL, params![organisation_id]).await? {
        found.entry(row.get("monitor_id")?).or_default().insert(row.get("name")?);
    }
    Ok(found)
}

/// An agent's seat, with what is known of it.
#[derive(Debug, Clone)]
pub struct AgentSeat {
    pub monitor_id: Uuid,
    pub region_id: Uuid,
    pub agent_id: String,
    pub held: Held,
    pub row: Option<StateRow>,
    /// When the newest burst was asked that the agent answered with a success: it looked
    /// after that. A success in a row of them leaves no other trace.
    pub answered: Option<i64>,
}

/// How long ago a burst may have been asked whose answer is looked at, ms.
const ANSWERS_MS: i64 = 300_000;

/// Every seat of the organisation that an agent has, by monitor and region.
pub async fn seats(tx: &mut Tx, organisation_id: Uuid) -> Result<Vec<AgentSeat>, StoreError> {
    const SQL: &str = "SELECT a.monitor_id, a.region_id, a.agent_id, a.revision, a.first_slot,
            a.anchor_ms, a.interval_ms, g.complete_through, g.discredited_at
        FROM assignments a JOIN agents g
            ON g.organisation_id = a.organisation_id AND g.id = a.agent_id
        WHERE a.organisation_id = $1 AND a.ended_at IS NULL AND g.state = 'enrolled'
        ORDER BY a.monitor_id, a.region_id";
    const ROWS: &str = "SELECT * FROM region_states WHERE organisation_id = $1";
    let mut states: BTreeMap<(Uuid, Uuid), StateRow> = BTreeMap::new();
    for row in &tx.fetch_all(ROWS, params![organisation_id]).await? {
        let place = (row.get("monitor_id")?, row.get("region_id")?);
        states.insert(place, super::states::read_row(row)?);
    }
    let answered = answered(tx, organisation_id).await?;
    let rows = tx.fetch_all(SQL, params![organisation_id]).await?;
    rows.iter().map(|row| seat(row, &mut states, &answered)).collect()
}

/// Who answered a burst with a success: monitor, region, revision and agent.
type Answered = BTreeMap<(Uuid, Uuid, i64, String), i64>;

async fn answered(tx: &mut Tx, organisation_id: Uuid) -> Result<Answered, StoreError> {
    const SQL: &str = "SELECT b.monitor_id, o.region_id, b.revision, o.agent_id,
            MAX(b.asked_at) AS at
        FROM bursts b JOIN burst_orders o
            ON o.organisation_id = b.organisation_id AND o.burst_id = b.id
        WHERE b.organisation_id = $1 AND b.asked_at >= $2 AND o.successes > 0
        GROUP BY b.monitor_id, o.region_id, b.revision, o.agent_id";
    let since = tx.now().await? - ANSWERS_MS;
    let rows = tx.fetch_all(SQL, params![organisation_id, since]).await?;
    rows.iter()
        .map(|row| {
            let (monitor_id, region_id) = (row.get("monitor_id")?, row.get("region_id")?);
            let key = (monitor_id, region_id, row.get("revision")?, row.get("agent_id")?);
            Ok((key, row.get("at")?))
        })
        .collect()
}

fn seat(
    row: &Row,
    states: &mut BTreeMap<(Uuid, Uuid), StateRow>,
    answered: &Answered,
) -> Result<AgentSeat, StoreError> {
    let (monitor_id, region_id) = (row.get("monitor_id")?, row.get("region_id")?);
    let (revision, agent_id): (i64, String) = (row.get("revision")?, row.get("agent_id")?);
    Ok(AgentSeat {
        monitor_id,
        region_id,
        answered: answered.get(&(monitor_id, region_id, revision, agent_id.clone())).copied(),
        agent_id,
        held: Held {
            revision,
            first_slot: row.get("first_slot")?,
            slots: Slots { anchor_ms: row.get("anchor_ms")?, interval_ms: row.get("interval_ms")? },
            predecessor_through: None,
            complete_through: row.get("complete_through")?,
            discredited: row.get::<Option<i64>>("discredited_at")?.is_some(),
        },
        row: states.remove(&(monitor_id, region_id)),
    })
}

/// Whether an organisation's agents have to be compared: one has lost its vote, an
/// incident about that is open, or one fails at least `failing` monitors.
pub async fn suspicious(
    tx: &mut Tx,
    organisation_id: Uuid,
    cause: &str,
    failing: i64,
) -> Result<bool, StoreError> {
    const SQL: &str = "SELECT 1 AS n WHERE EXISTS (SELECT 1 FROM agents
                WHERE organisation_id = $1 AND discredited_at IS NOT NULL AND state = 'enrolled')
            OR EXISTS (SELECT 1 FROM incidents WHERE organisation_id = $1
                AND subject_kind <> 'monitor' AND resolved_at IS NULL AND cause = $2)
            OR EXISTS (SELECT 1 FROM region_states r JOIN assignments a
                    ON a.organisation_id = r.organisation_id AND a.monitor_id = r.monitor_id
                        AND a.region_id = r.region_id AND a.ended_at IS NULL
                WHERE r.organisation_id = $1 AND r.failures > 0
                GROUP BY a.agent_id HAVING COUNT(*) >= $3)";
    let values = params![organisation_id, cause, failing];
    Ok(tx.fetch_optional(SQL, values).await?.is_some())
}
