//! Why a check did not go through, and whose fault that is.
//!
//! Everything below a probe answers with a [`Failure`]. Its outcome matters
//! more than its reason: `Fail` is a statement about the target and may end in
//! a page, so an error counts as the target's only if this host cannot have
//! caused it.

use super::limits;
use super::tls::TlsOptionsError;
use hyperverge_agent_core::judge::Judgement;
use hyperverge_protocol::duration::Span;
use hyperverge_protocol::limits::MESSAGE_BYTES;
use hyperverge_protocol::outcome::{Observation, Outcome, Reason};
use rustix::io::Errno;
use std::io;
use std::time::Duration;

/// An outcome other than `ok`, with its reason and a sentence for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub outcome: Outcome,
    pub reason: Reason,
    pub message: String,
    /// The check never came to its target; see [`before_target`](Self::before_target).
    pub before_target: bool,
}

impl Failure {
    fn new(outcome: Outcome, reason: Reason, message: impl Into<String>) -> Self {
        let mut message = message.into();
        message.truncate(message.floor_char_boundary(MESSAGE_BYTES));
        Self { outcome, reason, message, before_target: false }
    }

    /// The target did not do what was expected.
    pub fn target(reason: Reason, message: impl Into<String>) -> Self {
        Self::new(Outcome::Fail, reason, message)
    }

    /// A warning threshold was crossed.
    pub fn degraded(reason: Reason, message: impl Into<String>) -> Self {
        Self::new(Outcome::Degraded, reason, message)
    }

    /// The host's own policy forbade it.
    pub fn policy(reason: Reason, message: impl Into<String>) -> Self {
        Self::new(Outcome::Policy, reason, message)
    }

    /// This agent cannot make the check.
    pub fn unsupported(reason: Reason, message: impl Into<String>) -> Self {
        Self::new(Outcome::Unsupported, reason, message)
    }

    /// The check ended on its way to the target: in a lookup, or at a proxy. Whatever
    /// the reason, it shows nothing of the target.
    pub fn before_target(self) -> Self {
        Self { before_target: true, ..self }
    }

    /// What the operating system refused for reasons of its own, if it did:
    /// no descriptors, ports, memory or permission say nothing about a target.
    pub fn of_this_host(error: &io::Error) -> Option<Self> {
        let (reason, what) = match Errno::from_io_error(error)? {
            Errno::MFILE | Errno::NFILE => (Reason::AgentFault, "has no file descriptor left"),
            Errno::ADDRNOTAVAIL => (Reason::AgentFault, "has no local address or port left"),
            Errno::NOBUFS | Errno::NOMEM => (Reason::AgentFault, "has no memory left"),
            Errno::NETDOWN => (Reason::AgentFault, "has its network down"),
            Errno::AFNOSUPPORT => (Reason::UnsupportedFamily, "does not have this address family"),
            Errno::PERM | Errno::ACCESS => {
                (Reason::UnsupportedPermission, "may not open this connection")
            }
            _ => return None,
        };
        Some(Self::unsupported(reason, format!("the agent's host {what}")))
    }

    /// The failure of a check that `took` so long; this host's own if it went far
    /// past its timeout. Then the process was stopped, suspended or starved,
    /// and what it saw, if only a closed connection, may be a consequence.
    pub fn unless_stalled(self, took: Duration, timeout: Span) -> Self {
        let over = took.saturating_sub(timeout.0);
        if over <= limits::STALL || !matches!(self.outcome, Outcome::Fail | Outcome::Degraded) {
            return self;
        }
        let millis = over.as_millis();
        let message =
            format!("the agent's host stalled: the check ended {millis} ms after its timeout");
        Self::unsupported(Reason::AgentFault, message)
    }

    /// Writes this into what was seen so far.
    pub fn end(self, seen: &mut Observation) {
        seen.outcome = self.outcome;
        seen.reason = Some(self.reason);
        seen.message = self.message;
    }

    /// As an observation without anything measured.
    pub fn bare(self) -> Observation {
        Observation::bare(self.outcome, Some(self.reason), self.message)
    }

    /// What an inverted check makes of this, where the target is expected to fail: `None` is
    /// what was expected. "Must not be reachable" is not shown by a proxy that is
    /// down, nor by a lookup that failed: not even by a name that is missing, since
    /// whoever mistyped it, or let it lapse, would be told that all is well behind a
    /// firewall that stands open. What says something about us stays as it is.
    fn inverted(self) -> Option<Self> {
        match self.outcome {
            Outcome::Fail if !self.before_target => None,
            Outcome::Degraded => Some(Self::succeeded()),
            _ => Some(self),
        }
    }

    fn succeeded() -> Self {
        Self::target(Reason::Inverted, "succeeded, though it is expected to fail")
    }
}

/// `invert: true`: the target is expected to fail.
pub fn inverted(judged: Result<(), Failure>) -> Result<(), Failure> {
    match judged {
        Ok(()) => Err(Failure::succeeded()),
        Err(failure) => failure.inverted().map_or(Ok(()), Err),
    }
}

