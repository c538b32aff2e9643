//! What the demo watches: a small HTTP server with a switch.
//!
//! Agents say which region asks (`X-Hyperverge-Check: <monitor>/<region>/<slot>`),
//! so the target can be broken for one region only, as a bad route or a
//! poisoned cache would. The switch can also be thrown over HTTP:
//! `GET /switch` shows it, `POST /switch/good`, `/switch/all` or
//! `/switch/<region>` throws it.

use anyhow::{Context, Result};
use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, RwLock};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

const CHECK_HEADER: &str = "x-hyperverge-check";

/// Whom the target fails.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Switch {
    #[default]
    Good,
    BrokenFor(String),
    BrokenForAll,
}

impl Switch {
    /// The position of this name: `good`, `all` or a region.
    pub fn named(name: &str) -> Self {
        match name {
            "good" => Self::Good,
            "all" => Self::BrokenForAll,
            region => Self::BrokenFor(region.to_owned()),
        }
    }

    fn fails(&self, region: Option<&str>) -> bool {
        match self {
            Self::Good => false,
            Self::BrokenFor(broken) => region == Some(broken),
            Self::BrokenForAll => true,
        }
    }
}

impl std::fmt::Display for Switch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Good => f.write_str("good"),
            Self::BrokenFor(region) => write!(f, "broken for {region}"),
            Self::BrokenForAll => f.write_str("broken for all"),
        }
    }
}

type Shared = Arc<RwLock<Switch>>;

/// A running target. Dropped, it stops.
#[derive(Debug)]
pub struct Target {
    address: SocketAddr,
    switch: Shared,
    server: JoinHandle<()>,
}

impl Target {
    /// Starts it on a free port of 127.0.0.1.
    pub async fn start() -> Result<Self> {
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("opening the target")?;
        let address = listener.local_addr()?;
        let switch = Shared::default();
        let router = Router::new()
            .route("/", get(answer))
            .route("/switch", get(show))
            .route("/switch/{position}", post(throw))
            .with_state(Arc::clone(&switch));
        let server = tokio::spawn(async move {
            // Serving ends only with the task.
            axum::serve(listener, router).await.ok();
        });
        Ok(Self { address, switch, server })
    }

    /// What a monitor watches.
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// Throws the switch.
    pub fn set(&self, position: Switch) {
        set(&self.switch, position);
    }

    /// How the switch stands.
    pub fn position(&self) -> Switch {
        read(&self.switch)
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn answer(State(switch): State<Shared>, headers: HeaderMap) -> (StatusCode, &'static str) {
    let asked_by = headers.get(CHECK_HEADER).and_then(|value| value.to_str().ok());
    let region = asked_by.and_then(|check| check.rsplit('/').nth(1));
    if read(&switch).fails(region) {
        (StatusCode::SERVICE_UNAVAILABLE, "broken by its switch\n")
    } else {
        (StatusCode::OK, "ok\n")
    }
}

async fn show(State(switch): State<Shared>) -> String {
    format!("{}\n", read(&switch))
}

async fn throw(State(switch): State<Shared>, Path(position): Path<String>) -> String {
    set(&switch, Switch::named(&position));
    format!("{}\n", read(&switch))
}

// A position is replaced as a whole, so a poisoned lock still holds a good one.
fn read(switch: &Shared) -> Switch {
    switch.read().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
}

fn set(switch: &Shared, position: Switch) {
    *switch.write().unwrap_or_else(std::sync::PoisonError::into_inner) = position;
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn status(target: &Target, check: &str) -> u16 {
        rustls::crypto::ring::default_provider().install_default().ok();
        let http = reqwest::Client::builder().no_proxy().build().expect("a client");
        let request = http.get(target.url()).header("X-Hyperverge-Check", check);
        request.send().await.expect("an answer").status().as_u16()
    }

    #[tokio::test]
    async fn it_fails_whom_the_switch_says() {
        let target = Target::start().await.expect("started");
        let (here, there) = ("shop/eu-west/17", "shop/us-east/17");
        assert_eq!((status(&target, here).await, status(&target, there).await), (200, 200));
        target.set(Switch::BrokenFor("eu-west".into()));
        assert_eq!((status(&target, here).await, status(&target, there).await), (503, 200));
        target.set(Switch::named("all"));
        assert_eq!((status(&target, here).await, status(&target, there).await), (503, 503));
        assert_eq!(target.position(), Switch::BrokenForAll);
    }

    #[tokio::test]
    async fn the_switch_can_be_thrown_over_http() {
        rustls::crypto::ring::default_provider().install_default().ok();
        let target = Target::start().await.expect("started");
        let http = reqwest::Client::builder().no_proxy().build().expect("a client");
        let throw = http.post(format!("{}switch/us-east", target.url()));
        let said = throw.send().await.expect("an answer").text().await.expect("text");
        assert_eq!(said, "broken for us-east\n");
        assert_eq!(target.position(), Switch::BrokenFor("us-east".into()));
    }
}
