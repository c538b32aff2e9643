//! Truth under load: what is reported of a target that knows how long it took.
//!
//! Nine checks in ten load the agent with nginx; every tenth asks the target
//! with known delays. Of both probers the phase that is the target's own time and
//! the duration of the whole check are held against the target's record of the
//! very same request.

use super::Bench;
use super::requests::{http_spec, summary};
use crate::agent::Run;
use crate::blackbox::{self, Blackbox, Measured, Reported};
use crate::known::{self, Known, Truth};
use crate::monitors::{Workload, address, name};
use crate::plane::REGION;
use crate::table::{Table, figure};
use crate::tally::{Seen, quantile};
use hyperverge_protocol::wire::Outcome;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// How long the target takes, microseconds.
pub(super) const DELAY_US: u64 = 20_000;
/// Of so many checks, one asks the target with known delays.
const ONE_IN: u32 = 10;

/// A spec for monitor `index` of the mixture.
pub(super) fn mixed(index: u32) -> Value {
    if index.is_multiple_of(ONE_IN) { delayed(index) } else { http_spec(index) }
}

fn delayed(index: u32) -> Value {
    let (address, port) = (address(index), known::PORT);
    json!({ "target": format!("http://{address}:{port}/after/{DELAY_US}/m{index}") })
}

/// How far reports were from the target's truth.
pub(super) struct Error {
    pub(super) checks: usize,
    pub(super) reported_ms: f64,
    pub(super) truth_ms: f64,
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
    pub(super) worst_ms: f64,
    /// Share of checks within 1 ms or 2 %, percent.
    pub(super) within: f64,
}

/// The target's own name for a check.
pub(super) fn key(row: &Seen) -> String {
    format!("{}/{REGION}/{}", name(row.monitor), row.slot)
}

/// Holds what `said` gives of a check against the target's processing time, for
/// every check that the target remembers.
pub(super) fn compare(run: &Run, truth: &Truth, said: impl Fn(&Seen) -> f64) -> Error {
    let good = run.rows().into_iter().filter(|row| row.outcome == Outcome::Ok);
    errors(
        &good
            .filter_map(|row| Some((said(&row), truth.requests.get(&key(&row))?.processing)))
            .collect::<Vec<_>>(),
    )
}

/// The phase in which the target is waited for, milliseconds.
pub(super) fn processing(row: &Seen) -> f64 {
    row.processing_us as f64 / 1_000.0
}

/// Of pairs of what was said and what is true, milliseconds.
pub(super) fn errors(pairs: &[(f64, f64)]) -> Error {
    let off = |share| quantile(pairs.iter().map(|(said, truth)| (said - truth).abs()), share);
    let good =
        pairs.iter().filter(|(said, truth)| (said - truth).abs() <= f64::max(1.0, truth * 0.02));
    Error {
        checks: pairs.len(),
        reported_ms: quantile(pairs.iter().map(|(said, _)| *said), 0.5),
        truth_ms: quantile(pairs.iter().map(|(_, truth)| *truth), 0.5),
        p50_ms: off(0.5),
        p99_ms: off(0.99),
        worst_ms: off(1.0),
        within: 100.0 * good.count() as f64 / pairs.len() as f64,
    }
}

impl Error {
    /// Ninety-nine of a hundred checks are within 1 ms or 2 %.
    pub(super) fn is_small(&self) -> bool {
        self.within >= 99.0
    }

    pub(super) fn words(&self) -> String {
        format!("{:.2} % of {}, p99 off by {:.3} ms", self.within, self.checks, self.p99_ms)
    }
}

/// What [`Error::is_small`] asks for.
pub(super) const WANTED: &str = "at least 99 % of the checks";

pub(super) async fn run(bench: &Bench) -> anyhow::Result<Table> {
    let mut table = Table::new(
        format!("truth under load: a target that takes {} ms", DELAY_US / 1_000),
        &[
            "",
            "checks/s",
            "core %",
            "checks compared",
            "truth p50 ms",
            "reported p50 ms",
            "off by p50 ms",
            "off by p99 ms",
            "off by at most ms",
            "within 1 ms or 2 %",
        ],
    );
    let blackbox = Blackbox::start(&bench.dir, &bench.nginx).await?;
    for concurrency in [1, 8, 128] {
        let (measured, processing, whole) = theirs(bench, &blackbox, concurrency).await?;
        for (what, error) in [("processing", processing), ("whole probe", whole)] {
            let name = format!("blackbox_exporter, {concurrency} at once, {what}");
            line(&mut table, name, measured.window.rate(), measured.window.core(), &error);
        }
        if measured.failed > 0 {
            let Measured { failed, probes, .. } = measured;
            table.note(format!(
                "blackbox_exporter, {concurrency} at once: {failed} of {probes} probes failed."
            ));
        }
    }
    blackbox.stop().await?;
    for rate in [1_600, 5_000, 10_000] {
        let known = Known::start(&bench.dir, &bench.nginx).await?;
        let workload = Workload::new(rate, 1_000, mixed);
        let run =
            bench.agent.run(workload, &bench.nginx, Duration::from_secs(2), bench.seconds).await?;
        let truth = known.stop().await?;
        let rows = run.rows().len() as f64 / run.window.seconds;
        let own = compare(&run, &truth, processing);
        let whole = compare(&run, &truth, Seen::took_ms);
        for (what, error) in [("processing", &own), ("whole check", &whole)] {
            let name = format!("hyperverge-agent, {rate}/s, {what}");
            line(&mut table, name, rows, run.window.core(), error);
        }
        let of = format!("truth: processing within 1 ms or 2 % at {rate} checks/s");
        table.goal(of, WANTED, own.words(), own.is_small());
        table.note(summary(&run));
    }
    Ok(table)
}

/// The exporter under load of `concurrency` probes of nginx, and what it says
/// of the target with known delays meanwhile.
async fn theirs(
    bench: &Bench,
    blackbox: &Blackbox,
    concurrency: u32,
) -> anyhow::Result<(Measured, Error, Error)> {
    let known = Known::start(&bench.dir, &bench.nginx).await?;
    let mut said = BTreeMap::new();
    let asking = async {
        for number in 0..u32::MAX {
            let path = format!("/after/{DELAY_US}/b{number}");
            let target = format!("http://{}:{}{path}", address(number), known::PORT);
            if let Ok(reported) = blackbox.probe("http", &target).await {
                said.insert(path, reported);
            }
        }
    };
    let measured = tokio::select! {
        measured = blackbox.measure(&bench.nginx, blackbox::HTTP, concurrency, bench.seconds) => measured?,
        () = asking => anyhow::bail!("asking does not end"),
    };
    let truth = known.stop().await?;
    let held = |of: fn(&Reported) -> f64| {
        let pair = |(path, reported)| Some((of(reported), truth.requests.get(path)?.processing));
        errors(&said.iter().filter_map(pair).collect::<Vec<_>>())
    };
    Ok((measured, held(|reported| reported.processing_ms), held(|reported| reported.whole_ms)))
}

fn line(table: &mut Table, name: String, rate: f64, core: f64, error: &Error) {
    table.row([
        name,
        figure(rate, 0),
        figure(core, 0),
        error.checks.to_string(),
        figure(error.truth_ms, 2),
        figure(error.reported_ms, 2),
        figure(error.p50_ms, 3),
        figure(error.p99_ms, 3),
        figure(error.worst_ms, 2),
        format!("{:.2} %", error.within),
    ]);
}
