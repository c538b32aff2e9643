//! The disk: sealed batches, the newest set and the clock's offset.

use super::AgentSet;
use hyperverge_agent_core::Lane;
use hyperverge_agent_core::batch::Draft;
use hyperverge_agent_core::clock::SavedOffset;
use hyperverge_agent_core::missed::Missed;
use hyperverge_agent_core::schedule::Resume;
use hyperverge_agent_core::spool::{Admission, Reconciled, Sealed, Spool, SpoolLimits, fold};
use hyperverge_protocol::wire::{MissedSlots, ResultBatch};
use std::collections::BTreeMap;
use std::sync::Arc;
use uuid::Uuid;

/// The product's defaults.
const LIMITS: SpoolLimits = SpoolLimits { bytes: 256 << 20, age_ms: 7 * 24 * 3_600_000 };
/// Batches of one segment file.
const SEGMENT_BATCHES: u64 = 64;

/// What a crash leaves.
#[derive(Debug)]
pub struct Disk {
    pub spool: Spool,
    pub batches: BTreeMap<(Lane, u64), Arc<ResultBatch>>,
    /// Sealed batches with rows that are due after what is complete.
    beyond: Vec<Arc<ResultBatch>>,
    sealed: u64,
    pub set: Option<Arc<AgentSet>>,
    pub offset: Option<SavedOffset>,
}

impl Disk {
    pub(super) fn new() -> Self {
        Self {
            spool: Spool::new(LIMITS, 1, 1),
            batches: BTreeMap::new(),
            beyond: Vec::new(),
            sealed: 0,
            set: None,
            offset: None,
        }
    }

    /// What an earlier process had accounted for.
    pub(super) fn resume(&self) -> Resume {
        let through = self.spool.complete_through_ms();
        let mut resume = Resume { complete_through_ms: through, ..Resume::default() };
        for row in self.beyond.iter().flat_map(|batch| &batch.rows) {
            if Some(row.due_us / 1_000) > through && row.burst_id.is_empty() {
                let monitor = Uuid::from_slice(&row.monitor_id).unwrap_or_default();
                resume.sealed.insert((monitor, row.revision, row.slot));
            }
        }
        resume
    }

    /// Numbers and keeps a draft; gives back what there was no room for.
    pub(super) fn seal(
        &mut self,
        draft: Draft,
        order: &SealOrder,
    ) -> (Option<(Lane, u64)>, Vec<Missed>) {
        let bytes = draft.rows_bytes;
        let admission = self.spool.admit(bytes as u64, order.now_ms.unwrap_or(0));
        let mut missed = draft.missed;
        let mut gaps = Vec::new();
        let rows = match admission {
            Admission::Whole => draft.rows,
            Admission::Failures | Admission::Nothing => fold(draft.rows, admission, &mut gaps),
        };
        missed.extend(gaps);
        if admission == Admission::Nothing {
            return (None, missed);
        }
        let lane = self.spool.choose_lane(order.established, draft.complete_through_ms.is_some());
        let number = self.spool.next_number(lane);
        let through = draft.complete_through_ms;
        let batch = ResultBatch {
            agent_id: Vec::from(order.boot_id).into(),
            boot_id: Vec::from(order.boot_id).into(),
            lane: lane.to_wire().into(),
            number,
            set_version: order.set_version.unsigned_abs(),
            complete_through_ms: through
                .and_then(|through| self.spool.complete_through(lane, through)),
            rows,
            missed: missed.iter().map(to_wire).collect(),
            undated: draft.undated,
        };
        self.keep((lane, number), Arc::new(batch), bytes as u64, through, order);
        (Some((lane, number)), Vec::new())
    }

    /// Keeps a batch; `complete_through_ms` is how far all is sealed with it, which it may
    /// not say itself as long as others wait.
    fn keep(
        &mut self,
        (lane, number): (Lane, u64),
        batch: Arc<ResultBatch>,
        bytes: u64,
        complete_through_ms: Option<i64>,
        order: &SealOrder,
    ) {
        let due = batch.rows.iter().map(|row| row.due_us / 1_000).max();
        let sealed = Sealed {
            lane,
            number,
            segment: 1 + self.sealed / SEGMENT_BATCHES,
            offset: 0,
            bytes: bytes + 64,
            rows: u32::try_from(batch.rows.len()).unwrap_or(u32::MAX),
            sealed_ms: order.now_ms.unwrap_or(0),
            max_due_ms: due.filter(|_| !batch.undated).unwrap_or(i64::MIN),
            complete_through_ms,
        };
        self.sealed += 1;
        self.spool.handle_sealed(sealed, false);
        self.spool.handle_complete_through(complete_through_ms, sealed.sealed_ms);
        if sealed.max_due_ms > i64::MIN {
            self.beyond.push(batch.clone());
        }
        let through = self.spool.complete_through_ms().unwrap_or(i64::MIN);
        self.beyond.retain(|batch| batch.rows.iter().any(|row| row.due_us / 1_000 > through));
        self.batches.insert((lane, number), batch);
        while self.spool.poll_deletable().is_some() {}
    }

    /// The control plane has it; gives it back for the last time.
    pub(super) fn acknowledged(&mut self, lane: Lane, number: u64) -> Option<Arc<ResultBatch>> {
        self.spool.handle_acknowledged(lane, number);
        while self.spool.poll_deletable().is_some() {}
        self.batches.remove(&(lane, number))
    }

    /// Fits a lane to what the control plane expects; whether that was possible
    /// without anything lost.
    pub(super) fn reconcile(&mut self, lane: Lane, expected: Option<u64>) -> bool {
        let Some(expected) = expected else { return true };
        matches!(
            self.spool.reconcile(lane, expected),
            Reconciled::Agrees | Reconciled::SkippedAhead { .. }
        )
    }
}

/// Under what a batch is sealed.
#[derive(Debug)]
pub(super) struct SealOrder {
    pub(super) boot_id: [u8; 16],
    pub(super) set_version: i64,
    /// Control-plane time; `None` while undated.
    pub(super) now_ms: Option<i64>,
    pub(super) established: bool,
}

fn to_wire(missed: &Missed) -> MissedSlots {
    MissedSlots {
        monitor_id: Vec::from(missed.monitor.into_bytes()).into(),
        revision: missed.revision,
        first_slot: missed.first,
        last_slot: missed.last,
        reason: missed.reason.to_wire().into(),
    }
}
