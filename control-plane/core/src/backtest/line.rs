//! One line of incidents: what the planner decides, kept as the store would keep it.

use super::{Outage, Page};
use crate::correlation::{Evaluation, RegionState, RegionView, Verdict};
use crate::incident::{Change, Ending, EventKind, Input, Open, Plan, end, flap, plan};
use crate::notification::{NoticeKind, ToSend, Waiting, settle};
use hyperverge_protocol::monitor::MonitorSpec;
use std::collections::{BTreeMap, BTreeSet};

/// The incidents of one monitor under one rule, one after the other.
#[derive(Debug)]
pub(super) struct Line {
    group_wait_ms: i64,
    name: String,
    labels: BTreeMap<String, String>,
    /// When incidents opened or resolved.
    turns: Vec<i64>,
    /// Until when a resolution is held.
    hold_until: Option<i64>,
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
            incidents: Vec::new(),
        }
    }

    pub(super) fn into_outages(self) -> Vec<Outage> {
        self.incidents.into_iter().map(|incident| incident.outage).collect()
    }

    /// When the next notice is due, or a held resolution is looked at again.
    pub(super) fn next_due(&self) -> Option<i64> {
        let waiting = self.incidents.last().map_or(&[][..], |incident| &incident.waiting);
        waiting.iter().map(|intent| intent.due_at).chain(self.hold_until).min()
    }

    /// Asks the planner what `evaluation` changes.
    pub(super) fn decide(&mut self, spec: &MonitorSpec, evaluation: Evaluation, now: i64) {
        if self.name != spec.name || self.labels != spec.labels {
            self.name.clone_from(&spec.name);
            self.labels.clone_from(&spec.labels);
        }
        let first_hurt = evaluation.first_hurt();
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
        let Plan { change, hold_until } = plan(&input, now);
        self.hold_until = hold_until;
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

    /// Sends what is due.
    pub(super) fn settle(&mut self, now: i64) {
        let Some(incident) = self.incidents.last_mut() else { return };
        let down = incident.open.verdict == Verdict::Down;
        let settlement = settle(&incident.waiting, down, now);
        if settlement.send.is_none() && settlement.folded.is_empty() {
            return;
        }
        let folded = |number| settlement.folded.iter().any(|(event, _)| *event == number);
        let sent = settlement.send.as_ref().map(|send| send.event_number);
        incident
            .waiting
            .retain(|intent| Some(intent.event_number) != sent && !folded(intent.event_number));
        if let Some(send) = &settlement.send {
            incident.tell(send, now);
        }
        incident.note(now);
        incident.refresh();
    }

    fn running(&self) -> Option<&Incident> {
        self.incidents.last().filter(|incident| incident.outage.resolved_at.is_none())
    }

    fn apply(&mut self, change: Change, first_hurt: Option<i64>, now: i64) {
        if matches!(change.kind, EventKind::Opened | EventKind::Resolved) {
            self.turns = flap::turned(&self.turns, now);
        }
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
                changed_at: now,
                paged: false,
                opening_waits: false,
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
        self.open.cause = change.cause;
        self.open.regions = change.regions;
        self.note(now);
        // What is quiet goes to routes only: it is no page.
        if let Some(intent) = change.intent.filter(|intent| !intent.quiet) {
            let (event_number, due_at) = (self.event, intent.due_at);
            self.waiting.push(Waiting { event_number, kind: intent.kind, due_at });
        }
        self.refresh();
    }

    fn tell(&mut self, send: &ToSend, now: i64) {
        self.open.paged |= send.kind == NoticeKind::Opened;
        self.outage.pages.push(Page {
            at: now,
            kind: send.kind,
            opening_included: send.opening_included,
            scope: self.open.scope,
            regions: hurting(&self.open.regions).collect(),
        });
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
        let opening = |intent: &Waiting| intent.kind == NoticeKind::Opened;
        self.open.opening_waits = self.waiting.iter().any(opening);
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
