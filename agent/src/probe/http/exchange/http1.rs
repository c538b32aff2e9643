//! HTTP/1.1 (RFC 9112), and 1.0 where the server answers in it.
//!
//! A target is up if its clients can read it, so headers are read as leniently as
//! browsers and curl do; what makes the end of a body doubtful is still an error.

use super::super::meter::{Meter, Metered};
use super::super::stream::Stream;
use super::drive::drive;
use super::fault::{Fault, Progress};
use crate::probe::deadline::{Deadline, Phase};
use crate::probe::failure::Failure;
use crate::probe::limits;
use ::http::Request;
use ::http::response::Parts;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Duration;

type Connection = http1::Connection<TokioIo<Metered>, Full<Bytes>>;

pub(in super::super) struct Exchange<'a> {
    stream: Option<Metered>,
    connection: Option<Connection>,
    body: Option<Incoming>,
    meter: Arc<Meter>,
    shown: &'a str,
}

impl<'a> Exchange<'a> {
    pub(super) fn new(stream: Stream, shown: &'a str) -> Self {
        let (stream, meter) = Metered::new(stream);
        Self { stream: Some(stream), connection: None, body: None, meter, shown }
    }

    pub(super) async fn send(
        &mut self,
        request: Request<Bytes>,
        deadline: &mut Deadline<'_>,
    ) -> Result<Parts, Failure> {
        let Some(stream) = self.stream.take() else {
            return Err(self.fault().ended("closed the connection"));
        };
        let (mut sender, connection) =
            builder().handshake(TokioIo::new(stream)).await.map_err(|error| self.judge(&error))?;
        self.connection = Some(connection);
        let answered = drive(&mut self.connection, sender.send_request(request.map(Full::new)));
        let answer = match deadline.within(Phase::Processing, answered).await {
            Err(_) if self.meter.answered() => return Err(deadline.struck(Phase::Transfer)),
            Err(struck) => return Err(struck),
            Ok(Err(error)) => return Err(self.judge(&error)),
            Ok(Ok(answer)) => answer,
        };
        self.meter.end_head();
        let (head, body) = answer.into_parts();
        self.body = Some(body);
        Ok(head)
    }

    pub(super) async fn chunk(
        &mut self,
        deadline: &mut Deadline<'_>,
    ) -> Result<Option<Bytes>, Failure> {
        while let Some(body) = &mut self.body {
            let frame = drive(&mut self.connection, async { body.frame().await.transpose() });
            let frame = match deadline.within(Phase::Transfer, frame).await? {
                Ok(Some(frame)) => frame,
                Ok(None) => break,
                Err(error) => return Err(self.judge(&error)),
            };
            if let Ok(data) = frame.into_data() {
                return Ok(Some(data));
            }
        }
        Ok(None)
    }

    pub(super) fn processing(&self) -> Option<Duration> {
        self.meter.processing()
    }

    pub(super) fn transfer(&self, over: bool) -> Option<Duration> {
        self.meter.transfer(over)
    }

    pub(super) fn fault(&self) -> Fault<'_> {
        let progress = match (&self.body, self.meter.answered()) {
            (Some(_), _) => Progress::Body,
            (None, true) => Progress::Head,
            (None, false) => Progress::Asked,
        };
        Fault { shown: self.shown, version: "HTTP/1.1", progress }
    }

    /// What an error of hyper's says about the target.
    fn judge(&self, error: &hyper::Error) -> Failure {
        let fault = self.fault();
        if let Some(failure) = self.meter.take_error().and_then(|error| fault.io(&error)) {
            return failure;
        }
        if error.is_parse_too_large() {
            return fault.headers_too_large();
        }
        if error.is_parse_version_h2() {
            return fault.version("answered in HTTP/2 without having agreed on it");
        }
        // hyper's word for chunks that are none.
        let malformed = source::<io::Error>(error).is_some_and(|io| {
            matches!(io.kind(), io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput)
        });
        // It spoke before it was asked, so the request was never sent.
        let unasked = error.is_canceled()
            && source::<hyper::Error>(error).is_some_and(|cause| {
                !cause.is_incomplete_message() && source::<io::Error>(cause).is_none()
            });
        if unasked {
            return fault.unasked();
        }
        if error.is_parse() || malformed {
            return fault.malformed();
        }
        fault.ended("closed the connection")
    }
}

/// A connection carries one request, so nothing that is read leniently can turn
/// into the answer to another one.
fn builder() -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .max_buf_size(limits::HEAD_BYTES)
        .max_headers(limits::HEADERS)
        // RFC 9112, section 5.2: a user agent must take them for spaces.
        .allow_obsolete_multiline_headers_in_responses(true)
        .allow_spaces_after_header_name_in_responses(true)
        .ignore_invalid_headers_in_responses(true);
    builder
}

/// The first error of type `E` among the sources of `error`.
fn source<E: Error + 'static>(error: &hyper::Error) -> Option<&E> {
    let mut next: Option<&(dyn Error + 'static)> = error.source();
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        // `io::Error` hides what it was made from behind its own source.
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = match inner {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}
