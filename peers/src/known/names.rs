//! A name server that takes its time: `m7.known.test` is the address of monitor 7.
//!
//! Just enough of RFC 1035 for a stub resolver: one question, one address or none.

use super::{DOMAIN, Log, RESOLVE, stamped};
use crate::{clock, monitors};
use std::net::Ipv4Addr;
use std::sync::Arc;
use tokio::io::Interest;
use tokio::net::UdpSocket;

const HEADER_BYTES: usize = 12;
const TYPE_A: u16 = 1;

/// Answers for as long as `socket` can be read.
pub(super) async fn answer(socket: Arc<UdpSocket>, log: Log) {
    let mut buffer = [0; 512];
    loop {
        let receive = || stamped::receive(&*socket, &mut buffer);
        let Ok(came) = socket.async_io(Interest::READABLE, receive).await else { return };
        let asked = came.from.zip(Question::read(&buffer[..came.bytes]));
        let Some((from, question)) = asked else { continue };
        let (socket, log) = (Arc::clone(&socket), log.clone());
        tokio::spawn(async move {
            tokio::time::sleep(RESOLVE).await;
            let now = clock::wall();
            if socket.send_to(&question.answer(), from).await.is_ok() {
                log.line("question", &question.name, &[came.at, now.saturating_sub(came.at)]);
            }
        });
    }
}

/// What somebody wants to know.
#[derive(Debug)]
struct Question {
    /// Header and question, as they came.
    bytes: Vec<u8>,
    name: String,
    kind: u16,
}

impl Question {
    fn read(message: &[u8]) -> Option<Self> {
        let mut rest = message.get(HEADER_BYTES..)?;
        let mut labels = Vec::new();
        loop {
            let (length, behind) = rest.split_first()?;
            let (label, behind) = behind.split_at_checked((*length).into())?;
            rest = behind;
            if label.is_empty() {
                break;
            }
            labels.push(String::from_utf8_lossy(label).to_ascii_lowercase());
        }
        let (kind, rest) = rest.split_first_chunk()?;
        let length = message.len() - rest.get(2..)?.len();
        let (bytes, name) = (message[..length].to_vec(), labels.join("."));
        Some(Self { bytes, name, kind: u16::from_be_bytes(*kind) })
    }

    fn address(&self) -> Option<Ipv4Addr> {
        let host = self.name.strip_suffix(DOMAIN)?.strip_suffix('.')?;
        let index = host.strip_prefix('m')?.parse().ok()?;
        (self.kind == TYPE_A).then(|| monitors::address(index))
    }

    fn answer(&self) -> Vec<u8> {
        let address = self.address();
        let mut answer = self.bytes.clone();
        // An answer, with authority; recursion as it was desired, and available.
        answer[2] = 0x84 | (self.bytes[2] & 1);
        answer[3] = 0x80;
        // One question, the addresses there are, nothing else.
        answer[4..HEADER_BYTES].copy_from_slice(&[0, 1, 0, address.is_some().into(), 0, 0, 0, 0]);
        if let Some(address) = address {
            // The name of the question, A, IN, a second to live, four bytes.
            answer.extend([0xc0, HEADER_BYTES as u8, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4]);
            answer.extend(address.octets());
        }
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asking(name: &str, kind: u8) -> Vec<u8> {
        let mut message = vec![7, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1];
        for label in name.split('.') {
            message.push(u8::try_from(label.len()).expect("short"));
            message.extend(label.as_bytes());
        }
        message.extend([0, 0, kind, 0, 1]);
        // What comes behind, such as EDNS, is not looked at.
        message.extend([0, 0, 41, 4, 0, 0, 0, 0, 0, 0, 0]);
        message
    }

    #[test]
    fn the_name_of_a_monitor_is_its_address() {
        let question = Question::read(&asking("M17.known.test", 1)).expect("a question");
        assert_eq!(question.name, "m17.known.test");
        let answer = question.answer();
        assert_eq!(answer[..12], [7, 7, 0x85, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]);
        assert!(answer.ends_with(&monitors::address(17).octets()));
    }

    #[test]
    fn other_questions_have_no_answer() {
        for (name, kind) in [("m17.known.test", 28), ("known.test", 1), ("mx.known.test", 1)] {
            let question = Question::read(&asking(name, kind)).expect("a question");
            assert_eq!(question.answer()[6..8], [0, 0], "{name} {kind}");
        }
        assert!(Question::read(&asking("a.test", 1)[..14]).is_none());
    }
}
