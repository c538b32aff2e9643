//! Taking deliveries for sending, and what came of it.
//!
//! A claim is committed before anything is sent: it starts the lease, raises the
//! fence, counts the attempt and marks its outcome unknown. Whoever crashes in
//! between leaves a row that another takes after the lease, under the same id.
//! Only the head of a lane is ever locked, so two replicas cannot take two
//! deliveries of one lane, nor wait for each other.

use super::{Delivery, attempts, read};
use crate::params;
use crate::store::{Row, StoreError, Tx};
use hyperverge_control_core::notification::limits::LANE_ROWS;
use hyperverge_control_core::notification::{AfterAttempt, LanePlan, LaneRow, Next, plan_lane};
use uuid::Uuid;

/// What is claimed, for whom and for how long. Times in ms.
#[derive(Debug, Clone)]
pub struct Claim {
    pub organisation_id: Uuid,
    pub channel_id: Uuid,
    pub holder: Uuid,
    pub now: i64,
    pub lease_ms: i64,
    pub limit: i64,
}

/// A delivery to be sent now. Its row already counts this attempt.
#[derive(Debug, Clone)]
pub struct Claimed {
    pub delivery: Delivery,
    /// Whether an earlier attempt may have arrived.
    pub was_unknown: bool,
}

/// Channels that have a delivery which is due, the longest waiting first.
pub async fn due_channels(
    tx: &mut Tx,
    now: i64,
    limit: i64,
) -> Result<Vec<(Uuid, Uuid)>, StoreError> {
    const SQL: &str = "SELECT organisation_id, channel_id FROM deliveries
        WHERE state = 'pending' AND next_at <= $1 AND (lease_until IS NULL OR lease_until <= $1)
        GROUP BY organisation_id, channel_id ORDER BY MIN(next_at) LIMIT $2";
    let rows = tx.fetch_all(SQL, params![now, limit]).await?;
    rows.iter().map(|row| Ok((row.get("organisation_id")?, row.get("channel_id")?))).collect()
}

/// Takes deliveries of one channel whose turn it is.
pub async fn claim(tx: &mut Tx, claim: &Claim) -> Result<Vec<Claimed>, StoreError> {
    let mut claimed = Vec::new();
    for head in heads(tx, claim).await? {
        let plan = if head.replayed_at.is_some() {
            LanePlan { send: Some(head.id), ..LanePlan::default() }
        } else {
            plan_lane(&lane(tx, &head, claim.now).await?, claim.now)
        };
        for id in &plan.supersede {
            supersede(tx, claim, *id).await?;
        }
        let Some(id) = plan.send else { continue };
        let taken = if id == head.id {
            Some(head)
        } else {
            super::get(tx, claim.organisation_id, id).await?
        };
        let Some(mut delivery) = taken else { continue };
        delivery.notice.opening_included |= plan.opening_included;
        claimed.push(take(tx, claim, delivery).await?);
    }
    Ok(claimed)
}

macro_rules! heads_sql {
    ($lock:literal) => {
        concat!(
            "SELECT d.* FROM deliveries d
            WHERE d.organisation_id = $1 AND d.channel_id = $2 AND d.state = 'pending'
                AND (d.lease_until IS NULL OR d.lease_until <= $3)
                AND ((d.replayed_at IS NOT NULL AND d.next_at <= $3)
                  OR (d.replayed_at IS NULL
                    AND NOT EXISTS (SELECT 1 FROM deliveries e
                        WHERE e.organisation_id = d.organisation_id AND e.incident_id = d.incident_id
                            AND e.channel_id = d.channel_id AND e.recipient = d.recipient
                            AND e.event_number < d.event_number AND e.state = 'pending'
                            AND e.replayed_at IS NULL)
                    AND (d.next_at <= $3
                      OR (NOT d.outcome_unknown AND EXISTS (SELECT 1 FROM deliveries r
                        WHERE r.organisation_id = d.organisation_id AND r.incident_id = d.incident_id
                            AND r.channel_id = d.channel_id AND r.recipient = d.recipient
                            AND r.kind = 'resolved' AND r.state = 'pending' AND r.attempts = 0
                            AND r.replayed_at IS NULL AND r.next_at <= $3)))))
            ORDER BY d.next_at, d.event_number, d.id LIMIT $4",
            $lock
        )
    };
}

/// The first of each lane that is due, or whose end is.
async fn heads(tx: &mut Tx, claim: &Claim) -> Result<Vec<Delivery>, StoreError> {
    let sql = tx.for_update(heads_sql!(""), heads_sql!(" FOR UPDATE OF d SKIP LOCKED"));
    let values = params![claim.organisation_id, claim.channel_id, claim.now, claim.limit];
    tx.fetch_all(sql, values).await?.iter().map(read).collect()
}

