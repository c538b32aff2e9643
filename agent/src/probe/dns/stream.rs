//! One question over a stream: TCP, or TLS above it (RFC 1035, section 4.2.2;
//! RFC 7766; RFC 7858). Two bytes of length come before each message.

use super::answer::Reply;
use super::query::Question;
use crate::clock;
use crate::probe::deadline::{Deadline, Phase};
use crate::probe::dial::{add, since};
use crate::probe::failure::Failure;
use crate::probe::limits;
use crate::probe::tls::judge_read;
use crate::probe::wire::Stamped;
use hyperverge_protocol::outcome::{Observation, Reason};
use std::io;
use std::time::Instant;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Bytes of the length before a message.
pub(super) const LENGTH: usize = 2;

/// Asks over `stream`, which is connected to whom people know as `shown`.
pub(super) async fn ask(
    question: &Question,
    mut stream: impl Stamped,
    shown: &str,
    deadline: &mut Deadline<'_>,
    seen: &mut Observation,
) -> Result<Reply, Failure> {
    let sent = question.with_random_id();
    let began = clock::monotonic();
    let written = deadline.within(Phase::Processing, write(&mut stream, &sent)).await;
    let began = match written {
        Ok(Ok(())) => stream.written().unwrap_or_else(clock::monotonic),
        failed => {
            add(&mut seen.phases.processing, since(began));
            let what = "closed the connection before it was asked";
            return Err(match failed {
                Ok(Err(error)) => broken(shown, &error, Reason::ResetProcessing, what),
                _ => unanswered(shown),
            });
        }
    };
    let mut answer = Vec::with_capacity(limits::DNS_UDP_BYTES);
    let first = deadline.within(Phase::Processing, stream.read_buf(&mut answer)).await;
    let arrived = arrived(&stream, began);
    add(&mut seen.phases.processing, arrived.saturating_duration_since(began));
    let what = "closed the connection without answering";
    match first {
        Err(_) => return Err(unanswered(shown)),
        Ok(Err(error)) => return Err(broken(shown, &error, Reason::ResetProcessing, what)),
        Ok(Ok(0)) => return Err(closed(shown, Reason::ResetProcessing, what)),
        Ok(Ok(_)) => {}
    }
    let rest = deadline.within(Phase::Transfer, read_rest(&mut stream, &mut answer)).await;
    let last = match rest {
        Ok(Ok(())) => self::arrived(&stream, arrived),
        _ => clock::monotonic(),
    };
    add(&mut seen.phases.transfer, last.saturating_duration_since(arrived));
    rest?.map_err(|error| {
        let what = "closed the connection in the middle of its answer";
        broken(shown, &error, Reason::ResetTransfer, what)
    })?;
    let message = &answer[LENGTH..wanted(&answer)];
    seen.body_bytes = message.len() as u64;
    Reply::read(message, &sent, question).map_err(|mismatch| mismatch.failure(shown))
}

/// No answer came in time.
pub(super) fn unanswered(shown: &str) -> Failure {
    Failure::target(Reason::DnsTimeout, format!("{shown} did not answer"))
}

/// When what was read last had come, not before `earliest`.
fn arrived(stream: &impl Stamped, earliest: Instant) -> Instant {
    stream.arrived().filter(|at| *at >= earliest).unwrap_or_else(clock::monotonic)
}

/// A question with its length, to be written at once, so that both leave in one
/// segment. No question is longer than its name and a few bytes.
pub(super) fn framed(message: &[u8]) -> Vec<u8> {
    let length = u16::try_from(message.len()).unwrap_or(u16::MAX);
    [&length.to_be_bytes(), message].concat()
}

async fn write(stream: &mut impl Stamped, message: &[u8]) -> io::Result<()> {
    stream.write_all(&framed(message)).await?;
    stream.flush().await
}

/// How many bytes the answer of which `read` came must have, as far as that is
/// known: at most 65,537 by the nature of its length.
pub(super) fn wanted(read: &[u8]) -> usize {
    match read {
        [high, low, ..] => LENGTH + usize::from(u16::from_be_bytes([*high, *low])),
        _ => LENGTH,
    }
}

/// Reads on until the answer is whole. Room is made as bytes come, not as they
/// are announced.
async fn read_rest(stream: &mut impl Stamped, answer: &mut Vec<u8>) -> io::Result<()> {
    while answer.len() < wanted(answer) {
        let missing = wanted(answer) - answer.len();
        answer.reserve(missing.min(limits::DNS_UDP_BYTES));
        if (&mut *stream).take(missing as u64).read_buf(answer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(())
}

fn broken(shown: &str, error: &io::Error, reason: Reason, what: &str) -> Failure {
    Failure::of_this_host(error)
        .or_else(|| judge_read(shown, error))
        .unwrap_or_else(|| closed(shown, reason, what))
}

fn closed(shown: &str, reason: Reason, what: &str) -> Failure {
    Failure::target(reason, format!("{shown} {what}"))
}
