//! Compares agents: which of them fail what others see well (`control_core::vantage`).

use crate::limits;
use crate::store::agents::{self, Standing};
use crate::store::assignments::{self, FleetRegion};
use crate::store::incidents::{self, Subject};
use crate::store::sightings::{self, AgentSeat};
use crate::store::{StoreError, Tx, monitors, states};
use crate::verdicts::Turned;
use hyperverge_control_core::correlation::{
    DISCREDITED, RegionState, Scope, Seat, Thresholds, looked, seat_names,
};
use hyperverge_control_core::incident::{SubjectKind, leave_distrusted, lose_trust, regain_trust};
use hyperverge_control_core::paging::network_of;
use hyperverge_control_core::vantage::{Agent, Input, Look, Plan, Watch, plan, settles_ms};
use hyperverge_protocol::monitor::MonitorSpec;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// How long ago an address may have been seen to say where a target is, ms.
const ADDRESS_MS: i64 = 900_000;

/// The comparison, and what follows from it.
#[derive(Debug, Default)]
pub(super) struct Compared {
    input: Input,
    seats: Vec<AgentSeat>,
    pub(super) plan: Plan,
    /// Names of agents and regions, by id.
    names: BTreeMap<String, String>,
    /// Monitors with a vote that counts differently now.
    pub(super) affected: BTreeSet<Uuid>,
}

/// Compares the organisation's agents at `now`.
pub(super) async fn compare(
    tx: &mut Tx,
    organisation_id: Uuid,
    now: i64,
) -> Result<Compared, StoreError> {
    let standings = agents::standings(tx, organisation_id).await?;
    let seats = sightings::seats(tx, organisation_id).await?;
    let specs = monitors::enabled(tx, organisation_id).await?;
    let regions = assignments::regions(tx, organisation_id).await?;
    let failing = failing(&seats);
    let since_us = (now - ADDRESS_MS).saturating_mul(1_000);
    let addresses = sightings::addresses(tx, organisation_id, Some(failing), since_us).await?;
    let network = |monitor: &Uuid| {
        let address = addresses.get(monitor).and_then(|found| found.first());
        address.and_then(|address| network_of(address))
    };
    let about_us = incidents::open_about_us(tx, organisation_id).await?;
    let (open, other): (Vec<_>, Vec<_>) =
        about_us.into_iter().partition(|(_, _, cause)| cause.as_deref() == Some(DISCREDITED));
    let input = Input {
        agents: standings.iter().map(|standing| agent(standing, &seats)).collect(),
        watches: watches(&seats, &specs, &regions, network, now),
        open: open.into_iter().map(|(kind, id, _)| (kind, id)).collect(),
    };
    let mut plan = plan(&input, now);
    // A region that is silent has its one incident already.
    plan.open.retain(|fault| {
        !other.iter().any(|(kind, id, _)| (*kind, id) == (fault.subject, &fault.id))
    });
    let turned: BTreeSet<&String> = plan.lose.iter().chain(&plan.regain).collect();
    let affected = seats.iter().filter(|seat| turned.contains(&seat.agent_id));
    Ok(Compared {
        affected: affected.map(|seat| seat.monitor_id).collect(),
        names: names(regions, standings),
        input,
        seats,
        plan,
    })
}

fn agent(standing: &Standing, seats: &[AgentSeat]) -> Agent {
    Agent {
        assigned: seats.iter().any(|seat| seat.agent_id == standing.id),
        id: standing.id.clone(),
        region_id: standing.region_id.to_string(),
        discredited_at: standing.discredited_at,
    }
}

fn names(regions: Vec<FleetRegion>, standings: Vec<Standing>) -> BTreeMap<String, String> {
    let regions = regions.into_iter().map(|region| (region.id.to_string(), region.name));
    standings.into_iter().map(|agent| (agent.id, agent.host_name)).chain(regions).collect()
}

/// Monitors that somebody fails.
fn failing(seats: &[AgentSeat]) -> Vec<Uuid> {
    let failing = seats.iter().filter(|seat| seat.row.as_ref().is_some_and(|row| row.failures > 0));
    failing.map(|seat| seat.monitor_id).collect::<BTreeSet<_>>().into_iter().collect()
}

fn watches(
    seats: &[AgentSeat],
    specs: &BTreeMap<Uuid, (i64, MonitorSpec)>,
    regions: &[FleetRegion],
    network: impl Fn(&Uuid) -> Option<String>,
    now: i64,
) -> Vec<Watch> {
    let of_one = |seats: &[AgentSeat]| {
        let monitor_id = seats.first()?.monitor_id;
        let (revision, spec) = specs.get(&monitor_id)?;
        let current = seats.iter().filter(|seat| seat.held.revision == *revision);
        let stale_after_ms = Thresholds::of(spec).stale_after_ms;
        Some(Watch {
            host: spec.asked_host().to_lowercase(),
            network: network(&monitor_id),
            needed: needed(spec, regions),
            settles_ms: settles_ms(spec),
            seats: current.filter_map(|seat| look(seat, stale_after_ms, now)).collect(),
        })
    };
    seats.chunk_by(|a, b| a.monitor_id == b.monitor_id).filter_map(of_one).collect()
}

