//! A stream that notes when bytes moved, and stops a head that never ends.
//!
//! hyper owns the stream while it works and says neither when the request was
//! written nor when the first byte came back; both are noted here: the request
//! when it was handed to the kernel, the answer when the kernel had it, however
//! much later it was read.

use crate::clock;
use crate::probe::limits;
use crate::probe::wire::{Stamped, Wire};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::client::TlsStream;

/// What a request is spoken over.
#[derive(Debug)]
pub(super) enum Stream {
    Plain(Wire),
    Tls(Box<TlsStream<Wire>>),
}

/// The notes, shared between the stream and who waits for it.
#[derive(Debug)]
pub(super) struct Meter {
    began: Instant,
    /// Nanoseconds since `began`, plus one; 0 is "not yet".
    written: AtomicU64,
    first_byte: AtomicU64,
    last_byte: AtomicU64,
    head_bytes: AtomicU64,
    head_done: AtomicBool,
}

/// More came before the end of the answer's head than any head has.
#[derive(Debug, thiserror::Error)]
#[error("the head of the answer does not end")]
pub(super) struct EndlessHead;

impl Meter {
    fn new() -> Self {
        Self {
            began: clock::monotonic(),
            written: AtomicU64::new(0),
            first_byte: AtomicU64::new(0),
            last_byte: AtomicU64::new(0),
            head_bytes: AtomicU64::new(0),
            head_done: AtomicBool::new(false),
        }
    }

    fn stamp(&self, at: Instant) -> u64 {
        let nanos = at.saturating_duration_since(self.began).as_nanos();
        u64::try_from(nanos).unwrap_or(u64::MAX - 1) + 1
    }

    fn moment(note: &AtomicU64) -> Option<Duration> {
        note.load(Relaxed).checked_sub(1).map(Duration::from_nanos)
    }

    /// The head is complete; from here on bytes are body.
    pub(super) fn end_head(&self) {
        self.head_done.store(true, Relaxed);
    }

    /// Whether any byte of an answer came.
    pub(super) fn answered(&self) -> bool {
        self.first_byte.load(Relaxed) > 0
    }

    /// From the last byte of the request to the first of the answer, or to now.
    pub(super) fn processing(&self) -> Option<Duration> {
        let written = Self::moment(&self.written)?;
        let until = Self::moment(&self.first_byte)
            .unwrap_or_else(|| clock::monotonic().saturating_duration_since(self.began));
        Some(until.saturating_sub(written))
    }

    /// From the first byte of the answer to its end, if it is `over`, else to now.
    pub(super) fn transfer(&self, over: bool) -> Option<Duration> {
        let first = Self::moment(&self.first_byte)?;
        let last = if over { Self::moment(&self.last_byte) } else { None };
        let until =
            last.unwrap_or_else(|| clock::monotonic().saturating_duration_since(self.began));
        Some(until.saturating_sub(first))
    }

    fn note_write(&self) {
        if !self.answered() {
            self.written.store(self.stamp(clock::monotonic()), Relaxed);
        }
    }

    fn note_read(&self, bytes: usize, arrived: Option<Instant>) -> io::Result<()> {
        let came = self.stamp(arrived.unwrap_or_else(clock::monotonic));
        self.last_byte.store(came, Relaxed);
        if bytes > 0 && !self.answered() {
            self.first_byte.store(came, Relaxed);
        }
        if self.head_done.load(Relaxed) {
            return Ok(());
        }
        let before = self.head_bytes.fetch_add(bytes as u64, Relaxed);
        if before + bytes as u64 > limits::HEAD_PHASE_BYTES {
            return Err(io::Error::new(io::ErrorKind::InvalidData, EndlessHead));
        }
        Ok(())
    }
}

/// A stream with its meter.
#[derive(Debug)]
pub(super) struct Metered {
    stream: Stream,
    meter: Arc<Meter>,
}

impl Metered {
    pub(super) fn new(stream: Stream) -> (Self, Arc<Meter>) {
        let meter = Arc::new(Meter::new());
        (Self { stream, meter: Arc::clone(&meter) }, meter)
    }
}

impl AsyncRead for Metered {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Stream::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
        })?;
        let arrived = match &self.stream {
            Stream::Plain(stream) => stream.arrived(),
            Stream::Tls(stream) => stream.arrived(),
        };
        Poll::Ready(self.meter.note_read(buffer.filled().len() - before, arrived))
    }
}

impl AsyncWrite for Metered {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Stream::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        });
        self.meter.note_write();
        Poll::Ready(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Stream::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
        });
        self.meter.note_write();
        Poll::Ready(written)
    }

    fn is_write_vectored(&self) -> bool {
        match &self.stream {
            Stream::Plain(stream) => stream.is_write_vectored(),
            Stream::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
