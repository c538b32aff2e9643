//! MySQL and MariaDB: the server greets, and the client answers with the short
//! form of its own handshake (MySQL Internals, "Connection Phase", `SSLRequest`).

use super::{at_least, exactly, refused};
use crate::probe::conversation::Conversation;
use crate::probe::deadline::Deadline;
use crate::probe::failure::Failure;
use crate::probe::limits;

/// Three bytes of length, one of sequence.
const HEAD_BYTES: usize = 4;
const PROTOCOL_10: u8 = 10;
const ERROR: u8 = 0xff;
const CLIENT_SSL: u16 = 0x0800;
/// What lies between the server's version and its capabilities: connection id,
/// eight bytes of challenge, one of padding.
const BEFORE_CAPABILITIES: usize = 4 + 8 + 1;

/// Capabilities (long password, protocol 4.1, TLS, secure connection), packets
/// of at most 16 MiB, character set utf8mb4, and padding.
const SSL_REQUEST: [u8; 36] = {
    let mut packet = [0; 36];
    packet[0] = 32;
    packet[3] = 1;
    let capabilities: u32 = 0x0001 | 0x0200 | 0x0800 | 0x8000;
    let bytes = capabilities.to_le_bytes();
    packet[4] = bytes[0];
    packet[5] = bytes[1];
    packet[11] = 0x01;
    packet[12] = 45;
    packet
};

pub(super) async fn negotiate(
    talk: &mut Conversation<'_>,
    deadline: &mut Deadline<'_>,
) -> Result<(), Failure> {
    at_least(HEAD_BYTES, talk, deadline).await?;
    let head = talk.answer();
    let length = u32::from_le_bytes([head[0], head[1], head[2], 0]);
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    if length > limits::LINE_BYTES {
        return Err(refused(talk, "did not greet as a MySQL server does"));
    }
    let whole = HEAD_BYTES + length;
    at_least(whole, talk, deadline).await?;
    match &talk.answer()[HEAD_BYTES..whole] {
        [ERROR, ..] => Err(refused(talk, "greeted with an error")),
        [PROTOCOL_10, greeting @ ..] => match capabilities(greeting) {
            Some(has) if has & CLIENT_SSL != 0 => {
                exactly(whole, talk)?;
                talk.say(&SSL_REQUEST, deadline).await
            }
            Some(_) => Err(refused(talk, "is a MySQL server without TLS")),
            None => Err(refused(talk, "did not greet as a MySQL server does")),
        },
        _ => Err(refused(talk, "did not greet as a MySQL server does")),
    }
}

/// The lower half of the server's capabilities.
fn capabilities(greeting: &[u8]) -> Option<u16> {
    let version = greeting.iter().position(|byte| *byte == 0)?;
    let rest = greeting.get(version + 1 + BEFORE_CAPABILITIES..)?;
    Some(u16::from_le_bytes(*rest.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_stand_behind_version_and_challenge() {
        let mut greeting = b"8.0.36\0".to_vec();
        greeting.extend([1, 0, 0, 0]);
        greeting.extend(b"challeng\0");
        greeting.extend(0xf7ff_u16.to_le_bytes());
        assert_eq!(capabilities(&greeting).map(|has| has & CLIENT_SSL), Some(0));
        let at = greeting.len() - 1;
        greeting[at] = 0xff;
        assert_eq!(capabilities(&greeting).map(|has| has & CLIENT_SSL), Some(CLIENT_SSL));
        for short in [&b""[..], b"8.0", b"8.0\0", &greeting[..at]] {
            assert_eq!(capabilities(short), None);
        }
    }
}
