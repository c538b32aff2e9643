//! The rules a monitor must keep, each named with its field: what every monitor
//! must keep is here, the rest in a file per section.

mod assert;
mod dns;
mod expect;
mod http;
mod icmp;
mod network;
mod patterns;
mod pem;
mod sections;
mod target;
mod tcp;
mod tls;

use super::{Kind, MonitorSpec, Quorum};
use crate::limits;
use crate::problem::FieldProblem;

pub(super) fn check(spec: &MonitorSpec) -> Vec<FieldProblem> {
    let mut found = Problems::default();
    check_name(spec, &mut found);
    target::check(spec, &mut found);
    check_times(spec, &mut found);
    check_regions(spec, &mut found);
    sections::check(spec, &mut found);
    match spec.kind {
        Kind::Http => http::check(spec, &mut found),
        Kind::Tcp => tcp::check(spec, &mut found),
        Kind::Icmp => icmp::check(spec, &mut found),
        Kind::Dns => dns::check(spec, &mut found),
        Kind::Tls => {}
    }
    tls::check(spec, &mut found);
    network::check(spec, &mut found);
    expect::check(spec, &mut found);
    assert::check(spec, &mut found);
    check_policy(spec, &mut found);
    check_lists(spec, &mut found);
    found.list
}

#[derive(Default)]
struct Problems {
    list: Vec<FieldProblem>,
    spent: patterns::Spent,
}

impl Problems {
    fn unless(&mut self, holds: bool, field: &str, rule: impl Into<String>) {
        if !holds {
            self.list.push(FieldProblem::new(field, rule));
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
    let flap = &policy.flap;
    found.unless(
        flap.changes == 0 || (2..=limits::FLAP_CHANGES).contains(&flap.changes),
        "policy.flap.changes",
        "must be 2 to 32, or 0 for never",
    );
    found.unless(
        (limits::FLAP_WITHIN_MIN..=limits::INTERVAL_MAX).contains(&flap.within.0),
        "policy.flap.within",
        "must be 1m to 24h",
    );
    found.unless(
        (limits::INTERVAL_MIN..=limits::INTERVAL_MAX).contains(&flap.settle.0),
        "policy.flap.settle",
        "must be 1s to 24h",
    );
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
    if spec.depends_on.len() > limits::PARENTS {
        found.unless(false, "depends_on", "must be at most 16 monitors");
    } else {
        for (index, parent) in spec.depends_on.iter().enumerate() {
            let field = format!("depends_on[{index}]");
            found.unless(is_slug(parent), &field, SLUG_RULE);
            found.unless(*parent != spec.name, &field, "must not be the monitor itself");
            found.unless(!spec.depends_on[..index].contains(parent), &field, "must not repeat");
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
