//! What a request is spoken over: a connection, TLS above it, or TLS to a
//! target above whatever leads to a proxy.

use crate::probe::wire::{Stamped, Wire};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::client::TlsStream;

/// See the module. Large ones are boxed: a check holds one of these all along.
#[derive(Debug)]
pub(super) enum Stream {
    Plain(Wire),
    Tls(Box<TlsStream<Wire>>),
    /// Through a proxy.
    Tunnel(Box<TlsStream<Self>>),
}

impl Stream {
    /// What ALPN agreed on with the target.
    pub(super) fn protocol(&self) -> Option<&[u8]> {
        match self {
            Self::Plain(_) => None,
            Self::Tls(stream) => stream.get_ref().1.alpn_protocol(),
            Self::Tunnel(stream) => stream.get_ref().1.alpn_protocol(),
        }
    }
}

impl Stamped for Stream {
    fn arrived(&self) -> Option<Instant> {
        match self {
            Self::Plain(stream) => stream.arrived(),
            Self::Tls(stream) => stream.arrived(),
            Self::Tunnel(stream) => stream.arrived(),
        }
    }

    fn written(&self) -> Option<Instant> {
        match self {
            Self::Plain(stream) => stream.written(),
            Self::Tls(stream) => stream.written(),
            Self::Tunnel(stream) => stream.written(),
        }
    }

    fn waited(&self) -> Duration {
        match self {
            Self::Plain(stream) => stream.waited(),
            Self::Tls(stream) => stream.waited(),
            Self::Tunnel(stream) => stream.waited(),
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Tunnel(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut *self {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tunnel(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut *self {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Self::Tunnel(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
            Self::Tunnel(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tunnel(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    /// Nothing more is said to this target. TLS says goodbye; below it, closing says
    /// so too, and shutting down before would be one more call for every check.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Plain(_) => Poll::Ready(Ok(())),
            Self::Tls(stream) => {
                stream.get_mut().1.send_close_notify();
                Pin::new(stream).poll_flush(cx)
            }
            Self::Tunnel(stream) => {
                stream.get_mut().1.send_close_notify();
                Pin::new(stream).poll_flush(cx)
            }
        }
    }
}
