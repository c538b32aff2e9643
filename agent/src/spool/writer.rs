//! The spool's thread: the only one that writes segments and knows the index.
//!
//! Seal = number, sign, append, `fdatasync`; only then does anybody else hear
//! of the batch. Several drafts share one sync. When a write fails the segment
//! is cut back to where it was and the slots go back to the engine as missed;
//! when even that fails the spool stops sealing until a restart, because bytes
//! of unknown fate must not share a number with others.

use super::meta::{LaneMeta, Meta};
use super::record::{self, Record};
use super::recover::{self, Recovered, segment_path};
use super::{Acknowledged, Numbers, Reconciliation, SealReport, SealRequest};
use crate::limits;
use crate::metrics::Metrics;
use bytes::Bytes;
use ed25519_dalek::SigningKey;
use hyperverge_agent_core::Lane;
use hyperverge_agent_core::batch::Draft;
use hyperverge_agent_core::limits::SEGMENT_BYTES;
use hyperverge_agent_core::missed::{Missed, MissedRanges, MissedReason};
use hyperverge_agent_core::spool::{Admission, Reconciled, Sealed, Spool, fold};
use hyperverge_protocol::envelope::{self, Purpose};
use hyperverge_protocol::identity;
use hyperverge_protocol::wire::{MissedSlots, ResultBatch};
use prost::Message;
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::{mpsc, oneshot, watch};
use tracing::{debug, error, info, warn};
use uuid::Uuid;

/// What the thread is asked.
#[derive(Debug)]
pub(super) enum Command {
    Seal(SealRequest, oneshot::Sender<SealReport>),
    Acknowledged(Acknowledged),
    Read(Lane, u64, oneshot::Sender<Option<Bytes>>),
    Reconcile { live: Option<u64>, backlog: Option<u64>, reply: oneshot::Sender<Reconciliation> },
    Shutdown(oneshot::Sender<()>),
}

struct Current {
    id: u64,
    file: File,
    bytes: u64,
}

pub(super) struct Writer {
    dir: PathBuf,
    key: SigningKey,
    boot_id: [u8; 16],
    spool: Spool,
    current: Option<Current>,
    last_segment: u64,
    numbers_known: bool,
    poisoned: bool,
    cache: BTreeMap<(Lane, u64), Bytes>,
    cache_bytes: usize,
    meta_saved_ms: i64,
    session: Arc<AtomicBool>,
    numbers: watch::Sender<Numbers>,
    metrics: Arc<Metrics>,
}

/// What a writer needs beside what was recovered.
pub(super) struct Surroundings {
    pub(super) dir: PathBuf,
    pub(super) key: SigningKey,
    pub(super) boot_id: [u8; 16],
    pub(super) session: Arc<AtomicBool>,
    pub(super) numbers: watch::Sender<Numbers>,
    pub(super) metrics: Arc<Metrics>,
}

impl Writer {
    pub(super) fn new(recovered: Recovered, around: Surroundings) -> Self {
        let writer = Self {
            dir: around.dir,
            key: around.key,
            boot_id: around.boot_id,
            spool: recovered.spool,
            current: None,
            last_segment: recovered.last_segment,
            numbers_known: recovered.numbers_known,
            poisoned: false,
            cache: BTreeMap::new(),
            cache_bytes: 0,
            meta_saved_ms: crate::clock::boot_ms(),
            session: around.session,
            numbers: around.numbers,
            metrics: around.metrics,
        };
        writer.publish();
        writer
    }

