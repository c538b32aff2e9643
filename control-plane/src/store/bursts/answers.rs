//! What came back: which rows are believed, and when a burst is settled.

use super::Outcome;
use crate::params;
use crate::store::{StoreError, Tx};
use std::collections::BTreeMap;
use uuid::Uuid;

/// What an agent was ordered: its rows of a burst are judged by this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ordered {
    pub monitor_id: Uuid,
    pub revision: i64,
    pub failures: u32,
    pub asked_at: i64,
}

/// What one region said, as far as is known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Answer {
    /// Checks without a success that were not recorded yet. They may come in any order.
    pub failures: u32,
    pub succeeded: bool,
}

/// Of these bursts, those that this agent was asked in for this region.
pub async fn ordered(
    tx: &mut Tx,
    organisation_id: Uuid,
    region_id: Uuid,
    agent_id: &str,
    burst_ids: Vec<Uuid>,
) -> Result<BTreeMap<Uuid, Ordered>, StoreError> {
    let sql = crate::among!(tx, "SELECT b.id, b.monitor_id, b.revision, b.failures, b.asked_at
        FROM burst_orders o JOIN bursts b
            ON b.organisation_id = o.organisation_id AND b.id = o.burst_id
        WHERE o.organisation_id = $1 AND o.region_id = $2 AND o.agent_id = $3
            AND o.burst_id ", uuids "$4", "");
    let values = params![organisation_id, region_id, agent_id, burst_ids];
    let rows = tx.fetch_all(sql, values).await?;
    rows.iter()
        .map(|row| {
            let ordered = Ordered {
                monitor_id: row.get("monitor_id")?,
                revision: row.get("revision")?,
                failures: u32::try_from(row.get::<i64>("failures")?).unwrap_or(u32::MAX),
                asked_at: row.get("asked_at")?,
            };
            Ok((row.get("id")?, ordered))
        })
        .collect()
}

/// Records answers, by burst and region, and settles what is answered in full;
/// says how many bursts that were.
pub async fn answer(
    tx: &mut Tx,
    organisation_id: Uuid,
    answers: &BTreeMap<Uuid, BTreeMap<Uuid, Answer>>,
    now: i64,
) -> Result<u64, StoreError> {
    const ANSWER: &str = "UPDATE burst_orders
        SET failures = failures + $4,
            successes = CASE WHEN $5 THEN 1 ELSE successes END,
            answered_at = CASE WHEN answered_at IS NULL AND ($5 OR failures + $4 >= $6) THEN $7 ELSE answered_at END
        WHERE organisation_id = $1 AND burst_id = $2 AND region_id = $3";
    let ids: Vec<Uuid> = answers.keys().copied().collect();
    let plain = crate::among!(tx, "SELECT id, failures FROM bursts
        WHERE organisation_id = $1 AND id ", uuids "$2", " ORDER BY id");
    let locking = crate::among!(tx, "SELECT id, failures FROM bursts
        WHERE organisation_id = $1 AND id ", uuids "$2", " ORDER BY id FOR UPDATE");
    let sql = tx.for_update(plain, locking);
    for row in tx.fetch_all(sql, params![organisation_id, ids.clone()]).await? {
        let (id, asked): (Uuid, i64) = (row.get("id")?, row.get("failures")?);
        for (region_id, answer) in answers.get(&id).into_iter().flatten() {
            let Answer { failures, succeeded } = *answer;
            let values = params![organisation_id, id, *region_id, failures, succeeded, asked, now];
            tx.execute(ANSWER, values).await?;
        }
    }
    let settle = crate::among!(tx, "UPDATE bursts SET settled_at = $2, outcome = $3
        WHERE organisation_id = $1 AND settled_at IS NULL AND NOT EXISTS (
            SELECT 1 FROM burst_orders o WHERE o.organisation_id = bursts.organisation_id
                AND o.burst_id = bursts.id AND o.answered_at IS NULL)
            AND id ", uuids "$4", "");
    let values = params![organisation_id, now, Outcome::Answered.as_str(), ids];
    tx.execute(settle, values).await
}

/// Whether there is anything for [`expire`] to do.
pub async fn any_expired(tx: &mut Tx, now: i64) -> Result<bool, StoreError> {
    const SQL: &str = "SELECT 1 AS n FROM bursts
        WHERE settled_at IS NULL AND expires_at <= $1 LIMIT 1";
    Ok(tx.fetch_optional(SQL, params![now]).await?.is_some())
}

/// Settles bursts of every organisation whose time is over; says how many.
pub async fn expire(tx: &mut Tx, now: i64, limit: i64) -> Result<u64, StoreError> {
    const PLAIN: &str = "SELECT organisation_id, id FROM bursts
        WHERE settled_at IS NULL AND expires_at <= $1 ORDER BY organisation_id, id LIMIT $2";
    // One that is just being answered is left to whoever answers it.
    const LOCKING: &str = "SELECT organisation_id, id FROM bursts
        WHERE settled_at IS NULL AND expires_at <= $1 ORDER BY organisation_id, id LIMIT $2
        FOR UPDATE SKIP LOCKED";
    const SETTLE: &str = "UPDATE bursts SET settled_at = $3, outcome = $4
        WHERE organisation_id = $1 AND id = $2 AND settled_at IS NULL";
    let sql = tx.for_update(PLAIN, LOCKING);
    let mut settled = 0;
    for row in tx.fetch_all(sql, params![now, limit]).await? {
        let (organisation_id, id): (Uuid, Uuid) = (row.get("organisation_id")?, row.get("id")?);
        let values = params![organisation_id, id, now, Outcome::Expired.as_str()];
        settled += tx.execute(SETTLE, values).await?;
    }
    Ok(settled)
}
