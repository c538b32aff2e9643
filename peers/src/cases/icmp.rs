//! icmp: what one echo request costs, beside fping's.
//!
//! The kernel answers, and counts what it was asked (`InEchos`).

use super::Bench;
use super::requests::summary;
use crate::monitors::Workload;
use crate::process::{PROBER_CORE, on};
use crate::table::{Table, figure, median, spread};
use anyhow::Context;
use serde_json::json;
use std::net::Ipv4Addr;
use std::process::Stdio;
use std::time::Duration;

/// Targets, each asked every second.
const TARGETS: u32 = 10_000;

/// Any address of the loopback network answers.
fn target(index: u32) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(Ipv4Addr::new(127, 1, 0, 1)) + index)
}

pub(super) async fn run(bench: &Bench) -> anyhow::Result<Table> {
    let (mut ours, mut bursts, mut even, mut runs) = (vec![], vec![], vec![], vec![]);
    for _ in 0..bench.rounds {
        let workload = Workload::new(
            TARGETS,
            1_000,
            |index| json!({ "kind": "icmp", "target": target(index).to_string(), "icmp": { "packets": 1 } }),
        );
        let warm = Duration::from_secs(2);
        let run = bench.agent.run(workload, &bench.nginx, warm, bench.seconds).await?;
        // Each slot in the window is one request: `packets` is one.
        let pings = run.rows().len() as f64;
        ours.push((run.window.cpu_s * 1e6 / pings, pings / run.window.seconds));
        runs.push(run);
        bursts.push(fping("0", bench.seconds).await?);
        even.push(fping("0.1", bench.seconds).await?);
    }
    let mut table = Table::new(
        "icmp, one echo request each",
        &["", "pings/s", "CPU µs for a ping", "× fping in bursts", "× fping evenly"],
    );
    for (name, figures) in [
        ("fping, 10,000 at once every second", &bursts),
        ("fping, one every 0.1 ms", &even),
        ("hyperverge-agent, all of it", &ours),
    ] {
        let cost: Vec<f64> = figures.iter().map(|(cost, _)| *cost).collect();
        let rates: Vec<f64> = figures.iter().map(|(_, rate)| *rate).collect();
        let over = |theirs: &[(f64, f64)]| -> Vec<f64> {
            cost.iter().zip(theirs).map(|(ours, (theirs, _))| ours / theirs).collect()
        };
        table.row([
            name.to_owned(),
            figure(median(&rates), 0),
            spread(&cost, 1),
            spread(&over(&bursts), 2),
            spread(&over(&even), 2),
        ]);
    }
    runs.iter().for_each(|run| table.note(summary(run)));
    Ok(table)
}

/// fping, asking all targets once a second, `interval` milliseconds from one
/// to the next; CPU µs for a ping, and pings a second.
async fn fping(interval: &str, seconds: u64) -> anyhow::Result<(f64, f64)> {
    let mut command = on(PROBER_CORE, "fping");
    command.args(["-q", "-i", interval, "-p", "1000", "-c"]).arg(seconds.to_string());
    command.args((0..TARGETS).map(|index| target(index).to_string()));
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let (asked, used, began) = (echoes()?, children_cpu_s()?, crate::clock::monotonic());
    command.status().await.context("fping")?;
    let took = (crate::clock::monotonic() - began).as_secs_f64();
    let pings = (echoes()? - asked) as f64;
    Ok(((children_cpu_s()? - used) * 1e6 / pings, pings / took))
}

/// CPU time of every child that has ended and was waited for, seconds.
fn children_cpu_s() -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<f64> = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .map(|text| text.parse().unwrap_or_default())
        .collect();
    let ticks = fields.get(13).zip(fields.get(14)).context("a strange /proc/self/stat")?;
    Ok((ticks.0 + ticks.1) / rustix::param::clock_ticks_per_second() as f64)
}

/// Echo requests that this host has received.
fn echoes() -> anyhow::Result<u64> {
    let snmp = std::fs::read_to_string("/proc/net/snmp")?;
    let mut lines = snmp.lines().filter(|line| line.starts_with("Icmp:"));
    let (names, values) = lines.next().zip(lines.next()).context("a strange /proc/net/snmp")?;
    let at = names.split_whitespace().position(|name| name == "InEchos");
    at.and_then(|at| values.split_whitespace().nth(at)?.parse().ok()).context("no InEchos")
}
