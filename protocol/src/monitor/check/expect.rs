//! Sections `expect` and `warn`.

use super::Problems;
use crate::limits;
use crate::monitor::{Method, MonitorSpec};

pub(super) fn check(spec: &MonitorSpec, found: &mut Problems) {
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
