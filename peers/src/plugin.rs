//! Monitoring plugins, as Nagios and its kin run them: a process for every check.
//!
//! One after the other, without whatever schedules them; both the plugin and who
//! starts it are counted.

use crate::measure::{self, Window};
use crate::nginx::{self, Nginx};
use crate::process::{PROBER_CORE, Program, on};
use crate::{floor, monitors};
use anyhow::Context;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Where Debian's monitoring-plugins-basic puts them.
const DIR: &str = "/usr/lib/nagios/plugins";

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    mode: floor::Mode,
}

/// Which plugin does what `mode` says.
pub(crate) fn name(mode: floor::Mode) -> &'static str {
    match mode {
        floor::Mode::Http => "check_http",
        floor::Mode::Https => "check_http -S",
        floor::Mode::Tcp => "check_tcp",
    }
}

/// Runs plugins in a process of its own, and watches it for a while.
pub(crate) async fn measure(
    nginx: &Nginx,
    mode: floor::Mode,
    seconds: u64,
) -> anyhow::Result<Window> {
    let mut command = on(PROBER_CORE, std::env::current_exe()?);
    let program = Program::start(command.args(["plugin", mode.word()]))?;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let window = measure::window(program.pid, nginx, Duration::from_secs(seconds)).await?;
    program.terminate().await?;
    Ok(window)
}

/// Checks until it is ended from outside.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let mut name = name(arguments.mode).split(' ');
    let program = Path::new(DIR).join(name.next().unwrap_or_default());
    let port = match arguments.mode {
        floor::Mode::Https => nginx::HTTPS,
        floor::Mode::Http | floor::Mode::Tcp => nginx::HTTP,
    };
    let more: Vec<&str> = name.collect();
    for turn in 0..u32::MAX {
        let address = monitors::address(turn).to_string();
        let mut command = Command::new(&program);
        command.arg(if arguments.mode == floor::Mode::Tcp { "-H" } else { "-I" }).arg(address);
        command.arg("-p").arg(port.to_string()).args(&more);
        if arguments.mode != floor::Mode::Tcp {
            command.arg("-u").arg(format!("/c{turn}"));
        }
        let status = command.stdout(Stdio::null()).stdin(Stdio::null()).status();
        let status = status.with_context(|| format!("cannot start {}", program.display()))?;
        anyhow::ensure!(status.success(), "{} says that the target is down", program.display());
    }
    Ok(())
}
