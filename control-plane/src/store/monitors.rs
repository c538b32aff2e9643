//! Step 1: monitors, and every specification they ever had.
//!
//! A monitor is made together with its first revision and its row in
//! `monitor_states`, which is the lock under which verdicts change.

use super::{Row, StoreError, Tx};
use crate::params;
use hyperverge_protocol::monitor::MonitorSpec;
use std::collections::BTreeMap;
use uuid::Uuid;

/// A monitor as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Monitor {
    pub id: Uuid,
    /// 1 upward; raised by each change.
    pub revision: i64,
    pub spec: MonitorSpec,
    pub created_at: i64,
    pub updated_at: i64,
    pub verdict: String,
    /// `None` while nothing hurts.
    pub scope: Option<String>,
}

macro_rules! select {
    ($which:literal) => {
        concat!(
            "SELECT m.id, m.revision, m.spec, m.created_at, m.updated_at, s.verdict, s.scope
            FROM monitors m JOIN monitor_states s
                ON s.organisation_id = m.organisation_id AND s.monitor_id = m.id
            WHERE m.organisation_id = $1 AND ",
            $which
        )
    };
}

const INSERT: &str = "INSERT INTO monitors
        (organisation_id, id, name, revision, spec, enabled, created_at, updated_at)
    VALUES ($1, $2, $3, 1, $4, $5, $6, $6)";
const INSERT_STATE: &str = "INSERT INTO monitor_states
        (organisation_id, monitor_id, generation, verdict, scope, since)
    VALUES ($1, $2, 1, 'unknown', NULL, $3)";
const INSERT_REVISION: &str = "INSERT INTO monitor_revisions
        (organisation_id, monitor_id, revision, spec, created_at, deleted)
    VALUES ($1, $2, $3, $4, $5, $6)";

/// Stores a new monitor; [`StoreError::Conflict`] when the name is taken.
pub async fn insert(
    tx: &mut Tx,
    organisation: Uuid,
    id: Uuid,
    spec: &MonitorSpec,
    now: i64,
) -> Result<(), StoreError> {
    let text = spec_text(spec)?;
    let values = params![organisation, id, &spec.name, &text, spec.enabled, now];
    tx.execute(INSERT, values).await?;
    tx.execute(INSERT_STATE, params![organisation, id, now]).await?;
    tx.execute(INSERT_REVISION, params![organisation, id, 1i64, &text, now, false]).await?;
    Ok(())
}

/// One monitor.
pub async fn get(tx: &mut Tx, organisation: Uuid, id: Uuid) -> Result<Option<Monitor>, StoreError> {
    const SQL: &str = select!("m.id = $2");
    let row = tx.fetch_optional(SQL, params![organisation, id]).await?;
    row.map(|row| read(&row)).transpose()
}

/// The monitor of this name.
pub async fn by_name(
    tx: &mut Tx,
    organisation: Uuid,
    name: &str,
) -> Result<Option<Monitor>, StoreError> {
    const SQL: &str = select!("m.name = $2");
    let row = tx.fetch_optional(SQL, params![organisation, name]).await?;
    row.map(|row| read(&row)).transpose()
}

/// Locks a monitor's row until the commit, so that a change is made to what was read.
pub async fn lock(
    tx: &mut Tx,
    organisation: Uuid,
    id: Uuid,
) -> Result<Option<Monitor>, StoreError> {
    const PLAIN: &str = "SELECT id FROM monitors WHERE organisation_id = $1 AND id = $2";
    const LOCKING: &str =
        "SELECT id FROM monitors WHERE organisation_id = $1 AND id = $2 FOR UPDATE";
    let sql = tx.for_update(PLAIN, LOCKING);
    if tx.fetch_optional(sql, params![organisation, id]).await?.is_none() {
        return Ok(None);
    }
    get(tx, organisation, id).await
}

/// A page of monitors by name, after `after`.
pub async fn page(
    tx: &mut Tx,
    organisation: Uuid,
    after: &str,
    limit: i64,
) -> Result<Vec<Monitor>, StoreError> {
    const SQL: &str = select!("m.name > $2 ORDER BY m.name LIMIT $3");
    let rows = tx.fetch_all(SQL, params![organisation, after, limit]).await?;
    rows.iter().map(read).collect()
}

/// The names of up to `limit` monitors that name `region` themselves.
pub async fn naming_region(
    tx: &mut Tx,
    organisation: Uuid,
    region: &str,
    limit: usize,
) -> Result<Vec<String>, StoreError> {
    // The text is only a first sieve: a label may hold the same word. A name is
    // a slug, so it holds nothing that LIKE would read as a pattern.
    const SQL: &str = "SELECT name, spec FROM monitors
        WHERE organisation_id = $1 AND spec LIKE $2 ORDER BY name";
    let rows = tx.fetch_all(SQL, params![organisation, format!("%\"{region}\"%")]).await?;
    let mut names = Vec::new();
    for row in &rows {
        let spec: MonitorSpec = row.json("spec")?;
        if names.len() < limit && spec.regions.iter().any(|name| name == region) {
            names.push(row.get("name")?);
        }
    }
    Ok(names)
}

