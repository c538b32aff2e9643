//! What a starting agent finds on its disk.
//!
//! Unacknowledged batches wait again; each lane goes on behind the highest
//! number it ever sealed, from the segments or from `meta.json`. When neither
//! can be trusted (the spool was wiped, but the key was not), the numbers are
//! unknown and nothing may be sealed before the control plane has told them:
//! sealing under a used number would look like a forged agent.

use super::meta::Meta;
use super::record::{self, Record};
use crate::limits;
use bytes::Bytes;
use hyperverge_agent_core::Lane;
use hyperverge_agent_core::schedule::Resume;
use hyperverge_agent_core::spool::{Sealed, Spool, SpoolLimits};
use hyperverge_protocol::wire::{Envelope, ResultBatch};
use prost::Message;
use std::fs::OpenOptions;
use std::io;
use std::path::{Path, PathBuf};
use tracing::warn;
use uuid::Uuid;

/// The spool as it was left.
#[derive(Debug)]
pub(super) struct Recovered {
    pub(super) spool: Spool,
    pub(super) resume: Resume,
    pub(super) numbers_known: bool,
    /// Records that did not check out.
    pub(super) corrupt: usize,
    /// The newest segment there is or was.
    pub(super) last_segment: u64,
}

pub(super) fn segment_path(dir: &Path, id: u64) -> PathBuf {
    dir.join(format!("{id:016x}.seg"))
}

/// Reads everything in `dir`, and cuts off torn tails.
pub(super) fn recover(dir: &Path, limits: SpoolLimits) -> io::Result<Recovered> {
    let meta = Meta::load(dir)?;
    let known = meta.clone().unwrap_or_else(Meta::fresh);
    let mut spool = Spool::new(limits, known.live.next, known.backlog.next);
    spool.handle_complete_through(known.complete_through_ms, i64::MAX);
    let mut corrupt = 0;
    let mut last_found = 0;
    let mut rows_beyond: Vec<Record> = Vec::new();
    for id in segment_ids(dir)? {
        let segment = read(dir, id)?;
        corrupt += segment.corrupt;
        last_found = id;
        spool.handle_segment(id, record::FILE_HEAD.len() as u64);
        for (offset, bytes, record) in segment.records {
            let acknowledged = record.number < known.lane(record.lane).acknowledged_below;
            let sealed = place(&record, id, offset, bytes);
            spool.handle_sealed(sealed, acknowledged);
            // What the meta file knew of is in its mark.
            if record.number >= known.lane(record.lane).next {
                let through = record.complete_through_ms;
                spool.handle_complete_through(through, record.sealed_ms);
            }
            // Later batches raise the mark, so what lies below stays below. Where the clock
            // was set back, what was due then is over or will come again.
            let through = spool.complete_through_ms().unwrap_or(i64::MIN);
            rows_beyond.retain(|earlier| earlier.max_due_ms > through);
            if record.max_due_ms > through {
                rows_beyond.push(record);
            }
        }
    }
    let resume = resume(&spool, &rows_beyond);
    let nothing_ever = known.last_segment == 0 && last_found == 0;
    let numbers_known = meta.is_some() && (nothing_ever || last_found >= known.last_segment.max(1));
    let last_segment = known.last_segment.max(last_found);
    Ok(Recovered { spool, resume, numbers_known, corrupt, last_segment })
}

/// Which slots are already done, for the schedule.
fn resume(spool: &Spool, rows_beyond: &[Record]) -> Resume {
    let through = spool.complete_through_ms();
    let mut resume = Resume { complete_through_ms: through, ..Resume::default() };
    for record in rows_beyond {
        let Some(batch) = batch_of(&record.envelope) else { continue };
        if batch.undated {
            continue;
        }
        // The check of a burst did not do its slot.
        for row in batch.rows.iter().filter(|row| row.burst_id.is_empty()) {
            if Some(row.due_us / 1_000) > through
                && let Ok(monitor) = Uuid::from_slice(&row.monitor_id)
            {
                resume.sealed.insert((monitor, row.revision, row.slot));
            }
        }
    }
    resume
}

/// The batch inside an encoded envelope. Our own, so it is not verified again.
pub(super) fn batch_of(envelope: &Bytes) -> Option<ResultBatch> {
    let envelope = Envelope::decode(envelope.clone()).ok()?;
    ResultBatch::decode(envelope.payload).ok()
}

pub(super) fn place(record: &Record, segment: u64, offset: u64, bytes: u64) -> Sealed {
    Sealed {
        lane: record.lane,
        number: record.number,
        segment,
        offset,
        bytes,
        rows: record.rows,
        sealed_ms: record.sealed_ms,
        max_due_ms: record.max_due_ms,
        complete_through_ms: record.complete_through_ms,
    }
}

fn segment_ids(dir: &Path) -> io::Result<Vec<u64>> {
    let mut ids = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let name = entry?.file_name();
        let id = name.to_str().and_then(|name| name.strip_suffix(".seg"));
        ids.extend(id.and_then(|id| u64::from_str_radix(id, 16).ok()));
    }
    ids.sort_unstable();
    Ok(ids)
}

fn read(dir: &Path, id: u64) -> io::Result<record::Segment> {
    let path = segment_path(dir, id);
    let most = hyperverge_agent_core::limits::SEGMENT_BYTES + limits::RECORD_BYTES as u64;
    let bytes: Bytes = crate::durable::read(&path, most * 2)?.unwrap_or_default().into();
    let segment = record::read_segment(&bytes);
    let torn = bytes.len() as u64 - segment.whole_bytes;
    if segment.corrupt > 0 {
        warn!(
            segment = id,
            records = segment.corrupt,
            "spool records are damaged and were skipped"
        );
    }
    if torn > 0 {
        warn!(
            segment = id,
            bytes = torn,
            "the spool's last record was not finished and is cut off"
        );
        let file = OpenOptions::new().write(true).open(&path)?;
        file.set_len(segment.whole_bytes)?;
        file.sync_all()?;
    }
    Ok(segment)
}

/// How many batches wait, for the log.
pub(super) fn waiting(spool: &Spool) -> usize {
    Lane::ALL.into_iter().map(|lane| spool.waiting_count(lane)).sum()
}
