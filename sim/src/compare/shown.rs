//! The other rules shown the product's own observations, and what each made use of.
//!
//! A rule that looks from one place makes use of that place's observations alone,
//! and none makes use of what comes late. So the probes are counted that reached the
//! rule's judgement, not those that were made.

use super::contenders::Conduct;
use super::judge::of_rule;
use crate::control::note::Seen;
use crate::rule::{Fleet, Rule, RulePage};
use crate::rules::{Agreement, Half, InARow, Prometheus, Reporting, Sight};
use crate::world::World;
use std::cell::Cell;
use std::rc::Rc;

/// A rule that watches the product's world.
#[derive(Debug)]
struct Shown {
    rule: Box<dyn Rule>,
    sight: Sight,
    used: Rc<Cell<u64>>,
}

impl Rule for Shown {
    fn name(&self) -> &str {
        self.rule.name()
    }

    fn observe(&mut self, seen: &Seen, fleet: &Fleet<'_>, now: i64, pages: &mut Vec<RulePage>) {
        let used = u64::from(self.sight.failed(seen, fleet, now).is_some());
        self.used.set(self.used.get() + used);
        self.rule.observe(seen, fleet, now, pages);
    }

    fn tick(&mut self, fleet: &Fleet<'_>, now: i64, pages: &mut Vec<RulePage>) {
        self.rule.tick(fleet, now, pages);
    }
}

/// The rules that watch a world, with what each makes use of.
#[derive(Debug)]
pub(super) struct Watchers(Vec<(&'static str, Rc<Cell<u64>>)>);

impl Watchers {
    /// Lets every other rule watch `world`.
    pub(super) fn of(world: &mut World) -> Self {
        let mut watchers = Vec::new();
        for (rule, sight, saw) in everybody() {
            let used = Rc::new(Cell::new(0));
            watchers.push((saw, Rc::clone(&used)));
            world.watch(Box::new(Shown { rule, sight, used }));
        }
        Self(watchers)
    }

    /// What they did in `world`, whose run is over.
    pub(super) fn conducts(&self, world: &World) -> Vec<Conduct> {
        let mut conducts = Vec::new();
        for ((index, rule), (saw, used)) in world.rules().iter().enumerate().zip(&self.0) {
            let (name, pages) = (rule.name().to_owned(), of_rule(world, index));
            conducts.push(Conduct { name, saw: Some(saw), pages, probes: used.get() });
        }
        conducts
    }
}

fn everybody() -> Vec<(Box<dyn Rule>, Sight, &'static str)> {
    let one_place = "the first region's, in a row";
    let newest = "every region's, the newest of each";
    let (one, all) = (Sight::OnePlace, Sight::Everywhere);
    vec![
        (Box::new(InARow::uptime_kuma()), one, one_place),
        (Box::new(InARow::gatus()), one, one_place),
        (Box::new(Half::default()), all, newest),
        (Box::new(Agreement::of_majority()), all, newest),
        (Box::new(Agreement::of_all()), all, newest),
        (Box::new(Reporting::default()), all, "every region's, in a row"),
        (Box::new(Prometheus::default()), all, "every agent's, the newest of each every 15 s"),
    ]
}
