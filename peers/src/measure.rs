//! What a window of time cost a process, by the target's own count.

use crate::nginx::Nginx;
use crate::{clock, process};
use anyhow::Context;
use std::time::Duration;

/// One window.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window {
    pub(crate) seconds: f64,
    pub(crate) cpu_s: f64,
    pub(crate) requests: u64,
    pub(crate) connections: u64,
    /// Echo requests that this host's kernel took in.
    pub(crate) echoes: u64,
}

impl Window {
    /// Requests answered by the target, a second.
    pub(crate) fn rate(&self) -> f64 {
        self.requests as f64 / self.seconds
    }

    /// CPU time for one request, microseconds.
    pub(crate) fn us_per_request(&self) -> f64 {
        self.cpu_s * 1e6 / self.requests as f64
    }

    /// CPU time for one connection, microseconds.
    pub(crate) fn us_per_connection(&self) -> f64 {
        self.cpu_s * 1e6 / self.connections as f64
    }

    /// CPU time for one echo request, microseconds.
    pub(crate) fn us_per_echo(&self) -> f64 {
        self.cpu_s * 1e6 / self.echoes as f64
    }

    /// Share of one core, percent.
    pub(crate) fn core(&self) -> f64 {
        100.0 * self.cpu_s / self.seconds
    }
}

/// Watches process `pid` for `length`.
pub(crate) async fn window(pid: u32, nginx: &Nginx, length: Duration) -> anyhow::Result<Window> {
    let before = (clock::monotonic(), process::cpu_s(pid)?, nginx.count().await?, echoes()?);
    tokio::time::sleep(length).await;
    let after = (clock::monotonic(), process::cpu_s(pid)?, nginx.count().await?, echoes()?);
    // Each look at the count is a connection and a request of its own.
    Ok(Window {
        seconds: (after.0 - before.0).as_secs_f64(),
        cpu_s: after.1 - before.1,
        requests: (after.2.requests - before.2.requests).saturating_sub(1),
        connections: (after.2.accepted - before.2.accepted).saturating_sub(1),
        echoes: after.3 - before.3,
    })
}

/// Echo requests that this host has received so far.
pub(crate) fn echoes() -> anyhow::Result<u64> {
    let snmp = std::fs::read_to_string("/proc/net/snmp")?;
    let mut lines = snmp.lines().filter(|line| line.starts_with("Icmp:"));
    let (names, values) = lines.next().zip(lines.next()).context("a strange /proc/net/snmp")?;
    let at = names.split_whitespace().position(|name| name == "InEchos");
    at.and_then(|at| values.split_whitespace().nth(at)?.parse().ok()).context("no InEchos")
}
