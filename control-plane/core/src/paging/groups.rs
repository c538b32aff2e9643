//! From what each incident asks for to the plan: groups, notices, holds.

use super::cause::{self, Cause, CauseKind, clusters, together};
use super::parents::Graph;
use super::stage::{QUORUM_ENDED, Stage, is_known_down, stage, widening};
use super::{Candidate, Fold, Form, Group, GroupRef, Holding, Input, Join, Plan, Send};
use crate::correlation::Scope;
use crate::notification::NoticeKind;
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// How long the lead of a group waits for its last member before it looks again, ms.
const GROUP_RECHECK_MS: i64 = 2_000;

pub(super) struct Planner<'a> {
    input: &'a Input,
    now: i64,
    stages: Vec<Stage<'a>>,
    groups: BTreeMap<Uuid, &'a Group>,
    plan: Plan,
}

impl<'a> Planner<'a> {
    pub(super) fn new(input: &'a Input, now: i64) -> Self {
        let graph = Graph::new(&input.candidates);
        let stages = input.candidates.iter().map(|one| stage(one, &graph, now)).collect();
        let groups = input.groups.iter().map(|group| (group.id, group)).collect();
        Self { input, now, stages, groups, plan: Plan::default() }
    }

    pub(super) fn run(mut self) -> Plan {
        let mut loud = Vec::new();
        let mut quiet = Vec::new();
        for (position, candidate) in self.input.candidates.iter().enumerate() {
            match self.stages[position].clone() {
                Stage::Rests | Stage::OpensSoon => {}
                Stage::Done { why } => self.fold(candidate, why),
                Stage::Shrank => self.fold_pages(candidate),
                Stage::Held { until, why, down } => {
                    self.hold(candidate, until, why);
                    self.list(candidate, down);
                }
                Stage::Widens { event } => self.widens(candidate, event),
                Stage::Ends { event, quiet } => self.ends(candidate, event, quiet),
                Stage::Opens { quiet: true, .. } => quiet.push(position),
                Stage::Opens { quiet: false, .. } => loud.push(position),
            }
        }
        self.open(&loud, false);
        self.open(&quiet, true);
        self.close();
        self.plan
    }

    fn fold(&mut self, candidate: &Candidate, why: &str) {
        self.plan.folds.push(Fold {
            incident_id: candidate.incident_id,
            events: events(candidate),
            why: why.to_owned(),
        });
    }

    /// What waits for people to be paged is settled; what is told quietly waits on.
    fn fold_pages(&mut self, candidate: &Candidate) {
        let pages = candidate.waiting.iter().filter(|waiting| !waiting.quiet);
        self.plan.folds.push(Fold {
            incident_id: candidate.incident_id,
            events: pages.map(|waiting| waiting.event_number).collect(),
            why: QUORUM_ENDED.to_owned(),
        });
    }

    fn hold(&mut self, candidate: &Candidate, until: i64, why: String) {
        let due = candidate.waiting.iter().filter(|waiting| waiting.due_at <= self.now);
        let events = due.map(|waiting| waiting.event_number).collect();
        self.plan.holds.push(Holding { incident_id: candidate.incident_id, events, until, why });
    }

