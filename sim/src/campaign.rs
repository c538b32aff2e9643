//! Many seeds, on every core, with a summary.

use crate::command::{CommandError, simulate};
use crate::generate::{scenario, shrink};
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
        if let Some(first) = report.violations.first() {
            self.broken.push((seed, first.clone()));
        }
    }
}

impl std::fmt::Display for Summary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let hours = self.virtual_ms / 3_600_000;
        writeln!(f, "{} seeds, {hours} hours of virtual time", self.seeds)?;
        writeln!(f, "{} checks, {} of them in bursts", self.checks, self.burst_checks)?;
        writeln!(f, "{} transactions, {} tried again", self.transactions, self.conflicts)?;
        writeln!(f, "{} incidents, {} notices, {} held", self.incidents, self.pages, self.held)?;
        for (seed, what) in &self.broken {
            writeln!(f, "seed {seed}: {what}")?;
        }
        writeln!(f, "{} seeds broke an invariant", self.broken.len())
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
                    let report = scenario(seed).map(|scenario| simulate(&scenario, seed));
                    let mut summary = match summary.lock() {
                        Ok(summary) => summary,
                        Err(poisoned) => poisoned.into_inner(),
                    };
                    match report {
                        Ok(report) => summary.add(seed, &report),
                        Err(error) => summary.broken.push((seed, error.to_string())),
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

/// Writes the scenario of a failing seed, as small as it still fails, into `dir`.
pub fn keep(seed: u64, dir: &Path) -> Result<PathBuf, CommandError> {
    let path = dir.join(format!("seed-{seed}.toml"));
    let name = path.display().to_string();
    let failed = |source| CommandError::File { path: name.clone(), source };
    let made =
        scenario(seed).map_err(|source| CommandError::Scenario { path: name.clone(), source })?;
    let text = shrink(&made, seed).text();
    std::fs::create_dir_all(dir).map_err(failed)?;
    std::fs::write(&path, text).map_err(failed)?;
    Ok(path)
}
