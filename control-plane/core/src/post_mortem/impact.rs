//! What hurt: where, how badly, and for how long.

use super::markdown::{head, inline, row};
use super::{Event, Record};
use crate::correlation::RegionState;
use crate::incident::phrase;
use crate::notification::{elapsed, utc};
use std::collections::{BTreeMap, BTreeSet};

/// What it was at its worst, after "was" or "has been".
pub(super) fn worst(verdict: &str, scope: &str) -> String {
    let place = match scope {
        "local" => "in fewer regions than a quorum",
        "regional" => "in some regions",
        "global" => "in every region that could tell",
        other => return format!("{}, {}", inline(verdict), inline(other)),
    };
    match verdict {
        "down" | "degraded" => format!("{verdict} {place}"),
        _ => format!("in trouble {place}"),
    }
}

pub(super) fn section(record: &Record, now: i64) -> String {
    let mut text = "## Impact\n\n".to_owned() + &head(["What", "Is"]);
    let lasted = elapsed(record.resolved_at.unwrap_or(now) - record.started_at);
    let ended = record.resolved_at.map_or_else(|| "not yet".to_owned(), utc);
    let handled = match &record.acknowledged {
        Some((at, who)) => format!("{}, by {}", utc(*at), inline(who)),
        None => "by nobody".to_owned(),
    };
    for (what, is) in [
        ("State", inline(&record.state)),
        ("Severity", inline(&record.severity)),
        ("Summary", inline(&record.summary)),
        ("Began", utc(record.started_at)),
        ("Known", utc(record.opened_at)),
        ("Acknowledged", handled),
        ("Ended", ended),
        ("Lasted", lasted),
    ] {
        text += &row([what, &is]);
    }
    text.push('\n');
    text += &over_time(record, now);
    text += &regions(&record.events);
    text
}

/// The verdict and scope that held, one after the other.
fn over_time(record: &Record, now: i64) -> String {
    let mut held: Vec<(i64, &str, &str)> = Vec::new();
    // A resolved event is remembered by the worst, which then no longer held.
    for event in record.events.iter().filter(|event| event.kind != "resolved") {
        let newest = held.last().map(|(_, verdict, scope)| (*verdict, *scope));
        if newest != Some((&event.verdict, &event.scope)) {
            held.push((event.at, &event.verdict, &event.scope));
        }
    }
    let mut text =
        "### Verdict and scope\n\n".to_owned() + &head(["From", "Verdict", "Scope", "For"]);
    let until = held.iter().skip(1).map(|(at, ..)| *at).chain([record.resolved_at.unwrap_or(now)]);
    for ((from, verdict, scope), until) in held.iter().zip(until) {
        let (verdict, scope) = (inline(verdict), inline(scope));
        text += &row([&utc(*from), &verdict, &scope, &elapsed(until - from)]);
    }
    text + "\n"
}

/// What one region saw over the whole incident.
#[derive(Default)]
struct Seen<'a> {
    from: Option<i64>,
    well_at: Option<i64>,
    reasons: BTreeSet<&'a str>,
    message: Option<&'a str>,
}

fn regions(events: &[Event]) -> String {
    let mut seen: BTreeMap<&str, Seen<'_>> = BTreeMap::new();
    for event in events {
        for region in &event.regions {
            let entry = seen.entry(&region.region).or_default();
            match region.state {
                RegionState::Down | RegionState::Degraded => {
                    let since = region.since.unwrap_or(event.at);
                    entry.from = Some(entry.from.map_or(since, |known| known.min(since)));
                    entry.well_at = None;
                    entry.reasons.extend(region.reason.as_deref());
                    entry.message = region.message.as_deref().or(entry.message);
                }
                RegionState::Up if entry.from.is_some() && entry.well_at.is_none() => {
                    entry.well_at = Some(region.since.unwrap_or(event.at).min(event.at));
                }
                RegionState::Up | RegionState::Unknown => {}
            }
        }
    }
    if seen.is_empty() {
        return String::new();
    }
    let mut text = "### Regions\n\n".to_owned();
    text += &head(["Region", "Hurt from", "Well again", "Saw", "Last message"]);
    for (region, seen) in seen {
        let from = seen.from.map_or_else(|| "not at all".to_owned(), utc);
        let well = seen.well_at.map(utc).unwrap_or_default();
        let reasons: Vec<String> = seen.reasons.into_iter().map(phrase).collect();
        let (saw, message) =
            (inline(&reasons.join(", ")), inline(seen.message.unwrap_or_default()));
        text += &row([&inline(region), &from, &well, &saw, &message]);
    }
    text + "\n"
}
