//! The durable spool: a batch is on disk before anybody hears of it, and stays
//! until the control plane has stored it.
//!
//! What is decided (numbers, lanes, what a full spool gives up) is in
//! `hyperverge_agent_core::spool`; here are the files. All file work happens on
//! one thread, which [`Spool`] talks to. [`record`] is the format, [`recover`]
//! what a start finds, [`writer`] the thread.

mod meta;
mod record;
mod recover;
#[cfg(test)]
mod tests;
mod writer;

use crate::metrics::Metrics;
use crate::{durable, limits};
use bytes::Bytes;
use ed25519_dalek::SigningKey;
use hyperverge_agent_core::Lane;
use hyperverge_agent_core::batch::Draft;
use hyperverge_agent_core::missed::Missed;
use hyperverge_agent_core::schedule::Resume;
use hyperverge_agent_core::spool::SpoolLimits;
use meta::Meta;
use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::{mpsc, oneshot, watch};
use tracing::info;
use writer::{Command, Surroundings, Writer};

/// Why the spool cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error("cannot open the spool in {dir}")]
pub struct SpoolError {
    dir: PathBuf,
    source: io::Error,
}

/// Drafts to seal.
#[derive(Debug)]
pub struct SealRequest {
    pub drafts: VecDeque<Draft>,
    pub set_version: u64,
    /// Control-plane time; `None` while undated.
    pub now_ms: Option<i64>,
}

/// What became of a [`SealRequest`].
#[derive(Debug, Default)]
pub struct SealReport {
    /// Slots that could not be sealed and have to go into a later batch as missed.
    pub missed: Vec<Missed>,
}

/// A batch the control plane has stored.
#[derive(Debug, Clone, Copy)]
pub struct Acknowledged {
    pub lane: Lane,
    pub number: u64,
    pub stored: u32,
    pub duplicates: u32,
    pub refused: u32,
}

/// What comparing numbers with the control plane changed.
#[derive(Debug, Default)]
pub struct Reconciliation {
    /// Lanes whose next batch gets this number now.
    pub begin: Vec<(Lane, u64)>,
    /// Batches sealed to fill numbers that were lost.
    pub filled: Vec<(Lane, u64)>,
}

/// The number that the next batch of each lane gets: everything below is sealed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Numbers {
    pub live: u64,
    pub backlog: u64,
}

impl Numbers {
    /// Of one lane.
    pub fn of(&self, lane: Lane) -> u64 {
        match lane {
            Lane::Live => self.live,
            Lane::Backlog => self.backlog,
        }
    }
}

/// A handle to the spool's thread. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Spool {
    commands: mpsc::Sender<Command>,
    numbers: watch::Receiver<Numbers>,
    session: Arc<AtomicBool>,
}

/// What was found on disk.
#[derive(Debug)]
pub struct Found {
    pub resume: Resume,
    pub live: Vec<u64>,
    pub backlog: Vec<u64>,
    pub numbers: Numbers,
}

fn directory(state_dir: &Path) -> PathBuf {
    state_dir.join("spool")
}

/// Makes the spool of a key that never sealed anything; one that is there stays.
pub fn create(state_dir: &Path) -> Result<(), SpoolError> {
    let dir = directory(state_dir);
    let error = |source| SpoolError { dir: dir.clone(), source };
    durable::private_dir(&dir).map_err(error)?;
    if Meta::load(&dir).map_err(error)?.is_none() {
        Meta::fresh().save(&dir).map_err(error)?;
    }
    Ok(())
}

impl Spool {
    /// Opens the spool and starts its thread.
    pub fn open(
        state_dir: &Path,
        spool_limits: SpoolLimits,
        key: SigningKey,
        boot_id: [u8; 16],
        metrics: Arc<Metrics>,
    ) -> Result<(Self, Found), SpoolError> {
        let dir = directory(state_dir);
        let error = |source| SpoolError { dir: dir.clone(), source };
        durable::private_dir(&dir).map_err(error)?;
        let recovered = recover::recover(&dir, spool_limits).map_err(error)?;
        metrics.spool.corrupt_records_total.inc_by(recovered.corrupt as u64);
        info!(
            waiting = recover::waiting(&recovered.spool),
            bytes = recovered.spool.bytes(),
            numbers_known = recovered.numbers_known,
            "spool opened"
        );
        let next = |lane| recovered.spool.next_number(lane);
        let found = Found {
            numbers: Numbers { live: next(Lane::Live), backlog: next(Lane::Backlog) },
            resume: recovered.resume.clone(),
            live: recovered.spool.waiting(Lane::Live).collect(),
            backlog: recovered.spool.waiting(Lane::Backlog).collect(),
        };
        let session = Arc::new(AtomicBool::new(false));
        let (numbers_tx, numbers) = watch::channel(Numbers::default());
        let (commands, receiver) = mpsc::channel(limits::SPOOL_QUEUE);
        let around = Surroundings {
            dir: dir.clone(),
            key,
            boot_id,
            session: session.clone(),
            numbers: numbers_tx,
            metrics,
        };
        let writer = Writer::new(recovered, around);
        std::thread::Builder::new()
            .name("spool".to_owned())
            .spawn(move || writer.run(receiver))
            .map_err(error)?;
        Ok((Self { commands, numbers, session }, found))
    }

    /// Begins to seal; `None` when the thread is too busy (ask again) or gone.
    pub fn seal(&self, request: SealRequest) -> Result<oneshot::Receiver<SealReport>, SealRequest> {
        let (reply, answer) = oneshot::channel();
        match self.commands.try_send(Command::Seal(request, reply)) {
            Ok(()) => Ok(answer),
            Err(error) => match error.into_inner() {
                Command::Seal(request, _) => Err(request),
                _ => Ok(answer),
            },
        }
    }

    /// The control plane has stored a batch.
    pub async fn acknowledged(&self, acknowledged: Acknowledged) {
        // A thread that is gone recovers the batch at the next start, and it is acknowledged again.
        let _gone = self.commands.send(Command::Acknowledged(acknowledged)).await;
    }

    /// The envelope of a batch that waits, as it is sent.
    pub async fn read(&self, lane: Lane, number: u64) -> Option<Bytes> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(Command::Read(lane, number, reply)).await.ok()?;
        answer.await.ok().flatten()
    }

    /// Fits the numbers to what the control plane expects.
    pub async fn reconcile(&self, live: Option<u64>, backlog: Option<u64>) -> Reconciliation {
        let (reply, answer) = oneshot::channel();
        let command = Command::Reconcile { live, backlog, reply };
        if self.commands.send(command).await.is_err() {
            return Reconciliation::default();
        }
        answer.await.unwrap_or_default()
    }

    /// Follows the numbers as batches are sealed.
    pub fn numbers(&self) -> watch::Receiver<Numbers> {
        self.numbers.clone()
    }

    /// Whether new batches can reach the control plane at once.
    pub fn set_session(&self, established: bool) {
        self.session.store(established, Ordering::Relaxed);
    }

    /// Writes the meta file and ends the thread.
    pub async fn shut_down(&self) {
        let (reply, answer) = oneshot::channel();
        if self.commands.send(Command::Shutdown(reply)).await.is_ok() {
            let _gone = answer.await;
        }
    }
}
