//! One deadline for a whole check, which knows in which phase it struck.

use super::failure::Failure;
use super::limits;
use crate::clock;
use hyperverge_protocol::duration::Span;
use hyperverge_protocol::outcome::{Phases, Reason};
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::{Duration, Instant};
use tokio::time::Sleep;

/// What a check is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    Resolve,
    Connect,
    Tls,
    Processing,
    Transfer,
}

impl Phase {
    fn timeout(self) -> (Reason, &'static str) {
        match self {
            Self::Resolve => (Reason::TimeoutResolve, "resolving the name"),
            Self::Connect => (Reason::TimeoutConnect, "connecting"),
            Self::Tls => (Reason::TimeoutTls, "shaking hands in TLS"),
            Self::Processing => (Reason::TimeoutProcessing, "waiting for the first byte"),
            Self::Transfer => (Reason::TimeoutTransfer, "reading the answer"),
        }
    }
}

/// The end of a check's time. Holds the one timer a check needs.
#[derive(Debug)]
pub struct Deadline<'a> {
    at: Instant,
    timeout: Span,
    timer: Pin<&'a mut Sleep>,
}

impl<'a> Deadline<'a> {
    /// `timer` must end at `at`, which is `timeout` after the check's start.
    pub fn new(at: Instant, timeout: Span, timer: Pin<&'a mut Sleep>) -> Self {
        Self { at, timeout, timer }
    }

    /// When the check's time is over.
    pub fn end(&self) -> Instant {
        self.at
    }

    /// What is left at `now`.
    pub fn remaining(&self, now: Instant) -> Duration {
        self.at.saturating_duration_since(now)
    }

    /// Runs one phase. A result that is there counts even if the time is just over:
    /// what the kernel holds for us by then is no timeout of the target's.
    pub async fn within<F: Future>(&mut self, phase: Phase, work: F) -> Result<F::Output, Failure> {
        let mut work = pin!(work);
        let timer = &mut self.timer;
        let done = poll_fn(|cx| match work.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending => timer.as_mut().poll(cx).map(|()| None),
        });
        if let Some(output) = done.await {
            return Ok(output);
        }
        // A process that was held up finds timers and sockets due at once, and is
        // told of the sockets by portions. One look is for the portion that this
        // check may be in; only after a hold-up are there more of them.
        let late = clock::monotonic().saturating_duration_since(self.at) > limits::HELD_UP;
        for _ in 0..if late { limits::LAST_LOOKS } else { 1 } {
            tokio::task::yield_now().await;
            if let Poll::Ready(output) = poll_once(work.as_mut()).await {
                return Ok(output);
            }
        }
        Err(self.struck(phase))
    }

    /// The failure of running out of time in `phase`.
    pub fn struck(&self, phase: Phase) -> Failure {
        ran_out(phase, self.timeout)
    }
}

/// The failure of a check that went through only because nobody looked when its
/// time was over: a process that was stopped meanwhile finds an answer there,
/// but the phases, which are the target's own time, say that it came too late.
pub fn overrun(phases: &Phases, timeout: Span) -> Option<Failure> {
    let mut total = Duration::ZERO;
    let in_order = [
        (Phase::Resolve, phases.resolve),
        (Phase::Connect, phases.connect),
        (Phase::Tls, phases.tls),
        (Phase::Processing, phases.processing),
        (Phase::Transfer, phases.transfer),
    ];
    let too_long = in_order.into_iter().find(|(_, took)| {
        total += took.unwrap_or_default();
        total > timeout.0
    });
    too_long.map(|(phase, _)| ran_out(phase, timeout))
}

fn ran_out(phase: Phase, timeout: Span) -> Failure {
    let (reason, doing) = phase.timeout();
    let message = format!("not done within {timeout}: the time ran out while {doing}");
    let failure = Failure::target(reason, message);
    if phase == Phase::Resolve { failure.before_target() } else { failure }
}

/// Polls `work` once, whatever comes of it.
async fn poll_once<F: Future>(mut work: Pin<&mut F>) -> Poll<F::Output> {
    poll_fn(|cx| Poll::Ready(work.as_mut().poll(cx))).await
}
