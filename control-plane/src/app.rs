//! From settings to a running process, and back down.
//!
//! Start: database, keys, listeners, then the tasks of this process's roles. A
//! task that ends by itself ends the process, since a control plane that only
//! seems to run is worse than one that is restarted. Stop: no new connections,
//! commits under way are finished and acknowledged, sessions are told why, all
//! within [`limits::SHUTDOWN`].

use crate::ingest::{self, IngestHandle};
use crate::keys::{self, Absent};
use crate::limits;
use crate::link::{self, Gateway};
use crate::notify;
use crate::roles::{Role, Roles};
use crate::server::{self, Readiness};
use crate::settings::{Settings, Sources};
use crate::shared::Shared;
use crate::store::Store;
use crate::tasks::{bursts, census, correlator, liveness, planner, retention};
use anyhow::{Context, bail};
use futures_util::FutureExt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Runs until `stop`, which the caller ties to signals.
pub async fn serve(
    settings: Settings,
    sources: &Sources,
    roles: Roles,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let mut app = App::start(settings, sources, &roles).await?;
    let mut tasks = Tasks { set: JoinSet::new(), stop: stop.clone() };
    app.spawn(&roles, &mut tasks).await?;
    let early = tasks.first_to_end().await;
    app.readiness.stop();
    stop.cancel();
    let finished = tokio::time::timeout(limits::SHUTDOWN, tasks.all_end()).await;
    app.shared.store.close().await;
    match (early, finished) {
        (Some(name), _) => bail!("the {name} task ended by itself"),
        (None, Err(_)) => {
            tracing::warn!(waited = ?limits::SHUTDOWN, "stopped before all work was finished");
            Ok(())
        }
        (None, Ok(())) => {
            tracing::info!("stopped");
            Ok(())
        }
    }
}

struct App {
    shared: Arc<Shared>,
    readiness: Arc<Readiness>,
    listener: Option<TcpListener>,
    tls: Option<tokio_rustls::TlsAcceptor>,
    link: Option<quinn::Endpoint>,
}

impl App {
    async fn start(
        mut settings: Settings,
        sources: &Sources,
        roles: &Roles,
    ) -> anyhow::Result<Self> {
        if !sources.is_set("server.listen") {
            let listen = &settings.server.listen;
            settings.server.listen = crate::settings::with_port(listen, roles.default_port());
        }
        let store = Store::open(settings.database.url.expose()).await.context("database.url")?;
        let absent = match keys::are_known(&store).await? {
            true => Absent::Refuse,
            false => Absent::Make,
        };
        let keys = keys::open(&settings, roles.signs_assignments(), absent)?;
        keys::require_known(&store, &keys).await?;
        let tls = match settings.server.tls_cert.is_empty() {
            true => None,
            false => Some(server::acceptor(&settings.server.tls_cert, &settings.server.tls_key)?),
        };
        let listener = TcpListener::bind(&settings.server.listen)
            .await
            .with_context(|| format!("server.listen: {}", settings.server.listen))?;
        // What was really bound, so that port 0 is of use to whoever reads it.
        let bound = listener.local_addr().context("server.listen")?;
        settings.server.listen = bound.to_string();
        if !sources.is_set("server.public_url") {
            settings.server.public_url = public_url(bound, tls.is_some());
        }
        let link = match roles.has(Role::Gateway) {
            true => {
                let (endpoint, bound) = link::bind(&settings.link.listen, keys.link())?;
                settings.link.listen = bound.to_string();
                tracing::info!(address = %bound, "the link listens");
                Some(endpoint)
            }
            false => None,
        };
        let readiness = Arc::new(Readiness::new(roles));
        let shared = Arc::new(Shared::new(store, keys, settings));
        shared.metrics.describe_process(&roles.words());
        tracing::info!(
            address = %bound,
            roles = roles.words().join(","),
            version = env!("CARGO_PKG_VERSION"),
            "listening"
        );
        Ok(Self { shared, readiness, listener: Some(listener), tls, link })
    }

    async fn spawn(&mut self, roles: &Roles, tasks: &mut Tasks) -> anyhow::Result<()> {
        let shared = &self.shared;
        if let Some(listener) = self.listener.take() {
            let router = server::router(shared, roles, self.readiness.clone());
            let serving = server::serve(listener, self.tls.take(), router, tasks.stop.clone());
            tasks.spawn("server", serving);
        }
        if roles.has(Role::Notifier) {
            let delivering = notify::run(shared.clone(), tasks.stop.clone());
            tasks.spawn("delivery", async {
                if let Err(error) = delivering.await {
                    tracing::error!(%error, "notices cannot be delivered");
                }
            });
        }
        if roles.has(Role::Scheduler) {
            let stop = tasks.stop.clone();
            tasks.spawn("census", census::run(shared.clone(), stop.clone()));
            tasks.spawn("planner", planner::run(shared.clone(), stop.clone()));
            tasks.spawn("bursts", bursts::run(shared.clone(), stop.clone()));
            tasks.spawn("liveness", liveness::run(shared.clone(), stop.clone()));
            tasks.spawn("correlator", correlator::run(shared.clone(), stop.clone()));
            tasks.spawn("retention", retention::run(shared.clone(), stop));
        }
        if let Some(endpoint) = self.link.take() {
            let (ingest, ingesting) = ingest::ingest(shared.clone(), tasks.stop.clone());
            tasks.spawn("ingest", ingesting);
            let gateway = Gateway::new(shared.clone(), endpoint, submit(ingest)).await?;
            tasks.spawn("gateway", gateway.run(tasks.stop.clone()));
        }
        Ok(())
    }
}

/// Where the gateway takes batches.
fn submit(ingest: IngestHandle) -> link::Submit {
    Arc::new(move |source, envelope| {
        let ingest = ingest.clone();
        Box::pin(async move { ingest.answer(&source, &envelope).await })
    })
}

/// The tasks of this process, by name.
struct Tasks {
    set: JoinSet<&'static str>,
    stop: CancellationToken,
}

impl Tasks {
    fn spawn(&mut self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        self.set.spawn(async move {
            let ended = AssertUnwindSafe(task).catch_unwind().await;
            if ended.is_err() || !stop.is_cancelled() {
                tracing::error!(task = name, panicked = ended.is_err(), "a task ended by itself");
            }
            name
        });
    }

    /// Waits for `stop`, or for a task that ends without it and so has failed.
    async fn first_to_end(&mut self) -> Option<&'static str> {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => None,
            Some(ended) = self.set.join_next() => Some(ended.unwrap_or("cancelled")),
        }
    }

    async fn all_end(&mut self) {
        while self.set.join_next().await.is_some() {}
    }
}

fn public_url(bound: SocketAddr, tls: bool) -> String {
    let scheme = if tls { "https" } else { "http" };
    let host = match bound.ip() {
        ip if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        ip => ip,
    };
    format!("{scheme}://{}", SocketAddr::new(host, bound.port()))
}
