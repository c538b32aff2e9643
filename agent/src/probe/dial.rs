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
use super::tls::{self, TlsClient};
use super::wire::Wire;
use crate::clock;
use hyperverge_protocol::egress::Destination;
use hyperverge_protocol::outcome::Observation;
use rustls_pki_types::ServerName;
use std::time::{Duration, Instant};
use tokio_rustls::client::TlsStream;

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
        Ok((wire, address)) => {
            add(&mut seen.phases.connect, since(began));
            seen.address = Some(address);
            Ok(wire)
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

/// Shakes hands with `name` over `wire`. `shown` names the target for people.
pub async fn secure(
    client: &TlsClient,
    name: &ServerName<'static>,
    shown: &str,
    wire: Wire,
    deadline: &mut Deadline<'_>,
    seen: &mut Observation,
) -> Result<TlsStream<Wire>, Failure> {
    let began = clock::monotonic();
    let handshake = Box::pin(client.handshake(name.clone(), wire));
    let shaken = deadline.within(Phase::Tls, handshake).await;
    add(&mut seen.phases.tls, since(began));
    let (stream, expires) = match shaken? {
        Ok(stream) => {
            let expires = tls::certificate_expires_s(&stream);
            (Ok(stream), expires)
        }
        Err(error) => {
            let (failure, expires) = tls::judge_handshake(shown, &error);
            (Err(failure), expires)
        }
    };
    // Over redirects the certificate that expires first is the one to know about.
    seen.certificate_expires_s = [seen.certificate_expires_s, expires].into_iter().flatten().min();
    stream
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
