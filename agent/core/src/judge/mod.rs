//! Step 3: from what a probe saw to what is said about the target.
//!
//! A probe reports facts; whether they are good is decided here, by the
//! monitor's `expect`, `warn` and `assert`, without I/O and without a clock.
//! What must be comes before what had better be, and the first rule that is
//! broken is the one that is named, in this order:
//!
//! 1. `expect`: status (before the body is read), headers, body (`body`,
//!    `body_without`, `body_regex`), a name server's answer, certificate, loss,
//!    jitter, latency;
//! 2. `assert`, in the order of the specification;
//! 3. `warn`: a name server's answer, certificate, loss, jitter, latency.
//!
//! Messages say what was expected and what was seen. They quote neither the
//! answer's body nor the patterns it is searched for: both may hold secrets.
//!
//! To add a rule: a file with a type that takes its part of the specification
//! in `new` and has `must` (fails) or `should` (degrades), and its line in
//! [`Judge::judge`].

mod assertions;
mod body;
mod certificate;
mod dns;
mod headers;
mod icmp;
mod latency;
mod status;

pub use body::{BodyReader, Found};
use hyperverge_protocol::monitor::MonitorSpec;
use hyperverge_protocol::outcome::{Observation, Outcome, Reason};
use hyperverge_protocol::problem::FieldProblem;

/// What the target said, beside what the observation already holds.
#[derive(Debug, Clone, Copy, Default)]
pub struct Answer<'a> {
    /// Names in lower case, as they came, repeated where they were repeated.
    /// May be left empty unless [`Wants::headers`].
    pub headers: &'a [(String, String)],
    /// http: the decoded body as far as it was read and kept (see [`Wants::body`]).
    /// tcp: everything received.
    pub body: &'a [u8],
    /// The body was longer than what was read.
    pub cut: bool,
    /// What a [`BodyReader`] found on the way.
    pub found: Found,
    /// dns: data of the records in the authority section that say who has it (NS, SOA).
    pub authority: &'a [String],
    /// dns: further records of the type asked for whose data cannot be written as text.
    pub unwritten: usize,
}

/// What a probe has to keep of an answer for it to be judged. A monitor that
/// asks for little costs little.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wants {
    pub body: WantsBody,
    /// [`Answer::headers`] must be filled in.
    pub headers: bool,
}

/// See [`Wants`]. [`BodyReader`] keeps what is wanted by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum WantsBody {
    /// Nobody looks at it: it is counted, and its beginning kept as a sample.
    Count,
    /// Texts are looked for while it passes.
    Search,
    /// All of it is kept until it is judged.
    Whole,
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
    status: status::Status,
    headers: headers::Headers,
    body: body::Body,
    latency: latency::Latency,
    certificate: certificate::Certificate,
    icmp: icmp::Icmp,
    assertions: assertions::Assertions,
    dns: dns::Dns,
}

impl Judge {
    /// Compiles the rules of `spec`; the problem names the field that cannot be.
    pub fn new(spec: &MonitorSpec) -> Result<Self, FieldProblem> {
        let assertions = assertions::Assertions::new(spec)?;
        Ok(Self {
            status: status::Status::new(spec),
            headers: headers::Headers::new(spec)?,
            body: body::Body::new(spec, assertions.uses().body)?,
            latency: latency::Latency::new(spec),
            certificate: certificate::Certificate::new(spec),
            icmp: icmp::Icmp::new(spec),
            assertions,
            dns: dns::Dns::new(spec)?,
        })
    }

    /// What must be in the [`Answer`].
    pub fn wants(&self) -> Wants {
        Wants {
            body: self.body.wants(),
            headers: !self.headers.is_empty() || self.assertions.uses().headers,
        }
    }

    /// Judges an http answer by its status alone, before its body is read.
    pub fn judge_status(&self, status: u16) -> Result<(), Judgement> {
        self.status.must(status)
    }

    /// Takes an http answer's body as it comes.
    pub fn body_reader(&self) -> BodyReader<'_> {
        self.body.reader()
    }

    /// Judges a check that went through. `now_s` is the wall clock, Unix seconds.
    pub fn judge(
        &self,
        seen: &Observation,
        answer: &Answer<'_>,
        now_s: i64,
    ) -> Result<(), Judgement> {
        self.headers.must(answer)?;
        self.body.must(answer)?;
        self.dns.must(seen, answer)?;
        self.certificate.must(seen, now_s)?;
        self.icmp.must(seen)?;
        self.latency.must(seen)?;
        self.assertions.must(seen, answer, now_s)?;
        self.dns.should(seen)?;
        self.certificate.should(seen, now_s)?;
        self.icmp.should(seen)?;
        self.latency.should(seen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use std::time::Duration;

    fn judge(more: Value) -> Judge {
        let mut spec = json!({ "name": "a", "target": "https://example.com" });
        for (key, value) in more.as_object().expect("an object") {
            spec[key] = value.clone();
        }
        let spec = serde_json::from_value::<MonitorSpec>(spec).expect("a specification");
        assert_eq!(spec.check(), Vec::new());
        Judge::new(&spec).expect("good rules")
    }

    /// What an answer in 500 ms with a certificate for 10 days and an empty body is.
    fn judged(more: Value) -> Option<(Outcome, Reason)> {
        let mut seen = Observation::bare(Outcome::Ok, None, "");
        seen.phases.processing = Some(Duration::from_millis(500));
        seen.certificate_expires_s = Some(10 * 24 * 3600);
        let judgement = judge(more).judge(&seen, &Answer::default(), 0).err()?;
        Some((judgement.outcome, judgement.reason))
    }

    #[test]
    fn what_must_be_comes_before_what_had_better_be() {
        let expect = json!({ "body": "x", "certificate_days": 20, "latency": "400ms" });
        let warn = json!({ "certificate_days": 30, "latency": "300ms" });
        let mut spec = json!({ "expect": expect, "assert": ["false"], "warn": warn });
        let (fail, degraded) = (Outcome::Fail, Outcome::Degraded);
        for (section, field, ends) in [
            ("expect", "body", Some((fail, Reason::Body))),
            ("expect", "certificate_days", Some((fail, Reason::CertificateDays))),
            ("expect", "latency", Some((fail, Reason::Latency))),
            ("assert", "", Some((fail, Reason::Assertion))),
            ("warn", "certificate_days", Some((degraded, Reason::CertificateDays))),
            ("warn", "latency", Some((degraded, Reason::Latency))),
        ] {
            assert_eq!(judged(spec.clone()), ends, "{section}.{field}");
            if field.is_empty() {
                spec[section] = json!([]);
            } else if let Some(fields) = spec[section].as_object_mut() {
                fields.remove(field);
            }
        }
        assert_eq!(judged(spec), None);
    }

    #[test]
    fn only_what_a_rule_looks_at_is_wanted() {
        let wants = |more| judge(more).wants();
        let of = |body, headers| Wants { body, headers };
        assert_eq!(wants(json!({})), of(WantsBody::Count, false));
        assert_eq!(wants(json!({ "expect": { "body": "x" } })), of(WantsBody::Search, false));
        let headers = json!({ "expect": { "body_without": "x", "headers": { "a": "." } } });
        assert_eq!(wants(headers), of(WantsBody::Search, true));
        assert_eq!(wants(json!({ "expect": { "body_regex": "x" } })), of(WantsBody::Whole, false));
        let status = json!({ "assert": ["response.status == 200"] });
        assert_eq!(wants(status), of(WantsBody::Count, false));
        let both = json!({ "assert": ["response.json().a == response.headers.b"] });
        assert_eq!(wants(both), of(WantsBody::Whole, true));
    }
}
