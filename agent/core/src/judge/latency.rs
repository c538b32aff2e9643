//! `latency`: how long the check's phases took together.
//!
//! The sum of the phases, not the time from start to end: what the agent itself
//! needed in between, on a busy host, is not the target's.

use super::Judgement;
use hyperverge_protocol::duration::Span;
use hyperverge_protocol::monitor::MonitorSpec;
use hyperverge_protocol::outcome::{Observation, Reason};

#[derive(Debug)]
pub(super) struct Latency {
    expect: Option<Span>,
    warn: Option<Span>,
}

impl Latency {
    pub(super) fn new(spec: &MonitorSpec) -> Self {
        Self { expect: spec.expect.latency, warn: spec.warn.latency }
    }

    pub(super) fn must(&self, seen: &Observation) -> Result<(), Judgement> {
        over(seen, self.expect).map_or(Ok(()), |says| Err(Judgement::fail(Reason::Latency, says)))
    }

    pub(super) fn should(&self, seen: &Observation) -> Result<(), Judgement> {
        over(seen, self.warn).map_or(Ok(()), |says| Err(Judgement::degraded(Reason::Latency, says)))
    }
}

fn over(seen: &Observation, limit: Option<Span>) -> Option<String> {
    let (took, limit) = (seen.phases.total(), limit?);
    (took > limit.0).then(|| format!("took {} ms, expected at most {limit}", took.as_millis()))
}
