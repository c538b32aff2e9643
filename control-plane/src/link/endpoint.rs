//! The UDP listener: what one peer may make us hold, and who is let in.
//!
//! Bounds come before beliefs: windows and streams are small, handshakes and
//! first frames are counted and timed, and when many are under way a client has
//! to prove its address first (a stateless Retry), so that a forged one costs
//! nothing.

use super::clock::ControlClock;
use super::registry::Registry;
use super::throttle::UnknownTokens;
use super::tls::{self, TlsSetupError};
use super::{Submit, arrival, reset, rounds};
use crate::limits::{FIRST_FRAME, LINK_IDLE, PENDING_SESSIONS, RETRY_ABOVE, SHUTDOWN};
use crate::shared::Shared;
use crate::store::StoreError;
use ed25519_dalek::SigningKey;
use hyperverge_protocol::wire::Refusal;
use quinn::{Endpoint, IdleTimeout, Incoming, ServerConfig, TokioRuntime, TransportConfig, VarInt};
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// One stream carries a session.
const STREAMS: u32 = 1;
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 2 * 1024 * 1024;
const SEND_WINDOW: u64 = 2 * 1024 * 1024;
/// Bytes kept for a connection that is not accepted yet, and for all of them.
const INCOMING_BYTES: u64 = 64 * 1024;
const INCOMING_BYTES_TOTAL: u64 = 16 * 1024 * 1024;

/// Why the gateway cannot start.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    #[error("link.listen: {address}: {source}")]
    Socket {
        address: String,
        #[source]
        source: std::io::Error,
    },
    #[error("link.listen: {0}: must be an address and a port")]
    Address(String),
    #[error(transparent)]
    Tls(#[from] TlsSetupError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The gateway of this process.
pub struct Gateway {
    pub(super) shared: Arc<Shared>,
    pub(super) registry: Registry,
    pub(super) clock: ControlClock,
    pub(super) unknown_tokens: UnknownTokens,
    pub(super) submit: Submit,
    endpoint: Endpoint,
}

impl std::fmt::Debug for Gateway {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gateway").field("registry", &self.registry).finish_non_exhaustive()
    }
}

/// Opens the socket of `[link] listen`; the address that was bound says the port if it was 0.
pub fn bind(listen: &str, key: &SigningKey) -> Result<(Endpoint, SocketAddr), BindError> {
    let address: SocketAddr = listen.parse().map_err(|_| BindError::Address(listen.to_owned()))?;
    let failed = |source| BindError::Socket { address: listen.to_owned(), source };
    let socket = UdpSocket::bind(address).map_err(failed)?;
    let (config, server) = (reset::endpoint_config(key), server_config(key)?);
    let endpoint =
        Endpoint::new(config, Some(server), socket, Arc::new(TokioRuntime)).map_err(failed)?;
    let bound = endpoint.local_addr().map_err(failed)?;
    Ok((endpoint, bound))
}

fn server_config(key: &SigningKey) -> Result<ServerConfig, TlsSetupError> {
    let mut config = ServerConfig::with_crypto(Arc::new(tls::server_config(key)?));
    config
        .max_incoming(PENDING_SESSIONS)
        .incoming_buffer_size(INCOMING_BYTES)
        .incoming_buffer_size_total(INCOMING_BYTES_TOTAL);
    let mut transport = TransportConfig::default();
    transport
        .max_idle_timeout(IdleTimeout::try_from(LINK_IDLE).ok())
        .max_concurrent_bidi_streams(VarInt::from_u32(STREAMS))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW))
        .receive_window(VarInt::from_u32(CONNECTION_WINDOW))
        .send_window(SEND_WINDOW)
        .datagram_receive_buffer_size(None);
    config.transport_config(Arc::new(transport));
    Ok(config)
}

impl Gateway {
    /// A gateway on an open socket.
    pub async fn new(
        shared: Arc<Shared>,
        endpoint: Endpoint,
        submit: Submit,
    ) -> Result<Self, StoreError> {
        let clock = ControlClock::new(&shared.store).await?;
        let (registry, unknown_tokens) = (Registry::default(), UnknownTokens::default());
        Ok(Self { shared, registry, clock, unknown_tokens, submit, endpoint })
    }

    /// Takes agents until `stop`; then ends each session after what it has under
    /// way, and waits for them.
    pub async fn run(self, stop: CancellationToken) {
        let gateway = Arc::new(self);
        let sessions = TaskTracker::new();
        let after_sessions = CancellationToken::new();
        let rounds = tokio::spawn({
            let (gateway, stop) = (gateway.clone(), after_sessions.clone());
            async move { rounds::run(&gateway, stop).await }
        });
        gateway.accept(&sessions, &stop).await;
        // Refuses new connections, keeps those that are there.
        gateway.endpoint.set_server_config(None);
        sessions.close();
        sessions.wait().await;
        after_sessions.cancel();
        if let Err(error) = rounds.await {
            tracing::error!(%error, "the gateway's rounds failed");
        }
        gateway.endpoint.close(VarInt::from_u32(0), b"the control plane is stopping");
        if tokio::time::timeout(SHUTDOWN / 2, gateway.endpoint.wait_idle()).await.is_err() {
            tracing::debug!("some agents did not hear that the link closed");
        }
    }

    async fn accept(self: &Arc<Self>, sessions: &TaskTracker, stop: &CancellationToken) {
        let room = Arc::new(Semaphore::new(PENDING_SESSIONS));
        loop {
            let incoming = tokio::select! {
                () = stop.cancelled() => return,
                incoming = self.endpoint.accept() => incoming,
            };
            let Some(incoming) = incoming else { return };
            let under_way = PENDING_SESSIONS - room.available_permits();
            if under_way > RETRY_ABOVE && !incoming.remote_address_validated() {
                self.count_handshake("retry");
                if let Err(error) = incoming.retry() {
                    tracing::debug!(%error, "a retry was not possible");
                }
                continue;
            }
            let Ok(permit) = room.clone().try_acquire_owned() else {
                self.count_handshake("full");
                incoming.refuse();
                continue;
            };
            let (gateway, stop) = (self.clone(), stop.clone());
            sessions.spawn(async move { gateway.connection(incoming, permit, &stop).await });
        }
    }

    async fn connection(
        &self,
        incoming: Incoming,
        permit: OwnedSemaphorePermit,
        stop: &CancellationToken,
    ) {
        let handshake = tokio::time::timeout(FIRST_FRAME, incoming);
        match handshake.await {
            Ok(Ok(connection)) => {
                self.count_handshake("ok");
                arrival::receive(self, connection, permit, stop).await;
            }
            Ok(Err(error)) => {
                self.count_handshake("failed");
                tracing::debug!(%error, "a handshake on the link failed");
            }
            Err(_) => self.count_handshake("slow"),
        }
    }

    fn count_handshake(&self, result: &str) {
        self.shared.metrics.link_handshakes_total.with_label_values(&[result]).inc();
    }

    pub(super) fn count_refusal(&self, refusal: &Refusal) {
        let code = refusal.code().as_str_name();
        let code = code.trim_start_matches("REFUSAL_CODE_").to_ascii_lowercase();
        self.shared.metrics.link_refusals_total.with_label_values(&[&code]).inc();
    }
}
