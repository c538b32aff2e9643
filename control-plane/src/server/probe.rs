//! `hyperverge-control-plane healthcheck`: asks a running process whether it is
//! ready, for containers that have no shell to do it with.

use axum::body::Body;
use http::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use tokio::net::TcpStream;

const PATIENCE: Duration = Duration::from_secs(5);

/// Why it is not ready.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    #[error("{0} does not accept connections: {1}")]
    Connect(SocketAddr, #[source] std::io::Error),
    #[error("{0} did not answer within {PATIENCE:?}")]
    Timeout(SocketAddr),
    #[error("the answer is not HTTP: {0}")]
    Http(#[from] hyper::Error),
    #[error("not ready: status {0}")]
    NotReady(StatusCode),
    #[error("server.tls_cert is set: ask https://{0}/ready from outside instead")]
    Tls(SocketAddr),
}

/// Asks `/ready` at the process that listens on `listen`.
pub async fn probe(listen: SocketAddr) -> Result<(), ProbeError> {
    let address = reachable(listen);
    match tokio::time::timeout(PATIENCE, ask(address)).await {
        Ok(Ok(StatusCode::OK)) => Ok(()),
        Ok(Ok(status)) => Err(ProbeError::NotReady(status)),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(ProbeError::Timeout(address)),
    }
}

async fn ask(address: SocketAddr) -> Result<StatusCode, ProbeError> {
    let stream =
        TcpStream::connect(address).await.map_err(|error| ProbeError::Connect(address, error))?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake::<_, Body>(TokioIo::new(stream)).await?;
    let driver = tokio::spawn(connection);
    let request = Request::get("/ready").header(http::header::HOST, address.to_string());
    let request = request.body(Body::empty()).expect("constant parts make a request");
    let status = sender.send_request(request).await?.status();
    driver.abort();
    Ok(status)
}

/// "Any address" is no destination: the loopback one of the same family is.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}
