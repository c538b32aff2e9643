//! Opening an envelope: who signed it, what it says it is, and how much it holds.

use super::{IngestRefusal, Source};
use hyperverge_protocol::envelope::{self, Purpose};
use hyperverge_protocol::identity::Fingerprint;
use hyperverge_protocol::limits::{BATCH_BYTES, BATCH_ROWS};
use hyperverge_protocol::wire::{Envelope, Lane, RefusalCode, ResultBatch};
use prost::Message;
use sha2::{Digest, Sha256};

/// Encoded bytes of a batch: what an agent fills it with, and the envelope's own.
const PAYLOAD_BYTES: usize = BATCH_BYTES + 64 * 1024;
/// Missed ranges of one batch.
const MISSED_RANGES: usize = 10_000;

/// A batch whose signature, agent and size are right. Its rows are not judged yet.
#[derive(Debug)]
pub(super) struct Sealed {
    pub(super) source: Source,
    pub(super) lane: Lane,
    pub(super) number: u64,
    /// SHA-256 of the payload as received.
    pub(super) payload_hash: [u8; 32],
    pub(super) batch: ResultBatch,
}

impl Sealed {
    pub(super) fn open(source: &Source, envelope: &Envelope) -> Result<Self, IngestRefusal> {
        if envelope.payload.len() > PAYLOAD_BYTES {
            let rule = format!("payload must be at most {PAYLOAD_BYTES} bytes");
            return Err(IngestRefusal::new(RefusalCode::TooLarge, rule));
        }
        let payload = envelope::open(Purpose::ResultBatch, envelope, &source.public_key)
            .map_err(|error| IngestRefusal::new(RefusalCode::BadSignature, error.to_string()))?;
        let malformed = |rule: &str| IngestRefusal::new(RefusalCode::Malformed, rule);
        let batch = ResultBatch::decode(payload.clone())
            .map_err(|_| malformed("payload must be a ResultBatch"))?;
        let lane = match batch.lane() {
            Lane::Unspecified => return Err(malformed("lane must be live or backlog")),
            lane => lane,
        };
        let number = batch.number;
        let named = |rule: &str| malformed(rule).of(lane, number);
        if batch.agent_id != Fingerprint::of(&source.public_key).as_bytes().as_slice() {
            return Err(named("agent_id must name the key that signed"));
        }
        if !(1..=i64::MAX.unsigned_abs()).contains(&number) {
            return Err(named("number must be 1 or more"));
        }
        if batch.rows.len() > BATCH_ROWS || batch.missed.len() > MISSED_RANGES {
            let rule = format!("rows must be at most {BATCH_ROWS}, missed at most {MISSED_RANGES}");
            return Err(IngestRefusal::new(RefusalCode::TooLarge, rule).of(lane, number));
        }
        let payload_hash = Sha256::digest(payload).into();
        Ok(Self { source: source.clone(), lane, number, payload_hash, batch })
    }

    /// The number as the database holds it.
    pub(super) fn stored_number(&self) -> i64 {
        self.number.cast_signed()
    }

    /// The lane as the database holds it.
    pub(super) fn stored_lane(&self) -> i64 {
        i64::from(i32::from(self.lane))
    }
}
