//! The entry point: reads the arguments, runs the command, says what went wrong.

use clap::Parser;
use hyperverge_cli::command::Arguments;
use hyperverge_cli::print::failure;
use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // The first provider wins; a second installation is no harm.
    rustls::crypto::ring::default_provider().install_default().ok();
    match arguments.run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failure(&error),
    }
}
