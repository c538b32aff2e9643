//! Step 4: results, one row a check, and the slots that were missed.
//!
//! The key is the slot, so the first commit wins it and a second copy is a
//! duplicate. Rows come by the thousand: the inserts are the two back ends' own
//! (`sqlite/results.rs`, `postgres/results.rs`), everything else is shared.

mod read;

use super::{StoreError, Tx, TxKind};
use crate::params;
use hyperverge_control_core::correlation::Newest;
use hyperverge_protocol::wire::MissedReason;
use std::collections::BTreeMap;
use uuid::Uuid;

pub use read::{Position, StoredResult, page};

/// Where a batch came from. None of it is the batch's own word.
#[derive(Debug, Clone)]
pub struct Origin {
    pub organisation_id: Uuid,
    pub region_id: Uuid,
    pub agent_id: String,
    /// Wire `Lane`.
    pub lane: i64,
    pub batch_number: i64,
    pub undated: bool,
    pub received_at: i64,
}

/// A result that was judged and may be stored.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewResult {
    pub monitor_id: Uuid,
    pub revision: i64,
    pub slot: i64,
    /// Nil for a slot's own check.
    pub burst_id: Uuid,
    pub burst_index: i64,
    pub due_us: i64,
    pub started_us: i64,
    pub ended_us: i64,
    /// Wire `Outcome`.
    pub outcome: i64,
    pub reason: Option<String>,
    pub message: Option<String>,
    pub resolve_us: Option<i64>,
    pub connect_us: Option<i64>,
    pub tls_us: Option<i64>,
    pub processing_us: Option<i64>,
    pub transfer_us: Option<i64>,
    pub address: Option<String>,
    pub status: Option<i64>,
    pub certificate_expires_s: Option<i64>,
    pub sample: Option<Vec<u8>>,
    pub redirects: i64,
    pub body_bytes: i64,
    /// Wire `Details`, encoded.
    pub details: Option<Vec<u8>>,
}

/// Slots that were due and not observed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewMissed {
    pub monitor_id: Uuid,
    pub revision: i64,
    pub first_slot: i64,
    pub last_slot: i64,
    /// Wire `MissedReason`.
    pub reason: i64,
}

/// What a region says of slots that nobody observed; `None` where they were
/// observed, and only their rows are gone.
pub fn missed_word(reason: MissedReason) -> Option<&'static str> {
    match reason {
        MissedReason::Overload => Some("missed_overload"),
        MissedReason::Suspend => Some("missed_suspend"),
        MissedReason::Stopped => Some("missed_stopped"),
        MissedReason::SpoolFull | MissedReason::Unspecified => None,
    }
}

/// Stores rows and says how many were new; the others' slots were taken.
pub async fn insert(tx: &mut Tx, origin: &Origin, rows: &[NewResult]) -> Result<u64, StoreError> {
    if rows.is_empty() {
        return Ok(0);
    }
    match &mut tx.0 {
        TxKind::Sqlite(tx) => tx.insert_results(origin, rows).await,
        TxKind::Postgres(tx) => tx.insert_results(origin, rows).await,
    }
}

/// Stores missed ranges; one that is known already stays.
pub async fn insert_missed(
    tx: &mut Tx,
    origin: &Origin,
    ranges: &[NewMissed],
) -> Result<(), StoreError> {
    const SQL: &str = "INSERT INTO missed_slots (organisation_id, monitor_id, region_id, revision,
            first_slot, last_slot, agent_id, reason, received_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING";
    for range in ranges {
        let values = params![
            origin.organisation_id,
            range.monitor_id,
            origin.region_id,
            range.revision,
            range.first_slot,
            range.last_slot,
            &origin.agent_id,
            range.reason,
            origin.received_at
        ];
        tx.execute(SQL, values).await?;
    }
    Ok(())
}

/// The newest slot of these monitors' present revision in the region whose own
/// check is stored, and when the newest check started, a burst's too; by monitor
/// and revision: what a failure's place in the order is judged by.
pub async fn newest(
    tx: &mut Tx,
    organisation_id: Uuid,
    region_id: Uuid,
    monitor_ids: Vec<Uuid>,
) -> Result<BTreeMap<(Uuid, i64), Newest>, StoreError> {
    // Where there are only checks of bursts, those are looked at.
    let sql = crate::among!(tx, "SELECT r.monitor_id, r.revision, r.slot, r.burst_index, r.started_us
        FROM assignments a JOIN results r
            ON r.organisation_id = a.organisation_id AND r.monitor_id = a.monitor_id
                AND r.region_id = a.region_id AND r.revision = a.revision
                AND r.slot >= COALESCE((SELECT MAX(n.slot) FROM results n
                    WHERE n.organisation_id = a.organisation_id AND n.monitor_id = a.monitor_id
                        AND n.region_id = a.region_id AND n.revision = a.revision
                        AND NOT n.undated AND n.burst_index = 0), -4611686018427387904)
        WHERE a.organisation_id = $1 AND a.region_id = $2 AND a.ended_at IS NULL
            AND NOT r.undated AND a.monitor_id ", uuids "$3", "");
    let rows = tx.fetch_all(sql, params![organisation_id, region_id, monitor_ids]).await?;
    let mut found: BTreeMap<(Uuid, i64), Newest> = BTreeMap::new();
    for row in &rows {
        let of_burst = row.get::<i64>("burst_index")? > 0;
        // A burst's slot may still have its own check.
        let slot = row.get::<i64>("slot")? - i64::from(of_burst);
        let started_at = row.get::<i64>("started_us")? / 1_000;
        let key = (row.get("monitor_id")?, row.get("revision")?);
        let newest = found.entry(key).or_insert(Newest { slot, started_at });
        if !of_burst {
            newest.slot = slot;
        }
        newest.started_at = newest.started_at.max(started_at);
    }
    Ok(found)
}
