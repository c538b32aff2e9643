//! `hyperverge monitors`: one file for each command.

mod explain;
mod list;

use anyhow::Result;
use clap::Subcommand;

/// What can be done with monitors.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Every monitor and how it stands.
    List(list::Options),
    /// How one stood at a time, and why people were told then or were not.
    Explain(explain::Options),
}

/// Runs the command that was typed.
pub async fn run(command: Command) -> Result<()> {
    match command {
        Command::List(options) => list::run(options).await,
        Command::Explain(options) => explain::run(options).await,
    }
}
