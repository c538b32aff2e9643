//! What of a monitor a simulated target can honour.
//!
//! A simulated target has no protocol: it answers well, late, or as a fault says. Whatever
//! a specification says about how to ask, or asks of the answer, would be passed over; it
//! is refused, so that nobody believes it was tried.

use super::problems::Problems;
use super::{Monitor, Scenario};
use hyperverge_protocol::monitor::{MonitorSpec, Quorum};
use hyperverge_protocol::problem::FieldProblem;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// What is honoured, with everything below it.
const HONOURED: [&str; 14] = [
    "name",
    "kind",
    "target",
    "interval",
    "timeout",
    "regions",
    "policy",
    "notify",
    "depends_on",
    "labels",
    "expect.status",
    "expect.latency",
    "warn.latency",
    "enabled",
];
/// The world's words.
const WORLD: [&str; 4] = ["address", "certificate", "copies", "hosts"];
/// What a simulated target answers when it is well.
const WELL: u16 = 200;

/// Every key of every monitor that would be passed over.
pub(super) fn check(scenario: &Scenario, problems: &mut Problems) {
    let defaults = defaults();
    for (index, entry) in scenario.file.monitors.iter().enumerate() {
        let place = format!("monitors[{index}]");
        passed_over(entry, &defaults, "", &mut |path, rule| {
            problems.add(FieldProblem::new(format!("{place}.{path}"), rule));
        });
        check_copies(entry, &place, problems);
    }
    let mut hosts = BTreeMap::new();
    for monitor in &scenario.monitors {
        check_monitor(scenario, monitor, problems);
        let (address, entry) =
            hosts.entry(monitor.host.as_str()).or_insert((&monitor.address, monitor.entry));
        let rule = format!(
            "must be what monitors[{entry}] says: `{}` resolves to {address} there",
            monitor.host
        );
        let same = **address == monitor.address;
        problems.unless(same, format!("{}.address", monitor.place()), rule);
    }
}

/// A monitor of which nothing is said but what must be.
fn defaults() -> Value {
    let spec = MonitorSpec::from_json(br#"{ "name": "a", "target": "http://a.example" }"#);
    spec.ok().and_then(|spec| serde_json::to_value(spec).ok()).unwrap_or_default()
}

fn passed_over(
    written: &Map<String, Value>,
    defaults: &Value,
    within: &str,
    say: &mut impl FnMut(&str, String),
) {
    for (key, value) in written {
        let path = if within.is_empty() { key.clone() } else { format!("{within}.{key}") };
        let world = within.is_empty() && WORLD.contains(&key.as_str());
        let usual = defaults.get(key);
        let nothing = match value {
            Value::Array(list) => list.is_empty(),
            value => value.is_null(),
        };
        match value {
            _ if path == "enabled" => {
                if *value != Value::Bool(true) {
                    say(&path, "must be true: what is not probed has no part in a run".to_owned());
                }
            }
            _ if world || nothing || HONOURED.contains(&path.as_str()) => {}
            _ if usual == Some(value) => {}
            Value::Object(below) => {
                passed_over(below, usual.unwrap_or(&Value::Null), &path, say);
            }
            _ => say(&path, rule(&path)),
        }
    }
}

fn rule(path: &str) -> String {
    match path {
        "network.addresses" => {
            "is not for a simulated target; `address` says what its host resolves to".to_owned()
        }
        _ => "is not for a simulated target, which answers well or as a fault says".to_owned(),
    }
}

/// `copies`, `hosts` and `#` belong together.
fn check_copies(entry: &Map<String, Value>, place: &str, problems: &mut Problems) {
    let number = |key: &str| entry.get(key).and_then(Value::as_u64);
    let marked =
        |key: &str| entry.get(key).and_then(Value::as_str).is_some_and(|text| text.contains('#'));
    let field = |key: &str| format!("{place}.{key}");
    let (copies, hosts) = (number("copies"), number("hosts"));
    match (copies, hosts) {
        (Some(copies), Some(hosts)) => {
            let within = (1..=copies).contains(&hosts);
            problems.unless(within, field("hosts"), "must be from 1 to `copies`");
            let rule = "must have a `#`, which becomes the number of the host, for `hosts`";
            problems.unless(marked("target"), field("target"), rule);
        }
        (None, Some(_)) => problems.unless(false, field("hosts"), "must have `copies` beside it"),
        (_, None) => {
            for key in ["target", "address"] {
                let rule = "must have no `#` without `hosts`, of which it becomes the number";
                problems.unless(!marked(key), field(key), rule);
            }
        }
    }
}

fn check_monitor(scenario: &Scenario, monitor: &Monitor, problems: &mut Problems) {
    let (spec, place) = (&monitor.spec, monitor.place());
    let entry = &scenario.file.monitors[monitor.entry];
    let well = spec.expect.status.iter().any(|range| range.contains(WELL));
    let rule = "must take 200, which a simulated target answers when it is well";
    problems.unless(well, format!("{place}.expect.status"), rule);
    let address = monitor.address.parse::<IpAddr>().is_ok();
    problems.unless(address, format!("{place}.address"), "must be an IP address");
    let own = monitor.has_name() || monitor.address == monitor.host;
    let rule = "must be left out: the target names its address itself";
    problems.unless(own, format!("{place}.address"), rule);
    let shown = !entry.contains_key("certificate") || monitor.speaks_tls();
    let rule = "is shown only where TLS is spoken: by an https:// target, or kind tls";
    problems.unless(shown, format!("{place}.certificate"), rule);
    let seats = if spec.every_region() { scenario.regions.len() } else { spec.regions.len() };
    let fits = match spec.policy.quorum {
        Quorum::Count(count) => count as usize <= seats,
        _ => true,
    };
    let rule = format!("must count at most the regions there are ({seats})");
    problems.unless(fits, format!("{place}.policy.quorum"), rule);
}
