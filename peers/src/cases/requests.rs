//! http, https and tcp: what one check costs, beside the floor and blackbox_exporter.
//!
//! Whoever is compared takes turns, so that whatever the machine does meanwhile
//! hits all alike. CPU for a check falls with the rate, so the floor is taken at
//! the agent's own rate and as fast as it goes.

use super::Bench;
use crate::agent::Run;
use crate::blackbox::{self, Blackbox, Measured, Probe};
use crate::floor::{self, Mode};
use crate::measure::Window;
use crate::monitors::{Workload, address};
use crate::nginx;
use crate::plugin;
use crate::table::{Table, figure, median, spread};
use crate::tally::{Seen, Tally, quantile};
use hyperverge_protocol::wire::Outcome;
use serde_json::{Value, json};
use std::time::Duration;

const WARM: Duration = Duration::from_secs(2);

/// What is compared.
struct Comparison {
    title: &'static str,
    mode: Mode,
    spec: fn(u32) -> Value,
    /// Checks a second.
    rate: u32,
    peer: Probe,
    /// What the target counts as one check.
    count: fn(&Window) -> f64,
    /// What the plugin that is compared does.
    plugin: Mode,
    /// How many times the floor's CPU a check of the agent may cost.
    goal: f64,
    /// The rate itself is a goal.
    reaches_rate: bool,
}

/// The windows of everybody, turn by turn.
#[derive(Default)]
struct Turns {
    ours: Vec<Run>,
    paced: Vec<Window>,
    closed: Vec<Window>,
    peer: Vec<Window>,
    plugin: Vec<Window>,
    notes: Vec<String>,
}

pub(super) fn http_spec(index: u32) -> Value {
    json!({ "target": format!("http://{}:{}/m{index}", address(index), nginx::HTTP) })
}

pub(super) async fn http(bench: &Bench) -> anyhow::Result<Table> {
    compare(
        bench,
        &Comparison {
            title: "http, a new connection each",
            mode: Mode::Http,
            spec: http_spec,
            rate: 10_000,
            peer: blackbox::HTTP,
            count: |window| window.us_per_request(),
            plugin: Mode::Http,
            goal: 2.0,
            reaches_rate: true,
        },
    )
    .await
}

pub(super) async fn https(bench: &Bench) -> anyhow::Result<Table> {
    compare(bench, &Comparison {
        title: "https, a full verified handshake each",
        mode: Mode::Https,
        spec: |index| {
            json!({ "target": format!("https://{}:{}/m{index}", address(index), nginx::HTTPS) })
        },
        rate: 2_400,
        peer: blackbox::HTTPS,
        count: |window| window.us_per_request(),
        plugin: Mode::Https,
        goal: 1.35,
        reaches_rate: false,
    })
    .await
}

pub(super) async fn tcp(bench: &Bench) -> anyhow::Result<Table> {
    compare(bench, &Comparison {
        title: "tcp, connect and close (the floor beside it is the one of http)",
        mode: Mode::Http,
        spec: |index| {
            json!({ "kind": "tcp", "target": format!("{}:{}", address(index), nginx::HTTP) })
        },
        rate: 10_000,
        peer: blackbox::TCP,
        count: |window| window.us_per_connection(),
        plugin: Mode::Tcp,
        goal: 1.5,
        reaches_rate: false,
    })
    .await
}

/// Everybody in turns.
async fn take_turns(bench: &Bench, what: &Comparison) -> anyhow::Result<Turns> {
    let mut turns = Turns::default();
    for _ in 0..bench.rounds {
        let workload = Workload::new(what.rate, 1_000, what.spec);
        turns.ours.push(bench.agent.run(workload, &bench.nginx, WARM, bench.seconds).await?);
        let rate = Some(f64::from(what.rate));
        turns.paced.push(floor::measure(&bench.nginx, what.mode, rate, bench.seconds).await?);
        turns.closed.push(floor::measure(&bench.nginx, what.mode, None, bench.seconds).await?);
        let blackbox = Blackbox::start(&bench.dir, &bench.nginx).await?;
        let measured = blackbox.measure(&bench.nginx, what.peer, 8, bench.seconds).await?;
        blackbox.stop().await?;
        turns.take(measured);
        turns.plugin.push(plugin::measure(&bench.nginx, what.plugin, bench.seconds).await?);
    }
    Ok(turns)
}

impl Turns {
    /// A turn in which probes failed says nothing of what a probe costs.
    fn take(&mut self, theirs: Measured) {
        if theirs.failed > 0 {
            let (failed, probes) = (theirs.failed, theirs.probes);
            let verdict = if theirs.is_sound() { "counted" } else { "left out" };
            self.notes.push(format!(
                "blackbox_exporter: {failed} of {probes} probes failed in one turn, which is {verdict}."
            ));
        }
        if theirs.is_sound() {
            self.peer.push(theirs.window);
        }
    }
}

