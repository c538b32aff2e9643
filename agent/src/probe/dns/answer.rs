//! From the bytes of an answer to what it says.
//!
//! `message.rs` decodes; what it leaves open is decided here: which records answer
//! the question, and how their data are written. To add a record type: an arm in
//! [`data`].

use super::message::{Mismatch, Opened, Sections};
use super::query::Question;
use crate::probe::limits;
use hickory_resolver::proto::rr::{DNSClass, Name, RData, Record};
use hyperverge_protocol::dns::{DomainName, RecordData, rcode_name};
use hyperverge_protocol::limits::SAMPLE_BYTES;
use hyperverge_protocol::outcome::DnsFacts;
use std::net::IpAddr;

/// TTLs with the highest bit set count as 0 (RFC 2181, section 8).
const TTL_MAX: u32 = i32::MAX as u32;

/// An answer to our question.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) facts: DnsFacts,
    /// Records that answer the question, but whose data cannot be written as text.
    pub(super) unwritten: usize,
    /// Data of the name servers and starts of authority in the authority section.
    pub(super) authority: Vec<String>,
    /// The records, for people, where an answer is kept as a sample.
    pub(super) sample: Vec<u8>,
    /// Every address that any of this tells, whoever's it is.
    pub(super) addresses: Vec<IpAddr>,
}

impl Reply {
    /// Reads what came for the message `sent`, which asked `question`.
    pub(super) fn read(bytes: &[u8], sent: &[u8], question: &Question) -> Result<Self, Mismatch> {
        Opened::read(bytes, sent, question)?.sections().map(|message| Self::of(&message, question))
    }

    /// The same for a datagram; `None` where the answer was cut to fit into it, and so
    /// has to be asked for by other means.
    pub(super) fn read_datagram(
        bytes: &[u8],
        sent: &[u8],
        question: &Question,
    ) -> Result<Option<Self>, Mismatch> {
        let opened = Opened::read(bytes, sent, question)?;
        if opened.truncated() {
            return Ok(None);
        }
        opened.sections().map(|message| Some(Self::of(&message, question)))
    }

    fn of(message: &Sections, question: &Question) -> Self {
        let answers = answering(message, question);
        let (data, unwritten) = written(&answers);
        let code = u16::from(message.metadata.response_code);
        let facts = DnsFacts {
            rcode: rcode_name(code).into_owned(),
            answers: data,
            ttl_s: answers.iter().map(|record| ttl(record)).min(),
            authoritative: message.metadata.authoritative,
            truncated: message.metadata.truncation,
        };
        let authority = message.authorities.iter().filter(|record| {
            matches!(record.data, RData::NS(_) | RData::SOA(_)) && record.dns_class == DNSClass::IN
        });
        let mut authority: Vec<String> =
            authority.filter_map(|record| Some(self::data(&record.data)?.to_string())).collect();
        authority.sort_unstable();
        authority.dedup();
        let addresses = addresses(message);
        Self { facts, unwritten, authority, sample: sample(message), addresses }
    }
}

/// The records of the type asked for, under the name asked for or what it is an
/// alias of according to the answer itself.
fn answering<'a>(message: &'a Sections, question: &Question) -> Vec<&'a Record> {
    let wanted = question.query.query_type();
    let mut owner: &Name = question.query.name();
    for _ in 0..=limits::DNS_ALIASES {
        let of_owner = || {
            let records = message.answers.iter();
            records.filter(|record| record.dns_class == DNSClass::IN && record.name == *owner)
        };
        let found: Vec<&Record> =
            of_owner().filter(|record| record.record_type() == wanted).collect();
        if !found.is_empty() {
            return found;
        }
        let alias = of_owner().find_map(|record| match &record.data {
            RData::CNAME(alias) => Some(&alias.0),
            _ => None,
        });
        match alias {
            Some(next) => owner = next,
            None => break,
        }
    }
    Vec::new()
}

fn addresses(message: &Sections) -> Vec<IpAddr> {
    let records = message.answers.iter().chain(&message.authorities);
    let addresses = records.filter_map(|record| match &record.data {
        RData::A(address) => Some(IpAddr::V4(address.0)),
        RData::AAAA(address) => Some(IpAddr::V6(address.0)),
        _ => None,
    });
    addresses.collect()
}

/// Their data, each once and sorted, and how many have none that can be written.
fn written(records: &[&Record]) -> (Vec<String>, usize) {
    let mut texts: Vec<String> =
        records.iter().filter_map(|record| Some(data(&record.data)?.to_string())).collect();
    let unwritten = records.len() - texts.len();
    texts.sort_unstable();
    texts.dedup();
    (texts, unwritten)
}

