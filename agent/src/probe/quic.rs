//! From a target to a QUIC connection, for whatever speaks above it.
//!
//! QUIC shakes hands while it connects, so both are one phase here: `tls`.
//! `connect` stays empty. All checks of this process share one UDP socket per
//! address family, opened by the first that needs it: a socket and an endpoint
//! of its own would cost a check more than the handshake. So a port that nobody
//! listens on looks like one that never answers: what the kernel hears of
//! it (ICMP) it tells only to a socket that is bound to one peer.
//!
//! Each address is judged before anything is sent to it, and quinn takes
//! packets of a connection from no other one.

use super::ProbeContext;
use super::connect::{ConnectFailure, has_route, interleave, weigh};
use super::deadline::{Deadline, Phase};
use super::dial::{add, since};
use super::failure::Failure;
use super::limits;
use super::route::Route;
use super::tls::{self, TlsClient};
use crate::clock;
use hyperverge_protocol::egress::Destination;
use hyperverge_protocol::outcome::{Observation, Reason};
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{
    ClientConfig, ConnectError, Connecting, ConnectionError, Endpoint, IdleTimeout,
    TransportConfig, TransportErrorCode,
};
use rustls_pki_types::ServerName;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

/// The UDP sockets of this process, opened when they are needed first.
#[derive(Debug)]
pub struct QuicEndpoints {
    v4: Mutex<Option<Endpoint>>,
    v6: Mutex<Option<Endpoint>>,
    transport: Arc<TransportConfig>,
}

/// Whom to speak with.
#[derive(Debug, Clone, Copy)]
pub struct QuicTarget<'a> {
    pub destination: &'a Destination,
    pub port: u16,
    /// The name to ask for and to verify.
    pub name: &'a ServerName<'static>,
    /// Names the target for people.
    pub shown: &'a str,
}

impl QuicEndpoints {
    /// Opens nothing yet.
    pub fn new() -> Self {
        let mut transport = TransportConfig::default();
        // What a variable-length integer cannot hold would be no bound at all.
        let idle = IdleTimeout::try_from(limits::QUIC_IDLE).ok();
        transport
            .max_concurrent_bidi_streams(0u8.into())
            .max_concurrent_uni_streams(limits::QUIC_PEER_STREAMS.into())
            .stream_receive_window(limits::QUIC_STREAM_WINDOW.into())
            .receive_window(limits::QUIC_WINDOW.into())
            .send_window(limits::QUIC_WINDOW.into())
            .max_idle_timeout(idle)
            .keep_alive_interval(Some(limits::QUIC_KEEP_ALIVE))
            .datagram_receive_buffer_size(None)
            .mtu_discovery_config(None);
        Self { v4: Mutex::default(), v6: Mutex::default(), transport: Arc::new(transport) }
    }

    /// Begins a connection; what this host lacks is its own failure.
    fn begin(
        &self,
        config: ClientConfig,
        address: SocketAddr,
        name: &str,
    ) -> Result<Connecting, Failure> {
        let mut last = None;
        // An endpoint ends with the runtime it was made in; then a new one is made.
        for _ in 0..2 {
            match self.endpoint(address)?.connect_with(config.clone(), address, name) {
                Ok(connecting) => return Ok(connecting),
                Err(ConnectError::EndpointStopping) => self.forget(address),
                Err(error) => {
                    last = Some(error);
                    break;
                }
            }
        }
        let error = last.map_or_else(String::new, |error| error.to_string());
        let message = format!("the agent cannot begin a QUIC connection: {error}");
        Err(Failure::unsupported(Reason::AgentFault, message))
    }

    fn place(&self, address: SocketAddr) -> &Mutex<Option<Endpoint>> {
        if address.is_ipv6() { &self.v6 } else { &self.v4 }
    }

