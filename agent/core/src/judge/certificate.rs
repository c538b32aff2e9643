//! `certificate_days` and `chain_days`: how long the leaf certificate, and every
//! certificate that it depends on, is still good for.

use super::Judgement;
use hyperverge_protocol::monitor::MonitorSpec;
use hyperverge_protocol::outcome::{Observation, Reason};

const DAY_S: i64 = 24 * 3600;

#[derive(Debug)]
pub(super) struct Certificate {
    expect: AtLeast,
    warn: AtLeast,
}

/// Whole days that must be left.
#[derive(Debug)]
struct AtLeast {
    leaf: Option<u32>,
    chain: Option<u32>,
}

impl Certificate {
    pub(super) fn new(spec: &MonitorSpec) -> Self {
        let (expect, warn) = (&spec.expect, &spec.warn);
        Self {
            expect: AtLeast { leaf: expect.certificate_days, chain: expect.chain_days },
            warn: AtLeast { leaf: warn.certificate_days, chain: warn.chain_days },
        }
    }

    pub(super) fn must(&self, seen: &Observation, now_s: i64) -> Result<(), Judgement> {
        let broken = self.expect.broken(seen, now_s);
        broken.map_or(Ok(()), |(reason, says)| Err(Judgement::fail(reason, says)))
    }

    pub(super) fn should(&self, seen: &Observation, now_s: i64) -> Result<(), Judgement> {
        let broken = self.warn.broken(seen, now_s);
        broken.map_or(Ok(()), |(reason, says)| Err(Judgement::degraded(reason, says)))
    }
}

impl AtLeast {
    /// The first rule that is broken. No certificate, as where http stayed in
    /// the clear, is not a good one.
    fn broken(&self, seen: &Observation, now_s: i64) -> Option<(Reason, String)> {
        let none = |days| {
            format!("no certificate was seen, expected one good for at least {days} more days")
        };
        let days = |expires_s: i64| expires_s.saturating_sub(now_s).div_euclid(DAY_S);
        let short = |left: i64, at_least: Option<u32>| {
            at_least.filter(|at_least| left < i64::from(*at_least))
        };
        let leaf = match (self.leaf, seen.certificate_expires_s.map(days)) {
            (Some(at_least), None) => Some(none(at_least)),
            (at_least, Some(left)) => short(left, at_least).map(|at_least| {
                format!(
                    "the certificate is good for {left} more days, expected at least {at_least}"
                )
            }),
            (None, None) => None,
        };
        if let Some(says) = leaf {
            return Some((Reason::CertificateDays, says));
        }
        let tls = seen.details.as_ref().and_then(|details| details.tls.as_ref());
        let says = match (self.chain?, tls) {
            (at_least, None) => none(at_least),
            (at_least, Some(tls)) => {
                let left = days(tls.chain_expires_s);
                let at_least = short(left, Some(at_least))?;
                let whose = match tls.chain_subject.as_str() {
                    "" => String::new(),
                    other => format!(" depends on that of {other:?}, which"),
                };
                format!(
                    "the certificate{whose} is good for {left} more days, expected at least \
                     {at_least}"
                )
            }
        };
        Some((Reason::ChainDays, says))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyperverge_protocol::outcome::{Outcome, TlsFacts};

    const NOW_S: i64 = 1_800_000_000;

    fn judged(expect: &str, warn: &str) -> Option<(Outcome, Reason)> {
        let spec = format!(
            r#"{{"name": "a", "target": "https://a.test", "expect": {expect}, "warn": {warn}}}"#
        );
        let spec = MonitorSpec::from_json(spec.as_bytes()).expect("a monitor");
        let mut seen = Observation::bare(Outcome::Ok, None, "");
        seen.certificate_expires_s = Some(NOW_S + 40 * DAY_S);
        seen.details_mut().tls = Some(TlsFacts {
            leaf_expires_s: NOW_S + 40 * DAY_S,
            chain_expires_s: NOW_S + 20 * DAY_S - 1,
            ..TlsFacts::default()
        });
        let rules = Certificate::new(&spec);
        let judged = rules.must(&seen, NOW_S).and_then(|()| rules.should(&seen, NOW_S));
        judged.err().map(|judgement| (judgement.outcome, judgement.reason))
    }

    #[test]
    fn no_certificate_is_not_a_good_one() {
        for (sections, judgement) in [
            ("", None),
            (
                r#", "expect": {"certificate_days": 1}"#,
                Some((Outcome::Fail, Reason::CertificateDays)),
            ),
            (r#", "expect": {"chain_days": 1}"#, Some((Outcome::Fail, Reason::ChainDays))),
            (
                r#", "warn": {"certificate_days": 1}"#,
                Some((Outcome::Degraded, Reason::CertificateDays)),
            ),
        ] {
            let spec = format!(r#"{{"name": "a", "target": "http://a.test"{sections}}}"#);
            let spec = MonitorSpec::from_json(spec.as_bytes()).expect("a monitor");
            let seen = Observation::bare(Outcome::Ok, None, "");
            let rules = Certificate::new(&spec);
            let judged = rules.must(&seen, NOW_S).and_then(|()| rules.should(&seen, NOW_S));
            let judged = judged.err().map(|judgement| (judgement.outcome, judgement.reason));
            assert_eq!(judged, judgement, "{sections}");
        }
    }

    #[test]
    fn whose_days_are_few_is_said() {
        for (subject, says) in [
            ("", "the certificate is good for 9 more days, expected at least 10"),
            (
                "House",
                "the certificate depends on that of \"House\", which is good for 9 more days, \
                 expected at least 10",
            ),
        ] {
            let spec =
                br#"{"name": "a", "target": "https://a.test", "expect": {"chain_days": 10}}"#;
            let rules = Certificate::new(&MonitorSpec::from_json(spec).expect("a monitor"));
            let mut seen = Observation::bare(Outcome::Ok, None, "");
            seen.details_mut().tls = Some(TlsFacts {
                chain_expires_s: NOW_S + 10 * DAY_S - 1,
                chain_subject: subject.to_owned(),
                ..TlsFacts::default()
            });
            let judged = rules.must(&seen, NOW_S).expect_err("too few");
            assert_eq!(judged.message, says);
        }
    }

    #[test]
    fn leaf_and_chain_each_have_their_days() {
        for (expect, warn, judgement) in [
            (r#"{"certificate_days": 40, "chain_days": 19}"#, "{}", None),
            (r#"{"certificate_days": 41}"#, "{}", Some((Outcome::Fail, Reason::CertificateDays))),
            (r#"{"chain_days": 20}"#, "{}", Some((Outcome::Fail, Reason::ChainDays))),
            ("{}", r#"{"chain_days": 20}"#, Some((Outcome::Degraded, Reason::ChainDays))),
            (
                r#"{"chain_days": 20}"#,
                r#"{"certificate_days": 90}"#,
                Some((Outcome::Fail, Reason::ChainDays)),
            ),
        ] {
            assert_eq!(judged(expect, warn), judgement, "{expect} {warn}");
        }
    }
}
