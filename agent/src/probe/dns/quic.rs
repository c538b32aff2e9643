//! One question in a stream of a QUIC connection (RFC 9250).

use super::answer::Reply;
use super::query::Question;
use super::stream::{LENGTH, framed, unanswered, wanted};
use crate::clock;
use crate::probe::deadline::{Deadline, Phase};
use crate::probe::dial::{add, since};
use crate::probe::failure::Failure;
use crate::probe::limits;
use hyperverge_protocol::outcome::{Observation, Reason};
use quinn::{Connection, ConnectionError, ReadError, RecvStream, WriteError};

/// Why no whole answer came.
enum Broken {
    /// The server ended the stream or the connection.
    Ended,
    /// The connection fell silent.
    Silent,
}

impl From<ConnectionError> for Broken {
    fn from(error: ConnectionError) -> Self {
        match error {
            ConnectionError::TimedOut => Self::Silent,
            _ => Self::Ended,
        }
    }
}

impl From<WriteError> for Broken {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::ConnectionLost(error) => error.into(),
            _ => Self::Ended,
        }
    }
}

impl From<ReadError> for Broken {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::ConnectionLost(error) => error.into(),
            _ => Self::Ended,
        }
    }
}

impl Broken {
    fn failure(&self, shown: &str, reason: Reason, when: &str) -> Failure {
        match self {
            Self::Silent if reason == Reason::ResetTransfer => {
                Failure::target(Reason::TimeoutTransfer, format!("{shown} fell silent {when}"))
            }
            Self::Silent => unanswered(shown),
            Self::Ended => Failure::target(reason, format!("{shown} ended the stream {when}")),
        }
    }
}

/// Asks over `connection`, which is to whom people know as `shown`.
pub(super) async fn ask(
    question: &Question,
    connection: &Connection,
    shown: &str,
    deadline: &mut Deadline<'_>,
    seen: &mut Observation,
) -> Result<Reply, Failure> {
    let sent = question.with_id_0();
    let mut answer = Vec::with_capacity(limits::DNS_UDP_BYTES);
    let began = clock::monotonic();
    let first = deadline.within(Phase::Processing, begin(connection, &sent, &mut answer)).await;
    add(&mut seen.phases.processing, since(began));
    let mut stream = first
        .map_err(|_| unanswered(shown))?
        .map_err(|broken| broken.failure(shown, Reason::ResetProcessing, "without answering"))?;
    let began = clock::monotonic();
    let rest = deadline.within(Phase::Transfer, read_rest(&mut stream, &mut answer)).await;
    add(&mut seen.phases.transfer, since(began));
    rest?.map_err(|broken| {
        broken.failure(shown, Reason::ResetTransfer, "in the middle of its answer")
    })?;
    let message = &answer[LENGTH..wanted(&answer)];
    seen.body_bytes = message.len() as u64;
    Reply::read(message, &sent, question).map_err(|mismatch| mismatch.failure(shown))
}

/// Opens a stream, sends the question and waits for the first bytes of the answer.
async fn begin(
    connection: &Connection,
    sent: &[u8],
    answer: &mut Vec<u8>,
) -> Result<RecvStream, Broken> {
    let (mut sending, mut receiving) = connection.open_bi().await?;
    sending.write_all(&framed(sent)).await?;
    // The end of the stream is the end of the question; it goes out with it.
    sending.finish().map_err(|_| Broken::Ended)?;
    read_some(&mut receiving, answer).await?;
    Ok(receiving)
}

async fn read_rest(stream: &mut RecvStream, answer: &mut Vec<u8>) -> Result<(), Broken> {
    while answer.len() < wanted(answer) {
        read_some(stream, answer).await?;
    }
    Ok(())
}

async fn read_some(stream: &mut RecvStream, answer: &mut Vec<u8>) -> Result<(), Broken> {
    let chunk = stream.read_chunk(limits::DNS_UDP_BYTES, true).await?;
    answer.extend_from_slice(&chunk.ok_or(Broken::Ended)?.bytes);
    Ok(())
}
