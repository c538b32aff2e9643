//! A stream that notes when bytes moved, and stops a head that never ends.
//!
//! hyper owns the stream while it works and says neither when the request was
//! written nor when the first byte came back; both are noted here: the request
//! when it was handed to the kernel, the answer when the kernel had it, however
//! much later it was read.

use super::stream::Stream;
use crate::clock;
use crate::probe::limits;
use crate::probe::wire::Stamped;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The notes, shared between the stream and who waits for it.
#[derive(Debug)]
pub(super) struct Meter {
    began: Instant,
    /// Nanoseconds since `began`, plus one; 0 is "not yet".
    written: AtomicU64,
    first_byte: AtomicU64,
    last_byte: AtomicU64,
    head_bytes: AtomicU64,
    body_bytes: AtomicU64,
    head_done: AtomicBool,
    http1: AtomicBool,
    error: Mutex<Option<io::Error>>,
}

/// More came than any answer needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Endless {
    #[error("the head of the answer does not end")]
    Head,
    /// What comes is no body, or decodes to nothing: a body is cut at its limit.
    #[error("the answer does not end")]
    Body,
}

impl Meter {
    fn new() -> Self {
        Self {
            began: clock::monotonic(),
            written: AtomicU64::new(0),
            first_byte: AtomicU64::new(0),
            last_byte: AtomicU64::new(0),
            head_bytes: AtomicU64::new(0),
            body_bytes: AtomicU64::new(0),
            head_done: AtomicBool::new(false),
            http1: AtomicBool::new(false),
            error: Mutex::new(None),
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

    /// Whether the first bytes were those of an answer in HTTP/1.
    pub(super) fn speaks_http1(&self) -> bool {
        self.http1.load(Relaxed)
    }

    /// The error that reading ended with. Libraries hand on as little as its kind.
    pub(super) fn take_error(&self) -> Option<io::Error> {
        self.error.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn keep_error(&self, error: io::Error) -> io::Error {
        let kind = error.kind();
        *self.error.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        kind.into()
    }

    /// When what was read last had come.
    pub(super) fn last_read(&self) -> Option<Instant> {
        Some(self.began + Self::moment(&self.last_byte)?)
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

    fn note_write(&self, written: Option<Instant>) {
        if let Some(at) = written.filter(|_| !self.answered()) {
            self.written.store(self.stamp(at), Relaxed);
        }
    }

    fn note_read(&self, bytes: &[u8], arrived: Option<Instant>) -> io::Result<()> {
        let came = self.stamp(arrived.unwrap_or_else(clock::monotonic));
        self.last_byte.store(came, Relaxed);
        if !bytes.is_empty() && !self.answered() {
            self.first_byte.store(came, Relaxed);
            self.http1.store(bytes.starts_with(b"HTTP/1"), Relaxed);
        }
        let (count, most, endless) = if self.head_done.load(Relaxed) {
            (&self.body_bytes, limits::BODY_PHASE_BYTES, Endless::Body)
        } else {
            (&self.head_bytes, limits::HEAD_PHASE_BYTES, Endless::Head)
        };
        let before = count.fetch_add(bytes.len() as u64, Relaxed);
        if before + bytes.len() as u64 > most {
            return Err(io::Error::new(io::ErrorKind::InvalidData, endless));
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
        let read = ready!(Pin::new(&mut self.stream).poll_read(cx, buffer));
        let noted = read
            .and_then(|()| self.meter.note_read(&buffer.filled()[before..], self.stream.arrived()));
        Poll::Ready(noted.map_err(|error| self.meter.keep_error(error)))
    }
}

impl AsyncWrite for Metered {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, bytes));
        self.meter.note_write(self.stream.written());
        Poll::Ready(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, slices));
        self.meter.note_write(self.stream.written());
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
