//! Many seeds, on every core, with a summary.

use crate::command::{CommandError, simulate};
use crate::generate::{scenario, shrink};
use crate::reference::Judged;
use crate::report::Report;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// What many runs showed together.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Summary {
    pub seeds: u64,
    pub virtual_ms: u64,
    pub checks: u64,
    pub burst_checks: u64,
    pub transactions: u64,
    pub conflicts: u64,
    pub incidents: u64,
    pub pages: u64,
    pub held: u64,
    pub agent_incidents: u64,
    pub region_incidents: u64,
    pub groups: u64,
    pub votes_lost: u64,
    /// Bursts that a cap kept from being asked for.
    pub capped: u64,
    pub judged: Judged,
    /// Seeds that broke an invariant, with what they broke first.
    pub broken: Vec<(u64, String)>,
}

impl Summary {
    fn add(&mut self, seed: u64, report: &Report) {
        self.seeds += 1;
        self.virtual_ms += report.duration_ms.unsigned_abs();
        self.checks += report.counts.checks;
        self.burst_checks += report.counts.burst_checks;
        self.transactions += report.counts.transactions;
        self.conflicts += report.counts.conflicts;
        self.incidents += report.incidents.len() as u64;
        self.pages += report.pages.len() as u64;
        self.held += report.held.len() as u64;
        let about = |kind: &str| {
            report.incidents.iter().filter(|it| it.subject_kind == kind).count() as u64
        };
        self.agent_incidents += about("agent");
        self.region_incidents += about("region");
        self.groups += report.groups.len() as u64;
        self.votes_lost += report.votes_lost.iter().filter(|it| it.lost).count() as u64;
        let caps = report.bursts_kept.iter().filter(|(why, _)| why.ends_with("_cap"));
        self.capped += caps.map(|(_, count)| count).sum::<u64>();
        self.judged.add(&report.judged);
        if let Some(first) = report.violations.first() {
            self.broken.push((seed, first.clone()));
        }
    }
}

impl std::fmt::Display for Summary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let hours = self.virtual_ms / 3_600_000;
        let judged = &self.judged;
        writeln!(f, "{} seeds broke an invariant.\n", self.broken.len())?;
        writeln!(f, "| | |\n|---|---|")?;
        writeln!(f, "| seeds | {}, {hours} hours of virtual time |", self.seeds)?;
        writeln!(f, "| checks | {}, {} of them in bursts |", self.checks, self.burst_checks)?;
        writeln!(f, "| transactions | {}, {} tried again |", self.transactions, self.conflicts)?;
        writeln!(
            f,
            "| incidents | {}: {} about agents, {} about regions; {} groups |",
            self.incidents, self.agent_incidents, self.region_incidents, self.groups
        )?;
        writeln!(f, "| notices | {} sent, {} held |", self.pages, self.held)?;
        writeln!(f, "| votes lost | {} |", self.votes_lost)?;
        writeln!(f, "| bursts kept by a cap | {} |", self.capped)?;
        writeln!(
            f,
            "| clean faults, each monitor for itself | {} judged tightly, {} slowly, {} skipped |",
            judged.tightly, judged.slowly, judged.skipped
        )?;
        writeln!(f, "| of them told, seen to be over | {}, {} |", judged.told, judged.recovered)?;
        writeln!(
            f,
            "| agents at fault, silent regions noticed | {}, {} |",
            judged.agents, judged.regions
        )?;
        writeln!(f, "| verdicts recounted | {} |", judged.verdicts)?;
        if !self.broken.is_empty() {
            writeln!(f)?;
        }
        for (seed, what) in &self.broken {
            writeln!(f, "- seed {seed}: {what}")?;
        }
        Ok(())
    }
}

/// Runs the scenarios of `count` seeds from `from`.
pub fn run(from: u64, count: u64) -> Summary {
    let next = AtomicU64::new(from);
    let summary = Mutex::new(Summary::default());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= from.saturating_add(count) {
                        return;
                    }
                    let report = run_one(seed);
                    let mut summary = match summary.lock() {
                        Ok(summary) => summary,
                        Err(poisoned) => poisoned.into_inner(),
                    };
                    match report {
                        Ok(report) => summary.add(seed, &report),
                        Err(what) => summary.broken.push((seed, what)),
                    }
                }
            });
        }
    });
    let mut summary = match summary.into_inner() {
        Ok(summary) => summary,
        Err(poisoned) => poisoned.into_inner(),
    };
    summary.broken.sort();
    summary
}

/// One seed; a panic is its own fault, and no other seed's.
fn run_one(seed: u64) -> Result<Report, String> {
    let made = scenario(seed).map_err(|error| error.to_string())?;
    let run = std::panic::AssertUnwindSafe(|| simulate(&made, seed));
    std::panic::catch_unwind(run).map_err(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        format!("panicked: {}", text.unwrap_or("without a message"))
    })
}

/// Writes the scenario of a failing seed, as small as it still fails, into `dir`.
pub fn keep(seed: u64, dir: &Path) -> Result<PathBuf, CommandError> {
    let path = dir.join(format!("seed-{seed}.toml"));
    let name = path.display().to_string();
    let failed = |source| CommandError::File { path: name.clone(), source };
    let made =
        scenario(seed).map_err(|source| CommandError::Scenario { path: name.clone(), source })?;
    // What panics is kept as it is.
    let text = match run_one(seed) {
        Ok(_) => shrink(&made, seed).text(),
        Err(_) => made.text(),
    };
    std::fs::create_dir_all(dir).map_err(failed)?;
    std::fs::write(&path, text).map_err(failed)?;
    Ok(path)
}
