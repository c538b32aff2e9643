//! The way of an order: written unsigned, signed by a scheduler, sent by the
//! gateway that has the agent's session.

use crate::params;
use crate::store::{StoreError, Tx};
use uuid::Uuid;

/// An order that waits for its signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnsignedOrder {
    pub organisation_id: Uuid,
    pub burst_id: Uuid,
    pub region_id: Uuid,
    pub agent_id: String,
    pub monitor_id: Uuid,
    pub revision: i64,
    pub failures: u32,
    pub asked_at: i64,
    pub expires_at: i64,
}

/// A signed order that its agent has not answered in full.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenOrder {
    pub agent_id: String,
    pub burst_id: Uuid,
    /// Encoded wire `Envelope`.
    pub envelope: Vec<u8>,
}

/// Orders of every organisation that wait for a signature and still hold.
pub async fn unsigned(tx: &mut Tx, now: i64, limit: i64) -> Result<Vec<UnsignedOrder>, StoreError> {
    const SQL: &str = "SELECT o.organisation_id, o.burst_id, o.region_id, o.agent_id,
            b.monitor_id, b.revision, b.failures, b.asked_at, b.expires_at
        FROM burst_orders o JOIN bursts b
            ON b.organisation_id = o.organisation_id AND b.id = o.burst_id
        WHERE o.envelope IS NULL AND o.expires_at > $1 AND b.settled_at IS NULL
        ORDER BY b.asked_at LIMIT $2";
    let rows = tx.fetch_all(SQL, params![now, limit]).await?;
    rows.iter()
        .map(|row| {
            Ok(UnsignedOrder {
                organisation_id: row.get("organisation_id")?,
                burst_id: row.get("burst_id")?,
                region_id: row.get("region_id")?,
                agent_id: row.get("agent_id")?,
                monitor_id: row.get("monitor_id")?,
                revision: row.get("revision")?,
                failures: u32::try_from(row.get::<i64>("failures")?).unwrap_or(u32::MAX),
                asked_at: row.get("asked_at")?,
                expires_at: row.get("expires_at")?,
            })
        })
        .collect()
}

/// Stores a signed order, unless another scheduler was first: the signature
/// would be the same.
pub async fn put_envelope(
    tx: &mut Tx,
    order: &UnsignedOrder,
    envelope: &[u8],
) -> Result<bool, StoreError> {
    const SQL: &str = "UPDATE burst_orders SET envelope = $4
        WHERE organisation_id = $1 AND burst_id = $2 AND region_id = $3 AND envelope IS NULL";
    let values = params![order.organisation_id, order.burst_id, order.region_id, envelope];
    Ok(tx.execute(SQL, values).await? == 1)
}

/// The open orders of these agents: what a gateway asks every second for its sessions.
pub async fn open_orders(
    tx: &mut Tx,
    agent_ids: Vec<String>,
    now: i64,
    limit: i64,
) -> Result<Vec<OpenOrder>, StoreError> {
    let sql = crate::among!(tx, "SELECT o.agent_id, o.burst_id, o.envelope
        FROM burst_orders o JOIN bursts b
            ON b.organisation_id = o.organisation_id AND b.id = o.burst_id
        WHERE o.expires_at > $2 AND o.envelope IS NOT NULL AND o.answered_at IS NULL
            AND b.settled_at IS NULL AND o.agent_id ", texts "$1",
        " ORDER BY o.agent_id, o.burst_id LIMIT $3");
    let rows = tx.fetch_all(sql, params![agent_ids, now, limit]).await?;
    rows.iter()
        .map(|row| {
            Ok(OpenOrder {
                agent_id: row.get("agent_id")?,
                burst_id: row.get("burst_id")?,
                envelope: row.get("envelope")?,
            })
        })
        .collect()
}

/// Notes that these orders went to the agent. It may be sent more than once, and
/// is done once.
pub async fn sent(
    tx: &mut Tx,
    organisation_id: Uuid,
    agent_id: &str,
    burst_ids: Vec<Uuid>,
    now: i64,
) -> Result<(), StoreError> {
    let sql = crate::among!(tx, "UPDATE burst_orders SET sent_at = $3
        WHERE organisation_id = $1 AND agent_id = $2 AND sent_at IS NULL AND burst_id ", uuids "$4", "");
    tx.execute(sql, params![organisation_id, agent_id, now, burst_ids]).await.map(drop)
}
