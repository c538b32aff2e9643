//! The entry point: reads the arguments, runs the command, says what went wrong.

use clap::Parser;
use hyperverge_sim::command::Arguments;
use std::io::Write;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut out = std::io::stdout().lock();
    match arguments.run(&mut out) {
        Ok(outcome) => outcome.code(),
        Err(error) => {
            writeln!(std::io::stderr(), "hyperverge-sim: {error}").ok();
            error.code()
        }
    }
}
