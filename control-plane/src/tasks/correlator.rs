//! Step 6 to 7: turns page intents that are due into outbox rows.
//!
//! One leased, fenced correlator for each organisation. What waits for an
//! incident is settled together (`notification::settle`) from the incident as it
//! stands now: deliveries, timeline and intents commit in one transaction, so a
//! crash leaves either the intent or its deliveries, never neither and never
//! both. Whoever was told of the beginning is told of the end; others are found
//! by the monitor's `notify`, or are the organisation's default channels.

use super::reconcile;
use crate::clock;
use crate::shared::Shared;
use crate::store::channels::{self, Channel};
use crate::store::deliveries::{self, NewDelivery};
use crate::store::intents::{self, Intent};
use crate::store::leases::{self, Lease};
use crate::store::notices::{self, Event, Facts};
use crate::store::{StoreError, Tx};
use hyperverge_control_core::notification::route::NO_ROUTE;
use hyperverge_control_core::notification::{
    Notice, NoticeKind, QUORUM_ENDED, Settlement, ToSend, Waiting, settle,
};
use serde_json::json;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Intents come due by time, not by a hint.
const PERIOD: Duration = Duration::from_millis(500);
const LEASE: &str = "correlator";
const LEASE_MS: i64 = 30_000;
const ORGANISATIONS: i64 = 1_000;
/// Intents of one organisation in one transaction.
const INTENTS: i64 = 200;

/// Runs until stopped.
pub async fn run(shared: Arc<Shared>, stop: CancellationToken) {
    let holder = clock::new_id();
    reconcile("correlator", &shared, &shared.wake.correlator, PERIOD, stop, || {
        round(&shared, holder)
    })
    .await;
}

/// Settles what is due everywhere. What fails for one incident or organisation
/// holds up no other; the first failure is the round's.
pub async fn round(shared: &Shared, holder: Uuid) -> Result<(), StoreError> {
    let mut tx = shared.store.read().await?;
    let now = tx.now().await?;
    let due = intents::organisations_due(&mut tx, now, ORGANISATIONS).await?;
    drop(tx);
    let mut failed = Ok(());
    for organisation_id in due {
        let began = clock::monotonic();
        failed = failed.and(settle_organisation(shared, organisation_id, holder).await);
        shared.metrics.correlator_duration_seconds.observe(began.elapsed().as_secs_f64());
    }
    failed
}

async fn settle_organisation(
    shared: &Shared,
    organisation_id: Uuid,
    holder: Uuid,
) -> Result<(), StoreError> {
    let mut tx = shared.store.begin().await?;
    let lease = leases::acquire(&mut tx, organisation_id, LEASE, holder, LEASE_MS).await?;
    tx.commit().await?;
    let Some(lease) = lease else { return Ok(()) };
    let mut tx = shared.store.read().await?;
    let now = tx.now().await?;
    let due = intents::due(&mut tx, organisation_id, now, INTENTS).await?;
    drop(tx);
    let incidents: BTreeSet<Uuid> = due.iter().map(|intent| intent.incident_id).collect();
    let mut failed = Ok(());
    for incident_id in incidents {
        failed = failed.and(settle_incident(shared, &lease, incident_id).await);
    }
    failed
}