/// The names of up to `limit` monitors, other than itself, that depend on the one of this name.
pub async fn depending_on(
    tx: &mut Tx,
    organisation: Uuid,
    monitor: &str,
    limit: usize,
) -> Result<Vec<String>, StoreError> {
    // A first sieve by text, as in [`naming_region`].
    const SQL: &str = "SELECT name, spec FROM monitors
        WHERE organisation_id = $1 AND name <> $2 AND spec LIKE $3 ORDER BY name";
    let pattern = format!("%\"{monitor}\"%");
    let rows = tx.fetch_all(SQL, params![organisation, monitor, pattern]).await?;
    let mut names = Vec::new();
    for row in &rows {
        let spec: MonitorSpec = row.json("spec")?;
        if names.len() < limit && spec.depends_on.iter().any(|name| name == monitor) {
            names.push(row.get("name")?);
        }
    }
    Ok(names)
}

/// Whether there is such a monitor, or was.
pub async fn existed(tx: &mut Tx, organisation: Uuid, id: Uuid) -> Result<bool, StoreError> {
    const SQL: &str = "SELECT revision FROM monitor_revisions
        WHERE organisation_id = $1 AND monitor_id = $2 LIMIT 1";
    Ok(tx.fetch_optional(SQL, params![organisation, id]).await?.is_some())
}

/// How many monitors an organisation has.
pub async fn count(tx: &mut Tx, organisation: Uuid) -> Result<i64, StoreError> {
    const SQL: &str = "SELECT COUNT(*) AS monitors FROM monitors WHERE organisation_id = $1";
    let row = tx.fetch_optional(SQL, params![organisation]).await?;
    row.map_or(Ok(0), |row| row.get("monitors"))
}

/// Gives a monitor its next revision; [`StoreError::Conflict`] when the new name is taken.
pub async fn replace(
    tx: &mut Tx,
    organisation: Uuid,
    id: Uuid,
    revision: i64,
    spec: &MonitorSpec,
    now: i64,
) -> Result<(), StoreError> {
    const SQL: &str = "UPDATE monitors
        SET name = $3, revision = $4, spec = $5, enabled = $6, updated_at = $7
        WHERE organisation_id = $1 AND id = $2";
    let text = spec_text(spec)?;
    let values = params![organisation, id, &spec.name, revision, &text, spec.enabled, now];
    tx.execute(SQL, values).await?;
    tx.execute(INSERT_REVISION, params![organisation, id, revision, &text, now, false]).await?;
    Ok(())
}

/// Deletes a monitor and its present state. Results, incidents and revisions
/// stay for those who ask what happened.
pub async fn delete(
    tx: &mut Tx,
    organisation: Uuid,
    monitor: &Monitor,
    now: i64,
) -> Result<(), StoreError> {
    let text = spec_text(&monitor.spec)?;
    let last = monitor.revision + 1;
    for sql in [
        "DELETE FROM monitors WHERE organisation_id = $1 AND id = $2",
        "DELETE FROM monitor_states WHERE organisation_id = $1 AND monitor_id = $2",
        "DELETE FROM region_states WHERE organisation_id = $1 AND monitor_id = $2",
    ] {
        tx.execute(sql, params![organisation, monitor.id]).await?;
    }
    let values = params![organisation, monitor.id, last, text, now, true];
    tx.execute(INSERT_REVISION, values).await.map(drop)
}

/// The newest specification of these monitors, also of deleted ones. One that only a
/// newer version can read is left out: it must not keep anybody from being told.
pub async fn newest_specs(
    tx: &mut Tx,
    organisation: Uuid,
    ids: Vec<Uuid>,
) -> Result<BTreeMap<Uuid, MonitorSpec>, StoreError> {
    let sql = crate::among!(tx, "SELECT r.monitor_id, r.spec FROM monitor_revisions r
        WHERE r.organisation_id = $1 AND r.revision = (SELECT MAX(n.revision)
                FROM monitor_revisions n WHERE n.organisation_id = r.organisation_id
                    AND n.monitor_id = r.monitor_id)
            AND r.monitor_id ", uuids "$2", "");
    let rows = tx.fetch_all(sql, params![organisation, ids]).await?;
    let mut specs = BTreeMap::new();
    for row in &rows {
        if let Ok(spec) = row.json("spec") {
            specs.insert(row.get("monitor_id")?, spec);
        }
    }
    Ok(specs)
}

/// The ids of the monitors of these names.
pub async fn ids_of(
    tx: &mut Tx,
    organisation: Uuid,
    names: Vec<String>,
) -> Result<BTreeMap<String, Uuid>, StoreError> {
    let sql = crate::among!(tx, "SELECT id, name FROM monitors
        WHERE organisation_id = $1 AND name ", texts "$2", "");
    let rows = tx.fetch_all(sql, params![organisation, names]).await?;
    rows.iter().map(|row| Ok((row.get("name")?, row.get("id")?))).collect()
}

/// Every enabled monitor that this version can read.
pub async fn enabled(
    tx: &mut Tx,
    organisation: Uuid,
) -> Result<BTreeMap<Uuid, (i64, MonitorSpec)>, StoreError> {
    const SQL: &str =
        "SELECT id, revision, spec FROM monitors WHERE organisation_id = $1 AND enabled";
    let mut found = BTreeMap::new();
    for row in &tx.fetch_all(SQL, params![organisation]).await? {
        if let Ok(spec) = row.json("spec") {
            found.insert(row.get("id")?, (row.get("revision")?, spec));
        }
    }
    Ok(found)
}

fn spec_text(spec: &MonitorSpec) -> Result<String, StoreError> {
    serde_json::to_string(spec)
        .map_err(|error| StoreError::Column { column: "spec", source: Box::new(error) })
}

fn read(row: &Row) -> Result<Monitor, StoreError> {
    Ok(Monitor {
        id: row.get("id")?,
        revision: row.get("revision")?,
        spec: row.json("spec")?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
        verdict: row.get("verdict")?,
        scope: row.get("scope")?,
    })
}
