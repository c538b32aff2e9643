//! The local listener: `/health` and `/live` (the process answers), `/ready`
//! (it can do its work), `/metrics`. Loopback by default: it tells what this
//! host does and asks nobody who they are.

use crate::clock;
use crate::metrics::Metrics;
use crate::status::Status;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use serde_json::json;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

#[derive(Clone)]
struct Shared {
    status: Arc<Status>,
    metrics: Arc<Metrics>,
}

/// Serves until `stop`.
pub async fn serve(
    listener: TcpListener,
    status: Arc<Status>,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
) -> io::Result<()> {
    let router = Router::new()
        .route("/health", get(live))
        .route("/live", get(live))
        .route("/ready", get(ready))
        .route("/metrics", get(exposition))
        .with_state(Shared { status, metrics });
    axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await
}

async fn live() -> Json<serde_json::Value> {
    Json(json!({ "status": "ok", "version": env!("CARGO_PKG_VERSION") }))
}

async fn ready(State(shared): State<Shared>) -> Response {
    let reasons = shared.status.not_ready(clock::boot_ms());
    if reasons.is_empty() {
        return Json(json!({ "status": "ready" })).into_response();
    }
    let body = Json(json!({ "status": "not ready", "reasons": reasons }));
    (StatusCode::SERVICE_UNAVAILABLE, body).into_response()
}

async fn exposition(State(shared): State<Shared>) -> Response {
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4")];
    (kind, shared.metrics.render()).into_response()
}

/// Whether the agent listening on `address` answers its `/live`.
pub async fn is_live(address: SocketAddr) -> io::Result<bool> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET /live HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await?;
    Ok(&answer == b"HTTP/1.1 200")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::Ordering::Relaxed;

    async fn get(address: SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(address).await.expect("listens");
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut text = String::new();
        stream.read_to_string(&mut text).await.expect("answered");
        text
    }

    #[tokio::test]
    async fn readiness_says_what_is_missing() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let status = Arc::new(Status::default());
        let metrics = Arc::new(Metrics::new());
        metrics.spool.bytes.set(17);
        let stop = CancellationToken::new();
        let server = tokio::spawn(serve(listener, status.clone(), metrics, stop.clone()));
        assert!(is_live(address).await.expect("answers"));
        let waiting = get(address, "/ready").await;
        assert!(waiting.starts_with("HTTP/1.1 503") && waiting.contains("no assignment set"));
        status.set_version.store(3, Relaxed);
        status.set_expires_boot_ms.store(i64::MAX, Relaxed);
        assert!(get(address, "/ready").await.starts_with("HTTP/1.1 200"));
        assert!(get(address, "/metrics").await.contains("agent_spool_bytes 17"));
        stop.cancel();
        server.await.expect("no panic").expect("no error");
    }
}
