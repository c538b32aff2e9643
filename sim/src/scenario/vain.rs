//! What a scenario says in vain: it could be run, and nothing would come of it.
//!
//! Somebody who writes a fault that hits nobody, or a route that takes nothing, believes to
//! have tried something. So whatever would have no effect is an error. Whom a fault hits is
//! asked of the world itself, so that this and the run cannot disagree.

use super::problems::Problems;
use super::{Fault, FaultKind, File, Monitor, Scenario, Side, ms, rest, simulated};
use crate::world::cast::{Cast, MonitorIndex};
use crate::world::truth::{Extent, Truth, is_named};
use hyperverge_control_core::correlation::{Scope, Verdict};
use hyperverge_control_core::incident::{Severity, SubjectKind};
use hyperverge_control_core::notification::route::{Facts, Match};
use hyperverge_protocol::duration::Span;
use hyperverge_protocol::problem::FieldProblem;

/// Everything that `scenario` says in vain.
pub(super) fn check(scenario: &Scenario) -> Vec<FieldProblem> {
    let mut problems = Problems::default();
    check_settle(scenario, &mut problems);
    simulated::check(scenario, &mut problems);
    check_routes(scenario, &mut problems);
    check_holds(scenario, &mut problems);
    let cast = Cast::of(scenario, scenario.seed);
    let world = (&cast, &Truth::of(scenario, &cast));
    for (index, fault) in scenario.faults.iter().enumerate() {
        let place = format!("faults[{index}]");
        let taken = fault.replica.is_none() || fault.kind.takes("replica");
        let rule = format!("is not for `{}`", fault.kind.as_str());
        problems.unless(taken, format!("{place}.replica"), rule);
        if fault.kind.side() == Side::Target {
            check_target(world, index, fault, &place, &mut problems);
        } else if !reaches_somebody(world, index, fault) {
            let rule = "hits no check: no monitor that these agents watch has a name to look up";
            problems.unless(false, format!("{place}.kind"), rule);
        }
    }
    problems.into_list()
}

/// The file without the faults that hit nobody and the replicas that nobody reads. It runs
/// as long as it did.
pub(super) fn without(scenario: &Scenario) -> File {
    let cast = Cast::of(scenario, scenario.seed);
    let world = (&cast, &Truth::of(scenario, &cast));
    let mut file = scenario.file.clone();
    let reach = (0..).zip(&scenario.faults).map(|(at, fault)| reaches_somebody(world, at, fault));
    let mut reach: Vec<bool> = reach.collect();
    reach.reverse();
    file.faults.retain(|_| reach.pop().unwrap_or(true));
    for fault in &mut file.faults {
        fault.replica = fault.replica.filter(|_| fault.kind.takes("replica"));
    }
    let end = file.faults.iter().map(Fault::until).max().unwrap_or(0);
    if file.duration.is_none() && end < scenario.faults_end() {
        // The rest would begin sooner, and be judged over a longer time.
        file.settle = Some(span(scenario.settle + scenario.faults_end() - end));
    }
    file
}

fn span(ms: i64) -> Span {
    Span::from_millis(ms.unsigned_abs())
}

type Resolved<'a> = (&'a Cast, &'a Truth);

/// The extents of the `index`th fault.
fn extents_of<'a>((_, truth): Resolved<'a>, index: usize) -> impl Iterator<Item = &'a Extent> {
    truth.extents.iter().filter(move |extent| extent.fault == index)
}

/// Whether the run would be another without the `index`th fault.
fn reaches_somebody(world: Resolved<'_>, index: usize, fault: &Fault) -> bool {
    match fault.kind {
        kind if kind.side() == Side::Target => extents_of(world, index)
            .any(|extent| extent.monitors.iter().any(|it| is_watched(world.0, extent, *it))),
        FaultKind::AgentDns | FaultKind::AgentResolver => extents_of(world, index).any(|extent| {
            let regions = crate::world::truth::regions_of(world.0, &extent.agents);
            let named = world.0.monitors.iter().filter(|it| it.monitor.has_name());
            named.flat_map(|it| &it.seats).any(|region| regions.contains(region))
        }),
        _ => true,
    }
}

/// Whether a monitor is watched from where the fault is.
fn is_watched(cast: &Cast, extent: &Extent, monitor: MonitorIndex) -> bool {
    cast.monitors[monitor].seats.iter().any(|region| extent.regions.contains(region))
}

