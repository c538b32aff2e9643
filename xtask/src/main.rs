//! `cargo xtask <command>`: what the repository asks of itself.
//!
//! `tidy` reads the tree and says which of its rules are broken. A new command is
//! a module and an arm in [`main`]; a new rule is a file under `tidy/`.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line speaks to its terminal"
)]

mod tidy;

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};

const USAGE: &str = "usage: cargo xtask tidy    check the rules of the tree";

fn main() -> ExitCode {
    let command = std::env::args().nth(1);
    let outcome = match command.as_deref() {
        Some("tidy") => run_tidy(),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("xtask: {error:#}");
        ExitCode::FAILURE
    })
}

fn run_tidy() -> Result<ExitCode> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .context("xtask lies directly below the root of the tree")?;
    let tree = tidy::Tree::read(root)?;
    let findings = tidy::check(&tree);
    for finding in &findings {
        eprintln!("{finding}");
    }
    if findings.is_empty() {
        println!("tidy: {} files, {} rules, nothing to say", tree.len(), tidy::RULES.len());
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("tidy: {} findings", findings.len());
    Ok(ExitCode::FAILURE)
}