fn ttl(record: &Record) -> u32 {
    if record.ttl > TTL_MAX { 0 } else { record.ttl }
}

/// Data of the types a monitor can ask for.
fn data(data: &RData) -> Option<RecordData> {
    Some(match data {
        RData::A(address) => RecordData::A(address.0),
        RData::AAAA(address) => RecordData::Aaaa(address.0),
        RData::CAA(caa) => RecordData::Caa {
            flags: caa.flags(),
            tag: caa.tag.to_ascii_lowercase(),
            value: caa.value.clone(),
        },
        RData::CNAME(alias) => RecordData::Name(name(&alias.0)?),
        RData::NS(server) => RecordData::Name(name(&server.0)?),
        RData::PTR(host) => RecordData::Name(name(&host.0)?),
        RData::MX(mx) => {
            RecordData::Mx { preference: mx.preference, exchange: name(&mx.exchange)? }
        }
        RData::SOA(soa) => RecordData::Soa {
            primary: name(&soa.mname)?,
            mailbox: name(&soa.rname)?,
            serial: soa.serial,
            refresh: soa.refresh.cast_unsigned(),
            retry: soa.retry.cast_unsigned(),
            expire: soa.expire.cast_unsigned(),
            minimum: soa.minimum,
        },
        RData::SRV(srv) => RecordData::Srv {
            priority: srv.priority,
            weight: srv.weight,
            port: srv.port,
            target: name(&srv.target)?,
        },
        RData::TXT(txt) => RecordData::Txt(txt.txt_data.iter().map(|text| text.to_vec()).collect()),
        _ => return None,
    })
}

fn name(name: &Name) -> Option<DomainName> {
    DomainName::from_labels(name.iter()).ok()
}

