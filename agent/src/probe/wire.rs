//! A TCP connection of a check, which knows when what it read had come.
//!
//! Reads go through [`super::arrival`]. From each one the wire keeps when the
//! bytes came, and adds up how long the peer was waited for, so that a phase
//! made of several reads (a TLS handshake) is the peer's time: neither the time
//! that bytes lay unread nor that of the agent's own computing is in it.

use super::arrival::Arrivals;
use super::limits;
use crate::clock;
use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// The most one read takes.
const READ_BYTES: usize = 16 * 1024;
/// What fits into the first segment of any connection, so that nothing of it can be
/// held back for the rest (Nagle).
const FIRST_WRITE_BYTES: usize = 512;

thread_local! {
    /// Where the kernel writes to before the reader gets it. Readers offer large
    /// buffers that are seldom filled, each of which would have to be cleared first.
    static ROOM: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_BYTES]);
}

/// A stream that knows when what was read from it last had come. What wraps
/// such a stream passes on what the inner one knows.
pub trait Stamped: AsyncRead + AsyncWrite + Unpin {
    /// When the last bytes read had come (or the end of the stream had);
    /// `None` before the first.
    fn arrived(&self) -> Option<Instant>;

    /// When the last bytes written were handed to the kernel; `None` before the
    /// first. It is the moment before the call: sending wakes whoever waits for
    /// the bytes, and that may well be run instead of us, within the call.
    fn written(&self) -> Option<Instant>;

    /// How long, all in all, the peer was waited for: from the last byte that was
    /// written or read before to the arrival of the next ones.
    fn waited(&self) -> Duration;
}

impl<S: Stamped> Stamped for TlsStream<S> {
    fn arrived(&self) -> Option<Instant> {
        self.get_ref().0.arrived()
    }

    fn written(&self) -> Option<Instant> {
        self.get_ref().0.written()
    }

    fn waited(&self) -> Duration {
        self.get_ref().0.waited()
    }
}

impl Stamped for Wire {
    fn arrived(&self) -> Option<Instant> {
        self.arrived
    }

    fn written(&self) -> Option<Instant> {
        self.written
    }

    fn waited(&self) -> Duration {
        self.waited
    }
}

/// The peer sent more than any check needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("more than {} bytes came", limits::WIRE_BYTES)]
pub struct Flood;

impl Flood {
    /// Whether `error` is this.
    pub fn is_in(error: &io::Error) -> bool {
        error.get_ref().is_some_and(|inner| inner.is::<Self>())
    }
}

/// What every probe over TCP speaks through.
#[derive(Debug)]
pub struct Wire {
    stream: TcpStream,
    arrivals: Arrivals,
    /// When the bytes read last had come.
    arrived: Option<Instant>,
    /// When the bytes written last were handed over.
    written: Option<Instant>,
    /// What is written leaves at once.
    undelayed: bool,
    /// The last moment at which this wire was seen to be attended to.
    attended: Instant,
    /// The last read found nothing.
    waiting: bool,
    waited: Duration,
    /// How many bytes were read.
    count: u64,
    /// See [`may_be_urgent`](Self::may_be_urgent).
    urgent: bool,
}

