//! 10,000 monitors every 10 s: begun within an interval, evenly, without a gap.
//!
//! Arrivals are the target's own log, and so is how late they were: when nginx
//! answered by the wall clock (to the millisecond), after the slot was due by it.

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
    let seen = run.late_at_target_ms(&bench.nginx, |_| true).await?;
    let seen = |share| quantile(seen.iter().copied(), share);
    let variation = variation(&arrivals, run.from_ms as f64);
    let mut table = Table::new("10,000 monitors every 10 s", &["", "figure"]);
    let mut line = |name: &str, figure: String| table.row([name.to_owned(), figure]);
    line("monitors asked within the first interval", asked.len().to_string());
    line("slots missed", run.missed_slots().to_string());
    line("start lateness p50, ms: as reported", figure(late(0.5), 2));
    line("start lateness p99, ms: as reported", figure(late(0.99), 2));
    line("start lateness at most, ms: as reported", figure(late(1.0), 2));
    line("answered after it was due p50, ms: the target's log", figure(seen(0.5), 2));
    line("answered after it was due p99, ms: the target's log", figure(seen(0.99), 2));
    line("answered after it was due at most, ms: the target's log", figure(seen(1.0), 2));
    line("arrivals for 100 ms, coefficient of variation", figure(variation, 3));
    line("resident memory, at most, MB", figure(run.memory_mb.1, 1));
    line("CPU µs for a check", figure(run.window.us_per_request(), 1));
    line("core %", figure(run.window.core(), 1));
    let mut goal = |of: &str, wanted: &str, reached: String, met: bool| {
        table.goal(format!("10,000 at 10 s: {of}"), wanted, reached, met);
    };
    let all = asked.len() >= MONITORS as usize;
    goal("asked within the first interval", "all", asked.len().to_string(), all);
    goal("slots missed", "0", run.missed_slots().to_string(), run.missed_slots() == 0);
    let words = format!("{:.2} reported, {:.2} by the target's log", late(0.99), seen(0.99));
    goal("late by p99, ms", "under 5", words, late(0.99) < 5.0 && seen(0.99) < 5.0);
    goal("arrivals, variation for 100 ms", "under 0.25", figure(variation, 3), variation < 0.25);
    let memory = run.memory_mb.1;
    goal("resident memory, MB", "under 60", figure(memory, 1), memory < 60.0);
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
