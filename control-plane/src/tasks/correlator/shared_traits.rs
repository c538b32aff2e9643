//! What incidents may have in common: host, addresses, networks, certificate, regions.
//!
//! Hosts come with the specification. The rest is looked up in the newest results,
//! and only where it can matter: for what waits or began lately, certificates only
//! where the failure is about one, and how many monitors share something only for
//! what candidates really share.

use super::compare::look;
use super::load::{Loaded, monitor_of};
use crate::store::incidents::Incident;
use crate::store::{StoreError, Tx, monitors, sightings};
use hyperverge_control_core::correlation::{RegionState, Scope, Thresholds};
use hyperverge_control_core::paging::{Cause, CauseKind, network_of, shared};
use hyperverge_protocol::wire;
use prost::Message;
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// How long ago a result may have been due to say something of a target, ms.
const RESULTS_MS: i64 = 900_000;

/// Gives the candidates their traits, and counts who shares them.
pub(super) async fn complete(
    tx: &mut Tx,
    organisation_id: Uuid,
    loaded: &mut Loaded,
    now: i64,
) -> Result<(), StoreError> {
    let telling = loaded.input.candidates.iter().any(|one| !one.waiting.is_empty());
    if !telling {
        return Ok(());
    }
    let since_us = (now - RESULTS_MS).saturating_mul(1_000);
    let ids: Vec<Uuid> = loaded.incidents.values().filter_map(monitor_of).collect();
    let addresses = sightings::addresses(tx, organisation_id, Some(ids), since_us).await?;
    let certificates = certificates(tx, organisation_id, loaded, since_us).await?;
    for candidate in &mut loaded.input.candidates {
        let Some(incident) = loaded.incidents.get(&candidate.incident_id) else { continue };
        let Some(monitor_id) = monitor_of(incident) else { continue };
        let traits = &mut candidate.traits;
        let spec = loaded.specs.get(&incident.id);
        traits.host = spec.map(|spec| spec.asked_host().to_lowercase());
        traits.addresses = addresses.get(&monitor_id).cloned().unwrap_or_default();
        traits.networks = networks(&traits.addresses);
        traits.certificate = certificates.get(&monitor_id).cloned();
        traits.regions = hurting_regions(incident);
    }
    let shared = shared(&loaded.input.candidates);
    let hurt = loaded.incidents.values().filter_map(monitor_of).collect();
    loaded.input.population =
        population(tx, organisation_id, shared, (&hurt, since_us, now)).await?;
    Ok(())
}

fn networks(addresses: &BTreeSet<String>) -> BTreeSet<String> {
    addresses.iter().filter_map(|address| network_of(address)).collect()
}

/// Regions that see it down, where others see it well, or where there are no others: of a
/// single one nobody can tell whether the target fails or the way from there.
fn hurting_regions(incident: &Incident) -> BTreeSet<String> {
    if incident.scope == Scope::Global && incident.regions.len() > 1 {
        return BTreeSet::new();
    }
    let down = RegionState::Down.as_str();
    let down = incident.regions.iter().filter(|region| region.state == down);
    down.map(|region| region.region.clone()).collect()
}

/// Fingerprints, by monitor, where the failure is about a certificate.
async fn certificates(
    tx: &mut Tx,
    organisation_id: Uuid,
    loaded: &Loaded,
    since_us: i64,
) -> Result<BTreeMap<Uuid, String>, StoreError> {
    let about_one = |incident: &&Incident| {
        let cause = incident.cause.as_deref().unwrap_or_default();
        cause.starts_with("tls_") || cause.starts_with("certificate")
    };
    let ids: Vec<Uuid> =
        loaded.incidents.values().filter(about_one).filter_map(monitor_of).collect();
    if ids.is_empty() {
        return Ok(BTreeMap::new());
    }
    let details = sightings::details(tx, organisation_id, ids, since_us).await?;
    let fingerprint = |(monitor_id, bytes): (Uuid, Vec<u8>)| {
        let tls = wire::Details::decode(bytes.as_slice()).ok()?.tls?;
        (!tls.fingerprint.is_empty()).then(|| (monitor_id, hex::encode(&tls.fingerprint)))
    };
    Ok(details.into_iter().filter_map(fingerprint).collect())
}

/// How many of the organisation's monitors share each of these: those that hurt, and
/// those that were seen well since the first of them began to. Who was not looked at
/// since then says nothing, and in the first seconds of an outage that is nearly
/// everybody.
async fn population(
    tx: &mut Tx,
    organisation_id: Uuid,
    wanted: BTreeMap<Cause, (u32, i64)>,
    (hurt, since_us, now): (&BTreeSet<Uuid>, i64, i64),
) -> Result<BTreeMap<Cause, u32>, StoreError> {
    let mut counts = wanted.iter().map(|(cause, (count, _))| (cause.clone(), *count)).collect();
    if wanted.is_empty() {
        return Ok(counts);
    }
    let well = seen_well(tx, organisation_id, hurt, now).await?;
    let mut count = |cause: &Cause, monitor: &Uuid| {
        let Some((_, began)) = wanted.get(cause) else { return };
        if well.get(monitor).is_some_and(|at| at >= began) {
            *counts.entry(cause.clone()).or_default() += 1;
        }
    };
    if wanted.keys().any(|cause| cause.kind != CauseKind::Region) {
        let addresses = sightings::addresses(tx, organisation_id, None, since_us).await?;
        for (monitor, addresses) in &addresses {
            let of = |kind| move |value: &String| Cause { kind, value: value.clone() };
            let networks = networks(addresses);
            let all = addresses.iter().map(of(CauseKind::Address));
            for cause in all.chain(networks.iter().map(of(CauseKind::Network))) {
                count(&cause, monitor);
            }
        }
    }
    let regional: Vec<(&Cause, BTreeSet<&str>)> = wanted
        .keys()
        .filter(|cause| cause.kind == CauseKind::Region)
        .map(|cause| (cause, cause.value.split(", ").collect()))
        .collect();
    if !regional.is_empty() {
        for (monitor, seen_from) in &sightings::watched_from(tx, organisation_id).await? {
            for (cause, regions) in &regional {
                if regions.iter().all(|region| seen_from.contains(*region)) {
                    count(cause, monitor);
                }
            }
        }
    }
    Ok(counts)
}

/// When each monitor that does not hurt was last seen well.
async fn seen_well(
    tx: &mut Tx,
    organisation_id: Uuid,
    hurt: &BTreeSet<Uuid>,
    now: i64,
) -> Result<BTreeMap<Uuid, i64>, StoreError> {
    let specs = monitors::enabled(tx, organisation_id).await?;
    let mut well: BTreeMap<Uuid, i64> = BTreeMap::new();
    for seat in sightings::seats(tx, organisation_id).await? {
        let Some((revision, spec)) = specs.get(&seat.monitor_id) else { continue };
        if hurt.contains(&seat.monitor_id) || seat.held.revision != *revision {
            continue;
        }
        let look = look(&seat, Thresholds::of(spec).stale_after_ms, now);
        if let Some(look) = look.filter(|look| look.failing_since.is_none()) {
            let at = well.entry(seat.monitor_id).or_insert(look.at);
            *at = (*at).max(look.at);
        }
    }
    Ok(well)
}
