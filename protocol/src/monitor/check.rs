//! The rules a monitor must keep, each named with its field.

use super::{HttpOptions, Method, MonitorSpec, Quorum};
use crate::egress::{self, AddressRule};
use crate::limits;
use crate::problem::FieldProblem;
use std::collections::BTreeSet;

pub(super) fn check(spec: &MonitorSpec) -> Vec<FieldProblem> {
    let mut found = Problems::default();
    check_name(spec, &mut found);
    check_target(spec, &mut found);
    check_times(spec, &mut found);
    check_regions(spec, &mut found);
    check_http(spec, &mut found);
    check_expectations(spec, &mut found);
    check_policy(spec, &mut found);
    check_lists(spec, &mut found);
    found.0
}

#[derive(Default)]
struct Problems(Vec<FieldProblem>);

impl Problems {
    fn unless(&mut self, holds: bool, field: &str, rule: impl Into<String>) {
        if !holds {
            self.0.push(FieldProblem::new(field, rule));
        }
    }
}

/// Whether `text` is a slug: lower-case letters, digits and inner hyphens.
pub fn is_slug(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= limits::NAME_BYTES
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

const SLUG_RULE: &str =
    "must be 1 to 63 of a-z, 0-9 and hyphens, neither beginning nor ending with a hyphen";

fn check_name(spec: &MonitorSpec, found: &mut Problems) {
    found.unless(is_slug(&spec.name), "name", SLUG_RULE);
}

fn check_target(spec: &MonitorSpec, found: &mut Problems) {
    if spec.target.len() > limits::TARGET_BYTES {
        return found.unless(false, "target", "must be at most 2048 bytes");
    }
    match egress::parse_url(&spec.target) {
        Err(rule) => found.unless(false, "target", rule.to_string()),
        Ok(url) => {
            // Private addresses are each host's own affair; metadata is nobody's.
            let reachable = match egress::EgressPolicy::default().judge_url_host(&url) {
                Err(AddressRule::Metadata(_) | AddressRule::MetadataName(_)) => false,
                Err(AddressRule::NotPublic(_)) | Ok(_) => true,
            };
            found.unless(reachable, "target", "must not be a cloud metadata service");
        }
    }
}

fn check_times(spec: &MonitorSpec, found: &mut Problems) {
    let interval = spec.interval.0;
    found.unless(interval >= limits::INTERVAL_MIN, "interval", "must be at least 1s");
    found.unless(interval <= limits::INTERVAL_MAX, "interval", "must be at most 24h");
    if let Some(timeout) = spec.timeout {
        found.unless(timeout.0 >= limits::TIMEOUT_MIN, "timeout", "must be at least 100ms");
        found.unless(timeout.0 <= limits::TIMEOUT_MAX, "timeout", "must be at most 60s");
        found.unless(
            timeout <= spec.interval,
            "timeout",
            format!("must be at most the interval ({})", spec.interval),
        );
    }
}

fn check_regions(spec: &MonitorSpec, found: &mut Problems) {
    let count = spec.regions.len();
    if !(1..=limits::REGIONS).contains(&count) {
        return found.unless(false, "regions", "must name 1 to 64 regions, or [\"*\"]");
    }
    found.unless(
        !spec.every_region() || count == 1,
        "regions",
        "must be [\"*\"] alone when it means every region",
    );
    for (index, region) in spec.regions.iter().enumerate() {
        let field = format!("regions[{index}]");
        found.unless(region == "*" || is_slug(region), &field, SLUG_RULE);
        found.unless(!spec.regions[..index].contains(region), &field, "must not repeat");
    }
}

fn check_http(spec: &MonitorSpec, found: &mut Problems) {
    let http = &spec.http;
    found.unless(http.redirects <= limits::REDIRECTS, "http.redirects", "must be at most 10");
    check_headers(http, found);
    if let Some(body) = &http.body {
        found.unless(
            body.len() <= limits::REQUEST_BODY_BYTES,
            "http.body",
            "must be at most 65536 bytes",
        );
        found.unless(
            !matches!(http.method, Method::Get | Method::Head),
            "http.body",
            "must be absent with GET and HEAD",
        );
    }
}

/// Headers that decide how a message is framed or routed are ours alone.
const FRAMING_HEADERS: [&str; 13] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

fn check_headers(http: &HttpOptions, found: &mut Problems) {
    let field = "http.headers";
    if http.headers.len() > limits::HEADERS {
        return found.unless(false, field, "must be at most 64 headers");
    }
    let bytes: usize = http.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    if bytes > limits::HEADER_BYTES {
        return found.unless(false, field, "must be at most 16384 bytes together");
    }
    let mut seen = BTreeSet::new();
    for (name, value) in &http.headers {
        check_header(name, value, found);
        found.unless(
            seen.insert(name.to_ascii_lowercase()),
            &format!("{field}.{name}"),
            "must not repeat a header in other letters",
        );
    }
}

fn check_header(name: &str, value: &str, found: &mut Problems) {
    let field = format!("http.headers.{name}");
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    found.unless(
        !name.is_empty() && name.bytes().all(token),
        &field,
        "must be a header name (RFC 9110 token)",
    );
    found.unless(
        !value.bytes().any(|b| (b < 0x20 && b != b'\t') || b == 0x7f),
        &field,
        "must have a value without control characters",
    );
    let reserved = FRAMING_HEADERS.contains(&name.to_ascii_lowercase().as_str());
    found.unless(!reserved, &field, "must not be a header that frames or routes the message");
}

fn check_expectations(spec: &MonitorSpec, found: &mut Problems) {
    let expect = &spec.expect;
    found.unless(
        (1..=limits::STATUS_RANGES).contains(&expect.status.len()),
        "expect.status",
        "must hold 1 to 32 ranges",
    );
    for (field, latency) in
        [("expect.latency", expect.latency), ("warn.latency", spec.warn.latency)]
    {
        if let Some(latency) = latency {
            found.unless(!latency.0.is_zero(), field, "must be more than 0");
            found.unless(
                latency <= spec.timeout(),
                field,
                format!("must be at most the timeout ({})", spec.timeout()),
            );
        }
    }
    let days = [
        ("expect.certificate_days", expect.certificate_days),
        ("warn.certificate_days", spec.warn.certificate_days),
    ];
    for (field, days) in days {
        found.unless(days.is_none_or(|d| (1..=3_650).contains(&d)), field, "must be 1 to 3650");
    }
    if let Some(body) = &expect.body {
        found.unless(
            (1..=limits::PATTERN_BYTES).contains(&body.len()),
            "expect.body",
            "must be 1 to 1024 bytes",
        );
        found.unless(
            spec.http.method != Method::Head,
            "expect.body",
            "must be absent with HEAD, whose answer has no body",
        );
    }
}

fn check_policy(spec: &MonitorSpec, found: &mut Problems) {
    let policy = &spec.policy;
    for (field, streak) in
        [("policy.fail_after", policy.fail_after), ("policy.recover_after", policy.recover_after)]
    {
        found.unless((1..=limits::STREAK_MAX).contains(&streak), field, "must be 1 to 100");
    }
    if let Some(stale) = policy.stale_after {
        found.unless(
            stale.0 >= spec.interval.0 * 2 && stale.0 <= limits::INTERVAL_MAX * 7,
            "policy.stale_after",
            "must be at least two intervals and at most 7d",
        );
    }
    if let Quorum::Count(count) = policy.quorum {
        let named = if spec.every_region() { limits::REGIONS } else { spec.regions.len() };
        found.unless(
            count >= 1 && count as usize <= named,
            "policy.quorum",
            "must count at least 1 and at most the regions named",
        );
    }
}

fn check_lists(spec: &MonitorSpec, found: &mut Problems) {
    if spec.notify.len() > limits::LABELS {
        found.unless(false, "notify", "must be at most 32 channels");
    } else {
        for (index, channel) in spec.notify.iter().enumerate() {
            let field = format!("notify[{index}]");
            found.unless(is_slug(channel), &field, SLUG_RULE);
            found.unless(!spec.notify[..index].contains(channel), &field, "must not repeat");
        }
    }
    if spec.labels.len() > limits::LABELS {
        return found.unless(false, "labels", "must be at most 32 labels");
    }
    for (name, value) in &spec.labels {
        let field = format!("labels.{name}");
        let fits = |text: &str| {
            !text.is_empty()
                && text.len() <= limits::NAME_BYTES
                && !text.chars().any(char::is_control)
        };
        found.unless(
            fits(name) && fits(value),
            &field,
            "must have a name and a value of 1 to 63 bytes without control characters",
        );
    }
}
