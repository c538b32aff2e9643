//! What can be typed: `hyperverge demo`, later `hyperverge <noun> <verb>`.

use crate::demo;
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
}

impl Arguments {
    /// Runs the command that was typed.
    pub async fn run(self) -> anyhow::Result<()> {
        match self.command {
            Command::Demo(options) => demo::run(options).await,
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
