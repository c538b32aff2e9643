//! What can be typed: `hyperverge demo`, and `hyperverge <noun> <verb>`.
//!
//! Exit codes: 0 done; 1 something else went wrong; 2 not typed as it should be;
//! 3 nobody is signed in, or may not do this; 4 there is no such thing; 5 the
//! control plane refused what it was sent; 6 it cannot be reached, failed, or wants
//! to be asked later.

use crate::{backtest, demo, incidents, login, monitors};
use clap::{Parser, Subcommand};

/// HyperVerge's command line.
#[derive(Debug, Parser)]
#[command(name = "hyperverge", version, about, arg_required_else_help = true)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a control plane, three agents and a target with a switch on this machine.
    Demo(demo::Options),
    /// Sign in to a control plane and keep the tokens for the other commands.
    Login(login::Options),
    /// What was found wrong, why, and what came of it.
    #[command(subcommand)]
    Incidents(incidents::Command),
    /// What is watched, and how it stood.
    #[command(subcommand)]
    Monitors(monitors::Command),
    /// Which pages another policy would have sent, missed and saved.
    Backtest(backtest::Options),
}

impl Arguments {
    /// Runs the command that was typed.
    pub async fn run(self) -> anyhow::Result<()> {
        match self.command {
            Command::Demo(options) => demo::run(options).await,
            Command::Login(options) => login::run(options).await,
            Command::Incidents(command) => incidents::run(command).await,
            Command::Monitors(command) => monitors::run(command).await,
            Command::Backtest(options) => backtest::run(options).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_arguments_are_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn auto_is_another_word_for_script() {
        assert!(Arguments::try_parse_from(["hyperverge", "demo", "--auto"]).is_ok());
        assert!(Arguments::try_parse_from(["hyperverge", "demo", "--script", "--keep"]).is_ok());
        assert!(Arguments::try_parse_from(["hyperverge", "demo", "--faster"]).is_err());
    }
}
