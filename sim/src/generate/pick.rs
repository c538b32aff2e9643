//! One region and one monitor of a scenario that is made up.

use crate::random::Random;
use serde_json::{Value, json};

/// The `at`th region.
pub(super) fn region(at: i64, random: &mut Random) -> Value {
    json!({
        "name": format!("region-{}", at + 1),
        "agents": random.between(1, 2),
        "provider": format!("provider-{}", random.between(1, 2)),
        "delay": format!("{}ms", random.between(5, 150)),
        "loss": if random.chance(0.3) { 0.02 } else { 0.0 },
    })
}

/// The `at`th monitor; `alone`: one vote may be a quorum.
pub(super) fn monitor(at: i64, regions: usize, alone: bool, random: &mut Random) -> Value {
    let interval = random.one(&[10, 15, 20, 30, 60]).copied().unwrap_or(30);
    let timeout = random.one(&[1, 3, 5, 10]).copied().unwrap_or(5).min(interval);
    let scheme = if random.chance(0.7) { "https" } else { "http" };
    let all_regions = random.chance(0.7) || regions < 3;
    let (host, address) = target(at, random);
    let named: Vec<String> = (1..regions).map(|region| format!("region-{region}")).collect();
    let seats = if all_regions { regions } else { named.len() };
    let mut monitor = json!({
        "name": format!("monitor-{}", at + 1),
        "target": format!("{scheme}://{host}/{at}"),
        "interval": format!("{interval}s"),
        "timeout": format!("{timeout}s"),
        "regions": if all_regions { vec!["*".to_owned()] } else { named },
        "depends_on": if at > 0 && random.chance(0.15) { vec!["monitor-1"] } else { Vec::new() },
        "notify": if random.chance(0.3) { vec!["second"] } else { Vec::new() },
        "policy": {
            "quorum": quorum(seats, alone, random),
            "fail_after": random.between(1, 3),
            "recover_after": random.between(1, 3),
            "confirm": random.chance(0.8),
            "flap": { "changes": 4, "within": "10m", "settle": "2m" },
        },
    });
    if let Some(address) = address {
        monitor["address"] = address.into();
    }
    monitor
}

/// A host and, where it is told, its address: a site and a network of its own for most,
/// as an agent at fault can only be known by targets that have nothing in common.
fn target(at: i64, random: &mut Random) -> (String, Option<String>) {
    match random.between(0, 9) {
        0 => (format!("host-{}.shared.example", random.between(1, 3)), None),
        1 => (format!("www.own-{at}.example"), Some(format!("203.0.113.{}", at + 1))),
        _ => (format!("www.own-{at}.example"), None),
    }
}

fn quorum(seats: usize, alone: bool, random: &mut Random) -> Value {
    match random.between(0, 3) {
        _ if alone && random.chance(0.5) => json!("any"),
        0 => json!("all"),
        1 if seats >= 2 => json!({ "count": 2 }),
        _ => json!("majority"),
    }
}
