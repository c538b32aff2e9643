//! A stream that notes when bytes moved, and stops a head that never ends.
//!
//! hyper owns the stream while it works and says neither when the request was
//! written nor when the first byte came back; both are noted here: the request
//! when it was handed to the kernel, the answer when the kernel had it, however
//! much later it was read. An interim answer (1xx) is no answer yet: in HTTP/1 it
//! is told apart here, since hyper passes over it without a word.

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

    fn note_read(
        &self,
        bytes: &[u8],
        arrived: Option<Instant>,
        heads: &mut Heads,
    ) -> io::Result<()> {
        let came = self.stamp(arrived.unwrap_or_else(clock::monotonic));
        self.last_byte.store(came, Relaxed);
        if !bytes.is_empty() && !self.answered() {
            self.first_byte.store(came, Relaxed);
            if bytes.starts_with(b"HTTP/1") {
                self.http1.store(true, Relaxed);
                heads.in_http1 = true;
            }
        }
        match heads.walk(bytes) {
            Stands::Before | Stands::In { begun_here: false } => {}
            Stands::In { begun_here: true } => self.first_byte.store(came, Relaxed),
            Stands::Between => self.first_byte.store(0, Relaxed),
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

/// Follows the heads of HTTP/1 up to the final one.
#[derive(Debug, Default)]
struct Heads {
    in_http1: bool,
    /// Bytes of the present head so far.
    at: usize,
    /// Its present line is empty so far.
    blank: bool,
    /// The present head is the final one.
    is_final: bool,
}

/// Where what was read leaves us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stands {
    /// Nothing is to be told apart: no HTTP/1, or past the beginning of the final head.
    Before,
    /// In a head.
    In { begun_here: bool },
    /// An interim answer has ended, and nothing came after it.
    Between,
}

/// Where the first digit of the status stands: after `HTTP/1.1 `.
const STATUS_AT: usize = 9;

impl Heads {
    fn walk(&mut self, bytes: &[u8]) -> Stands {
        if !self.in_http1 || self.is_final || bytes.is_empty() {
            return Stands::Before;
        }
        let mut begun_here = false;
        for byte in bytes {
            begun_here |= self.at == 0;
            match (self.at, byte) {
                (STATUS_AT, status) if *status != b'1' => {
                    self.is_final = true;
                    return Stands::In { begun_here };
                }
                (at, b'\n') if at > STATUS_AT && self.blank => {
                    (self.at, self.blank, begun_here) = (0, false, false);
                    continue;
                }
                (_, b'\n') => self.blank = true,
                (_, b'\r') => {}
                _ => self.blank = false,
            }
            self.at += 1;
        }
        if self.at == 0 { Stands::Between } else { Stands::In { begun_here } }
    }
}

/// A stream with its meter.
#[derive(Debug)]
pub(super) struct Metered {
    stream: Stream,
    heads: Heads,
    meter: Arc<Meter>,
}

impl Metered {
    pub(super) fn new(stream: Stream) -> (Self, Arc<Meter>) {
        let meter = Arc::new(Meter::new());
        (Self { stream, heads: Heads::default(), meter: Arc::clone(&meter) }, meter)
    }
}

impl AsyncRead for Metered {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let this = &mut *self;
        let read = ready!(Pin::new(&mut this.stream).poll_read(cx, buffer));
        let noted = read.and_then(|()| {
            let (came, at) = (&buffer.filled()[before..], this.stream.arrived());
            this.meter.note_read(came, at, &mut this.heads)
        });
        Poll::Ready(noted.map_err(|error| this.meter.keep_error(error)))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interim_answer_is_told_from_the_final_one() {
        let begun = Stands::In { begun_here: true };
        let further = Stands::In { begun_here: false };
        for (reads, stands) in [
            (&["HTTP/1.1 200 OK\r\n", "A: b\r\n\r\n"][..], &[begun, Stands::Before][..]),
            (&["HTTP/1.1 100 Go\r\n\r\n", "HTTP/1.1 200"], &[Stands::Between, begun]),
            (&["HTTP/1.1 100 Go\r\n\r\nHTTP/1.1 2"], &[begun]),
            (&["HTTP/1.1 103 E\nLink: x\n", "\n", "H"], &[begun, Stands::Between, begun]),
            (
                &["HTTP/1.1", " 103 E\r\nA: b", "\r\n\r", "\n"],
                &[begun, further, further, Stands::Between],
            ),
        ] {
            let mut heads = Heads { in_http1: true, ..Heads::default() };
            let seen: Vec<Stands> = reads.iter().map(|read| heads.walk(read.as_bytes())).collect();
            assert_eq!(seen, stands, "{reads:?}");
        }
        assert_eq!(Heads::default().walk(b"HTTP/1.1 100 Go\r\n\r\n"), Stands::Before);
    }
}