async fn lane(tx: &mut Tx, head: &Delivery, now: i64) -> Result<Vec<LaneRow>, StoreError> {
    const SQL: &str = "SELECT id, event_number, kind, state, attempts, next_at, lease_until,
            outcome_unknown, replayed_at
        FROM deliveries
        WHERE organisation_id = $1 AND incident_id = $2 AND channel_id = $3 AND recipient = $4
        ORDER BY event_number DESC LIMIT $5";
    let values = params![
        head.organisation_id,
        head.notice.incident_id,
        head.channel_id,
        &head.recipient,
        i64::try_from(LANE_ROWS).unwrap_or(i64::MAX)
    ];
    let rows = tx.fetch_all(SQL, values).await?;
    rows.iter().map(|row| lane_row(row, now)).collect()
}

fn lane_row(row: &Row, now: i64) -> Result<LaneRow, StoreError> {
    Ok(LaneRow {
        id: row.get("id")?,
        event_number: row.get("event_number")?,
        kind: row.word("kind")?,
        state: row.word("state")?,
        attempts: attempts(row)?,
        next_at: row.get("next_at")?,
        leased: row.get::<Option<i64>>("lease_until")?.is_some_and(|until| until > now),
        outcome_unknown: row.get("outcome_unknown")?,
        replayed: row.get::<Option<i64>>("replayed_at")?.is_some(),
    })
}

async fn supersede(tx: &mut Tx, claim: &Claim, id: Uuid) -> Result<(), StoreError> {
    const SQL: &str = "UPDATE deliveries SET state = 'superseded', settled_at = $3,
            lease_holder = NULL, lease_until = NULL
        WHERE organisation_id = $1 AND id = $2 AND state = 'pending'";
    tx.execute(SQL, params![claim.organisation_id, id, claim.now]).await?;
    Ok(())
}

async fn take(tx: &mut Tx, claim: &Claim, mut delivery: Delivery) -> Result<Claimed, StoreError> {
    const SQL: &str = "UPDATE deliveries SET attempts = $3, fence = $4, outcome_unknown = TRUE,
            lease_holder = $5, lease_until = $6, notice = $7
        WHERE organisation_id = $1 AND id = $2";
    let was_unknown = delivery.outcome_unknown;
    delivery.attempts = delivery.attempts.saturating_add(1);
    delivery.fence += 1;
    delivery.outcome_unknown = true;
    let values = params![
        delivery.organisation_id,
        delivery.id,
        delivery.attempts,
        delivery.fence,
        claim.holder,
        claim.now.saturating_add(claim.lease_ms),
        crate::store::json_text("notice", &delivery.notice)?
    ];
    tx.execute(SQL, values).await?;
    Ok(Claimed { delivery, was_unknown })
}

/// Records what came of an attempt; false when the lease was lost meanwhile and
/// somebody else has the delivery, in which case nothing changes.
pub async fn finish(
    tx: &mut Tx,
    claimed: &Claimed,
    after: &AfterAttempt,
    now: i64,
) -> Result<bool, StoreError> {
    const SQL: &str = "UPDATE deliveries SET state = $4, next_at = $5, settled_at = $6,
            outcome_unknown = $7, last_error = $8, lease_holder = NULL, lease_until = NULL
        WHERE organisation_id = $1 AND id = $2 AND fence = $3 AND state = 'pending'";
    let delivery = &claimed.delivery;
    let (state, next_at, settled_at) = match after.next {
        Next::Delivered => ("delivered", delivery.next_at, Some(now)),
        Next::RetryAt(at) => ("pending", at, None),
        Next::Dead => ("dead", delivery.next_at, Some(now)),
    };
    let values = params![
        delivery.organisation_id,
        delivery.id,
        delivery.fence,
        state,
        next_at,
        settled_at,
        after.outcome_unknown,
        after.error.clone()
    ];
    Ok(tx.execute(SQL, values).await? == 1)
}

/// Gives a delivery back that was certainly not sent, as if it had not been claimed.
pub async fn release(tx: &mut Tx, claimed: &Claimed) -> Result<bool, StoreError> {
    const SQL: &str = "UPDATE deliveries SET attempts = attempts - 1, outcome_unknown = $4,
            lease_holder = NULL, lease_until = NULL
        WHERE organisation_id = $1 AND id = $2 AND fence = $3 AND state = 'pending'";
    let delivery = &claimed.delivery;
    let values =
        params![delivery.organisation_id, delivery.id, delivery.fence, claimed.was_unknown];
    Ok(tx.execute(SQL, values).await? == 1)
}
