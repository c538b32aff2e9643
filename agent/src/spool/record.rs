//! The bytes of a segment file.
//!
//! ```text
//! file   = "hyperverge-spl1\n" record*
//! record = "HVR1" length:u32 crc32:u32 body          (big endian)
//! body   = lane:u8 number:u64 rows:u32 sealed_ms:i64 max_due_ms:i64
//!          dated:u8 complete_through_ms:i64 envelope
//! ```
//!
//! The envelope is the protobuf message exactly as it is sent. A record whose
//! checksum is wrong is skipped: reading goes on at the next marker with a
//! record behind it that checks out. What follows the last whole record is a
//! torn tail.

use crate::limits::RECORD_BYTES;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use hyperverge_agent_core::Lane;

/// The first bytes of every segment.
pub(super) const FILE_HEAD: &[u8; 16] = b"hyperverge-spl1\n";
const MARKER: &[u8; 4] = b"HVR1";
const HEAD_BYTES: usize = 12;
const BODY_HEAD_BYTES: usize = 1 + 8 + 4 + 8 + 8 + 1 + 8;

/// One sealed batch with what must be known about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) lane: Lane,
    pub(super) number: u64,
    pub(super) rows: u32,
    pub(super) sealed_ms: i64,
    pub(super) max_due_ms: i64,
    pub(super) complete_through_ms: Option<i64>,
    /// The envelope as it is sent.
    pub(super) envelope: Bytes,
}

/// What is wrong at some place of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Damage {
    /// The file ends within the record, or no marker stands here.
    Torn,
    Corrupt,
}

impl Record {
    pub(super) fn encode(&self) -> Bytes {
        let length = BODY_HEAD_BYTES + self.envelope.len();
        let mut out = BytesMut::with_capacity(HEAD_BYTES + length);
        out.put_slice(MARKER);
        out.put_u32(length as u32);
        out.put_u32(0);
        out.put_u8(self.lane.to_wire() as u8);
        out.put_u64(self.number);
        out.put_u32(self.rows);
        out.put_i64(self.sealed_ms);
        out.put_i64(self.max_due_ms);
        out.put_u8(u8::from(self.complete_through_ms.is_some()));
        out.put_i64(self.complete_through_ms.unwrap_or_default());
        out.put_slice(&self.envelope);
        let crc = crc32fast::hash(&out[HEAD_BYTES..]);
        out[8..HEAD_BYTES].copy_from_slice(&crc.to_be_bytes());
        out.freeze()
    }

    /// Reads the record at the beginning of `bytes`; also its whole length.
    fn decode(bytes: &Bytes) -> Result<(Self, usize), Damage> {
        if bytes.len() < HEAD_BYTES || !bytes.starts_with(MARKER) {
            return Err(Damage::Torn);
        }
        let mut head = &bytes[4..HEAD_BYTES];
        let (length, crc) = (head.get_u32() as usize, head.get_u32());
        if !(BODY_HEAD_BYTES..=RECORD_BYTES).contains(&length) {
            return Err(Damage::Corrupt);
        }
        if bytes.len() < HEAD_BYTES + length {
            return Err(Damage::Torn);
        }
        let mut body = bytes.slice(HEAD_BYTES..HEAD_BYTES + length);
        if crc32fast::hash(&body) != crc {
            return Err(Damage::Corrupt);
        }
        let lane = Lane::from_wire(i32::from(body.get_u8())).ok_or(Damage::Corrupt)?;
        let (number, rows) = (body.get_u64(), body.get_u32());
        let (sealed_ms, max_due_ms) = (body.get_i64(), body.get_i64());
        let dated = body.get_u8() == 1;
        let complete = body.get_i64();
        let record = Self {
            lane,
            number,
            rows,
            sealed_ms,
            max_due_ms,
            complete_through_ms: dated.then_some(complete),
            envelope: body,
        };
        Ok((record, HEAD_BYTES + length))
    }

    /// Reads exactly one record; `None` when it is damaged.
    pub(super) fn decode_one(bytes: &Bytes) -> Option<Self> {
        Self::decode(bytes).ok().filter(|(_, length)| *length == bytes.len()).map(|(r, _)| r)
    }
}