async fn compare(bench: &Bench, what: &Comparison) -> anyhow::Result<Table> {
    let turns = take_turns(bench, what).await?;
    let mut table = Table::new(
        what.title,
        &[
            "",
            "checks/s",
            "CPU µs for a check",
            "× floor, same rate",
            "× floor, its limit",
            "core %",
        ],
    );
    let windows: Vec<Window> = turns.ours.iter().map(|run| run.window).collect();
    let plugin = format!("{}, a process each", plugin::name(what.plugin));
    let lines = [
        ("floor, same rate", &turns.paced),
        ("floor, as fast as it goes", &turns.closed),
        ("hyperverge-agent, all of it", &windows),
        ("blackbox_exporter, 8 at once", &turns.peer),
        (plugin.as_str(), &turns.plugin),
    ];
    // The floors read requests, whatever the others do.
    for (index, (name, windows)) in lines.into_iter().enumerate() {
        let count = if index < 2 { |window: &Window| window.us_per_request() } else { what.count };
        let cost: Vec<f64> = windows.iter().map(count).collect();
        let rates: Vec<f64> =
            windows.iter().map(|w| w.cpu_s * 1e6 / count(w) / w.seconds).collect();
        let cores: Vec<f64> = windows.iter().map(Window::core).collect();
        table.row([
            name.to_owned(),
            figure(median(&rates), 0),
            spread(&cost, 1),
            spread(&over(&cost, &turns.paced), 2),
            spread(&over(&cost, &turns.closed), 2),
            figure(median(&cores), 0),
        ]);
    }
    hold(&mut table, what, &turns);
    turns.ours.iter().for_each(|run| table.note(summary(run)));
    turns.notes.into_iter().for_each(|note| table.note(note));
    Ok(table)
}

/// `cost` over that of the floor in the same turn.
fn over(cost: &[f64], floor: &[Window]) -> Vec<f64> {
    cost.iter().zip(floor).map(|(cost, floor)| cost / floor.us_per_request()).collect()
}

/// Holds the agent's figures to what is wanted of them.
fn hold(table: &mut Table, what: &Comparison, turns: &Turns) {
    let kind = what.title.split(',').next().unwrap_or_default();
    let cost: Vec<f64> = turns.ours.iter().map(|run| (what.count)(&run.window)).collect();
    let wanted = format!("at most {}", what.goal);
    for (floor, name) in [(&turns.paced, "at the same rate"), (&turns.closed, "at its limit")] {
        let times = over(&cost, floor);
        let of = format!("{kind}: CPU for a check, times the floor's {name}");
        table.goal(of, &wanted, spread(&times, 2), median(&times) <= what.goal);
    }
    if !what.reaches_rate {
        return;
    }
    let ok = |run: &Run| {
        let made = run.rows().iter().filter(|row| row.outcome == Outcome::Ok).count();
        made as f64 / run.window.seconds
    };
    let least = turns.ours.iter().map(ok).fold(f64::INFINITY, f64::min);
    let missed: u64 = turns.ours.iter().map(Run::missed_slots).sum();
    table.goal(
        format!("{kind}: good checks/s on one core, in the worst turn"),
        &format!("{}, none missed", what.rate),
        format!("{least:.0}, {missed} missed"),
        missed == 0 && least >= f64::from(what.rate) * 0.995,
    );
}

/// What the agent reported of one run.
pub(super) fn summary(run: &Run) -> String {
    let rows = run.rows();
    let late = |share| quantile(rows.iter().map(|row| row.late_ms()), share);
    let took = |share| quantile(rows.iter().map(|row| row.took_ms()), share);
    let phase = |of: fn(&Seen) -> u64| {
        let values = || rows.iter().map(|row| of(row) as f64 / 1_000.0);
        format!("{:.2}/{:.2}", quantile(values(), 0.5), quantile(values(), 0.99))
    };
    let mut text = format!(
        "Agent, {:.0} checks/s offered: {:?}; missed {:?}; started late by p50 {:.2}, p99 {:.2} ms; \
         a check took p50 {:.2}, p99 {:.2} ms (resolve {}, connect {}, tls {}, processing {}, \
         transfer {}); \
         {:.0} MB resident, at most {:.0}; {} batches.",
        run.offered,
        Tally::outcomes(&rows),
        run.missed_by_reason(),
        late(0.5),
        late(0.99),
        took(0.5),
        took(0.99),
        phase(|row| row.resolve_us),
        phase(|row| row.connect_us),
        phase(|row| row.tls_us),
        phase(|row| row.processing_us),
        phase(|row| row.transfer_us),
        run.memory_mb.0,
        run.memory_mb.1,
        run.tally.batches,
    );
    for (reason, sentence) in &run.tally.sentences {
        text.push_str(&format!(" {reason}: \"{sentence}\"."));
    }
    text
}
