//! From a target to a connection that speaks to it, phase by phase.
//!
//! Every kind that speaks TCP comes through here: [`dial`] finds the addresses,
//! judges and connects, [`secure`] shakes hands in TLS above that. Both write what they
//! measured and learnt into the observation as it happens, so that a check
//! that fails half-way still says how far it came.

use super::ProbeContext;
use super::connect::connect;
use super::deadline::{Deadline, Phase};
use super::failure::Failure;
use super::route::Route;
use super::tls::{self, Secured, TlsClient};
use super::wire::{Stamped, Wire};
use crate::clock;
use hyperverge_protocol::egress::Destination;
use hyperverge_protocol::outcome::Observation;
use rustls_pki_types::ServerName;
use std::time::{Duration, Instant};

/// Finds the addresses of `destination` by `route`, and connects to one of them.
pub async fn dial(
    context: &ProbeContext,
    route: &Route,
    destination: &Destination,
    port: u16,
    deadline: &mut Deadline<'_>,
    seen: &mut Observation,
) -> Result<Wire, Failure> {
    let addresses = route.addresses(context, destination, deadline, seen).await?;
    let began = clock::monotonic();
    match connect(&context.0.egress, &addresses, port, deadline).await {
        Ok(connected) => {
            add(&mut seen.phases.connect, connected.took);
            seen.address = Some(connected.address);
            Ok(connected.wire)
        }
        Err(failed) => {
            if failed.address.is_some() {
                add(&mut seen.phases.connect, since(began));
                seen.address = failed.address;
            }
            Err(failed.failure)
        }
    }
}

/// Shakes hands with `name` over `stream`. `shown` names the target for people.
pub async fn secure<S: Stamped>(
    client: &TlsClient,
    name: &ServerName<'static>,
    shown: &str,
    stream: S,
    deadline: &mut Deadline<'_>,
    seen: &mut Observation,
) -> Result<Secured<S>, Failure> {
    let handshake = client.begin(name);
    let began = clock::monotonic();
    let waited = stream.waited();
    let shaken = deadline.within(Phase::Tls, Box::pin(handshake.over(stream))).await;
    let took = since(began);
    let shaken = shaken.map(|shaken| shaken.map_err(|error| handshake.failure(shown, &error)));
    let shaken = shaken.flatten();
    // The peer's time only, as far as it is known: not how late its messages were
    // read, nor how long this host computed.
    let peers = shaken.as_ref().map_or(took, |stream| stream.waited().saturating_sub(waited));
    add(&mut seen.phases.tls, peers);
    if let Some(facts) = handshake.facts(shaken.as_ref().ok()) {
        tls::note(seen, facts);
    }
    Ok(Secured { stream: shaken?, asked: handshake.asked() })
}

/// How long ago `began` was.
pub fn since(began: Instant) -> Duration {
    clock::monotonic().saturating_duration_since(began)
}

/// Phases of several hops add up.
pub fn add(phase: &mut Option<Duration>, took: impl Into<Option<Duration>>) {
    if let Some(took) = took.into() {
        *phase = Some(phase.unwrap_or_default() + took);
    }
}
