//! `rcode`, `answers`, `answers_only`, `ttl`, `authoritative`, `authority`: what
//! a name server's answer must be.
//!
//! By default it must be NOERROR and hold a record of the type asked for. An
//! empty answer is good only where one is expected: `answers_only` without
//! `answers` asks for none, and `authority` for a referral.

use super::{Answer, Judgement};
use hyperverge_protocol::dns::{RecordData, authority_type};
use hyperverge_protocol::duration::Span;
use hyperverge_protocol::monitor::{Kind, MonitorSpec, RecordType};
use hyperverge_protocol::outcome::{DnsFacts, Observation, Reason};
use hyperverge_protocol::problem::FieldProblem;

const NOERROR: &str = "NOERROR";
/// Records of an answer that a message names.
const SHOWN: usize = 4;

#[derive(Debug)]
pub(super) struct Dns {
    record: RecordType,
    rcode: Vec<String>,
    answers: Vec<RecordData>,
    answers_only: bool,
    ttl: Option<Span>,
    warn_ttl: Option<Span>,
    authoritative: Option<bool>,
    authority: Vec<String>,
}

impl Dns {
    pub(super) fn new(spec: &MonitorSpec) -> Result<Self, FieldProblem> {
        let (expect, record) = (&spec.expect, spec.dns.record);
        let (answers, authority) = match spec.kind {
            Kind::Dns => (expect.answers.as_slice(), expect.authority.as_slice()),
            _ => (Default::default(), Default::default()),
        };
        let authority = parse("expect.authority", authority, authority_type)?;
        Ok(Self {
            record,
            rcode: match expect.rcode.as_slice() {
                [] => vec![NOERROR.to_owned()],
                codes => codes.to_vec(),
            },
            answers: parse("expect.answers", answers, |_| record)?,
            answers_only: expect.answers_only,
            ttl: expect.ttl,
            warn_ttl: spec.warn.ttl,
            authoritative: expect.authoritative,
            authority: authority.iter().map(ToString::to_string).collect(),
        })
    }

    pub(super) fn must(&self, seen: &Observation, answer: &Answer<'_>) -> Result<(), Judgement> {
        let Some(facts) = seen.details.as_ref().and_then(|details| details.dns.as_ref()) else {
            return Ok(());
        };
        self.judge_rcode(facts)?;
        self.judge_answers(facts, answer.unwritten)?;
        if let Some(says) = self.short_lived(facts, self.ttl) {
            return Err(Judgement::fail(Reason::DnsTtl, says));
        }
        self.judge_authority(facts, answer)
    }

    pub(super) fn should(&self, seen: &Observation) -> Result<(), Judgement> {
        let facts = seen.details.as_ref().and_then(|details| details.dns.as_ref());
        facts
            .and_then(|facts| self.short_lived(facts, self.warn_ttl))
            .map_or(Ok(()), |says| Err(Judgement::degraded(Reason::DnsTtl, says)))
    }

    fn judge_rcode(&self, facts: &DnsFacts) -> Result<(), Judgement> {
        if self.rcode.contains(&facts.rcode) {
            return Ok(());
        }
        let reason = match facts.rcode.as_str() {
            "NXDOMAIN" => Reason::DnsNxdomain,
            "SERVFAIL" => Reason::DnsServfail,
            "REFUSED" => Reason::DnsRefused,
            _ => Reason::DnsRcode,
        };
        let expected = self.rcode.join(" or ");
        Err(Judgement::fail(reason, format!("answered {}, expected {expected}", facts.rcode)))
    }

    fn judge_answers(&self, facts: &DnsFacts, unwritten: usize) -> Result<(), Judgement> {
        let record = self.record.as_str();
        let wrong = |says| Err(Judgement::fail(Reason::DnsAnswer, says));
        let empty_is_good = self.answers_only || !self.authority.is_empty();
        if facts.answers.is_empty() && facts.rcode == NOERROR && !empty_is_good {
            return wrong(format!("the answer holds no {record} record"));
        }
        if self.answers.is_empty() && !self.answers_only {
            return Ok(());
        }
        let found: Vec<RecordData> = facts
            .answers
            .iter()
            .filter_map(|data| RecordData::parse(self.record, data).ok())
            .collect();
        if let Some(missing) = self.answers.iter().find(|e| !found.iter().any(|f| f.same(e))) {
            let found = shown(&found);
            return wrong(format!("expected the {record} record {missing}, found {found}"));
        }
        let other = found.iter().find(|f| !self.answers.iter().any(|e| f.same(e)));
        // What cannot be read cannot be one of those that are expected.
        let unread = facts.answers.len() - found.len() + unwritten;
        match other {
            _ if !self.answers_only => Ok(()),
            Some(other) => {
                wrong(format!("found the {record} record {other}, which is not expected"))
            }
            None if unread > 0 => wrong(format!(
                "found {unread} {record} records that cannot be read, which are not expected"
            )),
            None => Ok(()),
        }
    }

