//! What the control plane stored, read from its SQLite file and not through the
//! API, so that neither can cover for the other.

use anyhow::{Context, Result};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};
use sqlx::{Row, SqlitePool};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;
use uuid::Uuid;

const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// A control plane's database, read only.
#[derive(Debug)]
pub struct Database(SqlitePool);

/// The slots of one monitor in one region under one revision.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Series {
    pub monitor: Uuid,
    pub region: String,
    pub revision: i64,
}

/// The counter of an agent's lane, and the batches it stands for.
#[derive(Debug, Clone)]
pub struct Lane {
    pub agent: String,
    pub region: String,
    pub lane: i64,
    pub next_number: i64,
    pub batches: i64,
    pub lowest: Option<i64>,
    pub highest: Option<i64>,
}

/// A row of the outbox.
#[derive(Debug, Clone)]
pub struct Delivery {
    pub incident: Uuid,
    pub kind: String,
    pub state: String,
    pub last_error: Option<String>,
}

/// What of an incident decides who must have been told.
#[derive(Debug, Clone)]
pub struct IncidentRow {
    pub id: Uuid,
    pub subject_kind: String,
    pub verdict: String,
    pub resolved: bool,
    pub paged: bool,
    /// The incident through which its group is told, if it is in one.
    pub lead: Option<Uuid>,
}

/// A stored check.
#[derive(Debug, Clone)]
pub struct Check {
    pub region: String,
    /// Nil for a slot's own check.
    pub burst: Uuid,
    pub index: i64,
    pub failed: bool,
    pub received_at: i64,
}

/// What a region was asked in a burst, and what it answered.
#[derive(Debug, Clone)]
pub struct Order {
    pub burst: Uuid,
    pub region: String,
    pub sent: bool,
    pub failures: i64,
    pub successes: i64,
    /// How the burst ended, once it has.
    pub outcome: Option<String>,
}

impl Database {
    /// Opens the file at `path`.
    pub async fn open(path: &Path) -> Result<Self> {
        let options =
            SqliteConnectOptions::new().filename(path).read_only(true).busy_timeout(BUSY_TIMEOUT);
        let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await;
        pool.map(Self).with_context(|| format!("opening {}", path.display()))
    }

    /// How often each slot's own check is stored, by series.
    pub async fn slots(&self) -> Result<BTreeMap<Series, BTreeMap<i64, i64>>> {
        let rows = sqlx::query(
            "SELECT r.monitor_id, g.name, r.revision, r.slot, count(*) AS copies \
             FROM results r JOIN regions g ON g.organisation_id = r.organisation_id AND g.id = r.region_id \
             WHERE r.burst_id = ? GROUP BY 1, 2, 3, 4",
        )
        .bind(Uuid::nil())
        .fetch_all(&self.0)
        .await?;
        let mut slots: BTreeMap<Series, BTreeMap<i64, i64>> = BTreeMap::new();
        for row in rows {
            let series = Series {
                monitor: row.try_get(0)?,
                region: row.try_get(1)?,
                revision: row.try_get(2)?,
            };
            slots.entry(series).or_default().insert(row.try_get(3)?, row.try_get(4)?);
        }
        Ok(slots)
    }

    /// Ranges of slots that were due and not observed, with the reason's number.
    pub async fn missed(&self) -> Result<Vec<(Series, i64, i64, i64)>> {
        let rows = sqlx::query(
            "SELECT m.monitor_id, g.name, m.revision, m.first_slot, m.last_slot, m.reason \
             FROM missed_slots m JOIN regions g ON g.organisation_id = m.organisation_id AND g.id = m.region_id \
             ORDER BY 1, 2, 3, 4",
        )
        .fetch_all(&self.0)
        .await?;
        rows.into_iter()
            .map(|row| {
                let series = Series {
                    monitor: row.try_get(0)?,
                    region: row.try_get(1)?,
                    revision: row.try_get(2)?,
                };
                Ok((series, row.try_get(3)?, row.try_get(4)?, row.try_get(5)?))
            })
            .collect()
    }

    /// Every stored check of `monitor`, in the order in which they started.
    pub async fn checks(&self, monitor: Uuid) -> Result<Vec<Check>> {
        let rows = sqlx::query(
            "SELECT g.name, r.burst_id, r.burst_index, r.outcome = 3, r.received_at \
             FROM results r JOIN regions g ON g.organisation_id = r.organisation_id AND g.id = r.region_id \
             WHERE r.monitor_id = ? ORDER BY r.started_us",
        )
        .bind(monitor)
        .fetch_all(&self.0)
        .await?;
        rows.into_iter()
            .map(|row| {
                Ok(Check {
                    region: row.try_get(0)?,
                    burst: row.try_get(1)?,
                    index: row.try_get(2)?,
                    failed: row.try_get(3)?,
                    received_at: row.try_get(4)?,
                })
            })
            .collect()
    }

