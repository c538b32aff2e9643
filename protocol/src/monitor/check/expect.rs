//! Sections `expect` and `warn`. A rule for what the kind never sees would
//! never be broken, and somebody would rely on it: it is refused.

use super::{Problems, tls};
use crate::limits;
use crate::monitor::{Expect, Kind, Method, MonitorSpec, StatusRange};

const HTTP: &[Kind] = &[Kind::Http];
const DNS: &[Kind] = &[Kind::Dns];
const ICMP: &[Kind] = &[Kind::Icmp];

pub(super) fn check(spec: &MonitorSpec, found: &mut Problems) {
    check_kinds(spec, found);
    check_latency(spec, found);
    check_days(spec, found);
    if spec.kind == Kind::Http {
        check_status(&spec.expect.status, found);
        check_body(spec, found);
        check_headers(&spec.expect, found);
    }
}

/// Fields that are there, and the kinds that have them.
fn check_kinds(spec: &MonitorSpec, found: &mut Problems) {
    let (expect, warn) = (&spec.expect, &spec.warn);
    for (field, is_there, kinds) in [
        ("expect.status", expect.status != Expect::default().status, HTTP),
        ("expect.body", expect.body.is_some(), HTTP),
        ("expect.body_without", expect.body_without.is_some(), HTTP),
        ("expect.body_regex", expect.body_regex.is_some(), HTTP),
        ("expect.headers", !expect.headers.is_empty(), HTTP),
        ("expect.loss", expect.loss.is_some(), ICMP),
        ("expect.jitter", expect.jitter.is_some(), ICMP),
        ("expect.rcode", !expect.rcode.is_empty(), DNS),
        ("expect.answers", !expect.answers.is_empty(), DNS),
        ("expect.answers_only", expect.answers_only, DNS),
        ("expect.ttl", expect.ttl.is_some(), DNS),
        ("expect.authoritative", expect.authoritative.is_some(), DNS),
        ("expect.authority", !expect.authority.is_empty(), DNS),
        ("warn.loss", warn.loss.is_some(), ICMP),
        ("warn.jitter", warn.jitter.is_some(), ICMP),
        ("warn.ttl", warn.ttl.is_some(), DNS),
    ] {
        let [kind] = kinds else { continue };
        found.unless(
            !is_there || spec.kind == *kind,
            field,
            format!("must be absent unless kind is {}", kind.as_str()),
        );
    }
}

fn check_latency(spec: &MonitorSpec, found: &mut Problems) {
    for (field, latency) in
        [("expect.latency", spec.expect.latency), ("warn.latency", spec.warn.latency)]
    {
        let Some(latency) = latency else { continue };
        found.unless(!latency.0.is_zero(), field, "must be more than 0");
        found.unless(
            latency <= spec.timeout(),
            field,
            format!("must be at most the timeout ({})", spec.timeout()),
        );
    }
}

fn check_days(spec: &MonitorSpec, found: &mut Problems) {
    for (field, days) in [
        ("expect.certificate_days", spec.expect.certificate_days),
        ("expect.chain_days", spec.expect.chain_days),
        ("warn.certificate_days", spec.warn.certificate_days),
        ("warn.chain_days", spec.warn.chain_days),
    ] {
        let Some(days) = days else { continue };
        found.unless((1..=3_650).contains(&days), field, "must be 1 to 3650");
        found.unless(tls::speaks_tls(spec), field, "must be absent where no TLS is spoken");
    }
}

fn check_status(status: &[StatusRange], found: &mut Problems) {
    found.unless(
        (1..=limits::STATUS_RANGES).contains(&status.len()),
        "expect.status",
        "must hold 1 to 32 ranges",
    );
}

fn check_body(spec: &MonitorSpec, found: &mut Problems) {
    let expect = &spec.expect;
    for (field, text) in [
        ("expect.body", &expect.body),
        ("expect.body_without", &expect.body_without),
        ("expect.body_regex", &expect.body_regex),
    ] {
        let Some(text) = text else { continue };
        let fits = (1..=limits::PATTERN_BYTES).contains(&text.len());
        found.unless(fits, field, "must be 1 to 1024 bytes");
        found.unless(
            spec.http.method != Method::Head,
            field,
            "must be absent with HEAD, whose answer has no body",
        );
        if field == "expect.body_regex" && fits {
            found.pattern(field, text);
        }
    }
}

fn check_headers(expect: &Expect, found: &mut Problems) {
    let field = "expect.headers";
    if expect.headers.len() > limits::HEADERS {
        return found.unless(false, field, "must be at most 64 headers");
    }
    let bytes: usize = expect.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    if bytes > limits::HEADER_BYTES {
        return found.unless(false, field, "must be at most 16384 bytes together");
    }
    let mut names: Vec<String> = Vec::with_capacity(expect.headers.len());
    for (name, pattern) in &expect.headers {
        let field = format!("{field}.{name}");
        found.unless(
            super::http::is_header_name(name),
            &field,
            "must be a header name (RFC 9110 token)",
        );
        let name = name.to_ascii_lowercase();
        found.unless(!names.contains(&name), &field, "must not repeat a header in other letters");
        names.push(name);
        found.pattern(&field, pattern);
    }
}
