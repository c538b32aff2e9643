//! Section `http`.

use super::Problems;
use super::target::judge_tls_host;
use crate::egress::{AddressRule, EgressPolicy, ProxyScheme, parse_proxy};
use crate::limits;
use crate::monitor::{Auth, HttpOptions, HttpVersion, Method, MonitorSpec};
use std::collections::BTreeSet;

pub(super) fn check(spec: &MonitorSpec, found: &mut Problems) {
    let http = &spec.http;
    found.unless(http.redirects <= limits::REDIRECTS, "http.redirects", "must be at most 10");
    check_headers(http, found);
    check_version(spec, found);
    check_auth(http, found);
    if let Some(proxy) = &http.proxy {
        check_proxy(spec, proxy, found);
    }
    found.unless(
        (1..=limits::RESPONSE_BODY_BYTES).contains(&(http.body_limit as usize)),
        "http.body_limit",
        "must be 1 to 1048576 bytes",
    );
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

fn check_version(spec: &MonitorSpec, found: &mut Problems) {
    found.unless(
        spec.http.version != HttpVersion::Http3 || speaks_tls(spec),
        "http.version",
        "must not be 3 unless the target is https",
    );
}

/// Whether the target itself is to be asked over TLS.
pub(super) fn speaks_tls(spec: &MonitorSpec) -> bool {
    spec.target.get(..6).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https:"))
}

fn check_auth(http: &HttpOptions, found: &mut Problems) {
    let Some(auth) = &http.auth else { return };
    let fits =
        |text: &str| text.len() <= limits::CREDENTIAL_BYTES && !text.chars().any(char::is_control);
    match auth {
        Auth::Basic(basic) => {
            found.unless(
                fits(&basic.username) && !basic.username.contains(':'),
                "http.auth.basic.username",
                "must be at most 4096 bytes without control characters or a colon",
            );
            found.unless(
                fits(&basic.password),
                "http.auth.basic.password",
                "must be at most 4096 bytes without control characters",
            );
        }
        Auth::Bearer(token) => {
            // RFC 6750, section 2.1: b64token.
            let lawful = |b: u8| b.is_ascii_alphanumeric() || b"-._~+/=".contains(&b);
            found.unless(
                (1..=limits::CREDENTIAL_BYTES).contains(&token.len()) && token.bytes().all(lawful),
                "http.auth.bearer",
                "must be 1 to 4096 letters, digits and -._~+/=",
            );
        }
    }
    let twice = http.headers.keys().any(|name| name.eq_ignore_ascii_case("authorization"));
    found.unless(!twice, "http.auth", "must be absent when http.headers hold Authorization");
}

fn check_proxy(spec: &MonitorSpec, text: &str, found: &mut Problems) {
    let field = "http.proxy";
    if text.len() > limits::TARGET_BYTES {
        return found.unless(false, field, "must be at most 2048 bytes");
    }
    let proxy = match parse_proxy(text) {
        Err(rule) => return found.unless(false, field, rule.to_string()),
        Ok(proxy) => proxy,
    };
    let metadata = matches!(
        EgressPolicy::default().judge_url_host(&proxy.url),
        Err(AddressRule::Metadata(_) | AddressRule::MetadataName(_))
    );
    found.unless(!metadata, field, "must not be a cloud metadata service");
    if proxy.scheme == ProxyScheme::Https {
        judge_tls_host(&proxy.url, field, found);
    }
    found.unless(
        spec.http.version != HttpVersion::Http3,
        field,
        "must be absent with http.version 3, which no proxy carries",
    );
    let plain_2 = spec.http.version == HttpVersion::Http2 && !speaks_tls(spec);
    found.unless(
        !plain_2 || proxy.scheme == ProxyScheme::Socks5,
        field,
        "must be socks5:// for http.version 2 without TLS",
    );
    found.unless(
        spec.network.addresses.is_empty(),
        "network.addresses",
        "must be absent with http.proxy, which looks the target up itself",
    );
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
    found.unless(is_header_name(name), &field, "must be a header name (RFC 9110 token)");
    found.unless(
        !value.bytes().any(|b| (b < 0x20 && b != b'\t') || b == 0x7f),
        &field,
        "must have a value without control characters",
    );
    let reserved = FRAMING_HEADERS.contains(&name.to_ascii_lowercase().as_str());
    found.unless(!reserved, &field, "must not be a header that frames or routes the message");
}

/// RFC 9110, section 5.6.2: a token.
pub(super) fn is_header_name(name: &str) -> bool {
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    !name.is_empty() && name.bytes().all(token)
}
