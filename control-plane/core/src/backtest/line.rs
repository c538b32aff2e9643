//! One line of incidents: what the planner decides, kept as the store would keep it.

use super::{Outage, Page};
use crate::correlation::{Evaluation, RegionState, RegionView, Verdict};
use crate::incident::{Change, Ending, EventKind, Input, Open, Plan, SubjectKind, end, flap, plan};
use crate::notification::NoticeKind;
use crate::paging::{self, Candidate, Send, Traits, Waiting};
use hyperverge_protocol::monitor::MonitorSpec;
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// The incidents of one monitor under one rule, one after the other.
#[derive(Debug)]
pub(super) struct Line {
    group_wait_ms: i64,
    name: String,
    labels: BTreeMap<String, String>,
    /// When incidents opened or resolved.
    turns: Vec<flap::Turn>,
    /// Until when a resolution is held.
    hold_until: Option<i64>,
    /// The newest vote's.
    verdict: Verdict,
    /// When it was last looked at what is due.
    looked_at: i64,
    /// At most the last is open.
    incidents: Vec<Incident>,
}

#[derive(Debug)]
struct Incident {
    open: Open,
    /// Number of the newest event.
    event: i64,
    waiting: Vec<Waiting>,
    outage: Outage,
}

impl Line {
    pub(super) fn new(group_wait_ms: i64) -> Self {
        Self {
            group_wait_ms,
            name: String::new(),
            labels: BTreeMap::new(),
            turns: Vec::new(),
            hold_until: None,
            verdict: Verdict::Unknown,
            looked_at: i64::MIN,
            incidents: Vec::new(),
        }
    }

    pub(super) fn into_outages(self) -> Vec<Outage> {
        self.incidents.into_iter().map(|incident| incident.outage).collect()
    }

    /// When something is due next: a notice, or a resolution that is held. What was
    /// looked at when it was due, and waits on, waits for another vote.
    pub(super) fn next_due(&self) -> Option<i64> {
        let waiting = self.incidents.iter().flat_map(|incident| &incident.waiting);
        let due = waiting.map(|intent| intent.due_at).chain(self.hold_until);
        due.filter(|at| *at > self.looked_at).min()
    }

    /// Asks the planner what `evaluation` changes.
    pub(super) fn decide(&mut self, spec: &MonitorSpec, evaluation: Evaluation, now: i64) {
        if self.name != spec.name || self.labels != spec.labels {
            self.name.clone_from(&spec.name);
            self.labels.clone_from(&spec.labels);
        }
        let first_hurt = evaluation.first_hurt();
        self.verdict = evaluation.verdict;
        let input = Input {
            name: self.name.clone(),
            open: self.running().map(|incident| incident.open.clone()),
            evaluation,
            group_wait_ms: self.group_wait_ms,
            labels: self.labels.clone(),
            flap: flap::Rule::of(&spec.policy.flap),
            turns: self.turns.clone(),
            hold_until: self.hold_until,
        };
        let Plan { change, hold_until, turns } = plan(&input, now);
        (self.hold_until, self.turns) = (hold_until, turns);
        if let Some(change) = change {
            self.apply(change, first_hurt, now);
        }
    }

    /// Ends the open incident of a monitor that is looked at no more.
    pub(super) fn end(&mut self, ending: Ending, now: i64) {
        let Some(open) = self.running().map(|incident| incident.open.clone()) else { return };
        let change = end(&self.name, &self.labels, &open, ending, now);
        self.hold_until = None;
        self.apply(change, None, now);
    }

    /// Tells what is due, as it would be told if the monitor were the only one.
    pub(super) fn settle(&mut self, now: i64) {
        self.looked_at = now;
        let waits = |incident: &Incident| !incident.waiting.is_empty();
        if !self.incidents.iter().any(waits) {
            return;
        }
        let all = (0u128..).zip(&self.incidents).filter(|(_, incident)| waits(incident));
        let candidates = all.map(|(index, incident)| self.candidate(index, incident)).collect();
        let plan = paging::plan(&paging::Input { candidates, ..paging::Input::default() }, now);
        let at = |id: Uuid| usize::try_from(id.as_u128()).unwrap_or(usize::MAX);
        for send in &plan.sends {
            let Some(incident) = self.incidents.get_mut(at(send.incident_id)) else { continue };
            incident.settled(|event| event == send.event_number || send.folded.contains(&event));
            incident.tell(send, now);
            incident.note(now);
        }
        for fold in &plan.folds {
            let Some(incident) = self.incidents.get_mut(at(fold.incident_id)) else { continue };
            incident.settled(|event| fold.events.contains(&event));
            incident.note(now);
        }
    }

