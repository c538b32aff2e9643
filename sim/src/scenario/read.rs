//! From a file's text to a scenario, or to everything that is wrong with it.

use super::problems::nearest;
use super::{File, Monitor, Region, RegionEntry, Scenario, check, ms, rest, vain};
use crate::limits::MONITORS;
use hyperverge_protocol::monitor::{MonitorSpec, read_shape};
use hyperverge_protocol::problem::FieldProblem;
use serde_json::{Map, Value};

/// Why a scenario cannot be run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    #[error("not valid TOML: {0}")]
    Syntax(String),
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Problems(Vec<FieldProblem>),
}

/// Words of a monitor that the product does not know: the world's.
const WORLD_WORDS: [&str; 4] = ["address", "certificate", "copies", "hosts"];

/// Reads what somebody wrote: whatever would have no effect is refused too.
pub fn read_written(text: &str, name: &str) -> Result<Scenario, Unreadable> {
    let scenario = read(text, name)?;
    let problems = vain::check(&scenario);
    if problems.is_empty() { Ok(scenario) } else { Err(Unreadable::Problems(problems)) }
}

/// Reads a scenario that can be run; `name` where it gives none. What is made up by chance
/// may hold what has no effect.
pub fn read(text: &str, name: &str) -> Result<Scenario, Unreadable> {
    let table: toml::Table =
        text.parse().map_err(|error: toml::de::Error| Unreadable::Syntax(error.to_string()))?;
    let json = serde_json::to_vec(&table).map_err(|error| Unreadable::Syntax(error.to_string()))?;
    let file: File =
        read_shape(&json).map_err(|problem| Unreadable::Problems(vec![in_words(problem)]))?;
    resolve(file, name)
}

/// What a type of ours is called by people.
fn in_words(problem: FieldProblem) -> FieldProblem {
    let rule = match problem.rule.strip_prefix("must be u64") {
        Some(rest) => format!("must be a whole number, 0 or more{rest}"),
        None => problem.rule,
    };
    FieldProblem { rule, ..problem }
}

/// Resolves what the file only names.
fn resolve(file: File, name: &str) -> Result<Scenario, Unreadable> {
    let mut problems = Vec::new();
    let regions = regions(&file.regions, &mut problems);
    let monitors = monitors(&file.monitors, &mut problems);
    if !problems.is_empty() {
        return Err(Unreadable::Problems(problems));
    }
    let mut scenario = Scenario {
        name: file.name.clone().unwrap_or_else(|| name.to_owned()),
        description: file.description.clone().unwrap_or_default(),
        seed: file.seed,
        duration: 0,
        settle: 0,
        regions,
        monitors,
        channels: file.channels.clone(),
        control: file.control.clone(),
        routes: file.routes.clone(),
        silences: file.silences.clone(),
        maintenance_windows: file.maintenance_windows.clone(),
        faults: file.faults.clone(),
        expect: file.expect.clone(),
        file,
    };
    scenario.settle = scenario.file.settle.map_or_else(|| rest::usual(&scenario), ms);
    scenario.duration = match scenario.file.duration {
        Some(duration) => ms(duration),
        None => scenario.faults_end().saturating_add(scenario.settle),
    };
    let problems = check::check(&scenario);
    if problems.is_empty() { Ok(scenario) } else { Err(Unreadable::Problems(problems)) }
}

fn regions(entries: &[RegionEntry], problems: &mut Vec<FieldProblem>) -> Vec<Region> {
    let mut regions = Vec::new();
    for (index, entry) in entries.iter().enumerate() {
        let value = match entry {
            RegionEntry::Name(name) => {
                Value::from(Map::from_iter([("name".into(), name.clone().into())]))
            }
            RegionEntry::Full(map) => Value::from(map.clone()),
        };
        match read_shape::<Region>(value.to_string().as_bytes()) {
            Ok(region) => regions.push(region),
            Err(problem) => problems.push(within(&format!("regions[{index}]"), problem)),
        }
    }
    regions
}

fn within(place: &str, problem: FieldProblem) -> FieldProblem {
    let field = match problem.field.as_str() {
        "" => place.to_owned(),
        field => format!("{place}.{field}"),
    };
    FieldProblem { field, rule: problem.rule }
}

