//! Dead letters: what could not be delivered, until somebody decides.

use super::{Delivery, read};
use crate::params;
use crate::store::{StoreError, Tx};
use uuid::Uuid;

/// A page of dead letters, the oldest first, after the id `after`.
pub async fn dead_letters(
    tx: &mut Tx,
    organisation_id: Uuid,
    after: Option<Uuid>,
    limit: i64,
) -> Result<Vec<Delivery>, StoreError> {
    const SQL: &str = "SELECT * FROM deliveries
        WHERE organisation_id = $1 AND state = 'dead' AND id > $2 ORDER BY id LIMIT $3";
    let after = after.unwrap_or(Uuid::nil());
    let rows = tx.fetch_all(SQL, params![organisation_id, after, limit]).await?;
    rows.iter().map(read).collect()
}

/// The dead letter with this id.
pub async fn dead_letter(
    tx: &mut Tx,
    organisation_id: Uuid,
    id: Uuid,
) -> Result<Option<Delivery>, StoreError> {
    const SQL: &str =
        "SELECT * FROM deliveries WHERE organisation_id = $1 AND id = $2 AND state = 'dead'";
    let row = tx.fetch_optional(SQL, params![organisation_id, id]).await?;
    row.as_ref().map(read).transpose()
}

/// Sends a dead letter again from the beginning of the schedule; whether it was
/// one. What may have arrived before still may have: that is not forgotten.
pub async fn replay(
    tx: &mut Tx,
    organisation_id: Uuid,
    id: Uuid,
    now: i64,
) -> Result<bool, StoreError> {
    const SQL: &str = "UPDATE deliveries SET state = 'pending', attempts = 0, next_at = $3,
            replayed_at = $3, settled_at = NULL
        WHERE organisation_id = $1 AND id = $2 AND state = 'dead'";
    Ok(tx.execute(SQL, params![organisation_id, id, now]).await? == 1)
}

/// Ends a dead letter for good; whether it was one.
pub async fn discard(
    tx: &mut Tx,
    organisation_id: Uuid,
    id: Uuid,
    now: i64,
) -> Result<bool, StoreError> {
    const SQL: &str = "UPDATE deliveries SET state = 'discarded', settled_at = $3
        WHERE organisation_id = $1 AND id = $2 AND state = 'dead'";
    Ok(tx.execute(SQL, params![organisation_id, id, now]).await? == 1)
}

/// Turns what waits for a channel that takes nothing any more into dead letters,
/// except what is being sent right now.
pub async fn bury_channel(
    tx: &mut Tx,
    organisation_id: Uuid,
    channel_id: Uuid,
    why: &str,
    now: i64,
) -> Result<u64, StoreError> {
    const SQL: &str = "UPDATE deliveries SET state = 'dead', settled_at = $4, last_error = $3,
            lease_holder = NULL, lease_until = NULL
        WHERE organisation_id = $1 AND channel_id = $2 AND state = 'pending'
            AND (lease_until IS NULL OR lease_until <= $4)";
    tx.execute(SQL, params![organisation_id, channel_id, why, now]).await
}

/// Ends everything unsettled of a channel that is being deleted.
pub async fn discard_channel(
    tx: &mut Tx,
    organisation_id: Uuid,
    channel_id: Uuid,
    now: i64,
) -> Result<u64, StoreError> {
    const SQL: &str = "UPDATE deliveries SET state = 'discarded', settled_at = $3,
            last_error = 'the channel was deleted', lease_holder = NULL, lease_until = NULL
        WHERE organisation_id = $1 AND channel_id = $2 AND state IN ('pending', 'dead')";
    tx.execute(SQL, params![organisation_id, channel_id, now]).await
}