    /// Works until told to stop.
    pub(super) fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        while let Some(command) = commands.blocking_recv() {
            match command {
                Command::Seal(request, reply) => {
                    let report = self.seal(request);
                    // Nobody waits any more only when the agent is going down.
                    let _gone = reply.send(report);
                }
                Command::Acknowledged(acknowledged) => self.acknowledged(acknowledged),
                Command::Read(lane, number, reply) => {
                    let _gone = reply.send(self.read(lane, number));
                }
                Command::Reconcile { live, backlog, reply } => {
                    let _gone = reply.send(self.reconcile(live, backlog));
                }
                Command::Shutdown(reply) => {
                    self.save_meta();
                    let _gone = reply.send(());
                    return;
                }
            }
            if crate::clock::boot_ms() - self.meta_saved_ms >= limits::SPOOL_META_EVERY_MS {
                self.save_meta();
            }
        }
    }

    fn seal(&mut self, request: SealRequest) -> SealReport {
        let mut report = SealReport::default();
        let mut sealed = Vec::new();
        let before = self.current.as_ref().map(|current| (current.id, current.bytes));
        let mut given_up = false;
        for mut draft in request.drafts {
            // It speaks about all drafts of the request, and slots of one are not sealed.
            if given_up {
                draft.complete_through_ms = None;
            }
            if draft.is_empty() {
                continue;
            }
            let bytes = (draft.bytes() + BATCH_HEAD_BYTES) as u64;
            let admission = self.admit(bytes, request.now_ms);
            if admission == Admission::Nothing {
                given_up = true;
                self.give_up(draft, &mut report);
                continue;
            }
            let (mut draft, folded) = thinned(draft, admission);
            self.metrics.spool.results_folded_total.with_label_values(&["success"]).inc_by(folded);
            match self.append(&mut draft, request.set_version, request.now_ms) {
                Ok((place, envelope)) => sealed.push((place, envelope, draft)),
                Err(error) => {
                    error!(%error, "a batch cannot be written to the spool");
                    given_up = true;
                    self.give_up(draft, &mut report);
                }
            }
        }
        if sealed.is_empty() {
            return report;
        }
        match self.sync() {
            Ok(()) => self.commit(sealed),
            Err(error) => {
                error!(%error, "the spool cannot be synced to disk");
                self.cut_back(before);
                for (place, _, draft) in sealed.into_iter().rev() {
                    self.spool.handle_unwritten(&place);
                    self.give_up(draft, &mut report);
                }
            }
        }
        self.publish();
        report
    }

    fn admit(&self, bytes: u64, now_ms: Option<i64>) -> Admission {
        if self.poisoned || !self.numbers_known {
            return Admission::Nothing;
        }
        self.spool.admit(bytes, now_ms.unwrap_or(0))
    }

    /// Numbers, signs and writes one batch, without syncing it.
    fn append(
        &mut self,
        draft: &mut Draft,
        set_version: u64,
        now_ms: Option<i64>,
    ) -> io::Result<(Sealed, Bytes)> {
        let established = self.session.load(Ordering::Relaxed);
        let lane = self.spool.choose_lane(established, draft.complete_through_ms.is_some());
        let number = self.spool.next_number(lane);
        self.append_as(lane, number, draft, set_version, now_ms)
    }

    fn append_as(
        &mut self,
        lane: Lane,
        number: u64,
        draft: &mut Draft,
        set_version: u64,
        now_ms: Option<i64>,
    ) -> io::Result<(Sealed, Bytes)> {
        let mut batch = ResultBatch {
            agent_id: Bytes::copy_from_slice(identity::fingerprint(&self.key).as_bytes()),
            boot_id: Bytes::copy_from_slice(&self.boot_id),
            lane: lane.to_wire().into(),
            number,
            set_version,
            complete_through_ms: draft
                .complete_through_ms
                .and_then(|through| self.spool.complete_through(lane, through)),
            rows: std::mem::take(&mut draft.rows),
            missed: draft.missed.iter().map(to_wire).collect(),
            undated: draft.undated,
        };
        let payload = batch.encode_to_vec();
        // The draft keeps its rows: they are given up if the disk does not take them.
        draft.rows = std::mem::take(&mut batch.rows);
        let envelope = envelope::seal(Purpose::ResultBatch, payload.into(), &self.key);
        let envelope = Bytes::from(envelope.encode_to_vec());
        let due = draft.rows.iter().map(|row| row.due_us / 1_000).max();
        let record = Record {
            lane,
            number,
            rows: draft.rows.len() as u32,
            sealed_ms: now_ms.unwrap_or(0),
            max_due_ms: due.filter(|_| !draft.undated).unwrap_or(i64::MIN),
            complete_through_ms: draft.complete_through_ms,
            envelope: envelope.clone(),
        };
        let bytes = record.encode();
        let (segment, offset) = self.write(&bytes)?;
        let place = recover::place(&record, segment, offset, bytes.len() as u64);
        // The index learns of it at once, so that the next draft of this round
        // gets the next number; nobody else does before the sync.
        self.spool.handle_sealed(place, false);
        Ok((place, envelope))
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<(u64, u64)> {
        let full = self
            .current
            .as_ref()
            .is_none_or(|current| current.bytes + bytes.len() as u64 > SEGMENT_BYTES);
        if full {
            self.next_segment()?;
        }
        let current = self.current.as_mut().ok_or(io::ErrorKind::NotFound)?;
        let offset = current.bytes;
        if let Err(error) = current.file.write_all(bytes) {
            let back = Some((current.id, offset));
            self.cut_back(back);
            return Err(error);
        }
        current.bytes += bytes.len() as u64;
        Ok((current.id, offset))
    }

    /// Closes the current segment and begins the next. The meta file names it
    /// first: a segment that is missing later must be noticed.
    fn next_segment(&mut self) -> io::Result<()> {
        if let Some(current) = &self.current {
            current.file.sync_data()?;
        }
        let id = self.last_segment + 1;
        self.last_segment = id;
        self.try_save_meta()?;
        let path = segment_path(&self.dir, id);
        let mut file =
            OpenOptions::new().create_new(true).append(true).read(true).mode(0o600).open(&path)?;
        file.write_all(record::FILE_HEAD)?;
        file.sync_all()?;
        crate::durable::sync_parent(&path)?;
        let bytes = record::FILE_HEAD.len() as u64;
        self.spool.handle_segment(id, bytes);
        self.current = Some(Current { id, file, bytes });
        self.delete_acknowledged();
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        match &self.current {
            Some(current) => current.file.sync_data(),
            None => Ok(()),
        }
    }

    /// Undoes what was appended since `before`, or stops sealing if that fails.
    fn cut_back(&mut self, before: Option<(u64, u64)>) {
        let Some(current) = self.current.as_mut() else { return };
        let keep = match before {
            Some((id, bytes)) if id == current.id => bytes,
            // A segment was begun in between: what went into the one before is
            // synced, but its batches are given up, so nothing may be sealed on.
            Some(_) => {
                self.poisoned = true;
                return;
            }
            None => record::FILE_HEAD.len() as u64,
        };
        let cut = current.file.set_len(keep).and_then(|()| current.file.sync_data());
        match cut {
            Ok(()) => current.bytes = keep,
            Err(error) => {
                error!(%error, "the spool cannot be repaired; nothing is sealed until a restart");
                self.poisoned = true;
            }
        }
    }

    fn commit(&mut self, sealed: Vec<(Sealed, Bytes, Draft)>) {
        for (place, envelope, _) in sealed {
            self.spool.handle_complete_through(place.complete_through_ms, place.sealed_ms);
            self.metrics.spool.batches_sealed_total.with_label_values(&[place.lane.as_str()]).inc();
            if self.cache_bytes + envelope.len() <= limits::SPOOL_CACHE_BYTES {
                self.cache_bytes += envelope.len();
                self.cache.insert((place.lane, place.number), envelope);
            }
        }
    }

    /// The disk takes nothing: every slot goes back as missed, and is counted.
    fn give_up(&self, draft: Draft, report: &mut SealReport) {
        let mut gaps = Vec::new();
        let lost = draft.rows.len();
        let undated = draft.undated;
        fold(draft.rows, Admission::Nothing, &mut gaps);
        for gap in &gaps {
            let kind = if gap.reason == MissedReason::SpoolFull { "success" } else { "failure" };
            self.metrics.spool.results_folded_total.with_label_values(&[kind]).inc();
        }
        warn!(rows = lost, "the spool takes no more; results are given up");
        if !undated {
            report.missed.extend(gaps);
        }
        report.missed.extend(draft.missed);
    }

    fn acknowledged(&mut self, ack: Acknowledged) {
        let debugging = tracing::enabled!(tracing::Level::DEBUG);
        let envelope = if debugging { self.read(ack.lane, ack.number) } else { None };
        if let Some(bytes) = self.cache.remove(&(ack.lane, ack.number)) {
            self.cache_bytes -= bytes.len();
        }
        let Some(sealed) = self.spool.handle_acknowledged(ack.lane, ack.number) else { return };
        self.metrics.spool.batches_acknowledged_total.with_label_values(&[ack.lane.as_str()]).inc();
        self.metrics.spool.results_refused_total.inc_by(u64::from(ack.refused));
        if debugging {
            let slots = slots_of(envelope.as_ref());
            debug!(
                lane = ack.lane.as_str(),
                number = ack.number,
                rows = sealed.rows,
                stored = ack.stored,
                duplicates = ack.duplicates,
                refused = ack.refused,
                slots,
                "batch acknowledged"
            );
        }
        self.delete_acknowledged();
        self.publish();
    }

    fn delete_acknowledged(&mut self) {
        let mut saved = false;
        while let Some(id) = self.spool.poll_deletable() {
            // The numbers must outlive the segment that told them.
            if !std::mem::replace(&mut saved, true) {
                self.save_meta();
            }
            if let Err(error) = std::fs::remove_file(segment_path(&self.dir, id)) {
                warn!(%error, segment = id, "an acknowledged segment cannot be deleted");
            }
        }
    }

    /// A batch's envelope. One that cannot be read back is given up: its number
    /// is filled when the control plane asks for it.
    fn read(&mut self, lane: Lane, number: u64) -> Option<Bytes> {
        if let Some(envelope) = self.cache.get(&(lane, number)) {
            return Some(envelope.clone());
        }
        let sealed = self.spool.get(lane, number)?;
        let mut bytes = vec![0; usize::try_from(sealed.bytes).ok()?];
        let read = File::open(segment_path(&self.dir, sealed.segment))
            .and_then(|file| file.read_exact_at(&mut bytes, sealed.offset));
        let record = Record::decode_one(&bytes.into());
        if read.is_err() || record.is_none() {
            error!(lane = lane.as_str(), number, "a sealed batch cannot be read back and is lost");
            self.metrics.spool.corrupt_records_total.inc();
            self.spool.handle_acknowledged(lane, number);
        }
        record.map(|record| record.envelope)
    }

    fn reconcile(&mut self, live: Option<u64>, backlog: Option<u64>) -> Reconciliation {
        let mut outcome = Reconciliation::default();
        for (lane, expected) in [(Lane::Live, live), (Lane::Backlog, backlog)] {
            let Some(expected) = expected else { continue };
            let found = self.spool.reconcile(lane, expected);
            match found {
                Reconciled::Agrees => {}
                Reconciled::SkippedAhead { from, to } => {
                    info!(
                        lane = lane.as_str(),
                        from, to, "numbering goes on where the control plane is"
                    );
                    outcome.begin.push((lane, to));
                }
                Reconciled::Fill { first, last } => self.fill(lane, first, last, &mut outcome),
                Reconciled::Stuck { expected, held } => {
                    error!(
                        lane = lane.as_str(),
                        expected, held, "the control plane expects batches that are gone"
                    );
                }
            }
        }
        if live.is_some() && backlog.is_some() && !self.numbers_known {
            self.numbers_known = true;
            self.save_meta();
        }
        self.publish();
        outcome
    }

    /// Seals empty batches under numbers whose own bytes are gone and which the
    /// control plane never stored, so that the lane can go on.
    fn fill(&mut self, lane: Lane, first: u64, last: u64, outcome: &mut Reconciliation) {
        warn!(
            lane = lane.as_str(),
            first, last, "batches were lost on disk; their numbers are filled"
        );
        let before = self.current.as_ref().map(|current| (current.id, current.bytes));
        let mut sealed = Vec::new();
        for number in first..=last {
            match self.append_as(lane, number, &mut Draft::default(), 0, None) {
                Ok((place, envelope)) => sealed.push((place, envelope, Draft::default())),
                Err(error) => {
                    error!(%error, "a number cannot be filled");
                    break;
                }
            }
        }
        if self.sync().is_err() {
            self.cut_back(before);
            sealed.iter().rev().for_each(|(place, _, _)| self.spool.handle_unwritten(place));
            return;
        }
        outcome.filled.extend(sealed.iter().map(|(place, _, _)| (lane, place.number)));
        self.commit(sealed);
    }

    fn publish(&self) {
        let next = |lane| self.spool.next_number(lane);
        let (live, backlog) = (next(Lane::Live), next(Lane::Backlog));
        self.numbers.send_if_modified(|numbers| {
            let changed = *numbers != Numbers { live, backlog };
            *numbers = Numbers { live, backlog };
            changed
        });
        self.metrics.spool.bytes.set(i64::try_from(self.spool.bytes()).unwrap_or(i64::MAX));
        for lane in Lane::ALL {
            let waiting = self.spool.waiting_count(lane) as i64;
            self.metrics.spool.batches.with_label_values(&[lane.as_str()]).set(waiting);
        }
    }

    fn save_meta(&mut self) {
        if let Err(error) = self.try_save_meta() {
            warn!(%error, "the spool's meta file cannot be written");
        }
    }

    fn try_save_meta(&mut self) -> io::Result<()> {
        self.meta_saved_ms = crate::clock::boot_ms();
        if !self.numbers_known {
            return Ok(()); // numbers nobody vouches for must not be written down
        }
        let lane = |lane| LaneMeta {
            next: self.spool.next_number(lane),
            acknowledged_below: self.spool.acknowledged_below(lane),
        };
        let meta = Meta {
            live: lane(Lane::Live),
            backlog: lane(Lane::Backlog),
            complete_through_ms: self.spool.complete_through_ms(),
            last_segment: self.last_segment,
        };
        meta.save(&self.dir)
    }
}

