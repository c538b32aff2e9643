//! What really happened: a monitor's incidents with what people were told.

use super::{Span, Telling, tellings, tells_the_beginning};
use crate::params;
use crate::store::incidents::{self, Event};
use crate::store::{StoreError, Tx};
use hyperverge_control_core::backtest::{Outage, Page};
use hyperverge_control_core::correlation::{RegionState, Verdict};
use hyperverge_control_core::incident::Input;
use std::collections::BTreeSet;
use uuid::Uuid;

/// Decisions of one timeline that are read, the newest ones.
const EVENTS: i64 = 200;
/// What was to be told of one incident that is read.
const INTENTS: i64 = 500;

/// The incidents of the monitor that were open at any time of `span`, in order,
/// at most `most` of them.
pub async fn outages(tx: &mut Tx, span: Span, most: i64) -> Result<Vec<Outage>, StoreError> {
    const SQL: &str = "SELECT id FROM incidents
        WHERE organisation_id = $1 AND subject_kind = 'monitor' AND subject_id = $2
            AND opened_at <= $4 AND (resolved_at IS NULL OR resolved_at >= $3)
        ORDER BY opened_at LIMIT $5";
    let organisation_id = span.organisation_id;
    let subject = span.monitor_id.to_string();
    let values = params![organisation_id, subject, span.from, span.until, most];
    let rows = tx.fetch_all(SQL, values).await?;
    let mut found = Vec::with_capacity(rows.len());
    for row in &rows {
        found.extend(outage(tx, organisation_id, row.get("id")?, span).await?);
    }
    Ok(found)
}

/// What an incident's changes asked to be told, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredIntent {
    pub event_number: i64,
    pub kind: String,
    /// Only for routes that name such incidents.
    pub quiet: bool,
    /// Moved while it is held.
    pub due_at: i64,
    /// Why it was held last, in words.
    pub hold_reason: Option<String>,
    pub created_at: i64,
    /// `None`: it waits.
    pub settled_at: Option<i64>,
    /// Why, in words.
    pub outcome: Option<String>,
}

/// The incident's intents, settled or not, in the order of their events.
pub async fn intents(
    tx: &mut Tx,
    organisation_id: Uuid,
    incident_id: Uuid,
) -> Result<Vec<StoredIntent>, StoreError> {
    const SQL: &str = "SELECT * FROM page_intents WHERE organisation_id = $1 AND incident_id = $2
        ORDER BY event_number LIMIT $3";
    let rows = tx.fetch_all(SQL, params![organisation_id, incident_id, INTENTS]).await?;
    rows.iter()
        .map(|row| {
            Ok(StoredIntent {
                event_number: row.get("event_number")?,
                kind: row.get("kind")?,
                quiet: row.get("quiet")?,
                due_at: row.get("due_at")?,
                hold_reason: row.get("hold_reason")?,
                created_at: row.get("created_at")?,
                settled_at: row.get("settled_at")?,
                outcome: row.get("outcome")?,
            })
        })
        .collect()
}

/// The incident of the monitor that was open at `at`, if one was.
pub async fn incident_at(
    tx: &mut Tx,
    organisation_id: Uuid,
    monitor_id: Uuid,
    at: i64,
) -> Result<Option<Uuid>, StoreError> {
    const SQL: &str = "SELECT id FROM incidents
        WHERE organisation_id = $1 AND subject_kind = 'monitor' AND subject_id = $2
            AND opened_at <= $3 AND (resolved_at IS NULL OR resolved_at > $3)
        ORDER BY opened_at DESC LIMIT 1";
    let values = params![organisation_id, monitor_id.to_string(), at];
    tx.fetch_optional(SQL, values).await?.map(|row| row.get("id")).transpose()
}

async fn outage(
    tx: &mut Tx,
    organisation_id: Uuid,
    id: Uuid,
    span: Span,
) -> Result<Option<Outage>, StoreError> {
    let Some(incident) = incidents::get(tx, organisation_id, id).await? else { return Ok(None) };
    let events = incidents::decisions(tx, organisation_id, id, span.until, EVENTS).await?;
    let resolved_at = incident.resolved_at.filter(|at| *at <= span.until);
    let told = tellings(tx, organisation_id, id, resolved_at, span.until).await?;
    let mut outage = Outage {
        opened_at: incident.opened_at,
        resolved_at,
        first_failed_at: incident.started_at,
        verdict: incident.verdict,
        scope: incident.scope,
        cause: incident.cause,
        regions: Vec::new(),
        summary: incident.summary,
        pages: pages(&events, &told, span),
        acknowledged: incident.acknowledged_at.is_some(),
    };
    let mut hurt = BTreeSet::new();
    for event in &events {
        if (badness(event.verdict), event.scope) > (badness(outage.verdict), outage.scope) {
            (outage.verdict, outage.scope) = (event.verdict, event.scope);
        }
        let Some(input) = input(event) else { continue };
        let first = input.evaluation.first_hurt();
        outage.first_failed_at = first.unwrap_or(i64::MAX).min(outage.first_failed_at);
        hurt.extend(hurting(&input));
    }
    outage.regions = hurt.into_iter().collect();
    Ok(Some(outage))
}

/// Each event's page once, however many were told it, be it through the lead of its
/// group. What is quiet pages nobody.
fn pages(events: &[Event], told: &[Telling], span: Span) -> Vec<Page> {
    let mut pages: Vec<(Key, Page)> = Vec::new();
    let within = |telling: &&Telling| (span.from..=span.until).contains(&telling.at);
    for telling in told.iter().filter(within).filter(|telling| !telling.quiet) {
        let notice = &telling.delivery.notice;
        let key = match telling.through {
            None => Key::Event(notice.event_number),
            // A group that widens tells nothing new of its members.
            Some(_) if tells_the_beginning(notice) => Key::Began,
            Some(_) => Key::Ended,
        };
        if pages.iter().any(|(other, _)| *other == key) {
            continue;
        }
        let number = match telling.through {
            None => Some(notice.event_number),
            Some(_) => events.iter().rfind(|event| event.at <= telling.at).map(|last| last.number),
        };
        let Some(place) = events.iter().position(|event| Some(event.number) == number) else {
            continue;
        };
        let event = &events[place];
        // What only tells what followed has the vote of the decision before it.
        let vote = match telling.through {
            None => input(event),
            Some(_) => events[..=place].iter().rev().find_map(input),
        };
        let page = Page {
            at: telling.at,
            kind: notice.kind,
            opening_included: notice.opening_included,
            scope: event.scope,
            regions: vote.map(|input| hurting(&input).collect()).unwrap_or_default(),
        };
        pages.push((key, page));
    }
    pages.into_iter().map(|(_, page)| page).collect()
}

/// What is one page, to however many it goes.
#[derive(PartialEq, Eq)]
enum Key {
    Event(i64),
    /// With the beginning of its group.
    Began,
    /// With the end of its group.
    Ended,
}

/// What the planner was asked with, where it was asked.
fn input(event: &Event) -> Option<Input> {
    serde_json::from_value(event.evidence.get("input")?.clone()).ok()
}

fn hurting(input: &Input) -> impl Iterator<Item = String> + '_ {
    let evaluation = &input.evaluation;
    let hurt = evaluation.of(RegionState::Down).chain(evaluation.of(RegionState::Degraded));
    hurt.map(|region| region.region.clone())
}

fn badness(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Down => 2,
        Verdict::Degraded => 1,
        Verdict::Up | Verdict::Unknown => 0,
    }
}
