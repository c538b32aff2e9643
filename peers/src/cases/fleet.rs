//! 10,000 monitors every 10 s: begun within an interval, evenly, without a gap.
//!
//! Arrivals are the target's own log.

use super::Bench;
use super::requests::{http_spec, summary};
use crate::monitors::Workload;
use crate::nginx::Arrival;
use crate::table::{Table, figure};
use crate::tally::quantile;
use std::collections::BTreeSet;
use std::time::Duration;

const MONITORS: u32 = 10_000;
const INTERVAL_MS: u64 = 10_000;
const BIN_MS: f64 = 100.0;

pub(super) async fn run(bench: &Bench) -> anyhow::Result<Table> {
    let workload = Workload::new(MONITORS, INTERVAL_MS, http_spec);
    let seconds = INTERVAL_MS / 1_000 * 3;
    let run = bench.agent.run(workload, &bench.nginx, Duration::ZERO, seconds).await?;
    let interval = i64::try_from(INTERVAL_MS)?;
    let first = bench.nginx.arrivals(run.starts_ms, run.starts_ms + interval + 20).await?;
    let asked: BTreeSet<&str> = first.iter().map(|arrival| arrival.uri.as_str()).collect();
    let arrivals = bench.nginx.arrivals(run.from_ms, run.to_ms).await?;
    let rows = run.rows();
    let late = |share| quantile(rows.iter().map(|row| row.late_ms()), share);
    let mut table = Table::new("10,000 monitors every 10 s", &["", "figure", "goal"]);
    let mut line = |name: &str, figure: String, goal: &str| {
        table.row([name.to_owned(), figure, goal.to_owned()]);
    };
    line("monitors asked within the first interval", asked.len().to_string(), "10,000");
    line("slots missed", run.missed_slots().to_string(), "0");
    line("start lateness p50, ms", figure(late(0.5), 2), "");
    line("start lateness p99, ms", figure(late(0.99), 2), "< 5");
    line("start lateness at most, ms", figure(late(1.0), 2), "");
    line(
        "arrivals for 100 ms, coefficient of variation",
        figure(variation(&arrivals, run.from_ms as f64), 3),
        "< 0.25",
    );
    line("resident memory, at most, MB", figure(run.memory_mb.1, 1), "< 60");
    line("CPU µs for a check", figure(run.window.us_per_request(), 1), "");
    line("core %", figure(run.window.core(), 1), "");
    table.note(summary(&run));
    Ok(table)
}

/// Standard deviation over mean of arrivals for each tenth of a second, edges left out.
fn variation(arrivals: &[Arrival], from_ms: f64) -> f64 {
    let bin = |arrival: &Arrival| ((arrival.at_ms - from_ms) / BIN_MS) as usize;
    let mut counts = vec![0.0_f64; arrivals.iter().map(bin).max().unwrap_or_default() + 1];
    arrivals.iter().for_each(|arrival| counts[bin(arrival)] += 1.0);
    let whole = &counts[1.min(counts.len())..counts.len().saturating_sub(1).max(1)];
    let mean = whole.iter().sum::<f64>() / whole.len() as f64;
    let square = whole.iter().map(|count| (count - mean).powi(2)).sum::<f64>();
    (square / whole.len() as f64).sqrt() / mean
}