    /// Every order of a burst about `monitor`, the oldest burst first.
    pub async fn burst_orders(&self, monitor: Uuid) -> Result<Vec<Order>> {
        let rows = sqlx::query(
            "SELECT o.burst_id, g.name, o.sent_at IS NOT NULL, o.failures, o.successes, b.outcome \
             FROM bursts b \
             JOIN burst_orders o ON o.organisation_id = b.organisation_id AND o.burst_id = b.id \
             JOIN regions g ON g.organisation_id = o.organisation_id AND g.id = o.region_id \
             WHERE b.monitor_id = ? ORDER BY b.asked_at, g.name",
        )
        .bind(monitor)
        .fetch_all(&self.0)
        .await?;
        rows.into_iter()
            .map(|row| {
                Ok(Order {
                    burst: row.try_get(0)?,
                    region: row.try_get(1)?,
                    sent: row.try_get(2)?,
                    failures: row.try_get(3)?,
                    successes: row.try_get(4)?,
                    outcome: row.try_get(5)?,
                })
            })
            .collect()
    }

    /// When the timeline of `incident` first says that it is down.
    pub async fn down_at(&self, incident: Uuid) -> Result<Option<i64>> {
        let row = sqlx::query(
            "SELECT min(at) FROM incident_events WHERE incident_id = ? AND verdict = 'down'",
        )
        .bind(incident)
        .fetch_one(&self.0)
        .await?;
        Ok(row.try_get(0)?)
    }

    /// Every lane's counter beside the batches that were stored.
    pub async fn lanes(&self) -> Result<Vec<Lane>> {
        let rows = sqlx::query(
            "SELECT l.agent_id, g.name, l.lane, l.next_number, count(b.number), min(b.number), max(b.number) \
             FROM agent_lanes l \
             JOIN agents a ON a.organisation_id = l.organisation_id AND a.id = l.agent_id \
             JOIN regions g ON g.organisation_id = a.organisation_id AND g.id = a.region_id \
             LEFT JOIN agent_batches b ON b.organisation_id = l.organisation_id \
               AND b.agent_id = l.agent_id AND b.lane = l.lane \
             GROUP BY 1, 2, 3, 4",
        )
        .fetch_all(&self.0)
        .await?;
        rows.into_iter()
            .map(|row| {
                Ok(Lane {
                    agent: row.try_get(0)?,
                    region: row.try_get(1)?,
                    lane: row.try_get(2)?,
                    next_number: row.try_get(3)?,
                    batches: row.try_get(4)?,
                    lowest: row.try_get(5)?,
                    highest: row.try_get(6)?,
                })
            })
            .collect()
    }

    /// The whole outbox.
    pub async fn deliveries(&self) -> Result<Vec<Delivery>> {
        let rows =
            sqlx::query("SELECT incident_id, kind, state, last_error FROM deliveries ORDER BY id")
                .fetch_all(&self.0)
                .await?;
        rows.into_iter()
            .map(|row| {
                Ok(Delivery {
                    incident: row.try_get(0)?,
                    kind: row.try_get(1)?,
                    state: row.try_get(2)?,
                    last_error: row.try_get(3)?,
                })
            })
            .collect()
    }

    /// Page intents that nobody has settled yet.
    pub async fn unsettled_intents(&self) -> Result<i64> {
        let row = sqlx::query("SELECT count(*) FROM page_intents WHERE settled_at IS NULL")
            .fetch_one(&self.0)
            .await?;
        Ok(row.try_get(0)?)
    }

    /// Every incident.
    pub async fn incidents(&self) -> Result<Vec<IncidentRow>> {
        let rows = sqlx::query(
            "SELECT i.id, i.subject_kind, i.verdict, i.resolved_at IS NOT NULL, i.paged, g.lead_incident_id
             FROM incidents i
             LEFT JOIN incident_groups g ON g.organisation_id = i.organisation_id AND g.id = i.group_id
             ORDER BY i.id",
        )
        .fetch_all(&self.0)
        .await?;
        rows.into_iter()
            .map(|row| {
                Ok(IncidentRow {
                    id: row.try_get(0)?,
                    subject_kind: row.try_get(1)?,
                    verdict: row.try_get(2)?,
                    resolved: row.try_get(3)?,
                    paged: row.try_get(4)?,
                    lead: row.try_get(5)?,
                })
            })
            .collect()
    }
}
