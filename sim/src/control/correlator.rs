//! Everything that waits is judged together, and what follows is carried out in one
//! transaction, as in `control-plane/src/tasks/correlator`.

use super::database::{Database, GroupRow, IncidentId, IncidentRow, IntentRow};
use super::note::{Joined, Note, Told};
use super::vantage;
use super::waiting::{facts, input, number_of, unresolved};
use crate::world::cast::Cast;
use hyperverge_control_core::correlation::Scope;
use hyperverge_control_core::incident::SubjectKind;
use hyperverge_control_core::notification::NoticeKind;
use hyperverge_control_core::notification::route::{NO_ROUTE, Recipients, recipients};
use hyperverge_control_core::paging::{Form, GroupRef, Join, Plan, Send, plan};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// Whether something has to be told, or a group is over.
pub(super) fn has_work(db: &Database, now: i64) -> bool {
    is_due(db, now) || group_is_over(db)
}

fn is_due(db: &Database, now: i64) -> bool {
    db.unsettled.iter().any(|(key, ())| db.intents.get(key).is_some_and(|it| it.due_at <= now))
}

fn group_is_over(db: &Database) -> bool {
    let mut open = db.groups.iter().filter(|(_, group)| group.resolved_at.is_none()).peekable();
    let unresolved = if open.peek().is_some() { unresolved(db) } else { BTreeMap::new() };
    open.any(|(id, _)| !unresolved.contains_key(id))
}

/// One round.
pub(super) fn round(db: &mut Database, cast: &Cast, notes: &mut Vec<Note>, now: i64) {
    if vantage::is_suspicious(db) {
        vantage::judge(db, cast, notes, now);
    }
    if has_work(db, now) {
        let plan = plan(&input(db, cast, now), now);
        carry_out(db, cast, plan, notes, now);
    }
}

fn carry_out(db: &mut Database, cast: &Cast, plan: Plan, notes: &mut Vec<Note>, now: i64) {
    let mut round =
        Round { db, cast, notes, now, formed: BTreeMap::new(), joined: BTreeMap::new() };
    for incident in &plan.leaves {
        round.alter(number_of(*incident), |row| (row.group, row.listed) = (None, false));
    }
    for form in &plan.forms {
        round.form(form);
    }
    for join in &plan.joins {
        round.join(join);
    }
    for send in &plan.sends {
        round.send(send);
    }
    for form in plan.forms.iter().filter(|form| plan.widens(form)) {
        round.widen(form);
    }
    // Whoever joined is told of the group if its own channels were not.
    for join in plan.joins.iter().filter(|join| !join.held) {
        round.tell_newcomer(join);
    }
    for fold in &plan.folds {
        round.settle(number_of(fold.incident_id), &fold.events, &fold.why);
        round.held(number_of(fold.incident_id), &fold.events, &fold.why);
    }
    for hold in &plan.holds {
        round.postpone(number_of(hold.incident_id), &hold.events, hold.until, &hold.why);
    }
    for group in &plan.closes {
        let id = number_of(*group);
        if let Some(row) = round.db.groups.get(&id).cloned() {
            round.db.groups.put(id, GroupRow { resolved_at: Some(now), ..row });
            round.notes.push(Note::GroupClosed(id));
        }
    }
}

struct Round<'a> {
    db: &'a mut Database,
    cast: &'a Cast,
    notes: &'a mut Vec<Note>,
    now: i64,
    /// Groups of this round, by their lead.
    formed: BTreeMap<Uuid, u64>,
    /// Who joined which group in this round.
    joined: BTreeMap<u64, Vec<IncidentId>>,
}

