//! Carries a plan out: groups, members, timeline, intents and deliveries, together.

use super::load::Loaded;
use super::post::Post;
use crate::clock;
use crate::limits::EVIDENCE_CANDIDATES;
use crate::store::groups::{self, Note, Size, StoredGroup};
use crate::store::intents::{self, Postponed, Settled};
use crate::store::notices::{self, Telling};
use crate::store::{StoreError, Tx};
use hyperverge_control_core::correlation::Scope;
use hyperverge_control_core::notification::limits::NOTICE_MEMBERS;
use hyperverge_control_core::notification::{NoticeGroup, NoticeKind};
use hyperverge_control_core::paging::{
    Candidate, CauseKind, Company, Concerns, Form, GroupRef, Input, Join, Plan, Reach, Send, plan,
};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// What was done, for metrics and hints after the commit.
#[derive(Debug, Default)]
pub(super) struct Done {
    /// Groups formed, by cause.
    pub(super) groups: BTreeMap<CauseKind, u64>,
    /// Intents newly held, by reason.
    pub(super) held: BTreeMap<&'static str, u64>,
    /// Intents settled, by what became of them.
    pub(super) settled: BTreeMap<&'static str, u64>,
    pub(super) deliveries: usize,
}

/// Plans and writes; nothing is written where there is nothing to do.
pub(super) async fn out(
    tx: &mut Tx,
    organisation_id: Uuid,
    loaded: &Loaded,
    public_url: &str,
    now: i64,
) -> Result<Done, StoreError> {
    let plan = plan(&loaded.input, now);
    if plan.is_empty() {
        return Ok(Done::default());
    }
    let told = plan.sends.iter().map(|send| send.incident_id);
    let joined = plan.joins.iter().map(|join| join.incident_id);
    let leads = loaded.groups.values().map(|group| group.lead_incident_id);
    let formed = plan.forms.iter().map(|form| form.lead);
    let ids: BTreeSet<Uuid> = told.chain(joined).chain(leads).chain(formed).collect();
    let post = Post::read(tx, organisation_id, ids.into_iter().collect()).await?;
    let candidates = loaded.input.candidates.iter();
    let mut carrier = Carrier {
        tx,
        organisation_id,
        loaded,
        plan: &plan,
        concerns: Concerns::new(&loaded.input),
        candidates: candidates.map(|one| (one.incident_id, one)).collect(),
        post,
        public_url,
        now,
        groups: loaded.groups.clone(),
        led_by: BTreeMap::new(),
        company: BTreeMap::new(),
        notes: Vec::new(),
        settled: Vec::new(),
        done: Done::default(),
    };
    carrier.everything().await?;
    Ok(carrier.done)
}

struct Carrier<'a> {
    tx: &'a mut Tx,
    organisation_id: Uuid,
    loaded: &'a Loaded,
    plan: &'a Plan,
    concerns: Concerns<'a>,
    candidates: BTreeMap<Uuid, &'a Candidate>,
    post: Post,
    public_url: &'a str,
    now: i64,
    /// Open groups, with those that this plan forms.
    groups: BTreeMap<Uuid, StoredGroup>,
    led_by: BTreeMap<Uuid, Uuid>,
    /// What failed together with the lead of each new group.
    company: BTreeMap<Uuid, Company>,
    notes: Vec<Note>,
    settled: Vec<Settled>,
    done: Done,
}

