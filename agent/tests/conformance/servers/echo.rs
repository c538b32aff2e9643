//! A host that answers echo requests (IPv4) as a test says, where the kernel was
//! told not to: `net.ipv4.icmp_echo_ignore_all=1` in a network of the test's own.

use hyperverge_agent::clock;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// One answer to a request: after how long, from which address, what.
pub(crate) struct Answer {
    pub(crate) after: Duration,
    pub(crate) from: Ipv4Addr,
    pub(crate) message: Vec<u8>,
}

impl Answer {
    /// What the kernel would have answered.
    pub(crate) fn to(request: &[u8]) -> Self {
        let mut message = request.to_vec();
        message[0] = 0;
        Self { after: Duration::ZERO, from: Ipv4Addr::LOCALHOST, message }
    }
}

/// When each answer was sent.
pub(crate) type Log = Arc<Mutex<Vec<Instant>>>;

/// Answers the requests to 127.0.0.1, each by its number, until the process ends.
pub(crate) fn answering<F>(script: F) -> Log
where
    F: Fn(usize, &[u8]) -> Vec<Answer> + Send + 'static,
{
    let open = || Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::ICMPV4)).expect("a socket");
    let mut requests = open();
    let log = Log::default();
    let noted = Arc::clone(&log);
    std::thread::spawn(move || {
        let mut number = 0;
        let mut buffer = [0; 4096];
        while let Ok(length) = requests.read(&mut buffer) {
            let packet = &buffer[..length];
            let from = Ipv4Addr::from(*packet[12..].first_chunk::<4>().expect("a source"));
            let message = &packet[usize::from(packet[0] & 15) * 4..];
            if message[0] != 8 {
                continue;
            }
            let seen = clock::monotonic();
            for answer in script(number, message) {
                while let Some(left) = answer.after.checked_sub(clock::monotonic() - seen) {
                    std::thread::park_timeout(left.max(Duration::from_micros(1)));
                }
                let address = |ip| SockAddr::from(SocketAddr::new(IpAddr::V4(ip), 0));
                let socket = open();
                socket.bind(&address(answer.from)).expect("a loopback address");
                let mut message = answer.message;
                seal(&mut message);
                socket.send_to(&message, &address(from)).expect("sent");
                noted.lock().expect("the log").push(clock::monotonic());
            }
            number += 1;
        }
    });
    log
}

/// Writes the checksum (RFC 1071).
fn seal(message: &mut [u8]) {
    message[2..4].fill(0);
    let word = |pair: &[u8]| u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or(0));
    let mut sum: u32 = message.chunks(2).map(word).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    let sum = !u16::try_from(sum).expect("folded");
    message[2..4].copy_from_slice(&sum.to_be_bytes());
}
