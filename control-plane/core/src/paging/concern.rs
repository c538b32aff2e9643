//! What of an input concerns one decision: its evidence.
//!
//! A decision about a few incidents is stored with those it was judged beside, not
//! with a whole organisation: those it shares a possible cause with, those it
//! depends on or that depend on it, and so on from there. Asking [`super::plan`]
//! with that decides the same for them ([`Plan::has`]), unless the bound cut
//! something off.
//!
//! Each of a thousand members of one new group is not stored with the thousand: the
//! few that make it a group are enough to decide that it belongs to it
//! ([`Concerns::of_member`]).

use super::cause::{self, together};
use super::stage::{is_known_down, widening};
use super::{Candidate, Cause, Form, GroupRef, Holding, Input, Join, Plan};
use crate::correlation::Scope;
use crate::notification::NoticeKind;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use uuid::Uuid;

/// How far one incident's evidence reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// What it depends on: enough for what is held or needs no notice.
    Parents,
    /// Also what depends on it, and what it shares a possible cause with: enough for
    /// what is told.
    Causes,
}

/// An input, indexed by what connects its candidates.
#[derive(Debug)]
pub struct Concerns<'a> {
    input: &'a Input,
    by_incident: BTreeMap<Uuid, usize>,
    by_name: BTreeMap<&'a str, usize>,
    by_cause: BTreeMap<Cause, Vec<usize>>,
    /// By what they depend on.
    children: BTreeMap<&'a str, Vec<usize>>,
    /// Of each group, who decides whether it has to hear that a member widens.
    speakers: BTreeMap<Uuid, BTreeSet<usize>>,
}

/// What failed together when a group was made.
#[derive(Debug)]
pub struct Company {
    cause: Cause,
    /// Positions, the first to hurt first.
    all: Vec<usize>,
    /// The same, to look up.
    known: BTreeSet<usize>,
    /// The few of them that make it a group, with its lead.
    core: BTreeSet<usize>,
}

impl<'a> Concerns<'a> {
    /// Of `input`.
    pub fn new(input: &'a Input) -> Self {
        let mut by_cause: BTreeMap<Cause, Vec<usize>> = BTreeMap::new();
        let mut children: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        let all = || input.candidates.iter().enumerate();
        for (position, candidate) in all() {
            for cause in cause::causes(candidate) {
                by_cause.entry(cause).or_default().push(position);
            }
            for parent in &candidate.parents {
                children.entry(&parent.name).or_default().push(position);
            }
        }
        Self {
            speakers: speakers(input),
            input,
            by_incident: all().map(|(position, one)| (one.incident_id, position)).collect(),
            by_name: all().map(|(position, one)| (one.name.as_str(), position)).collect(),
            by_cause,
            children,
        }
    }

    /// The part that concerns an incident, of at most `limit` candidates, and how many
    /// it leaves out that concern it too.
    pub fn of(&self, incident_id: Uuid, reach: Reach, limit: usize) -> (Input, usize) {
        let reached = self.reached(incident_id, reach);
        let left_out = reached.len().saturating_sub(limit);
        (self.part(reached.into_iter().take(limit).collect()), left_out)
    }

    /// What failed together when `form` was made at `now`.
    pub fn company(&self, form: &Form, now: i64) -> Company {
        let ids: BTreeSet<Uuid> = form.all().collect();
        let shared = self.by_cause.get(&form.cause).map(Vec::as_slice).unwrap_or_default();
        let candidate = |position: &usize| &self.input.candidates[*position];
        let told = |one: &Candidate| one.paged && !one.resolved && one.waiting.is_empty();
        let mut all: Vec<usize> = shared.to_vec();
        all.retain(|position| {
            ids.contains(&candidate(position).incident_id) || told(candidate(position))
        });
        all.sort_by_key(|position| {
            (candidate(position).started_at, candidate(position).incident_id)
        });
        let start =
            |position: &usize| (candidate(position).started_at, candidate(position).interval_ms);
        let first = all.iter().find(|one| ids.contains(&candidate(one).incident_id)).map(start);
        all.retain(|one| first.is_some_and(|first| together(first, start(one))));
        let due = |position: &&usize| {
            candidate(position).waiting.iter().any(|waiting| waiting.due_at <= now)
        };
        let lead = self.by_incident.get(&form.lead);
        let least = all.iter().take(form.cause.least());
        Company {
            cause: form.cause.clone(),
            core: least.chain(all.iter().find(due)).chain(lead).copied().collect(),
            known: all.iter().copied().collect(),
            all,
        }
    }

