//! Steps 5 to 7, over a whole organisation: whom to believe, what to tell, to whom.
//!
//! One leased, fenced correlator for each organisation. A round is one transaction:
//!
//! 1. `compare.rs`: agents that fail what others see well lose their vote, and the
//!    monitors they watch are judged anew, before anybody is told of them.
//! 2. `load.rs`, `shared_traits.rs`: what waits and what hurts, with what it may have in
//!    common, becomes the input of `paging::plan`.
//! 3. `carry/`, `post.rs`: groups, members, timeline, intents and deliveries
//!    follow the plan together; a crash leaves all of it or nothing.
//!
//! Locks are taken in the order of everybody else's: the lease, agents, monitors by
//! id; then nobody else is changing these monitors' incidents.

mod carry;
mod compare;
mod load;
mod post;
mod shared_traits;

use super::reconcile;
use crate::clock;
use crate::limits;
use crate::shared::Shared;
use crate::store::intents::Waiting;
use crate::store::leases::{self, Lease};
use crate::store::{StoreError, Tx, groups, incidents, intents, sightings, states};
use crate::verdicts::{self, Turned};
use carry::Done;
use hyperverge_control_core::correlation::DISCREDITED;
use hyperverge_control_core::vantage::UNRELATED;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Intents come due by time, not by a hint.
const PERIOD: Duration = Duration::from_millis(500);
const LEASE: &str = "correlator";
const LEASE_MS: i64 = 30_000;
/// Agents of an organisation are compared no oftener while nothing else is due, ms; and
/// at least so often, while that finds nothing. Before anybody is told of anything they
/// are compared in any case.
const COMPARE_EVERY_MS: (i64, i64) = (1_000, 10_000);

/// What one correlator remembers between rounds.
#[derive(Debug)]
pub struct Correlator {
    holder: Uuid,
    /// When each organisation's agents were compared, and how long that is good for, ms.
    compared: BTreeMap<Uuid, (i64, i64)>,
}

impl Correlator {
    /// One that holds its leases as `holder`.
    pub fn new(holder: Uuid) -> Self {
        Self { holder, compared: BTreeMap::new() }
    }
}

/// Runs until stopped.
pub async fn run(shared: Arc<Shared>, stop: CancellationToken) {
    let correlator = Mutex::new(Correlator::new(clock::new_id()));
    reconcile("correlator", &shared, &shared.wake.correlator, PERIOD, stop, || async {
        round(&shared, &mut *correlator.lock().await).await
    })
    .await;
}

/// Does what there is to do everywhere. What fails for one organisation holds up no
/// other; the first failure is the round's.
pub async fn round(shared: &Shared, correlator: &mut Correlator) -> Result<(), StoreError> {
    let mut tx = shared.store.read().await?;
    let now = tx.now().await?;
    let failing = i64::try_from(UNRELATED).unwrap_or(i64::MAX);
    let limit = limits::CORRELATED_ORGANISATIONS;
    let busy = intents::organisations_with_work(&mut tx, now, failing, limit).await?;
    drop(tx);
    let mut failed = Ok(());
    for organisation_id in busy {
        failed = failed.and(organisation(shared, correlator, organisation_id, now).await);
    }
    failed
}

async fn organisation(
    shared: &Shared,
    correlator: &mut Correlator,
    organisation_id: Uuid,
    now: i64,
) -> Result<(), StoreError> {
    let mut tx = shared.store.begin().await?;
    let holder = correlator.holder;
    let lease = leases::acquire(&mut tx, organisation_id, LEASE, holder, LEASE_MS).await?;
    tx.commit().await?;
    let Some(lease) = lease else { return Ok(()) };
    let Some(suspicious) = worth_it(shared, correlator, organisation_id, now).await? else {
        return Ok(());
    };
    let began = clock::monotonic();
    let settled = settle(shared, &lease, suspicious).await;
    shared.metrics.correlator_duration_seconds.observe(began.elapsed().as_secs_f64());
    match settled {
        // The next round is the retry; somebody else's commit was first.
        Err(error) if error.is_transient() => {
            shared
                .metrics
                .store_transactions_retried_total
                .with_label_values(&["correlator"])
                .inc();
            shared.wake.correlator.notify_one();
            Ok(())
        }
        settled => settled,
    }
}

/// Whether a round would write anything, and if so whether agents have to be compared.
async fn worth_it(
    shared: &Shared,
    correlator: &mut Correlator,
    organisation_id: Uuid,
    now: i64,
) -> Result<Option<bool>, StoreError> {
    let mut tx = shared.store.read().await?;
    let failing = i64::try_from(UNRELATED).unwrap_or(i64::MAX);
    let suspicious = sightings::suspicious(&mut tx, organisation_id, DISCREDITED, failing).await?;
    if intents::any_due(&mut tx, organisation_id, now).await?
        || !groups::over(&mut tx, organisation_id, 1).await?.is_empty()
    {
        return Ok(Some(suspicious));
    }
    let last = correlator.compared.get(&organisation_id).copied();
    if !suspicious {
        correlator.compared.remove(&organisation_id);
        return Ok(None);
    }
    let Some(rest) = good_for(last, now) else { return Ok(None) };
    let compared = compare::compare(&mut tx, organisation_id, now).await?;
    let found = !compared.plan.is_empty();
    let rest = if found { COMPARE_EVERY_MS.0 } else { rest };
    correlator.compared.insert(organisation_id, (now, rest));
    Ok(found.then_some(true))
}

