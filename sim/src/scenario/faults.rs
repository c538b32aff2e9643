//! The rules of faults: words that their kind takes, names that are there, numbers in range.

use super::problems::Problems;
use super::{Fault, FaultKind, Scenario, Side, ms};
use crate::limits::DURATION_MS;
use hyperverge_protocol::duration::Span;
use std::collections::BTreeSet;

/// Longest of what makes answers later, ms: far beyond any timeout.
const LATENCY_MS: i64 = 3_600_000;
/// Longest of what a link may delay messages by, ms; beyond it connections would break.
const DELAY_MS: i64 = 10_000;
/// Furthest that a clock may be set, ms; a run must be able to wait for it.
pub(super) const STEP_MS: i64 = 86_400_000;

/// Every broken rule of every fault.
pub(super) fn check(scenario: &Scenario, problems: &mut Problems) {
    let names = Names::of(scenario);
    for (index, fault) in scenario.faults.iter().enumerate() {
        let place = format!("faults[{index}]");
        check_words(fault, &place, problems);
        check_times(scenario, fault, &place, problems);
        check_numbers(scenario, fault, &place, problems);
        check_names(fault, &names, &place, problems);
    }
}

/// A word that the kind does not read is refused, one that it needs must be there.
fn check_words(fault: &Fault, place: &str, problems: &mut Problems) {
    let kind = fault.kind.as_str();
    for (word, given) in fault.given() {
        // Made-up scenarios draw a replica for whatever is the control plane's.
        let drawn = word == "replica" && fault.kind.side() == Side::Control;
        let rule = match (word, fault.kind.side()) {
            ("agents", Side::Target) => format!("is not for `{kind}`; name regions"),
            ("monitors" | "hosts" | "networks", Side::Agent | Side::Link | Side::Control) => {
                format!("is not for `{kind}`, which is no fault of a target")
            }
            _ => format!("is not for `{kind}`"),
        };
        let fits = !given || fault.kind.takes(word) || drawn;
        problems.unless(fits, format!("{place}.{word}"), rule);
        let there = given || !fault.kind.needs(word);
        let rule = match word {
            "for" => "must say how long it lasts".to_owned(),
            _ => format!("must be given for `{kind}`"),
        };
        problems.unless(there, format!("{place}.{word}"), rule);
    }
    let somebody = !fault.monitors.is_empty() || !fault.hosts.is_empty();
    problems.unless(
        fault.kind.side() != Side::Target || somebody || !fault.networks.is_empty(),
        format!("{place}.monitors"),
        "must name monitors (\"*\" for all), or hosts or networks beside it",
    );
}

fn check_times(scenario: &Scenario, fault: &Fault, place: &str, problems: &mut Problems) {
    let lasts = fault.lasts.is_none_or(|lasts| ms(lasts) > 0);
    problems.unless(lasts, format!("{place}.for"), "must be above 0");
    problems.unless(fault.until() <= scenario.duration, place, "must end before the run does");
}

fn check_numbers(scenario: &Scenario, fault: &Fault, place: &str, problems: &mut Problems) {
    let field = |name: &str| format!("{place}.{name}");
    let share = fault.share > 0.0 && fault.share <= 1.0;
    problems.unless(share, field("share"), "must be above 0 and at most 1");
    let loss = fault.loss.is_none_or(|loss| loss > 0.0 && loss < 1.0);
    problems.unless(loss, field("loss"), "must be above 0 and below 1");
    let within =
        |span: Option<Span>, most: i64| span.is_none_or(|span| (1..=most).contains(&ms(span)));
    let spans = [
        ("latency", within(fault.latency, LATENCY_MS), "must be above 0 and at most 1h"),
        ("delay", within(fault.delay, DELAY_MS), "must be above 0 and at most 10s"),
        ("down", within(fault.down, DURATION_MS), "must be above 0 and at most 7d"),
        ("up", within(fault.up, DURATION_MS), "must be above 0 and at most 7d"),
    ];
    for (name, holds, rule) in spans {
        problems.unless(holds, field(name), rule);
    }
    let step = fault.step().is_some_and(|step| step != 0 && step.abs() <= STEP_MS);
    problems.unless(
        fault.by.is_none() || step,
        field("by"),
        "must be a duration of at most 1d and not 0, with a - in front to go back: 30s, -30s",
    );
    let replica =
        fault.replica.is_none_or(|replica| (1..=scenario.control.replicas).contains(&replica));
    problems.unless(replica, field("replica"), "must be one of control.replicas, from 1");
}

/// The names that faults may use.
struct Names<'a> {
    monitors: BTreeSet<&'a str>,
    hosts: BTreeSet<&'a str>,
    regions: BTreeSet<&'a str>,
    providers: BTreeSet<&'a str>,
    agents: Vec<String>,
}

impl<'a> Names<'a> {
    fn of(scenario: &'a Scenario) -> Self {
        let regions = &scenario.regions;
        Self {
            monitors: scenario.monitors.iter().map(|it| it.name()).collect(),
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

fn check_names(fault: &Fault, names: &Names<'_>, place: &str, problems: &mut Problems) {
    let field = |name: &str| format!("{place}.{name}");
    let whole = fault.monitors.iter().filter(|name| !name.ends_with('*'));
    problems.unless_known(whole, &names.monitors, &field("monitors"));
    problems.unless_known(fault.hosts.iter(), &names.hosts, &field("hosts"));
    problems.unless_known(fault.regions.iter(), &names.regions, &field("regions"));
    problems.unless_known(fault.providers.iter(), &names.providers, &field("providers"));
    let agents: BTreeSet<&str> = names.agents.iter().map(String::as_str).collect();
    problems.unless_known(fault.agents.iter(), &agents, &field("agents"));
}

impl FaultKind {
    /// Whether a fault of this kind reads `word`.
    pub(super) fn takes(self, word: &str) -> bool {
        match word {
            "monitors" | "hosts" | "networks" | "share" => self.side() == Side::Target,
            "regions" | "providers" => self.side() != Side::Control,
            "agents" => matches!(self.side(), Side::Agent | Side::Link),
            "for" => !self.is_moment(),
            "by" => self.is_moment(),
            "latency" => self == Self::Slow,
            "down" | "up" => self == Self::Flap,
            "delay" => self == Self::LinkDelay,
            "loss" => self == Self::LinkLoss,
            "reboot" => self == Self::AgentCrash,
            "replica" => matches!(self, Self::ControlCrash | Self::ControlPause),
            _ => false,
        }
    }

    /// Whether it says nothing without `word`.
    fn needs(self, word: &str) -> bool {
        matches!(word, "for" | "by" | "latency" | "down" | "up" | "delay" | "loss")
            && self.takes(word)
    }
}

impl Fault {
    /// Every word that only some kinds read, and whether it was given.
    pub(super) fn given(&self) -> [(&'static str, bool); 16] {
        [
            ("for", self.lasts.is_some()),
            ("monitors", !self.monitors.is_empty()),
            ("hosts", !self.hosts.is_empty()),
            ("networks", !self.networks.is_empty()),
            ("regions", !self.regions.is_empty()),
            ("providers", !self.providers.is_empty()),
            ("agents", !self.agents.is_empty()),
            ("share", self.share < 1.0),
            ("latency", self.latency.is_some()),
            ("down", self.down.is_some()),
            ("up", self.up.is_some()),
            ("delay", self.delay.is_some()),
            ("loss", self.loss.is_some()),
            ("by", self.by.is_some()),
            ("reboot", self.reboot),
            ("replica", self.replica.is_some()),
        ]
    }
}
