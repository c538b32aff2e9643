//! One request and its answer over one stream, in HTTP/1.1.
//!
//! hyper's connection is a future that has to be polled for anything to
//! happen. It is polled here, beside the request or the body that waits for it:
//! no task is spawned, so nothing outlives the check.

use super::meter::{EndlessHead, Meter, Metered, Stream};
use crate::probe::deadline::{Deadline, Phase};
use crate::probe::failure::Failure;
use crate::probe::limits;
use crate::probe::tls;
use ::http::Request;
use ::http::response::Parts;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use hyperverge_agent_core::judge::BodyReader;
use hyperverge_protocol::limits::SAMPLE_BYTES;
use hyperverge_protocol::outcome::Reason;
use std::error::Error;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

type Connection = http1::Connection<TokioIo<Metered>, Full<Bytes>>;

/// A connection with at most one request on it.
pub(super) struct Exchange<'a> {
    stream: Option<Metered>,
    connection: Option<Connection>,
    body: Option<Incoming>,
    meter: Arc<Meter>,
    shown: &'a str,
}

impl<'a> Exchange<'a> {
    /// `shown` names the target for people.
    pub(super) fn new(stream: Stream, shown: &'a str) -> Self {
        let (stream, meter) = Metered::new(stream);
        Self { stream: Some(stream), connection: None, body: None, meter, shown }
    }

    /// Sends `request` and waits for the head of its answer.
    pub(super) async fn send(
        &mut self,
        request: Request<Full<Bytes>>,
        deadline: &mut Deadline<'_>,
    ) -> Result<Parts, Failure> {
        let Some(stream) = self.stream.take() else {
            return Err(self.judge(None));
        };
        let mut builder = http1::Builder::new();
        builder.max_buf_size(limits::HEAD_BYTES);
        let (mut sender, connection) = builder
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| self.judge(Some(&error)))?;
        self.connection = Some(connection);
        let answered = drive(&mut self.connection, sender.send_request(request));
        let answer = match deadline.within(Phase::Processing, answered).await {
            Err(_) if self.meter.answered() => return Err(deadline.struck(Phase::Transfer)),
            Err(struck) => return Err(struck),
            Ok(Err(error)) => return Err(self.judge(Some(&error))),
            Ok(Ok(answer)) => answer,
        };
        self.meter.end_head();
        let (head, body) = answer.into_parts();
        self.body = Some(body);
        Ok(head)
    }

    /// Reads the body into `reader`, at most `limit` bytes of it.
    pub(super) async fn read(
        &mut self,
        reader: &mut BodyReader<'_>,
        limit: usize,
        deadline: &mut Deadline<'_>,
    ) -> Result<(), Failure> {
        while let Some(body) = &mut self.body {
            let frame = drive(&mut self.connection, async { body.frame().await.transpose() });
            let frame = match deadline.within(Phase::Transfer, frame).await? {
                Ok(Some(frame)) => frame,
                Ok(None) => break,
                Err(error) => return Err(self.judge(Some(&error))),
            };
            if let Ok(data) = frame.into_data()
                && !reader.take(&data, limit)
            {
                break;
            }
        }
        Ok(())
    }

    /// The beginning of the body of an answer that failed already, if it comes soon.
    pub(super) async fn sample(&mut self, deadline: &mut Deadline<'_>) -> Vec<u8> {
        let mut reader = BodyReader::sampling();
        let read = self.read(&mut reader, SAMPLE_BYTES, deadline);
        // Whether it came to its end, failed or took too long: what is there is the sample.
        drop(tokio::time::timeout(limits::SAMPLE_PATIENCE, read).await);
        reader.into_sample()
    }

    /// How long the target took to begin answering; `None` if nothing was asked.
    pub(super) fn processing(&self) -> Option<Duration> {
        self.meter.processing()
    }

    /// How long the answer took to come, if it is `over`; else, how long it has been coming.
    pub(super) fn transfer(&self, over: bool) -> Option<Duration> {
        self.meter.transfer(over)
    }

    /// What an error of hyper's says about the target.
    fn judge(&self, error: Option<&hyper::Error>) -> Failure {
        let shown = self.shown;
        let target = |reason, what: &str| Failure::target(reason, format!("{shown} {what}"));
        let too_large = || target(Reason::HttpHeadersTooLarge, "sent more headers than are read");
        if let Some(error) = error {
            let io = source::<io::Error>(error);
            if let Some(failure) = io.and_then(Failure::of_this_host) {
                return failure;
            }
            if let Some(failure) = io.and_then(|error| tls::judge_read(shown, error)) {
                return failure;
            }
            if source::<EndlessHead>(error).is_some() || error.is_parse_too_large() {
                return too_large();
            }
            if error.is_parse_version_h2() {
                return target(
                    Reason::HttpVersion,
                    "answered in HTTP/2 without having agreed on it",
                );
            }
            let malformed = io.is_some_and(|io| {
                matches!(io.kind(), io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput)
            });
            if error.is_parse() || malformed {
                return target(Reason::HttpMalformed, "sent an answer that is not HTTP/1.1");
            }
        }
        if self.body.is_some() {
            target(Reason::ResetTransfer, "closed the connection in the middle of its answer")
        } else if self.meter.answered() {
            target(Reason::ResetTransfer, "closed the connection in the middle of its headers")
        } else {
            target(Reason::ResetProcessing, "closed the connection without answering")
        }
    }
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

/// Runs `work` while polling the connection it depends on.
async fn drive<T>(
    connection: &mut Option<Connection>,
    work: impl Future<Output = hyper::Result<T>>,
) -> hyper::Result<T> {
    let mut work = pin!(work);
    poll_fn(|cx| {
        if let Poll::Ready(done) = work.as_mut().poll(cx) {
            return Poll::Ready(done);
        }
        let Some(running) = connection else { return Poll::Pending };
        let ended = Pin::new(running).poll(cx);
        let done = work.as_mut().poll(cx);
        match (ended, done) {
            (Poll::Ready(Err(error)), Poll::Pending) => Poll::Ready(Err(error)),
            (Poll::Ready(_), done) => {
                *connection = None;
                done
            }
            (Poll::Pending, done) => done,
        }
    })
    .await
}
