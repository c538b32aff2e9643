//! The sockets that all checks of this process ping through.
//!
//! A socket per check would cost a descriptor, six system calls and a wake-up
//! each. Here one socket serves every check of its [`Flavour`], and one task
//! reads it, finds for each message the request it answers, and wakes a check
//! only when everything it waits for has come. Round trips end when the kernel
//! took the answer in, not when that task had its turn.

use super::fault::Fault;
use super::packet::{self, Message, Quoted, REQUEST_BYTES, Token, Version};
use super::round::{Answer, Heard};
use super::socket::{self, Datagram, Flavour, Inbox};
use super::stamps::Clocks;
use crate::clock;
use crate::probe::limits::{PING_DRAIN, PING_SEND_ATTEMPTS, PING_SOCKETS};
use nix::errno::Errno;
use socket2::{SockAddr, Socket};
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::task::JoinHandle;

/// A round trip of nothing is one that was not measured.
const LEAST_ROUND_TRIP: Duration = Duration::from_micros(1);

/// All sockets there are, opened when a check first needs one.
#[derive(Debug, Default)]
pub(in crate::probe) struct Sockets(Mutex<BTreeMap<Flavour, Entry>>);

#[derive(Debug)]
struct Entry {
    socket: Arc<PingSocket>,
    reader: JoinHandle<()>,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

impl Sockets {
    /// The socket of `flavour`. A refusal is not remembered: the host may be
    /// set right while the agent runs.
    pub(super) fn get(&self, flavour: Flavour) -> io::Result<Arc<PingSocket>> {
        let mut entries = lock(&self.0);
        if let Some(entry) = entries.get(&flavour)
            && !entry.reader.is_finished()
            && !entry.socket.is_broken()
        {
            return Ok(Arc::clone(&entry.socket));
        }
        if entries.len() >= PING_SOCKETS {
            // What only the table and its reader hold is not in use.
            entries.retain(|_, entry| Arc::strong_count(&entry.socket) > 2);
        }
        let socket = Arc::new(PingSocket::open(flavour)?);
        let reader = tokio::spawn(read(Arc::clone(&socket)));
        entries.insert(flavour, Entry { socket: Arc::clone(&socket), reader });
        Ok(socket)
    }
}

/// One socket and the requests that wait for an answer on it.
#[derive(Debug)]
pub(super) struct PingSocket {
    socket: AsyncFd<Socket>,
    version: Version,
    raw: bool,
    id: u16,
    nonce: u64,
    next: AtomicU64,
    flights: Mutex<BTreeMap<u64, Flight>>,
    inbox: Mutex<Receiving>,
    dropped: AtomicU32,
    /// Nothing is read from it any more.
    broken: AtomicBool,
}

#[derive(Debug)]
struct Receiving {
    inbox: Inbox,
    clocks: Clocks,
}

/// A request on its way.
#[derive(Debug)]
struct Flight {
    to: IpAddr,
    sent: Instant,
    heard: Arc<Heard>,
    index: usize,
}

impl PingSocket {
    fn open(flavour: Flavour) -> io::Result<Self> {
        let [a, b, nonce @ .., _, _, _, _, _, _] = clock::random_id();
        let id = u16::from_be_bytes([a, b]);
        let (socket, raw) = socket::open(flavour, id)?;
        Ok(Self {
            socket: watched(socket)?,
            version: flavour.version,
            raw,
            id,
            nonce: u64::from_be_bytes(nonce),
            next: AtomicU64::new(0),
            flights: Mutex::default(),
            inbox: Mutex::new(Receiving { inbox: Inbox::new(), clocks: Clocks::new() }),
            dropped: AtomicU32::new(0),
            broken: AtomicBool::new(false),
        })
    }

    /// How many messages this host had no room for since the socket was opened.
    pub(super) fn dropped(&self) -> u32 {
        self.dropped.load(Relaxed)
    }

    /// Whether this host refuses to let it be read.
    pub(super) fn is_broken(&self) -> bool {
        self.broken.load(Relaxed)
    }

