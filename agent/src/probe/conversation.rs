//! A stream on which two sides say something in turns: bounded, timed, and
//! able to begin TLS in the middle.
//!
//! Of the time spent here, what passes until the first byte that the target
//! says is `processing`, and the rest `transfer`, however often it is the
//! target's turn; a handshake in between is `tls`.

use super::deadline::{Deadline, Phase};
use super::dial::{add, secure, since};
use super::failure::Failure;
use super::limits;
use super::tls::{TlsClient, judge_read};
use super::wire::{Stamped, Wire};
use crate::clock;
use bytes::BufMut;
use hyperverge_protocol::limits::SAMPLE_BYTES;
use hyperverge_protocol::outcome::{Observation, Reason};
use rustls_pki_types::ServerName;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::client::TlsStream;

/// A conversation with the target that people know as `shown`.
#[derive(Debug)]
pub struct Conversation<'a> {
    stream: Stream,
    shown: &'a str,
    /// Everything that was heard in it.
    heard: Vec<u8>,
    /// Where in `heard` begins what came since we last said something.
    turn: usize,
    processing: Option<Duration>,
    transfer: Option<Duration>,
    /// The server asked for our certificate, and has not said yet whether it likes it.
    unsettled: bool,
}

#[derive(Debug)]
enum Stream {
    Plain(Wire),
    Tls(Box<TlsStream<Wire>>),
    /// Lost in a handshake that failed.
    Gone,
}

impl<'a> Conversation<'a> {
    /// Over an established connection.
    pub fn new(wire: Wire, shown: &'a str) -> Self {
        Self {
            stream: Stream::Plain(wire.may_be_urgent()),
            shown,
            heard: Vec::new(),
            turn: 0,
            processing: None,
            transfer: None,
            unsettled: false,
        }
    }