    /// The part that makes an incident a member of a new group: itself with what it
    /// depends on, the few that make it a group, and more of it up to `limit`; and how
    /// many it leaves out.
    pub fn of_member(&self, incident_id: Uuid, company: &Company, limit: usize) -> (Input, usize) {
        let alone: BTreeSet<usize> =
            self.reached(incident_id, Reach::Parents).into_iter().collect();
        let mut kept = &alone | &company.core;
        let more = company.all.iter().take(limit.saturating_sub(kept.len()));
        kept.extend(more);
        let left_out = company.known.len() - kept.intersection(&company.known).count();
        let mut part = self.part(kept);
        if let Some(count) = part.population.get_mut(&company.cause) {
            // With each that is left out goes one that is well, so that whether half of
            // all that share the cause fail is asked with the same answer.
            let both = u32::try_from(left_out).unwrap_or(u32::MAX).saturating_mul(2);
            *count = count.saturating_sub(both);
        }
        (part, left_out)
    }

    fn part(&self, kept: BTreeSet<usize>) -> Input {
        let candidates: Vec<_> =
            kept.iter().map(|position| self.input.candidates[*position].clone()).collect();
        let causes: BTreeSet<_> = candidates.iter().flat_map(cause::causes).collect();
        let groups = self.input.groups.iter().filter(|group| {
            causes.contains(&group.cause)
                || candidates.iter().any(|candidate| candidate.group == Some(group.id))
        });
        let counted = self.input.population.iter().filter(|(cause, _)| causes.contains(cause));
        Input {
            groups: groups.cloned().collect(),
            population: counted.map(|(cause, count)| (cause.clone(), *count)).collect(),
            candidates,
        }
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
            if waits_to_widen(candidate) {
                let speakers = candidate.group.and_then(|group| self.speakers.get(&group));
                near.extend(speakers.into_iter().flatten());
            }
            if reach == Reach::Causes {
                near.extend(self.children.get(candidate.name.as_str()).into_iter().flatten());
                // Each list is walked once, or a thousand of one cause would be a million steps;
                // and none of a cause that is none, or thousands told one by one would
                // each be stored beside a hundred of the others.
                for cause in cause::causes(candidate) {
                    let shared = self.by_cause.get(&cause).map(Vec::as_slice).unwrap_or_default();
                    let telling = cause::is_telling(self.input, &cause, shared.len());
                    if walked.insert(cause) && telling {
                        near.extend(shared);
                    }
                }
            }
            queue.extend(near.into_iter().filter(|position| seen.insert(*position)));
        }
        order
    }
}

fn waits_to_widen(candidate: &Candidate) -> bool {
    candidate.waiting.iter().any(|waiting| waiting.kind == NoticeKind::Widened)
}

/// Of each group its lead, one other member that people know is down, and of those that
/// widen the first: of those that hurt everywhere, and of the others.
fn speakers(input: &Input) -> BTreeMap<Uuid, BTreeSet<usize>> {
    let mut found: BTreeMap<Uuid, BTreeSet<usize>> = BTreeMap::new();
    let leads: BTreeMap<Uuid, Uuid> = input.groups.iter().map(|it| (it.id, it.lead)).collect();
    let mut first: BTreeMap<(Uuid, Option<bool>), usize> = BTreeMap::new();
    for (position, one) in input.candidates.iter().enumerate() {
        let Some((group, lead)) = one.group.and_then(|id| Some((id, *leads.get(&id)?))) else {
            continue;
        };
        if one.incident_id == lead {
            found.entry(group).or_default().insert(position);
        } else if is_known_down(one) {
            first.entry((group, None)).or_insert(position);
        } else if let Some(due) = widening(one) {
            let known = first.entry((group, Some(one.scope == Scope::Global))).or_insert(position);
            if widening(&input.candidates[*known]).is_some_and(|known| due < known) {
                *known = position;
            }
        }
    }
    for ((group, _), position) in first {
        found.entry(group).or_default().insert(position);
    }
    found
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

    /// Whether it decides everything that `part` of another plan decides. Where not all
    /// of that plan's input is here (`cut`), groups are not compared by their members.
    pub fn has(&self, part: &Self, cut: bool) -> bool {
        fn all<T: PartialEq>(part: &[T], whole: &[T]) -> bool {
            part.iter().all(|one| whole.contains(one))
        }
        // Who is listed with a new group stands in its form.
        let listed = self.forms.iter().flat_map(Form::lists);
        let joins: Vec<Join> = self.joins.iter().cloned().chain(listed).collect();
        let formed = |then: &Form| {
            let led = |now: &Form| cut && now.lead == then.lead && now.quiet == then.quiet;
            self.forms.iter().any(|now| now == then || led(now))
        };
        part.forms.iter().all(formed)
            && all(&part.joins, &joins)
            && all(&part.sends, &self.sends)
            && all(&part.folds, &self.folds)
            && all(&part.holds, &self.holds)
            && all(&part.leaves, &self.leaves)
            && all(&part.closes, &self.closes)
    }
}

impl Form {
    /// Its members, the lead among them.
    pub fn all(&self) -> impl Iterator<Item = Uuid> {
        self.members.iter().copied().chain([self.lead])
    }

    /// Those that are only listed with the group, as joins.
    pub fn lists(&self) -> impl Iterator<Item = Join> {
        self.held.iter().map(|held| Join {
            incident_id: *held,
            group: GroupRef::LedBy(self.lead),
            events: Vec::new(),
            held: true,
        })
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
