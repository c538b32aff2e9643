//! What evaluating monitors asks for: each one's seats, in four queries for any number of them.

use super::rows;
use crate::params;
use crate::store::assignments;
use crate::store::{StoreError, Tx};
use hyperverge_control_core::assignment::Slots;
use hyperverge_control_core::correlation::{Held, Seat, StateRow, seat_names};
use hyperverge_protocol::monitor::MonitorSpec;
use std::collections::BTreeMap;
use uuid::Uuid;

/// A monitor with its seats.
#[derive(Debug, Clone)]
pub struct Watched {
    pub monitor_id: Uuid,
    pub revision: i64,
    pub spec: MonitorSpec,
    /// By the regions' names.
    pub seats: Vec<Seat>,
}

/// These monitors and their seats. A deleted monitor, or one whose specification
/// only a newer version can read, is left out.
pub async fn watched(
    tx: &mut Tx,
    organisation_id: Uuid,
    monitor_ids: &[Uuid],
) -> Result<Vec<Watched>, StoreError> {
    let regions = assignments::regions(tx, organisation_id).await?;
    let mut held = holders(tx, organisation_id, monitor_ids).await?;
    let mut states: BTreeMap<(Uuid, Uuid), StateRow> =
        rows(tx, organisation_id, monitor_ids.to_vec())
            .await?
            .into_iter()
            .map(|(monitor, region, row)| ((monitor, region), row))
            .collect();
    let mut found = Vec::new();
    for (monitor_id, revision, spec) in specs(tx, organisation_id, monitor_ids).await? {
        let named = spec.regions.iter().map(String::as_str);
        let known = regions.iter().map(|region| region.name.as_str());
        let seats = seat_names(named, known)
            .into_iter()
            .map(|name| {
                let region = regions.iter().find(|region| region.name == name);
                let place = region.map(|region| (monitor_id, region.id));
                Seat {
                    region: name,
                    region_id: region.map(|region| region.id),
                    // Until the planner has been there, nobody is asked the new question.
                    held: place
                        .and_then(|place| held.remove(&place))
                        .filter(|held| held.revision == revision),
                    row: place.and_then(|place| states.remove(&place)),
                }
            })
            .collect();
        found.push(Watched { monitor_id, revision, spec, seats });
    }
    Ok(found)
}

async fn specs(
    tx: &mut Tx,
    organisation_id: Uuid,
    monitor_ids: &[Uuid],
) -> Result<Vec<(Uuid, i64, MonitorSpec)>, StoreError> {
    let sql = crate::among!(tx, "SELECT id, revision, spec FROM monitors
        WHERE organisation_id = $1 AND id ", uuids "$2", " ORDER BY id");
    let rows = tx.fetch_all(sql, params![organisation_id, monitor_ids.to_vec()]).await?;
    let mut specs = Vec::with_capacity(rows.len());
    for row in &rows {
        let id: Uuid = row.get("id")?;
        match row.json::<MonitorSpec>("spec") {
            Ok(spec) => specs.push((id, row.get("revision")?, spec)),
            Err(error) => tracing::error!(monitor = %id, %error, "specification cannot be read"),
        }
    }
    Ok(specs)
}

async fn holders(
    tx: &mut Tx,
    organisation_id: Uuid,
    monitor_ids: &[Uuid],
) -> Result<BTreeMap<(Uuid, Uuid), Held>, StoreError> {
    let sql = crate::among!(tx, "SELECT a.monitor_id, a.region_id, a.revision, a.first_slot,
            a.anchor_ms, a.interval_ms, a.predecessor_through, g.complete_through,
            g.discredited_at
        FROM assignments a JOIN agents g
            ON g.organisation_id = a.organisation_id AND g.id = a.agent_id
        WHERE a.organisation_id = $1 AND a.ended_at IS NULL AND a.monitor_id ", uuids "$2", "");
    let rows = tx.fetch_all(sql, params![organisation_id, monitor_ids.to_vec()]).await?;
    rows.iter()
        .map(|row| {
            let slots =
                Slots { anchor_ms: row.get("anchor_ms")?, interval_ms: row.get("interval_ms")? };
            let held = Held {
                revision: row.get("revision")?,
                first_slot: row.get("first_slot")?,
                slots,
                predecessor_through: row.get("predecessor_through")?,
                complete_through: row.get("complete_through")?,
                discredited: row.get::<Option<i64>>("discredited_at")?.is_some(),
            };
            Ok(((row.get("monitor_id")?, row.get("region_id")?), held))
        })
        .collect()
}
