//! A comparison as Markdown, as `docs/benchmarks.md` holds it.

use super::Comparison;
use super::kind::Kind;
use super::summary::{Standing, Tally, quantile, share};
use std::fmt::Write;

/// The tables.
pub fn table(comparison: &Comparison) -> String {
    let mut text = String::new();
    write(&mut text, comparison).unwrap_or_default();
    text
}

fn write(text: &mut String, comparison: &Comparison) -> std::fmt::Result {
    let Some(own) = comparison.standings.first() else { return Ok(()) };
    writeln!(
        text,
        "Seed {}, {} faults: {} for which a page is due, {} for which none may come, {} between. Of the product's {} probes, \
         {} were bursts ({}).\n",
        comparison.seed,
        comparison.faults,
        own.total.due,
        own.total.not_due,
        own.total.between,
        own.probes,
        comparison.burst_probes,
        percent(share(comparison.burst_probes, own.probes)),
    )?;
    main_table(text, own, &comparison.standings)?;
    writeln!(text, "\nThe others shown the product's own observations, bursts included:\n")?;
    main_table(text, own, &comparison.fed)?;
    writeln!(
        text,
        "\nBy kind: faults paged of those due; faults with a wrong page of all of the kind.\n"
    )?;
    kinds(text, &comparison.standings, |tally| {
        let all = tally.due + tally.not_due + tally.between;
        format!("{}/{} · {}/{all}", tally.paged, tally.due, tally.wronged)
    })?;
    writeln!(text, "\nBy kind: median delay; pages for each fault that was paged.\n")?;
    kinds(text, &comparison.standings, |tally| {
        format!("{} · {}", seconds(tally.delay_median_ms), number(tally.pages_per_fault()))
    })?;
    bounds(text, own)?;
    for miss in &comparison.misses {
        writeln!(text, "missed: fault {} ({}): {}", miss.number, miss.kind, miss.what)?;
    }
    Ok(())
}

fn main_table(text: &mut String, own: &Standing, standings: &[Standing]) -> std::fmt::Result {
    writeln!(
        text,
        "| rule | probes | precision | recall | median delay | p95 delay | group wait | pages/fault | notices | wrong pages | agents' faults | our losses |"
    )?;
    writeln!(text, "|---|---|---|---|---|---|---|---|---|---|---|---|")?;
    for standing in standings {
        let total = &standing.total;
        writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            standing.name,
            number(share(standing.probes, own.probes)),
            percent(total.precision()),
            percent(total.recall()),
            seconds(total.delay_median_ms),
            seconds(total.delay_p95_ms),
            seconds(total.wait_median_ms),
            number(total.pages_per_fault()),
            total.notices,
            total.wrong,
            standing.agents_pages,
            standing.our_pages,
        )?;
    }
    Ok(())
}

fn kinds(
    text: &mut String,
    standings: &[Standing],
    cell: impl Fn(&Tally) -> String,
) -> std::fmt::Result {
    let names: Vec<&str> = standings.iter().map(|standing| standing.name.as_str()).collect();
    writeln!(text, "| kind | {} |", names.join(" | "))?;
    writeln!(text, "|---|{}", "---|".repeat(names.len()))?;
    let nothing = Tally::default();
    for kind in Kind::ALL {
        let cells = standings.iter().map(|it| cell(it.kinds.get(kind.name()).unwrap_or(&nothing)));
        writeln!(text, "| {} | {} |", kind.name(), cells.collect::<Vec<_>>().join(" | "))?;
    }
    Ok(())
}

/// How the product's delays lie to what is wanted.
fn bounds(text: &mut String, own: &Standing) -> std::fmt::Result {
    let lists = [("all", &own.total.over), ("those that fail at once", &own.total.over_at_once)];
    for (which, list) in lists {
        let within = list.iter().filter(|over| **over <= 0).count();
        writeln!(
            text,
            "\nDelay less interval/regions + 2 s (and the checks where they take time), {which}: median {}, p95 {}, \
             {within} of {} within.",
            seconds(quantile(list, 50)),
            seconds(quantile(list, 95)),
            list.len(),
        )?;
    }
    Ok(())
}

fn percent(share: Option<f64>) -> String {
    share.map_or("-".to_owned(), |share| format!("{:.1} %", share * 100.0))
}

fn number(number: Option<f64>) -> String {
    number.map_or("-".to_owned(), |number| format!("{number:.2}"))
}

fn seconds(ms: Option<i64>) -> String {
    #[expect(clippy::cast_precision_loss, reason = "delays")]
    let seconds = ms.map(|ms| ms as f64 / 1_000.0);
    seconds.map_or("-".to_owned(), |seconds| format!("{seconds:.1} s"))
}
