//! One request and its answer, in whichever version of HTTP.
//!
//! Each version is a file with the same steps: `send` the request and wait for
//! the head, take the body `chunk` by chunk, and tell how long `processing` and
//! `transfer` took. What the versions share (reading a body to its end or its
//! limit, samples) is here. HTTP/1.1 is by far the most frequent and is kept in
//! place; the others are boxed, so that they cost nobody else anything.
//!
//! To add a version: a file, a variant and its lines below.

mod drive;
mod fault;
mod http1;
mod http2;
mod http3;

use super::decode::Intake;
use super::stream::Stream;
use super::target::Target;
use crate::probe::budget::Share;
use crate::probe::deadline::Deadline;
use crate::probe::failure::Failure;
use crate::probe::limits;
use ::http::header::CONTENT_LENGTH;
use ::http::response::Parts;
use ::http::{HeaderMap, Method, Request, StatusCode, Version};
use bytes::Bytes;
use fault::Fault;
use hyperverge_agent_core::judge::BodyReader;
use hyperverge_protocol::limits::SAMPLE_BYTES;
use std::time::Duration;

/// A connection with at most one request on it.
#[expect(clippy::large_enum_variant, reason = "the large one is the common one")]
pub(super) enum Exchange<'a> {
    Http1(http1::Exchange<'a>),
    Http2(Box<http2::Exchange<'a>>),
    Http3(Box<http3::Exchange<'a>>),
}

impl<'a> Exchange<'a> {
    /// In HTTP/1.1 over `stream`.
    pub(super) fn http1(stream: Stream, target: &'a Target) -> Self {
        Self::Http1(http1::Exchange::new(stream, &target.shown))
    }

    /// In HTTP/2 over `stream`.
    pub(super) fn http2(stream: Stream, target: &'a Target) -> Self {
        Self::Http2(Box::new(http2::Exchange::new(stream, target)))
    }

    /// In HTTP/3 over `connection`.
    pub(super) fn http3(connection: quinn::Connection, target: &'a Target) -> Self {
        Self::Http3(Box::new(http3::Exchange::new(connection, target)))
    }

    /// Sends `request`, written as HTTP/1.1 wants it, and waits for the head of its answer.
    pub(super) async fn send(
        &mut self,
        request: Request<Bytes>,
        deadline: &mut Deadline<'_>,
    ) -> Result<Parts, Failure> {
        match self {
            Self::Http1(exchange) => exchange.send(request, deadline).await,
            Self::Http2(exchange) => Box::pin(exchange.send(request, deadline)).await,
            Self::Http3(exchange) => Box::pin(exchange.send(request, deadline)).await,
        }
    }

    /// The next piece of the body, until there is none.
    pub(super) async fn chunk(
        &mut self,
        deadline: &mut Deadline<'_>,
    ) -> Result<Option<Bytes>, Failure> {
        match self {
            Self::Http1(exchange) => exchange.chunk(deadline).await,
            Self::Http2(exchange) => exchange.chunk(deadline).await,
            Self::Http3(exchange) => exchange.chunk(deadline).await,
        }
    }

    /// Reads the body into `intake`, to its end, its limit or that of all bodies.
    pub(super) async fn read(
        &mut self,
        intake: &mut Intake<'_>,
        share: &mut Share<'_>,
        deadline: &mut Deadline<'_>,
    ) -> Result<(), Failure> {
        while let Some(chunk) = self.chunk(deadline).await? {
            let more = intake.take(&chunk).map_err(|_| self.fault().encoding())?;
            share.cover(intake.memory())?;
            if !more {
                return Ok(());
            }
        }
        intake.finish().map_err(|_| self.fault().encoding())
    }

    /// The beginning of the body of an answer that failed already, if it comes soon.
    pub(super) async fn sample(
        &mut self,
        headers: &HeaderMap,
        share: &mut Share<'_>,
        deadline: &mut Deadline<'_>,
    ) -> Vec<u8> {
        let mut intake = Intake::new(headers, BodyReader::sampling(), SAMPLE_BYTES);
        let read = self.read(&mut intake, share, deadline);
        // Whether it came to its end, failed or took too long: what is there is the sample.
        drop(tokio::time::timeout(limits::SAMPLE_PATIENCE, read).await);
        intake.into_reader().into_sample()
    }

    /// How long the target took to begin answering; `None` if nothing was asked.
    pub(super) fn processing(&self) -> Option<Duration> {
        match self {
            Self::Http1(exchange) => exchange.processing(),
            Self::Http2(exchange) => exchange.processing(),
            Self::Http3(exchange) => exchange.processing(),
        }
    }

    /// How long the answer took to come, if it is `over`; else, how long it has been coming.
    pub(super) fn transfer(&self, over: bool) -> Option<Duration> {
        match self {
            Self::Http1(exchange) => exchange.transfer(over),
            Self::Http2(exchange) => exchange.transfer(over),
            Self::Http3(exchange) => exchange.transfer(over),
        }
    }

    fn fault(&self) -> Fault<'_> {
        match self {
            Self::Http1(exchange) => exchange.fault(),
            Self::Http2(exchange) => exchange.fault(),
            Self::Http3(exchange) => exchange.fault(),
        }
    }
}

/// What of a body is still to come, by the length that its head announced.
#[derive(Debug, Default)]
struct Missing(Option<u64>);

impl Missing {
    /// By the head of an answer to `method`.
    fn announced(method: &Method, head: &Parts) -> Self {
        let bodiless = method == Method::HEAD || head.status == StatusCode::NOT_MODIFIED;
        let length = head.headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok());
        Self(length.filter(|_| !bodiless).and_then(|length| length.parse().ok()))
    }

    fn take(&mut self, bytes: usize) {
        self.0 = self.0.map(|missing| missing.saturating_sub(bytes as u64));
    }

    fn any(&self) -> bool {
        self.0.is_some_and(|missing| missing > 0)
    }
}

/// The version's number, as people write it.
pub(super) fn version(head: &Parts) -> &'static str {
    match head.version {
        Version::HTTP_10 => "1.0",
        Version::HTTP_2 => "2",
        Version::HTTP_3 => "3",
        _ => "1.1",
    }
}