    fn short_lived(&self, facts: &DnsFacts, at_least: Option<Span>) -> Option<String> {
        let (ttl, at_least) = (facts.ttl_s?, at_least?);
        (u64::from(ttl) < at_least.0.as_secs()).then(|| {
            let record = self.record.as_str();
            format!("a {record} record has a TTL of {ttl}s, expected at least {at_least}")
        })
    }

    fn judge_authority(&self, facts: &DnsFacts, answer: &Answer<'_>) -> Result<(), Judgement> {
        let wrong = |says: String| Err(Judgement::fail(Reason::DnsAuthority, says));
        match self.authoritative {
            Some(true) if !facts.authoritative => {
                return wrong("answered without authority (AA), expected with it".to_owned());
            }
            Some(false) if facts.authoritative => {
                return wrong("answered with authority (AA), expected without it".to_owned());
            }
            _ => {}
        }
        match self.authority.iter().find(|expected| !answer.authority.contains(expected)) {
            Some(missing) => {
                let found = shown(answer.authority);
                wrong(format!("expected {missing} in the authority section, found {found}"))
            }
            None => Ok(()),
        }
    }
}

fn parse(
    field: &str,
    data: &[String],
    record: impl Fn(&str) -> RecordType,
) -> Result<Vec<RecordData>, FieldProblem> {
    data.iter()
        .enumerate()
        .map(|(index, text)| {
            RecordData::parse(record(text), text)
                .map_err(|rule| FieldProblem::new(format!("{field}[{index}]"), rule.to_string()))
        })
        .collect()
}