/// How long a comparison at `now` that finds nothing is good for, ms; `None` while the
/// `last` one still is. Where an agent fails a few things for days, all of it is read
/// seldom; a clock that was set back makes none good.
fn good_for(last: Option<(i64, i64)>, now: i64) -> Option<i64> {
    let (least, most) = COMPARE_EVERY_MS;
    let Some((at, good_for)) = last else { return Some(least) };
    (!(at..at + good_for).contains(&now)).then(|| (2 * good_for).min(most))
}

/// One round of an organisation, in one transaction under the lease; nothing is written
/// when that was lost meanwhile. `suspicious`: agents are compared too.
pub async fn settle(shared: &Shared, lease: &Lease, suspicious: bool) -> Result<(), StoreError> {
    let organisation_id = lease.organisation_id;
    let wait = shared.settings.correlator.group_wait_ms();
    let mut tx = shared.store.begin().await?;
    if !leases::guard(&mut tx, lease).await? {
        return Ok(());
    }
    let now = tx.now().await?;
    let compared = match suspicious {
        true => compare::compare(&mut tx, organisation_id, now).await?,
        false => compare::Compared::default(),
    };
    compare::mark(&mut tx, organisation_id, &compared, now).await?;
    let waiting = waiting(&mut tx, organisation_id).await?;
    let mut monitors = subjects(&mut tx, organisation_id, &waiting).await?;
    monitors.extend(&compared.affected);
    let wanted: Vec<Uuid> = monitors.iter().copied().collect();
    let mut locked = states::lock(&mut tx, organisation_id, wanted).await?;
    compare::doubt(&mut tx, organisation_id, &compared).await?;
    let mut turned = compare::record(&mut tx, organisation_id, &compared, wait, now).await?;
    locked.retain(|state| compared.affected.contains(&state.monitor_id));
    turned.add(verdicts::evaluate_locked(&mut tx, organisation_id, locked, wait, now).await?);
    let loaded = load::load(&mut tx, organisation_id, &monitors, now).await?;
    let url = &shared.settings.server.public_url;
    let done = carry::out(&mut tx, organisation_id, &loaded, url, now).await?;
    tx.commit().await?;
    tell(shared, &compared, &turned, &done);
    Ok(())
}

async fn waiting(tx: &mut Tx, organisation_id: Uuid) -> Result<Vec<Waiting>, StoreError> {
    intents::waiting(tx, organisation_id, limits::CORRELATED_INTENTS).await
}

/// The monitors whose incidents have something waiting, or lead what such a one is in.
async fn subjects(
    tx: &mut Tx,
    organisation_id: Uuid,
    waiting: &[Waiting],
) -> Result<BTreeSet<Uuid>, StoreError> {
    let ids: BTreeSet<Uuid> = waiting.iter().map(|one| one.intent.incident_id).collect();
    let ids: Vec<Uuid> = ids.into_iter().collect();
    let mut monitors = incidents::monitors_of(tx, organisation_id, ids.clone()).await?;
    monitors.extend(groups::quiet_leads(tx, organisation_id, ids).await?);
    Ok(monitors)
}

/// Metrics, logs and hints, after the commit.
fn tell(shared: &Shared, compared: &compare::Compared, turned: &Turned, done: &Done) {
    let metrics = &shared.metrics;
    for scope in &turned.opened {
        metrics.incidents_created_total.with_label_values(&[scope.as_str()]).inc();
    }
    for fault in &compared.plan.open {
        metrics.vantage_faults_total.with_label_values(&[fault.subject.as_str()]).inc();
        tracing::warn!(
            subject = %fault.subject, id = fault.id, arithmetic = fault.arithmetic(),
            "not believed any more"
        );
    }
    for (kind, count) in &done.groups {
        metrics.incident_groups_total.with_label_values(&[kind.as_str()]).inc_by(*count);
    }
    for (reason, count) in &done.held {
        metrics.page_intents_held_total.with_label_values(&[reason]).inc_by(*count);
    }
    for (outcome, count) in &done.settled {
        metrics.page_intents_settled_total.with_label_values(&[outcome]).inc_by(*count);
    }
    if done.deliveries > 0 {
        shared.wake.delivery.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_as_it_was_is_compared_less_and_less_often() {
        let (mut last, mut at) = (None, Vec::new());
        for now in (0..60_000).step_by(500) {
            if let Some(rest) = good_for(last, now) {
                last = Some((now, rest));
                at.push(now);
            }
        }
        assert_eq!(at, [0, 1_000, 3_000, 7_000, 15_000, 25_000, 35_000, 45_000, 55_000]);
        assert!(good_for(Some((9_000, 4_000)), 8_999).is_some(), "the clock was set back");
    }
}
