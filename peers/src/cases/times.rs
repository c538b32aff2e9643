//! True times: every phase of checks whose target knows how long it took, while
//! the agent runs at four fifths of the highest rate that it reaches on its core.
//!
//! The mixture is the same for both: of forty checks, thirty-seven load the agent
//! with nginx, two ask the target with known delays by a name that its name server
//! takes its time for, and one asks it over TLS.

use super::Bench;
use super::requests::{http_spec, summary};
use super::truth::{self, Error, errors, key};
use crate::known::{self, Known, Truth};
use crate::monitors::{Workload, address};
use crate::table::{Table, figure};
use crate::tally::Seen;
use hyperverge_protocol::wire::Outcome;
use serde_json::{Value, json};
use std::time::Duration;

/// More than any core does.
const TOO_MUCH: u32 = 30_000;
const SHARE: f64 = 0.8;
/// How long the target takes for its first byte, and then for the rest, microseconds.
const PROCESSING_US: u64 = 20_000;
const TRANSFER_US: u64 = 40_000;
/// How far the wall clocks of the agent's slots and of the target may be apart.
const NEAR_US: i64 = 5_000;

/// What a monitor asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sort {
    Load,
    Named,
    Tls,
}

fn sort(index: u32) -> Sort {
    match index % 40 {
        0 | 20 => Sort::Named,
        10 => Sort::Tls,
        _ => Sort::Load,
    }
}

fn spec(index: u32) -> Value {
    let path = format!("/after/{PROCESSING_US}/{TRANSFER_US}/m{index}");
    match sort(index) {
        Sort::Load => http_spec(index),
        Sort::Named => json!({
            "target": format!("http://{}:{}{path}", named(index), known::PORT),
            "network": { "family": "ipv4" },
        }),
        Sort::Tls => json!({
            "target": format!("https://{}:{}{path}", address(index), known::TLS_PORT),
        }),
    }
}

fn named(index: u32) -> String {
    format!("m{index}.{}", known::DOMAIN)
}

pub(super) async fn run(bench: &Bench) -> anyhow::Result<Table> {
    let (limit, _) = measure(bench, TOO_MUCH).await?;
    let capacity = limit.rows().len() as f64 / limit.window.seconds;
    let (run, truth) = measure(bench, (capacity * SHARE) as u32).await?;
    let rows = run.rows();
    let rate = rows.len() as f64 / run.window.seconds;
    let good = rows.iter().filter(|row| row.outcome == Outcome::Ok).copied().collect::<Vec<_>>();
    let mut table = Table::new(
        format!("true times at {rate:.0} checks/s, of at most {capacity:.0}"),
        &[
            "phase",
            "checks compared",
            "truth p50 ms",
            "reported p50 ms",
            "off by p50 ms",
            "off by p99 ms",
            "off by at most ms",
            "within 1 ms or 2 %",
        ],
    );
    for (phase, pairs) in phases(&good, &truth) {
        let error = errors(&pairs);
        line(&mut table, phase, &error);
        let of = format!("true times at 80 % of the highest rate: {phase} within 1 ms or 2 %");
        table.goal(of, truth::WANTED, error.words(), error.is_small());
    }
    table.note(format!("At the highest rate: {}", summary(&limit)));
    table.note(format!("Core {:.0} % busy. {}", run.window.core(), summary(&run)));
    Ok(table)
}

async fn measure(bench: &Bench, rate: u32) -> anyhow::Result<(crate::agent::Run, Truth)> {
    let known = Known::start(&bench.dir, &bench.nginx).await?;
    let workload = Workload::new(rate, 1_000, spec).with_known_names();
    let warm = Duration::from_secs(4);
    let run = bench.agent.run(workload, &bench.nginx, warm, bench.seconds * 2).await?;
    Ok((run, known.stop().await?))
}

/// What was said and what is true of each phase, milliseconds.
fn phases(rows: &[Seen], truth: &Truth) -> Vec<(&'static str, Vec<(f64, f64)>)> {
    let ms = |micros: u64| micros as f64 / 1_000.0;
    let known = |row: &&Seen| sort(row.monitor) != Sort::Load;
    let with = |what: fn(Sort) -> bool| rows.iter().filter(move |row| what(sort(row.monitor)));
    let times = |row: &Seen| truth.requests.get(&key(row));
    let tls = |row: &Seen| Some((ms(row.tls_us), times(row)?.tls));
    let processing = |row: &Seen| Some((ms(row.processing_us), times(row)?.processing));
    let transfer = |row: &Seen| Some((ms(row.transfer_us), times(row)?.transfer));
    let resolve = |row: &Seen| Some((ms(row.resolve_us), looked_up(row, truth)?));
    vec![
        ("resolve", with(|sort| sort == Sort::Named).filter_map(resolve).collect()),
        // The kernel accepts at once; nothing delays it.
        ("connect", rows.iter().filter(known).map(|row| (ms(row.connect_us), 0.0)).collect()),
        ("tls", with(|sort| sort == Sort::Tls).filter_map(tls).collect()),
        ("processing", rows.iter().filter(known).filter_map(processing).collect()),
        ("transfer", rows.iter().filter(known).filter_map(transfer).collect()),
    ]
}

/// How long the name server took for the question that a check asked.
fn looked_up(row: &Seen, truth: &Truth) -> Option<f64> {
    let during = row.started_us - NEAR_US..row.ended_us + NEAR_US;
    let asked = truth.questions.get(&named(row.monitor))?;
    Some(asked.iter().find(|question| during.contains(&question.at_us))?.took_ms)
}

fn line(table: &mut Table, phase: &str, error: &Error) {
    table.row([
        phase.to_owned(),
        error.checks.to_string(),
        figure(error.truth_ms, 2),
        figure(error.reported_ms, 2),
        figure(error.p50_ms, 3),
        figure(error.p99_ms, 3),
        figure(error.worst_ms, 2),
        format!("{:.2} %", error.within),
    ]);
}
