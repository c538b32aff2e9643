//! icmp: what one echo request costs, beside fping's.
//!
//! The kernel answers, and counts what it was asked (`InEchos`): pings are its count
//! over the window, whoever sends them. While this runs, the host lets groups ping
//! as our packages do, so the agent is measured as it is shipped.

use super::Bench;
use super::requests::summary;
use crate::measure::echoes;
use crate::monitors::Workload;
use crate::process::{PROBER_CORE, on};
use crate::table::{Table, figure, median, spread};
use crate::tally::Seen;
use anyhow::Context;
use hyperverge_protocol::wire::Outcome;
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

/// What `packaging/systemd/hyperverge-agent.sysctl` sets.
const PING_GROUPS: &str = "0 2147483647";
const PING_GROUP_RANGE: &str = "/proc/sys/net/ipv4/ping_group_range";

/// Lets every group ping, until it is dropped.
struct Permission {
    before: String,
}

impl Permission {
    fn grant() -> anyhow::Result<Self> {
        let before = std::fs::read_to_string(PING_GROUP_RANGE)?;
        std::fs::write(PING_GROUP_RANGE, PING_GROUPS).context("ping_group_range needs root")?;
        Ok(Self { before })
    }
}

impl Drop for Permission {
    fn drop(&mut self) {
        // What root could write before, it can write again.
        let _restored = std::fs::write(PING_GROUP_RANGE, &self.before);
    }
}

pub(super) async fn run(bench: &Bench) -> anyhow::Result<Table> {
    let _permission = Permission::grant()?;
    let (mut ours, mut bursts, mut even, mut runs) = (vec![], vec![], vec![], vec![]);
    for _ in 0..bench.rounds {
        let workload = Workload::new(
            TARGETS,
            1_000,
            |index| json!({ "kind": "icmp", "target": target(index).to_string(), "icmp": { "packets": 1 } }),
        );
        let warm = Duration::from_secs(2);
        let run = bench.agent.run(workload, &bench.nginx, warm, bench.seconds).await?;
        ours.push((run.window.us_per_echo(), run.window.echoes as f64 / run.window.seconds));
        runs.push(run);
        bursts.push(fping("0", bench.seconds).await?);
        even.push(fping("0.1", bench.seconds).await?);
    }
    let mut table = Table::new(
        "icmp, one echo request each",
        &["", "pings/s", "CPU µs for a ping", "× fping in bursts", "× fping evenly"],
    );
    let over = |theirs: &[(f64, f64)]| -> Vec<f64> {
        ours.iter().zip(theirs).map(|((ours, _), (theirs, _))| ours / theirs).collect()
    };
    for (theirs, how) in [(&bursts, "in bursts"), (&even, "sending evenly")] {
        let times = over(theirs);
        let of = format!("icmp: CPU for a ping, times that of fping {how}");
        table.goal(of, "at most 2", spread(&times, 2), median(&times) <= 2.0);
    }
    let rows: Vec<Seen> = runs.iter().flat_map(crate::agent::Run::rows).collect();
    let bad = rows.iter().filter(|row| row.outcome != Outcome::Ok).count();
    let of = "icmp: pings of a host that answers that are not ok";
    table.goal(of, "0", format!("{bad} of {}", rows.len()), bad == 0 && !rows.is_empty());
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
    for run in &runs {
        table.note(format!("{} Pings left through {}.", summary(run), run.pings_by));
    }
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
