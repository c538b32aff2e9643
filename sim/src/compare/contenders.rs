//! Who is compared, and what each is given to see.
//!
//! Every contender lives through the same fault in the same fleet, with at least as
//! many probes as the product made, the bursts counted:
//!
//! | setting | its probes |
//! |---|---|
//! | the product | slots, and bursts when something fails |
//! | slots | no bursts; the interval is shorter by the share of the product's probes that were bursts |
//! | tried again | slots, and every failed check is tried again at once as that system does |
//! | one place | the first region alone, as often as all regions together, but no faster than a check may last |
//!
//! `shown.rs` has the same rules shown the product's very observations, bursts included.
//!
//! To add one: a rule in `crate::rules`, its line in the setting it belongs to, and one
//! in `shown.rs`.

use super::case::{Case, Probing};
use super::judge::{Page, of_product, of_rule};
use super::shown::Watchers;
use crate::rule::Rule;
use crate::rules::{Agreement, Half, InARow, Prometheus, Reporting};
use crate::scenario::{Scenario, Unreadable, ms};
use crate::world::{Options, Retries, World};

/// What one contender did.
#[derive(Debug)]
pub(super) struct Conduct {
    pub(super) name: String,
    /// What it was shown, if it made no requests of its own.
    pub(super) saw: Option<&'static str>,
    pub(super) pages: Vec<Page>,
    /// Requests that were made for it, or whose outcome it used.
    pub(super) probes: u64,
}

/// openstatus: four attempts, half a second, then half as long again each time.
const OPENSTATUS: Retries = Retries { attempts: 4, wait: 500, growth: 50 };
/// OneUptime: three attempts, a second apart.
const ONEUPTIME: Retries = Retries { attempts: 3, wait: 1_000, growth: 0 };

/// The product, the world it decided in, and every other rule shown that world.
pub(super) fn product(case: &Case) -> (World, Conduct, Vec<Conduct>) {
    let mut world = World::new(&case.scenario, Options { seed: case.scenario.seed, decides: true });
    let watchers = Watchers::of(&mut world);
    world.run();
    let name = "HyperVerge".to_owned();
    let (pages, probes) = (of_product(&world), world.counts.checks);
    let shown = watchers.conducts(&world);
    (world, Conduct { name, saw: None, pages, probes }, shown)
}

fn places() -> Vec<Box<dyn Rule>> {
    vec![Box::new(InARow::uptime_kuma()), Box::new(InARow::gatus())]
}

fn halves() -> Vec<Box<dyn Rule>> {
    vec![Box::new(Half::default())]
}

fn agreements() -> Vec<Box<dyn Rule>> {
    vec![Box::new(Agreement::of_majority()), Box::new(Agreement::of_all())]
}

fn slots() -> Vec<Box<dyn Rule>> {
    vec![Box::new(Reporting::default()), Box::new(Prometheus::default())]
}

/// The others, each in its own setting. `share`: of the product's probes, those of slots.
pub(super) fn others(case: &Case, share: f64) -> Result<Vec<Conduct>, Unreadable> {
    let shorter = |interval: i64| shorter(interval, share);
    let everywhere = case.with_intervals(|monitor| {
        let least = ms(monitor.spec.timeout());
        Probing { interval: shorter(ms(monitor.spec.interval)).max(least), only_from: None }
    })?;
    let regions = case.scenario.regions.len();
    let count = i64::try_from(regions).unwrap_or(1).max(1);
    let first = case.scenario.regions.first().map(|region| region.name.clone());
    let from_one_place = case.with_intervals(|monitor| {
        let least = ms(monitor.spec.timeout());
        let interval = shorter(ms(monitor.spec.interval) / count).max(least);
        Probing { interval, only_from: first.clone() }
    })?;
    let mut conducts = watched(&from_one_place, places(), None);
    conducts.extend(watched(&everywhere, halves(), Some(OPENSTATUS)));
    conducts.extend(watched(&everywhere, agreements(), Some(ONEUPTIME)));
    conducts.extend(watched(&everywhere, slots(), None));
    Ok(conducts)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "whole ms")]
fn shorter(interval: i64, share: f64) -> i64 {
    (interval as f64 * share).floor() as i64
}

fn watched(
    scenario: &Scenario,
    rules: Vec<Box<dyn Rule>>,
    retries: Option<Retries>,
) -> Vec<Conduct> {
    let mut world = World::new(scenario, Options { seed: scenario.seed, decides: false });
    rules.into_iter().for_each(|rule| world.watch(rule));
    if let Some(retries) = retries {
        world.retry(retries);
    }
    world.run();
    conducts(&world)
}

fn conducts(world: &World) -> Vec<Conduct> {
    let rules = world.rules().iter().map(Box::as_ref).enumerate();
    let conduct = |(index, rule): (usize, &dyn Rule)| Conduct {
        name: rule.name().to_owned(),
        saw: None,
        pages: of_rule(world, index),
        probes: world.counts.checks,
    };
    rules.map(conduct).collect()
}
