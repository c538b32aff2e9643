//! The life of one attempt: prepared, sent under a hard deadline, recorded.

use super::secret::SigningSecret;
use super::sender::{Content, Outgoing, Progress, Senders};
use crate::clock;
use crate::limits::{DELIVERY_ERROR_CHARS, DELIVERY_RECORD};
use crate::shared::Shared;
use crate::store::channels::{self, Channel};
use crate::store::deliveries::{self, Claimed};
use crate::store::{StoreError, Tx};
use futures_util::FutureExt;
use hyperverge_control_core::notification::{
    AfterAttempt, AttemptResult, ChannelKind, Circumstances, Next, after_attempt, compose,
};
use std::panic::AssertUnwindSafe;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// A claimed delivery with everything it takes to send it.
#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) claimed: Claimed,
    pub(super) kind: ChannelKind,
    outgoing: Result<Outgoing, String>,
}

/// What the dispatcher has to know of an attempt that ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) channel: (Uuid, Uuid),
    /// The receiver asked for a pause.
    pub(super) quiet: Option<Duration>,
}

/// How an attempt went.
enum Run {
    Ended(AttemptResult),
    /// A shutdown cut it off before anything was sent.
    NotSent,
}

/// Gathers, in the claiming transaction, what an attempt needs.
pub(super) async fn prepare(
    tx: &mut Tx,
    shared: &Shared,
    channel: &Channel,
    claimed: Claimed,
    now: i64,
) -> Result<Attempt, StoreError> {
    let delivery = &claimed.delivery;
    let mut circumstances = Circumstances {
        made_at: delivery.created_at,
        now,
        replayed: delivery.replayed_at.is_some(),
        standing: None,
    };
    if circumstances.late_by().is_some() {
        circumstances.standing =
            deliveries::standing(tx, delivery.organisation_id, delivery.notice.incident_id).await?;
    }
    let opening_id = deliveries::opening_of(tx, delivery).await?;
    let outgoing = secret(shared, channel).map(|secret| Outgoing {
        id: delivery.id,
        channel_name: channel.name.clone(),
        config: channel.config.clone(),
        secret,
        recipient: delivery.recipient.clone(),
        message: compose(&delivery.notice, &circumstances),
        content: Content::Notice(Box::new(delivery.notice.clone()), circumstances),
        opening_id,
    });
    Ok(Attempt { kind: channel.kind(), claimed, outgoing })
}

/// The channel's secret, if its kind has one; or why it cannot be had.
pub(super) fn secret(shared: &Shared, channel: &Channel) -> Result<Option<SigningSecret>, String> {
    match channel.kind() {
        ChannelKind::Email => Ok(None),
        ChannelKind::Webhook => {
            SigningSecret::open(&shared.keys, channel).map(Some).map_err(|error| error.to_string())
        }
    }
}

/// Sends and records. `cut_off` ends it early, for a shutdown.
pub(super) async fn run(
    shared: &Shared,
    senders: &Senders,
    attempt: Attempt,
    deadline: Duration,
    cut_off: &CancellationToken,
) -> Ended {
    let began = clock::monotonic();
    let run = match &attempt.outgoing {
        Ok(outgoing) => send(senders, outgoing, deadline, cut_off).await,
        Err(why) => Run::Ended(AttemptResult::Failed { why: why.clone(), retry_after: None }),
    };
    let kind = attempt.kind.as_str();
    shared
        .metrics
        .notifier_attempt_duration_seconds
        .with_label_values(&[kind])
        .observe(began.elapsed().as_secs_f64());
    let delivery = &attempt.claimed.delivery;
    let channel = (delivery.organisation_id, delivery.channel_id);
    let quiet = match run {
        Run::NotSent => {
            give_back(shared, &attempt.claimed).await;
            None
        }
        Run::Ended(result) => record(shared, &attempt, result).await,
    };
    Ended { channel, quiet }
}

/// Runs a sender to its end, to the deadline, or to the shutdown. One that
/// panics has an unknown outcome like one that hangs.
async fn send(
    senders: &Senders,
    outgoing: &Outgoing,
    deadline: Duration,
    cut_off: &CancellationToken,
) -> Run {
    let progress = Progress::default();
    let sending = AssertUnwindSafe(senders.of(&outgoing.config).send(outgoing, &progress));
    let why = tokio::select! {
        result = sending.catch_unwind() => match result {
            Ok(result) => return Run::Ended(result),
            Err(_) => "the sender failed inside".to_owned(),
        },
        () = tokio::time::sleep(deadline) => format!("no answer within {} s", deadline.as_secs_f64()),
        () = cut_off.cancelled() => {
            if !progress.may_have_arrived() {
                return Run::NotSent;
            }
            "cut off by a shutdown before the answer came".to_owned()
        }
    };
    Run::Ended(if progress.may_have_arrived() {
        AttemptResult::Unknown { why }
    } else {
        AttemptResult::Failed { why, retry_after: None }
    })
}

