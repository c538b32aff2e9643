//! HTTP/2 (RFC 9113), agreed on in TLS or known to be spoken.
//!
//! The `h2` crate itself, without hyper above it: its connection is one future,
//! where hyper's wants to spawn a task for every request. `h2` bounds what a
//! server may send that is no answer (continuations, empty frames, resets,
//! header lists); the bytes of it are bounded by the meter, as in HTTP/1.1.
//!
//! The preface, our settings and the request leave in one write. A server that
//! has hung up meanwhile, with an alert, answers the first write with a reset, and
//! a second one would find that instead of the alert.
//!
//! The first bytes from a server are its settings, and say nothing about the
//! request. So processing ends with the read that brought the answer's head.

use super::super::meter::{Meter, Metered};
use super::super::stream::Stream;
use super::super::target::Target;
use super::Missing;
use super::drive::drive;
use super::fault::{Fault, Progress};
use crate::clock;
use crate::probe::deadline::{Deadline, Phase};
use crate::probe::dial::since;
use crate::probe::failure::Failure;
use crate::probe::limits;
use ::http::Request;
use ::http::response::Parts;
use bytes::Bytes;
use h2::client::{Builder, Connection, SendRequest};
use h2::{Reason, RecvStream};
use hyperverge_protocol::limits::RESPONSE_BODY_BYTES;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::BufWriter;

pub(in super::super) struct Exchange<'a> {
    stream: Option<Metered>,
    connection: Option<Connection<BufWriter<Metered>, Bytes>>,
    /// The connection ends when nobody can send any more.
    sender: Option<SendRequest<Bytes>>,
    body: Option<RecvStream>,
    missing: Missing,
    meter: Arc<Meter>,
    asked: Option<Instant>,
    answered: Option<Instant>,
    target: &'a Target,
}

impl<'a> Exchange<'a> {
    pub(super) fn new(stream: Stream, target: &'a Target) -> Self {
        let (stream, meter) = Metered::new(stream);
        Self {
            stream: Some(stream),
            connection: None,
            sender: None,
            body: None,
            missing: Missing::default(),
            meter,
            asked: None,
            answered: None,
            target,
        }
    }

    pub(super) async fn send(
        &mut self,
        request: Request<Bytes>,
        deadline: &mut Deadline<'_>,
    ) -> Result<Parts, Failure> {
        let Some(stream) = self.stream.take() else {
            return Err(self.fault().ended("closed the connection"));
        };
        let (head, body) = self.target.absolute(request).into_parts();
        let method = head.method.clone();
        let begun =
            deadline.within(Phase::Processing, builder().handshake(BufWriter::new(stream))).await?;
        let (mut sender, connection) = begun.map_err(|error| self.judge(&error))?;
        self.connection = Some(connection);
        let (answer, mut sending) = sender
            .send_request(Request::from_parts(head, ()), body.is_empty())
            .map_err(|error| self.judge(&error))?;
        self.sender = Some(sender);
        if !body.is_empty() {
            sending.send_data(body, true).map_err(|error| self.judge(&error))?;
        }
        self.asked = Some(clock::monotonic());
        let answered = drive(&mut self.connection, answer);
        let answer = match deadline.within(Phase::Processing, answered).await? {
            Ok(answer) => answer,
            Err(error) => return Err(self.judge(&error)),
        };
        self.answered = Some(self.meter.last_read().unwrap_or_else(clock::monotonic));
        self.meter.end_head();
        self.connection.as_mut().map(widen);
        let (head, body) = answer.into_parts();
        self.missing = Missing::announced(&method, &head);
        self.body = Some(body);
        Ok(head)
    }

    pub(super) async fn chunk(
        &mut self,
        deadline: &mut Deadline<'_>,
    ) -> Result<Option<Bytes>, Failure> {
        let Some(body) = &mut self.body else { return Ok(None) };
        let next = drive(&mut self.connection, async { body.data().await.transpose() });
        match deadline.within(Phase::Transfer, next).await? {
            Ok(Some(chunk)) => {
                self.missing.take(chunk.len());
                // Refused only where the stream is over, which the next read will show.
                drop(body.flow_control().release_capacity(chunk.len()));
                Ok(Some(chunk))
            }
            Ok(None) => Ok(None),
            Err(error) => Err(self.judge(&error)),
        }
    }

    pub(super) fn processing(&self) -> Option<Duration> {
        let asked = self.asked?;
        let took = self.answered.map(|at| at.saturating_duration_since(asked));
        Some(took.unwrap_or_else(|| since(asked)))
    }

    pub(super) fn transfer(&self, over: bool) -> Option<Duration> {
        let answered = self.answered?;
        let last = if over { self.meter.last_read() } else { None };
        Some(last.map_or_else(|| since(answered), |at| at.saturating_duration_since(answered)))
    }

    pub(super) fn fault(&self) -> Fault<'_> {
        let progress = if self.body.is_some() { Progress::Body } else { Progress::Asked };
        Fault { shown: &self.target.shown, version: "HTTP/2", progress }
    }

    fn judge(&self, error: &h2::Error) -> Failure {
        let fault = self.fault();
        if self.meter.speaks_http1() {
            return fault.version("answered in HTTP/1 where HTTP/2 was expected");
        }
        if let Some(failure) = self.meter.take_error().and_then(|error| fault.io(&error)) {
            return failure;
        }
        match error.reason() {
            Some(Reason::HTTP_1_1_REQUIRED) if error.is_remote() => {
                fault.version("wants HTTP/1.1 for this request")
            }
            Some(reason) if error.is_remote() => {
                fault.ended(&format!("ended the request ({})", reason.description()))
            }
            // What `h2` says of too many continuations, and of lists far too long.
            Some(Reason::ENHANCE_YOUR_CALM) if self.body.is_none() => fault.headers_too_large(),
            // A stream that ends early breaks the protocol too.
            Some(Reason::PROTOCOL_ERROR) if error.is_reset() && self.missing.any() => {
                fault.ended("ended the request")
            }
            Some(_) => fault.malformed(),
            None => fault.ended("closed the connection"),
        }
    }
}

/// Windows stay at their 64 KiB until the head is there: all that may come
/// before it is counted as head.
fn builder() -> Builder {
    let mut builder = Builder::new();
    builder.enable_push(false).max_header_list_size(limits::HEADER_LIST_BYTES);
    builder
}

/// Makes room for a whole body, so that its transfer waits for nobody here.
fn widen(connection: &mut Connection<BufWriter<Metered>, Bytes>) {
    let window = u32::try_from(RESPONSE_BODY_BYTES).unwrap_or(u32::MAX);
    connection.set_target_window_size(window);
    // Refused only while an earlier change is not acknowledged; then the window
    // stays as it is, and grows with what is read.
    drop(connection.set_initial_window_size(window));
}
