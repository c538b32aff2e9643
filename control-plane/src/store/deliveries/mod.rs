//! Deliveries, the outbox: one row per incident, event, channel and recipient.
//!
//! Made here, claimed and finished in `claim.rs`, dead letters in `dead.rs`.

mod claim;
mod dead;

pub use claim::{Claim, Claimed, claim, due_channels, finish, release};
pub use dead::{bury_channel, dead_letter, dead_letters, discard, discard_channel, replay};

use super::{Row, StoreError, Tx};
use crate::params;
use hyperverge_control_core::notification::{DeliveryState, Notice, Standing};
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

/// A delivery as it is stored.
#[derive(Debug, Clone)]
pub struct Delivery {
    pub organisation_id: Uuid,
    pub id: Uuid,
    pub channel_id: Uuid,
    pub recipient: String,
    pub notice: Notice,
    pub state: DeliveryState,
    /// Attempts begun.
    pub attempts: u32,
    pub next_at: i64,
    /// Raised by each claim.
    pub fence: i64,
    pub outcome_unknown: bool,
    pub last_error: Option<String>,
    pub created_at: i64,
    pub settled_at: Option<i64>,
    pub replayed_at: Option<i64>,
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

/// The delivery with this id.
pub async fn get(
    tx: &mut Tx,
    organisation_id: Uuid,
    id: Uuid,
) -> Result<Option<Delivery>, StoreError> {
    const SQL: &str = "SELECT * FROM deliveries WHERE organisation_id = $1 AND id = $2";
    let row = tx.fetch_optional(SQL, params![organisation_id, id]).await?;
    row.as_ref().map(read).transpose()
}

/// Deliveries of one incident that [`of_incident`] gives.
pub const OF_INCIDENT: i64 = 500;

/// What an incident's timeline shows of its deliveries, in the order they were made.
pub async fn of_incident(
    tx: &mut Tx,
    organisation_id: Uuid,
    incident_id: Uuid,
) -> Result<Vec<Delivery>, StoreError> {
    const SQL: &str = "SELECT * FROM deliveries WHERE organisation_id = $1 AND incident_id = $2
        ORDER BY event_number, id LIMIT $3";
    let values = params![organisation_id, incident_id, OF_INCIDENT];
    let rows = tx.fetch_all(SQL, values).await?;
    rows.iter().map(read).collect()
}

/// Outbox rows that wait, and dead letters, over all organisations.
pub async fn counts(tx: &mut Tx) -> Result<(i64, i64), StoreError> {
    const SQL: &str = "SELECT
        (SELECT COUNT(*) FROM deliveries WHERE state = 'pending') AS pending,
        (SELECT COUNT(*) FROM deliveries WHERE state = 'dead') AS dead";
    match tx.fetch_optional(SQL, params![]).await? {
        Some(row) => Ok((row.get("pending")?, row.get("dead")?)),
        None => Ok((0, 0)),
    }
}

/// How the incident stands now; `None` when it is no longer stored.
pub async fn standing(
    tx: &mut Tx,
    organisation_id: Uuid,
    incident_id: Uuid,
) -> Result<Option<Standing>, StoreError> {
    const SQL: &str = "SELECT state, verdict, resolved_at FROM incidents
        WHERE organisation_id = $1 AND id = $2";
    let row = tx.fetch_optional(SQL, params![organisation_id, incident_id]).await?;
    let read = |row: &Row| -> Result<Standing, StoreError> {
        Ok(Standing {
            state: row.get("state")?,
            verdict: row.get("verdict")?,
            resolved_at_ms: row.get("resolved_at")?,
        })
    };
    row.as_ref().map(read).transpose()
}

/// The id under which this recipient was told the incident's beginning, so that
/// a mail can answer to it.
pub async fn opening_of(tx: &mut Tx, delivery: &Delivery) -> Result<Option<Uuid>, StoreError> {
    const SQL: &str = "SELECT id FROM deliveries
        WHERE organisation_id = $1 AND incident_id = $2 AND channel_id = $3 AND recipient = $4
            AND kind = 'opened' AND (state = 'delivered' OR outcome_unknown)
        ORDER BY event_number LIMIT 1";
    let values = params![
        delivery.organisation_id,
        delivery.notice.incident_id,
        delivery.channel_id,
        &delivery.recipient
    ];
    tx.fetch_optional(SQL, values).await?.map(|row| row.get("id")).transpose()
}

/// Reads a row of `deliveries`.
fn read(row: &Row) -> Result<Delivery, StoreError> {
    Ok(Delivery {
        organisation_id: row.get("organisation_id")?,
        id: row.get("id")?,
        channel_id: row.get("channel_id")?,
        recipient: row.get("recipient")?,
        notice: row.json("notice")?,
        state: row.word("state")?,
        attempts: attempts(row)?,
        next_at: row.get("next_at")?,
        fence: row.get("fence")?,
        outcome_unknown: row.get("outcome_unknown")?,
        last_error: row.get("last_error")?,
        created_at: row.get("created_at")?,
        settled_at: row.get("settled_at")?,
        replayed_at: row.get("replayed_at")?,
    })
}

fn attempts(row: &Row) -> Result<u32, StoreError> {
    Ok(u32::try_from(row.get::<i64>("attempts")?).unwrap_or(u32::MAX))
}
