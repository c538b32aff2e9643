//! A receiver of webhooks. It believes what it is sent: checking signatures is
//! shown by the end-to-end tests, with a library that is not ours.

use super::inbox::{Inbox, Notice, Via};
use anyhow::{Context, Result};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use serde_json::Value;
use std::net::Ipv4Addr;
use tokio::net::TcpListener;

/// Starts a receiver on a free port of 127.0.0.1 and answers its URL. It runs
/// as long as the program.
pub(super) async fn start(inbox: Inbox) -> Result<String> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .context("opening the webhook receiver")?;
    let url = format!("http://{}/on-call", listener.local_addr()?);
    let router = Router::new().route("/on-call", post(receive)).with_state(inbox);
    tokio::spawn(async move {
        axum::serve(listener, router).await.ok();
    });
    Ok(url)
}

async fn receive(State(inbox): State<Inbox>, body: Bytes) -> StatusCode {
    let Ok(body) = serde_json::from_slice::<Value>(&body) else {
        return StatusCode::BAD_REQUEST;
    };
    let kind = body["type"].as_str().unwrap_or_default();
    let kind = kind.strip_prefix("incident.").unwrap_or(kind).to_owned();
    let headline = body["data"]["headline"].as_str().unwrap_or_default();
    let headline = headline.to_owned();
    inbox.take(Notice { via: Via::Webhook, kind, headline });
    StatusCode::NO_CONTENT
}
