//! The names an expression may use: what a check saw, by kind.
//!
//! To add one: a variant, its line in [`FACTS`], its value in [`Facts::get`],
//! and its line in docs/assertions.md.

use super::error::Error;
use super::json;
use super::value::{List, Map, Text, Value};
use crate::limits::ASSERTION_STEPS;
use crate::monitor::Kind;
use crate::outcome::{IcmpFacts, Observation, TlsFacts};
use std::borrow::Cow;
use std::cell::{Cell, OnceCell};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::time::Duration;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fact {
    Status,
    Body,
    Json,
    Headers,
    HttpVersion,
    Size,
    Redirects,
    Resolve,
    Connect,
    Tls,
    Processing,
    Transfer,
    Total,
    DaysLeft,
    ChainDaysLeft,
    Fingerprint,
    Subject,
    Issuer,
    TlsVersion,
    Cipher,
    Rcode,
    Answers,
    Ttl,
    Authoritative,
    Truncated,
    Sent,
    Received,
    Loss,
    Rtt,
    RttMin,
    RttMax,
    Jitter,
    TcpReceived,
}

/// What is known of a fact before any check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    Bool,
    Other,
    /// As the target has it.
    Any,
}

const HTTP: &[Kind] = &[Kind::Http];
const SECURE: &[Kind] = &[Kind::Http, Kind::Tcp, Kind::Dns, Kind::Tls];

/// Every fact with its name and the kinds that have it.
pub(super) const FACTS: [(Fact, &str, &[Kind]); 33] = [
    (Fact::Status, "response.status", HTTP),
    (Fact::Body, "response.body", HTTP),
    (Fact::Json, "response.json()", HTTP),
    (Fact::Headers, "response.headers", HTTP),
    (Fact::HttpVersion, "response.version", HTTP),
    (Fact::Size, "response.size", HTTP),
    (Fact::Redirects, "response.redirects", HTTP),
    (Fact::Resolve, "phases.resolve", &Kind::ALL),
    (Fact::Connect, "phases.connect", &Kind::ALL),
    (Fact::Tls, "phases.tls", &Kind::ALL),
    (Fact::Processing, "phases.processing", &Kind::ALL),
    (Fact::Transfer, "phases.transfer", &Kind::ALL),
    (Fact::Total, "phases.total", &Kind::ALL),
    (Fact::DaysLeft, "certificate.days_left", SECURE),
    (Fact::ChainDaysLeft, "certificate.chain_days_left", SECURE),
    (Fact::Fingerprint, "certificate.fingerprint", SECURE),
    (Fact::Subject, "certificate.subject", SECURE),
    (Fact::Issuer, "certificate.issuer", SECURE),
    (Fact::TlsVersion, "tls.version", SECURE),
    (Fact::Cipher, "tls.cipher", SECURE),
    (Fact::Rcode, "dns.rcode", &[Kind::Dns]),
    (Fact::Answers, "dns.answers", &[Kind::Dns]),
    (Fact::Ttl, "dns.ttl", &[Kind::Dns]),
    (Fact::Authoritative, "dns.authoritative", &[Kind::Dns]),
    (Fact::Truncated, "dns.truncated", &[Kind::Dns]),
    (Fact::Sent, "icmp.sent", &[Kind::Icmp]),
    (Fact::Received, "icmp.received", &[Kind::Icmp]),
    (Fact::Loss, "icmp.loss", &[Kind::Icmp]),
    (Fact::Rtt, "icmp.rtt", &[Kind::Icmp]),
    (Fact::RttMin, "icmp.rtt_min", &[Kind::Icmp]),
    (Fact::RttMax, "icmp.rtt_max", &[Kind::Icmp]),
    (Fact::Jitter, "icmp.jitter", &[Kind::Icmp]),
    (Fact::TcpReceived, "tcp.received", &[Kind::Tcp]),
];

impl Fact {
    pub(super) fn by_name(name: &str) -> Option<Self> {
        FACTS.iter().find(|(_, other, _)| *other == name).map(|(fact, ..)| *fact)
    }

