//! HTTP/3 (RFC 9114) over a QUIC connection.
//!
//! The `h3` crate keeps a frame until it is whole, and does not count. So the
//! bytes that the connection received are counted here, whenever anything
//! happens on it, and an answer that never ends is left behind.

use super::super::target::Target;
use super::Missing;
use super::drive::drive;
use super::fault::{Fault, Progress};
use crate::clock;
use crate::probe::deadline::{Deadline, Phase};
use crate::probe::dial::since;
use crate::probe::failure::Failure;
use crate::probe::limits;
use crate::probe::tls::judge_close;
use ::http::response::Parts;
use ::http::{Method, Request};
use bytes::{Buf, Bytes};
use h3::client::{RequestStream, SendRequest};
use h3::error::{Code, StreamError};
use h3_quinn::{BidiStream, OpenStreams};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

type Answer = RequestStream<BidiStream<Bytes>, Bytes>;

pub(in super::super) struct Exchange<'a> {
    quic: quinn::Connection,
    connection: Option<Driver>,
    /// The connection ends when nobody can send any more.
    sender: Option<SendRequest<OpenStreams, Bytes>>,
    answer: Option<Answer>,
    /// `h3` does not look.
    missing: Missing,
    bodiless: bool,
    asked: Option<Instant>,
    answered: Option<Instant>,
    last: Option<Instant>,
    target: &'a Target,
}

/// Why an exchange ended.
enum Broken {
    Stream(StreamError),
    Connection,
    Endless,
}

/// The connection as a future, with an eye on how much came.
struct Driver {
    connection: h3::client::Connection<h3_quinn::Connection, Bytes>,
    quic: quinn::Connection,
    most: u64,
}

impl Future for Driver {
    type Output = Result<(), Broken>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if self.quic.stats().udp_rx.bytes > self.most {
            return Poll::Ready(Err(Broken::Endless));
        }
        self.connection.poll_close(cx).map(|_| Err(Broken::Connection))
    }
}

impl<'a> Exchange<'a> {
    pub(super) fn new(quic: quinn::Connection, target: &'a Target) -> Self {
        Self {
            quic,
            connection: None,
            sender: None,
            answer: None,
            missing: Missing::default(),
            bodiless: false,
            asked: None,
            answered: None,
            last: None,
            target,
        }
    }

    pub(super) async fn send(
        &mut self,
        request: Request<Bytes>,
        deadline: &mut Deadline<'_>,
    ) -> Result<Parts, Failure> {
        let method = request.method().clone();
        let mut answer = match deadline.within(Phase::Processing, self.begin(request)).await? {
            Ok(answer) => answer,
            Err(broken) => return Err(self.judge(&broken)),
        };
        self.asked = Some(clock::monotonic());
        let answered = drive(&mut self.connection, final_head(&mut answer));
        let head = match deadline.within(Phase::Processing, answered).await? {
            Ok(head) => head,
            Err(broken) => return Err(self.judge(&broken)),
        };
        self.answered = Some(clock::monotonic());
        self.last = self.answered;
        if let Some(driver) = &mut self.connection {
            driver.most = driver.most.saturating_add(limits::BODY_PHASE_BYTES);
        }
        self.missing = Missing::announced(&method, &head);
        // Some servers send a body all the same; it is none of the answer.
        self.bodiless = method == Method::HEAD;
        self.answer = Some(answer);
        Ok(head)
    }

    /// Opens the request's stream and writes the request.
    async fn begin(&mut self, request: Request<Bytes>) -> Result<Answer, Broken> {
        let (head, body) = self.target.absolute(request).into_parts();
        let most = self.quic.stats().udp_rx.bytes.saturating_add(limits::HEAD_PHASE_BYTES);
        let mut builder = h3::client::builder();
        builder.max_field_section_size(limits::HEADER_LIST_BYTES.into()).send_grease(false);
        let below = h3_quinn::Connection::new(self.quic.clone());
        let (connection, mut sender) =
            builder.build(below).await.map_err(|_| Broken::Connection)?;
        self.connection = Some(Driver { connection, quic: self.quic.clone(), most });
        let stream = drive(&mut self.connection, async {
            let request = Request::from_parts(head, ());
            let mut stream = sender.send_request(request).await.map_err(Broken::Stream)?;
            if !body.is_empty() {
                stream.send_data(body).await.map_err(Broken::Stream)?;
            }
            stream.finish().await.map_err(Broken::Stream)?;
            Ok(stream)
        });
        let stream = stream.await?;
        self.sender = Some(sender);
        Ok(stream)
    }

