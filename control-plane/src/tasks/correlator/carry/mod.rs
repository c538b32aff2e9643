//! Carries a plan out: groups, members, timeline, intents and deliveries, together.

mod company;
mod evidence;

use super::load::Loaded;
use super::post::Post;
use crate::store::groups::{self, Note, StoredGroup};
use crate::store::intents::{self, Postponed, Settled};
use crate::store::notices::{self, Telling};
use crate::store::{StoreError, Tx};
use company::is_global;
use hyperverge_control_core::notification::NoticeKind;
use hyperverge_control_core::paging::{
    Candidate, CauseKind, Company, Concerns, GroupRef, Plan, Reach, Send, plan,
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
        for form in plan.forms.iter().filter(|form| plan.widens(form)) {
            self.widen(form).await?;
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
        let recipients = (&channels, send.quiet);
        let sent = post.deliver(self.tx, organisation_id, recipients, &notice, now).await?;
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
            return self.post.heard(self.loaded, send.incident_id);
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
