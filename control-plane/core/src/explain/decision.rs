//! A stored decision, decided again.

use super::planners::{self, Answer};
use crate::correlation::{Scope, Verdict};
use crate::incident::{Change, EventKind, Input};
use crate::words::words;
use serde_json::Value;

/// A line of a timeline, as it is stored.
#[derive(Debug, Clone, Copy)]
pub struct Stored<'a> {
    pub kind: &'a str,
    pub at: i64,
    pub verdict: Verdict,
    pub scope: Scope,
    pub summary: &'a str,
    pub evidence: &'a Value,
    /// The name of the incident's subject.
    pub subject: &'a str,
    /// When the incident began.
    pub started_at: i64,
}

/// What the present planner makes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Replayed {
    /// It decides the same.
    Same,
    Different,
    /// The evidence is not one that this version can decide on.
    Unknown,
    /// No planner decided it: a person did, or it only tells what followed.
    Nobody,
}
words!(
    Replayed,
    "result of a replay",
    Same = "same",
    Different = "different",
    Unknown = "unknown",
    Nobody = "nobody"
);

/// The answer to [`decided_again`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decided {
    pub result: Replayed,
    /// What differs, or why it is not known.
    pub with: Vec<String>,
}

/// What the planner of a monitor's incident was asked with, if it was.
pub fn asked(evidence: &Value) -> Option<Input> {
    planners::read(evidence.get("input")?)
}

/// Asks the present planner what was asked then.
pub fn decided_again(stored: &Stored<'_>) -> Decided {
    match stored.kind.parse() {
        Ok(EventKind::Acknowledged | EventKind::Comment) => nobody("a person did it"),
        Ok(EventKind::Paged | EventKind::Held | EventKind::Grouped)
            if stored.evidence.get("plan").is_some() =>
        {
            answer(stored, planners::paging(stored.evidence, stored.at))
        }
        Ok(EventKind::Paged | EventKind::Grouped) => nobody("it tells what followed"),
        Ok(_) => {
            let Some(input) = stored.evidence.get("input") else { return unknown(UNKNOWN) };
            answer(stored, planners::change(input, stored))
        }
        Err(_) => unknown("this version does not know such an event"),
    }
}

const UNKNOWN: &str = "unknown evidence";

fn answer(stored: &Stored<'_>, answer: Answer) -> Decided {
    let different =
        |with: &str| Decided { result: Replayed::Different, with: vec![with.to_owned()] };
    match answer {
        Answer::Same => Decided { result: Replayed::Same, with: Vec::new() },
        Answer::Changes(change) => compare(stored, &change),
        Answer::Otherwise(why) => different(why),
        Answer::Nothing => different("the present planner would change nothing"),
        Answer::LeftOut(count) => {
            unknown(&format!("{count} that it was judged beside are not stored"))
        }
        Answer::Unreadable => unknown(UNKNOWN),
    }
}

fn compare(stored: &Stored<'_>, change: &Change) -> Decided {
    let reasons = stored.evidence.get("reasons").cloned();
    let then_reasons: Option<Vec<String>> =
        reasons.and_then(|reasons| serde_json::from_value(reasons).ok());
    let now_reasons = then_reasons.as_ref().map(|_| change.reasons.join("; "));
    let lines = [
        ("kind", Some(stored.kind.to_owned()), Some(change.kind.to_string())),
        ("verdict", Some(stored.verdict.to_string()), Some(change.verdict.to_string())),
        ("scope", Some(stored.scope.to_string()), Some(change.scope.to_string())),
        ("summary", Some(stored.summary.to_owned()), Some(change.summary.clone())),
        ("reasons", then_reasons.map(|reasons| reasons.join("; ")), now_reasons),
    ];
    let with: Vec<String> = lines
        .into_iter()
        .filter(|(_, then, now)| then != now)
        .map(|(what, then, now)| {
            let said = |text: Option<String>| text.unwrap_or_else(|| "nothing".to_owned());
            format!("{what}: {} then, {} now", said(then), said(now))
        })
        .collect();
    let result = if with.is_empty() { Replayed::Same } else { Replayed::Different };
    Decided { result, with }
}

fn nobody(why: &str) -> Decided {
    Decided { result: Replayed::Nobody, with: vec![why.to_owned()] }
}

fn unknown(why: &str) -> Decided {
    Decided { result: Replayed::Unknown, with: vec![why.to_owned()] }
}
