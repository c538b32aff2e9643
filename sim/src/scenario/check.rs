//! The rules of a scenario: every one that is broken is named.

use super::{Fault, FaultKind, Scenario, Side, ms};
use crate::limits::{AGENTS, CHANNELS, DURATION_MS, FAULTS, REGIONS, REPLICAS};
use hyperverge_protocol::monitor::is_slug;
use hyperverge_protocol::problem::FieldProblem;
use std::collections::BTreeSet;

/// What is wrong with `scenario`.
pub(super) fn check(scenario: &Scenario) -> Vec<FieldProblem> {
    let mut problems = Problems(Vec::new());
    check_whole(scenario, &mut problems);
    check_regions(scenario, &mut problems);
    check_monitors(scenario, &mut problems);
    check_people(scenario, &mut problems);
    let names = Names::of(scenario);
    for (index, fault) in scenario.faults.iter().enumerate() {
        let place = format!("faults[{index}]");
        check_fault(scenario, fault, &names, &place, &mut problems);
    }
    problems.0
}

struct Problems(Vec<FieldProblem>);

impl Problems {
    fn unless(&mut self, holds: bool, field: impl Into<String>, rule: impl Into<String>) {
        if !holds {
            self.0.push(FieldProblem::new(field, rule));
        }
    }
}

fn check_whole(scenario: &Scenario, problems: &mut Problems) {
    let within = (1_000..=DURATION_MS).contains(&scenario.duration);
    problems.unless(within, "duration", "must be from 1s to 7d");
    problems.unless(scenario.settle <= DURATION_MS, "settle", "must be at most 7d");
    problems.unless(!scenario.regions.is_empty(), "regions", "must name at least one");
    problems.unless(
        scenario.regions.len() <= REGIONS,
        "regions",
        format!("must be at most {REGIONS}"),
    );
    problems.unless(!scenario.monitors.is_empty(), "monitors", "must hold at least one");
    problems.unless(scenario.faults.len() <= FAULTS, "faults", format!("must be at most {FAULTS}"));
    let channels = (1..=CHANNELS).contains(&scenario.channels.len());
    problems.unless(channels, "channels", format!("must be from 1 to {CHANNELS}"));
    let replicas = (1..=REPLICAS).contains(&scenario.control.replicas);
    problems.unless(replicas, "control.replicas", format!("must be from 1 to {REPLICAS}"));
    let transaction = (1..=10_000).contains(&ms(scenario.control.transaction));
    problems.unless(transaction, "control.transaction", "must be from 1ms to 10s");
    let wait = ms(scenario.control.group_wait) <= 3_600_000;
    problems.unless(wait, "control.group_wait", "must be at most 1h");
}

fn check_regions(scenario: &Scenario, problems: &mut Problems) {
    let mut seen = BTreeSet::new();
    for (index, region) in scenario.regions.iter().enumerate() {
        let place = format!("regions[{index}]");
        problems.unless(
            is_slug(&region.name),
            format!("{place}.name"),
            "must be a slug: a-z, 0-9 and -, at most 63",
        );
        problems.unless(seen.insert(&region.name), format!("{place}.name"), "must be given once");
        let agents = (1..=AGENTS).contains(&region.agents);
        problems.unless(agents, format!("{place}.agents"), format!("must be from 1 to {AGENTS}"));
        let loss = (0.0..1.0).contains(&region.loss);
        problems.unless(loss, format!("{place}.loss"), "must be from 0 to below 1");
        problems.unless(
            ms(region.delay) <= 10_000,
            format!("{place}.delay"),
            "must be at most 10s",
        );
    }
}

fn check_monitors(scenario: &Scenario, problems: &mut Problems) {
    let mut seen = BTreeSet::new();
    let regions: Vec<&str> = scenario.regions.iter().map(|region| region.name.as_str()).collect();
    let monitors: Vec<&str> = scenario.monitors.iter().map(|it| it.spec.name.as_str()).collect();
    let channels: Vec<&str> = scenario.channels.iter().map(String::as_str).collect();
    for monitor in &scenario.monitors {
        let place = format!("monitor {}", monitor.spec.name);
        problems.unless(
            seen.insert(&monitor.spec.name),
            format!("{place}: name"),
            "must be given once",
        );
        let named = monitor.spec.regions.iter().filter(|name| *name != "*");
        must_be_known(named, &regions, &format!("{place}: regions"), problems);
        must_be_known(monitor.spec.notify.iter(), &channels, &format!("{place}: notify"), problems);
        must_be_known(
            monitor.spec.depends_on.iter(),
            &monitors,
            &format!("{place}: depends_on"),
            problems,
        );
    }
}

/// Routes name channels that are there, holds name monitors that are there.
fn check_people(scenario: &Scenario, problems: &mut Problems) {
    let channels: Vec<&str> = scenario.channels.iter().map(String::as_str).collect();
    let monitors: Vec<&str> = scenario.monitors.iter().map(|it| it.spec.name.as_str()).collect();
    for (index, route) in scenario.routes.iter().enumerate() {
        let place = format!("routes[{index}]");
        let own = route.check().into_iter();
        problems
            .0
            .extend(own.map(|it| FieldProblem::new(format!("{place}.{}", it.field), it.rule)));
        must_be_known(route.channels.iter(), &channels, &format!("{place}.channels"), problems);
    }
    let holds =
        [("silences", &scenario.silences), ("maintenance_windows", &scenario.maintenance_windows)];
    for (kind, entries) in holds {
        for (index, entry) in entries.iter().enumerate() {
            let place = format!("{kind}[{index}].matchers");
            let empty = entry.matchers.labels.is_empty() && entry.matchers.monitors.is_empty();
            problems.unless(
                !empty,
                &place,
                "must name a label or a monitor; the monitor `*` is every monitor",
            );
            let named = entry.matchers.monitors.iter().filter(|name| *name != "*");
            must_be_known(named, &monitors, &format!("{place}.monitors"), problems);
        }
    }
}

