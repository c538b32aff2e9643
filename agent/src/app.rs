//! `run`: puts the parts together, and takes them down in order.
//!
//! Down: no new probes; running ones finish or are listed as missed; everything
//! is sealed; what can be sent is sent and acknowledged; goodbye. Whatever that
//! leaves over lies sealed in the spool, as after a crash.

use crate::assignments::store;
use crate::config::Config;
use crate::engine::{self, Engine, Input};
use crate::identity::{self, Enrolled};
use crate::link::task::{self, LinkTask};
use crate::metrics::Metrics;
use crate::runner::Prober;
use crate::spool::Spool;
use crate::status::Status;
use crate::{clock, host_name, limits, server};
use anyhow::{Context, bail};
use ed25519_dalek::SigningKey;
use hyperverge_agent_core::schedule::Caps;
use hyperverge_agent_core::spool::SpoolLimits;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

/// Runs the agent until `stop`.
pub async fn run<P: Prober>(
    config: &Config,
    prober: Arc<P>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let (key, enrolled) = who(config)?;
    let metrics = Arc::new(Metrics::new());
    let status = Arc::new(Status::default());
    let boot_id = clock::kernel_boot_id();
    let listener = TcpListener::bind(config.listen()?)
        .await
        .with_context(|| format!("cannot listen on {}", config.server.listen))?;
    info!(
        agent = %enrolled.agent_id,
        region = enrolled.region,
        listen = %listener.local_addr()?,
        version = env!("CARGO_PKG_VERSION"),
        "agent starts"
    );
    let spool_limits = SpoolLimits {
        bytes: config.limits.spool_bytes,
        age_ms: i64::try_from(config.limits.spool_age.as_millis()).unwrap_or(i64::MAX),
    };
    let (spool, found) =
        Spool::open(&config.state_dir, spool_limits, key.clone(), boot_id, metrics.clone())?;
    let (inputs_tx, inputs) = mpsc::channel(limits::ENGINE_QUEUE);
    let set_version = cached_set(config, &enrolled, boot_id, &inputs_tx).await;
    let engine = Engine::new(
        engine::Surroundings {
            state_dir: config.state_dir.clone(),
            boot_id,
            spool: spool.clone(),
            resume: found.resume.clone(),
            metrics: metrics.clone(),
            status: status.clone(),
            caps: Caps {
                in_flight: config.limits.max_probes_in_flight as usize,
                per_target: config.limits.max_probes_per_target as usize,
            },
        },
        prober,
    );
    let link = LinkTask::new(
        task::Surroundings {
            key,
            enrolled,
            state_dir: config.state_dir.clone(),
            boot_id,
            host_name: host_name(),
            set_version,
            spool: spool.clone(),
            engine: inputs_tx.clone(),
            metrics: metrics.clone(),
            status: status.clone(),
        },
        found,
    );
    let (link_stop, server_stop) = (CancellationToken::new(), CancellationToken::new());
    let mut engine = tokio::spawn(engine.run(inputs));
    let link = link.spawn(link_stop.clone()).context("cannot start the link")?;
    let server = tokio::spawn(server::serve(listener, status, metrics, server_stop.clone()));
    let crashed = tokio::select! {
        () = stop.cancelled() => false,
        _ = &mut engine => true,
    };
    if crashed {
        error!("the engine ended by itself");
    } else {
        info!("stopping");
        stop_engine(&inputs_tx, engine).await;
    }
    link_stop.cancel();
    let _joined = link.await;
    spool.shut_down().await;
    server_stop.cancel();
    server.abort();
    if crashed {
        bail!("the engine ended by itself");
    }
    info!("stopped");
    Ok(())
}

/// The key and the enrolment, or what to do about their absence.
fn who(config: &Config) -> anyhow::Result<(SigningKey, Enrolled)> {
    let missing = "this agent is not enrolled; run `hyperverge-agent enroll TOKEN` first";
    let Some(key) = identity::load_key(&config.state_dir)? else { bail!(missing) };
    let Some(enrolled) = identity::load_enrollment(&config.state_dir, &key)? else {
        bail!(missing)
    };
    Ok((key, enrolled))
}

/// Gives the engine the set on disk, so that an agent that restarts while the
/// control plane is away keeps probing; its version, 0 for none.
async fn cached_set(
    config: &Config,
    enrolled: &Enrolled,
    boot_id: [u8; 16],
    engine: &mpsc::Sender<Input>,
) -> u64 {
    let (key, agent_id) = (enrolled.assignment_key, enrolled.agent_id);
    match store::load(&config.state_dir, key, agent_id, boot_id, clock::boot_ms()) {
        Ok(Some((set, life))) => {
            let version = set.version;
            // The queue is empty: nothing else has been started yet.
            let _sent = engine.send(Input::Set(Arc::new(set), life)).await;
            version
        }
        Ok(None) => 0,
        Err(error) => {
            warn!(%error, "the cached assignment set is not used");
            0
        }
    }
}

async fn stop_engine(inputs: &mpsc::Sender<Input>, engine: tokio::task::JoinHandle<()>) {
    let (done_tx, done) = oneshot::channel();
    if inputs.send(Input::Stop(done_tx)).await.is_ok() {
        let _gone = done.await;
    }
    let _joined = engine.await;
}
