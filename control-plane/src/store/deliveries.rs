//! Deliveries, the outbox: one row per incident, event, channel and recipient.

use super::{StoreError, Tx};
use crate::params;
use hyperverge_control_core::notification::Notice;
use uuid::Uuid;

/// A delivery to be made.
#[derive(Debug, Clone)]
pub struct NewDelivery<'a> {
    pub organisation_id: Uuid,
    /// Also `webhook-id` and `Message-ID`.
    pub id: Uuid,
    pub channel_id: Uuid,
    /// One of `ChannelConfig::recipients`.
    pub recipient: &'a str,
    pub notice: &'a Notice,
    pub now: i64,
}

/// Puts a delivery in the outbox, due at once; false when the event was already
/// put there for this channel and recipient, which then stays as it is.
pub async fn insert(tx: &mut Tx, new: &NewDelivery<'_>) -> Result<bool, StoreError> {
    const SQL: &str = "INSERT INTO deliveries (organisation_id, id, incident_id, event_number,
            channel_id, recipient, kind, notice, state, attempts, next_at, fence, outcome_unknown,
            created_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'pending', 0, $9, 0, FALSE, $9)
        ON CONFLICT DO NOTHING";
    let values = params![
        new.organisation_id,
        new.id,
        new.notice.incident_id,
        new.notice.event_number,
        new.channel_id,
        new.recipient,
        new.notice.kind.as_str(),
        super::json_text("notice", new.notice)?,
        new.now
    ];
    Ok(tx.execute(SQL, values).await? == 1)
}
