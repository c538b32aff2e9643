//! The question of a monitor, encoded once.

use crate::clock;
use crate::probe::limits;
use hickory_resolver::proto::op::{Edns, Message, MessageType, OpCode, Query};
use hickory_resolver::proto::rr::{DNSClass, Name, RecordType};
use hyperverge_protocol::dns::DomainName;
use hyperverge_protocol::monitor::{self, DnsOptions};
use rand::RngExt;
use std::net::IpAddr;

/// Where the two bytes of the id are.
pub(super) const ID: std::ops::Range<usize> = 0..2;

/// What is asked, and the message that asks it.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) query: Query,
    recursion: bool,
    message: Vec<u8>,
}

/// Why a question cannot be asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum QuestionError {
    #[error("target {0}")]
    Name(#[from] hyperverge_protocol::dns::NameRule),
    #[error("target must be a name that fits into a message")]
    Encoding(#[from] hickory_resolver::proto::ProtoError),
}

impl Question {
    /// `target` is a name, or for PTR an address, whose name it then stands for.
    pub(super) fn new(target: &str, options: &DnsOptions) -> Result<Self, QuestionError> {
        let name: DomainName = match target.parse::<IpAddr>() {
            Ok(address) if options.record == monitor::RecordType::Ptr => {
                DomainName::reverse(address)
            }
            _ => target.parse()?,
        };
        let mut absolute = Name::from_labels(name.labels())?;
        absolute.set_fqdn(true);
        Self::of(
            Query::query(absolute, record_type(options.record)),
            options.recursion,
            Some(edns()),
        )
    }

    /// The same without EDNS, for servers that refuse it (RFC 6891, section 7).
    pub(super) fn plain(&self) -> Result<Self, QuestionError> {
        Self::of(self.query.clone(), self.recursion, None)
    }

    /// Who serves the root: what any name server can tell.
    pub(super) fn of_root() -> Result<Self, QuestionError> {
        Self::of(Query::query(Name::root(), RecordType::NS), true, Some(edns()))
    }

    fn of(query: Query, recursion: bool, edns: Option<Edns>) -> Result<Self, QuestionError> {
        let mut message = Message::new(0, MessageType::Query, OpCode::Query);
        message.metadata.recursion_desired = recursion;
        message.add_query(query.clone());
        message.edns = edns;
        let message = message.to_vec()?;
        Ok(Self { query, recursion, message })
    }

    /// The address that the name asked about stands for, if it does (RFC 1035, section
    /// 3.5; RFC 3596, section 2.5). All of it: a zone of addresses is none.
    pub(super) fn address(&self) -> Option<IpAddr> {
        let name = self.query.name();
        let network = name.parse_arpa_name().ok()?;
        (network.prefix_len() == network.max_prefix_len()).then(|| network.addr())
    }

    /// The message with an id that nobody can guess.
    pub(super) fn with_random_id(&self) -> Vec<u8> {
        let id: [u8; 2] = clock::rng().random();
        let mut message = self.message.clone();
        message[ID].copy_from_slice(&id);
        message
    }

    /// The message with id 0, for transports that tell answers apart themselves
    /// (RFC 8484, section 4.1; RFC 9250, section 4.2.1).
    pub(super) fn with_id_0(&self) -> Vec<u8> {
        self.message.clone()
    }

    /// Whether `other` asks the same; names differ by case only in their looks.
    pub(super) fn is(&self, other: &Query) -> bool {
        other.name() == self.query.name()
            && other.query_type() == self.query.query_type()
            && other.query_class() == DNSClass::IN
    }
}

/// Says how much fits into a datagram.
fn edns() -> Edns {
    let mut edns = Edns::new();
    edns.set_max_payload(limits::DNS_UDP_PAYLOAD);
    edns
}

/// The codec's word for a record type.
fn record_type(record: monitor::RecordType) -> RecordType {
    use monitor::RecordType as Ours;
    match record {
        Ours::A => RecordType::A,
        Ours::Aaaa => RecordType::AAAA,
        Ours::Caa => RecordType::CAA,
        Ours::Cname => RecordType::CNAME,
        Ours::Mx => RecordType::MX,
        Ours::Ns => RecordType::NS,
        Ours::Ptr => RecordType::PTR,
        Ours::Soa => RecordType::SOA,
        Ours::Srv => RecordType::SRV,
        Ours::Txt => RecordType::TXT,
    }
}
