//! Channels: where an organisation's notices go.

use super::{Row, StoreError, Tx};
use crate::params;
use hyperverge_control_core::notification::{ChannelConfig, ChannelKind};
use hyperverge_protocol::monitor::MonitorSpec;
use uuid::Uuid;

/// A channel as it is stored.
#[derive(Debug, Clone)]
pub struct Channel {
    pub organisation_id: Uuid,
    pub id: Uuid,
    pub name: String,
    pub config: ChannelConfig,
    /// Encrypted with the wrapping key, bound to organisation and id.
    pub sealed_secret: Option<Vec<u8>>,
    /// Told when a monitor names no channel.
    pub is_default: bool,
    /// Switched off, and why; its notices become dead letters.
    pub disabled: Option<String>,
    /// Since when nothing it was sent has been accepted, ms.
    pub failing_since: Option<i64>,
    /// 1 upward; also the ETag.
    pub revision: i64,
    pub created_at: i64,
}

impl Channel {
    /// How it speaks.
    pub fn kind(&self) -> ChannelKind {
        self.config.kind()
    }
}

/// The organisation's channels of these names; a name nobody has is left out.
/// Disabled ones too: what they miss must show as dead letters.
pub async fn by_names(
    tx: &mut Tx,
    organisation_id: Uuid,
    names: &[String],
) -> Result<Vec<Channel>, StoreError> {
    let mut channels = Vec::new();
    for name in names {
        channels.extend(by_name(tx, organisation_id, name).await?);
    }
    Ok(channels)
}

/// The channel of this name.
pub async fn by_name(
    tx: &mut Tx,
    organisation_id: Uuid,
    name: &str,
) -> Result<Option<Channel>, StoreError> {
    const SQL: &str = "SELECT * FROM channels WHERE organisation_id = $1 AND name = $2";
    let row = tx.fetch_optional(SQL, params![organisation_id, name]).await?;
    row.as_ref().map(read).transpose()
}

/// Every channel of the organisation, by name.
pub async fn all(tx: &mut Tx, organisation_id: Uuid) -> Result<Vec<Channel>, StoreError> {
    const SQL: &str = "SELECT * FROM channels WHERE organisation_id = $1 ORDER BY name LIMIT $2";
    let rows = tx.fetch_all(SQL, params![organisation_id, crate::limits::CHANNELS]).await?;
    rows.iter().map(read).collect()
}

/// The channels told when a monitor names none, by name.
pub async fn defaults(tx: &mut Tx, organisation_id: Uuid) -> Result<Vec<Channel>, StoreError> {
    const SQL: &str =
        "SELECT * FROM channels WHERE organisation_id = $1 AND is_default ORDER BY name LIMIT 100";
    let rows = tx.fetch_all(SQL, params![organisation_id]).await?;
    rows.iter().map(read).collect()
}

/// The channel with this id.
pub async fn get(
    tx: &mut Tx,
    organisation_id: Uuid,
    id: Uuid,
) -> Result<Option<Channel>, StoreError> {
    const SQL: &str = "SELECT * FROM channels WHERE organisation_id = $1 AND id = $2";
    let row = tx.fetch_optional(SQL, params![organisation_id, id]).await?;
    row.as_ref().map(read).transpose()
}

/// The channel with this id, locked until the commit.
pub async fn lock(
    tx: &mut Tx,
    organisation_id: Uuid,
    id: Uuid,
) -> Result<Option<Channel>, StoreError> {
    const PLAIN: &str = "SELECT * FROM channels WHERE organisation_id = $1 AND id = $2";
    const LOCKING: &str =
        "SELECT * FROM channels WHERE organisation_id = $1 AND id = $2 FOR UPDATE";
    let sql = tx.for_update(PLAIN, LOCKING);
    let row = tx.fetch_optional(sql, params![organisation_id, id]).await?;
    row.as_ref().map(read).transpose()
}

/// Locks the channels of these names until the commit, so that none goes while it
/// becomes named; which of them, by index, are not there.
pub async fn lock_names(
    tx: &mut Tx,
    organisation_id: Uuid,
    names: &[String],
) -> Result<Vec<usize>, StoreError> {
    const PLAIN: &str = "SELECT id FROM channels WHERE organisation_id = $1 AND name = $2";
    const LOCKING: &str =
        "SELECT id FROM channels WHERE organisation_id = $1 AND name = $2 FOR UPDATE";
    // In the order of names, so that two who lock the same ones do not wait for each other.
    let mut order: Vec<usize> = (0..names.len()).collect();
    order.sort_by_key(|index| &names[*index]);
    let mut missing = Vec::new();
    for index in order {
        let sql = tx.for_update(PLAIN, LOCKING);
        let row = tx.fetch_optional(sql, params![organisation_id, &names[index]]).await?;
        if row.is_none() {
            missing.push(index);
        }
    }
    missing.sort_unstable();
    Ok(missing)
}

/// The names of up to `limit` monitors that name this channel.
pub async fn monitors_naming(
    tx: &mut Tx,
    organisation_id: Uuid,
    name: &str,
    limit: usize,
) -> Result<Vec<String>, StoreError> {
    // A first sieve by text: a slug holds nothing that LIKE reads as a pattern.
    const SQL: &str = "SELECT name, spec FROM monitors
        WHERE organisation_id = $1 AND spec LIKE $2 ORDER BY name";
    let rows = tx.fetch_all(SQL, params![organisation_id, format!("%\"{name}\"%")]).await?;
    let mut names = Vec::new();
    for row in &rows {
        let spec: MonitorSpec = row.json("spec")?;
        if names.len() < limit && spec.notify.iter().any(|channel| channel == name) {
            names.push(row.get("name")?);
        }
    }
    Ok(names)
}

