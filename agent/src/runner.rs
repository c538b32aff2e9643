//! Step 3, the doing: one task per started check.
//!
//! A check that hangs, panics or overruns its timeout takes nobody with it: its
//! task is its own, its panic is caught, and after the timeout and some grace
//! it is given up as `agent_fault`, which casts no vote.
//!
//! [`Prober`] is the seam: the real one is `crate::probe`, tests bring their own.

use crate::clock::Moment;
use crate::engine::turn::Waiting;
use crate::limits;
use crate::metrics::Metrics;
use crate::probe::CheckId;
use crate::rows::{self, Timing};
use futures_util::FutureExt;
use hyperverge_agent_core::schedule::{Due, Ticket};
use hyperverge_protocol::monitor::MonitorSpec;
use hyperverge_protocol::outcome::{Observation, Outcome, Reason};
use hyperverge_protocol::wire::ResultRow;
use prost::Message;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// How checks are made.
pub trait Prober: Send + Sync + 'static {
    /// What all checks of one monitor share.
    type Prepared: Send + Sync + 'static;

    /// Works that out, once per revision.
    fn prepare(&self, spec: &MonitorSpec) -> Self::Prepared;

    /// Control-plane time is the boot clock and `offset_us` microseconds, from now on.
    fn handle_offset(&self, offset_us: i64) {
        let _ = offset_us;
    }

    /// Makes one check; should end by the monitor's timeout.
    fn run(
        &self,
        prepared: &Self::Prepared,
        check: CheckId<'_>,
    ) -> impl Future<Output = Observation> + Send;
}

/// One monitor made ready.
#[derive(Debug)]
pub enum Check<P> {
    Ready {
        name: String,
        region: Arc<str>,
        timeout: Duration,
        prepared: P,
    },
    /// This version cannot read the specification; the sentence says why.
    Unsupported(String),
}

/// A finished check.
#[derive(Debug)]
pub struct Finished {
    pub ticket: Ticket,
    pub outcome: Outcome,
    pub row: ResultRow,
    /// The row's size on the wire.
    pub bytes: usize,
    pub undated: bool,
}

/// Starts checks and sends their rows to the engine.
#[derive(Debug)]
pub struct Runner<P: Prober> {
    prober: Arc<P>,
    results: mpsc::Sender<Finished>,
    metrics: Arc<Metrics>,
}

impl<P: Prober> Runner<P> {
    /// A runner whose rows go to `results`.
    pub fn new(prober: Arc<P>, results: mpsc::Sender<Finished>, metrics: Arc<Metrics>) -> Self {
        Self { prober, results, metrics }
    }

    /// Starts one check. `offset_us` maps the boot clock to control-plane time;
    /// `None` while undated. `waiting` ends when the runtime runs it.
    pub(crate) fn start(
        &self,
        due: Due<Arc<Check<P::Prepared>>>,
        offset_us: Option<i64>,
        waiting: Waiting,
    ) {
        let prober = self.prober.clone();
        let results = self.results.clone();
        let metrics = self.metrics.clone();
        tokio::spawn(async move {
            let began = Moment::now();
            waiting.end(began.monotonic);
            let seen = check(&*prober, &due.check, due.slot).await;
            let ended = Moment::now();
            let outcome = seen.outcome;
            metrics.observe(&seen, ended.monotonic.saturating_duration_since(began.monotonic));
            // The engine is gone only when the agent is going down, and it has listed the slot
            // as missed before. The row is made when there is a place for it: a task that waits
            // with one would be three times as large.
            let Ok(place) = results.reserve().await else { return };
            let dated = |moment: Moment| moment.boot_us.saturating_add(offset_us.unwrap_or(0));
            let timing = Timing {
                monitor: due.monitor,
                revision: due.revision,
                slot: due.slot,
                due_us: due.due_ms.saturating_mul(1_000),
                burst: due.burst,
                started_us: dated(began),
                ended_us: dated(ended),
            };
            let row = rows::row(timing, seen);
            let bytes = row.encoded_len();
            let undated = offset_us.is_none();
            place.send(Finished { ticket: due.ticket, outcome, row, bytes, undated });
        });
    }
}

async fn check<P: Prober>(prober: &P, check: &Check<P::Prepared>, slot: i64) -> Observation {
    let (name, region, timeout, prepared) = match check {
        Check::Ready { name, region, timeout, prepared } => (name, region, *timeout, prepared),
        Check::Unsupported(rule) => {
            return Observation::bare(
                Outcome::Unsupported,
                Some(Reason::UnsupportedSpec),
                rule.clone(),
            );
        }
    };
    let id = CheckId { monitor_name: name, region, slot };
    let run = AssertUnwindSafe(prober.run(prepared, id)).catch_unwind();
    let fault = |says| Observation::bare(Outcome::Unsupported, Some(Reason::AgentFault), says);
    match tokio::time::timeout(timeout + limits::PROBE_OVERTIME, run).await {
        Ok(Ok(seen)) => seen,
        Ok(Err(_)) => fault("the probe crashed"),
        Err(_) => fault("the probe did not end by its timeout"),
    }
}
