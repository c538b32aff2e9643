//! `depends_on`: a child's page waits for what it depends on.
//!
//! While a parent is down its children tell nobody: what they would say follows
//! from it. When the parent is back, a child has as long as it takes to look again;
//! what is still down then is told, and what outlasts that three times is told
//! though the parent keeps coming and going. A parent whose failure is just being confirmed
//! holds too, so that it comes first; one of which nothing is known does not, since
//! trouble of ours hides nothing. One that was down when we lost sight of it is most likely
//! down still: it holds what began while it was seen, for two minutes more. Monitors that depend on each other in a circle
//! hold only those that began later.

use super::{Candidate, RECHECK_MS};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What an incident's monitor depends on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parent {
    /// The monitor's name.
    pub name: String,
    pub state: ParentState,
}

/// After how many times [`Candidate::recheck_ms`] a parent that is back holds no more.
const PATIENCE: i64 = 3;

/// How long a parent that was down when it was lost sight of holds its children, ms: as long
/// as an agent takes to come back, or another to be given what it had and report.
const OUT_OF_SIGHT_MS: i64 = 120_000;

/// How a parent is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ParentState {
    /// Not down; `since`: when it last came back from being down, or 0.
    Well { since: i64 },
    /// Its incident is open with a quorum.
    Down,
    /// So it was when votes ceased to be fresh, which was at `since`.
    Lost { since: i64 },
    /// A burst is under way, which ends by then.
    Confirming { until: i64 },
    /// Nothing is known of it.
    Unknown,
}

/// What holds a candidate back: until when, why, and which parent is down.
pub(super) struct HeldByParent<'a> {
    pub(super) until: i64,
    pub(super) why: String,
    pub(super) down: Option<&'a str>,
}

/// The edges between candidates, for circles.
pub(super) struct Graph<'a>(BTreeMap<&'a str, &'a Candidate>);

impl<'a> Graph<'a> {
    pub(super) fn new(candidates: &'a [Candidate]) -> Self {
        let open = candidates.iter().filter(|candidate| !candidate.resolved);
        Self(open.map(|candidate| (candidate.name.as_str(), candidate)).collect())
    }

    /// Whether a parent holds `child` at `now`.
    pub(super) fn holds(&self, child: &'a Candidate, now: i64) -> Option<HeldByParent<'a>> {
        let parents = child.parents.iter();
        let mut held = parents.filter_map(|parent| self.holds_by(child, parent, now));
        let first = held.next()?;
        // A parent that is down says more than one that was.
        Some(if first.down.is_some() {
            first
        } else {
            held.find(|other| other.down.is_some()).unwrap_or(first)
        })
    }

    fn holds_by(
        &self,
        child: &'a Candidate,
        parent: &'a Parent,
        now: i64,
    ) -> Option<HeldByParent<'a>> {
        let name = &parent.name;
        let until = now.saturating_add(RECHECK_MS);
        match parent.state {
            ParentState::Unknown => None,
            ParentState::Down if self.comes_first(child, name) => None,
            ParentState::Down => Some(HeldByParent {
                until,
                why: format!("it depends on {name}, which is down"),
                down: Some(name),
            }),
            // What began when nobody saw it any more has no more to do with it than with others.
            ParentState::Lost { since } if child.started_at >= since => None,
            // Later than now is what was dated before the clock was set back.
            ParentState::Lost { since } if (now - since).abs() >= OUT_OF_SIGHT_MS => None,
            ParentState::Lost { .. } if self.comes_first(child, name) => None,
            ParentState::Lost { since } => Some(HeldByParent {
                until: since.saturating_add(OUT_OF_SIGHT_MS).min(until),
                why: format!("it depends on {name}, which was down when it was last seen"),
                down: Some(name),
            }),
            ParentState::Confirming { until } if now >= until => None,
            ParentState::Confirming { .. } if self.comes_first(child, name) => None,
            ParentState::Confirming { until } => Some(HeldByParent {
                until: now.saturating_add(1_000).min(until),
                why: format!("it depends on {name}, whose own failure is being confirmed"),
                down: None,
            }),
            ParentState::Well { since } => {
                let known_at = since.saturating_add(child.recheck_ms);
                let fell_together = since > child.started_at;
                let patience = child.recheck_ms.saturating_mul(PATIENCE);
                let patient = now - child.started_at <= patience;
                (fell_together && patient && now < known_at).then(|| HeldByParent {
                    until: known_at.min(until),
                    why: format!("{name}, which it depends on, has just come back"),
                    down: None,
                })
            }
        }
    }

    /// Whether `child` and its parent depend on each other, and the child began first.
    fn comes_first(&self, child: &Candidate, parent: &str) -> bool {
        let Some(parent) = self.0.get(parent) else { return false };
        self.reaches(parent, &child.name)
            && (child.started_at, &child.name) < (parent.started_at, &parent.name)
    }

    fn reaches(&self, from: &'a Candidate, name: &str) -> bool {
        let mut seen = BTreeSet::new();
        let mut next = vec![from];
        while let Some(candidate) = next.pop() {
            if candidate.name == name {
                return true;
            }
            if seen.insert(candidate.name.as_str()) {
                let parents = candidate.parents.iter();
                next.extend(parents.filter_map(|parent| self.0.get(parent.name.as_str())));
            }
        }
        false
    }
}