    fn candidate(&self, index: u128, incident: &Incident) -> Candidate {
        let resolved = incident.outage.resolved_at.is_some();
        Candidate {
            incident_id: Uuid::from_u128(index),
            subject: SubjectKind::Monitor,
            name: self.name.clone(),
            verdict: self.verdict,
            scope: incident.open.scope,
            started_at: incident.open.started_at,
            resolved,
            paged: incident.open.paged,
            told_quietly: incident.open.told_quietly,
            told_alone: incident.open.paged || incident.open.told_quietly,
            group: None,
            waiting: incident.waiting.clone(),
            traits: Traits::default(),
            parents: Vec::new(),
            interval_ms: 0,
            recheck_ms: 0,
            hold: None,
        }
    }

    fn running(&self) -> Option<&Incident> {
        self.incidents.last().filter(|incident| incident.outage.resolved_at.is_none())
    }

    fn apply(&mut self, change: Change, first_hurt: Option<i64>, now: i64) {
        if change.kind == EventKind::Opened {
            self.incidents.push(Incident::opened(&change, now));
        }
        if let Some(incident) = self.incidents.last_mut() {
            incident.change(change, first_hurt, now);
        }
    }
}

impl Incident {
    fn opened(change: &Change, now: i64) -> Self {
        Self {
            open: Open {
                verdict: change.verdict,
                scope: change.scope,
                cause: None,
                regions: Vec::new(),
                started_at: change.started_at,
                opened_at: now,
                changed_at: now,
                paged: false,
                opening_waits: false,
                opening_held: false,
                widening_waits: false,
                told: None,
                flaps: false,
                told_quietly: false,
                widest_down: None,
            },
            event: 0,
            waiting: Vec::new(),
            outage: Outage {
                opened_at: now,
                resolved_at: None,
                first_failed_at: change.started_at,
                verdict: change.verdict,
                scope: change.scope,
                cause: None,
                regions: Vec::new(),
                summary: String::new(),
                pages: Vec::new(),
                acknowledged: false,
            },
        }
    }

    /// What the store writes of a change.
    fn change(&mut self, change: Change, first_hurt: Option<i64>, now: i64) {
        let outage = &mut self.outage;
        outage.first_failed_at = first_hurt.unwrap_or(i64::MAX).min(outage.first_failed_at);
        if change.kind == EventKind::Resolved {
            outage.resolved_at = Some(now);
        }
        if (badness(change.verdict), change.scope) >= (badness(outage.verdict), outage.scope) {
            (outage.verdict, outage.scope) = (change.verdict, change.scope);
        }
        if change.kind != EventKind::Resolved {
            let hurt: BTreeSet<String> =
                outage.regions.drain(..).chain(hurting(&change.regions)).collect();
            outage.regions = hurt.into_iter().collect();
        }
        outage.cause.clone_from(&change.cause);
        outage.summary = change.summary;
        (self.open.verdict, self.open.scope) = (change.verdict, change.scope);
        self.open.started_at = change.started_at;
        self.open.flaps |= change.kind == EventKind::Held;
        self.open.told = self.open.told.filter(|_| change.verdict == Verdict::Down);
        self.open.cause = change.cause;
        self.open.regions = change.regions;
        self.note(now);
        if let Some(intent) = change.intent {
            self.waiting.push(Waiting {
                event_number: self.event,
                kind: intent.kind,
                due_at: intent.due_at,
                quiet: intent.quiet,
            });
        }
        self.refresh();
    }

    fn tell(&mut self, send: &Send, now: i64) {
        // What is quiet goes to routes that name it: it is no page.
        if send.quiet {
            return self.open.told_quietly = true;
        }
        self.open.paged |= send.kind == NoticeKind::Opened;
        self.open.told = self.open.told.max(Some(self.open.scope));
        self.outage.pages.push(Page {
            at: now,
            kind: send.kind,
            opening_included: send.opening_included,
            scope: self.open.scope,
            regions: hurting(&self.open.regions).collect(),
        });
    }

    /// These events need nothing more.
    fn settled(&mut self, is: impl Fn(i64) -> bool) {
        self.waiting.retain(|intent| !is(intent.event_number));
        self.refresh();
    }

    /// One more line of the timeline.
    fn note(&mut self, now: i64) {
        self.event += 1;
        self.open.changed_at = now;
        if self.open.verdict == Verdict::Down {
            self.open.widest_down = self.open.widest_down.max(Some(self.open.scope));
        }
    }

    fn refresh(&mut self) {
        let opening = |quiet: bool| {
            move |intent: &Waiting| intent.kind == NoticeKind::Opened && intent.quiet == quiet
        };
        self.open.opening_waits = self.waiting.iter().any(opening(false));
        let widening = |intent: &Waiting| intent.kind == NoticeKind::Widened;
        self.open.widening_waits = self.waiting.iter().any(widening);
        self.open.told_quietly |= self.waiting.iter().any(opening(true));
    }
}

fn badness(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Down => 2,
        Verdict::Degraded => 1,
        Verdict::Up | Verdict::Unknown => 0,
    }
}

fn hurting(regions: &[RegionView]) -> impl Iterator<Item = String> + '_ {
    let hurt =
        |region: &&RegionView| matches!(region.state, RegionState::Down | RegionState::Degraded);
    regions.iter().filter(hurt).map(|region| region.region.clone())
}
