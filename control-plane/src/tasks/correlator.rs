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
use hyperverge_control_core::notification::{
    Notice, NoticeKind, Settlement, ToSend, Waiting, settle,
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

/// Settles what is due everywhere.
pub async fn round(shared: &Shared, holder: Uuid) -> Result<(), StoreError> {
    let mut tx = shared.store.read().await?;
    let now = tx.now().await?;
    let due = intents::organisations_due(&mut tx, now, ORGANISATIONS).await?;
    drop(tx);
    for organisation_id in due {
        let began = clock::monotonic();
        let mut tx = shared.store.begin().await?;
        let lease = leases::acquire(&mut tx, organisation_id, LEASE, holder, LEASE_MS).await?;
        tx.commit().await?;
        let Some(lease) = lease else { continue };
        if settle_organisation(shared, &lease).await? {
            shared.wake.delivery.notify_one();
        }
        shared.metrics.correlator_duration_seconds.observe(began.elapsed().as_secs_f64());
    }
    Ok(())
}

/// Whether anything was put in the outbox.
async fn settle_organisation(shared: &Shared, lease: &Lease) -> Result<bool, StoreError> {
    let mut tx = shared.store.begin().await?;
    if !leases::guard(&mut tx, lease).await? {
        return Ok(false);
    }
    let now = tx.now().await?;
    let due = intents::due(&mut tx, lease.organisation_id, now, INTENTS).await?;
    let incidents: BTreeSet<Uuid> = due.iter().map(|intent| intent.incident_id).collect();
    let mut sent = 0;
    let mut outcomes = Vec::new();
    for incident_id in incidents {
        sent += settle_incident(
            shared,
            &mut tx,
            lease.organisation_id,
            incident_id,
            now,
            &mut outcomes,
        )
        .await?;
    }
    tx.commit().await?;
    for outcome in outcomes {
        shared.metrics.page_intents_settled_total.with_label_values(&[outcome]).inc();
    }
    Ok(sent > 0)
}

async fn settle_incident(
    shared: &Shared,
    tx: &mut Tx,
    organisation_id: Uuid,
    incident_id: Uuid,
    now: i64,
    outcomes: &mut Vec<&'static str>,
) -> Result<usize, StoreError> {
    let waiting = intents::unsettled(tx, organisation_id, incident_id).await?;
    let Some(facts) = notices::facts(tx, organisation_id, incident_id).await? else {
        return Ok(0);
    };
    let Settlement { send: Some(send), folded } = settle(&by_number(&waiting), now) else {
        return Ok(0);
    };
    let channels = recipients(tx, organisation_id, &facts, &send).await?;
    let url = &shared.settings.server.public_url;
    let notice = facts.notice(send.kind, send.event_number, send.opening_included, url);
    let sent = deliver(tx, organisation_id, &channels, &notice, now).await?;
    record(tx, organisation_id, &facts, &channels, &send, now).await?;
    let outcome = if sent > 0 { "put in the outbox" } else { "there is no channel to tell" };
    outcomes.push(if sent > 0 { "sent" } else { "nobody" });
    for intent in &waiting {
        let why = folded.iter().find(|(number, _)| *number == intent.event_number);
        intents::settle(tx, intent, why.map_or(outcome, |(_, why)| why), now).await?;
        outcomes.extend(why.map(|_| "folded"));
    }
    Ok(sent)
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
    send: &ToSend,
    now: i64,
) -> Result<(), StoreError> {
    let names: Vec<&str> = channels.iter().map(|channel| channel.name.as_str()).collect();
    let (kind, summary) = if names.is_empty() {
        ("held", format!("Nobody was told ({}): there is no channel to tell", send.kind))
    } else {
        ("paged", format!("Told {} ({})", names.join(", "), send.kind))
    };
    let event = Event {
        kind,
        summary: &summary,
        evidence: json!({ "notice": send.kind, "opening_included": send.opening_included, "channels": names }),
        paged: send.kind == NoticeKind::Opened && !names.is_empty(),
    };
    notices::record(tx, organisation_id, facts, &event, now).await
}