    fn forget(&self, address: SocketAddr) {
        self.place(address).lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    fn endpoint(&self, address: SocketAddr) -> Result<Endpoint, Failure> {
        let mut place = self.place(address).lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(endpoint) = &*place {
            return Ok(endpoint.clone());
        }
        let local: SocketAddr = match address {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let endpoint = Endpoint::client(local).map_err(|error| of_this_host(&error))?;
        *place = Some(endpoint.clone());
        Ok(endpoint)
    }
}

impl Default for QuicEndpoints {
    fn default() -> Self {
        Self::new()
    }
}

fn of_this_host(error: &io::Error) -> Failure {
    Failure::of_this_host(error).unwrap_or_else(|| {
        let message = format!("the agent's host gives no UDP socket: {}", error.kind());
        Failure::unsupported(Reason::AgentFault, message)
    })
}

/// Finds the addresses of `target` by `route`, and shakes hands with the first
/// that answers. Where there are several, each has its share of the time that is left.
pub async fn connect(
    context: &ProbeContext,
    route: &Route,
    target: QuicTarget<'_>,
    client: &TlsClient,
    deadline: &mut Deadline<'_>,
    seen: &mut Observation,
) -> Result<quinn::Connection, Failure> {
    let addresses = route.addresses(context, target.destination, deadline, seen).await?;
    let mut left = addresses.len().min(limits::CONNECT_ADDRESSES);
    let mut worst: Option<ConnectFailure> = None;
    for address in interleave(&addresses).take(limits::CONNECT_ADDRESSES) {
        let address = SocketAddr::new(*address, target.port);
        seen.address = Some(address);
        match attempt(context, address, target, client, left, deadline, seen).await {
            Ok(connection) => return Ok(connection),
            Err(Attempt::Ended(failure)) => return Err(failure),
            Err(Attempt::Silent(failure)) => {
                worst = Some(weigh(worst, ConnectFailure { failure, address: Some(address) }))
            }
        }
        left -= 1;
    }
    let Some(worst) = worst else { return Err(deadline.struck(Phase::Tls)) };
    seen.address = worst.address;
    Err(worst.failure)
}

/// A failed attempt.
enum Attempt {
    /// The target has spoken, or the time is up: this is the answer.
    Ended(Failure),
    /// Another address may do better.
    Silent(Failure),
}

async fn attempt(
    context: &ProbeContext,
    address: SocketAddr,
    target: QuicTarget<'_>,
    client: &TlsClient,
    left: usize,
    deadline: &mut Deadline<'_>,
    seen: &mut Observation,
) -> Result<quinn::Connection, Attempt> {
    if !has_route(address) {
        let message = format!("the agent's host has no route to {address}");
        return Err(Attempt::Silent(Failure::unsupported(Reason::UnsupportedFamily, message)));
    }
    let handshake = client.begin(target.name);
    let quic = &context.0.quic;
    let crypto = QuicClientConfig::try_from(Arc::clone(handshake.config())).map_err(|error| {
        let message = format!("the agent cannot speak QUIC: {error}");
        Attempt::Ended(Failure::unsupported(Reason::AgentFault, message))
    })?;
    let mut config = ClientConfig::new(Arc::new(crypto));
    config.transport_config(Arc::clone(&quic.transport));
    let began = clock::monotonic();
    let name = handshake.name().to_str();
    let connecting = quic.begin(config, address, &name).map_err(Attempt::Ended)?;
    let share = deadline.remaining(began) / u32::try_from(left).unwrap_or(1);
    let shaken = if left > 1 {
        deadline.within(Phase::Tls, tokio::time::timeout(share, connecting)).await
    } else {
        deadline.within(Phase::Tls, connecting).await.map(Ok)
    };
    add(&mut seen.phases.tls, since(began));
    if let Some(facts) = handshake.facts_in_quic() {
        tls::note(seen, facts);
    }
    match shaken {
        Err(struck) => Err(Attempt::Ended(struck)),
        Ok(Err(_)) | Ok(Ok(Err(ConnectionError::TimedOut))) => {
            Err(Attempt::Silent(deadline.struck(Phase::Tls)))
        }
        Ok(Ok(Err(ConnectionError::ConnectionClosed(close))))
            if close.error_code == TransportErrorCode::CONNECTION_REFUSED =>
        {
            let message = format!("{address} refused the connection");
            Err(Attempt::Silent(Failure::target(Reason::ConnectRefused, message)))
        }
        Ok(Ok(Ok(connection))) => Ok(connection),
        Ok(Ok(Err(error))) => {
            let shown = target.shown;
            let failed =
                |what: &str| Failure::target(Reason::TlsHandshake, format!("{shown} {what}"));
            Err(Attempt::Ended(match error {
                ConnectionError::VersionMismatch => failed("speaks no version of QUIC known here"),
                // A stateless reset: it knows nothing of this connection any more.
                ConnectionError::Reset => {
                    let message = format!("{shown} reset the connection in the TLS handshake");
                    Failure::target(Reason::TlsReset, message)
                }
                error => handshake.failure_in_quic(shown, alert(&error)),
            }))
        }
    }
}

fn alert(error: &ConnectionError) -> Option<u8> {
    let code = match error {
        ConnectionError::TransportError(error) => u64::from(error.code),
        ConnectionError::ConnectionClosed(close) => u64::from(close.error_code),
        _ => return None,
    };
    tls::quic_alert(code)
}
