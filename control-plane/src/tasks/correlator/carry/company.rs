//! Groups: who is in them, and who hears of those that come late.

use super::Carrier;
use crate::clock;
use crate::limits::EVIDENCE_CANDIDATES;
use crate::store::groups::{self, Size, StoredGroup};
use crate::store::incidents::{self, Incident};
use crate::store::notices::{self, Telling};
use crate::store::{StoreError, intents};
use crate::tasks::correlator::post::Post;
use hyperverge_control_core::correlation::Scope;
use hyperverge_control_core::notification::limits::NOTICE_MEMBERS;
use hyperverge_control_core::notification::{NoticeGroup, NoticeKind};
use hyperverge_control_core::paging::{Candidate, CauseKind, Form, Join};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// Newcomers that a notice names, beside the list of all members.
const NEWS_NAMED: usize = 5;

impl Carrier<'_> {
    /// Opens a group with its members, before anybody is told of it.
    pub(super) async fn form(&mut self, form: &Form) -> Result<(), StoreError> {
        let members: Vec<&Candidate> =
            form.all().filter_map(|id| self.candidates.get(&id)).copied().collect();
        let newest = members.iter().map(|one| one.started_at).max();
        let mut group = StoredGroup {
            id: clock::new_id(),
            cause: form.cause.clone(),
            summary: form.summary.clone(),
            lead_incident_id: form.lead,
            opened_at: self.now,
            resolved_at: None,
            paged: self.is_heard(form),
            quiet: form.quiet,
            told_global: self.candidates.get(&form.lead).is_some_and(|one| is_global(one)),
            newest_started_at: newest.unwrap_or(self.now),
            interval_ms: members.iter().map(|one| one.interval_ms).max().unwrap_or(0),
        };
        let organisation_id = self.organisation_id;
        group.id = groups::insert(self.tx, organisation_id, &group).await?;
        self.enter(&group, form.all().collect()).await?;
        if !form.held.is_empty() {
            let held = form.held.clone();
            groups::list(self.tx, organisation_id, Some(group.id), held).await?;
        }
        self.company.insert(form.lead, self.concerns.company(form, self.now));
        *self.done.groups.entry(form.cause.kind).or_default() += 1;
        self.led_by.insert(form.lead, group.id);
        let says = self.plan.sends.iter().any(|send| send.incident_id == form.lead);
        if !says && !self.plan.widens(form) {
            let summary = format!("Leads a group: {}", form.summary);
            let evidence = self.lead_evidence(form.lead);
            self.note(form.lead, "grouped", summary, evidence);
        }
        self.groups.insert(group.id, group);
        for listed in form.lists() {
            self.note_join(&listed);
        }
        Ok(())
    }

    /// Whether anybody hears of a new group, or heard of its lead before.
    fn is_heard(&self, form: &Form) -> bool {
        let paged = self.candidates.get(&form.lead).is_some_and(|lead| lead.paged);
        let mut sends = self.plan.sends.iter();
        let send = sends.find(|send| send.incident_id == form.lead);
        paged || send.is_some_and(|send| !self.recipients(send).is_empty())
    }

    /// Makes incidents members of a group, and told with it if it tells anybody.
    async fn enter(&mut self, group: &StoredGroup, incidents: Vec<Uuid>) -> Result<(), StoreError> {
        let (tx, organisation_id) = (&mut *self.tx, self.organisation_id);
        match group.paged {
            true => groups::tell(tx, organisation_id, group.id, group.quiet, incidents).await,
            false => groups::list(tx, organisation_id, Some(group.id), incidents).await,
        }
    }

    /// Makes members; says who has to be told of which known or new group.
    pub(super) async fn join(&mut self) -> Result<BTreeMap<Uuid, Vec<Uuid>>, StoreError> {
        let mut joined: BTreeMap<Uuid, Vec<Uuid>> = BTreeMap::new();
        let mut listed: BTreeMap<Uuid, Vec<Uuid>> = BTreeMap::new();
        for join in &self.plan.joins {
            let Some(group) = self.id_of(join.group) else { continue };
            let kind = if join.held { &mut listed } else { &mut joined };
            kind.entry(group).or_default().push(join.incident_id);
            self.note_join(join);
        }
        for (group, members) in listed {
            groups::list(self.tx, self.organisation_id, Some(group), members).await?;
        }
        for (id, members) in &joined {
            let Some(group) = self.groups.get_mut(id) else { continue };
            for one in members.iter().filter_map(|id| self.candidates.get(id)) {
                group.newest_started_at = group.newest_started_at.max(one.started_at);
                group.interval_ms = group.interval_ms.max(one.interval_ms);
            }
            let group = group.clone();
            self.enter(&group, members.clone()).await?;
        }
        Ok(joined)
    }

    fn note_join(&mut self, join: &Join) {
        let Some(id) = self.id_of(join.group) else { return };
        let evidence = self.join_evidence(join);
        let Some(known) = self.groups.get(&id) else { return };
        let (with, why, outcome) = match (join.held, known.paged) {
            (true, _) => ("Listed, and held, with", "", "joined"),
            (false, true) => ("Told with", "told with its group", "joined"),
            (false, false) => {
                ("Nobody was told, as of all of", Post::nobody(known.quiet), "nobody")
            }
        };
        let summary = format!("{with} a group: {}", known.summary);
        self.note(join.incident_id, "grouped", summary, evidence);
        self.settle(join.incident_id, &join.events, why, outcome);
    }

    /// Tells of a new group through its lead, which was told by itself before: who heard of
    /// that, and whom the others concern. Nobody else would ever name those.
    pub(super) async fn widen(&mut self, form: &Form) -> Result<(), StoreError> {
        let Some(id) = self.led_by.get(&form.lead).copied() else { return Ok(()) };
        let Some(lead) = self.loaded.incidents.get(&form.lead) else { return Ok(()) };
        let mut channels = BTreeSet::new();
        for member in form.all() {
            channels.extend(self.post.concerned(self.loaded, member, form.quiet));
        }
        let names = self.post.names(&channels);
        let summary = match names.is_empty() {
            true => format!("Leads a group: {}", form.summary),
            false => format!("Told {} (widened): {}", names.join(", "), form.summary),
        };
        let mut evidence = self.lead_evidence(form.lead);
        evidence["channels"] = json!(names);
        let kind = if names.is_empty() { "grouped" } else { "paged" };
        self.note(form.lead, kind, summary, evidence);
        // No intent asked for this: the event that says so is the one that it tells.
        let Some(note) = self.notes.pop() else { return Ok(()) };
        groups::note(self.tx, self.organisation_id, &[note], self.now).await?;
        if channels.is_empty() {
            return Ok(());
        }
        let stored = incidents::get(self.tx, self.organisation_id, form.lead).await?;
        let telling = Telling {
            kind: NoticeKind::Widened,
            event_number: stored.map_or(lead.last_event, |stored| stored.last_event),
            opening_included: false,
            target: self.loaded.specs.get(&lead.id).map(|spec| spec.target.clone()),
            group: self.notice_group(id).await?.map(|group| self.with_news(group, form)),
        };
        let worst = form.all().filter_map(|id| self.loaded.incidents.get(&id));
        let worst = worst.map(|one| one.severity).max().unwrap_or(lead.severity);
        let lead = Incident { severity: worst, ..lead.clone() };
        let notice = notices::notice(&lead, telling, self.public_url);
        let recipients = (&channels, form.quiet);
        let post = &mut self.post;
        let sent =
            post.deliver(self.tx, self.organisation_id, recipients, &notice, self.now).await?;
        self.done.deliveries += sent;
        let Some(group) = self.groups.get_mut(&id) else { return Ok(()) };
        group.paged = true;
        let group = group.clone();
        groups::update(self.tx, self.organisation_id, &group).await
    }

    /// Names those who are new in it.
    fn with_news(&self, group: NoticeGroup, form: &Form) -> NoticeGroup {
        let members = form.members.iter().filter_map(|id| self.loaded.incidents.get(id));
        let news = members.take(NEWS_NAMED).map(|one| one.subject_name.clone());
        NoticeGroup { news: news.collect(), news_count: form.members.len(), ..group }
    }

    /// Tells channels of new members that were not told of the group, through its lead.
    pub(super) async fn tell_late(&mut self, id: Uuid, members: &[Uuid]) -> Result<(), StoreError> {
        let Some(group) = self.groups.get(&id).cloned() else { return Ok(()) };
        let Some(lead) = self.loaded.incidents.get(&group.lead_incident_id) else { return Ok(()) };
        let mut channels = BTreeSet::new();
        for member in members {
            channels.extend(self.post.concerned(self.loaded, *member, group.quiet));
        }
        let told = self.post.told_of(lead.id, group.quiet);
        let late: BTreeSet<Uuid> = channels.difference(&told).copied().collect();
        let organisation_id = self.organisation_id;
        let told_before = self.loaded.groups.contains_key(&id);
        let described = self.notice_group(id).await?;
        let mut group = group;
        if let Some(described) = described.as_ref().filter(|_| told_before) {
            group.summary.clone_from(&described.summary);
        }
        if !late.is_empty() {
            let quiet = group.quiet;
            let event = intents::opening(self.tx, organisation_id, lead.id, quiet).await?;
            let telling = Telling {
                kind: NoticeKind::Opened,
                event_number: event.unwrap_or(1),
                opening_included: false,
                target: self.loaded.specs.get(&lead.id).map(|spec| spec.target.clone()),
                group: described,
            };
            let notice = notices::notice(&self.speaks(lead, members), telling, self.public_url);
            let post = &mut self.post;
            let recipients = (&late, quiet);
            let sent =
                post.deliver(self.tx, organisation_id, recipients, &notice, self.now).await?;
            self.done.deliveries += sent;
            group.paged = true;
            let names = self.post.names(&late);
            let summary = format!("Told {} too (of new members)", names.join(", "));
            let joins = self.plan.joins.iter();
            let join = joins.clone().find(|join| members.first() == Some(&join.incident_id));
            let mut evidence = join.map_or_else(|| json!({}), |join| self.join_evidence(join));
            evidence["channels"] = json!(names);
            evidence["members"] = json!(members.get(..EVIDENCE_CANDIDATES).unwrap_or(members));
            self.note(lead.id, "paged", summary, evidence);
        }
        groups::update(self.tx, organisation_id, &group).await
    }

    /// What is told through `lead` of those that came late: how it stands with it, or, where
    /// it is over, with the first of them. Its end is no news of theirs.
    fn speaks(&self, lead: &Incident, members: &[Uuid]) -> Incident {
        let mut hurting = members.iter().filter_map(|id| self.loaded.incidents.get(id));
        match hurting.find(|one| one.resolved_at.is_none()).filter(|_| lead.resolved_at.is_some()) {
            Some(member) => Incident { id: lead.id, ..member.clone() },
            None => lead.clone(),
        }
    }

    /// What a notice says of a group, as it is now.
    pub(super) async fn notice_group(
        &mut self,
        id: Uuid,
    ) -> Result<Option<NoticeGroup>, StoreError> {
        let Some(group) = self.groups.get(&id) else { return Ok(None) };
        let sizes = groups::sizes(self.tx, self.organisation_id, vec![id]).await?;
        let size = sizes.get(&id).copied().unwrap_or_default();
        // The others left it, and are over by themselves.
        if size.members < 2 {
            return Ok(None);
        }
        let limit = i64::try_from(NOTICE_MEMBERS).unwrap_or(i64::MAX);
        let members = groups::member_names(self.tx, self.organisation_id, id, limit).await?;
        let lead = self.loaded.incidents.get(&group.lead_incident_id);
        let lead = lead.map(|lead| lead.subject_name.as_str());
        Ok(Some(described(group, lead, size, members)))
    }
}

pub(super) fn is_global(candidate: &Candidate) -> bool {
    candidate.scope == Scope::Global
}

/// A group in words. One that its own lead holds up is about the lead.
fn described(
    group: &StoredGroup,
    lead: Option<&str>,
    size: Size,
    members: Vec<String>,
) -> NoticeGroup {
    let told = size.told as usize;
    let lead =
        lead.filter(|lead| group.cause.kind == CauseKind::Parent && *lead == group.cause.value);
    let (title, summary) = match lead {
        Some(lead) => {
            let others = size.members.saturating_sub(1);
            let title = format!("{lead} and {others} monitors that depend on it");
            (title, group.summary.clone())
        }
        None => (group.cause.phrase(told), group.cause.sentence(told, group.quiet)),
    };
    NoticeGroup {
        id: group.id,
        cause: format!("{} {}", group.cause.kind, group.cause.value),
        title,
        summary,
        members,
        count: size.members as usize,
        news: Vec::new(),
        news_count: 0,
        started_at_ms: size.started_at,
        resolved_at_ms: size.resolved_at.filter(|_| size.unresolved == 0),
    }
}
