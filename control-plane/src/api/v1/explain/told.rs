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

/// Lines of a timeline that are read.
const EVENTS: i64 = 500;

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
    Nobody(String),
}

impl Then {
    pub(super) fn told(&self) -> Told<'_> {
        match &self.told {
            Was::NoIncident => Told::NoIncident,
            Was::Paged(at) => Told::Paged { at },
            Was::Waits(why) => Told::Waits { why },
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
    let mut events = incidents::timeline(tx, organisation_id, id, 0, EVENTS).await?;
    events.retain(|event| event.at <= at);
    let mut intents = history::intents(tx, organisation_id, id).await?;
    intents.retain(|intent| intent.created_at <= at);
    let over = incident.as_ref().and_then(|incident| incident.resolved_at);
    let mut told = history::tellings(tx, organisation_id, id, over, &events).await?;
    told.retain(|telling| telling.at <= at);
    let known = channels_of(tx, organisation_id, &told).await?;
    let group = match &incident {
        Some(incident) => group(tx, organisation_id, incident, &events, at).await?,
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
    let mut began = told.iter().filter(|one| tells_the_beginning(&one.delivery.notice));
    if let Some(first) = began.next() {
        let lead = first.through.and_then(|_| group.map(GroupView::lead));
        let with = lead.map(|lead| format!(" with {lead}, which leads its group"));
        return Was::Paged(format!("{}{}", utc(first.at), with.unwrap_or_default()));
    }
    // What is quiet pages nobody, whether it waits or not.
    let mut loud = intents.iter().filter(|intent| !intent.quiet);
    let waits = loud.find(|intent| intent.settled_at.is_none_or(|settled| settled > at));
    let held = events.iter().rev().find(|event| event.kind == "held");
    match (waits, held) {
        (Some(_), Some(held)) => Was::Waits(held.summary.clone()),
        (Some(intent), None) if intent.due_at > at => Was::Waits(format!(
            "others of the same cause are waited for until {}",
            utc(intent.due_at)
        )),
        (Some(_), None) => Was::Waits("it was due and not sent yet".to_owned()),
        (None, _) => Was::Nobody(why_nobody(events, intents)),
    }
}

fn why_nobody(events: &[Event], intents: &[StoredIntent]) -> String {
    let outcome = intents.iter().rev().find_map(|intent| intent.outcome.clone());
    let reasons = events.iter().rev().find_map(|event| {
        let reasons: Vec<String> =
            serde_json::from_value(event.evidence.get("reasons")?.clone()).ok()?;
        reasons.last().cloned()
    });
    outcome.or(reasons).unwrap_or_else(|| "it asked for no notice".to_owned())
}