    pub(super) fn name(self) -> &'static str {
        FACTS.iter().find(|(fact, ..)| *fact == self).map_or("", |(_, name, _)| name)
    }

    pub(super) fn kinds(self) -> &'static [Kind] {
        FACTS.iter().find(|(fact, ..)| *fact == self).map_or(&[], |(_, _, kinds)| kinds)
    }

    pub(super) fn sort(self) -> Sort {
        match self {
            Self::Authoritative | Self::Truncated => Sort::Bool,
            Self::Json => Sort::Any,
            _ => Sort::Other,
        }
    }

    /// Whether messages may show the value itself: a body is the target's, and may be anything.
    pub(super) fn is_shown(self) -> bool {
        !matches!(self, Self::Body | Self::TcpReceived)
    }
}

/// What one check saw, for all assertions of its monitor. They share one
/// budget of steps ([`ASSERTION_STEPS`]).
#[derive(Debug)]
pub struct Facts<'a> {
    pub(super) seen: &'a Observation,
    headers: &'a [(String, String)],
    body: &'a [u8],
    cut: bool,
    now_s: i64,
    steps: Cell<u64>,
    /// Made once: an expression may ask for a header 100,000 times.
    joined: OnceCell<Vec<(&'a str, Cow<'a, str>)>>,
    text: OnceCell<Cow<'a, str>>,
    json: OnceCell<Result<serde_json::Value, Error>>,
}

impl<'a> Facts<'a> {
    /// `headers` have lower-case names; `body` is what http or tcp read, `cut`
    /// whether there was more; `now_s` is the wall clock, Unix seconds.
    pub fn new(
        seen: &'a Observation,
        headers: &'a [(String, String)],
        body: &'a [u8],
        cut: bool,
        now_s: i64,
    ) -> Self {
        Self {
            seen,
            headers,
            body,
            cut,
            now_s,
            steps: Cell::new(ASSERTION_STEPS),
            joined: OnceCell::new(),
            text: OnceCell::new(),
            json: OnceCell::new(),
        }
    }

    /// Pays for work; fails for good once the budget is used up.
    pub(super) fn charge(&self, steps: usize) -> Result<(), Error> {
        let left = self.steps.get().checked_sub(steps as u64);
        self.steps.set(left.unwrap_or(0));
        left.map(|_| ()).ok_or(Error::TooCostly(ASSERTION_STEPS))
    }

