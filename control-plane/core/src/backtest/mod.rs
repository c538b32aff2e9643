//! What another policy would have made of what is stored.
//!
//! [`run`] sends a [`History`] through a rule, by the very same [`Replay`],
//! incident planner and settling of page intents that decide in earnest, and
//! answers the outages with the pages each would have sent. [`compare()`] lays
//! them beside another line of outages: what the present policy makes of the
//! same rows, or what was really sent.
//!
//! Pages are those of the monitor by itself. What holds or groups them with
//! other monitors (silences, maintenance, parents, a shared cause) is not part
//! of one monitor's history, and [`unknowable`] says so in words.

mod compare;
mod line;
mod report;
mod unknown;

use crate::correlation::{Scope, Verdict};
use crate::history::{Asked, History, Replay};
use crate::notification::NoticeKind;
use line::Line;
use serde::{Deserialize, Serialize};

pub use compare::{Compared, Difference, compare};
pub use report::{Question, Report, count, report};
pub use unknown::{Read, unknowable};

/// Something that hurt for a time, as a rule saw it or as it was stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outage {
    /// When the incident opened, be it quietly.
    pub opened_at: i64,
    /// `None`: still open at the end of the time asked for.
    pub resolved_at: Option<i64>,
    /// Start of the first failed check of the regions that hurt.
    pub first_failed_at: i64,
    /// Its worst.
    pub verdict: Verdict,
    /// The widest it had at its worst.
    pub scope: Scope,
    pub cause: Option<String>,
    /// The regions that hurt at any time, by name.
    pub regions: Vec<String>,
    /// The newest sentence about it.
    pub summary: String,
    /// What people would be told, or were.
    pub pages: Vec<Page>,
    /// A person said they would take care of it. Only of what really happened.
    pub acknowledged: bool,
}

impl Outage {
    /// When people were first told that it began.
    pub fn paged_at(&self) -> Option<i64> {
        self.pages.iter().find(|page| page.tells_the_beginning()).map(|page| page.at)
    }
}

/// One notice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    pub at: i64,
    pub kind: NoticeKind,
    /// It was over before it was told: one notice tells both.
    pub opening_included: bool,
    pub scope: Scope,
    /// The regions that hurt then.
    pub regions: Vec<String>,
}

impl Page {
    fn tells_the_beginning(&self) -> bool {
        self.kind != NoticeKind::Resolved || self.opening_included
    }
}

/// The outages that `asked` makes of `history`, through `until`, in order.
pub fn run(history: &History, asked: Asked<'_>, group_wait_ms: i64, until: i64) -> Vec<Outage> {
    let mut replay = Replay::new(history, asked);
    let mut line = Line::new(group_wait_ms);
    loop {
        let due = line.next_due();
        let next = [replay.next_moment(), due].into_iter().flatten().min();
        let Some(now) = next.filter(|at| *at <= until) else { return line.into_outages() };
        replay.go(now);
        if let Some(ending) = replay.ending() {
            line.end(ending, now);
        }
        let vote = match due {
            // What is due is decided on the vote as it is, changed or not.
            Some(at) if at <= now => replay.evaluation(),
            _ => replay.changed_evaluation(),
        };
        if let Some((evaluation, spec)) = vote.zip(replay.spec()) {
            line.decide(spec, evaluation, now);
        }
        line.settle(now);
    }
}

/// Those of `outages` that were there within `from` and later, without the pages before.
pub fn within(outages: Vec<Outage>, from: i64) -> Vec<Outage> {
    let there = |outage: &Outage| outage.resolved_at.is_none_or(|at| at >= from);
    let mut outages: Vec<Outage> = outages.into_iter().filter(there).collect();
    for outage in &mut outages {
        outage.pages.retain(|page| page.at >= from);
    }
    outages
}