/// Regions that make it down, of all it is to be seen from.
fn needed(spec: &MonitorSpec, regions: &[FleetRegion]) -> u32 {
    let named = spec.regions.iter().map(String::as_str);
    let seats = seat_names(named, regions.iter().map(|region| region.name.as_str())).len();
    spec.policy.quorum.votes(u32::try_from(seats).unwrap_or(u32::MAX))
}

pub(super) fn look(seat: &AgentSeat, stale_after_ms: i64, now: i64) -> Option<Look> {
    let asked = Seat {
        region: String::new(),
        region_id: None,
        held: Some(seat.held.clone()),
        row: seat.row.clone(),
    };
    let looked = looked(&asked, stale_after_ms, now)?;
    Some(Look::of(seat.agent_id.clone(), looked, seat.answered))
}

/// Takes votes away and gives them back.
pub(super) async fn mark(
    tx: &mut Tx,
    organisation_id: Uuid,
    compared: &Compared,
    now: i64,
) -> Result<(), StoreError> {
    let Plan { lose, regain, .. } = &compared.plan;
    if !lose.is_empty() {
        agents::lose_trust(tx, organisation_id, lose.clone(), now).await?;
    }
    if !regain.is_empty() {
        agents::regain_trust(tx, organisation_id, regain.clone(), now).await?;
    }
    Ok(())
}

/// What an agent that votes again saw while it was at fault counts no more: the next look
/// does. The monitors are locked: what came in meanwhile is in these rows.
pub(super) async fn doubt(
    tx: &mut Tx,
    organisation_id: Uuid,
    compared: &Compared,
) -> Result<(), StoreError> {
    let regain = &compared.plan.regain;
    let seats = compared.seats.iter().filter(|seat| regain.contains(&seat.agent_id));
    let places: BTreeSet<(Uuid, Uuid)> =
        seats.map(|seat| (seat.monitor_id, seat.region_id)).collect();
    if places.is_empty() {
        return Ok(());
    }
    let monitors: BTreeSet<Uuid> = places.iter().map(|(monitor_id, _)| *monitor_id).collect();
    let rows = states::rows(tx, organisation_id, monitors.into_iter().collect()).await?;
    for (monitor_id, region_id, row) in rows {
        let steady = row.state == RegionState::Up && row.failures == 0;
        if places.contains(&(monitor_id, region_id)) && !steady {
            let row = row.doubted();
            states::put_row(tx, organisation_id, monitor_id, region_id, &row).await?;
        }
    }
    Ok(())
}

/// Opens and resolves the incidents about agents and regions.
pub(super) async fn record(
    tx: &mut Tx,
    organisation_id: Uuid,
    compared: &Compared,
    group_wait_ms: i64,
    now: i64,
) -> Result<Turned, StoreError> {
    let mut turned = Turned::default();
    for fault in &compared.plan.open {
        let subject = compared.subject(fault.subject, &fault.id);
        let change = lose_trust(&subject.name, fault, group_wait_ms, now);
        let evidence = compared.evidence(fault.subject, &fault.id, "lost", &json!(fault));
        incidents::record(tx, organisation_id, &subject, None, &change, &evidence, now).await?;
        turned.opened.push(Scope::Regional);
        turned.intents += usize::from(change.intent.is_some());
    }
    for (kind, id) in &compared.plan.close {
        let found = incidents::open_of(tx, organisation_id, *kind, id).await?;
        let Some((incident, open)) = found else { continue };
        // Under the name it had: it may be gone.
        let name = incident.subject_name.clone();
        let subject = Subject { kind: *kind, id: id.clone(), name };
        let told = open.told_quietly;
        let change = match compared.input.takes_part(*kind, id) {
            true => regain_trust(&subject.name, open.started_at, told, now),
            false => leave_distrusted(&subject.name, open.started_at, told, now),
        };
        let regained = json!({ "subject": kind, "id": id });
        let evidence = compared.evidence(*kind, id, "regained", &regained);
        let known = Some(&incident);
        incidents::record(tx, organisation_id, &subject, known, &change, &evidence, now).await?;
        turned.intents += usize::from(change.intent.is_some());
    }
    Ok(turned)
}

impl Compared {
    fn subject(&self, kind: SubjectKind, id: &str) -> Subject {
        let name = self.names.get(id).cloned().unwrap_or_else(|| id.to_owned());
        Subject { kind, id: id.to_owned(), name }
    }

    /// The input as far as it concerns one subject, with what was made of all of it.
    fn evidence(&self, kind: SubjectKind, id: &str, word: &str, then: &Value) -> Value {
        let (input, left_out) = self.input.about(kind, id, limits::EVIDENCE_WATCHES);
        json!({ "vantage": input, "left_out": left_out, word: then })
    }
}
