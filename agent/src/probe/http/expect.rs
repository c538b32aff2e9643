//! What an answer must be, and what it had better be.

use super::body::BodyReader;
use crate::clock;
use crate::probe::failure::Failure;
use hyperverge_protocol::duration::Span;
use hyperverge_protocol::limits::RESPONSE_BODY_BYTES;
use hyperverge_protocol::monitor::{MonitorSpec, StatusRange};
use hyperverge_protocol::outcome::Reason;
use memchr::memmem::Finder;
use std::time::Duration;

const DAY_S: i64 = 24 * 3600;

/// A monitor's `expect` and `warn`.
#[derive(Debug)]
pub(super) struct Expectations {
    status: Vec<StatusRange>,
    body: Option<Finder<'static>>,
    latency: Option<Span>,
    certificate_days: Option<u32>,
    warn_latency: Option<Span>,
    warn_certificate_days: Option<u32>,
}

impl Expectations {
    pub(super) fn new(spec: &MonitorSpec) -> Self {
        let expect = &spec.expect;
        Self {
            status: expect.status.clone(),
            body: expect.body.as_ref().map(|text| Finder::new(text).into_owned()),
            latency: expect.latency,
            certificate_days: expect.certificate_days,
            warn_latency: spec.warn.latency,
            warn_certificate_days: spec.warn.certificate_days,
        }
    }

    /// A reader that looks for what the body must hold.
    pub(super) fn reader(&self) -> BodyReader<'_> {
        BodyReader::new(self.body.as_ref())
    }

    pub(super) fn judge_status(&self, status: u16) -> Result<(), Failure> {
        if self.status.iter().any(|range| range.contains(status)) {
            return Ok(());
        }
        let expected: Vec<String> = self.status.iter().map(ToString::to_string).collect();
        let message = format!("answered {status}, expected {}", expected.join(", "));
        Err(Failure::target(Reason::Status, message))
    }

    pub(super) fn judge_body(&self, found: bool, cut: bool) -> Result<(), Failure> {
        match (found, cut) {
            (true, _) => Ok(()),
            (false, false) => {
                Err(Failure::target(Reason::Body, "the body does not hold the expected text"))
            }
            (false, true) => {
                let mib = RESPONSE_BODY_BYTES / (1024 * 1024);
                let message =
                    format!("the first {mib} MiB of the body do not hold the expected text");
                Err(Failure::target(Reason::BodyTooLarge, message))
            }
        }
    }

    /// What only the whole check can tell: how long it took, how long the
    /// certificate is still good for. What must be comes before what had better be.
    pub(super) fn judge_whole(
        &self,
        took: Duration,
        certificate_expires_s: Option<i64>,
    ) -> Result<(), Failure> {
        let days_left = certificate_expires_s
            .map(|expires| expires.saturating_sub(clock::wall_unix_s()).div_euclid(DAY_S));
        if let Some(message) = expires_soon(days_left, self.certificate_days) {
            return Err(Failure::target(Reason::CertificateDays, message));
        }
        if let Some(message) = slow(took, self.latency) {
            return Err(Failure::target(Reason::Latency, message));
        }
        if let Some(message) = expires_soon(days_left, self.warn_certificate_days) {
            return Err(Failure::degraded(Reason::CertificateDays, message));
        }
        if let Some(message) = slow(took, self.warn_latency) {
            return Err(Failure::degraded(Reason::Latency, message));
        }
        Ok(())
    }
}

fn expires_soon(days_left: Option<i64>, at_least: Option<u32>) -> Option<String> {
    let (left, at_least) = (days_left?, at_least?);
    (left < i64::from(at_least)).then(|| {
        format!("the certificate is good for {left} more days, expected at least {at_least}")
    })
}

fn slow(took: Duration, limit: Option<Span>) -> Option<String> {
    let limit = limit?;
    (took > limit.0).then(|| format!("took {} ms, expected at most {limit}", took.as_millis()))
}
