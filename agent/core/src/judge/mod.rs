//! Step 3: from what a probe saw to what is said about the target.
//!
//! A probe reports facts; whether they are good is decided here, by the
//! monitor's `expect`, `warn` and `assert`, without I/O and without a clock.
//! What must be comes before what had better be, and the first rule that is
//! broken, in the order of this module, is the one that is named.

mod certificate;
mod latency;

use hyperverge_protocol::monitor::MonitorSpec;
use hyperverge_protocol::outcome::{Observation, Outcome, Reason};
use hyperverge_protocol::problem::FieldProblem;

/// What the target said, beside what the observation already holds.
#[derive(Debug, Clone, Copy, Default)]
pub struct Answer<'a> {
    /// Names in lower case, as they came, repeated where they were repeated.
    pub headers: &'a [(String, String)],
    /// http: the decoded body as far as it was read. tcp: everything received.
    pub body: &'a [u8],
    /// The body was longer than what was read.
    pub cut: bool,
}

/// Why an observation is not `ok`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// `Fail` or `Degraded`.
    pub outcome: Outcome,
    pub reason: Reason,
    /// One sentence for people: what was expected, and what was seen.
    pub message: String,
}

impl Judgement {
    fn fail(reason: Reason, message: impl Into<String>) -> Self {
        Self { outcome: Outcome::Fail, reason, message: message.into() }
    }

    fn degraded(reason: Reason, message: impl Into<String>) -> Self {
        Self { outcome: Outcome::Degraded, reason, message: message.into() }
    }
}

/// One monitor's rules, compiled once.
#[derive(Debug)]
pub struct Judge {
    latency: latency::Latency,
    certificate: certificate::Certificate,
}

impl Judge {
    /// Compiles the rules of `spec`; the problem names the field that cannot be.
    pub fn new(spec: &MonitorSpec) -> Result<Self, FieldProblem> {
        Ok(Self {
            latency: latency::Latency::new(spec),
            certificate: certificate::Certificate::new(spec),
        })
    }

    /// Judges a check that went through. `now_s` is the wall clock, Unix seconds.
    pub fn judge(
        &self,
        seen: &Observation,
        _answer: &Answer<'_>,
        now_s: i64,
    ) -> Result<(), Judgement> {
        self.certificate.must(seen, now_s)?;
        self.latency.must(seen)?;
        self.certificate.should(seen, now_s)?;
        self.latency.should(seen)
    }
}
