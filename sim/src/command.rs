//! The command line: `run`, `check`, `seeds`.
//!
//! Exit codes: 0, everything is as it must be; 1, an invariant is broken or an
//! expectation not met; 2, the arguments or the scenario are wrong; 3, a file
//! cannot be read or written.

use crate::campaign;
use crate::compare;
use crate::generate;
use crate::limits::FILE_BYTES;
use crate::report::{self, Report};
use crate::scenario::{self, Scenario, Unreadable};
use crate::world::{Options, World};
use clap::{Parser, Subcommand};
use hyperverge_protocol::problem::FieldProblem;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// A whole HyperVerge fleet in one thread, on virtual time.
#[derive(Debug, Parser)]
#[command(name = "hyperverge-sim", version)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs a scenario and says what happened.
    Run {
        /// A scenario file; docs/simulation.md says what it may hold.
        scenario: PathBuf,
        /// Another seed than the file's.
        #[arg(long)]
        seed: Option<u64>,
        /// JSON instead of a table.
        #[arg(long)]
        json: bool,
    },
    /// Checks scenario files without running them.
    Check {
        #[arg(required = true)]
        scenarios: Vec<PathBuf>,
    },
    /// Makes scenarios up and checks that no invariant is broken.
    Seeds {
        /// How many.
        #[arg(long, default_value_t = 100)]
        count: u64,
        /// The first.
        #[arg(long, default_value_t = 1)]
        from: u64,
        /// Where to put the scenarios of seeds that fail, as small as they still fail.
        #[arg(long)]
        keep: Option<PathBuf>,
        /// Writes the scenario of the first seed instead of running any.
        #[arg(long)]
        show: bool,
    },
    /// Judges the product's pages beside other systems' rules over labelled faults.
    Compare {
        /// How many faults.
        #[arg(long, default_value_t = 600)]
        faults: u64,
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// JSON instead of tables.
        #[arg(long)]
        json: bool,
        /// Writes the scenario of this one fault instead of running any.
        #[arg(long)]
        show: Option<u64>,
    },
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    Well,
    /// Something is not as it must be.
    Broken,
}

impl Ended {
    /// The process's exit code.
    pub fn code(self) -> ExitCode {
        match self {
            Self::Well => ExitCode::SUCCESS,
            Self::Broken => ExitCode::from(1),
        }
    }
}

/// Why a command could not be run.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    #[error("{path}: {source}")]
    File { path: String, source: io::Error },
    #[error("{path}:\n{source}")]
    Scenario { path: String, source: Unreadable },
    #[error("cannot write: {0}")]
    Output(#[from] io::Error),
}

impl CommandError {
    /// The process's exit code.
    pub fn code(&self) -> ExitCode {
        match self {
            Self::Scenario { .. } => ExitCode::from(2),
            Self::File { .. } | Self::Output(_) => ExitCode::from(3),
        }
    }
}

impl Arguments {
    /// Runs the command; what it says goes to `out`.
    pub fn run(self, out: &mut impl Write) -> Result<Ended, CommandError> {
        match self.command {
            Command::Run { scenario, seed, json } => {
                let scenario = load(&scenario)?;
                let report = simulate(&scenario, seed.unwrap_or(scenario.seed));
                print(&report, json, out)
            }
            Command::Check { scenarios } => {
                for path in scenarios {
                    let scenario = load(&path)?;
                    let (monitors, faults) = (scenario.monitors.len(), scenario.faults.len());
                    let path = path.display();
                    writeln!(out, "{path}: good, {monitors} monitors, {faults} faults")?;
                }
                Ok(Ended::Well)
            }
            Command::Seeds { from, show: true, .. } => {
                let made = generate::scenario(from).map_err(|source| CommandError::Scenario {
                    path: format!("seed {from}"),
                    source,
                })?;
                write!(out, "{}", made.text())?;
                Ok(Ended::Well)
            }
            Command::Seeds { count, from, keep, .. } => seeds(count, from, keep.as_deref(), out),
            Command::Compare { seed, show: Some(number), .. } => {
                let case = compare::case::Case::made_up(seed, number).map_err(made_up)?;
                write!(out, "{}", case.scenario.text())?;
                Ok(Ended::Well)
            }
            Command::Compare { faults, seed, json, show: None } => {
                let comparison =
                    compare::run(seed, faults, compare::Field::Everybody).map_err(made_up)?;
                if json {
                    serde_json::to_writer_pretty(&mut *out, &comparison)
                        .map_err(io::Error::from)?;
                    writeln!(out)?;
                } else {
                    write!(out, "{}", compare::table(&comparison))?;
                }
                Ok(if comparison.misses_a_goal() { Ended::Broken } else { Ended::Well })
            }
        }
    }
}

fn seeds(
    count: u64,
    from: u64,
    keep: Option<&Path>,
    out: &mut impl Write,
) -> Result<Ended, CommandError> {
    let summary = campaign::run(from, count);
    write!(out, "{summary}")?;
    for (seed, _) in &summary.broken {
        if let Some(dir) = keep {
            writeln!(out, "kept {}", campaign::keep(*seed, dir)?.display())?;
        }
    }
    Ok(if summary.broken.is_empty() { Ended::Well } else { Ended::Broken })
}

fn made_up(source: Unreadable) -> CommandError {
    CommandError::Scenario { path: "a fault that was made up".to_owned(), source }
}

/// Runs a scenario under the product's rule.
pub fn simulate(scenario: &Scenario, seed: u64) -> Report {
    let mut world = World::new(scenario, Options { seed, decides: true });
    world.run();
    report::of(&world)
}

/// Reads a scenario file.
pub fn load(path: &Path) -> Result<Scenario, CommandError> {
    let name = path.display().to_string();
    let failed = |source| CommandError::File { path: name.clone(), source };
    let file = std::fs::File::open(path).map_err(failed)?;
    let mut text = String::new();
    file.take(FILE_BYTES + 1).read_to_string(&mut text).map_err(failed)?;
    if text.len() as u64 > FILE_BYTES {
        let rule = format!("must be at most {} MiB", FILE_BYTES >> 20);
        let source = Unreadable::Problems(vec![FieldProblem::new("the file", rule)]);
        return Err(CommandError::Scenario { path: name, source });
    }
    let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    scenario::read_written(&text, &stem.unwrap_or_default())
        .map_err(|source| CommandError::Scenario { path: name.clone(), source })
}

fn print(report: &Report, json: bool, out: &mut impl Write) -> Result<Ended, CommandError> {
    if json {
        serde_json::to_writer_pretty(&mut *out, report).map_err(io::Error::from)?;
        writeln!(out)?;
    } else {
        write!(out, "{}", report::table(report))?;
    }
    Ok(if report.ok { Ended::Well } else { Ended::Broken })
}
