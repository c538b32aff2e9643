//! Why there was a page at a time, or none, in one sentence.

use super::votes;
use crate::correlation::{Evaluation, RegionState, Seat, Thresholds, Verdict};
use hyperverge_protocol::monitor::MonitorSpec;

/// How a monitor stood at a time.
#[derive(Debug, Clone, Copy)]
pub struct At<'a> {
    pub name: &'a str,
    /// `None` while it was disabled or deleted, or before it was there.
    pub spec: Option<&'a MonitorSpec>,
    pub evaluation: Option<&'a Evaluation>,
    /// With the streaks, where they are known.
    pub seats: &'a [Seat],
    pub told: Told<'a>,
}

/// What was done about it by then.
#[derive(Debug, Clone, Copy)]
pub enum Told<'a> {
    /// No incident was open.
    NoIncident,
    /// One was open, and its beginning was told at that time.
    Paged { at: &'a str },
    /// One was open, and a notice waited until then or longer, with why.
    Waits { why: &'a str },
    /// One was open, and nobody was told of it, with why.
    Nobody { why: &'a str },
}

/// One sentence, for people.
pub fn why_at(at: &At<'_>) -> String {
    let name = at.name;
    let (Some(spec), Some(evaluation)) = (at.spec, at.evaluation) else {
        return format!("No page: {name} was not watched then.");
    };
    let arithmetic = evaluation.arithmetic();
    match at.told {
        Told::Paged { at } => {
            format!("{name} was {}: people had been told at {at}; {arithmetic}.", state(evaluation))
        }
        Told::Waits { why } => {
            format!("No page yet: {name} was {}, and its notice waited: {why}.", state(evaluation))
        }
        Told::Nobody { why } if evaluation.verdict == Verdict::Down => {
            format!("No page: {name} was {} and nobody was told: {why}.", state(evaluation))
        }
        Told::Nobody { .. } | Told::NoIncident => {
            format!("No page: {}.", no_page(name, spec, evaluation, at.seats))
        }
    }
}

fn state(evaluation: &Evaluation) -> &'static str {
    match evaluation.verdict {
        Verdict::Up if evaluation.down > 0 => "failing below the quorum",
        Verdict::Up => "up",
        Verdict::Degraded => "degraded",
        Verdict::Down => "down",
        Verdict::Unknown => "of unknown state",
    }
}

fn no_page(name: &str, spec: &MonitorSpec, evaluation: &Evaluation, seats: &[Seat]) -> String {
    let Evaluation { seats: all, needed, down, silent, up, .. } = evaluation;
    let mut said = match evaluation.verdict {
        Verdict::Down => format!(
            "{name} was down in {down} of {all} regions, and that was not decided yet or not told"
        ),
        Verdict::Degraded => {
            format!(
                "{name} was degraded and not down; {down} of {all} regions saw it down, and {needed} are needed"
            )
        }
        Verdict::Up if *down > 0 => {
            format!("{down} of {all} regions saw {name} down, and {needed} are needed")
        }
        Verdict::Up if *up == *all => format!("all {all} regions saw {name} well"),
        Verdict::Up => format!("{up} of {all} regions saw {name} well and none saw it down"),
        Verdict::Unknown => format!(
            "{down} of {all} regions saw {name} down, {needed} are needed, and {silent} cast no vote"
        ),
    };
    for clause in quiet(evaluation).chain(streaks(spec, seats)) {
        said.push_str("; ");
        said.push_str(&clause);
    }
    said
}

/// The seats without a vote.
fn quiet(evaluation: &Evaluation) -> impl Iterator<Item = String> {
    let votes = votes(&evaluation.regions).into_iter().filter(|vote| !vote.cast);
    votes.map(|vote| format!("{} cast no vote: {}", vote.region, vote.why))
}

/// The regions that fail and are not down yet.
fn streaks(spec: &MonitorSpec, seats: &[Seat]) -> impl Iterator<Item = String> {
    let needed = Thresholds::of(spec).fail_after;
    seats.iter().filter_map(move |seat| {
        let row = seat.row.as_ref()?;
        let begins = row.failures > 0 && row.state == RegionState::Up;
        begins.then(|| {
            let times = if row.failures == 1 { "once" } else { "times" };
            let count =
                if row.failures == 1 { String::new() } else { format!("{} ", row.failures) };
            format!("{} had failed {count}{times} in a row, and {needed} make it down", seat.region)
        })
    })
}
