//! `hyperverge-peers`: our agent beside other probers, on one machine, in one run.
//!
//! The whole agent is measured as it is shipped: a process of its own on one
//! core, enrolled with a stand-in control plane, checking what a signed set
//! says, sealing, spooling and delivering. Targets, the stand-in and whoever
//! drives a peer run on the other core. What a check costs is the process's
//! CPU time by the kernel, over the requests that the target counted.
//!
//! To add a case: a file under `cases/` and a line in its table there. To add
//! a peer: a file like `blackbox.rs`.

mod agent;
mod blackbox;
mod cases;
mod clock;
mod floor;
mod known;
mod measure;
mod monitors;
mod nginx;
mod plane;
mod plugin;
mod process;
mod table;
mod tally;

use clap::{Parser, Subcommand};
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, Parser)]
#[command(name = "hyperverge-peers", about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs cases and writes their tables; needs two cores, and root for raw sockets.
    Campaign(cases::Arguments),
    /// Checks without an agent around it, until it is ended.
    Floor(floor::Arguments),
    /// Answers after known delays, until it is ended.
    Known(known::Arguments),
    /// Checks with a monitoring plugin each, until it is ended.
    Plugin(plugin::Arguments),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // Fails only when somebody installed one before, which is just as good.
    let _installed = rustls::crypto::ring::default_provider().install_default();
    let done = match &arguments.command {
        Command::Campaign(arguments) => cases::run(arguments),
        Command::Floor(arguments) => floor::run(arguments),
        Command::Known(arguments) => known::run(arguments),
        Command::Plugin(arguments) => plugin::run(arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Prints a line for people; a closed standard output is no reason to fail.
fn say(line: &str) {
    let _closed = writeln!(std::io::stdout(), "{line}");
}

/// Where the campaign's files go, beside the program.
fn beside() -> anyhow::Result<PathBuf> {
    let mut dir = std::env::current_exe()?;
    dir.pop();
    Ok(dir)
}
