//! How long name servers took for a lookup, by the kernel's stamps.
//!
//! hickory asks through the sockets that [`Provider`] makes, over UDP within the very
//! future of the lookup. So what a socket sends and receives is noted in a local of
//! the task, and [`timed`] reads it: from the first question to the last answer,
//! without hickory's own work, and without the wait for this process's turn.
//! Where that is not all there was to it (an answer over TCP, one that did not
//! come, one of very many lookups of a name) nothing is said.

use super::arrival::{Arrivals, ask_for_stamps};
use crate::clock;
use hickory_resolver::net::runtime::{
    DnsUdpSocket, RuntimeProvider, TokioRuntimeProvider, TokioTime,
};
use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};
use tokio::io::Interest;
use tokio::net::UdpSocket;

/// A resolver whose lookups can be [`timed`].
pub type Resolver = hickory_resolver::Resolver<Provider>;

tokio::task_local! {
    static NOTES: Cell<Notes>;
}

/// What was sent and received for one lookup.
#[derive(Debug, Clone, Copy, Default)]
struct Notes {
    first_question: Option<Instant>,
    last_answer: Option<Instant>,
    /// Types of record, a bit each, that were asked for, and that were answered.
    asked: u64,
    answered: u64,
    /// Something was said that has no stamp.
    unstamped: bool,
}

impl Notes {
    fn question(&mut self, message: &[u8], at: Instant) {
        self.first_question.get_or_insert(at);
        self.asked |= bit(message);
    }

    fn answer(&mut self, message: &[u8], at: Instant) {
        self.last_answer = Some(at);
        self.answered |= bit(message);
        // Cut off: it will be asked for again, over TCP.
        self.unstamped |= message.get(2).is_some_and(|flags| flags & 0x02 != 0);
    }

    fn took(&self) -> Option<Duration> {
        let all = self.asked != 0 && self.asked == self.answered && !self.unstamped;
        all.then_some(self.last_answer?.saturating_duration_since(self.first_question?))
    }
}

/// A bit for the type of record that the one question of `message` is about
/// (RFC 1035, section 4.1); that of no type where there is none.
fn bit(message: &[u8]) -> u64 {
    const HEADER_BYTES: usize = 12;
    let kind = || {
        let mut rest = message.get(HEADER_BYTES..)?;
        loop {
            let (length, behind) = rest.split_first()?;
            rest = behind.get(usize::from(*length)..)?;
            if *length == 0 {
                return Some(u16::from_be_bytes(*rest.first_chunk()?));
            }
        }
    };
    1 << (kind().unwrap_or(0) % 64)
}

/// Notes something for the lookup that this task makes, if it makes one.
fn note(write: impl FnOnce(&mut Notes)) {
    // Without a lookup there is nobody to tell.
    let _nobody = NOTES.try_with(|cell| {
        let mut notes = cell.get();
        write(&mut notes);
        cell.set(notes);
    });
}

/// What this task sees of its lookup may not be all there is.
pub(super) fn doubt() {
    note(|notes| notes.unstamped = true);
}

/// Makes a lookup; with what came of it, how long name servers were waited for, where that is known.
pub async fn timed<F: Future>(lookup: F) -> (F::Output, Option<Duration>) {
    let noted = async { (lookup.await, NOTES.with(Cell::get).took()) };
    NOTES.scope(Cell::default(), noted).await
}

/// Tokio, with sockets that note what they do.
#[derive(Clone, Default)]
pub struct Provider(TokioRuntimeProvider);

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Provider").finish_non_exhaustive()
    }
}

impl RuntimeProvider for Provider {
    type Handle = <TokioRuntimeProvider as RuntimeProvider>::Handle;
    type Timer = TokioTime;
    type Udp = Socket;
    type Tcp = <TokioRuntimeProvider as RuntimeProvider>::Tcp;

    fn create_handle(&self) -> Self::Handle {
        self.0.create_handle()
    }

    fn connect_tcp(
        &self,
        server: SocketAddr,
        from: Option<SocketAddr>,
        timeout: Option<Duration>,
    ) -> Pin<Box<dyn Send + Future<Output = Result<Self::Tcp, io::Error>>>> {
        doubt();
        self.0.connect_tcp(server, from, timeout)
    }

    fn bind_udp(
        &self,
        local: SocketAddr,
        _server: SocketAddr,
    ) -> Pin<Box<dyn Send + Future<Output = Result<Self::Udp, io::Error>>>> {
        Box::pin(async move {
            let socket = UdpSocket::bind(local).await?;
            ask_for_stamps(&socket);
            Ok(Socket { socket, arrivals: Arrivals::new() })
        })
    }
}

/// A socket for one question, and what is asked again of it.
#[derive(Debug)]
pub struct Socket {
    socket: UdpSocket,
    arrivals: Arrivals,
}

impl DnsUdpSocket for Socket {
    type Time = TokioTime;

    fn poll_recv_from(
        &self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<(usize, SocketAddr)>> {
        loop {
            ready!(self.socket.poll_recv_ready(cx))?;
            let receive = || self.arrivals.receive(&self.socket, buffer);
            match self.socket.try_io(Interest::READABLE, receive) {
                Ok(arrival) => {
                    let Some(from) = arrival.from else { continue };
                    note(|notes| notes.answer(&buffer[..arrival.bytes], arrival.at));
                    return Poll::Ready(Ok((arrival.bytes, from)));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    fn poll_send_to(
        &self,
        cx: &mut Context<'_>,
        message: &[u8],
        to: SocketAddr,
    ) -> Poll<io::Result<usize>> {
        let now = clock::monotonic();
        let sent = ready!(self.socket.poll_send_to(cx, message, to));
        note(|notes| notes.question(message, now));
        Poll::Ready(sent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn message(kind: u8, flags: u8) -> Vec<u8> {
        let mut message = vec![7, 7, flags, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        message.extend(b"\x01a\x04test\x00\x00");
        message.extend([kind, 0, 1]);
        message
    }

    #[test]
    fn a_lookup_takes_from_its_first_question_to_its_last_answer() {
        let start = clock::monotonic();
        let mut notes = Notes::default();
        assert_eq!(notes.took(), None, "nothing was asked");
        notes.question(&message(1, 1), start);
        notes.question(&message(28, 1), start + MS);
        notes.answer(&message(28, 0x81), start + MS * 20);
        assert_eq!(notes.took(), None, "one answer is missing");
        // Asked again, of another server.
        notes.question(&message(1, 1), start + MS * 30);
        notes.answer(&message(1, 0x81), start + MS * 50);
        assert_eq!(notes.took(), Some(MS * 50));
        notes.answer(&message(1, 0x83), start + MS * 60);
        assert_eq!(notes.took(), None, "an answer was cut off");
    }

    #[test]
    fn what_is_no_message_does_no_harm() {
        for bytes in [&[][..], &[0; 11], &[0; 13], &[0xff; 40]] {
            assert_eq!(bit(bytes), 1, "{bytes:?}");
        }
    }

    #[tokio::test]
    async fn what_others_send_is_not_noted() {
        note(|notes| notes.unstamped = true);
        let (nothing, took) = timed(async {}).await;
        assert_eq!((nothing, took), ((), None));
    }
}