    /// The group that a candidate is in, if it is open still.
    fn group_of(&self, candidate: &Candidate) -> Option<&'a Group> {
        candidate.group.and_then(|id| self.groups.get(&id).copied())
    }

    fn widens(&mut self, candidate: &Candidate, event: i64) {
        let group = self.group_of(candidate).filter(|group| !group.quiet);
        if group.is_some_and(|group| !self.is_news_for(candidate, group)) {
            return self.fold(candidate, "its group was told as much already");
        }
        let group = group.map(|group| GroupRef::Known(group.id));
        self.send(candidate, event, NoticeKind::Widened, false, group);
    }

    /// Whether a group has to hear that one of its members widens. It is told through its
    /// lead, which knows what is news; but where another is the first to hurt everywhere,
    /// or is down while none of the others is, nobody knows of as much.
    fn is_news_for(&self, candidate: &Candidate, group: &Group) -> bool {
        if group.lead == candidate.incident_id {
            return true;
        }
        let order = |one: &Candidate| (one.incident_id != group.lead, widening(one));
        let says = |one: &Candidate, stage: &Stage<'_>| {
            matches!(stage, Stage::Widens { .. }) && order(one) < order(candidate)
        };
        let others = || {
            let all = self.input.candidates.iter().zip(&self.stages);
            all.filter(|(one, _)| {
                one.group == Some(group.id) && one.incident_id != candidate.incident_id
            })
        };
        let global = |one: &Candidate| one.scope == Scope::Global;
        let first = global(candidate)
            && !group.told_global
            && !others().any(|(one, stage)| global(one) && says(one, stage));
        first || !others().any(|(one, stage)| is_known_down(one) || says(one, stage))
    }

    fn ends(&mut self, candidate: &Candidate, event: i64, quiet: bool) {
        let Some(group) = self.group_of(candidate) else {
            return self.send_as(candidate, event, NoticeKind::Resolved, (false, quiet), None);
        };
        // Who was paged beside a quiet group hears the end by itself.
        if group.quiet && !quiet {
            return self.send(candidate, event, NoticeKind::Resolved, false, None);
        }
        if group.lead != candidate.incident_id {
            // Whoever heard of this one by itself waits for its end, not for that of
            // a group it came into afterwards.
            if candidate.told_alone {
                return self.send_as(candidate, event, NoticeKind::Resolved, (false, quiet), None);
            }
            if !self.stands_in(candidate, group) {
                return self.fold(candidate, "told when the whole group is over");
            }
        }
        if group.unresolved > 0 {
            let until = self.now.saturating_add(GROUP_RECHECK_MS);
            return self.hold(candidate, until, "others of its group still hurt".to_owned());
        }
        self.plan.closes.push(group.id);
        let known = Some(GroupRef::Known(group.id));
        self.send_as(candidate, event, NoticeKind::Resolved, (false, quiet), known);
    }

    /// Whether `candidate`, which is over, waits to tell the end of its group, should the
    /// lead not. The lead of a quiet group leaves it when it is told with a quorum, and
    /// is over by itself then; so the first of the others that are over stays behind.
    fn stands_in(&self, candidate: &Candidate, group: &Group) -> bool {
        let mut others = self.input.candidates.iter().filter(|other| {
            let first = !other.told_alone && other.incident_id < candidate.incident_id;
            other.group == Some(group.id) && (first || other.incident_id == group.lead)
        });
        group.quiet && !others.any(tells_end_quietly)
    }

    fn send(
        &mut self,
        candidate: &Candidate,
        event: i64,
        kind: NoticeKind,
        opening_included: bool,
        group: Option<GroupRef>,
    ) {
        self.send_as(candidate, event, kind, (opening_included, false), group);
    }

    fn send_as(
        &mut self,
        candidate: &Candidate,
        event_number: i64,
        kind: NoticeKind,
        (opening_included, quiet): (bool, bool),
        group: Option<GroupRef>,
    ) {
        let others = candidate.waiting.iter().map(|waiting| waiting.event_number);
        self.plan.sends.push(Send {
            incident_id: candidate.incident_id,
            event_number,
            kind,
            opening_included,
            quiet,
            group,
            folded: others.filter(|number| *number != event_number).collect(),
        });
    }

    /// Tells the beginnings of what is at these positions, in groups where they share
    /// a cause.
    fn open(&mut self, ready: &[usize], quiet: bool) {
        let mut pool = Vec::new();
        for position in ready {
            let candidate = &self.input.candidates[*position];
            // Who was told of it by itself hears its end by itself, whatever it would have
            // been part of.
            if candidate.told_alone
                && matches!(self.stages[*position], Stage::Opens { over: true, .. })
            {
                self.alone(*position, quiet);
                continue;
            }
            // It was listed in a group while it was held, or told with a quiet one; now it
            // speaks for itself.
            if self.group_of(candidate).is_some() {
                self.plan.leaves.push(candidate.incident_id);
            }
            match self.open_group_for(candidate, quiet).filter(|id| candidate.group != Some(*id)) {
                Some(group) => self.join(candidate, GroupRef::Known(group)),
                None => pool.push(*position),
            }
        }
        let ready: BTreeSet<usize> = pool.iter().copied().collect();
        if ready.is_empty() {
            return;
        }
        pool.extend(self.company(quiet));
        let mut grouped = BTreeSet::new();
        for cluster in clusters(self.input, &pool) {
            if cluster.members.iter().any(|member| ready.contains(member)) {
                grouped.extend(cluster.members.iter().copied());
                self.form(&cluster.cause, &cluster.members, quiet);
            }
        }
        for position in ready.difference(&grouped) {
            self.alone(*position, quiet);
        }
    }

    /// An open group whose cause `candidate` shares, and with which it began.
    fn open_group_for(&self, candidate: &Candidate, quiet: bool) -> Option<Uuid> {
        let causes = cause::causes(candidate);
        let start = (candidate.started_at, candidate.interval_ms);
        let mut groups = self.input.groups.iter().filter(|group| {
            // A quiet group told nobody who would be paged, and a loud one is over when
            // what people were paged for is.
            group.quiet == quiet
                && group.unresolved > 0
                && causes.contains(&group.cause)
                && !self.is_led_by_its_cause(group)
                && together(start, (group.newest_started_at, group.interval_ms))
        });
        groups.next().map(|group| group.id)
    }

    /// Whether the group is a parent's own, and holds what depends on it. What still hurts
    /// when that lets go of it is news, not another member.
    fn is_led_by_its_cause(&self, group: &Group) -> bool {
        let mut lead = self.input.candidates.iter().filter(|one| one.incident_id == group.lead);
        group.cause.kind == CauseKind::Parent
            && lead.next().is_none_or(|lead| lead.name == group.cause.value)
    }

    /// What hurts beside what is to be told: incidents told by themselves a moment
    /// ago, and those that would be told in a moment.
    fn company(&self, quiet: bool) -> impl Iterator<Item = usize> + use<'_, 'a> {
        let candidates = self.input.candidates.iter().enumerate();
        let alone = candidates.filter(move |(position, candidate)| {
            let told = candidate.paged && !candidate.resolved && candidate.waiting.is_empty();
            let soon = self.stages[*position] == Stage::OpensSoon;
            let free = self.group_of(candidate).is_none_or(|group| group.quiet);
            !quiet && (told || soon) && free
        });
        alone.map(|(position, _)| position)
    }

    fn form(&mut self, cause: &Cause, members: &[usize], quiet: bool) {
        let all = || members.iter().map(|position| (*position, &self.input.candidates[*position]));
        // One that was told already leads; else the first to hurt of those that still do.
        let told = all().find(|(_, one)| one.paged);
        let hurts = all().find(|(position, _)| self.opens_unresolved(*position));
        let Some((lead_position, lead)) = told.or(hurts).or_else(|| all().next()) else { return };
        let over = told.is_none() && hurts.is_none();
        let group = GroupRef::LedBy(lead.incident_id);
        if told.is_none() {
            let event = match self.stages[lead_position] {
                Stage::Opens { event, .. } => event,
                _ => lead.waiting.first().map_or(0, |waiting| waiting.event_number),
            };
            let kind = if over { NoticeKind::Resolved } else { NoticeKind::Opened };
            self.send_as(lead, event, kind, (over, quiet), Some(group));
        }
        // Who was told by itself is over by itself.
        let others = all().filter(|(position, one)| *position != lead_position && !one.paged);
        let others: Vec<&Candidate> = others.map(|(_, one)| one).collect();
        let held = self.held_by(members);
        self.plan.forms.push(Form {
            cause: cause.clone(),
            lead: lead.incident_id,
            members: others.iter().map(|member| member.incident_id).collect(),
            summary: cause.sentence(members.len(), quiet),
            held,
            quiet,
        });
        for member in others {
            self.join(member, group);
        }
    }

    fn opens_unresolved(&self, position: usize) -> bool {
        matches!(self.stages[position], Stage::Opens { over: false, .. } | Stage::OpensSoon)
    }

    fn join(&mut self, candidate: &Candidate, group: GroupRef) {
        self.plan.joins.push(Join {
            incident_id: candidate.incident_id,
            group,
            events: events(candidate),
            held: false,
        });
    }

    /// Lists what is held because of `parent` in the parent's group. One that was told
    /// quietly the parent leaves as soon as it is told that it is down.
    fn list(&mut self, candidate: &Candidate, parent: Option<&str>) {
        let mut all = self.input.candidates.iter();
        let parent = parent.and_then(|name| all.find(|other| other.name == name));
        let group = parent.and_then(|parent| self.group_of(parent));
        if let Some(group) = group.filter(|group| !group.quiet && candidate.group.is_none()) {
            self.plan.joins.push(Join {
                incident_id: candidate.incident_id,
                group: GroupRef::Known(group.id),
                events: Vec::new(),
                held: true,
            });
        }
    }

    /// One that shares nothing; what depends on it is listed with it.
    fn alone(&mut self, position: usize, quiet: bool) {
        let candidate = &self.input.candidates[position];
        let Stage::Opens { event, over, .. } = self.stages[position] else { return };
        let kind = if over { NoticeKind::Resolved } else { NoticeKind::Opened };
        let held = if over { Vec::new() } else { self.held_by(&[position]) };
        let group = (!held.is_empty()).then_some(GroupRef::LedBy(candidate.incident_id));
        if !held.is_empty() {
            let cause = Cause::new(CauseKind::Parent, &candidate.name);
            self.plan.forms.push(Form {
                summary: format!(
                    "{} is down, and with it {} that depend{} on it",
                    candidate.name,
                    monitors(held.len()),
                    if held.len() == 1 { "s" } else { "" }
                ),
                cause,
                lead: candidate.incident_id,
                members: Vec::new(),
                held,
                quiet,
            });
        }
        self.send_as(candidate, event, kind, (over, quiet), group);
    }

    /// The ungrouped incidents that are held because one of these is down.
    fn held_by(&self, members: &[usize]) -> Vec<Uuid> {
        let names: BTreeSet<&str> =
            members.iter().map(|member| self.input.candidates[*member].name.as_str()).collect();
        let candidates = self.input.candidates.iter().zip(&self.stages);
        let held = candidates.filter(|(candidate, stage)| {
            let by = match stage {
                Stage::Held { down: Some(parent), .. } => names.contains(parent),
                _ => false,
            };
            by && candidate.group.is_none()
        });
        held.map(|(candidate, _)| candidate.incident_id).collect()
    }

    /// Groups in which nobody has an end to tell any more are over with their last member.
    fn close(&mut self) {
        let tells = |group: &Group| {
            let mut members =
                self.input.candidates.iter().filter(|one| one.group == Some(group.id));
            members.any(|one| match one.incident_id == group.lead {
                true => !one.waiting.is_empty(),
                false => group.quiet && tells_end_quietly(one),
            })
        };
        let over = self.input.groups.iter().filter(|group| group.unresolved == 0 && !tells(group));
        self.plan.closes.extend(over.map(|group| group.id));
    }
}

/// Whether the end of `candidate` waits, for those alone who were told quietly.
fn tells_end_quietly(candidate: &Candidate) -> bool {
    let waits = |kind, quiet: bool| {
        let mut waiting = candidate.waiting.iter();
        waiting.any(move |waiting| waiting.kind == kind && (quiet || !waiting.quiet))
    };
    candidate.resolved && waits(NoticeKind::Resolved, true) && !waits(NoticeKind::Opened, false)
}

fn monitors(count: usize) -> String {
    if count == 1 { "1 monitor".to_owned() } else { format!("{count} monitors") }
}

fn events(candidate: &Candidate) -> Vec<i64> {
    candidate.waiting.iter().map(|waiting| waiting.event_number).collect()
}