/// A check during which the host slept for so long accuses nobody: its own time
/// stood still, and whom it talked to had given up on it by the time it woke.
pub fn acquit_if_slept(judged: Result<(), Failure>, slept: Duration) -> Result<(), Failure> {
    let accuses = |failure: &Failure| matches!(failure.outcome, Outcome::Fail | Outcome::Degraded);
    if slept <= limits::SLEPT || !judged.as_ref().is_err_and(accuses) {
        return judged;
    }
    let message = format!("the agent's host slept for {} ms of the check", slept.as_millis());
    Err(Failure::unsupported(Reason::AgentFault, message))
}

impl From<Judgement> for Failure {
    fn from(judgement: Judgement) -> Self {
        Self::new(judgement.outcome, judgement.reason, judgement.message)
    }
}

impl From<TlsOptionsError> for Failure {
    fn from(error: TlsOptionsError) -> Self {
        Self::unsupported(Reason::UnsupportedSpec, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{self, Moment};

    #[test]
    fn what_this_host_lacks_is_never_the_targets_fault() {
        for (errno, reason) in [
            (Errno::MFILE, Reason::AgentFault),
            (Errno::NFILE, Reason::AgentFault),
            (Errno::ADDRNOTAVAIL, Reason::AgentFault),
            (Errno::NOBUFS, Reason::AgentFault),
            (Errno::PERM, Reason::UnsupportedPermission),
            (Errno::AFNOSUPPORT, Reason::UnsupportedFamily),
        ] {
            let failure = Failure::of_this_host(&errno.into()).expect("ours");
            assert_eq!((failure.outcome, failure.reason), (Outcome::Unsupported, reason));
        }
        for errno in [Errno::CONNREFUSED, Errno::CONNRESET, Errno::TIMEDOUT, Errno::HOSTUNREACH] {
            assert_eq!(Failure::of_this_host(&errno.into()), None, "{errno:?}");
        }
    }

    #[test]
    fn a_check_that_overran_its_timeout_by_far_accuses_nobody() {
        let timeout = Span::from_secs(10);
        let refused = Failure::target(Reason::ConnectRefused, "x");
        for (took, outcome) in [
            (Duration::from_secs(1), Outcome::Fail),
            (timeout.0 + limits::STALL, Outcome::Fail),
            (timeout.0 + limits::STALL * 2, Outcome::Unsupported),
        ] {
            assert_eq!(refused.clone().unless_stalled(took, timeout).outcome, outcome, "{took:?}");
        }
        let policy = Failure::policy(Reason::PolicyAddress, "x");
        assert_eq!(policy.clone().unless_stalled(Duration::MAX, timeout), policy);
    }

    #[test]
    fn a_check_whose_host_slept_accuses_nobody() {
        let began = Moment { boot_us: 5_000_000, monotonic: clock::monotonic() };
        let ended = |boot_s: u64, awake_s| Moment {
            boot_us: began.boot_us + Duration::from_secs(boot_s).as_micros() as i64,
            monotonic: began.monotonic + Duration::from_secs(awake_s),
        };
        for (boot_s, awake_s, outcome, then) in [
            (9, 9, Outcome::Fail, Outcome::Fail),
            (3_600, 9, Outcome::Fail, Outcome::Unsupported),
            (3_600, 9, Outcome::Degraded, Outcome::Unsupported),
            (3_600, 9, Outcome::Policy, Outcome::Policy),
        ] {
            let failed = Err(Failure::new(outcome, Reason::TimeoutProcessing, "x"));
            let judged = acquit_if_slept(failed, began.slept_until(&ended(boot_s, awake_s)));
            let failure = judged.expect_err("a failure stays one");
            assert_eq!(failure.outcome, then, "{boot_s} {awake_s} {outcome:?}");
            assert_eq!(failure.reason == Reason::AgentFault, then != outcome);
        }
        // The clocks are read one after the other.
        let earlier = Moment { boot_us: began.boot_us - 3, ..began };
        assert_eq!(began.slept_until(&earlier), Duration::ZERO);
    }

    #[test]
    fn inverting_turns_only_what_the_target_did() {
        let of = |failure: Failure| inverted(Err(failure)).map_err(|failure| failure.reason);
        assert_eq!(of(Failure::target(Reason::ConnectRefused, "x")), Ok(()));
        assert_eq!(of(Failure::degraded(Reason::Latency, "x")), Err(Reason::Inverted));
        assert_eq!(inverted(Ok(())), Err(Failure::succeeded()));
        // About us, and about nothing that the target did.
        for failure in [
            Failure::policy(Reason::PolicyAddress, "x"),
            Failure::unsupported(Reason::AgentFault, "x"),
            Failure::target(Reason::DnsNxdomain, "x").before_target(),
            Failure::target(Reason::TimeoutConnect, "x").before_target(),
        ] {
            assert_eq!(inverted(Err(failure.clone())), Err(failure));
        }
    }

    #[test]
    fn a_message_is_cut_between_characters() {
        let failure = Failure::target(Reason::Status, "é".repeat(MESSAGE_BYTES));
        assert_eq!(failure.message.len(), MESSAGE_BYTES);
        let failure = Failure::target(Reason::Status, format!("a{}", "é".repeat(MESSAGE_BYTES)));
        assert_eq!(failure.message.len(), MESSAGE_BYTES - 1);
    }
}
