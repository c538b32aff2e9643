//! One line of incidents: what the planner decides, kept as the store would keep it.

use super::{Outage, Page};
use crate::correlation::{Evaluation, RegionState, RegionView, Verdict};
use crate::incident::{Change, Ending, EventKind, Input, Open, end, plan};
use crate::notification::{NoticeKind, ToSend, Waiting, settle};
use std::collections::BTreeSet;

/// The incidents of one monitor under one rule, one after the other.
#[derive(Debug)]
pub(super) struct Line {
    group_wait_ms: i64,
    name: String,
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
        Self { group_wait_ms, name: String::new(), incidents: Vec::new() }
    }

    pub(super) fn into_outages(self) -> Vec<Outage> {
        self.incidents.into_iter().map(|incident| incident.outage).collect()
    }

    /// When the next notice is due.
    pub(super) fn next_due(&self) -> Option<i64> {
        let waiting = &self.incidents.last()?.waiting;
        waiting.iter().map(|intent| intent.due_at).min()
    }

    /// Asks the planner what `evaluation` changes.
    pub(super) fn decide(&mut self, name: &str, evaluation: Evaluation, now: i64) {
        if self.name != name {
            name.clone_into(&mut self.name);
        }
        let first_hurt = evaluation.first_hurt();
        let open = self.running().map(|incident| incident.open.clone());
        let (name, group_wait_ms) = (self.name.clone(), self.group_wait_ms);
        let input = Input { name, open, evaluation, group_wait_ms };
        if let Some(change) = plan(&input, now) {
            self.apply(change, first_hurt, now);
        }
    }

    /// Ends the open incident of a monitor that is looked at no more.
    pub(super) fn end(&mut self, ending: Ending, now: i64) {
        let Some(open) = self.running().map(|incident| incident.open.clone()) else { return };
        let change = end(&self.name, &open, ending, now);
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
        if let Some(intent) = change.intent {
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
