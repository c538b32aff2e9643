//! Intents that are due become notices, as in `control-plane/src/tasks/correlator.rs`.

use super::database::{Database, IncidentId, IntentRow};
use super::note::{Note, Told};
use crate::world::cast::Cast;
use hyperverge_control_core::correlation::Verdict;
use hyperverge_control_core::incident::SubjectKind;
use hyperverge_control_core::notification::{
    NoticeKind, QUORUM_ENDED, ToSend, Waiting, settle as settle_intents,
};
use std::collections::BTreeSet;

/// Incidents with an intent that is due.
pub(super) fn due(db: &Database, now: i64) -> Vec<IncidentId> {
    let waiting = db.intents.iter().filter(|(_, it)| it.outcome.is_none() && it.due_at <= now);
    waiting.map(|((incident, _), _)| *incident).collect::<BTreeSet<_>>().into_iter().collect()
}

/// Settles one incident's intents.
pub(super) fn settle(
    db: &mut Database,
    cast: &Cast,
    incident: IncidentId,
    notes: &mut Vec<Note>,
    now: i64,
) {
    let Some(row) = db.incidents.lock(&incident).cloned() else { return };
    let waiting: Vec<(i64, IntentRow)> =
        db.waiting(incident).map(|(event, intent)| (event, intent.clone())).collect();
    let as_asked = |(event, intent): &(i64, IntentRow)| Waiting {
        event_number: *event,
        kind: intent.kind,
        due_at: intent.due_at,
    };
    let asked: Vec<Waiting> = waiting.iter().map(as_asked).collect();
    let settlement = settle_intents(&asked, row.verdict == Verdict::Down, now);
    if settlement.send.is_none() && settlement.folded.is_empty() {
        return;
    }
    let mut row = row;
    row.last_event += 1;
    row.changed_at = now;
    match &settlement.send {
        Some(send) => {
            let channels = recipients(db, cast, row.subject, incident, send);
            for channel in &channels {
                db.deliveries.put((incident, send.event_number, *channel), send.kind);
            }
            row.paged |= send.kind == NoticeKind::Opened && !channels.is_empty();
            let created = waiting.iter().find(|(event, _)| *event == send.event_number);
            notes.push(Note::Told(Told {
                kind: send.kind,
                incident,
                members: vec![incident],
                group: None,
                channels,
                summary: row.summary.clone(),
                waited: created.map_or(0, |(_, intent)| intent.due_at - intent.created_at),
                opening_included: send.opening_included,
            }));
        }
        None => {
            let kind = waiting.first().map_or(NoticeKind::Opened, |(_, intent)| intent.kind);
            notes.push(Note::Held { incident, kind, reason: QUORUM_ENDED.to_owned() });
        }
    }
    db.incidents.put(incident, row);
    for (event, intent) in waiting {
        let folded = settlement.folded.iter().find(|(number, _)| *number == event);
        let outcome = Some(folded.map_or("put in the outbox", |(_, why)| why).to_owned());
        notes.push(Note::Intent { incident, event, kind: intent.kind, outcome: outcome.clone() });
        db.intents.put((incident, event), IntentRow { outcome, ..intent });
    }
}

/// Who is told: whoever was told before, and for an opening those whom it concerns.
fn recipients(
    db: &Database,
    cast: &Cast,
    subject: super::database::Subject,
    incident: IncidentId,
    send: &ToSend,
) -> Vec<usize> {
    let told = db.deliveries.range((incident, i64::MIN, 0)..=(incident, i64::MAX, usize::MAX));
    let mut found: BTreeSet<usize> = told.map(|((_, _, channel), _)| *channel).collect();
    if send.kind == NoticeKind::Resolved && !send.opening_included {
        return found.into_iter().collect();
    }
    let (kind, index) = subject;
    let notify = match kind {
        SubjectKind::Monitor => cast.monitors[index].monitor.spec.notify.as_slice(),
        SubjectKind::Agent | SubjectKind::Region => &[],
    };
    if notify.is_empty() {
        found.insert(0);
    }
    let known = |name: &String| cast.channels.iter().position(|channel| channel == name);
    found.extend(notify.iter().filter_map(known));
    found.into_iter().collect()
}