    /// The value of `fact`; `None` where the check has none, such as the time
    /// of a phase that did not take place.
    pub(super) fn get(&self, fact: Fact) -> Result<Option<Value<'_>>, Error> {
        let seen = self.seen;
        let details = seen.details.as_deref();
        let icmp = details.and_then(|details| details.icmp.as_ref());
        let dns = details.and_then(|details| details.dns.as_ref());
        let tls = details.and_then(|details| details.tls.as_ref());
        Ok(match fact {
            Fact::Status => seen.status.map(|status| Value::Int(i64::from(status))),
            Fact::Body | Fact::TcpReceived => Some(lent(self.text())),
            Fact::Json => Some(Value::of_json(self.json()?)),
            Fact::Headers => {
                Some(Value::Map(Map::Headers(self.joined.get_or_init(|| joined(self.headers)))))
            }
            Fact::HttpVersion => {
                details.and_then(|d| d.http.as_ref()).map(|http| lent(&http.version))
            }
            Fact::Size => Some(whole(seen.body_bytes)),
            Fact::Redirects => Some(Value::Int(i64::from(seen.redirects))),
            Fact::Resolve => seen.phases.resolve.map(millis),
            Fact::Connect => seen.phases.connect.map(millis),
            Fact::Tls => seen.phases.tls.map(millis),
            Fact::Processing => seen.phases.processing.map(millis),
            Fact::Transfer => seen.phases.transfer.map(millis),
            Fact::Total => Some(millis(seen.phases.total())),
            Fact::DaysLeft => seen.certificate_expires_s.map(|expires| self.days_until(expires)),
            Fact::ChainDaysLeft => tls.map(|tls| self.days_until(tls.chain_expires_s)),
            Fact::Fingerprint => tls.map(|tls| lent(&tls.fingerprint)),
            Fact::Subject => tls.map(|tls| lent(&tls.subject)),
            Fact::Issuer => tls.map(|tls| lent(&tls.issuer)),
            Fact::TlsVersion => tls.map(|tls: &TlsFacts| lent(&tls.version)),
            Fact::Cipher => tls.map(|tls| lent(&tls.cipher)),
            Fact::Rcode => dns.map(|dns| lent(&dns.rcode)),
            Fact::Answers => dns.map(|dns| Value::List(List::Texts(&dns.answers))),
            Fact::Ttl => dns.and_then(|dns| dns.ttl_s).map(|ttl| Value::Int(i64::from(ttl))),
            Fact::Authoritative => dns.map(|dns| Value::Bool(dns.authoritative)),
            Fact::Truncated => dns.map(|dns| Value::Bool(dns.truncated)),
            Fact::Sent => icmp.map(|icmp| Value::Int(i64::from(icmp.sent))),
            Fact::Received => icmp.map(|icmp| Value::Int(i64::from(icmp.received))),
            Fact::Loss => icmp.map(|icmp| Value::Int(i64::from(IcmpFacts::loss_percent(icmp)))),
            Fact::Rtt => icmp.and_then(|icmp| icmp.mean_us).map(micros),
            Fact::RttMin => icmp.and_then(|icmp| icmp.min_us).map(micros),
            Fact::RttMax => icmp.and_then(|icmp| icmp.max_us).map(micros),
            Fact::Jitter => icmp.and_then(|icmp| icmp.jitter_us).map(micros),
        })
    }

    fn text(&self) -> &str {
        self.text.get_or_init(|| String::from_utf8_lossy(self.body))
    }

    fn json(&self) -> Result<&serde_json::Value, Error> {
        let read = || if self.cut { Err(Error::Cut) } else { json::read(self.body) };
        self.json.get_or_init(read).as_ref().map_err(Clone::clone)
    }

    fn days_until(&self, expires_s: i64) -> Value<'static> {
        Value::Int(expires_s.saturating_sub(self.now_s).div_euclid(24 * 3600))
    }
}

/// A header that was repeated is one list, as RFC 9110, section 5.3, has it.
fn joined(headers: &[(String, String)]) -> Vec<(&str, Cow<'_, str>)> {
    let mut by_name: BTreeMap<&str, Cow<'_, str>> = BTreeMap::new();
    for (name, value) in headers {
        match by_name.entry(name) {
            Entry::Vacant(first) => {
                first.insert(Cow::Borrowed(value));
            }
            Entry::Occupied(mut list) => {
                let list = list.get_mut().to_mut();
                list.push_str(", ");
                list.push_str(value);
            }
        }
    }
    by_name.into_iter().collect()
}

fn lent(text: &str) -> Value<'_> {
    Value::Text(Text::Lent(text))
}

fn whole<'a>(number: u64) -> Value<'a> {
    i64::try_from(number).map_or(Value::Uint(number), Value::Int)
}

fn millis<'a>(took: Duration) -> Value<'a> {
    Value::Double(took.as_nanos() as f64 / 1e6)
}

fn micros<'a>(took: u64) -> Value<'a> {
    Value::Double(took as f64 / 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fact_has_one_name() {
        for (fact, name, kinds) in FACTS {
            assert_eq!(Fact::by_name(name), Some(fact));
            assert_eq!((fact.name(), fact.kinds()), (name, kinds));
        }
    }

    #[test]
    fn a_repeated_header_is_joined_once_however_often_it_is_asked_for() {
        let seen = Observation::bare(crate::outcome::Outcome::Ok, None, "");
        let headers = [("vary", "a"), ("age", "1"), ("vary", "b")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let facts = Facts::new(&seen, &headers, b"", false, 0);
        let vary = || match facts.get(Fact::Headers) {
            Ok(Some(Value::Map(map))) => match map.get("Vary") {
                Some(Value::Text(Text::Lent(text))) => text,
                other => panic!("not lent: {other:?}"),
            },
            other => panic!("no headers: {other:?}"),
        };
        assert_eq!(vary(), "a, b");
        assert_eq!(vary().as_ptr(), vary().as_ptr());
    }
}
