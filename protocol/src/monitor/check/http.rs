//! Section `http`.

use super::Problems;
use crate::limits;
use crate::monitor::{HttpOptions, Method, MonitorSpec};
use std::collections::BTreeSet;

pub(super) fn check(spec: &MonitorSpec, found: &mut Problems) {
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
