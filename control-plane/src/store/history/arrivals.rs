//! What the regions said, as it arrived.

use crate::params;
use crate::store::results::missed_word;
use crate::store::{Row, StoreError, Tx};
use hyperverge_control_core::correlation::{BurstMark, Sight, Step};
use hyperverge_control_core::history::{Arrival, Through};
use hyperverge_protocol::outcome::Outcome;
use hyperverge_protocol::wire::{self, MissedReason};
use uuid::Uuid;

/// Rows of one page.
const PAGE: i64 = 5_000;
/// Rows without a time count from the boot of their host, which is shorter than
/// this; everything dated is later, µs.
pub(super) const DATED_FROM_US: i64 = 1_000_000_000_000_000;

/// Of what is read: of which monitor, due when (ms), and arrived until when (ms).
#[derive(Debug, Clone, Copy)]
pub struct Span {
    pub organisation_id: Uuid,
    pub monitor_id: Uuid,
    pub from: i64,
    pub until: i64,
}

/// How many results are stored of `span`, but no more than `most`.
pub async fn count(tx: &mut Tx, span: Span, most: i64) -> Result<i64, StoreError> {
    const SQL: &str = "SELECT COUNT(*) AS n FROM (SELECT 1 AS one FROM results
        WHERE organisation_id = $1 AND monitor_id = $2 AND due_us BETWEEN $3 AND $4 LIMIT $5) AS few";
    let (from_us, until_us) = micros(span);
    let values = params![span.organisation_id, span.monitor_id, from_us, until_us, most];
    let row = tx.fetch_optional(SQL, values).await?;
    row.map_or(Ok(0), |row| row.get("n"))
}

/// How many results of `span` arrived without a time.
pub async fn undated(tx: &mut Tx, span: Span) -> Result<i64, StoreError> {
    const SQL: &str = "SELECT COUNT(*) AS n FROM results
        WHERE organisation_id = $1 AND monitor_id = $2 AND due_us < $3 AND undated
            AND received_at BETWEEN $4 AND $5";
    let values =
        params![span.organisation_id, span.monitor_id, DATED_FROM_US, span.from, span.until];
    let row = tx.fetch_optional(SQL, values).await?;
    row.map_or(Ok(0), |row| row.get("n"))
}

/// The results of `span`, at most `most` of them, in the order they arrived; with
/// their messages, which change no decision, only where they are shown.
pub async fn arrivals(
    tx: &mut Tx,
    span: Span,
    most: usize,
    messages: bool,
) -> Result<Vec<Arrival>, StoreError> {
    const SQL: &str = "SELECT r.region_id, r.revision, r.slot, r.burst_id, r.burst_index, r.due_us,
            r.started_us, r.outcome, r.reason, CASE WHEN $10 THEN r.message END AS message,
            r.received_at, b.number AS batch, b.complete_through
        FROM results r LEFT JOIN agent_batches b
            ON b.organisation_id = r.organisation_id AND b.agent_id = r.agent_id
                AND b.lane = r.lane AND b.number = r.batch_number
        WHERE r.organisation_id = $1 AND r.monitor_id = $2 AND NOT r.undated
            AND r.due_us BETWEEN $3 AND $4 AND r.received_at <= $5
            AND (r.due_us, r.region_id, r.burst_id, r.burst_index) > ($3, $6, $7, $8)
        ORDER BY r.due_us, r.region_id, r.burst_id, r.burst_index LIMIT $9";
    let (mut from_us, until_us) = micros(span);
    let mut after = (Uuid::nil(), Uuid::nil(), -1i64);
    let mut found = Vec::new();
    while found.len() < most {
        let values = params![
            span.organisation_id,
            span.monitor_id,
            from_us,
            until_us,
            span.until,
            after.0,
            after.1,
            after.2,
            PAGE,
            messages
        ];
        let rows = tx.fetch_all(SQL, values).await?;
        for row in &rows {
            found.push(arrival(row)?);
        }
        let Some(last) = rows.last().filter(|_| rows.len() as i64 == PAGE) else { break };
        from_us = last.get("due_us")?;
        after = (last.get("region_id")?, last.get("burst_id")?, last.get("burst_index")?);
    }
    found.truncate(most);
    found.sort_by_key(|arrival| arrival.received_at);
    Ok(found)
}

/// The ranges of missed slots that arrived within `span`, in the order they arrived.
pub async fn missed(tx: &mut Tx, span: Span, most: i64) -> Result<Vec<Arrival>, StoreError> {
    const SQL: &str = "SELECT region_id, revision, last_slot, reason, received_at FROM missed_slots
        WHERE organisation_id = $1 AND monitor_id = $2 AND received_at BETWEEN $3 AND $4
        ORDER BY received_at, region_id, last_slot LIMIT $5";
    let values = params![span.organisation_id, span.monitor_id, span.from, span.until, most];
    let rows = tx.fetch_all(SQL, values).await?;
    let ranges = rows.iter().filter_map(|row| missed_range(row).transpose());
    ranges.collect()
}

pub(super) fn micros(span: Span) -> (i64, i64) {
    (span.from.saturating_mul(1_000), span.until.saturating_mul(1_000))
}

fn arrival(row: &Row) -> Result<Arrival, StoreError> {
    let started_us: i64 = row.get("started_us")?;
    let through = match (row.get::<Option<i64>>("batch")?, row.get("complete_through")?) {
        (None, _) => Through::Forgotten,
        (Some(_), None) => Through::Unsaid,
        (Some(_), Some(through)) => Through::Said(through),
    };
    Ok(Arrival {
        received_at: row.get("received_at")?,
        region_id: row.get("region_id")?,
        revision: row.get("revision")?,
        step: Step::Sight(Sight {
            slot: row.get("slot")?,
            burst: burst(row)?,
            started_at: started_us.div_euclid(1_000),
            outcome: outcome(row.get("outcome")?),
            reason: row.get("reason")?,
            message: row.get("message")?,
        }),
        through,
    })
}

fn burst(row: &Row) -> Result<Option<BurstMark>, StoreError> {
    let id: Uuid = row.get("burst_id")?;
    let index = u32::try_from(row.get::<i64>("burst_index")?).unwrap_or(u32::MAX);
    Ok((!id.is_nil()).then_some(BurstMark { id, index }))
}

/// What only a newer version knows says nothing about the target.
fn outcome(stored: i64) -> Outcome {
    let wire = i32::try_from(stored).ok().and_then(|number| wire::Outcome::try_from(number).ok());
    match wire {
        Some(wire::Outcome::Ok) => Outcome::Ok,
        Some(wire::Outcome::Degraded) => Outcome::Degraded,
        Some(wire::Outcome::Fail) => Outcome::Fail,
        Some(wire::Outcome::Policy) => Outcome::Policy,
        Some(wire::Outcome::Unsupported | wire::Outcome::Unspecified) | None => {
            Outcome::Unsupported
        }
    }
}

/// `None` where the slots were observed and only their rows are gone.
fn missed_range(row: &Row) -> Result<Option<Arrival>, StoreError> {
    let stored: i64 = row.get("reason")?;
    let reason = i32::try_from(stored).ok().and_then(|number| MissedReason::try_from(number).ok());
    let Some(word) = reason.and_then(missed_word) else { return Ok(None) };
    Ok(Some(Arrival {
        received_at: row.get("received_at")?,
        region_id: row.get("region_id")?,
        revision: row.get("revision")?,
        step: Step::Missed { last_slot: row.get("last_slot")?, reason: word.to_owned() },
        through: Through::Unsaid,
    }))
}
