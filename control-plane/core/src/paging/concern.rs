//! What of an input concerns one decision: its evidence.
//!
//! A decision about a few incidents is stored with those it was judged beside, not
//! with a whole organisation: those it shares a possible cause with, and those it
//! depends on, and so on from there. Asking [`super::plan`] with that decides the
//! same for them, unless the bound cut something off.

use super::{Cause, Holding, Input, Plan, cause};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use uuid::Uuid;

/// How far one incident's evidence reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// What it depends on: enough for what is held or needs no notice.
    Parents,
    /// Also what it shares a possible cause with: enough for what is told.
    Causes,
}

/// An input, indexed by what connects its candidates.
#[derive(Debug)]
pub struct Concerns<'a> {
    input: &'a Input,
    by_incident: BTreeMap<Uuid, usize>,
    by_name: BTreeMap<&'a str, usize>,
    by_cause: BTreeMap<Cause, Vec<usize>>,
}

impl<'a> Concerns<'a> {
    /// Of `input`.
    pub fn new(input: &'a Input) -> Self {
        let mut by_cause: BTreeMap<Cause, Vec<usize>> = BTreeMap::new();
        let all = || input.candidates.iter().enumerate();
        for (position, candidate) in all() {
            for cause in cause::causes(candidate) {
                by_cause.entry(cause).or_default().push(position);
            }
        }
        Self {
            input,
            by_incident: all().map(|(position, one)| (one.incident_id, position)).collect(),
            by_name: all().map(|(position, one)| (one.name.as_str(), position)).collect(),
            by_cause,
        }
    }

    /// The part that concerns an incident, of at most `limit` candidates, and how many
    /// it leaves out that concern it too.
    pub fn of(&self, incident_id: Uuid, reach: Reach, limit: usize) -> (Input, usize) {
        let reached = self.reached(incident_id, reach);
        let left_out = reached.len().saturating_sub(limit);
        let kept: BTreeSet<usize> = reached.into_iter().take(limit).collect();
        let candidates: Vec<_> =
            kept.iter().map(|position| self.input.candidates[*position].clone()).collect();
        let causes: BTreeSet<_> = candidates.iter().flat_map(cause::causes).collect();
        let groups = self.input.groups.iter().filter(|group| {
            causes.contains(&group.cause)
                || candidates.iter().any(|candidate| candidate.group == Some(group.id))
        });
        let counted = self.input.population.iter().filter(|(cause, _)| causes.contains(cause));
        let part = Input {
            groups: groups.cloned().collect(),
            population: counted.map(|(cause, count)| (cause.clone(), *count)).collect(),
            candidates,
        };
        (part, left_out)
    }

    /// Positions of what is reached, the nearest first.
    fn reached(&self, incident_id: Uuid, reach: Reach) -> Vec<usize> {
        let mut queue: VecDeque<usize> =
            self.by_incident.get(&incident_id).copied().into_iter().collect();
        let mut seen: BTreeSet<usize> = queue.iter().copied().collect();
        let mut walked: BTreeSet<Cause> = BTreeSet::new();
        let mut order = Vec::new();
        while let Some(position) = queue.pop_front() {
            order.push(position);
            let candidate = &self.input.candidates[position];
            let parents = candidate.parents.iter();
            let parents = parents.filter_map(|parent| self.by_name.get(parent.name.as_str()));
            let mut near: Vec<usize> = parents.copied().collect();
            if reach == Reach::Causes {
                // Each list is walked once, or a thousand of one cause would be a million steps.
                for cause in cause::causes(candidate) {
                    let shared = self.by_cause.get(&cause).map(Vec::as_slice).unwrap_or_default();
                    if walked.insert(cause) {
                        near.extend(shared);
                    }
                }
            }
            queue.extend(near.into_iter().filter(|position| seen.insert(*position)));
        }
        order
    }
}

impl Plan {
    /// The part that is about an incident.
    pub fn about(&self, incident_id: Uuid) -> Self {
        let is = |id: &Uuid| *id == incident_id;
        fn only<T: Clone>(all: &[T], is: impl Fn(&T) -> bool) -> Vec<T> {
            all.iter().filter(|one| is(one)).cloned().collect()
        }
        Self {
            forms: only(&self.forms, |form| {
                is(&form.lead) || form.members.iter().chain(&form.held).any(is)
            }),
            joins: only(&self.joins, |join| is(&join.incident_id)),
            sends: only(&self.sends, |send| is(&send.incident_id)),
            folds: only(&self.folds, |fold| is(&fold.incident_id)),
            holds: only(&self.holds, |hold| is(&hold.incident_id)),
            leaves: only(&self.leaves, is),
            closes: Vec::new(),
        }
    }
}

impl Holding {
    /// What sort of reason holds it, in one word.
    pub fn by(&self) -> &'static str {
        let why = self.why.as_str();
        match why {
            _ if why.starts_with("held by the silence") => "silence",
            _ if why.starts_with("held by the maintenance") => "maintenance",
            _ if why.starts_with("the votes") => "votes",
            _ if why.starts_with("others of its group") => "group",
            _ => "parent",
        }
    }
}
