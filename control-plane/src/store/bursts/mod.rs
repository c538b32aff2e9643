//! Confirmation bursts: what was asked of whom, and what came back.
//!
//! | file | for |
//! |---|---|
//! | `mod` | asking: what the decision needs to know, and writing it down |
//! | `orders` | signing and sending |
//! | `answers` | judging the rows that answer, and settling |
//! | `history` | whoever explains |
//!
//! A monitor has one burst under way at most; whoever asks holds the monitor's
//! lock. A burst's own row is the lock of its orders: two regions that answer in
//! two transactions would both see the other's answer missing, and nobody would
//! settle it. Locks are taken in the order of the bursts' ids.

mod answers;
mod history;
mod orders;

use super::{StoreError, Tx, listed_id, rows_text};
use crate::params;
use hyperverge_control_core::correlation::burst::Last;
use serde_json::json;
use std::collections::BTreeMap;
use uuid::Uuid;

pub use answers::{Answer, Ordered, answer, any_expired, expire, ordered};
pub use history::{Burst, Confirmation, KeptBack, Order, confirmation};
pub use orders::{OpenOrder, UnsignedOrder, open_orders, put_envelope, sent, unsigned};

/// A burst that is asked for now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewBurst {
    pub id: Uuid,
    pub monitor_id: Uuid,
    pub revision: i64,
    /// Whose failure asks, and which agent saw it.
    pub region_id: Uuid,
    pub agent_id: String,
    /// What the monitor asks (`MonitorSpec::asked_host`).
    pub host: String,
    /// Answers without a success after which a region stops.
    pub failures: u32,
    pub asked_at: i64,
    pub expires_at: i64,
}

/// Who may be asked about a monitor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addressee {
    pub monitor_id: Uuid,
    /// Of the assignment.
    pub revision: i64,
    pub region_id: Uuid,
    pub agent_id: String,
    pub capabilities: Vec<String>,
}

/// How a burst ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Every region that was asked has answered.
    Answered,
    /// Not all had, and the time was over.
    Expired,
    /// The monitor was changed or ended meanwhile.
    Ended,
}

impl Outcome {
    /// The word in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Expired => "expired",
            Self::Ended => "ended",
        }
    }
}

/// How many bursts were asked after `since`, by the agent that saw the failure
/// and by the host: what the caps count.
pub async fn recent(
    tx: &mut Tx,
    organisation_id: Uuid,
    since: i64,
) -> Result<Vec<(String, String, u32)>, StoreError> {
    const SQL: &str = "SELECT agent_id, host, COUNT(*) AS n FROM bursts
        WHERE organisation_id = $1 AND asked_at > $2 GROUP BY agent_id, host";
    let rows = tx.fetch_all(SQL, params![organisation_id, since]).await?;
    let count = |n: i64| u32::try_from(n).unwrap_or(u32::MAX);
    rows.iter()
        .map(|row| Ok((row.get("agent_id")?, row.get("host")?, count(row.get("n")?))))
        .collect()
}