    pub(super) async fn chunk(
        &mut self,
        deadline: &mut Deadline<'_>,
    ) -> Result<Option<Bytes>, Failure> {
        let Some(answer) = self.answer.as_mut().filter(|_| !self.bodiless) else {
            return Ok(None);
        };
        let next = drive(&mut self.connection, async {
            // `h3` takes an empty frame for the end; after the end it says so again.
            for _ in 0..2 {
                let data = answer.recv_data().await.map_err(Broken::Stream)?;
                if let Some(mut data) = data {
                    return Ok(Some(data.copy_to_bytes(data.remaining())));
                }
            }
            Ok(None)
        });
        let chunk = match deadline.within(Phase::Transfer, next).await? {
            Ok(chunk) => chunk,
            Err(broken) => return Err(self.judge(&broken)),
        };
        self.last = Some(clock::monotonic());
        self.missing.take(chunk.as_ref().map_or(0, Bytes::len));
        if chunk.is_none() && self.missing.any() {
            return Err(self.fault().ended("ended the request"));
        }
        Ok(chunk)
    }

    pub(super) fn processing(&self) -> Option<Duration> {
        let asked = self.asked?;
        let took = self.answered.map(|at| at.saturating_duration_since(asked));
        Some(took.unwrap_or_else(|| since(asked)))
    }

    pub(super) fn transfer(&self, over: bool) -> Option<Duration> {
        let answered = self.answered?;
        let last = if over { self.last } else { None };
        Some(last.map_or_else(|| since(answered), |at| at.saturating_duration_since(answered)))
    }

    pub(super) fn fault(&self) -> Fault<'_> {
        let progress = if self.answer.is_some() { Progress::Body } else { Progress::Asked };
        Fault { shown: &self.target.shown, version: "HTTP/3", progress }
    }

    fn judge(&self, broken: &Broken) -> Failure {
        let fault = self.fault();
        match broken {
            Broken::Endless if self.answer.is_some() => fault.endless_body(),
            Broken::Endless | Broken::Stream(StreamError::HeaderTooBig { .. }) => {
                fault.headers_too_large()
            }
            Broken::Stream(StreamError::RemoteTerminate { code, .. }) => {
                ended(fault, *code, "ended the request")
            }
            Broken::Stream(_) | Broken::Connection => self.lost(fault),
        }
    }

    /// What became of the connection says more than the error of who used it.
    fn lost(&self, fault: Fault<'_>) -> Failure {
        use quinn::ConnectionError as Lost;
        match self.quic.close_reason() {
            Some(Lost::ApplicationClosed(close)) => {
                ended(fault, Code::from(close.error_code.into_inner()), "closed the connection")
            }
            Some(Lost::TimedOut) => fault.silent(),
            Some(Lost::ConnectionClosed(close)) => {
                let refusal = judge_close(fault.shown, u64::from(close.error_code));
                refusal.unwrap_or_else(|| fault.ended("closed the connection"))
            }
            Some(Lost::Reset) => fault.ended("closed the connection"),
            // It is we who closed it, or would have.
            _ => fault.malformed(),
        }
    }
}

fn ended(fault: Fault<'_>, code: Code, how: &str) -> Failure {
    if code == Code::H3_VERSION_FALLBACK {
        fault.version("wants HTTP/1.1 for this request")
    } else {
        fault.ended(&format!("{how} ({code})"))
    }
}

/// The head that is no interim (1xx) answer. How many of those come is bounded
/// by their bytes.
async fn final_head(answer: &mut Answer) -> Result<Parts, Broken> {
    loop {
        let head = answer.recv_response().await.map_err(Broken::Stream)?;
        if !head.status().is_informational() {
            return Ok(head.into_parts().0);
        }
    }
}
