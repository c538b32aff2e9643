//! Hung targets: one in twenty of 10,000 accepts and never answers.

use super::Bench;
use super::requests::{http_spec, summary};
use crate::known::{self, Known};
use crate::monitors::{Workload, address};
use crate::table::{Table, figure};
use crate::tally::quantile;
use hyperverge_protocol::wire::Outcome;
use serde_json::{Value, json};
use std::time::Duration;

const MONITORS: u32 = 10_000;
const INTERVAL_MS: u64 = 10_000;
const ONE_IN: u32 = 20;

fn spec(index: u32) -> Value {
    if is_healthy(index) {
        return http_spec(index);
    }
    json!({ "target": format!("http://{}:{}/hang/m{index}", address(index), known::PORT) })
}

fn is_healthy(index: u32) -> bool {
    !index.is_multiple_of(ONE_IN)
}

pub(super) async fn run(bench: &Bench) -> anyhow::Result<Table> {
    let mut table = Table::new(
        "hung targets: 10,000 monitors every 10 s",
        &[
            "",
            "late p50 ms",
            "late p99 ms",
            "late at most ms",
            "late p99 ms by the target's log",
            "healthy checks",
            "of them not ok",
            "missed",
        ],
    );
    let mut lateness = Vec::new();
    let mut harm = 0;
    for (name, spec) in [("all healthy", http_spec as fn(u32) -> Value), ("5 % never answer", spec)]
    {
        let known = Known::start(&bench.dir, &bench.nginx).await?;
        let workload = Workload::new(MONITORS, INTERVAL_MS, spec);
        let seconds = INTERVAL_MS / 1_000 * 2;
        // The first timeouts strike after one interval; then it is steady.
        let warm = Duration::from_secs(INTERVAL_MS / 1_000 + 2);
        let run = bench.agent.run(workload, &bench.nginx, warm, seconds).await?;
        known.stop().await?;
        let rows: Vec<_> = run.rows().into_iter().filter(|row| is_healthy(row.monitor)).collect();
        let seen = run.late_at_target_ms(&bench.nginx, is_healthy).await?;
        let seen = quantile(seen, 0.99);
        let late = |share| quantile(rows.iter().map(|row| row.late_ms()), share);
        let wrong = rows.iter().filter(|row| row.outcome != Outcome::Ok).count();
        let missed = run.missed();
        let missed = missed.iter().filter(|(monitor, _)| is_healthy(*monitor));
        let missed = missed.map(|(_, slots)| slots).sum::<u64>();
        lateness.push((late(0.99), seen));
        harm += missed + wrong as u64;
        table.row([
            name.to_owned(),
            figure(late(0.5), 2),
            figure(late(0.99), 2),
            figure(late(1.0), 1),
            figure(seen, 1),
            rows.len().to_string(),
            wrong.to_string(),
            missed.to_string(),
        ]);
        table.note(summary(&run));
    }
    if let [without, with] = lateness[..] {
        let (reported, seen) = (with.0 - without.0, with.1 - without.1);
        table.goal(
            "hung targets: what they add to the others' lateness, p99, ms",
            "under 1",
            format!("{reported:+.2} reported, {seen:+.1} by the target's log"),
            reported < 1.0 && seen < 1.0,
        );
    }
    let of = "hung targets: checks of the others not ok, or missed";
    table.goal(of, "0", harm.to_string(), harm == 0);
    Ok(table)
}
