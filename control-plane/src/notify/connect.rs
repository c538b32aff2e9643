//! Connections of ours to the outside: judged, then made to what was judged.
//!
//! The name is resolved once, every address it has is judged, and the connection
//! goes to one of those addresses; nothing resolves it again in between, so a
//! name that changes its mind gains nothing. No proxy from the environment.

use crate::limits::{DELIVERY_ADDRESSES, DELIVERY_CONNECT};
use hyperverge_protocol::egress::{AddressRule, Cidr, Destination, EgressPolicy};
use rustls::RootCertStore;
use rustls_pki_types::{InvalidDnsNameError, ServerName};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use url::Url;

/// What is spoken over.
pub(super) trait Stream:
    AsyncRead + AsyncWrite + Send + Sync + Unpin + std::fmt::Debug
{
}
impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin + std::fmt::Debug> Stream for T {}

/// Why there is no connection. Nothing was sent.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error("{0}")]
    Refused(#[from] AddressRule),
    #[error("plain http is only sent to addresses that [egress] allow lists, and {0} is not one")]
    Plain(IpAddr),
    #[error("the name {0} cannot be looked up")]
    Resolve(String, #[source] io::Error),
    #[error("the name {0} has no address")]
    NoAddress(String),
    #[error("no connection to {0}: {1}")]
    Connect(SocketAddr, io::Error),
    #[error("no TLS with {0}: {1}")]
    Tls(String, io::Error),
    #[error("the host is not a name that TLS can verify")]
    Name(#[from] InvalidDnsNameError),
    #[error("the TLS provider offers no usable version")]
    Provider(#[from] rustls::Error),
}

/// Makes judged connections.
#[derive(Clone)]
pub struct Connector {
    policy: EgressPolicy,
    tls: TlsConnector,
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connector").field("policy", &self.policy).finish_non_exhaustive()
    }
}

impl Connector {
    /// `allow` lists networks besides the public ones; `roots` vouch for receivers.
    pub fn new(allow: Vec<Cidr>, roots: RootCertStore) -> Result<Self, ConnectError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self { policy: EgressPolicy { allow }, tls: TlsConnector::from(Arc::new(config)) })
    }

    /// The same for a server that the operator configured: every address but the
    /// metadata ones, since naming the server has allowed it.
    pub(super) fn for_operators_server(&self) -> Self {
        let everywhere = ["0.0.0.0/0", "::/0"].iter().filter_map(|network| network.parse().ok());
        Self { policy: EgressPolicy { allow: everywhere.collect() }, tls: self.tls.clone() }
    }

    /// Whether what this address answers may be shown to who configured the URL:
    /// not where only the operator's own list lets us go.
    pub(super) fn may_quote(address: SocketAddr) -> bool {
        EgressPolicy::default().judge(address.ip()).is_ok()
    }

    /// Connects to the host of an http or https URL.
    pub(super) async fn to_url(
        &self,
        url: &Url,
    ) -> Result<(Box<dyn Stream>, SocketAddr), ConnectError> {
        let port = url.port_or_known_default().unwrap_or(443);
        let addresses = self.judged(url, port).await?;
        if url.scheme() != "https" {
            self.require_listed(&addresses)?;
        }
        let tcp = first_that_takes(&addresses).await?;
        let peer = tcp.peer_addr().map_err(|error| ConnectError::Connect(addresses[0], error))?;
        if url.scheme() != "https" {
            return Ok((Box::new(tcp), peer));
        }
        Ok((Box::new(self.encrypt(url.host_str().unwrap_or_default(), tcp).await?), peer))
    }

    /// Connects without TLS to the host of any URL; the caller's protocol may begin TLS later.
    pub(super) async fn plainly(&self, url: &Url, port: u16) -> Result<TcpStream, ConnectError> {
        first_that_takes(&self.judged(url, port).await?).await
    }

    /// Begins TLS with the peer under the name `host`.
    pub(super) async fn encrypt(
        &self,
        host: &str,
        tcp: TcpStream,
    ) -> Result<tokio_rustls::client::TlsStream<TcpStream>, ConnectError> {
        let bare = host.trim_start_matches('[').trim_end_matches(']').trim_end_matches('.');
        let name = ServerName::try_from(bare.to_owned())?;
        let tls = self.tls.connect(name, tcp).await;
        tls.map_err(|error| ConnectError::Tls(host.to_owned(), error))
    }

    async fn judged(&self, url: &Url, port: u16) -> Result<Vec<SocketAddr>, ConnectError> {
        let addresses = match self.policy.judge_url_host(url)? {
            Destination::Addresses(addresses) => addresses,
            Destination::Name(name) => {
                let addresses = resolve(name).await?;
                self.policy.judge_all(&addresses)?;
                addresses
            }
        };
        Ok(addresses.into_iter().map(|address| SocketAddr::new(address, port)).collect())
    }

    fn require_listed(&self, addresses: &[SocketAddr]) -> Result<(), ConnectError> {
        let listed = |address: IpAddr| self.policy.allow.iter().any(|net| net.contains(address));
        match addresses.iter().find(|address| !listed(address.ip())) {
            Some(address) => Err(ConnectError::Plain(address.ip())),
            None => Ok(()),
        }
    }
}

async fn resolve(name: String) -> Result<Vec<IpAddr>, ConnectError> {
    let found = tokio::net::lookup_host((name.as_str(), 0)).await;
    let found = found.map_err(|error| ConnectError::Resolve(name.clone(), error))?;
    let mut addresses: Vec<IpAddr> = Vec::new();
    for address in found {
        if !addresses.contains(&address.ip()) {
            addresses.push(address.ip());
        }
    }
    if addresses.is_empty() { Err(ConnectError::NoAddress(name)) } else { Ok(addresses) }
}

/// Tries a few addresses in the resolver's order, each for its share of the time.
async fn first_that_takes(addresses: &[SocketAddr]) -> Result<TcpStream, ConnectError> {
    let tried = &addresses[..addresses.len().min(DELIVERY_ADDRESSES)];
    let share = DELIVERY_CONNECT / u32::try_from(tried.len().max(1)).unwrap_or(1);
    let mut last = ConnectError::NoAddress(String::new());
    for address in tried {
        match tokio::time::timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(tcp)) => return Ok(tcp),
            Ok(Err(error)) => last = ConnectError::Connect(*address, error),
            Err(_) => last = ConnectError::Connect(*address, io::ErrorKind::TimedOut.into()),
        }
    }
    Err(last)
}
