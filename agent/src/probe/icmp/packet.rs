//! Echo requests and what comes back for them, as bytes (RFC 792, RFC 4443).
//!
//! A request carries a [`Token`]: a number that this process drew, which nobody
//! off the path can guess, and the number of the request. Identifier and
//! sequence of the header are too short for that, and ping sockets choose the
//! identifier themselves. An error message quotes the beginning of the request,
//! which RFC 792 lets end before the token; then sequence and destination decide.

use super::fault::Fault;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Type, code, checksum, identifier, sequence.
pub(super) const HEADER_BYTES: usize = 8;
const TOKEN_BYTES: usize = 16;
/// The longest request: what an Ethernet frame holds.
pub(super) const REQUEST_BYTES: usize = HEADER_BYTES + 1_472;

/// Which of the two protocols.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Version {
    V4,
    V6,
}

impl Version {
    /// Of an address.
    pub(super) fn of(address: IpAddr) -> Self {
        if address.is_ipv6() { Self::V6 } else { Self::V4 }
    }

    /// Type numbers of the echo request and its reply.
    pub(super) fn echo(self) -> (u8, u8) {
        match self {
            Self::V4 => (8, 0),
            Self::V6 => (128, 129),
        }
    }
}

/// What makes a request this process's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) nonce: u64,
    pub(super) serial: u64,
}

impl Token {
    /// The sequence that goes with it.
    pub(super) fn sequence(self) -> u16 {
        (self.serial & 0xffff) as u16
    }

    fn read(payload: &[u8]) -> Option<Self> {
        let (nonce, rest) = payload.split_first_chunk()?;
        let (serial, _) = rest.split_first_chunk()?;
        Some(Self { nonce: u64::from_be_bytes(*nonce), serial: u64::from_be_bytes(*serial) })
    }
}

/// What came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Message {
    Reply(Token),
    Fault(Fault, Quoted),
}

/// What an error message says about the request that it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Quoted {
    pub(super) id: u16,
    pub(super) sequence: u16,
    pub(super) token: Option<Token>,
    /// `None` where the socket, not the message, knows it.
    pub(super) destination: Option<IpAddr>,
}

/// Writes a request with `payload` bytes of payload into `buffer`, and returns it.
pub(super) fn request(
    version: Version,
    id: u16,
    token: Token,
    payload: u16,
    buffer: &mut [u8; REQUEST_BYTES],
) -> &[u8] {
    let payload = usize::from(payload).clamp(TOKEN_BYTES, REQUEST_BYTES - HEADER_BYTES);
    let packet = &mut buffer[..HEADER_BYTES + payload];
    packet[..4].copy_from_slice(&[version.echo().0, 0, 0, 0]);
    packet[4..6].copy_from_slice(&id.to_be_bytes());
    packet[6..8].copy_from_slice(&token.sequence().to_be_bytes());
    packet[8..16].copy_from_slice(&token.nonce.to_be_bytes());
    packet[16..24].copy_from_slice(&token.serial.to_be_bytes());
    for (place, byte) in packet[24..].iter_mut().enumerate() {
        *byte = (place & 0xff) as u8;
    }
    // The kernel fills it in for IPv6, whose checksum covers the addresses, and for ping sockets.
    if version == Version::V4 {
        let sum = checksum(packet);
        packet[2..4].copy_from_slice(&sum.to_be_bytes());
    }
    packet
}