/// One incident in one transaction, under the lock that its changes take too: a
/// widening that comes meanwhile waits, and then sees that people were told.
async fn settle_incident(
    shared: &Shared,
    lease: &Lease,
    incident_id: Uuid,
) -> Result<(), StoreError> {
    let organisation_id = lease.organisation_id;
    let mut tx = shared.store.begin().await?;
    if !leases::guard(&mut tx, lease).await? {
        return Ok(());
    }
    let Some(facts) = notices::lock(&mut tx, organisation_id, incident_id).await? else {
        return Ok(());
    };
    let now = tx.now().await?;
    let waiting = intents::unsettled(&mut tx, organisation_id, incident_id).await?;
    let (quiet, waiting): (Vec<_>, Vec<_>) = waiting.into_iter().partition(|intent| intent.quiet);
    for intent in quiet.iter().filter(|intent| intent.due_at <= now) {
        intents::settle(&mut tx, intent, NO_ROUTE, now).await?;
    }
    let Settlement { send, folded } = settle(&by_number(&waiting), facts.verdict == "down", now);
    if send.is_none() && folded.is_empty() {
        return tx.commit().await;
    }
    let channels = match &send {
        Some(send) => recipients(&mut tx, organisation_id, &facts, send).await?,
        None => Vec::new(),
    };
    let mut sent = 0;
    if let Some(send) = &send {
        let url = &shared.settings.server.public_url;
        let notice = facts.notice(send.kind, send.event_number, send.opening_included, url);
        sent = deliver(&mut tx, organisation_id, &channels, &notice, now).await?;
    }
    record(&mut tx, organisation_id, &facts, &channels, send.as_ref(), now).await?;
    let outcome = if sent > 0 { "put in the outbox" } else { "there is no channel to tell" };
    for intent in &waiting {
        let why = folded.iter().find(|(number, _)| *number == intent.event_number);
        intents::settle(&mut tx, intent, why.map_or(outcome, |(_, why)| why), now).await?;
    }
    tx.commit().await?;
    let settled = &shared.metrics.page_intents_settled_total;
    settled.with_label_values(&["folded"]).inc_by(folded.len() as u64);
    if send.is_some() {
        settled.with_label_values(&[if sent > 0 { "sent" } else { "nobody" }]).inc();
    }
    if sent > 0 {
        shared.wake.delivery.notify_one();
    }
    Ok(())
}

fn by_number(intents: &[Intent]) -> Vec<Waiting> {
    let waiting = |intent: &Intent| Waiting {
        event_number: intent.event_number,
        kind: intent.kind,
        due_at: intent.due_at,
    };
    intents.iter().map(waiting).collect()
}

/// Who is told.
async fn recipients(
    tx: &mut Tx,
    organisation_id: Uuid,
    facts: &Facts,
    send: &ToSend,
) -> Result<Vec<Channel>, StoreError> {
    let told = notices::told_channels(tx, organisation_id, facts.incident_id).await?;
    let mut found = Vec::new();
    for id in told {
        found.extend(channels::get(tx, organisation_id, id).await?);
    }
    // Who was never told of the beginning is not told of the end alone.
    if send.kind == NoticeKind::Resolved && !send.opening_included {
        return Ok(found);
    }
    let routed = if facts.notify.is_empty() {
        channels::defaults(tx, organisation_id).await?
    } else {
        channels::by_names(tx, organisation_id, &facts.notify).await?
    };
    for channel in routed {
        if found.iter().all(|known| known.id != channel.id) {
            found.push(channel);
        }
    }
    Ok(found)
}

async fn deliver(
    tx: &mut Tx,
    organisation_id: Uuid,
    channels: &[Channel],
    notice: &Notice,
    now: i64,
) -> Result<usize, StoreError> {
    let mut sent = 0;
    for channel in channels {
        for recipient in channel.config.recipients() {
            let delivery = NewDelivery {
                organisation_id,
                id: clock::new_id(),
                channel_id: channel.id,
                recipient: &recipient,
                notice,
                now,
            };
            sent += usize::from(deliveries::insert(tx, &delivery).await?);
        }
    }
    Ok(sent)
}

/// The timeline says who is told, or that there is nobody.
async fn record(
    tx: &mut Tx,
    organisation_id: Uuid,
    facts: &Facts,
    channels: &[Channel],
    send: Option<&ToSend>,
    now: i64,
) -> Result<(), StoreError> {
    let names: Vec<&str> = channels.iter().map(|channel| channel.name.as_str()).collect();
    let (kind, summary) = match send {
        None => ("held", format!("Nobody was told: {QUORUM_ENDED}")),
        Some(send) if names.is_empty() => {
            ("held", format!("Nobody was told ({}): there is no channel to tell", send.kind))
        }
        Some(send) => ("paged", format!("Told {} ({})", names.join(", "), send.kind)),
    };
    let event = Event {
        kind,
        summary: &summary,
        evidence: json!({ "notice": send, "channels": names }),
        paged: send.is_some_and(|send| send.kind == NoticeKind::Opened) && !names.is_empty(),
    };
    notices::record(tx, organisation_id, facts, &event, now).await
}