/// Bytes of a batch and its record beside what the draft holds, at most.
const BATCH_HEAD_BYTES: usize = 512;

/// The draft with plain successes folded, if `admission` asks for that.
fn thinned(mut draft: Draft, admission: Admission) -> (Draft, u64) {
    if admission == Admission::Whole || draft.undated {
        return (draft, 0);
    }
    let mut gaps = Vec::new();
    draft.rows = fold(draft.rows, admission, &mut gaps);
    let folded = gaps.len() as u64;
    let mut ranges = MissedRanges::default();
    gaps.into_iter().for_each(|gap| ranges.add(gap));
    draft.missed.extend(ranges.take(usize::MAX));
    (draft, folded)
}

fn to_wire(missed: &Missed) -> MissedSlots {
    MissedSlots {
        monitor_id: Bytes::copy_from_slice(missed.monitor.as_bytes()),
        revision: missed.revision,
        first_slot: missed.first,
        last_slot: missed.last,
        reason: missed.reason.to_wire().into(),
    }
}

/// `[[monitor, revision, slot], …]` of a batch's own checks, bursts apart, as JSON.
fn slots_of(envelope: Option<&Bytes>) -> String {
    let batch = envelope.and_then(recover::batch_of).unwrap_or_default();
    let slots: Vec<_> = batch
        .rows
        .iter()
        .filter(|row| row.burst_id.is_empty())
        .map(|row| (Uuid::from_slice(&row.monitor_id).unwrap_or_default(), row.revision, row.slot))
        .collect();
    serde_json::to_string(&slots).unwrap_or_default()
}
