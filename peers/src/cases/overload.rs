//! Overload: twice what a core can do is offered.

use super::Bench;
use super::requests::{http_spec, summary};
use super::truth::{self, compare, mixed};
use crate::known::Known;
use crate::monitors::Workload;
use crate::table::{Table, figure};
use crate::tally::{Tally, quantile};
use hyperverge_protocol::wire::Outcome;
use std::collections::BTreeMap;
use std::time::Duration;

pub(super) async fn run(bench: &Bench) -> anyhow::Result<Table> {
    // More than any core does; what comes of it is the capacity.
    let workload = Workload::new(30_000, 1_000, http_spec);
    let limit =
        bench.agent.run(workload, &bench.nginx, Duration::from_secs(4), bench.seconds).await?;
    let capacity = limit.window.rate();
    let known = Known::start(&bench.dir, &bench.nginx).await?;
    let offered = (capacity * 2.0 / 1_000.0).round() as u32 * 1_000;
    let workload = Workload::new(offered, 1_000, mixed);
    let seconds = bench.seconds * 3;
    let run = bench.agent.run(workload, &bench.nginx, Duration::from_secs(4), seconds).await?;
    let error = compare(&run, &known.stop().await?, truth::processing);
    let rows = run.rows();
    let mut done: BTreeMap<u32, f64> = (0..offered).map(|monitor| (monitor, 0.0)).collect();
    for row in &rows {
        *done.entry(row.monitor).or_default() += 1.0;
    }
    let share = |share| quantile(done.values().copied(), share);
    let mut table = Table::new("overload: twice the capacity is offered", &["", "figure"]);
    let mut line = |name: &str, figure: String| table.row([name.to_owned(), figure]);
    line("capacity (30,000/s offered), checks/s", figure(capacity, 0));
    line("CPU µs for a check there", figure(limit.window.us_per_request(), 1));
    line("offered, checks/s", offered.to_string());
    line("made, checks/s", figure(rows.len() as f64 / run.window.seconds, 0));
    line("outcomes", format!("{:?}", Tally::outcomes(&rows)));
    line("slots missed", run.missed_slots().to_string());
    let due = f64::from(offered) * (run.to_ms - run.from_ms) as f64 / 1_000.0;
    let lost = due - rows.len() as f64 - run.missed_slots() as f64;
    line("slots unaccounted for", lost.round().to_string());
    line(
        "checks of one monitor, of the slots due: least, p1, p50, p99, most",
        format!(
            "{} {} {} {} {} of {:.0}",
            share(0.0),
            share(0.01),
            share(0.5),
            share(0.99),
            share(1.0),
            run.window.seconds
        ),
    );
    line(
        "reported against the target's own time",
        format!(
            "off by p50 {:.3}, p99 {:.3}, at most {:.2} ms; {:.2} % within 1 ms or 2 %",
            error.p50_ms, error.p99_ms, error.worst_ms, error.within
        ),
    );
    let bad = rows.iter().filter(|row| row.outcome != Outcome::Ok).count();
    table.goal("overload: healthy targets not reported ok", "0", bad.to_string(), bad == 0);
    table.goal(
        "overload: slots neither made nor counted as missed",
        "under 0.1 %",
        format!("{:.3} %", 100.0 * lost / due),
        lost.abs() < due * 0.001,
    );
    table.goal(
        "overload: checks of one monitor, least and most",
        "within 2 of each other",
        format!("{} and {} of {:.0}", share(0.0), share(1.0), run.window.seconds),
        share(1.0) - share(0.0) <= 2.0,
    );
    let of = "overload: processing within 1 ms or 2 %";
    table.goal(of, truth::WANTED, error.words(), error.is_small());
    table.note(summary(&run));
    Ok(table)
}