async fn record(shared: &Shared, attempt: &Attempt, result: AttemptResult) -> Option<Duration> {
    let delivery = &attempt.claimed.delivery;
    let label = label(&result);
    let counted = &shared.metrics.notifier_notifications_sent_total;
    counted.with_label_values(&[attempt.kind.as_str(), label]).inc();
    let recorded = tokio::time::timeout(DELIVERY_RECORD, async {
        loop {
            match try_record(shared, attempt, result.clone()).await {
                Ok(recorded) => return recorded,
                Err(error) => {
                    tracing::warn!(delivery = %delivery.id, error = error_chain(&error), "the outcome of a delivery is not recorded yet");
                    tokio::time::sleep(Duration::from_millis(250)).await;
                }
            }
        }
    });
    match recorded.await {
        Ok(Some((after, now))) => {
            tell(shared, attempt, label, &after, now);
            after.quiet
        }
        Ok(None) => {
            tracing::warn!(delivery = %delivery.id, "a delivery's lease was lost before its outcome was recorded");
            None
        }
        Err(_) => {
            tracing::error!(delivery = %delivery.id, "the outcome of a delivery could not be recorded; it will be sent again under the same id");
            None
        }
    }
}

/// One transaction; `None` when the lease was lost.
async fn try_record(
    shared: &Shared,
    attempt: &Attempt,
    result: AttemptResult,
) -> Result<Option<(AfterAttempt, i64)>, StoreError> {
    let claimed = &attempt.claimed;
    let delivery = &claimed.delivery;
    let (organisation_id, channel_id) = (delivery.organisation_id, delivery.channel_id);
    let mut tx = shared.store.begin().await?;
    let now = tx.now().await?;
    let mut after =
        after_attempt(delivery.attempts, claimed.was_unknown, result, now, &mut clock::rng());
    after.error = after.error.map(|why| one_line(&why, DELIVERY_ERROR_CHARS));
    if !deliveries::finish(&mut tx, claimed, &after, now).await? {
        return Ok(None);
    }
    let failing_since = (after.next != Next::Delivered).then_some(now);
    channels::note_health(&mut tx, organisation_id, channel_id, failing_since).await?;
    if after.disable_channel {
        let why = after.error.as_deref().unwrap_or("the receiver is gone");
        channels::disable(&mut tx, organisation_id, channel_id, why).await?;
    }
    tx.commit().await?;
    Ok(Some((after, now)))
}

fn tell(shared: &Shared, attempt: &Attempt, label: &str, after: &AfterAttempt, now: i64) {
    let delivery = &attempt.claimed.delivery;
    let error = after.error.as_deref().unwrap_or_default();
    let kind = attempt.kind.as_str();
    match after.next {
        Next::Delivered => {
            let delay = now.saturating_sub(delivery.replayed_at.unwrap_or(delivery.created_at));
            let delay = u64::try_from(delay).unwrap_or(0);
            let seconds = Duration::from_millis(delay).as_secs_f64();
            shared.metrics.notifier_page_delay_seconds.observe(seconds);
            tracing::info!(delivery = %delivery.id, incident = %delivery.notice.incident_id, kind, attempts = delivery.attempts, "delivered");
        }
        Next::RetryAt(at) => {
            tracing::warn!(delivery = %delivery.id, incident = %delivery.notice.incident_id, kind, attempts = delivery.attempts, label, error, again_in_ms = at.saturating_sub(now), "a delivery failed and will be tried again");
        }
        Next::Dead => {
            tracing::error!(delivery = %delivery.id, incident = %delivery.notice.incident_id, kind, attempts = delivery.attempts, label, error, "a delivery is a dead letter");
        }
    }
}

async fn give_back(shared: &Shared, claimed: &Claimed) {
    let release = async {
        let mut tx = shared.store.begin().await?;
        deliveries::release(&mut tx, claimed).await?;
        tx.commit().await
    };
    if let Err(error) = release.await {
        let error = error_chain(&error);
        tracing::warn!(delivery = %claimed.delivery.id, error, "a delivery could not be given back; its lease will end");
    }
}

/// The metric's word for a result.
fn label(result: &AttemptResult) -> &'static str {
    match result {
        AttemptResult::Accepted => "accepted",
        AttemptResult::Failed { .. } => "failed",
        AttemptResult::Rejected { .. } => "rejected",
        AttemptResult::Gone { .. } => "gone",
        AttemptResult::Unknown { .. } => "unknown",
    }
}

/// An error with its causes, for a log line.
pub(super) fn error_chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// A text from a receiver: one line of at most `limit` characters, nothing invisible.
pub(super) fn one_line(text: &str, limit: usize) -> String {
    let blank = |c: char| if c.is_control() || c == '\u{fffd}' { ' ' } else { c };
    let flat: String = text.chars().take(limit * 8).map(blank).collect();
    let words: Vec<&str> = flat.split_whitespace().collect();
    words.join(" ").chars().take(limit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receivers_text_becomes_one_short_line() {
        assert_eq!(one_line("a\r\nb\t\u{0}c  d", 200), "a b c d");
        assert_eq!(one_line(&"x".repeat(1_000_000), 200).len(), 200);
        assert_eq!(one_line("\u{1b}[31mred", 200), "[31mred");
    }
}