    /// Whom it is with, for people.
    pub fn shown(&self) -> &'a str {
        self.shown
    }

    /// What came since we last said something.
    pub fn answer(&self) -> &[u8] {
        &self.heard[self.turn..]
    }

    /// Everything that came.
    pub fn heard(&self) -> &[u8] {
        &self.heard
    }

    /// The beginning of the last answer.
    pub fn sample(&self) -> Vec<u8> {
        let answer = self.answer();
        answer[..answer.len().min(SAMPLE_BYTES)].to_vec()
    }

    /// Says `bytes`; whatever was heard before is answered by them.
    pub async fn say(&mut self, bytes: &[u8], deadline: &mut Deadline<'_>) -> Result<(), Failure> {
        self.turn = self.heard.len();
        let said = deadline.within(self.phase(), self.stream.write(bytes)).await;
        said?.map_err(|error| self.broken(Some(&error)))
    }

    /// Waits until more of the answer has come. That the other side has closed
    /// is a failure here; [`hear_or_end`](Self::hear_or_end) tells it apart.
    pub async fn hear(&mut self, deadline: &mut Deadline<'_>) -> Result<(), Failure> {
        match self.hear_or_end(deadline).await? {
            true => Ok(()),
            false => Err(self.ended()),
        }
    }

    /// The failure of having been closed where more was to be said.
    pub fn ended(&self) -> Failure {
        self.broken(None)
    }

    /// Waits until more has come (`true`), or the other side has closed in order.
    pub async fn hear_or_end(&mut self, deadline: &mut Deadline<'_>) -> Result<bool, Failure> {
        let room = limits::CONVERSATION_BYTES.saturating_sub(self.heard.len());
        if room == 0 {
            let message = format!(
                "{} said more than the {} bytes that are listened to",
                self.shown,
                limits::CONVERSATION_BYTES
            );
            return Err(Failure::target(Reason::Response, message));
        }
        let (began, waited) = (clock::monotonic(), self.stream.waited());
        let phase = self.phase();
        let read = deadline.within(phase, self.stream.read(&mut self.heard, room)).await;
        // The peer's time only, where it is known: not how late its words were read.
        let took = match &read {
            Ok(Ok(_)) => self.stream.waited().saturating_sub(waited),
            _ => since(began),
        };
        self.spent(phase, took);
        let count = read?.map_err(|error| self.broken(Some(&error)))?;
        self.unsettled &= count == 0;
        Ok(count > 0)
    }

    /// Shakes hands with `name`. What was said in the clear is not looked at any more.
    pub async fn begin_tls(
        &mut self,
        client: &TlsClient,
        name: &ServerName<'static>,
        deadline: &mut Deadline<'_>,
        seen: &mut Observation,
    ) -> Result<(), Failure> {
        self.turn = self.heard.len();
        let Stream::Plain(wire) = std::mem::replace(&mut self.stream, Stream::Gone) else {
            let message = format!("{} speaks TLS already", self.shown);
            return Err(Failure::unsupported(Reason::UnsupportedSpec, message));
        };
        let secured = secure(client, name, self.shown, wire, deadline, seen).await?;
        self.unsettled = secured.asked;
        if client.offers_protocols() && secured.stream.get_ref().1.alpn_protocol().is_none() {
            let message =
                format!("{} agreed on none of the protocols that were offered (ALPN)", self.shown);
            return Err(Failure::target(Reason::TlsHandshake, message));
        }
        self.stream = Stream::Tls(Box::new(secured.stream));
        Ok(())
    }

    /// Ends the conversation. In TLS 1.3 a server judges our certificate only
    /// after the handshake; where it has not said anything since, we say
    /// goodbye and listen for what it answers.
    pub async fn end(&mut self, deadline: &mut Deadline<'_>) -> Result<(), Failure> {
        let Stream::Tls(stream) = &mut self.stream else { return Ok(()) };
        if !self.unsettled {
            return Ok(());
        }
        let farewell = async {
            stream.shutdown().await?;
            let mut rest = [0; 256];
            let mut heard = 0;
            while heard < limits::CONVERSATION_BYTES {
                match stream.read(&mut rest).await? {
                    0 => break,
                    count => heard += count,
                }
            }
            Ok(())
        };
        let patience = limits::FAREWELL_PATIENCE.min(deadline.remaining(clock::monotonic()));
        // Silence, and a connection that just ends, say nothing against us.
        match tokio::time::timeout(patience, farewell).await {
            Ok(Err(error)) => judge_read(self.shown, &error).map_or(Ok(()), Err),
            _ => Ok(()),
        }
    }

    /// Writes down what was measured.
    pub fn note(&self, seen: &mut Observation) {
        add(&mut seen.phases.processing, self.processing);
        add(&mut seen.phases.transfer, self.transfer);
        seen.body_bytes = u64::try_from(self.heard.len()).unwrap_or(u64::MAX);
    }

    fn phase(&self) -> Phase {
        if self.heard.is_empty() { Phase::Processing } else { Phase::Transfer }
    }

    fn spent(&mut self, phase: Phase, took: Duration) {
        let phase = match phase {
            Phase::Processing => &mut self.processing,
            _ => &mut self.transfer,
        };
        add(phase, took);
    }

    /// The connection ended where it should not have.
    fn broken(&self, error: Option<&io::Error>) -> Failure {
        if let Some(failure) = error.and_then(Failure::of_this_host) {
            return failure;
        }
        if let Some(failure) = error.and_then(|error| judge_read(self.shown, error)) {
            return failure;
        }
        let reset = error.is_some_and(|error| error.kind() == io::ErrorKind::ConnectionReset);
        let how = if reset { "reset" } else { "closed" };
        let (reason, when) = if self.heard.is_empty() {
            (Reason::ResetProcessing, "without saying anything")
        } else {
            (Reason::ResetTransfer, "in the middle of the conversation")
        };
        Failure::target(reason, format!("{} {how} the connection {when}", self.shown))
    }
}

impl Stream {
    /// How long the peer was waited for so far.
    fn waited(&self) -> Duration {
        match self {
            Self::Plain(wire) => wire.waited(),
            Self::Tls(stream) => stream.waited(),
            Self::Gone => Duration::ZERO,
        }
    }

    async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(wire) => wire.write_all(bytes).await,
            Self::Tls(stream) => {
                stream.write_all(bytes).await?;
                stream.flush().await
            }
            Self::Gone => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// Appends at most `room` bytes to `heard`, and nothing if it is given up. A
    /// stream in TLS that ends without a goodbye was cut off: an error.
    async fn read(&mut self, heard: &mut Vec<u8>, room: usize) -> io::Result<usize> {
        heard.reserve(room.min(limits::READ_BYTES));
        let mut heard = heard.limit(room);
        match self {
            Self::Plain(wire) => wire.read_buf(&mut heard).await,
            Self::Tls(stream) => stream.read_buf(&mut heard).await,
            Self::Gone => Err(io::ErrorKind::NotConnected.into()),
        }
    }
}
