//! Step 4: signed batches become rows, once.
//!
//! | file | is |
//! |---|---|
//! | `sealed` | an envelope is opened: signature, agent, limits |
//! | `judge` | each row is judged; a bad one is refused and counted, the rest stands |
//! | `commit` | one batch inside a transaction: its number, its rows, its freshness |
//! | `states` | steps 5 and 6 for what the group brought, in the same transaction |
//! | `confirm` | bursts: what answers one, and what asks for one |
//! | `group` | the task that commits what waits together, and answers |
//!
//! An answer is given only after the commit. The commit locks the agent's lane:
//! a number that is stored is acknowledged again and not stored, the same number
//! with other bytes quarantines the agent, a skipped number is answered with the
//! one expected. A group that fails is tried again, then batch by batch, so that
//! one bad batch does not hold up the others; what cannot be stored is refused
//! as busy, and stays in the agent's spool.

mod commit;
mod confirm;
mod group;
mod judge;
mod sealed;
mod states;

use crate::limits::{INGEST_QUEUE_BATCHES, INGEST_RETRY_AFTER};
use crate::shared::Shared;
use ed25519_dalek::VerifyingKey;
use hyperverge_protocol::wire::{
    BatchAcknowledged, Envelope, Lane, Refusal, RefusalCode, control_frame::Body,
};
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use sealed::Sealed;

/// Whose session a batch came over. All of it comes from the enrolled key, none
/// from the batch.
#[derive(Debug, Clone)]
pub struct Source {
    pub organisation_id: Uuid,
    /// 64 hexadecimal digits.
    pub agent_id: String,
    pub region_id: Uuid,
    pub public_key: VerifyingKey,
}

/// A batch that is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchOutcome {
    pub lane: Lane,
    pub number: u64,
    /// Rows whose slot was free.
    pub stored: u32,
    /// Rows whose slot was taken.
    pub duplicates: u32,
    /// Rows that were not believed.
    pub refused: u32,
}

impl From<BatchOutcome> for Body {
    fn from(outcome: BatchOutcome) -> Self {
        Self::Acknowledged(BatchAcknowledged {
            lane: outcome.lane.into(),
            number: outcome.number,
            stored: outcome.stored,
            duplicates: outcome.duplicates,
            refused: outcome.refused,
        })
    }
}

/// A batch that was not taken; nothing of it is stored.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{}", .0.message)]
pub struct IngestRefusal(pub Refusal);

impl IngestRefusal {
    fn new(code: RefusalCode, message: impl Into<String>) -> Self {
        Self(Refusal { code: code.into(), message: message.into(), ..Refusal::default() })
    }

    /// It may be sent again after a while.
    fn busy(message: &str) -> Self {
        let retry_after_ms = u32::try_from(INGEST_RETRY_AFTER.as_millis()).unwrap_or(u32::MAX);
        Self(Refusal { retry_after_ms, ..Self::new(RefusalCode::Busy, message).0 })
    }

    fn fatal(mut self) -> Self {
        self.0.fatal = true;
        self
    }

    fn of(mut self, lane: Lane, number: u64) -> Self {
        self.0.lane = lane.into();
        self.0.number = number;
        self
    }
}

type Answer = Result<BatchOutcome, IngestRefusal>;

struct Waiting {
    sealed: Sealed,
    answer: oneshot::Sender<Answer>,
}

/// Where sessions submit batches. Cheap to clone.
#[derive(Debug, Clone)]
pub struct IngestHandle {
    shared: Arc<Shared>,
    queue: mpsc::Sender<Waiting>,
}

/// Makes the handle and the task behind it. The task ends when `stop` is given
/// and what was queued before is answered, or when every handle is gone.
pub fn ingest(
    shared: Arc<Shared>,
    stop: CancellationToken,
) -> (IngestHandle, impl Future<Output = ()> + Send + 'static) {
    let (queue, waiting) = mpsc::channel(INGEST_QUEUE_BATCHES);
    let handle = IngestHandle { shared: shared.clone(), queue };
    (handle, group::run(shared, waiting, stop))
}

impl IngestHandle {
    /// Stores a batch and answers after the commit. Batches of one lane have to be
    /// submitted in the order in which they arrived. Waits while the queue is full,
    /// so that the sender is held back.
    pub async fn submit(&self, source: &Source, envelope: &Envelope) -> Answer {
        match Sealed::open(source, envelope) {
            Ok(sealed) => self.queued(sealed).await,
            Err(refusal) => {
                let word = refusal.0.code().as_str_name();
                self.shared.metrics.ingest_batches_total.with_label_values(&[word]).inc();
                Err(refusal)
            }
        }
    }

    /// [`Self::submit`], as the frame that is sent back.
    pub async fn answer(&self, source: &Source, envelope: &Envelope) -> Body {
        match self.submit(source, envelope).await {
            Ok(outcome) => outcome.into(),
            Err(IngestRefusal(refusal)) => Body::Refusal(refusal),
        }
    }

    async fn queued(&self, sealed: Sealed) -> Answer {
        let (lane, number) = (sealed.lane, sealed.number);
        let stopping = || IngestRefusal::busy("this control plane is stopping").of(lane, number);
        let (answer, answered) = oneshot::channel();
        self.shared.metrics.ingest_queue_batches.inc();
        let sent = self.queue.send(Waiting { sealed, answer }).await;
        let answer = match sent {
            Ok(()) => answered.await.map_err(|_| stopping()).flatten(),
            Err(_) => Err(stopping()),
        };
        self.shared.metrics.ingest_queue_batches.dec();
        answer.map_err(|refusal| refusal.of(lane, number))
    }
}
