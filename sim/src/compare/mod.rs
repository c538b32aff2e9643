//! The labelled campaign: the product's rule beside those of other systems.
//!
//! Each case is one scripted fault in a fleet that a seed makes up ([`case`],
//! `fleet`, [`kind`]). Its label ([`label`]) says from the script whether somebody
//! must be paged. The product and every other rule live through it with the same
//! probe budget (`contenders`), and their pages are judged by the label ([`judge`]).
//! Faults beyond [`CAMPAIGN`] are of the next seed, so that what is chance shows.
//! `docs/benchmarks.md` holds the table and explains its columns.

pub mod case;
pub mod judge;
pub mod kind;
pub mod label;
pub mod punctual;
pub mod summary;

mod agents;
mod contenders;
mod fleet;
mod goals;
mod shown;
mod table;
mod table_goals;
#[cfg(test)]
mod tests;

use crate::scenario::Unreadable;
use case::Case;
use contenders::{Conduct, others, product};
use judge::score;
use label::Label;
use serde::Serialize;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use summary::{Scored, Standing};

pub use goals::Miss;
pub use table::table;

/// So many faults make a campaign with a seed of its own; further ones are of the next.
/// Each kind gets as many of them.
pub const CAMPAIGN: u64 = 640;

/// What campaigns showed.
#[derive(Debug, Clone, Serialize)]
pub struct Comparison {
    /// The first.
    pub seed: u64,
    /// Campaigns that were begun.
    pub seeds: u64,
    pub faults: u64,
    pub burst_probes: u64,
    /// Each with its own probes; the product first.
    pub standings: Vec<Standing>,
    /// The others shown the product's observations, bursts included.
    pub shown: Vec<Standing>,
    /// Where the product missed what is wanted of it.
    pub misses: Vec<Miss>,
}

impl Comparison {
    /// Whether a fault that is due was not paged, or one of agents was that make no quorum.
    pub fn misses_a_goal(&self) -> bool {
        let own = self.standings.first();
        own.is_some_and(|own| own.total.paged < own.total.due || own.agents_pages > 0)
    }
}

/// One case, judged.
#[derive(Debug)]
struct Judged {
    case: Case,
    label: Label,
    burst_probes: u64,
    scores: Vec<Scored>,
    shown: Vec<Scored>,
}

/// Who lives through the cases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    Everybody,
    /// The product alone, which is quicker.
    Product,
}

/// Runs `faults` cases of the campaign `seed`, and of those after it, on every core.
pub fn run(seed: u64, faults: u64, field: Field) -> Result<Comparison, Unreadable> {
    let next = AtomicU64::new(0);
    let all = Mutex::new(Vec::new());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= faults {
                        return;
                    }
                    let judged =
                        Case::made_up(seed, number).and_then(|case| judge_case(case, field));
                    match all.lock() {
                        Ok(mut all) => all.push((number, judged)),
                        Err(poisoned) => poisoned.into_inner().push((number, judged)),
                    }
                }
            });
        }
    });
    let mut all = match all.into_inner() {
        Ok(all) => all,
        Err(poisoned) => poisoned.into_inner(),
    };
    all.sort_by_key(|(number, _)| *number);
    let judged: Result<Vec<Judged>, Unreadable> = all.into_iter().map(|(_, it)| it).collect();
    Ok(summarise(seed, &judged?))
}

fn judge_case(case: Case, field: Field) -> Result<Judged, Unreadable> {
    let (world, own, shown) = product(&case);
    let label = label::of(&world);
    let counts = world.counts;
    let slots = counts.checks.saturating_sub(counts.burst_checks);
    let share = summary::share(slots, counts.checks).unwrap_or(1.0);
    let judge = |it: Conduct| Scored {
        name: it.name,
        saw: it.saw,
        score: score(&it.pages, &label),
        probes: it.probes,
    };
    let others = match field {
        Field::Everybody => others(&case, share)?,
        Field::Product => Vec::new(),
    };
    let scores = std::iter::once(own).chain(others).map(judge).collect();
    let shown = shown.into_iter().map(judge).collect();
    Ok(Judged { scores, shown, burst_probes: counts.burst_checks, label, case })
}

fn summarise(seed: u64, all: &[Judged]) -> Comparison {
    Comparison {
        seed,
        seeds: (all.len() as u64).div_ceil(CAMPAIGN),
        faults: all.len() as u64,
        burst_probes: all.iter().map(|judged| judged.burst_probes).sum(),
        standings: standings(all, |judged| &judged.scores),
        shown: standings(all, |judged| &judged.shown),
        misses: all
            .iter()
            .flat_map(|it| goals::misses(it.case.number, &it.case, &it.label, &it.scores))
            .collect(),
    }
}

fn standings(all: &[Judged], of: impl Fn(&Judged) -> &Vec<Scored>) -> Vec<Standing> {
    let first = all.first().map(|judged| of(judged).iter().map(Standing::new));
    let mut standings: Vec<Standing> = first.into_iter().flatten().collect();
    let whole = all.len() as u64 / CAMPAIGN;
    for (judged, number) in all.iter().zip(0..) {
        let campaign = Some(number / CAMPAIGN).filter(|campaign| *campaign < whole);
        let campaign = campaign.and_then(|campaign| usize::try_from(campaign).ok());
        for (standing, scored) in standings.iter_mut().zip(of(judged)) {
            standing.add(judged.case.kind, &judged.label, scored, campaign);
        }
    }
    standings.iter_mut().for_each(Standing::finish);
    standings
}
