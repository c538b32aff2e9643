//! What had been done about a monitor by a time.

use super::group::{GroupView, group};
use super::incident::channels_of;
use crate::api::Problem;
use crate::store::Tx;
use crate::store::channels::Channel;
use crate::store::history::{self, Span, StoredIntent, Telling, tells_the_beginning};
use crate::store::incidents::{self, Event, Incident};
use hyperverge_control_core::correlation::Evaluation;
use hyperverge_control_core::explain::{Told, asked};
use hyperverge_control_core::notification::utc;
use hyperverge_control_core::paging::Plan;

/// Lines of a timeline that are read, the newest by the time.
const EVENTS: i64 = 200;

/// The incident that was open, with what had happened to it.
#[derive(Default)]
pub(super) struct Then {
    pub(super) incident: Option<Incident>,
    /// The newest decision by then that was made on a vote, and when.
    pub(super) decided: Option<(i64, Evaluation)>,
    pub(super) intents: Vec<StoredIntent>,
    pub(super) group: Option<GroupView>,
    pub(super) deliveries: Vec<Telling>,
    pub(super) channels: Vec<Channel>,
    told: Was,
}

/// As [`Told`], with its own texts.
#[derive(Debug, Default)]
enum Was {
    #[default]
    NoIncident,
    Paged(String),
    Waits(String),
    Quietly(String),
    Nobody(String),
}

impl Then {
    pub(super) fn told(&self) -> Told<'_> {
        match &self.told {
            Was::NoIncident => Told::NoIncident,
            Was::Paged(at) => Told::Paged { at },
            Was::Waits(why) => Told::Waits { why },
            Was::Quietly(at) => Told::Quietly { at },
            Was::Nobody(why) => Told::Nobody { why },
        }
    }
}

/// What had been done by the end of `span`.
pub(super) async fn then(tx: &mut Tx, span: Span) -> Result<Then, Problem> {
    let Span { organisation_id, monitor_id, until: at, .. } = span;
    let found = history::incident_at(tx, organisation_id, monitor_id, at).await?;
    let Some(id) = found else { return Ok(Then::default()) };
    let incident = incidents::get(tx, organisation_id, id).await?;
    let events = incidents::newest(tx, organisation_id, id, at, EVENTS).await?;
    let mut intents = history::intents(tx, organisation_id, id).await?;
    intents.retain(|intent| intent.created_at <= at);
    let over = incident.as_ref().and_then(|incident| incident.resolved_at);
    let mut told = history::tellings(tx, organisation_id, id, over, at).await?;
    told.retain(|telling| telling.at <= at);
    let known = channels_of(tx, organisation_id, &told).await?;
    let group = match &incident {
        Some(incident) => group(tx, organisation_id, incident, at).await?,
        None => None,
    };
    let was = was_told(&events, &intents, (&told, group.as_ref()), at);
    let decided = events
        .iter()
        .rev()
        .find_map(|event| asked(&event.evidence).map(|input| (event.at, input.evaluation)));
    Ok(Then { incident, decided, intents, group, deliveries: told, channels: known, told: was })
}

fn was_told(
    events: &[Event],
    intents: &[StoredIntent],
    (told, group): (&[Telling], Option<&GroupView>),
    at: i64,
) -> Was {
    let began = || told.iter().filter(|one| tells_the_beginning(&one.delivery.notice));
    let when = |one: &Telling| {
        let lead = one.through.and_then(|_| group.map(GroupView::lead));
        let with = lead.map(|lead| format!(" with {lead}, which leads its group"));
        format!("{}{}", utc(one.at), with.unwrap_or_default())
    };
    if let Some(first) = began().find(|one| !one.quiet) {
        return Was::Paged(when(first));
    }
    // What is quiet pages nobody, whether it waits or not.
    let loud = || intents.iter().filter(|intent| !intent.quiet);
    let by_then = |intent: &StoredIntent| intent.settled_at.is_some_and(|when| when <= at);
    if let Some(waits) = loud().find(|intent| !by_then(intent)) {
        return Was::Waits(why_it_waits(waits, events, at));
    }
    match began().next() {
        // There was no page to be sent.
        Some(first) if loud().next().is_none() => Was::Quietly(when(first)),
        _ => Was::Nobody(why_nobody(events, intents, at)),
    }
}

/// Why this notice, and no other of the incident, had not been sent by `at`.
fn why_it_waits(intent: &StoredIntent, events: &[Event], at: i64) -> String {
    let held = events.iter().rev().find_map(|event| held_by(event, intent.event_number));
    match (held, &intent.hold_reason) {
        (Some(why), _) => why,
        (None, None) if intent.due_at > at => {
            format!("others of the same cause are waited for until {}", utc(intent.due_at))
        }
        // It was held later than that.
        (None, Some(_)) if intent.due_at > at => "others of the same cause are waited for".into(),
        (None, _) => "it was due and not sent yet".into(),
    }
}

/// Why `event` says that the notice of the event `number` is held.
fn held_by(event: &Event, number: i64) -> Option<String> {
    if event.kind != "held" {
        return None;
    }
    let plan: Plan = serde_json::from_value(event.evidence.get("plan")?.clone()).ok()?;
    plan.holds.into_iter().find(|hold| hold.events.contains(&number)).map(|hold| hold.why)
}

fn why_nobody(events: &[Event], intents: &[StoredIntent], at: i64) -> String {
    let settled = || {
        let by_then = |intent: &&StoredIntent| intent.settled_at.is_some_and(|when| when <= at);
        intents.iter().rev().filter(by_then)
    };
    let loud = settled().find(|intent| !intent.quiet).or_else(|| settled().next());
    let outcome = loud.and_then(|intent| intent.outcome.clone());
    let reasons = events.iter().rev().find_map(|event| {
        let reasons: Vec<String> =
            serde_json::from_value(event.evidence.get("reasons")?.clone()).ok()?;
        reasons.last().cloned()
    });
    outcome.or(reasons).unwrap_or_else(|| "it asked for no notice".to_owned())
}
