//! The rules without which a scenario cannot be run: names that are there, numbers that
//! are in range. What could be run and would say nothing is for `vain.rs`.

use super::problems::Problems;
use super::{Bound, HoldEntry, Scenario, faults, ms};
use crate::control::EPOCH_MS;
use crate::limits::{AGENTS, CHANNELS, DURATION_MS, FAULTS, REGIONS, REPLICAS};
use hyperverge_control_core::notification::hold::Window;
use hyperverge_protocol::monitor::is_slug;
use hyperverge_protocol::problem::FieldProblem;
use std::collections::BTreeSet;
use uuid::Uuid;

const SLUG_RULE: &str = "must be a slug: a-z, 0-9 and -, at most 63";

/// What is wrong with `scenario`.
pub(super) fn check(scenario: &Scenario) -> Vec<FieldProblem> {
    let mut problems = Problems::default();
    check_whole(scenario, &mut problems);
    check_control(scenario, &mut problems);
    check_regions(scenario, &mut problems);
    check_monitors(scenario, &mut problems);
    check_routes(scenario, &mut problems);
    check_holds(scenario, &mut problems);
    check_expect(scenario, &mut problems);
    faults::check(scenario, &mut problems);
    problems.into_list()
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
    for (index, name) in scenario.channels.iter().enumerate() {
        let place = format!("channels[{index}]");
        problems.unless(is_slug(name), &place, SLUG_RULE);
        problems.unless(!scenario.channels[..index].contains(name), &place, "must be given once");
    }
}

fn check_control(scenario: &Scenario, problems: &mut Problems) {
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
        problems.unless(is_slug(&region.name), format!("{place}.name"), SLUG_RULE);
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
    let regions: BTreeSet<&str> = scenario.regions.iter().map(|it| it.name.as_str()).collect();
    let monitors: BTreeSet<&str> = scenario.monitors.iter().map(|it| it.name()).collect();
    let channels: BTreeSet<&str> = scenario.channels.iter().map(String::as_str).collect();
    for monitor in &scenario.monitors {
        let place = monitor.place();
        let rule = format!("must be given once; `{}` is there already", monitor.name());
        problems.unless(seen.insert(monitor.name()), format!("{place}.name"), rule);
        let spec = &monitor.spec;
        let named = spec.regions.iter().filter(|name| *name != "*");
        problems.unless_known(named, &regions, &format!("{place}.regions"));
        problems.unless_known(spec.notify.iter(), &channels, &format!("{place}.notify"));
        problems.unless_known(spec.depends_on.iter(), &monitors, &format!("{place}.depends_on"));
    }
}

/// Routes name channels that are there.
fn check_routes(scenario: &Scenario, problems: &mut Problems) {
    let channels: BTreeSet<&str> = scenario.channels.iter().map(String::as_str).collect();
    for (index, route) in scenario.routes.iter().enumerate() {
        let place = format!("routes[{index}]");
        for own in route.check() {
            problems.add(FieldProblem::new(format!("{place}.{}", own.field), own.rule));
        }
        let mut before = scenario.routes[..index].iter();
        let once = !before.any(|other| other.name == route.name);
        problems.unless(once, format!("{place}.name"), "must be given once");
        problems.unless_known(route.channels.iter(), &channels, &format!("{place}.channels"));
    }
}

/// Silences and windows keep the product's rules and name monitors that are there.
fn check_holds(scenario: &Scenario, problems: &mut Problems) {
    let monitors: BTreeSet<&str> = scenario.monitors.iter().map(|it| it.name()).collect();
    for (place, entry) in scenario.holds() {
        let long = [("at", entry.at), ("for", entry.lasts)];
        let mut in_range = true;
        for (key, span) in long {
            in_range &= ms(span) <= DURATION_MS;
            problems.unless(
                ms(span) <= DURATION_MS,
                format!("{place}.{key}"),
                "must be at most 7d",
            );
        }
        if !in_range {
            continue;
        }
        for own in as_window(entry).check(0) {
            let (field, rule) = match own.field.as_str() {
                "ends_at" => ("for", "must be above 0".to_owned()),
                field => (field, own.rule),
            };
            problems.add(FieldProblem::new(format!("{place}.{field}"), rule));
        }
        let named = entry.matchers.monitors.iter().filter(|name| *name != "*");
        problems.unless_known(named, &monitors, &format!("{place}.matchers.monitors"));
    }
}

/// What the product's rules are asked with; of a silence too, whose rules are the same.
fn as_window(entry: &HoldEntry) -> Window {
    let starts_at = EPOCH_MS + ms(entry.at);
    Window {
        id: Uuid::nil(),
        name: entry.name.clone(),
        matchers: entry.matchers.clone(),
        starts_at,
        ends_at: starts_at + ms(entry.lasts),
    }
}

fn check_expect(scenario: &Scenario, problems: &mut Problems) {
    let bounds = scenario.expect.iter().flat_map(|expect| expect.bounds());
    for (what, bound) in bounds {
        let possible = !matches!(bound, Some(Bound::Between(least, most)) if least > most);
        let rule = "must be [least, most], the least first";
        problems.unless(possible, format!("expect.{what}"), rule);
    }
}
