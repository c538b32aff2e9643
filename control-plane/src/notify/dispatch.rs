//! Looks at the outbox and starts attempts.
//!
//! A reconciler: it takes no input and remembers nothing that matters, so a
//! restart or a second replica needs no other path. Per channel it starts a few
//! attempts at a time, and just one while the channel fails, so that dead
//! receivers cannot fill the places of the whole process.

use super::attempt::{self, Attempt, Ended, error_chain};
use super::sender::Senders;
use crate::clock;
use crate::limits;
use crate::shared::Shared;
use crate::store::channels::{self, Channel};
use crate::store::deliveries::{self, Claim, Claimed};
use crate::store::{StoreError, Tx};
use futures_util::FutureExt;
use hyperverge_control_core::notification::{AfterAttempt, Next};
use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// The times of delivery; the defaults are the product's, tests shorten them.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// From an attempt's start until another may take the delivery.
    pub lease: Duration,
    /// The hard end of an attempt; less than the lease.
    pub attempt: Duration,
    /// How often the outbox is looked at without a hint.
    pub poll: Duration,
    /// How long a shutdown lets attempts finish.
    pub grace: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            lease: limits::DELIVERY_LEASE,
            attempt: limits::DELIVERY_ATTEMPT,
            poll: limits::DELIVERY_POLL,
            grace: limits::DELIVERY_GRACE,
        }
    }
}

/// A channel by organisation and id.
type ChannelKey = (Uuid, Uuid);

/// The delivery task of one process.
#[derive(Debug)]
pub struct Notifier {
    shared: Arc<Shared>,
    senders: Arc<Senders>,
    pace: Pace,
    holder: Uuid,
    running: JoinSet<Ended>,
    busy: BTreeMap<ChannelKey, usize>,
    /// Until when a receiver asked for quiet.
    quiet: BTreeMap<ChannelKey, Instant>,
    counted_at: Option<Instant>,
    cut_off: CancellationToken,
}

impl Notifier {
    /// A notifier that has not looked yet.
    pub fn new(shared: Arc<Shared>, senders: Senders, pace: Pace) -> Self {
        Self {
            shared,
            senders: Arc::new(senders),
            pace,
            holder: clock::new_id(),
            running: JoinSet::new(),
            busy: BTreeMap::new(),
            quiet: BTreeMap::new(),
            counted_at: None,
            cut_off: CancellationToken::new(),
        }
    }

    /// Delivers until `cancel`; then lets attempts finish for the grace, and
    /// gives back or marks what is left.
    pub async fn run(mut self, cancel: CancellationToken) {
        while !cancel.is_cancelled() {
            if let Err(error) = self.look().await {
                tracing::warn!(error = error_chain(&error), "the outbox cannot be read");
            }
            tokio::select! {
                () = cancel.cancelled() => {}
                () = self.shared.wake.delivery.notified() => {}
                () = tokio::time::sleep(self.pace.poll) => {}
                Some(ended) = self.running.join_next() => self.note(ended),
            }
        }
        self.finish().await;
    }

    async fn finish(mut self) {
        let cut_off = self.cut_off.clone();
        let grace = self.pace.grace;
        let timer = tokio::spawn(async move {
            tokio::time::sleep(grace).await;
            cut_off.cancel();
        });
        while let Some(ended) = self.running.join_next().await {
            self.note(ended);
        }
        timer.abort();
    }

    /// Starts what is due and has a place.
    async fn look(&mut self) -> Result<(), StoreError> {
        while let Some(ended) = self.running.try_join_next() {
            self.note(ended);
        }
        let mut tx = self.shared.store.read().await?;
        let now = tx.now().await?;
        let due = deliveries::due_channels(&mut tx, now, limits::DUE_CHANNELS).await?;
        let monotonic = clock::monotonic();
        if self.counted_at.is_none_or(|at| monotonic - at >= limits::OUTBOX_COUNT) {
            let (pending, dead) = deliveries::counts(&mut tx).await?;
            self.shared.metrics.deliveries_pending.set(pending);
            self.shared.metrics.deliveries_dead.set(dead);
            self.counted_at = Some(monotonic);
        }
        drop(tx);
        self.quiet.retain(|_, until| *until > monotonic);
        for channel in due {
            if self.running.len() >= limits::DELIVERIES {
                break;
            }
            if self.quiet.contains_key(&channel) {
                continue;
            }
            // A row that cannot be read must not hold up the other channels.
            if let Err(error) = self.start(channel).await {
                let error = error_chain(&error);
                tracing::warn!(channel = %channel.1, error, "deliveries of a channel cannot be claimed");
            }
        }
        let done = Duration::from_millis(u64::try_from(clock::wall_ms()).unwrap_or(0));
        let last = &self.shared.metrics.task_last_success_timestamp_seconds;
        last.with_label_values(&["delivery"]).set(done.as_secs_f64());
        Ok(())
    }

