//! `certificate_days`: how long the leaf certificate is still good for.

use super::Judgement;
use hyperverge_protocol::monitor::MonitorSpec;
use hyperverge_protocol::outcome::{Observation, Reason};

const DAY_S: i64 = 24 * 3600;

#[derive(Debug)]
pub(super) struct Certificate {
    expect: Option<u32>,
    warn: Option<u32>,
}

impl Certificate {
    pub(super) fn new(spec: &MonitorSpec) -> Self {
        Self { expect: spec.expect.certificate_days, warn: spec.warn.certificate_days }
    }

    pub(super) fn must(&self, seen: &Observation, now_s: i64) -> Result<(), Judgement> {
        expires_soon(seen, self.expect, now_s)
            .map_or(Ok(()), |says| Err(Judgement::fail(Reason::CertificateDays, says)))
    }

    pub(super) fn should(&self, seen: &Observation, now_s: i64) -> Result<(), Judgement> {
        expires_soon(seen, self.warn, now_s)
            .map_or(Ok(()), |says| Err(Judgement::degraded(Reason::CertificateDays, says)))
    }
}

fn expires_soon(seen: &Observation, at_least: Option<u32>, now_s: i64) -> Option<String> {
    let at_least = at_least?;
    let left = seen.certificate_expires_s?.saturating_sub(now_s).div_euclid(DAY_S);
    (left < i64::from(at_least)).then(|| {
        format!("the certificate is good for {left} more days, expected at least {at_least}")
    })
}
