//! The task that commits what waits together. While one commit is under way the
//! next group gathers by itself, so the load sets the group's size.

use super::commit::{self, Settled};
use super::confirm::Confirmed;
use super::states::Steps;
use super::{Answer, IngestRefusal, Waiting};
use crate::clock;
use crate::limits::{INGEST_ATTEMPTS, INGEST_GROUP_BATCHES, INGEST_GROUP_ROWS};
use crate::shared::Shared;
use crate::store::StoreError;
use crate::verdicts::Turned;
use hyperverge_protocol::wire::{MissedReason, Outcome, RefusalCode};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Between two attempts at a transaction that met another.
const PAUSE: Duration = Duration::from_millis(20);

pub(super) async fn run(
    shared: Arc<Shared>,
    mut queue: mpsc::Receiver<Waiting>,
    stop: CancellationToken,
) {
    loop {
        let first = tokio::select! {
            biased;
            () = stop.cancelled(), if !queue.is_closed() => {
                // What is queued already is still stored and answered.
                queue.close();
                continue;
            }
            first = queue.recv() => first,
        };
        let Some(first) = first else { return };
        let mut rows = first.sealed.batch.rows.len();
        let mut group = vec![first];
        while group.len() < INGEST_GROUP_BATCHES && rows < INGEST_GROUP_ROWS {
            let Ok(next) = queue.try_recv() else { break };
            rows += next.sealed.batch.rows.len();
            group.push(next);
        }
        store(&shared, group).await;
    }
}

/// Commits the group and answers it; if that fails, batch by batch.
async fn store(shared: &Shared, mut group: Vec<Waiting>) {
    // Always in the same order, so that two replicas cannot wait for each other;
    // batches of one lane stay in theirs.
    group.sort_by(|a, b| {
        let key = |w: &Waiting| (w.sealed.source.organisation_id, w.sealed.stored_lane());
        let agents = a.sealed.source.agent_id.cmp(&b.sealed.source.agent_id);
        agents.then_with(|| key(a).cmp(&key(b)))
    });
    let failed = match attempt(shared, &group).await {
        Ok(answers) => return answer(group, answers),
        Err(failed) => failed,
    };
    if group.len() == 1 || matches!(failed, Failed::Begin(_)) {
        report(&failed);
        return refuse(group, &failed);
    }
    tracing::warn!(batches = group.len(), "a group was not stored; trying batch by batch");
    for waiting in group {
        let alone = [waiting];
        match attempt(shared, &alone).await {
            Ok(answers) => answer(alone, answers),
            Err(failed) => {
                report(&failed);
                refuse(alone, &failed);
            }
        }
    }
}