    /// Claims for one channel and starts its attempts.
    async fn start(&mut self, key: ChannelKey) -> Result<(), StoreError> {
        let busy = self.busy.get(&key).copied().unwrap_or(0);
        if busy >= limits::CHANNEL_DELIVERIES {
            return Ok(());
        }
        let mut tx = self.shared.store.begin().await?;
        let now = tx.now().await?;
        let Some(channel) = self.usable(&mut tx, key, now).await? else {
            return tx.commit().await;
        };
        let places = if channel.failing_since.is_some() { 1 } else { limits::CHANNEL_DELIVERIES };
        let free = places.min(limits::DELIVERIES - self.running.len() + busy).saturating_sub(busy);
        if free == 0 {
            return Ok(());
        }
        let claim = Claim {
            organisation_id: key.0,
            channel_id: key.1,
            holder: self.holder,
            now,
            lease_ms: i64::try_from(self.pace.lease.as_millis()).unwrap_or(i64::MAX),
            limit: i64::try_from(free).unwrap_or(1),
        };
        let mut attempts = Vec::new();
        let recipients = channel.config.recipients();
        for claimed in deliveries::claim(&mut tx, &claim).await? {
            if !recipients.contains(&claimed.delivery.recipient) {
                deliveries::finish(&mut tx, &claimed, &no_longer_told(&claimed), now).await?;
                continue;
            }
            attempts.push(attempt::prepare(&mut tx, &self.shared, &channel, claimed, now).await?);
        }
        tx.commit().await?;
        for attempt in attempts {
            self.spawn(key, attempt);
        }
        Ok(())
    }

    /// The channel, unless it takes nothing: then what waits for it is buried.
    async fn usable(
        &self,
        tx: &mut Tx,
        key: ChannelKey,
        now: i64,
    ) -> Result<Option<Channel>, StoreError> {
        let channel = channels::get(tx, key.0, key.1).await?;
        let why = match &channel {
            None => "the channel was deleted".to_owned(),
            Some(Channel { disabled: Some(why), .. }) => format!("the channel is disabled: {why}"),
            Some(_) => return Ok(channel),
        };
        let buried = deliveries::bury_channel(tx, key.0, key.1, &why, now).await?;
        tracing::warn!(channel = %key.1, buried, why, "deliveries of a channel became dead letters");
        Ok(None)
    }

    fn spawn(&mut self, key: ChannelKey, attempt: Attempt) {
        *self.busy.entry(key).or_default() += 1;
        let (shared, senders) = (self.shared.clone(), self.senders.clone());
        let (deadline, cut_off) = (self.pace.attempt, self.cut_off.clone());
        self.running.spawn(async move {
            let run = attempt::run(&shared, &senders, attempt, deadline, &cut_off);
            // Whatever happens inside, the channel gets its place back.
            AssertUnwindSafe(run).catch_unwind().await.unwrap_or_else(|_| {
                tracing::error!(channel = %key.1, "an attempt failed inside; its lease will end");
                Ended { channel: key, quiet: None }
            })
        });
    }

    fn note(&mut self, ended: Result<Ended, tokio::task::JoinError>) {
        match ended {
            Ok(ended) => {
                if let Some(busy) = self.busy.get_mut(&ended.channel) {
                    *busy -= 1;
                    if *busy == 0 {
                        self.busy.remove(&ended.channel);
                    }
                }
                if let Some(quiet) = ended.quiet {
                    self.quiet.insert(ended.channel, clock::monotonic() + quiet);
                }
            }
            Err(error) => tracing::error!(%error, "an attempt was ended from outside"),
        }
    }
}

/// Who was taken off a channel hears nothing more from it.
fn no_longer_told(claimed: &Claimed) -> AfterAttempt {
    AfterAttempt {
        next: Next::Dead,
        outcome_unknown: claimed.was_unknown,
        error: Some("no longer a recipient of the channel".to_owned()),
        disable_channel: false,
        quiet: None,
    }
}