fn monitors(entries: &[Map<String, Value>], problems: &mut Vec<FieldProblem>) -> Vec<Monitor> {
    let mut monitors = Vec::new();
    for (index, entry) in entries.iter().enumerate() {
        let place = format!("monitors[{index}]");
        match monitor(entry, index) {
            Ok(found) => monitors.extend(found),
            Err(found) => problems.extend(found.into_iter().map(|problem| within(&place, problem))),
        }
        if monitors.len() > MONITORS {
            let rule = format!("must be at most {MONITORS}, copies counted");
            problems.push(FieldProblem::new("monitors", rule));
            break;
        }
    }
    monitors
}

/// One entry, the `place`th, and its copies.
fn monitor(entry: &Map<String, Value>, place: usize) -> Result<Vec<Monitor>, Vec<FieldProblem>> {
    let mut entry = entry.clone();
    let address = word(&mut entry, "address")?;
    let certificate = word(&mut entry, "certificate")?;
    let copies = number(&mut entry, "copies")?;
    let hosts = number(&mut entry, "hosts")?.unwrap_or(1).max(1);
    if copies.is_some_and(|copies| copies == 0 || copies > MONITORS as u64) {
        let rule = format!("must be from 1 to {MONITORS}");
        return Err(vec![FieldProblem::new("copies", rule)]);
    }
    let Some(copies) = copies else {
        return one(entry, place, address, certificate).map(|one| vec![one]);
    };
    let name = entry.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
    let target = entry.get("target").and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut all = Vec::new();
    for copy in 1..=copies {
        let mut entry = entry.clone();
        entry.insert("name".into(), format!("{name}-{copy}").into());
        // A `#` in the target becomes the number of the host.
        let host = (copy - 1) % hosts + 1;
        entry.insert("target".into(), target.replace('#', &host.to_string()).into());
        let address = address.as_ref().map(|address| address.replace('#', &host.to_string()));
        all.push(one(entry, place, address, certificate.clone())?);
    }
    Ok(all)
}

fn one(
    entry: Map<String, Value>,
    place: usize,
    address: Option<String>,
    certificate: Option<String>,
) -> Result<Monitor, Vec<FieldProblem>> {
    let json = Value::from(entry).to_string();
    let spec = MonitorSpec::from_json(json.as_bytes())
        .map_err(|problems| problems.into_iter().map(with_world_words).collect::<Vec<_>>())?;
    let host = spec.asked_host();
    let address = address.unwrap_or_else(|| address_of(&host));
    let certificate = certificate.unwrap_or_else(|| format!("of-{host}"));
    Ok(Monitor { spec, host, address, certificate, entry: place })
}

/// A misspelt word of the world is not one of the product's.
fn with_world_words(problem: FieldProblem) -> FieldProblem {
    if problem.rule == "is not a known field"
        && let Some(word) = nearest(&problem.field, WORLD_WORDS.into_iter())
    {
        let rule = format!("is not a known field; did you mean `{word}`?");
        return FieldProblem { rule, ..problem };
    }
    problem
}

fn word(entry: &mut Map<String, Value>, name: &str) -> Result<Option<String>, Vec<FieldProblem>> {
    match entry.remove(name) {
        None => Ok(None),
        Some(Value::String(word)) => Ok(Some(word)),
        Some(_) => Err(vec![FieldProblem::new(name, "must be text in quotes")]),
    }
}

fn number(entry: &mut Map<String, Value>, name: &str) -> Result<Option<u64>, Vec<FieldProblem>> {
    match entry.remove(name) {
        None => Ok(None),
        Some(value) => match value.as_u64() {
            Some(number) => Ok(Some(number)),
            None => Err(vec![FieldProblem::new(name, "must be a whole number, 0 or more")]),
        },
    }
}

/// An address for a host that was given none: the same in every run, and a network
/// of its own for each host, as far as there are enough.
fn address_of(host: &str) -> String {
    if host.parse::<std::net::IpAddr>().is_ok() {
        return host.to_owned();
    }
    let hash = host.bytes().fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    // 198.18.0.0/15 is for benchmarks (RFC 2544): nobody's.
    format!("198.{}.{}.{}", 18 + hash % 2, (hash >> 8) % 256, (hash >> 16) % 254 + 1)
}
