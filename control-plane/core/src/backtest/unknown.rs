//! What a backtest cannot know, in words.

use crate::correlation::Step;
use crate::history::History;
use hyperverge_protocol::monitor::MonitorSpec;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What was read to answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Read {
    /// Checks, those of bursts too.
    pub results: u64,
    /// Of these, checks of bursts that confirmed a failure.
    pub bursts: u64,
    /// Ranges of slots that were missed.
    pub missed_ranges: u64,
    /// Results left out because nobody can say when they were made.
    pub undated: u64,
    /// When the first of them arrived.
    pub first_at: Option<i64>,
}

/// Sentences for people, most telling first.
pub fn unknowable(
    history: &History,
    read: &Read,
    proposed: &MonitorSpec,
    from: i64,
) -> Vec<String> {
    let mut said = Vec::new();
    match read.first_at {
        None => {
            said.push("Nothing is stored of this time, so nothing would have been sent.".into())
        }
        Some(first) if first > from.saturating_add(first_within(proposed)) => {
            said.push("The time asked for begins before the first stored result; what was before it is not known.".into());
        }
        Some(_) => {}
    }
    let unseen = unseen_regions(history, proposed);
    if !unseen.is_empty() {
        said.push(format!(
            "No result is stored from {}: such a region kept its seat and never voted.",
            unseen.join(", ")
        ));
    }
    said.push(match read.bursts {
        0 => "No burst was asked for then, and none is asked for here: a policy that confirms might have known sooner.".into(),
        checks => format!(
            "{checks} checks are of bursts that were asked for then; bursts that this policy would have asked for besides do not exist."
        ),
    });
    said.push(
        "Silences, maintenance windows, dependencies and grouping with other monitors are not replayed: these are the pages of the monitor by itself.".into(),
    );
    said.push(
        "Whether the control plane was away is not stored: its absence looks like agents that were silent.".into(),
    );
    if read.undated > 0 {
        said.push(format!("{} results without a known time are left out.", read.undated));
    }
    said
}

/// How late the first result of a steady monitor may be.
fn first_within(spec: &MonitorSpec) -> i64 {
    i64::try_from(spec.interval.as_millis() * 2).unwrap_or(i64::MAX)
}

/// The regions that `spec` names and of which nothing is stored.
fn unseen_regions(history: &History, spec: &MonitorSpec) -> Vec<String> {
    let seen: BTreeSet<_> = history
        .arrivals
        .iter()
        .filter(|arrival| matches!(arrival.step, Step::Sight(_)))
        .map(|arrival| arrival.region_id)
        .collect();
    let is_seen = |name: &String| {
        history.regions.iter().any(|place| place.name == *name && seen.contains(&place.id))
    };
    spec.regions.iter().filter(|name| *name != "*" && !is_seen(name)).cloned().collect()
}