    /// Sends request number `index` of a check; what comes back for it goes to
    /// `heard`, until it is forgotten by the number returned.
    pub(super) fn send(
        &self,
        to: IpAddr,
        payload: u16,
        heard: &Arc<Heard>,
        index: usize,
    ) -> io::Result<u64> {
        let address = SockAddr::from(SocketAddr::new(to, 0));
        let token = Token { nonce: self.nonce, serial: self.next.fetch_add(1, Relaxed) };
        let mut buffer = [0; REQUEST_BYTES];
        let packet = packet::request(self.version, self.id, token, payload, &mut buffer);
        let mut attempts = PING_SEND_ATTEMPTS;
        loop {
            attempts -= 1;
            let flight = Flight { to, sent: clock::monotonic(), heard: Arc::clone(heard), index };
            lock(&self.flights).insert(token.serial, flight);
            match self.socket.get_ref().send_to(packet, &address) {
                Ok(_) => return Ok(token.serial),
                // A ping socket fails one call for each error message that came in, whosever it is.
                Err(_) if !self.raw && attempts > 0 => {}
                Err(error) => {
                    self.forget(&[token.serial]);
                    return Err(error);
                }
            }
        }
    }

    /// Nobody waits for these any more.
    pub(super) fn forget(&self, serials: &[u64]) {
        let mut flights = lock(&self.flights);
        for serial in serials {
            flights.remove(serial);
        }
    }

    /// Takes in what is there; `false` if that may not have been all. Besides
    /// the reader, a check does this before it gives up: what the kernel has
    /// taken in by then did come in time, however busy this process is.
    pub(super) fn drain(&self, errors: bool) -> bool {
        let mut inbox = lock(&self.inbox);
        let clocks = inbox.clocks.read();
        let inbox = &mut inbox.inbox;
        for from_errors in [errors && !self.raw, false] {
            let mut left = PING_DRAIN;
            loop {
                match inbox.receive(self.socket.get_ref(), from_errors) {
                    Ok(datagram) => self.take(&datagram, &clocks),
                    Err(Errno::EAGAIN) => break,
                    Err(errno) if is_passing(errno) => {}
                    Err(_) => {
                        self.broken.store(true, Relaxed);
                        return true;
                    }
                }
                left -= 1;
                if left == 0 {
                    return false;
                }
            }
        }
        true
    }

    fn take(&self, datagram: &Datagram<'_>, clocks: &Clocks) {
        if let Some(dropped) = datagram.dropped {
            self.dropped.store(dropped, Relaxed);
        }
        if let Some((kind, code, by)) = datagram.error {
            let fault = Fault::new(self.version, kind, code);
            let quoted = packet::quoted(self.version, datagram.bytes, datagram.address);
            if let (Some(fault), Some(quoted)) = (fault, quoted) {
                self.fault(fault, &quoted, by);
            }
            return;
        }
        let bytes = match (self.raw, self.version) {
            (true, Version::V4) => packet::without_header(datagram.bytes),
            _ => Some(datagram.bytes),
        };
        match bytes.and_then(|bytes| packet::read(self.version, bytes)) {
            Some(Message::Reply(token)) => {
                self.reply(token, datagram.address, clocks.place(datagram.stamp));
            }
            Some(Message::Fault(fault, quoted)) if quoted.id == self.id => {
                self.fault(fault, &quoted, datagram.address);
            }
            Some(Message::Fault(..)) | None => {}
        }
    }

    /// A reply must come from where the request went (RFC 1122, 3.2.2.6); a
    /// second one finds no flight.
    fn reply(&self, token: Token, from: Option<IpAddr>, at: Option<Instant>) {
        let landed = {
            let mut flights = lock(&self.flights);
            let flight = flights.get(&token.serial);
            if token.nonce != self.nonce || flight.map(|flight| flight.to) != from {
                return;
            }
            flights.remove(&token.serial)
        };
        if let Some(flight) = landed {
            // Nothing comes before it was sent; a stamp that says so is not believed.
            let at = at.filter(|at| *at > flight.sent);
            if at.is_some_and(|at| flight.heard.is_over(at)) {
                return;
            }
            let at = at.unwrap_or_else(clock::monotonic);
            let took = at.saturating_duration_since(flight.sent).max(LEAST_ROUND_TRIP);
            flight.heard.hear(flight.index, Answer::Reply(took));
        }
    }

