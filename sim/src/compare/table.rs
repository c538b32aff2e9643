//! Campaigns as Markdown, as `docs/benchmarks.md` holds it.

use super::kind::Kind;
use super::summary::{Standing, Tally, share};
use super::{CAMPAIGN, Comparison, table_goals};
use std::fmt::{Result, Write};

/// The tables.
pub fn table(comparison: &Comparison) -> String {
    let mut text = String::new();
    write(&mut text, comparison).unwrap_or_default();
    text
}

fn write(text: &mut String, comparison: &Comparison) -> Result {
    let Some(own) = comparison.standings.first() else { return Ok(()) };
    head(text, comparison, own)?;
    main_table(text, own, &comparison.standings)?;
    writeln!(
        text,
        "\nThe others shown the product's own observations, bursts included; *probes* are those each made use of:\n"
    )?;
    main_table(text, own, &comparison.shown)?;
    writeln!(
        text,
        "\nBy kind: faults paged in time of those due; faults with a wrong page of all of the kind.\n"
    )?;
    kinds(text, &comparison.standings, |tally| {
        let all = tally.due + tally.not_due + tally.between;
        format!("{}/{} · {}/{all}", tally.paged, tally.due, tally.wronged)
    })?;
    writeln!(text, "\nBy kind: median delay; pages for each fault that was paged.\n")?;
    kinds(text, &comparison.standings, |tally| {
        format!("{} · {}", seconds(tally.delay_median_ms), number(tally.pages_per_fault()))
    })?;
    table_goals::write(text, own, &comparison.misses)
}

fn head(text: &mut String, comparison: &Comparison, own: &Standing) -> Result {
    let Comparison { seed, seeds, faults, .. } = comparison;
    let which = if *seeds > 1 {
        format!("Seeds {seed} to {}, {CAMPAIGN} faults each, {faults} in all", seed + seeds - 1)
    } else {
        format!("Seed {seed}, {faults} faults")
    };
    let bursts = percent(share(comparison.burst_probes, own.probes));
    writeln!(
        text,
        "{which}: {} for which a page is due, {} for which none may come, {} between; the rest are agents' that make a \
         quorum by themselves, and in no column but the last. Of the product's {} probes, {} were \
         bursts ({bursts}).{}\n",
        own.total.due,
        own.total.not_due,
        own.total.between,
        own.probes,
        comparison.burst_probes,
        if own.campaigns.len() > 1 {
            " In brackets: the least and the most of a seed."
        } else {
            ""
        },
    )
}

/// A column of the main table.
type Column = (&'static str, fn(&Standing, &Standing) -> String);

const COLUMNS: [Column; 13] = [
    ("probes", |it, own| number(share(it.probes, own.probes))),
    ("precision", |it, _| ranged(it, Tally::precision, percent)),
    ("recall", |it, _| ranged(it, Tally::recall, percent)),
    ("median delay", |it, _| ranged(it, |tally| tally.delay_median_ms, seconds)),
    ("p95 delay", |it, _| ranged(it, |tally| tally.delay_p95_ms, seconds)),
    ("group wait", |it, _| seconds(it.total.wait_median_ms)),
    ("pages/fault", |it, _| ranged(it, Tally::pages_per_fault, number)),
    ("notices", |it, _| it.total.notices.to_string()),
    ("too late", |it, _| it.total.late.to_string()),
    ("wrong pages", |it, _| it.total.wrong.to_string()),
    ("agents' faults", |it, _| it.agents_pages.to_string()),
    ("our losses", |it, _| it.our_pages.to_string()),
    ("agents' quorums", |it, _| it.quorum_pages.to_string()),
];

fn main_table(text: &mut String, own: &Standing, standings: &[Standing]) -> Result {
    let shown = standings.iter().any(|standing| standing.saw.is_some());
    let saw = |what: &str| if shown { format!(" {what} |") } else { String::new() };
    let titles = COLUMNS.map(|(title, _)| title).join(" | ");
    writeln!(text, "| rule |{} {titles} |", saw("saw of ours"))?;
    writeln!(text, "|---|{}", "---|".repeat(COLUMNS.len() + usize::from(shown)))?;
    for standing in standings {
        let cells = COLUMNS.map(|(_, cell)| cell(standing, own)).join(" | ");
        writeln!(text, "| {} |{} {cells} |", standing.name, saw(standing.saw.unwrap_or("-")))?;
    }
    Ok(())
}

fn kinds(text: &mut String, standings: &[Standing], cell: impl Fn(&Tally) -> String) -> Result {
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

/// What all campaigns show, and between what those of one seed lie.
fn ranged<T: PartialOrd + Copy>(
    standing: &Standing,
    figure: impl Fn(&Tally) -> Option<T>,
    show: impl Fn(Option<T>) -> String,
) -> String {
    let whole = show(figure(&standing.total));
    let seeds: Vec<T> = standing.campaigns.iter().filter_map(figure).collect();
    let least = seeds.iter().copied().reduce(|one, other| if other < one { other } else { one });
    let most = seeds.iter().copied().reduce(|one, other| if other > one { other } else { one });
    if seeds.len() < 2 {
        return whole;
    }
    let bare = |value| show(value).trim_end_matches([' ', '%', 's']).to_owned();
    format!("{whole} ({} to {})", bare(least), bare(most))
}

pub(super) fn percent(share: Option<f64>) -> String {
    share.map_or("-".to_owned(), |share| format!("{:.1} %", share * 100.0))
}

fn number(number: Option<f64>) -> String {
    number.map_or("-".to_owned(), |number| format!("{number:.2}"))
}

pub(super) fn seconds(ms: Option<i64>) -> String {
    #[expect(clippy::cast_precision_loss, reason = "delays")]
    let seconds = ms.map(|ms| ms as f64 / 1_000.0);
    seconds.map_or("-".to_owned(), |seconds| format!("{seconds:.1} s"))
}
