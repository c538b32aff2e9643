//! Other programs: starting them on a core, ending them, and what they cost.

use anyhow::Context;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::process::Stdio;
use std::time::Duration;
use tokio::process::{Child, Command};

/// The core of whatever is measured; everything else runs on the other one.
pub(crate) const PROBER_CORE: &str = "0";
/// See [`PROBER_CORE`].
pub(crate) const TARGET_CORE: &str = "1";

/// A program that ends with us.
#[derive(Debug)]
pub(crate) struct Program {
    child: Child,
    pub(crate) pid: u32,
}

/// `program` on `core`, not yet started.
pub(crate) fn on(core: &str, program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", core]).arg(program).stdin(Stdio::null()).kill_on_drop(true);
    command
}

impl Program {
    pub(crate) fn start(command: &mut Command) -> anyhow::Result<Self> {
        let child = command.spawn().with_context(|| format!("cannot start {command:?}"))?;
        let pid = child.id().context("a process without an id")?;
        Ok(Self { child, pid })
    }

    /// Asks it to end, and waits.
    pub(crate) async fn terminate(mut self) -> anyhow::Result<()> {
        if let Some(pid) = rustix::process::Pid::from_raw(i32::try_from(self.pid)?) {
            rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
        }
        let ended = tokio::time::timeout(Duration::from_secs(20), self.child.wait()).await;
        ended.context("a program does not end")??;
        Ok(())
    }

    /// Waits until it ends by itself; what it wrote to standard output.
    pub(crate) async fn output(self) -> anyhow::Result<String> {
        let output = self.child.wait_with_output().await?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

/// CPU time that `pid` has used with all its threads and the children it has waited
/// for, kernel included, seconds.
pub(crate) fn cpu_s(pid: u32) -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .with_context(|| format!("process {pid} is gone"))?;
    let fields: Vec<&str> =
        stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let used = fields.get(11..15).context("a strange /proc/PID/stat")?;
    let ticks: f64 = used.iter().filter_map(|text| text.parse::<f64>().ok()).sum();
    Ok(ticks / rustix::param::clock_ticks_per_second() as f64)
}

/// Resident memory of `pid`, MB: now, and at its highest.
pub(crate) fn memory_mb(pid: u32) -> anyhow::Result<(f64, f64)> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let of = |key: &str| {
        let line = status.lines().find(|line| line.starts_with(key))?;
        let kb: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
        Some(kb / 1_024.0)
    };
    of("VmRSS:").zip(of("VmHWM:")).context("a strange /proc/PID/status")
}

/// What `pid` pings through, of the sockets that the kernel lists as its own.
pub(crate) fn pings_by(pid: u32) -> anyhow::Result<&'static str> {
    let mut own = BTreeSet::new();
    for entry in std::fs::read_dir(format!("/proc/{pid}/fd"))? {
        // One that was closed meanwhile is no loss.
        let Ok(link) = std::fs::read_link(entry?.path()) else { continue };
        let link = link.to_string_lossy();
        let inode = link.strip_prefix("socket:[").and_then(|rest| rest.strip_suffix(']'));
        own.extend(inode.map(str::to_owned));
    }
    let holds = |list: &str| -> anyhow::Result<bool> {
        let text = std::fs::read_to_string(format!("/proc/net/{list}"))?;
        let inode = |line: &str| line.split_whitespace().nth(9).map(str::to_owned);
        Ok(text.lines().skip(1).filter_map(inode).any(|inode| own.contains(&inode)))
    };
    Ok(match (holds("icmp")?, holds("raw")?) {
        (true, false) => "a ping socket",
        (false, true) => "a raw socket",
        (false, false) => "no socket at all",
        (true, true) => "both kinds of sockets",
    })
}
