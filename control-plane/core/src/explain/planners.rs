//! The planners, asked again with what each of them stored.
//!
//! An incident's input names its planner by its shape. To make another planner's
//! decisions explainable, store its serialisable input with them, read it here, and
//! answer by what it plans now.

use super::Stored;
use crate::incident::{
    Change, Ending, Input, Open, SubjectKind, end, fall_silent, hear_again, leave_distrusted,
    lose_trust, plan, regain_trust,
};
use crate::liveness::{self, SilentRegion};
use crate::vantage::{self, Fault};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::BTreeMap;
use uuid::Uuid;

/// What a present planner says to what was decided.
#[derive(Debug)]
pub(super) enum Answer {
    Same,
    /// It changes the incident so, which is to be compared.
    Changes(Box<Change>),
    Otherwise(&'static str),
    /// It changes nothing.
    Nothing,
    /// It cannot tell: so many that it was judged beside are not stored.
    LeftOut(usize),
    /// The evidence is not one that this version can read.
    Unreadable,
}

pub(super) fn read<T: DeserializeOwned>(evidence: &Value) -> Option<T> {
    serde_json::from_value(evidence.clone()).ok()
}

/// What became of what waited together.
#[derive(Debug, Deserialize)]
struct Judged {
    input: crate::paging::Input,
    plan: crate::paging::Plan,
    #[serde(default)]
    left_out: usize,
}

/// What waited together, judged again.
pub(super) fn paging(evidence: &Value, at: i64) -> Answer {
    let Some(Judged { input, plan: then, left_out }) = read(evidence) else {
        return Answer::Unreadable;
    };
    if then.is_empty() {
        return Answer::Unreadable;
    }
    match crate::paging::plan(&input, at).has(&then, left_out > 0) {
        true => Answer::Same,
        false if left_out > 0 => Answer::LeftOut(left_out),
        false => Answer::Otherwise("what waited together would be told, grouped or held otherwise"),
    }
}

/// A change of an incident, made again.
pub(super) fn change(input: &Value, stored: &Stored<'_>) -> Answer {
    let Stored { subject, at, .. } = *stored;
    if let Some(input) = read::<Input>(input) {
        return plan(&input, at).change.map_or(Answer::Nothing, changes);
    }
    if let Some(Ended { name, labels, open, ending }) = read(input) {
        let name = name.as_deref().unwrap_or(subject);
        return changes(end(name, &labels, &open, ending, at));
    }
    if let Some(compared) = read::<Compared>(input) {
        return compared.again(stored);
    }
    read::<Heard>(input).map_or(Answer::Unreadable, |heard| heard.again(stored))
}

fn changes(change: Change) -> Answer {
    Answer::Changes(Box::new(change))
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

/// Agents were compared with each other.
#[derive(Debug, Deserialize)]
struct Compared {
    vantage: vantage::Input,
    left_out: usize,
    #[serde(flatten)]
    then: Trust,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Trust {
    Lost(Fault),
    Regained { subject: SubjectKind, id: String },
}

impl Compared {
    fn again(self, stored: &Stored<'_>) -> Answer {
        let Self { vantage, left_out, then } = self;
        let now = vantage::plan(&vantage, stored.at);
        // Whether it is told, and when, is not part of what is compared.
        let change = match then {
            Trust::Lost(then) => {
                let is_it = |now: &&Fault| (now.subject, &now.id) == (then.subject, &then.id);
                now.open.iter().find(is_it).map(|now| {
                    // The counts are of all that was compared, stored or not.
                    let fault = if left_out > 0 { &then } else { now };
                    lose_trust(stored.subject, fault, 0, stored.at)
                })
            }
            Trust::Regained { subject, id } => {
                let (name, began) = (stored.subject, stored.started_at);
                let over = match vantage.takes_part(subject, &id) {
                    true => regain_trust(name, began, false, stored.at),
                    false => leave_distrusted(name, began, false, stored.at),
                };
                now.close.contains(&(subject, id)).then_some(over)
            }
        };
        given(change, left_out)
    }
}

/// A region fell silent, or is heard again.
#[derive(Debug, Deserialize)]
struct Heard {
    liveness: liveness::Input,
    settings: liveness::Settings,
    left_out: usize,
    #[serde(flatten)]
    then: Silence,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Silence {
    Silent(SilentRegion),
    Heard(Uuid),
}

impl Heard {
    fn again(self, stored: &Stored<'_>) -> Answer {
        let Self { liveness, settings, left_out, then } = self;
        let now = liveness::plan(&liveness, settings, stored.at);
        let change = match then {
            Silence::Silent(then) => {
                let silent = now.silent.iter().find(|region| region.region_id == then.region_id);
                silent.map(|now| {
                    let region = if left_out > 0 { &then } else { now };
                    fall_silent(stored.subject, region, 0, stored.at)
                })
            }
            Silence::Heard(id) => now
                .heard
                .contains(&id)
                .then(|| liveness.counts_on(id))
                .map(|any| hear_again(stored.subject, any, stored.started_at, false, stored.at)),
        };
        given(change, left_out)
    }
}

fn given(change: Option<Change>, left_out: usize) -> Answer {
    match change {
        Some(change) => changes(change),
        None if left_out > 0 => Answer::LeftOut(left_out),
        None => Answer::Nothing,
    }
}
