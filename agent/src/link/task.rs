//! Keeps a session with the control plane, for ever: connects, drives the
//! session until it ends, waits a little, connects again.

use super::connect::{self, ConnectError};
use super::drive::Ended;
use crate::assignments::Assembler;
use crate::engine::Input;
use crate::identity::Enrolled;
use crate::metrics::Metrics;
use crate::spool::{Found, Numbers, Spool};
use crate::status::Status;
use crate::{clock, limits};
use ed25519_dalek::SigningKey;
use hyperverge_agent_core::session::{Disconnect, Session};
use hyperverge_protocol::backoff::Backoff;
use hyperverge_protocol::wire::RefusalCode;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::runtime::Builder;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

const BACKOFF: Backoff = Backoff { first: limits::RECONNECT_FIRST, cap: limits::RECONNECT_CAP };

/// What the link works with.
#[derive(Debug)]
pub struct Surroundings {
    pub key: SigningKey,
    pub enrolled: Enrolled,
    pub state_dir: PathBuf,
    pub boot_id: [u8; 16],
    pub host_name: String,
    /// The version of the cached set that is in force, 0 for none.
    pub set_version: u64,
    pub spool: Spool,
    pub engine: mpsc::Sender<Input>,
    pub metrics: Arc<Metrics>,
    pub status: Arc<Status>,
}

/// See the module's head.
#[derive(Debug)]
pub struct LinkTask {
    key: SigningKey,
    enrolled: Enrolled,
    pub(super) state_dir: PathBuf,
    pub(super) boot_id: [u8; 16],
    pub(super) process_id: [u8; 16],
    pub(super) host_name: String,
    pub(super) spool: Spool,
    pub(super) numbers: watch::Receiver<Numbers>,
    /// Batches below these numbers are known to the session.
    pub(super) seen: Numbers,
    pub(super) session: Session,
    pub(super) assembler: Assembler,
    pub(super) engine: mpsc::Sender<Input>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) status: Arc<Status>,
    /// When the frame being handled came, boot clock.
    pub(super) received_us: i64,
    pub(super) established_ms: Option<i64>,
}

impl LinkTask {
    /// A link whose session begins with what the spool found.
    pub fn new(around: Surroundings, found: Found) -> Self {
        let mut assembler =
            Assembler::new(around.enrolled.assignment_key, around.enrolled.agent_id, 0);
        assembler.handle_held(around.set_version);
        Self {
            key: around.key,
            enrolled: around.enrolled,
            state_dir: around.state_dir,
            boot_id: around.boot_id,
            process_id: clock::random_id(),
            host_name: around.host_name,
            numbers: around.spool.numbers(),
            spool: around.spool,
            seen: found.numbers,
            session: Session::new(found.live, found.backlog),
            assembler,
            engine: around.engine,
            metrics: around.metrics,
            status: around.status,
            received_us: 0,
            established_ms: None,
        }
    }

    /// Runs on a thread of its own, whose end is the answer: however busy checks
    /// keep the others, heartbeats leave in time, the clock is measured by what
    /// the network took, and batches move.
    pub fn spawn(self, stop: CancellationToken) -> io::Result<oneshot::Receiver<()>> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (ended, answer) = oneshot::channel();
        std::thread::Builder::new().name("link".to_owned()).spawn(move || {
            runtime.block_on(self.run(stop));
            // Nobody waits any more only when the agent is going down.
            let _gone = ended.send(());
        })?;
        Ok(answer)
    }

    /// Works until `stop`; then sends what it can within a short bound.
    async fn run(mut self, stop: CancellationToken) {
        let mut attempt = 0;
        loop {
            let connecting =
                connect::connect(&self.enrolled.addresses, &self.key, &self.enrolled.pins);
            let connected = tokio::select! {
                connected = connecting => connected,
                () = stop.cancelled() => return,
            };
            let mut wait = BACKOFF.delay(attempt, &mut clock::rng());
            attempt = attempt.saturating_add(1);
            match connected {
                Ok(link) => {
                    info!(peer = %link.peer, "connected");
                    self.metrics.link_connects_total.inc();
                    self.established_ms = None;
                    let ended = self.drive(link, &stop).await;
                    if matches!(ended, Ended::Stopped | Ended::EngineGone) {
                        return;
                    }
                    let stable = self
                        .established_ms
                        .is_some_and(|since| clock::boot_ms() - since >= limits::SESSION_STABLE_MS);
                    if stable {
                        attempt = 0;
                    }
                    wait = self.after(&ended).await.unwrap_or(wait);
                }
                Err(error) => report(&error),
            }
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = stop.cancelled() => return,
            }
        }
    }

    /// Says how a session ended; a longer wait where a person has to act first.
    async fn after(&mut self, ended: &Ended) -> Option<Duration> {
        let Ended::BySession(Disconnect::Rejected { code, message }) = ended else {
            warn!(reason = %ended, "session ended");
            return None;
        };
        error!(code = code.as_str_name(), message, "the control plane refuses this agent");
        self.status.rejected.store(true, Relaxed);
        if *code == RefusalCode::Revoked {
            let _gone = self.engine.send(Input::Revoked).await;
        }
        Some(limits::REJECTED_WAIT)
    }
}

fn report(error: &ConnectError) {
    use std::error::Error;
    let cause = error.source().map(ToString::to_string).unwrap_or_default();
    match error {
        ConnectError::WrongPin { .. } => {
            error!(%error, "the control plane is not the one enrolled with")
        }
        _ => warn!(%error, cause, "cannot connect"),
    }
}
