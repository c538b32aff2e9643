//! A stored decision, decided again.

use crate::correlation::{Scope, Verdict};
use crate::incident::{Change, Ending, EventKind, Input, Open, end, fall_silent, hear_again, plan};
use crate::liveness::SilentRegion;
use crate::paging;
use crate::words::words;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

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
    read(evidence.get("input")?)
}

/// Asks the present planner what was asked then.
pub fn decided_again(stored: &Stored<'_>) -> Decided {
    match stored.kind.parse() {
        Ok(EventKind::Acknowledged | EventKind::Comment) => nobody("a person did it"),
        Ok(EventKind::Paged | EventKind::Held | EventKind::Grouped)
            if stored.evidence.get("plan").is_some() =>
        {
            judged(stored)
        }
        Ok(EventKind::Paged | EventKind::Grouped) => nobody("it tells what followed"),
        Ok(_) => planned(stored),
        Err(_) => unknown("this version does not know such an event"),
    }
}

fn planned(stored: &Stored<'_>) -> Decided {
    let Some(input) = stored.evidence.get("input") else { return unknown("unknown evidence") };
    let Some(change) = change(input, stored) else { return unknown("unknown evidence") };
    match change {
        Some(change) => compare(stored, &change),
        None => Decided {
            result: Replayed::Different,
            with: vec!["the present planner would change nothing".to_owned()],
        },
    }
}

/// What waited together, judged again.
fn judged(stored: &Stored<'_>) -> Decided {
    let input = stored.evidence.get("input").and_then(read::<paging::Input>);
    let then = stored.evidence.get("plan").and_then(read::<paging::Plan>);
    let (Some(input), Some(then)) = (input, then) else { return unknown("unknown evidence") };
    if paging::plan(&input, stored.at) == then {
        return Decided { result: Replayed::Same, with: Vec::new() };
    }
    Decided {
        result: Replayed::Different,
        with: vec!["what waited together would be told, grouped or held otherwise".to_owned()],
    }
}

/// What the present planner answers; `None` where it cannot be asked.
fn change(input: &Value, stored: &Stored<'_>) -> Option<Option<Change>> {
    if let Some(input) = read::<Input>(input) {
        return Some(plan(&input, stored.at).change);
    }
    let Stored { subject, at, started_at, .. } = *stored;
    if let Some(Ended { name, labels, open, ending }) = read(input) {
        let name = name.as_deref().unwrap_or(subject);
        return Some(Some(end(name, &labels, &open, ending, at)));
    }
    // When it is told, and whether at all, is not part of what is compared.
    match read(input)? {
        Silence::Silent(region) => Some(Some(fall_silent(subject, &region, 0, at))),
        Silence::Heard(_) => Some(Some(hear_again(subject, started_at, false, at))),
    }
}

/// A monitor's incident ended though nobody saw it recover.
#[derive(Debug, Deserialize)]
struct Ended {
    name: Option<String>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    ending: Ending,
    open: Open,
}

/// A region fell silent, or is heard again.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Silence {
    Silent(SilentRegion),
    Heard(serde::de::IgnoredAny),
}

fn read<T: serde::de::DeserializeOwned>(evidence: &Value) -> Option<T> {
    serde_json::from_value(evidence.clone()).ok()
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