/// The records as in a zone file, as many as a sample holds.
fn sample(message: &Sections) -> Vec<u8> {
    let sections = [("answer", &message.answers), ("authority", &message.authorities)];
    let records = sections
        .iter()
        .flat_map(|(section, records)| records.iter().map(move |record| (*section, record)));
    let mut text = String::new();
    for (section, record) in records {
        if let (Some(owner), Some(data)) = (name(&record.name), data(&record.data)) {
            let (ttl, kind) = (ttl(record), record.record_type());
            text += &format!("{section}: {owner} {ttl} IN {kind} {data}\n");
        }
        if text.len() > SAMPLE_BYTES {
            break;
        }
    }
    text.truncate(text.floor_char_boundary(SAMPLE_BYTES));
    text.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::super::query::ID;
    use super::*;
    use hickory_resolver::proto::op::{Message, MessageType, OpCode, ResponseCode};
    use hickory_resolver::proto::rr::RecordType;
    use hickory_resolver::proto::rr::rdata::{A, CNAME, MX, TXT};
    use hyperverge_protocol::monitor::{self, DnsOptions};
    use proptest::prelude::*;

    fn question(record: monitor::RecordType) -> Question {
        let options = DnsOptions { record, ..DnsOptions::default() };
        Question::new("www.example.test", &options).expect("a question")
    }

    fn record(owner: &str, data: RData) -> Record {
        Record::from_rdata(owner.parse().expect("a name"), 300, data)
    }

    fn alias(owner: &str, to: &str) -> Record {
        record(owner, RData::CNAME(CNAME(to.parse().expect("a name"))))
    }

    fn address(owner: &str, last: u8) -> Record {
        record(owner, RData::A(A::new(192, 0, 2, last)))
    }

    /// The answer to `sent` with `records`, after `change`.
    fn answer(sent: &[u8], records: Vec<Record>, change: impl FnOnce(&mut Message)) -> Vec<u8> {
        let mut message = Message::from_vec(sent).expect("a question").into_response();
        message.add_answers(records);
        change(&mut message);
        message.to_vec().expect("an answer")
    }

    fn read(records: Vec<Record>, change: impl FnOnce(&mut Message)) -> Result<Reply, Mismatch> {
        let question = question(monitor::RecordType::A);
        let sent = question.with_random_id();
        Reply::read(&answer(&sent, records, change), &sent, &question)
    }

    #[test]
    fn aliases_are_followed_within_the_answer() {
        let found = |records| read(records, |_| {}).expect("a reply").facts.answers;
        let www = "www.example.test.";
        assert_eq!(found(vec![address(www, 2), address(www, 1)]), ["192.0.2.1", "192.0.2.2"]);
        let chain = vec![address("c.test.", 9), alias("b.test.", "c.test."), alias(www, "B.test.")];
        assert_eq!(found(chain), ["192.0.2.9"]);
        assert_eq!(found(vec![address("other.test.", 1)]), Vec::<String>::new());
        assert_eq!(found(vec![alias(www, "b.test."), alias("b.test.", www)]), Vec::<String>::new());
        assert_eq!(found(vec![alias(www, www)]), Vec::<String>::new());
        let long = |steps: usize| {
            let step = |n: usize| if n == 0 { www.to_owned() } else { format!("a{n}.test.") };
            let mut records: Vec<_> = (0..steps).map(|n| alias(&step(n), &step(n + 1))).collect();
            records.push(address(&step(steps), 1));
            found(records).len()
        };
        assert_eq!((long(limits::DNS_ALIASES), long(limits::DNS_ALIASES + 1)), (1, 0));
    }

    #[test]
    fn a_record_that_cannot_be_written_is_counted() {
        let www = "www.example.test.";
        let odd = record(www, RData::Update0(RecordType::A));
        let found = [&address(www, 1), &address(www, 1), &odd];
        assert_eq!(written(&found), (vec!["192.0.2.1".to_owned()], 1));
    }

    #[test]
    fn the_lowest_ttl_counts_and_an_impossible_one_is_none() {
        let ttl = |ttls: [u32; 2]| {
            let records = ttls.iter().enumerate().map(|(n, ttl)| {
                let mut record = address("www.example.test.", u8::try_from(n).expect("small"));
                record.ttl = *ttl;
                record
            });
            read(records.collect(), |_| {}).expect("a reply").facts.ttl_s
        };
        assert_eq!(ttl([600, 60]), Some(60));
        assert_eq!(ttl([60, u32::MAX]), Some(0));
        assert_eq!(read(Vec::new(), |_| {}).expect("a reply").facts.ttl_s, None);
    }

    #[test]
    fn what_answers_nothing_of_ours_is_stray_or_malformed() {
        let stray =
            |change: fn(&mut Message)| matches!(read(Vec::new(), change), Err(Mismatch::Stray(_)));
        assert!(stray(|m| m.metadata.id ^= 1));
        assert!(stray(|m| {
            m.queries[0].set_query_type(RecordType::AAAA);
        }));
        assert!(stray(|m| {
            m.queries[0].set_name("other.test.".parse().expect("a name"));
        }));
        let malformed = |change: fn(&mut Message)| {
            matches!(read(Vec::new(), change), Err(Mismatch::Malformed(_)))
        };
        assert!(malformed(|m| m.metadata.message_type = MessageType::Query));
        assert!(malformed(|m| m.metadata.op_code = OpCode::Notify));
        assert!(malformed(|m| m.queries.push(m.queries[0].clone())));
        assert!(malformed(|m| m.queries.clear()));
        let refused = read(Vec::new(), |m| {
            m.queries.clear();
            m.metadata.response_code = ResponseCode::FormErr;
        });
        assert_eq!(refused.expect("a reply").facts.rcode, "FORMERR");
        let bad_version = read(Vec::new(), |m| m.metadata.response_code = ResponseCode::BADVERS);
        assert_eq!(bad_version.expect("a reply").facts.rcode, "BADVERS");
    }

    #[test]
    fn broken_messages_are_malformed() {
        let question = question(monitor::RecordType::A);
        let sent = question.with_random_id();
        let good = answer(&sent, vec![address("www.example.test.", 1)], |_| {});
        let read = |bytes: &[u8]| Reply::read(bytes, &sent, &question);
        assert!(read(&good).is_ok());
        let with = |at: usize, bytes: &[u8]| {
            let mut broken = good.clone();
            broken[at..at + bytes.len()].copy_from_slice(bytes);
            broken
        };
        let records = 12 + question_bytes(&sent);
        let broken = [
            ("only an id", good[..2].to_vec()),
            ("half a header", good[..11].to_vec()),
            ("cut", good[..records + 1].to_vec()),
            ("cut in its data", good[..records + 15].to_vec()),
            ("65535 questions", with(4, &[0xff, 0xff])),
            ("65535 answers", with(6, &[0xff, 0xff])),
            ("65535 everything", with(4, &[0xff; 8])),
            (
                "a name that points to itself",
                with(records, &[0xc0, u8::try_from(records).expect("small")]),
            ),
            ("a name that points forward", with(records, &[0xc0, 0xff])),
        ];
        for (what, bytes) in broken {
            assert!(
                matches!(read(&bytes), Err(Mismatch::Malformed(_))),
                "{what}: {:?}",
                read(&bytes)
            );
        }
        assert!(matches!(read(&[]), Err(Mismatch::Stray(_))));
    }

    #[test]
    fn what_follows_the_records_that_decide_decides_nothing() {
        let question = question(monitor::RecordType::A);
        let sent = question.with_random_id();
        let code = |additional: &[&[u8]]| {
            let www = address("www.example.test.", 1);
            let mut bytes = answer(&sent, vec![www], |message| message.edns = None);
            bytes[10..12].copy_from_slice(&[0, u8::try_from(additional.len()).expect("few")]);
            bytes.extend(additional.concat());
            let reply = Reply::read(&bytes, &sent, &question).expect("a reply");
            assert_eq!(reply.facts.answers, ["192.0.2.1"], "{additional:?}");
            reply.facts.rcode
        };
        // An address of no bytes; its name is the question's.
        let empty = [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 0];
        let upper_1 = [0, 0, 41, 4, 0xd0, 1, 0, 0, 0, 0, 0];
        let of_a_name = [0xc0, 12, 0, 41, 4, 0xd0, 1, 0, 0, 0, 0, 0];
        let cut = [0, 0, 16, 0, 1, 0, 0, 0, 9, 0xff, 0xff, 1];
        assert_eq!(code(&[&empty]), "NOERROR");
        assert_eq!(code(&[&of_a_name]), "NOERROR");
        assert_eq!(code(&[&cut, &upper_1]), "NOERROR");
        assert_eq!(code(&[&[0xc0, 0xff]]), "NOERROR");
        assert_eq!(code(&[&[]]), "NOERROR");
        assert_eq!(code(&[&upper_1]), "BADVERS");
        assert_eq!(code(&[&empty, &upper_1, &[0, 0, 41, 4]]), "BADVERS");
    }

    #[test]
    fn a_cut_datagram_is_no_reply_but_an_answer() {
        let question = question(monitor::RecordType::A);
        let sent = question.with_random_id();
        let records = || vec![address("www.example.test.", 1), address("www.example.test.", 2)];
        let whole = answer(&sent, records(), |_| {});
        let cut = answer(&sent, records(), |message| message.metadata.truncation = true);
        let read = |bytes: &[u8]| Reply::read_datagram(bytes, &sent, &question);
        assert!(matches!(read(&whole), Ok(Some(_))));
        for length in 12 + question_bytes(&sent)..=cut.len() {
            assert!(matches!(read(&cut[..length]), Ok(None)), "{length}");
        }
        let without_question = read(&cut[..12 + question_bytes(&sent) - 1]);
        assert!(matches!(without_question, Err(Mismatch::Malformed(_))), "{without_question:?}");
        let other = answer(&sent, records(), |message| {
            message.metadata.truncation = true;
            message.queries[0].set_query_type(RecordType::AAAA);
        });
        assert!(matches!(read(&other), Err(Mismatch::Stray(_))));
    }

    fn question_bytes(sent: &[u8]) -> usize {
        let name = sent[12..].iter().position(|byte| *byte == 0).expect("the root");
        name + 1 + 4
    }

    proptest! {
        /// Whatever arrives: an answer, or a reason why it is none.
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            let question = question(monitor::RecordType::Txt);
            let sent = question.with_random_id();
            let framed = [sent[ID].to_vec(), bytes].concat();
            drop(Reply::read(&framed, &sent, &question));
        }

        #[test]
        fn no_mutation_of_an_answer_panics(
            changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..12),
            cut in proptest::option::of(any::<proptest::sample::Index>()),
        ) {
            let question = question(monitor::RecordType::Mx);
            let sent = question.with_random_id();
            let exchange = "mail.www.example.test.".parse().expect("a name");
            let records = vec![
                alias("www.example.test.", "w.example.test."),
                record("w.example.test.", RData::MX(MX::new(10, exchange))),
                record("w.example.test.", RData::TXT(TXT::from_bytes(vec![b"a\0b", b"c"]))),
                address("mail.www.example.test.", 7),
            ];
            let mut bytes = answer(&sent, records, |_| {});
            for (at, byte) in changes {
                // The id stays, so that what follows is looked at.
                let at = 2 + at.index(bytes.len() - 2);
                bytes[at] = byte;
            }
            if let Some(cut) = cut {
                bytes.truncate(cut.index(bytes.len()));
            }
            if let Ok(reply) = Reply::read(&bytes, &sent, &question) {
                for data in &reply.facts.answers {
                    let again = RecordData::parse(monitor::RecordType::Mx, data);
                    prop_assert_eq!(again.map(|data| data.to_string()), Ok(data.clone()));
                }
            }
        }
    }
}
