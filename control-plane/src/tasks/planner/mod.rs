//! Step 2: plans assignments and signs each agent's set.
//!
//! One transaction for an organisation: read the fleet, plan
//! (`hyperverge_control_core::assignment`), write what changes, rebuild and sign
//! the sets that it touches, and evaluate the monitors that lost their voice with it:
//! nobody looks at those any more, and silence is never up. A set whose content did not change is signed anew
//! every hour, because agents stop working from an old one.

mod sets;

use super::reconcile;
use crate::clock;
use crate::shared::Shared;
use crate::store::agents::AgentState;
use crate::store::assignments::{self, Fleet};
use crate::store::leases::{self, Lease};
use crate::store::{StoreError, Tx, organisations, states};
use crate::verdicts::{self, Turned};
use hyperverge_control_core::assignment::{
    Agent, Current, Ended, Health, Input, Monitor, Plan, Region, Slots, mute, plan,
};
use hyperverge_protocol::monitor::MonitorSpec;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const PERIOD: Duration = Duration::from_secs(5);
const LEASE: &str = "planner";
const LEASE_MS: i64 = 30_000;
/// Monitors that are evaluated at once.
const EVALUATED: usize = 1_000;

/// Why a round failed.
#[derive(Debug, thiserror::Error)]
pub enum PlannerError {
    #[error("the database did not do it")]
    Store(#[from] StoreError),
    #[error("an assignment set cannot be built")]
    Set(#[from] sets::SetError),
}

/// Runs until stopped. Needs the assignment key.
pub async fn run(shared: Arc<Shared>, stop: CancellationToken) {
    let holder = clock::new_id();
    reconcile("planner", &shared, &shared.wake.planner, PERIOD, stop, || round(&shared, holder))
        .await;
}

/// Plans every organisation once, if this process holds the lease.
pub async fn round(shared: &Shared, holder: Uuid) -> Result<(), PlannerError> {
    let mut tx = shared.store.begin().await?;
    let lease = leases::acquire(&mut tx, Uuid::nil(), LEASE, holder, LEASE_MS).await?;
    tx.commit().await?;
    let Some(lease) = lease else { return Ok(()) };
    let mut tx = shared.store.read().await?;
    let everyone = organisations::ids(&mut tx).await?;
    drop(tx);
    let began = clock::monotonic();
    // What fails for one organisation holds up no other; the first failure is the round's.
    let mut failed = Ok(());
    for organisation_id in everyone {
        match plan_organisation(shared, &lease, organisation_id).await {
            Ok(true) => shared.wake.gateway.notify_one(),
            Ok(false) => {}
            Err(error) => failed = failed.and(Err(error)),
        }
    }
    shared.metrics.planner_duration_seconds.observe(began.elapsed().as_secs_f64());
    failed
}

/// Whether a set changed.
async fn plan_organisation(
    shared: &Shared,
    lease: &Lease,
    organisation_id: Uuid,
) -> Result<bool, PlannerError> {
    let mut tx = shared.store.begin().await?;
    if !leases::guard(&mut tx, lease).await? {
        return Ok(false);
    }
    let now = tx.now().await?;
    let fleet = assignments::fleet(&mut tx, organisation_id).await?;
    let input = input(&mut tx, organisation_id, &fleet).await?;
    let plan = plan(&input, now);
    write(&mut tx, organisation_id, &plan, now).await?;
    let signed = sets::renew(&mut tx, &shared.keys, organisation_id, &fleet, &plan, now).await?;
    let group_wait_ms = shared.settings.correlator.group_wait_ms();
    let mute = mute(&input, &plan);
    let turned = silence(&mut tx, organisation_id, mute, group_wait_ms, now).await?;
    if plan.is_empty() && signed == 0 && turned == Turned::default() {
        return Ok(false);
    }
    tx.commit().await?;
    for scope in &turned.opened {
        shared.metrics.incidents_created_total.with_label_values(&[scope.as_str()]).inc();
    }
    if turned.intents > 0 {
        shared.wake.correlator.notify_one();
    }
    let assigned = plan.assigns.len() as u64;
    shared.metrics.scheduler_jobs_scheduled_total.inc_by(assigned);
    tracing::info!(
        organisation = %organisation_id, ended = plan.ends.len(), assigned, sets = signed,
        verdicts = turned.verdicts, "assignments changed"
    );
    Ok(signed > 0)
}

async fn input(tx: &mut Tx, organisation_id: Uuid, fleet: &Fleet) -> Result<Input, StoreError> {
    let current = assignments::current_all(tx, organisation_id).await?;
    let ended = assignments::newest_ended(tx, organisation_id).await?;
    Ok(Input {
        monitors: fleet.monitors.iter().filter_map(monitor).collect(),
        regions: fleet
            .regions
            .iter()
            .map(|region| Region { id: region.id, name: region.name.clone() })
            .collect(),
        agents: fleet.agents.iter().map(agent).collect(),
        current: current
            .into_iter()
            .map(|row| Current {
                monitor_id: row.monitor_id,
                region_id: row.region_id,
                agent_id: row.agent_id,
                revision: row.revision,
                first_slot: row.first_slot,
                slots: Slots { anchor_ms: row.anchor_ms, interval_ms: row.interval_ms },
                predecessor_through: row.predecessor_through,
            })
            .collect(),
        ended: ended
            .into_iter()
            .map(|row| Ended {
                monitor_id: row.monitor_id,
                region_id: row.region_id,
                revision: row.revision,
                last_slot: row.last_slot.unwrap_or(row.first_slot - 1),
                slots: Slots { anchor_ms: row.anchor_ms, interval_ms: row.interval_ms },
            })
            .collect(),
    })
}

/// A stored specification that this version cannot read is left as it is
/// assigned to nobody rather than stopping everything else; it was written by a
/// newer version.
fn monitor(row: &assignments::FleetMonitor) -> Option<Monitor> {
    match MonitorSpec::from_json(row.spec_json.as_bytes()) {
        Ok(spec) => {
            let mut monitor = Monitor::of(row.id, row.revision, &spec);
            monitor.enabled = row.enabled;
            Some(monitor)
        }
        Err(problems) => {
            tracing::error!(monitor = %row.id, ?problems, "stored specification cannot be read");
            None
        }
    }
}

fn agent(row: &assignments::FleetAgent) -> Agent {
    let health = match row.state {
        AgentState::Enrolled if row.last_heartbeat_at.is_some() && row.lost_at.is_none() => {
            Health::Healthy
        }
        AgentState::Enrolled => Health::Silent,
        AgentState::Quarantined | AgentState::Revoked => Health::Barred,
    };
    Agent {
        id: row.id.clone(),
        region_id: row.region_id,
        health,
        capabilities: row.capabilities.iter().cloned().collect(),
        complete_through: row.complete_through,
        discredited: row.discredited,
    }
}

async fn write(
    tx: &mut Tx,
    organisation_id: Uuid,
    plan: &Plan,
    now: i64,
) -> Result<(), StoreError> {
    for end in &plan.ends {
        assignments::end(tx, organisation_id, end.monitor_id, end.region_id, end.last_slot, now)
            .await?;
    }
    doubt(tx, organisation_id, plan).await?;
    for assign in &plan.assigns {
        let row = assignments::Assignment {
            monitor_id: assign.monitor_id,
            region_id: assign.region_id,
            agent_id: assign.agent_id.clone(),
            revision: assign.revision,
            first_slot: assign.first_slot,
            anchor_ms: assign.slots.anchor_ms,
            interval_ms: assign.slots.interval_ms,
            assigned_at: now,
            ended_at: None,
            last_slot: None,
            predecessor_through: assign.predecessor_through,
        };
        assignments::assign(tx, organisation_id, &row).await?;
    }
    Ok(())
}

/// What an agent saw that is itself at fault is not left to whoever comes after it.
async fn doubt(tx: &mut Tx, organisation_id: Uuid, plan: &Plan) -> Result<(), StoreError> {
    let doubted = plan.ends.iter().filter(|end| end.doubted);
    let places: BTreeSet<_> = doubted.map(|end| (end.monitor_id, end.region_id)).collect();
    if places.is_empty() {
        return Ok(());
    }
    let monitors: BTreeSet<Uuid> = places.iter().map(|(monitor_id, _)| *monitor_id).collect();
    let monitors: Vec<Uuid> = monitors.into_iter().collect();
    states::lock(tx, organisation_id, monitors.clone()).await?;
    for (monitor_id, region_id, row) in states::rows(tx, organisation_id, monitors).await? {
        if places.contains(&(monitor_id, region_id)) {
            let row = row.doubted();
            states::put_row(tx, organisation_id, monitor_id, region_id, &row).await?;
        }
    }
    Ok(())
}

/// Evaluates those of the `mute` monitors that are stored as up: nothing that is stored of
/// them would bring the liveness task to it.
async fn silence(
    tx: &mut Tx,
    organisation_id: Uuid,
    mute: BTreeSet<Uuid>,
    group_wait_ms: i64,
    now: i64,
) -> Result<Turned, StoreError> {
    let mut turned = Turned::default();
    if mute.is_empty() {
        return Ok(turned);
    }
    let up = states::up_of(tx, organisation_id, mute.into_iter().collect()).await?;
    for some in up.chunks(EVALUATED) {
        let some = some.to_vec();
        let next = verdicts::evaluate(tx, organisation_id, some, group_wait_ms, now).await?;
        turned.add(next);
    }
    Ok(turned)
}
