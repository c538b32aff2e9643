//! Finding a control plane: each address in order, each name's addresses in
//! the order the resolver gives them. The first handshake with a pinned key wins.

use super::tls::{self, PinWatch, TlsSetupError};
use crate::limits;
use ed25519_dalek::{SigningKey, VerifyingKey};
use quinn::{ClientConfig, ConnectionError, Endpoint, IdleTimeout, TransportConfig, VarInt};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

/// The name in the handshake. Raw keys make it meaningless; it only has to be one.
const SERVER_NAME: &str = "hyperverge.invalid";

/// Where a connection failed: the layers that `doctor` names.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error("cannot look up {address}")]
    Lookup { address: String, source: std::io::Error },
    #[error("{address} is not known to the resolver")]
    NoAddress { address: String },
    #[error("cannot open a UDP socket")]
    Socket(#[source] std::io::Error),
    #[error("no answer from {peer} over UDP")]
    NoAnswer { peer: SocketAddr },
    #[error("{peer} shows a key that the enrolment does not pin")]
    WrongPin { peer: SocketAddr },
    #[error("the handshake with {peer} failed: {rule}")]
    Handshake { peer: SocketAddr, rule: String },
    #[error(transparent)]
    Tls(#[from] TlsSetupError),
    #[error("no addresses to try")]
    Nothing,
}

/// An authenticated connection and the endpoint that carries it.
#[derive(Debug)]
pub struct Link {
    pub connection: quinn::Connection,
    pub endpoint: Endpoint,
    pub peer: SocketAddr,
}

/// Tries `addresses` (`host:port`) until one answers with a pinned key.
pub async fn connect(
    addresses: &[String],
    key: &SigningKey,
    pins: &[VerifyingKey],
) -> Result<Link, ConnectError> {
    let mut last = ConnectError::Nothing;
    for address in addresses {
        match resolve(address).await {
            Ok(peers) => {
                for peer in peers {
                    match handshake(peer, key, pins).await {
                        Ok(link) => return Ok(link),
                        Err(error) => last = error,
                    }
                }
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// The socket addresses of `host:port`.
pub async fn resolve(address: &str) -> Result<Vec<SocketAddr>, ConnectError> {
    let lookup_error = |source| ConnectError::Lookup { address: address.to_owned(), source };
    let found = tokio::time::timeout(limits::LOOKUP_TIMEOUT, tokio::net::lookup_host(address))
        .await
        .map_err(|_| lookup_error(std::io::ErrorKind::TimedOut.into()))?
        .map_err(lookup_error)?;
    let peers: Vec<_> = found.take(limits::ADDRESSES_PER_NAME).collect();
    if peers.is_empty() {
        return Err(ConnectError::NoAddress { address: address.to_owned() });
    }
    Ok(peers)
}

/// One handshake with one address.
pub async fn handshake(
    peer: SocketAddr,
    key: &SigningKey,
    pins: &[VerifyingKey],
) -> Result<Link, ConnectError> {
    let watch = PinWatch::default();
    let mut config = ClientConfig::new(Arc::new(tls::client_config(key, pins, watch.clone())?));
    config.transport_config(Arc::new(transport()));
    let local: IpAddr = match peer {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let endpoint = Endpoint::client(SocketAddr::new(local, 0)).map_err(ConnectError::Socket)?;
    let failed = |rule: String| ConnectError::Handshake { peer, rule };
    let connecting = endpoint
        .connect_with(config, peer, SERVER_NAME)
        .map_err(|error| failed(error.to_string()))?;
    match tokio::time::timeout(limits::CONNECT_TIMEOUT, connecting).await {
        Ok(Ok(connection)) => Ok(Link { connection, endpoint, peer }),
        Ok(Err(_)) if watch.saw_wrong_key() => Err(ConnectError::WrongPin { peer }),
        Err(_) | Ok(Err(ConnectionError::TimedOut)) => Err(ConnectError::NoAnswer { peer }),
        Ok(Err(error)) => Err(failed(error.to_string())),
    }
}

/// The knobs of the agent's side (the gateway sets its own).
fn transport() -> TransportConfig {
    let mut transport = TransportConfig::default();
    transport
        .keep_alive_interval(Some(limits::KEEP_ALIVE))
        .max_idle_timeout(IdleTimeout::try_from(limits::IDLE_TIMEOUT).ok())
        .max_concurrent_bidi_streams(VarInt::from_u32(0))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .stream_receive_window(VarInt::from_u32(limits::STREAM_WINDOW))
        .receive_window(VarInt::from_u32(limits::CONNECTION_WINDOW))
        .send_window(limits::SEND_WINDOW)
        .datagram_receive_buffer_size(None)
        // Segmentation offload breaks on too many of the hosts agents run on.
        .enable_segmentation_offload(false);
    transport
}
