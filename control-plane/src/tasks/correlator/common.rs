//! What incidents may have in common: host, addresses, networks, certificate, regions.
//!
//! Hosts come with the specification. The rest is looked up in the newest results,
//! and only where it can matter: for what waits or began lately, certificates only
//! where the failure is about one, and how many monitors share something only for
//! what candidates really share.

use super::load::{Loaded, monitor_of};
use crate::store::incidents::Incident;
use crate::store::{StoreError, Tx, sightings};
use hyperverge_control_core::correlation::{RegionState, Scope};
use hyperverge_control_core::paging::{Candidate, Cause, CauseKind, causes, network_of};
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
    loaded.input.population = population(tx, organisation_id, shared, since_us).await?;
    Ok(())
}

fn networks(addresses: &BTreeSet<String>) -> BTreeSet<String> {
    addresses.iter().filter_map(|address| network_of(address)).collect()
}

/// Regions that see it down, where others see it well.
fn hurting_regions(incident: &Incident) -> BTreeSet<String> {
    if incident.scope == Scope::Global {
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

/// Wide causes that two candidates or more have.
fn shared(candidates: &[Candidate]) -> BTreeSet<Cause> {
    let mut counts: BTreeMap<Cause, u32> = BTreeMap::new();
    for cause in candidates.iter().flat_map(causes) {
        let wide = [CauseKind::Address, CauseKind::Network, CauseKind::Region];
        if wide.contains(&cause.kind) {
            *counts.entry(cause).or_default() += 1;
        }
    }
    counts.into_iter().filter(|(_, count)| *count > 1).map(|(cause, _)| cause).collect()
}

/// How many of the organisation's monitors have each of these.
async fn population(
    tx: &mut Tx,
    organisation_id: Uuid,
    wanted: BTreeSet<Cause>,
    since_us: i64,
) -> Result<BTreeMap<Cause, u32>, StoreError> {
    let mut counts: BTreeMap<Cause, u32> = BTreeMap::new();
    if wanted.iter().any(|cause| cause.kind != CauseKind::Region) {
        let addresses = sightings::addresses(tx, organisation_id, None, since_us).await?;
        for addresses in addresses.values() {
            let of = |kind| move |value: &String| Cause { kind, value: value.clone() };
            let networks = networks(addresses);
            let all = addresses.iter().map(of(CauseKind::Address));
            for cause in all.chain(networks.iter().map(of(CauseKind::Network))) {
                if wanted.contains(&cause) {
                    *counts.entry(cause).or_default() += 1;
                }
            }
        }
    }
    let regional: Vec<(&Cause, BTreeSet<&str>)> = wanted
        .iter()
        .filter(|cause| cause.kind == CauseKind::Region)
        .map(|cause| (cause, cause.value.split(", ").collect()))
        .collect();
    if !regional.is_empty() {
        for seen_from in sightings::watched_from(tx, organisation_id).await?.values() {
            for (cause, regions) in &regional {
                if regions.iter().all(|region| seen_from.contains(*region)) {
                    *counts.entry((*cause).clone()).or_default() += 1;
                }
            }
        }
    }
    Ok(counts)
}
