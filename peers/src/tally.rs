//! What an agent reported, small enough to keep a row for every check of a run.

use hyperverge_protocol::wire::{MissedReason, Outcome, ResultBatch, ResultRow};
use std::collections::BTreeMap;

/// One row, without what no figure needs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen {
    pub(crate) monitor: u32,
    pub(crate) slot: i64,
    pub(crate) due_us: i64,
    pub(crate) started_us: i64,
    pub(crate) ended_us: i64,
    pub(crate) outcome: Outcome,
    pub(crate) resolve_us: u64,
    pub(crate) connect_us: u64,
    pub(crate) tls_us: u64,
    pub(crate) processing_us: u64,
    pub(crate) transfer_us: u64,
}

impl Seen {
    fn of(row: &ResultRow) -> Self {
        let phases = row.phases.unwrap_or_default();
        Self {
            monitor: monitor(&row.monitor_id),
            slot: row.slot,
            due_us: row.due_us,
            started_us: row.started_us,
            ended_us: row.ended_us,
            outcome: row.outcome(),
            resolve_us: phases.resolve_us.unwrap_or_default(),
            connect_us: phases.connect_us.unwrap_or_default(),
            tls_us: phases.tls_us.unwrap_or_default(),
            processing_us: phases.processing_us.unwrap_or_default(),
            transfer_us: phases.transfer_us.unwrap_or_default(),
        }
    }

    pub(crate) fn late_ms(&self) -> f64 {
        (self.started_us - self.due_us) as f64 / 1_000.0
    }

    pub(crate) fn took_ms(&self) -> f64 {
        (self.ended_us - self.started_us) as f64 / 1_000.0
    }
}

/// Slots without a row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Gap {
    pub(crate) monitor: u32,
    pub(crate) first: i64,
    pub(crate) last: i64,
    pub(crate) reason: MissedReason,
}

/// Everything one agent reported.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tally {
    pub(crate) rows: Vec<Seen>,
    pub(crate) gaps: Vec<Gap>,
    /// The first sentence of each reason that is not a success.
    pub(crate) sentences: BTreeMap<String, String>,
    pub(crate) batches: u64,
}

impl Tally {
    pub(crate) fn take(&mut self, batch: &ResultBatch) {
        self.batches += 1;
        for row in &batch.rows {
            self.rows.push(Seen::of(row));
            if row.outcome() != Outcome::Ok && !self.sentences.contains_key(&row.reason) {
                self.sentences.insert(row.reason.clone(), row.message.clone());
            }
        }
        self.gaps.extend(batch.missed.iter().map(|missed| Gap {
            monitor: monitor(&missed.monitor_id),
            first: missed.first_slot,
            last: missed.last_slot,
            reason: missed.reason(),
        }));
    }

    /// Rows by outcome.
    pub(crate) fn outcomes(rows: &[Seen]) -> BTreeMap<&'static str, usize> {
        let mut counts = BTreeMap::new();
        for row in rows {
            let word = match row.outcome {
                Outcome::Ok => "ok",
                Outcome::Degraded => "degraded",
                Outcome::Fail => "fail",
                Outcome::Policy => "policy",
                Outcome::Unsupported => "unsupported",
                Outcome::Unspecified => "unspecified",
            };
            *counts.entry(word).or_default() += 1;
        }
        counts
    }
}

/// Monitors are numbered: `monitors::Workload` makes the id from the number.
fn monitor(id: &[u8]) -> u32 {
    id.last_chunk::<4>().map_or(u32::MAX, |last| u32::from_be_bytes(*last))
}

/// The `share` (0 to 1) quantile of `values`; NaN of none.
pub(crate) fn quantile(values: impl IntoIterator<Item = f64>, share: f64) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let last = values.len().saturating_sub(1);
    let at = (share * last as f64).round() as usize;
    values.get(at).copied().unwrap_or(f64::NAN)
}
