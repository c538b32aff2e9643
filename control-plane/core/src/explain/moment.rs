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
    /// `None`: nothing is stored of that time any more.
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
    /// One was open, and by that time only routes that name what is below the quorum, or
    /// about us, were told of it.
    Quietly { at: &'a str },
    /// One was open, and nobody was told of it, with why.
    Nobody { why: &'a str },
}

/// One sentence, for people.
pub fn why_at(at: &At<'_>) -> String {
    let name = at.name;
    let Some(spec) = at.spec else {
        return format!("No page: {name} was not watched then.");
    };
    let Some(evaluation) = at.evaluation else { return forgotten(name, at.told) };
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
        Told::Quietly { at: when } => format!(
            "No page: {}; at {when} the routes that name such incidents had been told.",
            no_page(name, spec, evaluation, at.seats)
        ),
        Told::Nobody { .. } | Told::NoIncident => {
            format!("No page: {}.", no_page(name, spec, evaluation, at.seats))
        }
    }
}

/// Incidents are kept; what regions saw is not.
fn forgotten(name: &str, told: Told<'_>) -> String {
    let known = match told {
        Told::NoIncident => format!("No page: no incident of {name} was open then"),
        Told::Paged { at } => format!("People had been told of {name} at {at}"),
        Told::Waits { why } => format!("No page yet: the notice about {name} waited: {why}"),
        Told::Quietly { at } => {
            format!("No page: only routes that name such incidents were told of {name}, at {at}")
        }
        Told::Nobody { why } => format!("No page: nobody was told of {name}: {why}"),
    };
    format!("{known}; how it stood is not known any more, since its results are gone.")
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