/// The internet checksum (RFC 1071) of bytes whose own checksum is zero.
fn checksum(bytes: &[u8]) -> u16 {
    let (pairs, last) = bytes.as_chunks::<2>();
    let sum: u32 = pairs.iter().map(|pair| u32::from(u16::from_be_bytes(*pair))).sum();
    let mut sum = sum + last.first().map_or(0, |byte| u32::from(*byte) << 8);
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// Reads a message without its IP header; `None` for what is not for a pinger.
pub(super) fn read(version: Version, message: &[u8]) -> Option<Message> {
    let (header, rest) = message.split_first_chunk::<HEADER_BYTES>()?;
    let (kind, code) = (header[0], header[1]);
    if kind == version.echo().1 {
        return Token::read(rest).map(Message::Reply);
    }
    let fault = Fault::new(version, kind, code)?;
    let (destination, request) = match version {
        Version::V4 => embedded_v4(rest)?,
        Version::V6 => embedded_v6(rest)?,
    };
    Some(Message::Fault(fault, quoted(version, request, Some(destination))?))
}

/// Takes the IPv4 header off that raw sockets deliver.
pub(super) fn without_header(packet: &[u8]) -> Option<&[u8]> {
    let length = usize::from(packet.first()? & 0x0f) * 4;
    packet.get(length.max(20)..)
}

/// Reads the beginning of a request of ours.
pub(super) fn quoted(
    version: Version,
    request: &[u8],
    destination: Option<IpAddr>,
) -> Option<Quoted> {
    let (header, payload) = request.split_first_chunk::<HEADER_BYTES>()?;
    let [kind, 0, _, _, id_high, id_low, sequence_high, sequence_low] = *header else {
        return None;
    };
    (kind == version.echo().0).then(|| Quoted {
        id: u16::from_be_bytes([id_high, id_low]),
        sequence: u16::from_be_bytes([sequence_high, sequence_low]),
        token: Token::read(payload),
        destination,
    })
}

fn embedded_v4(packet: &[u8]) -> Option<(IpAddr, &[u8])> {
    const ICMP: u8 = 1;
    let header = packet.first_chunk::<20>()?;
    let fragment = u16::from_be_bytes([header[6], header[7]]) & 0x1fff;
    if header[0] >> 4 != 4 || header[9] != ICMP || fragment != 0 {
        return None;
    }
    let to = Ipv4Addr::from([header[16], header[17], header[18], header[19]]);
    Some((to.into(), without_header(packet)?))
}

fn embedded_v6(packet: &[u8]) -> Option<(IpAddr, &[u8])> {
    const ICMPV6: u8 = 58;
    const FRAGMENT: u8 = 44;
    let (header, rest) = packet.split_first_chunk::<40>()?;
    if header[0] >> 4 != 6 {
        return None;
    }
    let to = Ipv6Addr::from(*header[24..].first_chunk::<16>()?);
    match header[6] {
        ICMPV6 => Some((to.into(), rest)),
        FRAGMENT => match rest.split_first_chunk::<8>()? {
            ([ICMPV6, _, 0, low, ..], request) if low & 0xf8 == 0 => Some((to.into(), request)),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TOKEN: Token = Token { nonce: 0x0102_0304_0506_0708, serial: 0x2_0009 };

    fn sent(version: Version) -> Vec<u8> {
        request(version, 77, TOKEN, 32, &mut [0; REQUEST_BYTES]).to_vec()
    }

    /// An error message that quotes `keep` bytes of a request behind its IP header.
    fn error(version: Version, kind: u8, code: u8, keep: usize) -> Vec<u8> {
        let mut message = vec![kind, code, 0, 0, 0, 0, 0, 0];
        match version {
            Version::V4 => {
                message.extend([0x45, 0, 0, 60, 0, 0, 0x40, 0, 64, 1, 0, 0, 10, 0, 0, 1]);
                message.extend([192, 0, 2, 9]);
            }
            Version::V6 => {
                message.extend([0x60, 0, 0, 0, 0, 40, 58, 64]);
                message.extend([0; 16]);
                message.extend(Ipv6Addr::LOCALHOST.octets());
            }
        }
        message.extend(&sent(version)[..keep]);
        message
    }

    #[test]
    fn a_request_sums_up_to_nothing() {
        let packet = sent(Version::V4);
        assert_eq!(packet.len(), HEADER_BYTES + 32);
        assert_eq!(checksum(&packet), 0);
        assert_eq!(checksum(&[0x01]), !0x0100);
    }

    #[test]
    fn a_reply_brings_its_token_back() {
        for version in [Version::V4, Version::V6] {
            let mut reply = sent(version);
            assert_eq!(read(version, &reply), None, "a request is no reply");
            reply[0] = version.echo().1;
            assert_eq!(read(version, &reply), Some(Message::Reply(TOKEN)));
            assert_eq!(read(version, &reply[..HEADER_BYTES + 15]), None, "too short");
        }
    }

    #[test]
    fn an_error_quotes_its_request_whole_or_only_the_header() {
        for (version, kind, code, to) in [
            (Version::V4, 3, 1, IpAddr::from([192, 0, 2, 9])),
            (Version::V6, 3, 0, Ipv6Addr::LOCALHOST.into()),
        ] {
            for (keep, token) in [(40, Some(TOKEN)), (24, Some(TOKEN)), (8, None)] {
                let message = error(version, kind, code, keep);
                let Some(Message::Fault(fault, quoted)) = read(version, &message) else {
                    panic!("{version:?} {keep}");
                };
                assert_eq!((fault.kind, fault.code), (kind, code));
                let expected = Quoted { id: 77, sequence: 9, token, destination: Some(to) };
                assert_eq!(quoted, expected);
            }
            assert_eq!(read(version, &error(version, kind, code, 7)), None);
        }
    }

    #[test]
    fn an_error_about_something_else_is_not_ours() {
        let mut udp = error(Version::V4, 3, 3, 40);
        udp[8 + 9] = 17;
        assert_eq!(read(Version::V4, &udp), None);
        let mut later_fragment = error(Version::V4, 3, 1, 40);
        later_fragment[8 + 7] = 1;
        assert_eq!(read(Version::V4, &later_fragment), None);
        let redirect = error(Version::V4, 5, 1, 40);
        assert_eq!(read(Version::V4, &redirect), None);
    }

    proptest! {
        #[test]
        fn no_bytes_do_harm(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            for version in [Version::V4, Version::V6] {
                let _read = read(version, &bytes);
                let _quoted = quoted(version, &bytes, None);
            }
            let _rest = without_header(&bytes);
        }
    }
}