/// The newest burst of each of these monitors, as it is at `now`, with the
/// revision it was asked about.
pub async fn newest(
    tx: &mut Tx,
    organisation_id: Uuid,
    monitor_ids: Vec<Uuid>,
    now: i64,
) -> Result<BTreeMap<Uuid, (i64, Last)>, StoreError> {
    let sql = crate::among!(tx, "SELECT b.monitor_id, b.revision, b.asked_at, b.expires_at, b.settled_at
        FROM bursts b WHERE b.organisation_id = $1
            AND b.asked_at = (SELECT MAX(n.asked_at) FROM bursts n
                WHERE n.organisation_id = b.organisation_id AND n.monitor_id = b.monitor_id)
            AND b.monitor_id ", uuids "$2", "");
    let rows = tx.fetch_all(sql, params![organisation_id, monitor_ids]).await?;
    rows.iter()
        .map(|row| {
            let waits = row.get::<Option<i64>>("settled_at")?.is_none();
            let active = waits && row.get::<i64>("expires_at")? > now;
            let last = Last { asked_at: row.get("asked_at")?, active };
            Ok((row.get("monitor_id")?, (row.get("revision")?, last)))
        })
        .collect()
}

/// The agents that watch these monitors now and were not lost.
pub async fn addressees(
    tx: &mut Tx,
    organisation_id: Uuid,
    monitor_ids: Vec<Uuid>,
) -> Result<Vec<Addressee>, StoreError> {
    let sql = crate::among!(tx, "SELECT a.monitor_id, a.revision, a.region_id, a.agent_id,
            g.capabilities
        FROM assignments a JOIN agents g
            ON g.organisation_id = a.organisation_id AND g.id = a.agent_id
        WHERE a.organisation_id = $1 AND a.ended_at IS NULL AND g.state = 'enrolled'
            AND g.lost_at IS NULL AND a.monitor_id ", uuids "$2",
        " ORDER BY a.monitor_id, a.region_id");
    let rows = tx.fetch_all(sql, params![organisation_id, monitor_ids]).await?;
    rows.iter()
        .map(|row| {
            Ok(Addressee {
                monitor_id: row.get("monitor_id")?,
                revision: row.get("revision")?,
                region_id: row.get("region_id")?,
                agent_id: row.get("agent_id")?,
                capabilities: row.json("capabilities")?,
            })
        })
        .collect()
}

/// Writes a burst and an order for each of `regions` (region and agent). The
/// caller holds the monitor's lock, and has found no burst of it under way; one
/// that has expired or was about another revision is settled here.
pub async fn ask(
    tx: &mut Tx,
    organisation_id: Uuid,
    new: &NewBurst,
    regions: &[(Uuid, String)],
) -> Result<(), StoreError> {
    const BURST: &str = "INSERT INTO bursts (organisation_id, id, monitor_id, revision, region_id,
            agent_id, host, failures, asked_at, expires_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
    const ORDER: &str = "INSERT INTO burst_orders (organisation_id, burst_id, region_id, agent_id,
            expires_at, failures, successes)
        VALUES ($1, $2, $3, $4, $5, 0, 0)";
    end(tx, organisation_id, new.monitor_id, new.asked_at).await?;
    let values = params![
        organisation_id,
        new.id,
        new.monitor_id,
        new.revision,
        new.region_id,
        &new.agent_id,
        &new.host,
        new.failures,
        new.asked_at,
        new.expires_at
    ];
    tx.execute(BURST, values).await?;
    for (region_id, agent_id) in regions {
        let values = params![organisation_id, new.id, *region_id, agent_id, new.expires_at];
        tx.execute(ORDER, values).await?;
    }
    Ok(())
}

/// A streak of failures that began, and nothing is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewKept {
    pub monitor_id: Uuid,
    pub region_id: Uuid,
    /// A word of `correlation::burst`.
    pub reason: &'static str,
}

/// Writes down why nothing was asked.
pub async fn keep_back(
    tx: &mut Tx,
    organisation_id: Uuid,
    kept: &[NewKept],
    now: i64,
) -> Result<(), StoreError> {
    if kept.is_empty() {
        return Ok(());
    }
    let sql = crate::listed!(tx, "$3", [monitor_id uuid, region_id uuid, reason text],
        "INSERT INTO bursts_kept_back (organisation_id, monitor_id, kept_at, region_id, reason)
        SELECT $1, l.monitor_id, $2, l.region_id, l.reason FROM listed l
        WHERE TRUE ON CONFLICT DO NOTHING");
    let rows = kept.iter().map(|one| {
        json!({
            "monitor_id": listed_id(one.monitor_id),
            "region_id": listed_id(one.region_id),
            "reason": one.reason,
        })
    });
    tx.execute(sql, params![organisation_id, now, rows_text(rows)]).await.map(drop)
}

/// Settles the burst of a monitor that waits for answers, if there is one: the
/// monitor was changed or ended, or the time is over.
pub async fn end(
    tx: &mut Tx,
    organisation_id: Uuid,
    monitor_id: Uuid,
    now: i64,
) -> Result<bool, StoreError> {
    const SQL: &str = "UPDATE bursts SET settled_at = $3,
            outcome = CASE WHEN expires_at <= $3 THEN $4 ELSE $5 END
        WHERE organisation_id = $1 AND monitor_id = $2 AND settled_at IS NULL";
    let (expired, ended) = (Outcome::Expired.as_str(), Outcome::Ended.as_str());
    let values = params![organisation_id, monitor_id, now, expired, ended];
    Ok(tx.execute(SQL, values).await? == 1)
}
