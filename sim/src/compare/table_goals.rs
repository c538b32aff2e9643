//! What is wanted of the product, and what came of it, as Markdown.

use super::goals::Miss;
use super::kind::Kind;
use super::punctual::Punctual;
use super::summary::{Standing, share};
use super::table::{percent, seconds};
use std::collections::BTreeMap;
use std::fmt::{Result, Write};

/// So many faults are named of those that missed a goal alike.
const NAMED: usize = 5;

pub(super) fn write(text: &mut String, own: &Standing, misses: &[Miss]) -> Result {
    goals(text, own)?;
    delays(text, own)?;
    missed(text, misses)
}

fn goals(text: &mut String, own: &Standing) -> Result {
    let of_agents = |quorum: bool| {
        let kinds = Kind::ALL
            .into_iter()
            .filter(move |kind| kind.is_agents() && kind.is_quorum_of_agents() == quorum);
        let tallies = kinds.filter_map(|kind| own.kinds.get(kind.name()));
        let (wronged, all) = tallies
            .fold((0, 0), |(wronged, all), tally| (wronged + tally.wronged, all + tally.not_due));
        format!("{wronged} of {all} faults")
    };
    let total = &own.total;
    let again = (total.right.saturating_sub(total.paged)).to_string();
    writeln!(text, "\nWhat is wanted of ours, and what came of it:\n")?;
    writeln!(text, "| wanted | came |\n|---|---|")?;
    let came = |what: &Punctual| {
        format!("{} of {} ({})", what.within, what.pages, portion(what.within, what.pages))
    };
    let rows = [
        (
            "no page for an agent's fault, where fewer are at fault than make a quorum",
            of_agents(false),
        ),
        ("no page for agents' faults that make a quorum by themselves", of_agents(true)),
        (
            "a page for every fault that is due",
            format!("{} of {} ({})", total.paged, total.due, percent(total.recall())),
        ),
        ("one page for each of them", format!("{again} more over {} faults", total.paged)),
        ("in time, where it fails at once", came(&total.punctuality.at_once)),
        ("in time, where its checks take time to fail", came(&total.punctuality.hanging)),
    ];
    rows.into_iter().try_for_each(|(wanted, came)| writeln!(text, "| {wanted} | {came} |"))
}

fn portion(part: usize, whole: usize) -> String {
    percent(share(part as u64, whole as u64))
}

/// How the delays lie to what is wanted.
fn delays(text: &mut String, own: &Standing) -> Result {
    writeln!(
        text,
        "\nDelay less what is wanted: interval/regions + 2 s, of the regions that truly hurt, and `fail_after` checks where \
         they take time to fail. *Within* all: if the regions that see it well counted too.\n"
    )?;
    writeln!(text, "| fails | kind | pages | median | p95 | within | within all |")?;
    writeln!(text, "|---|---|---|---|---|---|---|")?;
    let every = |sort: &'static str, of: fn(&Standing, Option<Kind>) -> Option<&Punctual>| {
        let kinds = Kind::ALL.into_iter().map(Some).chain([None]);
        kinds.filter_map(move |kind| Some((sort, kind, of(own, kind).filter(|it| it.pages > 0)?)))
    };
    let at_once = every("at once", |own, kind| {
        punctuality(own, kind).map(|punctuality| &punctuality.at_once)
    });
    let hanging = every("after its timeout, or slowly", |own, kind| {
        punctuality(own, kind).map(|punctuality| &punctuality.hanging)
    });
    for (sort, kind, punctual) in at_once.chain(hanging) {
        writeln!(
            text,
            "| {sort} | {} | {} | {} | {} | {} | {} |",
            kind.map_or("all", Kind::name),
            punctual.pages,
            seconds(punctual.median_ms),
            seconds(punctual.p95_ms),
            punctual.within,
            punctual.within_all,
        )?;
    }
    Ok(())
}

/// Of a kind, or of all.
fn punctuality(own: &Standing, kind: Option<Kind>) -> Option<&super::punctual::Punctuality> {
    let tally = match kind {
        Some(kind) => own.kinds.get(kind.name())?,
        None => &own.total,
    };
    Some(&tally.punctuality)
}

fn missed(text: &mut String, misses: &[Miss]) -> Result {
    let mut alike: BTreeMap<(&str, &str), Vec<&Miss>> = BTreeMap::new();
    for miss in misses {
        alike.entry((miss.kind, miss.what)).or_default().push(miss);
    }
    if alike.is_empty() {
        return Ok(());
    }
    writeln!(text, "\nFaults of which ours missed what is wanted (`--show` writes one):\n")?;
    writeln!(text, "| kind | what | faults | pages | which |\n|---|---|---|---|---|")?;
    for ((kind, what), misses) in alike {
        let pages: u64 = misses.iter().map(|miss| miss.pages).sum();
        let named: Vec<String> =
            misses.iter().take(NAMED).map(|miss| miss.number.to_string()).collect();
        let more = if misses.len() > NAMED { ", …" } else { "" };
        let (faults, named) = (misses.len(), named.join(", "));
        writeln!(text, "| {kind} | {what} | {faults} | {pages} | {named}{more} |")?;
    }
    Ok(())
}