impl Carrier<'_> {
    async fn everything(&mut self) -> Result<(), StoreError> {
        let plan = self.plan;
        if !plan.leaves.is_empty() {
            groups::list(self.tx, self.organisation_id, None, plan.leaves.clone()).await?;
        }
        for form in &plan.forms {
            self.form(form).await?;
        }
        let joined = self.join().await?;
        for send in &plan.sends {
            self.send(send).await?;
        }
        for (group, members) in joined {
            self.tell_late(group, &members).await?;
        }
        self.fold();
        self.hold().await?;
        if !plan.closes.is_empty() {
            groups::close(self.tx, self.organisation_id, plan.closes.clone(), self.now).await?;
        }
        groups::note(self.tx, self.organisation_id, &self.notes, self.now).await?;
        intents::settle(self.tx, self.organisation_id, &self.settled, self.now).await?;
        Ok(())
    }

    fn id_of(&self, group: GroupRef) -> Option<Uuid> {
        match group {
            GroupRef::Known(id) => Some(id),
            GroupRef::LedBy(lead) => self.led_by.get(&lead).copied(),
        }
    }

    async fn form(&mut self, form: &Form) -> Result<(), StoreError> {
        let all = form.members.iter().chain([&form.lead]);
        let members: Vec<&Candidate> =
            all.filter_map(|id| self.candidates.get(id)).copied().collect();
        let newest = members.iter().map(|one| one.started_at).max();
        let group = StoredGroup {
            id: clock::new_id(),
            cause: form.cause.clone(),
            summary: form.summary.clone(),
            lead_incident_id: form.lead,
            opened_at: self.now,
            resolved_at: None,
            paged: self.candidates.get(&form.lead).is_some_and(|lead| lead.paged),
            quiet: form.quiet,
            told_global: self.candidates.get(&form.lead).is_some_and(|one| is_global(one)),
            newest_started_at: newest.unwrap_or(self.now),
            interval_ms: members.iter().map(|one| one.interval_ms).max().unwrap_or(0),
        };
        groups::insert(self.tx, self.organisation_id, &group).await?;
        let told = form.members.iter().chain([&form.lead]).copied().collect();
        let organisation_id = self.organisation_id;
        groups::tell(self.tx, organisation_id, group.id, form.quiet, told).await?;
        if !form.held.is_empty() {
            let held = form.held.clone();
            groups::list(self.tx, organisation_id, Some(group.id), held).await?;
        }
        self.company.insert(form.lead, self.concerns.company(form, self.now));
        *self.done.groups.entry(form.cause.kind).or_default() += 1;
        self.led_by.insert(form.lead, group.id);
        if self.plan.sends.iter().all(|send| send.incident_id != form.lead) {
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

    /// Makes members; says who has to be told of which known or new group.
    async fn join(&mut self) -> Result<BTreeMap<Uuid, Vec<Uuid>>, StoreError> {
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
            let quiet = group.quiet;
            groups::tell(self.tx, self.organisation_id, *id, quiet, members.clone()).await?;
        }
        Ok(joined)
    }

    fn note_join(&mut self, join: &Join) {
        let Some(id) = self.id_of(join.group) else { return };
        let evidence = self.join_evidence(join);
        let Some(known) = self.groups.get(&id) else { return };
        let with = if join.held { "Listed, and held, with" } else { "Told with" };
        let summary = format!("{with} a group: {}", known.summary);
        self.note(join.incident_id, "grouped", summary, evidence);
        self.settle(join.incident_id, &join.events, "told with its group", "joined");
    }

    async fn send(&mut self, send: &Send) -> Result<(), StoreError> {
        let Some(incident) = self.loaded.incidents.get(&send.incident_id) else { return Ok(()) };
        let channels = self.recipients(send);
        let group = send.group.and_then(|group| self.id_of(group));
        let telling = Telling {
            kind: send.kind,
            event_number: send.event_number,
            opening_included: send.opening_included,
            target: self.loaded.specs.get(&incident.id).map(|spec| spec.target.clone()),
            group: match group {
                Some(group) => self.notice_group(group).await?,
                None => None,
            },
        };
        let notice = notices::notice(incident, telling, self.public_url);
        let (organisation_id, now) = (self.organisation_id, self.now);
        let post = &mut self.post;
        let sent = post.deliver(self.tx, organisation_id, &channels, &notice, now).await?;
        self.done.deliveries += sent;
        self.note_send(send, &channels);
        let outcome = match channels.is_empty() {
            true => ("nobody", Post::nobody(send.quiet)),
            false => ("sent", "put in the outbox"),
        };
        self.settle(send.incident_id, &[send.event_number], outcome.1, outcome.0);
        let folded = match send.kind {
            NoticeKind::Resolved => "told by the notice that it is over",
            NoticeKind::Opened | NoticeKind::Widened => "told by an earlier notice",
        };
        self.settle(send.incident_id, &send.folded, folded, "folded");
        if let Some(group) = group.and_then(|id| self.groups.get_mut(&id)) {
            group.paged |= !channels.is_empty();
            let lead = self.candidates.get(&send.incident_id);
            group.told_global |= lead.is_some_and(|one| is_global(one));
            let group = group.clone();
            groups::update(self.tx, organisation_id, &group).await?;
        }
        Ok(())
    }

    /// Whoever is told of a beginning is told of its end, and nobody else.
    fn recipients(&self, send: &Send) -> BTreeSet<Uuid> {
        if send.kind == NoticeKind::Resolved && !send.opening_included {
            return self.post.told(send.incident_id);
        }
        let mut found = self.post.concerned(self.loaded, send.incident_id, send.quiet);
        if let Some(GroupRef::LedBy(lead)) = send.group {
            let form = self.plan.forms.iter().find(|form| form.lead == lead);
            for member in form.iter().flat_map(|form| &form.members) {
                found.extend(self.post.concerned(self.loaded, *member, send.quiet));
            }
        }
        found
    }

    fn note_send(&mut self, send: &Send, channels: &BTreeSet<Uuid>) {
        let names = self.post.names(channels);
        let (kind, summary) = match names.is_empty() {
            false => ("paged", format!("Told {} ({})", names.join(", "), send.kind)),
            true => {
                let why = Post::nobody(send.quiet);
                ("held", format!("Nobody was told ({}): {why}", send.kind))
            }
        };
        let mut evidence = self.lead_evidence(send.incident_id);
        evidence["notice"] = json!(send);
        evidence["channels"] = json!(names);
        let told = send.kind == NoticeKind::Opened && !names.is_empty();
        self.notes.push(Note {
            incident_id: send.incident_id,
            kind,
            summary,
            evidence,
            paged: told && !send.quiet,
            told_quietly: told && send.quiet,
        });
    }

    /// Tells channels of new members that were not told of the group, through its lead.
    async fn tell_late(&mut self, id: Uuid, members: &[Uuid]) -> Result<(), StoreError> {
        let Some(group) = self.groups.get(&id).cloned() else { return Ok(()) };
        let Some(lead) = self.loaded.incidents.get(&group.lead_incident_id) else { return Ok(()) };
        let mut channels = BTreeSet::new();
        for member in members {
            channels.extend(self.post.concerned(self.loaded, *member, group.quiet));
        }
        let told = self.post.told(lead.id);
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
            let notice = notices::notice(lead, telling, self.public_url);
            let post = &mut self.post;
            let sent = post.deliver(self.tx, organisation_id, &late, &notice, self.now).await?;
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

    /// What a notice says of a group, as it is now.
    async fn notice_group(&mut self, id: Uuid) -> Result<Option<NoticeGroup>, StoreError> {
        let Some(group) = self.groups.get(&id) else { return Ok(None) };
        let sizes = groups::sizes(self.tx, self.organisation_id, vec![id]).await?;
        let size = sizes.get(&id).copied().unwrap_or_default();
        let limit = i64::try_from(NOTICE_MEMBERS).unwrap_or(i64::MAX);
        let members = groups::member_names(self.tx, self.organisation_id, id, limit).await?;
        let lead = self.loaded.incidents.get(&group.lead_incident_id);
        let lead = lead.map(|lead| lead.subject_name.as_str());
        Ok(Some(described(group, lead, size, members)))
    }

    fn fold(&mut self) {
        for fold in &self.plan.folds {
            let why = fold.why.as_str();
            let waiting = self.candidates.get(&fold.incident_id).map(|one| &one.waiting);
            let tells = waiting.into_iter().flatten().any(|waiting| {
                fold.events.contains(&waiting.event_number) && waiting.kind != NoticeKind::Resolved
            });
            if tells {
                let part = Plan { folds: vec![fold.clone()], ..Plan::default() };
                let evidence = self.evidence(fold.incident_id, Reach::Parents, &part);
                let summary = format!("Nobody was told: {why}");
                self.note(fold.incident_id, "held", summary, evidence);
            }
            self.settle(fold.incident_id, &fold.events, why, "folded");
        }
    }

    /// Lets held intents wait; the timeline says so once for each reason.
    async fn hold(&mut self) -> Result<(), StoreError> {
        let mut postponed = Vec::new();
        for hold in &self.plan.holds {
            let before = |event: &i64| self.loaded.held_before.get(&(hold.incident_id, *event));
            let news = hold.events.iter().any(|event| before(event) != Some(&hold.why));
            postponed.extend(hold.events.iter().map(|event| Postponed {
                incident_id: hold.incident_id,
                event_number: *event,
                due_at: hold.until,
                reason: hold.why.clone(),
            }));
            if news {
                let part = Plan { holds: vec![hold.clone()], ..Plan::default() };
                let evidence = self.evidence(hold.incident_id, Reach::Parents, &part);
                let summary = format!("Nobody is told yet: {}", hold.why);
                self.note(hold.incident_id, "held", summary, evidence);
                *self.done.held.entry(hold.by()).or_default() += hold.events.len() as u64;
            }
        }
        if postponed.is_empty() {
            return Ok(());
        }
        intents::postpone(self.tx, self.organisation_id, &postponed).await
    }

    /// What the planner was asked, as far as it concerns the incident, and its answer.
    fn evidence(&self, incident_id: Uuid, reach: Reach, part: &Plan) -> Value {
        let (input, left_out) = self.concerns.of(incident_id, reach, EVIDENCE_CANDIDATES);
        self.stored(&input, left_out, part)
    }

    /// As [`Self::evidence`], of an incident that is told, for its group if it leads one.
    fn lead_evidence(&self, lead: Uuid) -> Value {
        let (mut input, mut left_out) = self.concerns.of(lead, Reach::Causes, EVIDENCE_CANDIDATES);
        if let Some(company) = self.company.get(&lead).filter(|_| left_out > 0) {
            (input, left_out) = self.concerns.of_member(lead, company, EVIDENCE_CANDIDATES);
        }
        self.stored(&input, left_out, &self.plan.about(lead))
    }

    /// As [`Self::evidence`], of an incident that comes into a group.
    fn join_evidence(&self, join: &Join) -> Value {
        let company = match join.group {
            GroupRef::LedBy(lead) => self.company.get(&lead),
            GroupRef::Known(_) => None,
        };
        let part = Plan { joins: vec![join.clone()], ..Plan::default() };
        let mut evidence = match company {
            Some(company) => {
                let (input, left_out) = self.concerns.of_member(join.incident_id, company, 0);
                self.stored(&input, left_out, &part)
            }
            None => self.evidence(join.incident_id, Reach::Parents, &part),
        };
        if let Some(known) = self.id_of(join.group).and_then(|id| self.groups.get(&id)) {
            evidence["group"] = json!({ "id": known.id, "lead": known.lead_incident_id });
        }
        evidence
    }

    fn stored(&self, input: &Input, left_out: usize, part: &Plan) -> Value {
        json!({ "now": self.now, "input": input, "left_out": left_out, "plan": part })
    }

    fn note(&mut self, incident_id: Uuid, kind: &'static str, summary: String, evidence: Value) {
        let (paged, told_quietly) = (false, false);
        self.notes.push(Note { incident_id, kind, summary, evidence, paged, told_quietly });
    }

    fn settle(&mut self, incident_id: Uuid, events: &[i64], why: &str, outcome: &'static str) {
        *self.done.settled.entry(outcome).or_default() += events.len() as u64;
        self.settled.extend(events.iter().map(|event| Settled {
            incident_id,
            event_number: *event,
            outcome: why.to_owned(),
        }));
    }
}

fn is_global(candidate: &Candidate) -> bool {
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
    }
}