    fn fault(&self, fault: Fault, quoted: &Quoted, by: Option<IpAddr>) {
        let landed = {
            let mut flights = lock(&self.flights);
            let serial = match quoted.token {
                Some(token) if token.nonce == self.nonce => Some(token.serial),
                Some(_) => None,
                None => latest(&flights, quoted),
            };
            serial.and_then(|serial| flights.remove(&serial))
        };
        if let Some(flight) = landed {
            flight.heard.hear(flight.index, Answer::Fault(fault, by));
        }
    }
}

/// Whether reading may go on after `errno`. What an ICMP message stands for is told
/// once per message, which itself is in the error queue.
fn is_passing(errno: Errno) -> bool {
    matches!(
        errno,
        Errno::EINTR
            | Errno::ECONNREFUSED
            | Errno::EHOSTUNREACH
            | Errno::ENETUNREACH
            | Errno::EHOSTDOWN
            | Errno::ENONET
            | Errno::ENOPROTOOPT
            | Errno::EOPNOTSUPP
            | Errno::EMSGSIZE
            | Errno::EPROTO
            | Errno::EACCES
    )
}

/// Waits for what comes in only: being told of room to send would cost a wake-up per request.
#[expect(deprecated, reason = "a Socket keeps its one descriptor, as the unsafe successor asks")]
fn watched(socket: Socket) -> io::Result<AsyncFd<Socket>> {
    AsyncFd::with_interest(socket, Interest::READABLE | Interest::ERROR)
}

/// The youngest request that an error message without a token may be about.
fn latest(flights: &BTreeMap<u64, Flight>, quoted: &Quoted) -> Option<u64> {
    let (oldest, youngest) = (*flights.first_key_value()?.0, *flights.last_key_value()?.0);
    let turn = u64::from(u16::MAX) + 1;
    let first = youngest - (youngest.wrapping_sub(quoted.sequence.into()) % turn).min(youngest);
    std::iter::successors(Some(first), |serial| serial.checked_sub(turn))
        .take_while(|serial| *serial >= oldest)
        .find(|serial| flights.get(serial).is_some_and(|f| Some(f.to) == quoted.destination))
}

/// Reads one socket until it breaks; then who needs it next opens another.
async fn read(socket: Arc<PingSocket>) {
    // An error here means that the runtime is going down.
    while let Ok(mut ready) = socket.socket.ready(Interest::READABLE | Interest::ERROR).await {
        if socket.drain(ready.ready().is_error()) {
            if socket.is_broken() {
                return;
            }
            ready.clear_ready();
        } else {
            tokio::task::yield_now().await;
        }
    }
}

/// Nothing panics while it holds one of these locks.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_without_a_token_is_matched_by_sequence_and_destination() {
        let (a, b): (IpAddr, IpAddr) = ([192, 0, 2, 1].into(), [192, 0, 2, 2].into());
        let heard = Arc::new(Heard::new(1, clock::monotonic()));
        let flight =
            |to| Flight { to, sent: clock::monotonic(), heard: Arc::clone(&heard), index: 0 };
        let turn = 0x1_0000;
        let flights: BTreeMap<u64, Flight> =
            [(7, flight(a)), (turn + 7, flight(b)), (turn + 9, flight(a))].into();
        let find = |sequence, to| {
            latest(&flights, &Quoted { id: 0, sequence, token: None, destination: Some(to) })
        };
        assert_eq!(find(7, b), Some(turn + 7));
        assert_eq!(find(7, a), Some(7));
        assert_eq!(find(9, a), Some(turn + 9));
        assert_eq!(find(9, b), None);
        assert_eq!(find(8, a), None);
        assert_eq!(find(60_000, a), None);
    }

    #[tokio::test]
    async fn what_the_kernel_took_in_after_the_end_is_no_answer() {
        let flavour = Flavour { version: Version::V4, ttl: None, dont_fragment: false };
        // Where nobody may ping there is nothing to be heard.
        let Ok(socket) = PingSocket::open(flavour) else { return };
        let to: IpAddr = [192, 0, 2, 1].into();
        let sent = clock::monotonic();
        let end = sent + Duration::from_secs(1);
        for (serial, at, open) in [(1, end, 0), (2, end + Duration::from_millis(1), 1)] {
            let heard = Arc::new(Heard::new(1, end));
            let flight = Flight { to, sent, heard: Arc::clone(&heard), index: 0 };
            lock(&socket.flights).insert(serial, flight);
            socket.reply(Token { nonce: socket.nonce, serial }, Some(to), Some(at));
            assert_eq!(heard.open(), open);
        }
    }

    #[test]
    fn only_news_of_the_network_lets_reading_go_on() {
        for errno in [Errno::EINTR, Errno::ECONNREFUSED, Errno::EHOSTUNREACH, Errno::EMSGSIZE] {
            assert!(is_passing(errno), "{errno}");
        }
        for errno in [Errno::EBADF, Errno::ENOMEM, Errno::EINVAL, Errno::ENOTCONN] {
            assert!(!is_passing(errno), "{errno}");
        }
    }
}