fn check_target(
    world: Resolved<'_>,
    index: usize,
    fault: &Fault,
    place: &str,
    problems: &mut Problems,
) {
    let (cast, _) = world;
    let kind = fault.kind.as_str();
    let field = |key: &str| format!("{place}.{key}");
    let begins = |pattern: &str| cast.monitors.iter().any(|it| it.name().starts_with(pattern));
    for pattern in fault.monitors.iter().filter_map(|name| name.strip_suffix('*')) {
        let rule = format!("names `{pattern}*`, which is no monitor's beginning");
        problems.unless(begins(pattern), field("monitors"), rule);
    }
    for network in &fault.networks {
        let mut addresses = cast.monitors.iter().map(|it| &it.monitor.address);
        let rule = format!("names `{network}`, which is no address's beginning");
        let any = addresses.any(|address| address.starts_with(network.as_str()));
        problems.unless(any, field("networks"), rule);
    }
    let named: Vec<MonitorIndex> =
        (0..cast.monitors.len()).filter(|it| is_named(fault, &cast.monitors[*it])).collect();
    let extents: Vec<&Extent> = extents_of(world, index).collect();
    let hurt = |monitor: &MonitorIndex| extents.iter().any(|it| it.hurts(*monitor));
    let whole = |monitor: &MonitorIndex| {
        fault.monitors.iter().any(|name| *name == *cast.monitors[*monitor].name())
    };
    for monitor in named.iter().filter(|it| whole(it) && !hurt(it)) {
        let watched = &cast.monitors[*monitor].monitor;
        let rule = format!(
            "names `{}`, which `{kind}` does not hurt: {}",
            watched.name(),
            why_not(fault, watched)
        );
        problems.unless(false, field("monitors"), rule);
    }
    if let (Some(first), false) = (named.first(), named.iter().any(&hurt)) {
        let why = why_not(fault, &cast.monitors[*first].monitor);
        let rule = format!("hurts none of the monitors it names: {why}");
        problems.unless(named.iter().any(&whole), field("kind"), rule);
        return;
    }
    let hurting: Vec<MonitorIndex> = named.into_iter().filter(hurt).collect();
    check_where(cast, fault, &extents, &hurting, place, problems);
}

/// Where a fault is must be where what it hurts is watched from.
fn check_where(
    cast: &Cast,
    fault: &Fault,
    extents: &[&Extent],
    hurting: &[MonitorIndex],
    place: &str,
    problems: &mut Problems,
) {
    let watched_from = |region: &String| {
        let mut seats = hurting.iter().flat_map(|monitor| &cast.monitors[*monitor].seats);
        seats.any(|seat| cast.regions[*seat].name == *region)
    };
    for region in &fault.regions {
        let rule = format!("names `{region}`, from where none of its monitors is watched");
        problems.unless(watched_from(region), format!("{place}.regions"), rule);
    }
    let whole = hurting
        .iter()
        .filter(|it| fault.monitors.iter().any(|name| *name == *cast.monitors[**it].name()));
    for monitor in whole {
        let seen = extents.iter().any(|extent| is_watched(cast, extent, *monitor));
        let name = cast.monitors[*monitor].name();
        let rule = format!("names `{name}`, which is not watched from where this fault is");
        problems.unless(seen, format!("{place}.monitors"), rule);
    }
    let anybody = hurting.iter().any(|it| extents.iter().any(|at| is_watched(cast, at, *it)));
    problems.unless(
        anybody || hurting.is_empty() || fault.providers.is_empty(),
        format!("{place}.providers"),
        "name regions from which none of its monitors is watched",
    );
}

/// Why a fault does not hurt a monitor that it names.
fn why_not(fault: &Fault, monitor: &Monitor) -> String {
    let name = monitor.name();
    match fault.kind {
        FaultKind::Certificate => format!("no TLS is spoken to `{name}`"),
        FaultKind::Name => format!("the target of `{name}` is an address"),
        FaultKind::Slow => format!(
            "`latency` crosses neither the timeout of `{name}` nor its `expect.latency` or `warn.latency`"
        ),
        FaultKind::Status => format!("`{name}` is not of kind http, or takes a 500"),
        _ => format!("`{name}` is of kind icmp"),
    }
}

/// What is judged of a route's or a hold's labels: a monitor that is down.
fn facts(monitor: &Monitor) -> Facts {
    Facts {
        subject: SubjectKind::Monitor,
        name: monitor.name().to_owned(),
        labels: monitor.spec.labels.clone(),
        severity: Severity::Critical,
        verdict: Verdict::Down,
        scope: Scope::Global,
    }
}

fn check_routes(scenario: &Scenario, problems: &mut Problems) {
    for (index, route) in scenario.routes.iter().enumerate() {
        let place = format!("routes[{index}].match");
        let wanted = &route.matches;
        if wanted.labels.is_empty() {
            continue;
        }
        let monitors = wanted.subject.is_empty() || wanted.subject.contains(&SubjectKind::Monitor);
        let rule = "must name `monitor` beside `labels`: agents and regions have none";
        problems.unless(monitors, format!("{place}.subject"), rule);
        let labelled = Match { labels: wanted.labels.clone(), ..Match::default() };
        let takes = |it: &Monitor| labelled.mismatches(&facts(it)).is_empty();
        let rule = "must be labels of a monitor: none has all of them";
        problems.unless(scenario.monitors.iter().any(takes), format!("{place}.labels"), rule);
    }
}

fn check_holds(scenario: &Scenario, problems: &mut Problems) {
    for (place, entry) in scenario.holds() {
        let begins = ms(entry.at) < scenario.duration;
        problems.unless(begins, format!("{place}.at"), "must be before the run ends");
        let takes = |it: &Monitor| entry.matchers.take(&facts(it));
        let rule = "must take a monitor: none matches all that they say";
        problems.unless(scenario.monitors.iter().any(takes), format!("{place}.matchers"), rule);
    }
}

/// `settle` is waited for, and is long enough for the policies.
fn check_settle(scenario: &Scenario, problems: &mut Problems) {
    let rests = scenario.duration - scenario.faults_end();
    if let Some(settle) = scenario.file.settle {
        let rule = format!(
            "must be at most what `duration` leaves after the last fault ({})",
            span(rests.max(0))
        );
        problems.unless(scenario.settle <= rests, "settle", rule);
        let least = rest::least(scenario);
        let rule = format!("must be at least {}: {}", span(least.time), least.why);
        problems.unless(ms(settle) >= least.time, "settle", rule);
    }
}
