//! A backtest as a whole.

use super::{Compared, Difference, Outage, Read, compare, run, unknowable, within};
use crate::history::{Asked, History};
use hyperverge_protocol::monitor::MonitorSpec;
use serde::{Deserialize, Serialize};

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// The monitor with the policy and the regions that are proposed.
    pub proposed: MonitorSpec,
    /// The monitor as it is.
    pub present: MonitorSpec,
    /// From when on outages and pages count; the history begins before, so that
    /// streaks and open incidents are there when it does.
    pub from: i64,
    pub until: i64,
    pub group_wait_ms: i64,
}

/// What is answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// One sentence.
    pub summary: String,
    /// By the proposed policy.
    pub proposed: Vec<Outage>,
    /// By the present policy, from the same rows.
    pub present: Vec<Outage>,
    /// What was really there.
    pub sent: Vec<Outage>,
    pub against_sent: Vec<Compared>,
    pub against_present: Vec<Compared>,
    pub read: Read,
    /// What this cannot know, in sentences.
    pub unknown: Vec<String>,
}

/// Answers `question` from what is stored and what was `sent`.
pub fn report(question: &Question, history: &History, sent: Vec<Outage>, read: Read) -> Report {
    let Question { proposed, present, from, until, group_wait_ms } = question;
    let line = |spec| within(run(history, Asked::By(spec), *group_wait_ms, *until), *from);
    let (by_proposed, by_present) = (line(proposed), line(present));
    let against_sent = compare(&by_proposed, &sent);
    let against_present = compare(&by_proposed, &by_present);
    Report {
        summary: summary(&by_proposed, &sent, &against_sent),
        unknown: unknowable(history, &read, proposed, *from),
        proposed: by_proposed,
        present: by_present,
        sent,
        against_sent,
        against_present,
        read,
    }
}

/// How many lines of a comparison are of one sort.
pub fn count(compared: &[Compared], difference: Difference) -> usize {
    compared.iter().filter(|line| line.difference == difference).count()
}

fn summary(proposed: &[Outage], sent: &[Outage], compared: &[Compared]) -> String {
    let paged =
        |outages: &[Outage]| outages.iter().filter(|outage| outage.paged_at().is_some()).count();
    let of = |difference| count(compared, difference);
    format!(
        "This policy would have paged about {} outages, and people were paged about {}: {} the same, {} saved, {} new, {} missed.",
        paged(proposed),
        paged(sent),
        of(Difference::Same),
        of(Difference::Saved),
        of(Difference::New),
        of(Difference::Missed),
    )
}