/// What a segment file holds.
#[derive(Debug, Default)]
pub(super) struct Segment {
    /// Offset in the file, bytes, record.
    pub(super) records: Vec<(u64, u64, Record)>,
    /// Damaged places that were skipped.
    pub(super) corrupt: usize,
    /// Where the last whole record ends; the file's length if nothing is torn.
    pub(super) whole_bytes: u64,
}

/// Reads a segment file's content.
pub(super) fn read_segment(file: &Bytes) -> Segment {
    let mut segment = Segment::default();
    let mut at = if file.starts_with(FILE_HEAD) { FILE_HEAD.len() } else { 0 };
    segment.whole_bytes = at as u64;
    let mut skipping = false;
    while at < file.len() {
        match Record::decode(&file.slice(at..)) {
            Ok((record, length)) => {
                segment.records.push((at as u64, length as u64, record));
                at += length;
                segment.whole_bytes = at as u64;
                segment.corrupt += usize::from(std::mem::take(&mut skipping));
            }
            Err(_) => {
                skipping = true;
                at += 1 + next_marker(&file[at + 1..]);
            }
        }
    }
    // Damage with nothing whole behind it is the torn tail, unless it is a
    // record that is all there and wrong.
    let tail = file.slice(segment.whole_bytes as usize..);
    segment.corrupt += usize::from(Record::decode(&tail) == Err(Damage::Corrupt));
    segment
}

fn next_marker(bytes: &[u8]) -> usize {
    bytes.windows(MARKER.len()).position(|window| window == MARKER).unwrap_or(bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn record(number: u64, envelope: Vec<u8>) -> Record {
        Record {
            lane: Lane::Backlog,
            number,
            rows: 3,
            sealed_ms: 5,
            max_due_ms: i64::MIN,
            complete_through_ms: Some(-7),
            envelope: envelope.into(),
        }
    }

    fn file(records: &[Record]) -> Vec<u8> {
        let mut file = FILE_HEAD.to_vec();
        records.iter().for_each(|record| file.extend_from_slice(&record.encode()));
        file
    }

    proptest! {
        #[test]
        fn a_torn_tail_loses_only_itself(
            sizes in prop::collection::vec(0usize..400, 1..8),
            cut in 0usize..3_000,
        ) {
            let records: Vec<_> =
                sizes.iter().enumerate().map(|(n, size)| record(n as u64, vec![7; *size])).collect();
            let whole = file(&records);
            let cut = cut.min(whole.len());
            let segment = read_segment(&Bytes::copy_from_slice(&whole[..cut]));
            let mut end = FILE_HEAD.len();
            let mut fits = 0;
            for record in &records {
                end += record.encode().len();
                fits += usize::from(end <= cut);
            }
            prop_assert_eq!(segment.records.len(), fits);
            prop_assert_eq!(segment.corrupt, 0);
            for ((_, _, read), written) in segment.records.iter().zip(&records) {
                prop_assert_eq!(read, written);
            }
        }

        #[test]
        fn a_flipped_bit_loses_one_record_and_is_counted(
            at in 0usize..10_000,
            bit in 0u8..8,
        ) {
            let records: Vec<_> = (0..5).map(|n| record(n, vec![n as u8; 100])).collect();
            let mut bytes = file(&records);
            let at = FILE_HEAD.len() + at % (bytes.len() - FILE_HEAD.len());
            bytes[at] ^= 1 << bit;
            let hit = (at - FILE_HEAD.len()) / records[0].encode().len();
            let segment = read_segment(&bytes.into());
            let read: Vec<_> = segment.records.iter().map(|(_, _, r)| r.number).collect();
            let expected: Vec<_> = (0..5).filter(|n| *n != hit as u64).collect();
            prop_assert_eq!(read, expected);
        }

        #[test]
        fn no_bytes_crash_the_reader(bytes: Vec<u8>) {
            let _segment = read_segment(&bytes.into());
        }
    }
}
