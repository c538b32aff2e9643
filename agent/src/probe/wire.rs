//! A TCP connection of a check, which knows when what it read had come.
//!
//! Reads go through [`super::arrival`]. From each one the wire keeps when the
//! bytes came, and adds up how long the peer was waited for, so that a phase
//! made of several reads (a TLS handshake) is the peer's time: neither the time
//! that bytes lay unread nor that of the agent's own computing is in it.

use super::arrival::Arrivals;
use super::limits;
use crate::clock;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// The most one read takes. Readers offer large buffers that are seldom filled,
/// and a buffer has to be initialised before the kernel may write into it.
const READ_BYTES: usize = 16 * 1024;

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
    /// The last moment at which this wire was seen to be attended to.
    attended: Instant,
    /// The last read found nothing.
    waiting: bool,
    waited: Duration,
    /// How many bytes were read.
    count: u64,
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
            attended: clock::monotonic(),
            waiting: false,
            waited: Duration::ZERO,
            count: 0,
        }
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

    fn note_write(&mut self, handed_over: Instant) {
        self.written = Some(handed_over);
        self.attended = handed_over;
    }

    /// Reads once, if the socket is thought to be readable.
    fn try_read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let (stream, arrivals) = (&self.stream, &mut self.arrivals);
        let mut short = None;
        let tried = stream.try_io(Interest::READABLE, || {
            let arrival = arrivals.receive(stream, buffer)?;
            if arrival.bytes == 0 || arrival.bytes == buffer.len() {
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
            let room = buffer.remaining().min(READ_BYTES);
            match self.try_read(buffer.initialize_unfilled_to(room)) {
                Ok(bytes) => {
                    buffer.advance(bytes);
                    return Poll::Ready(Ok(()));
                }
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