/// The first few records, for people.
fn shown(records: &[impl ToString]) -> String {
    let first: Vec<String> = records.iter().take(SHOWN).map(ToString::to_string).collect();
    match records.len().saturating_sub(SHOWN) {
        _ if records.is_empty() => "none".to_owned(),
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Judge;
    use super::*;
    use hyperverge_protocol::outcome::Outcome;

    /// How the answer `facts` ends for a monitor with these sections.
    fn judged(sections: &str, facts: DnsFacts, authority: &[&str]) -> Option<(Outcome, Reason)> {
        let spec =
            format!(r#"{{ "name": "a", "kind": "dns", "target": "a.example", {sections} }}"#);
        let spec = MonitorSpec::from_json(spec.as_bytes()).expect("a monitor");
        let mut seen = Observation::bare(Outcome::Ok, None, "");
        seen.details_mut().dns = Some(facts);
        let authority: Vec<String> = authority.iter().map(ToString::to_string).collect();
        let answer = Answer { authority: &authority, ..Answer::default() };
        let judge = Judge::new(&spec).expect("a judge");
        judge.judge(&seen, &answer, 0).err().map(|judgement| (judgement.outcome, judgement.reason))
    }

    fn facts(rcode: &str, answers: &[&str]) -> DnsFacts {
        DnsFacts {
            rcode: rcode.to_owned(),
            answers: answers.iter().map(ToString::to_string).collect(),
            ttl_s: (!answers.is_empty()).then_some(300),
            authoritative: true,
            truncated: false,
        }
    }

    const PLAIN: &str = r#""enabled": true"#;

    #[test]
    fn a_code_is_what_was_expected() {
        let failed = |reason| Some((Outcome::Fail, reason));
        for (code, reason) in [
            ("NXDOMAIN", Reason::DnsNxdomain),
            ("SERVFAIL", Reason::DnsServfail),
            ("REFUSED", Reason::DnsRefused),
            ("NOTIMP", Reason::DnsRcode),
            ("RCODE3841", Reason::DnsRcode),
        ] {
            assert_eq!(judged(PLAIN, facts(code, &[]), &[]), failed(reason));
        }
        let nxdomain = r#""expect": { "rcode": ["NXDOMAIN"] }"#;
        assert_eq!(judged(nxdomain, facts("NXDOMAIN", &[]), &[]), None);
        assert_eq!(
            judged(nxdomain, facts("NOERROR", &["192.0.2.1"]), &[]),
            failed(Reason::DnsRcode)
        );
    }

    #[test]
    fn answers_are_compared_in_one_spelling() {
        let wrong = Some((Outcome::Fail, Reason::DnsAnswer));
        let mx = |more: &str| {
            format!(
                r#""dns": {{ "record": "MX" }}, "expect": {{ "answers": ["10 Mail.Example"]{more} }}"#
            )
        };
        let two = ["10 mail.example.", "20 other.example."];
        assert_eq!(judged(&mx(""), facts("NOERROR", &two), &[]), None);
        assert_eq!(judged(&mx(r#", "answers_only": true"#), facts("NOERROR", &two), &[]), wrong);
        assert_eq!(
            judged(&mx(r#", "answers_only": true"#), facts("NOERROR", &two[..1]), &[]),
            None
        );
        assert_eq!(judged(&mx(""), facts("NOERROR", &two[1..]), &[]), wrong);
        let txt = r#""dns": { "record": "TXT" }, "expect": { "answers": ["v=spf1 -all"] }"#;
        assert_eq!(judged(txt, facts("NOERROR", &["\"v=spf1 \" \"-all\""]), &[]), None);
    }

    #[test]
    fn a_record_that_cannot_be_read_is_a_surplus_one() {
        let judged = |more: &str, found: &[&str], unwritten| {
            let spec = format!(
                r#"{{ "name": "a", "kind": "dns", "target": "a.example",
                     "expect": {{ "answers": ["192.0.2.1"]{more} }} }}"#
            );
            let spec = MonitorSpec::from_json(spec.as_bytes()).expect("a monitor");
            let mut seen = Observation::bare(Outcome::Ok, None, "");
            seen.details_mut().dns = Some(facts("NOERROR", found));
            let answer = Answer { unwritten, ..Answer::default() };
            let judge = Judge::new(&spec).expect("a judge");
            judge.judge(&seen, &answer, 0).err().map(|judgement| judgement.reason)
        };
        let only = r#", "answers_only": true"#;
        assert_eq!(judged(only, &["192.0.2.1"], 0), None);
        assert_eq!(judged(only, &["192.0.2.1"], 1), Some(Reason::DnsAnswer));
        assert_eq!(judged(only, &["192.0.2.1", "?"], 0), Some(Reason::DnsAnswer));
        assert_eq!(judged("", &["192.0.2.1", "?"], 1), None);
    }

    #[test]
    fn an_empty_answer_is_good_only_where_one_is_expected() {
        let empty = || facts("NOERROR", &[]);
        assert_eq!(judged(PLAIN, empty(), &[]), Some((Outcome::Fail, Reason::DnsAnswer)));
        assert_eq!(judged(r#""expect": { "answers_only": true }"#, empty(), &[]), None);
        let referral = r#""expect": { "authority": ["ns1.Example"] }"#;
        assert_eq!(judged(referral, empty(), &["ns1.example."]), None);
        let other = judged(referral, empty(), &["ns2.example."]);
        assert_eq!(other, Some((Outcome::Fail, Reason::DnsAuthority)));
    }

    #[test]
    fn ttl_and_authority() {
        let good = || facts("NOERROR", &["192.0.2.1"]);
        for (section, judgement) in [
            (r#""expect": { "ttl": "5m" }"#, None),
            (r#""expect": { "ttl": "301s" }"#, Some((Outcome::Fail, Reason::DnsTtl))),
            (r#""warn": { "ttl": "301s" }"#, Some((Outcome::Degraded, Reason::DnsTtl))),
            (r#""expect": { "authoritative": true }"#, None),
            (
                r#""expect": { "authoritative": false }"#,
                Some((Outcome::Fail, Reason::DnsAuthority)),
            ),
        ] {
            assert_eq!(judged(section, good(), &[]), judgement, "{section}");
        }
    }
}