/// A page of channels in the order they were made, after the id `after`.
pub async fn list(
    tx: &mut Tx,
    organisation_id: Uuid,
    after: Option<Uuid>,
    limit: i64,
) -> Result<Vec<Channel>, StoreError> {
    const SQL: &str = "SELECT * FROM channels WHERE organisation_id = $1 AND id > $2
        ORDER BY id LIMIT $3";
    let after = after.unwrap_or(Uuid::nil());
    let rows = tx.fetch_all(SQL, params![organisation_id, after, limit]).await?;
    rows.iter().map(read).collect()
}

/// How many channels the organisation has.
pub async fn count(tx: &mut Tx, organisation_id: Uuid) -> Result<i64, StoreError> {
    const SQL: &str = "SELECT COUNT(*) AS channels FROM channels WHERE organisation_id = $1";
    match tx.fetch_optional(SQL, params![organisation_id]).await? {
        Some(row) => row.get("channels"),
        None => Ok(0),
    }
}

/// Adds a channel; [`StoreError::Conflict`] when its name is taken.
pub async fn insert(tx: &mut Tx, channel: &Channel) -> Result<(), StoreError> {
    const SQL: &str = "INSERT INTO channels (organisation_id, id, name, kind, config,
            sealed_secret, is_default, state, state_reason, failing_since, revision, created_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
    let mut values = params![channel.organisation_id, channel.id];
    values.extend(written(channel)?);
    values.extend(params![channel.failing_since, channel.revision, channel.created_at]);
    tx.execute(SQL, values).await?;
    Ok(())
}

/// Writes a channel as it now is, if it still has the revision `was`; whether it
/// had. [`StoreError::Conflict`] when its new name is taken.
pub async fn update(tx: &mut Tx, channel: &Channel, was: i64) -> Result<bool, StoreError> {
    const SQL: &str = "UPDATE channels SET name = $3, kind = $4, config = $5, sealed_secret = $6,
            is_default = $7, state = $8, state_reason = $9, revision = $10, failing_since = $11
        WHERE organisation_id = $1 AND id = $2 AND revision = $12";
    let mut values = params![channel.organisation_id, channel.id];
    values.extend(written(channel)?);
    values.extend(params![channel.revision, channel.failing_since, was]);
    Ok(tx.execute(SQL, values).await? == 1)
}

/// Removes a channel; whether it was there.
pub async fn delete(tx: &mut Tx, organisation_id: Uuid, id: Uuid) -> Result<bool, StoreError> {
    const SQL: &str = "DELETE FROM channels WHERE organisation_id = $1 AND id = $2";
    Ok(tx.execute(SQL, params![organisation_id, id]).await? == 1)
}

/// Switches a channel off, because its receiver said it is gone.
pub async fn disable(
    tx: &mut Tx,
    organisation_id: Uuid,
    id: Uuid,
    reason: &str,
) -> Result<(), StoreError> {
    const SQL: &str = "UPDATE channels SET state = 'disabled', state_reason = $3,
            revision = revision + 1
        WHERE organisation_id = $1 AND id = $2 AND state = 'active'";
    tx.execute(SQL, params![organisation_id, id, reason]).await?;
    Ok(())
}

/// Notes that an attempt failed (`since`, kept if an earlier one did) or was accepted (`None`).
pub async fn note_health(
    tx: &mut Tx,
    organisation_id: Uuid,
    id: Uuid,
    failing_since: Option<i64>,
) -> Result<(), StoreError> {
    const FAILING: &str = "UPDATE channels SET failing_since = $3
        WHERE organisation_id = $1 AND id = $2 AND failing_since IS NULL";
    const WELL: &str = "UPDATE channels SET failing_since = NULL
        WHERE organisation_id = $1 AND id = $2 AND failing_since IS NOT NULL";
    match failing_since {
        Some(since) => tx.execute(FAILING, params![organisation_id, id, since]).await?,
        None => tx.execute(WELL, params![organisation_id, id]).await?,
    };
    Ok(())
}

fn written(channel: &Channel) -> Result<Vec<super::Value>, StoreError> {
    let config = super::json_text("config", &channel.config)?;
    let state = if channel.disabled.is_some() { "disabled" } else { "active" };
    Ok(params![
        &channel.name,
        channel.kind().as_str(),
        config,
        channel.sealed_secret.clone(),
        channel.is_default,
        state,
        channel.disabled.clone()
    ])
}

/// Reads a row of `channels`.
fn read(row: &Row) -> Result<Channel, StoreError> {
    let state: String = row.get("state")?;
    let reason: Option<String> = row.get("state_reason")?;
    Ok(Channel {
        organisation_id: row.get("organisation_id")?,
        id: row.get("id")?,
        name: row.get("name")?,
        config: read_config(row)?,
        sealed_secret: row.get("sealed_secret")?,
        is_default: row.get("is_default")?,
        disabled: (state != "active").then(|| reason.unwrap_or(state)),
        failing_since: row.get("failing_since")?,
        revision: row.get("revision")?,
        created_at: row.get("created_at")?,
    })
}

fn read_config(row: &Row) -> Result<ChannelConfig, StoreError> {
    let kind: ChannelKind = row.word("kind")?;
    ChannelConfig::stored(kind, row.json("config")?)
        .map_err(|error| StoreError::Column { column: "config", source: Box::new(error) })
}
