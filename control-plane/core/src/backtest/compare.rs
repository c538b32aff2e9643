//! Two lines of outages beside each other.

use super::Outage;
use crate::correlation::{Scope, Verdict};
use crate::words::words;
use serde::{Deserialize, Serialize};

/// What becomes of one page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Difference {
    /// People are told of it either way.
    Same,
    /// They were told then and would not be now, and nobody would miss it.
    Saved,
    /// They would be told now and were not then.
    New,
    /// They were told then and would not be now, of what every region saw or
    /// somebody took care of.
    Missed,
}
words!(Difference, "difference", Same = "same", Saved = "saved", New = "new", Missed = "missed");

/// One page of either line, or of both.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compared {
    pub difference: Difference,
    /// Which of the proposed line's outages, from 0.
    pub proposed: Option<usize>,
    /// Which of the other line's outages, from 0.
    pub other: Option<usize>,
    /// Start of the first failed check, as far as either line knows.
    pub first_failed_at: i64,
    /// From there until people were told, ms.
    pub proposed_delay_ms: Option<i64>,
    pub other_delay_ms: Option<i64>,
    pub why: String,
}

/// Lays the outages of which people would be told beside the `other` ones of
/// which they were, in order. An outage of one line belongs to the first of the
/// other that it overlaps and that has none yet. What is open lasts for ever.
pub fn compare(proposed: &[Outage], other: &[Outage]) -> Vec<Compared> {
    let told = |outages: &[Outage]| -> Vec<(usize, i64)> {
        let paged = outages.iter().enumerate();
        paged.filter_map(|(index, outage)| Some((index, outage.paged_at()?))).collect()
    };
    let mut free = told(proposed);
    let mut compared = Vec::new();
    for (index, told_at) in told(other) {
        let was = &other[index];
        let found = free.iter().position(|(new, _)| overlaps(&proposed[*new], was));
        let pair = found.map(|position| free.remove(position));
        let first_failed_at = pair.map_or(was.first_failed_at, |(new, _)| {
            proposed[new].first_failed_at.min(was.first_failed_at)
        });
        let (difference, why) = match pair {
            Some(_) => (Difference::Same, "people are told of it either way".to_owned()),
            None => lost(was, proposed),
        };
        compared.push(Compared {
            difference,
            proposed: pair.map(|(new, _)| new),
            other: Some(index),
            first_failed_at,
            proposed_delay_ms: pair.map(|(_, at)| at - first_failed_at),
            other_delay_ms: Some(told_at - first_failed_at),
            why,
        });
    }
    for (index, told_at) in free {
        let outage = &proposed[index];
        let seen = other.iter().any(|was| overlaps(outage, was));
        let why = match seen {
            true => "the incident was there, and nobody was told of it by a page of its own",
            false => "there was no incident",
        };
        compared.push(Compared {
            difference: Difference::New,
            proposed: Some(index),
            other: None,
            first_failed_at: outage.first_failed_at,
            proposed_delay_ms: Some(told_at - outage.first_failed_at),
            other_delay_ms: None,
            why: why.to_owned(),
        });
    }
    compared.sort_by_key(|line| line.first_failed_at);
    compared
}

/// A page that would not be sent again.
fn lost(was: &Outage, proposed: &[Outage]) -> (Difference, String) {
    let covering = proposed.iter().find(|outage| overlaps(outage, was));
    if covering.is_some_and(|outage| outage.paged_at().is_some()) {
        let why = "it belongs to an outage of which people are told already";
        return (Difference::Saved, why.to_owned());
    }
    let stays = match covering {
        Some(_) => "the incident would stay below the quorum",
        None => "there would be no incident",
    };
    let missed = if was.acknowledged {
        Some("and somebody took care of it")
    } else if was.verdict == Verdict::Down && was.scope == Scope::Global {
        Some("though every region that voted saw it down")
    } else {
        None
    };
    match missed {
        Some(real) => (Difference::Missed, format!("{stays}, {real}")),
        None => (Difference::Saved, format!("{stays}, and some region saw it well all the time")),
    }
}

fn overlaps(a: &Outage, b: &Outage) -> bool {
    let end = |outage: &Outage| outage.resolved_at.unwrap_or(i64::MAX);
    a.first_failed_at <= end(b) && b.first_failed_at <= end(a)
}
