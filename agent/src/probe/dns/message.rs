//! From the bytes of a message to its records, in two steps: whether it answers
//! our question is known before any record is read, since an answer that was cut
//! need not have one that is whole.
//!
//! What decides is read strictly. The additional section decides nothing but the
//! upper bits of the code, and bytes behind the message nothing at all: neither is
//! held against a server that everybody else understands.

use super::query::{ID, Question};
use crate::probe::failure::Failure;
use hickory_resolver::proto::op::{
    Header, Message, MessageType, Metadata, OpCode, Query, ResponseCode,
};
use hickory_resolver::proto::rr::{Name, Record, RecordType};
use hickory_resolver::proto::serialize::binary::{BinDecodable, BinDecoder, DecodeError};
use hyperverge_protocol::outcome::Reason;

/// Why bytes are no answer to our question.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Mismatch {
    /// They answer something else, or nothing.
    Stray(&'static str),
    /// They answer our question, but not as the protocol wants.
    Malformed(String),
}

impl Mismatch {
    /// The failure of `shown` where nobody else can have sent this.
    pub(super) fn failure(self, shown: &str) -> Failure {
        let what = match self {
            Self::Stray(what) => what.to_owned(),
            Self::Malformed(what) => what,
        };
        Failure::target(Reason::DnsMalformed, format!("{shown} {what}"))
    }

    fn malformed(what: &str) -> Self {
        Self::Malformed(what.to_owned())
    }

    fn unreadable(error: DecodeError) -> Self {
        Self::Malformed(format!("sent an answer that cannot be read: {error}"))
    }
}

/// An answer to our question, of which no record was read yet.
pub(super) struct Opened<'a> {
    header: Header,
    /// Stands behind the question.
    records: BinDecoder<'a>,
}

/// What an answer says.
pub(super) struct Sections {
    pub(super) metadata: Metadata,
    pub(super) answers: Vec<Record>,
    pub(super) authorities: Vec<Record>,
}

impl<'a> Opened<'a> {
    /// Whether `bytes` answer `question`, which the message `sent` asked. Cheap tests
    /// come first, since anybody may send garbage.
    pub(super) fn read(
        bytes: &'a [u8],
        sent: &[u8],
        question: &Question,
    ) -> Result<Self, Mismatch> {
        if bytes.get(ID) != sent.get(ID) {
            return Err(Mismatch::Stray("answered with another id than the question's"));
        }
        let mut decoder = BinDecoder::new(bytes);
        let header = Header::read(&mut decoder)
            .map_err(|_| Mismatch::malformed("sent less than the header of an answer"))?;
        if header.metadata.message_type != MessageType::Response
            || header.metadata.op_code != OpCode::Query
        {
            return Err(Mismatch::malformed("sent a message that is not an answer"));
        }
        match header.counts.queries {
            // A server that could not read the question does not repeat it.
            0 if header.metadata.response_code != ResponseCode::NoError
                && header.counts.answers == 0 => {}
            0 => return Err(Mismatch::malformed("answered without the question")),
            1 => {
                let query = Query::read(&mut decoder).map_err(Mismatch::unreadable)?;
                if !question.is(&query) {
                    return Err(Mismatch::Stray("answered another question"));
                }
            }
            _ => return Err(Mismatch::malformed("answered with more than one question")),
        }
        Ok(Self { header, records: decoder })
    }

    /// The server had more to say than there was room for.
    pub(super) fn truncated(&self) -> bool {
        self.header.metadata.truncation
    }

    pub(super) fn sections(mut self) -> Result<Sections, Mismatch> {
        let Header { mut metadata, counts } = self.header;
        let mut section = |count: u16| {
            let read = Message::read_records(&mut self.records, count.into(), false, OpCode::Query);
            read.map(|(records, ..)| records).map_err(Mismatch::unreadable)
        };
        let answers = section(counts.answers)?;
        let authorities = section(counts.authorities)?;
        if let Some(upper) = upper_code(&mut self.records, counts.additionals) {
            metadata.response_code = ResponseCode::from(upper, metadata.response_code.low());
        }
        Ok(Sections { metadata, answers, authorities })
    }
}

/// The upper bits of the response code (RFC 6891, section 6.1.3), if the additional
/// section has them before anything that cannot be read.
fn upper_code(decoder: &mut BinDecoder<'_>, records: u16) -> Option<u8> {
    (0..records).map_while(|_| additional(decoder).ok()).flatten().next()
}

/// Reads over one record, whatever its data; the upper bits, if it holds them.
fn additional(decoder: &mut BinDecoder<'_>) -> Result<Option<u8>, DecodeError> {
    let owner = Name::read(decoder)?;
    let kind = RecordType::read(decoder)?;
    let _class = decoder.read_u16()?;
    let [upper, ..] = decoder.read_u32()?.unverified().to_be_bytes();
    let length = decoder.read_u16()?.unverified();
    decoder.read_slice(length.into())?;
    Ok((kind == RecordType::OPT && owner.is_root()).then_some(upper))
}