impl Round<'_> {
    fn alter(&mut self, incident: IncidentId, change: impl FnOnce(&mut IncidentRow)) {
        if let Some(mut row) = self.db.incidents.lock(&incident).cloned() {
            change(&mut row);
            self.db.incidents.put(incident, row);
        }
    }

    fn group(&self, group: GroupRef) -> Option<u64> {
        match group {
            GroupRef::Known(id) => Some(number_of(id)),
            GroupRef::LedBy(lead) => self.formed.get(&lead).copied(),
        }
    }

    fn form(&mut self, form: &Form) {
        self.db.next_group += 1;
        let id = self.db.next_group;
        self.formed.insert(form.lead, id);
        let lead = number_of(form.lead);
        if self.db.groups.iter().any(|(_, row)| row.lead == lead && row.quiet == form.quiet) {
            let what = format!("#{lead} leads a group already, and the store refuses another");
            self.notes.push(Note::Refused(what));
        }
        let (newest, interval) = self.began(lead);
        let row = GroupRow {
            cause: form.cause.clone(),
            summary: form.summary.clone(),
            lead,
            opened_at: self.now,
            resolved_at: None,
            newest_started_at: newest,
            interval_ms: interval,
            quiet: form.quiet,
            told_global: self.db.incidents.get(&lead).is_some_and(|it| it.scope == Scope::Global),
        };
        self.db.groups.put(id, row);
        let (cause, quiet) = (form.cause.clone(), form.quiet);
        self.notes.push(Note::GroupFormed { id, cause, lead, quiet });
        self.tell(lead, id, quiet);
        self.notes.push(Note::GroupJoined { group: id, incident: lead, how: Joined::Leads });
        for held in &form.held {
            self.list(number_of(*held), id);
        }
    }

    fn began(&self, incident: IncidentId) -> (i64, i64) {
        let Some(row) = self.db.incidents.get(&incident) else { return (self.now, 0) };
        let interval = match row.subject {
            (SubjectKind::Monitor, monitor) => self.cast.monitors[monitor].interval,
            _ => 0,
        };
        (row.started_at, interval)
    }

    /// Makes it a member that the group's notice tells.
    fn tell(&mut self, incident: IncidentId, group: u64, quiet: bool) {
        let (started, interval) = self.began(incident);
        self.alter(incident, |row| {
            (row.group, row.listed) = (Some(group), false);
            row.paged |= !quiet;
            row.told_quietly |= quiet;
        });
        if let Some(mut row) = self.db.groups.get(&group).cloned() {
            row.newest_started_at = row.newest_started_at.max(started);
            row.interval_ms = row.interval_ms.max(interval);
            self.db.groups.put(group, row);
        }
    }

    fn list(&mut self, incident: IncidentId, group: u64) {
        self.alter(incident, |row| (row.group, row.listed) = (Some(group), true));
        self.notes.push(Note::GroupJoined { group, incident, how: Joined::Listed });
    }

    fn join(&mut self, join: &Join) {
        let incident = number_of(join.incident_id);
        let Some(group) = self.group(join.group) else { return };
        if join.held {
            return self.list(incident, group);
        }
        let quiet = self.db.groups.get(&group).is_some_and(|group| group.quiet);
        self.tell(incident, group, quiet);
        self.alter(incident, |row| row.told = row.told.max((!quiet).then_some(row.scope)));
        let loud = self.db.waiting(incident).any(|(_, intent)| !intent.quiet);
        let how = if loud { Joined::Told } else { Joined::Quietly };
        self.notes.push(Note::GroupJoined { group, incident, how });
        self.joined.entry(group).or_default().push(incident);
        self.settle(incident, &join.events, "told by its group");
    }

    fn send(&mut self, send: &Send) {
        let incident = number_of(send.incident_id);
        let group = send.group.and_then(|group| self.group(group));
        let channels = self.channels(incident, group, send);
        for channel in &channels {
            self.db.deliveries.put((incident, send.event_number, *channel), send.kind);
        }
        let intent = self.db.intents.get(&(incident, send.event_number));
        let waited = intent.map_or(0, |intent| intent.waits);
        let (kind, quiet) = (send.kind, send.quiet);
        if kind == NoticeKind::Opened && !channels.is_empty() {
            self.alter(incident, |row| {
                row.paged |= !quiet;
                row.told_quietly |= quiet;
            });
        }
        if kind != NoticeKind::Resolved && !quiet && !channels.is_empty() {
            self.alter(incident, |row| row.told = row.told.max(Some(row.scope)));
        }
        let mut settled = send.folded.clone();
        settled.push(send.event_number);
        let outcome = if channels.is_empty() { NO_ROUTE } else { "put in the outbox" };
        self.settle(incident, &settled, outcome);
        if kind != NoticeKind::Resolved
            && let Some(id) = group
            && let Some(mut row) = self.db.groups.get(&id).cloned()
        {
            row.told_global |= self.is_global(incident);
            self.db.groups.put(id, row);
        }
        if channels.is_empty() {
            let reason = NO_ROUTE.to_owned();
            self.notes.push(Note::Held { incident, kind, reason });
            return;
        }
        let told = self.told(incident, group, channels, kind);
        let opening_included = send.opening_included;
        let mut begins = told.begins.clone();
        let joined = group.and_then(|group| self.joined.get(&group));
        begins.extend(joined.into_iter().flatten().copied());
        self.notes.push(Note::Told(Told { waited, opening_included, quiet, begins, ..told }));
    }

    fn is_global(&self, incident: IncidentId) -> bool {
        self.db.incidents.get(&incident).is_some_and(|row| row.scope == Scope::Global)
    }

    fn told(
        &self,
        incident: IncidentId,
        group: Option<u64>,
        channels: BTreeSet<usize>,
        kind: NoticeKind,
    ) -> Told {
        let members = group.map_or_else(|| vec![incident], |group| self.members(group));
        let of_incident = || self.db.incidents.get(&incident).map(|row| row.summary.clone());
        let of_group = group.and_then(|group| self.db.groups.get(&group)).map(|row| match kind {
            NoticeKind::Opened => Some(row.summary.clone()),
            // What its lead says of itself is not what is over.
            NoticeKind::Resolved if members.len() > 1 => {
                Some(format!("{}: all of it is over", row.cause.phrase(members.len())))
            }
            _ => None,
        });
        Told {
            kind,
            incident,
            members,
            begins: vec![incident],
            group,
            channels: channels.into_iter().collect(),
            summary: of_group.flatten().or_else(of_incident).unwrap_or_default(),
            waited: 0,
            opening_included: false,
            quiet: false,
        }
    }

    /// Members of a group that tell people something.
    fn members(&self, group: u64) -> Vec<IncidentId> {
        let all = self.db.incidents.iter();
        let tells = |row: &IncidentRow| row.group == Some(group) && !row.listed;
        all.filter(|(_, row)| tells(row)).map(|(id, _)| *id).collect()
    }

    /// Who is told: whoever was told before, and of a beginning those whom it concerns.
    fn channels(&self, lead: IncidentId, group: Option<u64>, send: &Send) -> BTreeSet<usize> {
        let mut found = self.told_before(lead);
        if send.kind == NoticeKind::Resolved && !send.opening_included {
            return found;
        }
        let members = group.map_or_else(|| vec![lead], |group| self.members(group));
        for member in members {
            found.extend(self.concerned(member, send.quiet));
        }
        found
    }

    fn told_before(&self, incident: IncidentId) -> BTreeSet<usize> {
        let range = (incident, i64::MIN, 0)..=(incident, i64::MAX, usize::MAX);
        self.db.deliveries.range(range).map(|((_, _, channel), _)| *channel).collect()
    }

    fn concerned(&self, incident: IncidentId, quiet: bool) -> Vec<usize> {
        let Some(row) = self.db.incidents.get(&incident) else { return Vec::new() };
        let notify: &[String] = match row.subject {
            (SubjectKind::Monitor, monitor) if !quiet => {
                &self.cast.monitors[monitor].monitor.spec.notify
            }
            _ => &[],
        };
        let known = |name: &String| self.cast.channels.iter().position(|it| it == name);
        match recipients(notify, &self.cast.routes, &facts(self.cast, row)) {
            Recipients::Channels(names) => names.iter().filter_map(known).collect(),
            Recipients::Defaults if !quiet => vec![0],
            Recipients::Defaults | Recipients::Nobody { .. } => Vec::new(),
        }
    }

    /// Channels of a late member that were not told of its group are told now.
    fn tell_newcomer(&mut self, join: &Join) {
        let incident = number_of(join.incident_id);
        let Some(group) = self.group(join.group) else { return };
        let row = self.db.groups.get(&group);
        let Some((lead, quiet)) = row.map(|row| (row.lead, row.quiet)) else { return };
        let known = self.told_before(lead);
        let new: BTreeSet<usize> =
            self.concerned(incident, quiet).into_iter().filter(|it| !known.contains(it)).collect();
        if new.is_empty() || known.is_empty() {
            return;
        }
        for channel in &new {
            self.db.deliveries.put((lead, 0, *channel), NoticeKind::Opened);
        }
        let told = self.told(lead, Some(group), new, NoticeKind::Opened);
        self.notes.push(Note::Told(Told { begins: vec![incident], quiet, ..told }));
    }

    /// Tells of a new group through its lead, which was told by itself before: who heard of
    /// that, and whom the others concern.
    fn widen(&mut self, form: &Form) {
        let Some(group) = self.group(GroupRef::LedBy(form.lead)) else { return };
        let lead = number_of(form.lead);
        let mut channels = self.told_before(lead);
        for member in self.members(group) {
            channels.extend(self.concerned(member, form.quiet));
        }
        if channels.is_empty() {
            return;
        }
        let event = self.db.incidents.get(&lead).map_or(0, |row| row.last_event) + 1;
        self.alter(lead, |row| row.last_event = event);
        for channel in &channels {
            self.db.deliveries.put((lead, event, *channel), NoticeKind::Widened);
        }
        let begins = self.joined.get(&group).cloned().unwrap_or_default();
        let told = self.told(lead, Some(group), channels, NoticeKind::Widened);
        let summary = form.summary.clone();
        self.notes.push(Note::Told(Told { begins, summary, quiet: form.quiet, ..told }));
    }

    fn settle(&mut self, incident: IncidentId, events: &[i64], outcome: &str) {
        for event in events {
            let Some(intent) = self.db.intents.get(&(incident, *event)).cloned() else { continue };
            let kind = intent.kind;
            let outcome = Some(outcome.to_owned());
            self.notes.push(Note::Intent {
                incident,
                event: *event,
                kind,
                outcome: outcome.clone(),
            });
            self.db.intents.put((incident, *event), IntentRow { outcome, ..intent });
            self.db.unsettled.remove(&(incident, *event));
        }
    }

    fn postpone(&mut self, incident: IncidentId, events: &[i64], until: i64, why: &str) {
        let mut first = true;
        for event in events {
            let Some(intent) = self.db.intents.get(&(incident, *event)).cloned() else { continue };
            if intent.held.as_deref() != Some(why) && first {
                self.held(incident, &[*event], why);
                first = false;
            }
            let held = Some(why.to_owned());
            self.db.intents.put((incident, *event), IntentRow { due_at: until, held, ..intent });
        }
    }

    fn held(&mut self, incident: IncidentId, events: &[i64], why: &str) {
        let first = events.first().and_then(|event| self.db.intents.get(&(incident, *event)));
        let Some(kind) = first.map(|intent| intent.kind) else { return };
        self.notes.push(Note::Held { incident, kind, reason: why.to_owned() });
    }
}