impl Wire {
    /// Takes over an established connection, of which stamps were asked before
    /// it was made.
    pub fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            arrivals: Arrivals::new(),
            arrived: None,
            written: None,
            undelayed: false,
            attended: clock::monotonic(),
            waiting: false,
            waited: Duration::ZERO,
            count: 0,
            urgent: false,
        }
    }

    /// For protocols in which servers mark bytes as urgent (RFC 9293, section 3.8.5), as
    /// Telnet and FTP do. A read ends in front of such a mark, whatever lies behind it.
    pub fn may_be_urgent(self) -> Self {
        Self { urgent: true, ..self }
    }

    fn note(&mut self, at: Instant, read: Instant) {
        self.waited += at.saturating_duration_since(self.attended);
        self.attended = read;
        self.arrived = Some(at);
        self.waiting = false;
    }

    /// The end of a stream has no stamp. Found together with the bytes before
    /// it, it came with them; else it came when it was found.
    fn note_end(&mut self, found: Instant) {
        if self.waiting || self.arrived.is_none() {
            self.arrived = Some(found);
        }
        self.attended = found;
        self.waiting = false;
    }

    /// Before `bytes` are written. A last segment that waits for those before it to be
    /// acknowledged would wait for us; most checks write one segment in all, and
    /// are spared the call.
    fn undelay(&mut self, bytes: usize) -> io::Result<()> {
        if !self.undelayed && (self.written.is_some() || bytes > FIRST_WRITE_BYTES) {
            self.stream.set_nodelay(true)?;
            self.undelayed = true;
        }
        Ok(())
    }

    fn note_write(&mut self, handed_over: Instant) {
        self.written = Some(handed_over);
        self.attended = handed_over;
    }

    /// Reads once, if the socket is thought to be readable.
    fn try_read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let (stream, arrivals, urgent) = (&self.stream, &self.arrivals, self.urgent);
        let mut short = None;
        let tried = stream.try_io(Interest::READABLE, || {
            let arrival = arrivals.receive(stream, buffer)?;
            if urgent || arrival.bytes == 0 || arrival.bytes == buffer.len() {
                return Ok(arrival);
            }
            // A short read has emptied the socket: this makes the runtime wait for
            // the next bytes, instead of asking the kernel once more in vain.
            short = Some(arrival);
            Err(io::ErrorKind::WouldBlock.into())
        });
        let arrival = match short {
            Some(arrival) => arrival,
            None => tried?,
        };
        match arrival.bytes {
            0 if !buffer.is_empty() => self.note_end(arrival.read),
            0 => {}
            _ => self.note(arrival.at, arrival.read),
        }
        self.count += arrival.bytes as u64;
        if self.count > limits::WIRE_BYTES {
            return Err(io::Error::new(io::ErrorKind::InvalidData, Flood));
        }
        Ok(arrival.bytes)
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            let Poll::Ready(readable) = self.stream.poll_read_ready(cx) else {
                self.waiting = true;
                return Poll::Pending;
            };
            readable?;
            let read = ROOM.with_borrow_mut(|room| {
                let room = &mut room[..buffer.remaining().min(READ_BYTES)];
                let bytes = self.try_read(room)?;
                buffer.put_slice(&room[..bytes]);
                Ok::<_, io::Error>(())
            });
            match read {
                Ok(()) => return Poll::Ready(Ok(())),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.undelay(bytes.len())?;
        let now = clock::monotonic();
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, bytes));
        self.note_write(now);
        Poll::Ready(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.undelay(slices.iter().map(|slice| slice.len()).sum())?;
        let now = clock::monotonic();
        let written = ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, slices));
        self.note_write(now);
        Poll::Ready(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn only_what_could_be_held_back_is_sent_without_delay() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("its address");
        for (writes, undelayed) in [
            (&[][..], false),
            (&[FIRST_WRITE_BYTES], false),
            (&[FIRST_WRITE_BYTES + 1], true),
            (&[1, 1], true),
        ] {
            let mut wire = Wire::new(TcpStream::connect(address).await.expect("a connection"));
            for bytes in writes {
                wire.write_all(&vec![0; *bytes]).await.expect("sent");
            }
            assert_eq!(wire.stream.nodelay().expect("an option"), undelayed, "{writes:?}");
        }
    }

    #[tokio::test]
    async fn a_flood_is_not_read_for_ever() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("its address");
        let flood = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a client");
            while stream.write_all(&[0; 64 * 1024]).await.is_ok() {}
        });
        let mut wire = Wire::new(TcpStream::connect(address).await.expect("a connection"));
        let (mut room, mut count) = (vec![0; 64 * 1024], 0);
        let error = loop {
            match wire.read(&mut room).await {
                Ok(bytes) => count += bytes as u64,
                Err(error) => break error,
            }
        };
        assert!(Flood::is_in(&error), "{error:?}");
        assert!(count <= limits::WIRE_BYTES);
        drop(wire);
        flood.await.expect("the other side");
    }
}
