//! Scenarios made up by a seed: small fleets, odd policies, several faults at once.
//!
//! What a promise needs is kept: agents' own faults stay within one region, since with
//! a quorum of broken agents nobody can know better. Some fleets have so many monitors
//! that the caps of bursts are reached; most targets share neither site nor network, so
//! that an agent at fault can be known.

mod pick;
mod shrink;

use crate::random::{Random, Stream};
use crate::scenario::{Fault, FaultKind, Scenario, Side, Unreadable, read};
use hyperverge_protocol::duration::Span;
use pick::{monitor, region};
use serde_json::{Value, json};

pub use shrink::shrink;

/// Before it, everything is assigned and well, s.
const CALM: i64 = 180;
/// In it, faults begin, s.
const STORM: i64 = 360;
/// The longest fault, s.
const LONGEST: i64 = 240;

/// The scenario of `seed`.
pub fn scenario(seed: u64) -> Result<Scenario, Unreadable> {
    let mut random = Random::new(seed, Stream::Scenarios);
    let regions: Vec<Value> = (0..random.between(2, 5)).map(|at| region(at, &mut random)).collect();
    let alone = random.chance(0.12);
    let many = if random.chance(0.25) { random.between(10, 20) } else { random.between(2, 9) };
    let monitors: Vec<Value> =
        (0..many).map(|at| monitor(at, regions.len(), alone, &mut random)).collect();
    let replicas = if random.chance(0.4) { 2 } else { 1 };
    let names: Vec<String> = regions.iter().filter_map(name_of).collect();
    let whom: Vec<String> = monitors.iter().filter_map(name_of).collect();
    let mut faults = Vec::new();
    for _ in 0..random.between(1, 5) {
        let fault = fault(&names, &whom, replicas, &mut random);
        let elsewhere = |other: &Fault| is_own_sight(other.kind) && other.regions != fault.regions;
        let clashes = is_own_sight(fault.kind) && faults.iter().any(elsewhere);
        if !clashes {
            faults.push(fault);
        }
    }
    let faults: Vec<Value> =
        faults.iter().filter_map(|fault| serde_json::to_value(fault).ok()).collect();
    let file = json!({
        "name": format!("seed-{seed}"),
        "seed": seed,
        "settle": "8m",
        "regions": regions,
        "monitors": monitors,
        "channels": ["default", "second"],
        "control": {
            "replicas": replicas,
            "group_wait": if random.chance(0.3) { "0s" } else { "5s" },
            "transaction": if random.chance(0.2) { "200ms" } else { "10ms" },
        },
        "routes": routes(&mut random),
        "maintenance_windows": windows(&whom, &mut random),
        "faults": faults,
    });
    let text = toml::to_string(&file).map_err(|error| Unreadable::Syntax(error.to_string()))?;
    read(&text, "generated")
}

/// Quiet incidents are told to somebody now and then.
fn routes(random: &mut Random) -> Value {
    if random.chance(0.6) {
        return json!([]);
    }
    json!([
        { "name": "fleet", "match": { "subject": ["agent", "region"] }, "channels": ["second"] },
        { "name": "quiet", "match": { "scope": ["local"] }, "channels": ["second"] },
    ])
}

/// Some notices are held for a while.
fn windows(monitors: &[String], random: &mut Random) -> Value {
    let Some(name) = random.one(monitors).filter(|_| random.chance(0.2)).cloned() else {
        return json!([]);
    };
    let (at, lasts) = (random.between(CALM, CALM + STORM), random.between(10, LONGEST));
    json!([{
        "name": "planned",
        "at": format!("{at}s"),
        "for": format!("{lasts}s"),
        "matchers": { "monitors": [name] },
    }])
}

fn name_of(value: &Value) -> Option<String> {
    value.get("name")?.as_str().map(str::to_owned)
}

/// Whether it makes an agent see failures that are not there.
fn is_own_sight(kind: FaultKind) -> bool {
    matches!(kind, FaultKind::AgentDns | FaultKind::AgentEgress)
}

const KINDS: [FaultKind; 21] = [
    FaultKind::Refuse,
    FaultKind::Hang,
    FaultKind::Reset,
    FaultKind::Status,
    FaultKind::Slow,
    FaultKind::Certificate,
    FaultKind::Name,
    FaultKind::Flap,
    FaultKind::AgentDns,
    FaultKind::AgentResolver,
    FaultKind::AgentEgress,
    FaultKind::AgentCrash,
    FaultKind::AgentSuspend,
    FaultKind::AgentClock,
    FaultKind::Partition,
    FaultKind::LinkDelay,
    FaultKind::LinkLoss,
    FaultKind::ControlCrash,
    FaultKind::ControlPause,
    FaultKind::Database,
    FaultKind::ControlClock,
];

fn fault(regions: &[String], monitors: &[String], replicas: i64, random: &mut Random) -> Fault {
    // Targets fail more often than we do.
    let targets = random.chance(0.5);
    let kinds: Vec<FaultKind> =
        KINDS.into_iter().filter(|kind| (kind.side() == Side::Target) == targets).collect();
    let kind = random.one(&kinds).copied().unwrap_or(FaultKind::Refuse);
    let span = |seconds: i64| Span::from_secs(seconds.unsigned_abs());
    let one = |of: &[String], random: &mut Random| random.one(of).cloned().into_iter().collect();
    let mut fault = Fault::new(kind, span(random.between(CALM, CALM + STORM)));
    if !kind.is_moment() {
        fault.lasts = Some(span(random.between(3, LONGEST)));
    }
    match kind.side() {
        Side::Target => {
            let all = random.chance(0.25);
            fault.monitors = if all { vec!["*".to_owned()] } else { one(monitors, random) };
            if random.chance(0.3) {
                fault.regions = one(regions, random);
            }
            if random.chance(0.15) {
                fault.share = 0.5;
            }
        }
        Side::Agent | Side::Link => fault.regions = one(regions, random),
        Side::Control => {
            let which = u32::try_from(random.between(1, replicas)).ok();
            fault.replica = which.filter(|_| random.chance(0.5));
        }
    }
    details(&mut fault, random);
    fault
}

/// What each kind must be told.
fn details(fault: &mut Fault, random: &mut Random) {
    let mut ms = |least, most| Span::from_millis(random.between(least, most).unsigned_abs());
    match fault.kind {
        FaultKind::Slow => fault.latency = Some(ms(100, 12_000)),
        FaultKind::Flap => {
            (fault.down, fault.up) = (Some(ms(5_000, 60_000)), Some(ms(5_000, 60_000)));
        }
        FaultKind::LinkDelay => fault.delay = Some(ms(100, 4_000)),
        FaultKind::LinkLoss => fault.loss = Some(0.3),
        FaultKind::AgentClock | FaultKind::ControlClock => {
            // Nothing is news before it is as late again as it was: a step back must be over
            // before what it held up can settle.
            let back = if fault.kind == FaultKind::AgentClock { 3_600_000 } else { 120_000 };
            let (ahead, by) = (ms(1_000, 3_600_000), ms(1_000, back));
            fault.by = Some(if random.chance(0.5) { ahead.to_string() } else { format!("-{by}") });
        }
        FaultKind::AgentCrash => fault.reboot = random.chance(0.3),
        _ => {}
    }
}