/// Why nothing was stored.
#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error("the database gives no transaction")]
    Begin(#[source] StoreError),
    #[error("the transaction failed")]
    Within(#[source] StoreError),
}

async fn attempt(shared: &Shared, group: &[Waiting]) -> Result<Vec<Answer>, Failed> {
    let mut attempts = 1;
    loop {
        match transact(shared, group).await {
            Err(Failed::Within(error))
                if attempts < INGEST_ATTEMPTS
                    && (error.is_transient() || matches!(error, StoreError::Conflict)) =>
            {
                attempts += 1;
                shared
                    .metrics
                    .store_transactions_retried_total
                    .with_label_values(&["ingest"])
                    .inc();
                tokio::time::sleep(PAUSE).await;
            }
            settled => return settled,
        }
    }
}

async fn transact(shared: &Shared, group: &[Waiting]) -> Result<Vec<Answer>, Failed> {
    let began = clock::monotonic();
    let mut tx = shared.store.begin().await.map_err(Failed::Begin)?;
    let stored = async {
        let now = tx.now().await?;
        let mut steps = Steps::default();
        let mut answers = Vec::with_capacity(group.len());
        for waiting in group {
            answers.push(commit::batch(&mut tx, &waiting.sealed, &mut steps, now).await?);
        }
        let wait = shared.settings.correlator.group_wait_ms();
        let (turned, confirmed) = steps.correlate(&mut tx, wait, now).await?;
        tx.commit().await?;
        Ok((answers, turned, confirmed))
    };
    let (settled, turned, confirmed) = stored.await.map_err(Failed::Within)?;
    shared.metrics.ingest_commit_duration_seconds.observe(began.elapsed().as_secs_f64());
    count(shared, group, &settled);
    tell(shared, &turned);
    tell_confirmed(shared, &confirmed);
    Ok(settled.into_iter().map(Settled::answer).collect())
}

fn count(shared: &Shared, group: &[Waiting], settled: &[Settled]) {
    let metrics = &shared.metrics;
    for (waiting, settled) in group.iter().zip(settled) {
        let became = match settled {
            Settled::Stored(_) => "stored",
            Settled::Again(_) => "duplicate",
            Settled::Refused(refusal) => refusal.0.code().as_str_name(),
        };
        metrics.ingest_batches_total.with_label_values(&[became]).inc();
        let Settled::Stored(outcome) = settled else { continue };
        let rows = [
            ("stored", outcome.stored),
            ("duplicate", outcome.duplicates),
            ("refused", outcome.refused),
        ];
        for (word, count) in rows {
            metrics.ingest_rows_total.with_label_values(&[word]).inc_by(u64::from(count));
        }
        for row in &waiting.sealed.batch.rows {
            let word = word(row.outcome());
            metrics.monitor_checks_executed_total.with_label_values(&[word]).inc();
        }
        for range in &waiting.sealed.batch.missed {
            let slots = range.last_slot.saturating_sub(range.first_slot).saturating_add(1);
            let slots = u64::try_from(slots).unwrap_or(0);
            let reason = match range.reason() {
                MissedReason::Unspecified => "unspecified",
                MissedReason::Overload => "overload",
                MissedReason::Suspend => "suspend",
                MissedReason::Stopped => "stopped",
                MissedReason::SpoolFull => "spool_full",
            };
            metrics.missed_slots_total.with_label_values(&[reason]).inc_by(slots);
        }
    }
}

fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Unspecified => "unspecified",
        Outcome::Ok => "ok",
        Outcome::Degraded => "degraded",
        Outcome::Fail => "fail",
        Outcome::Policy => "policy",
        Outcome::Unsupported => "unsupported",
    }
}

/// Counts what was opened and wakes whoever has to tell people.
pub(crate) fn tell(shared: &Shared, turned: &Turned) {
    for scope in &turned.opened {
        shared.metrics.incidents_created_total.with_label_values(&[scope.as_str()]).inc();
    }
    if turned.intents > 0 {
        shared.wake.correlator.notify_one();
    }
}

/// Counts what was asked and wakes whoever signs it; what is answered, others wait for.
fn tell_confirmed(shared: &Shared, confirmed: &Confirmed) {
    shared.metrics.bursts_asked_total.inc_by(confirmed.asked);
    for (reason, times) in &confirmed.kept {
        shared.metrics.bursts_kept_back_total.with_label_values(&[reason]).inc_by(*times);
    }
    if confirmed.asked > 0 {
        shared.wake.bursts.notify_one();
    }
    if confirmed.settled > 0 {
        shared.wake.correlator.notify_one();
    }
}

fn answer(group: impl IntoIterator<Item = Waiting>, answers: Vec<Answer>) {
    for (waiting, answer) in group.into_iter().zip(answers) {
        // A session that is gone will ask again under the same number.
        let _gone = waiting.answer.send(answer);
    }
}

fn refuse(group: impl IntoIterator<Item = Waiting>, failed: &Failed) {
    for waiting in group {
        let refusal = match failed {
            Failed::Within(StoreError::Column { .. }) => {
                let mut refusal = IngestRefusal::busy("this batch cannot be stored now");
                refusal.0.code = RefusalCode::Internal.into();
                refusal
            }
            Failed::Begin(_) | Failed::Within(_) => {
                IngestRefusal::busy("the database takes no results now")
            }
        };
        let _gone = waiting.answer.send(Err(refusal));
    }
}

fn report(failed: &Failed) {
    let mut causes = Vec::new();
    let mut source = std::error::Error::source(failed);
    while let Some(cause) = source {
        causes.push(cause.to_string());
        source = cause.source();
    }
    tracing::error!(error = %failed, causes = causes.join(": "), "results were not stored");
}