/// The names that faults may use.
struct Names<'a> {
    monitors: Vec<&'a str>,
    hosts: Vec<&'a str>,
    regions: Vec<&'a str>,
    providers: Vec<&'a str>,
    agents: Vec<String>,
}

impl<'a> Names<'a> {
    fn of(scenario: &'a Scenario) -> Self {
        let regions = &scenario.regions;
        Self {
            monitors: scenario.monitors.iter().map(|it| it.spec.name.as_str()).collect(),
            hosts: scenario.monitors.iter().map(|it| it.host.as_str()).collect(),
            regions: regions.iter().map(|region| region.name.as_str()).collect(),
            providers: regions.iter().filter_map(|region| region.provider.as_deref()).collect(),
            agents: regions
                .iter()
                .flat_map(|region| (1..=region.agents).map(|n| format!("{}-{n}", region.name)))
                .collect(),
        }
    }
}

fn check_fault(
    scenario: &Scenario,
    fault: &Fault,
    names: &Names<'_>,
    place: &str,
    problems: &mut Problems,
) {
    let field = |name: &str| format!("{place}.{name}");
    let word = fault.kind.as_str();
    problems.unless(
        fault.lasts.is_some() || fault.kind.is_moment(),
        field("for"),
        "must say how long it lasts",
    );
    problems.unless(fault.until() <= scenario.duration, place, "must end before the run does");
    problems.unless(
        fault.share > 0.0 && fault.share <= 1.0,
        field("share"),
        "must be above 0 and at most 1",
    );
    let targets =
        !(fault.monitors.is_empty() && fault.hosts.is_empty() && fault.networks.is_empty());
    let side = fault.kind.side();
    if side == Side::Target {
        problems.unless(
            targets,
            field("monitors"),
            "must name monitors (\"*\" for all), or hosts or networks beside it",
        );
        problems.unless(
            fault.agents.is_empty(),
            field("agents"),
            format!("is not for `{word}`; name regions"),
        );
    } else {
        problems.unless(
            !targets,
            field("monitors"),
            format!("is not for `{word}`, which is no fault of a target"),
        );
    }
    let replica =
        fault.replica.is_none_or(|replica| (1..=scenario.control.replicas).contains(&replica));
    problems.unless(replica, field("replica"), "must be one of control.replicas, from 1");
    let wants = [
        ("latency", fault.latency.is_some(), matches!(fault.kind, FaultKind::Slow)),
        ("down", fault.down.is_some(), fault.kind == FaultKind::Flap),
        ("up", fault.up.is_some(), fault.kind == FaultKind::Flap),
        ("delay", fault.delay.is_some(), fault.kind == FaultKind::LinkDelay),
        ("loss", fault.loss.is_some(), fault.kind == FaultKind::LinkLoss),
        ("by", fault.by.is_some(), fault.kind.is_moment()),
    ];
    for (name, given, wanted) in wants {
        problems.unless(given || !wanted, field(name), format!("must be given for `{word}`"));
        problems.unless(!given || wanted, field(name), format!("is not for `{word}`"));
    }
    problems.unless(
        fault.by.is_none() || fault.step().is_some(),
        field("by"),
        "must be a duration, with a - in front to go back: 30s, -30s",
    );
    problems.unless(
        fault.loss.is_none_or(|loss| (0.0..1.0).contains(&loss)),
        field("loss"),
        "must be from 0 to below 1",
    );
    let turn = |span: Option<_>| span.is_none_or(|span| ms(span) > 0);
    problems.unless(
        turn(fault.down) && turn(fault.up),
        field("down"),
        "must be above 0, and so must `up`",
    );
    let patterns = fault.monitors.iter().filter(|name| !name.ends_with('*'));
    must_be_known(patterns, &names.monitors, &field("monitors"), problems);
    must_be_known(fault.hosts.iter(), &names.hosts, &field("hosts"), problems);
    must_be_known(fault.regions.iter(), &names.regions, &field("regions"), problems);
    must_be_known(fault.providers.iter(), &names.providers, &field("providers"), problems);
    let agents: Vec<&str> = names.agents.iter().map(String::as_str).collect();
    must_be_known(fault.agents.iter(), &agents, &field("agents"), problems);
}

fn must_be_known<'a>(
    given: impl Iterator<Item = &'a String>,
    known: &[&str],
    field: &str,
    problems: &mut Problems,
) {
    for name in given.filter(|name| !known.contains(&name.as_str())) {
        let rule = match nearest(name, known.iter().copied()) {
            Some(word) => format!("names `{name}`, which is not there; did you mean `{word}`?"),
            None => format!("names `{name}`, which is not there"),
        };
        problems.0.push(FieldProblem::new(field, rule));
    }
}

/// The known word that `name` was probably meant to be.
pub(super) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|word| (strsim::damerau_levenshtein(word, name), word))
        .min()
        .filter(|(distance, word)| *distance <= 1 + word.len() / 4)
        .map(|(_, word)| word)
}
