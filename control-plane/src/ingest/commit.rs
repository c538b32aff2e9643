//! One batch inside a transaction.

use super::judge::Judge;
use super::sealed::Sealed;
use super::states::Steps;
use super::{Answer, BatchOutcome, IngestRefusal};
use crate::store::agents::{self, AgentState, Batch};
use crate::store::bursts::{self, Ordered};
use crate::store::results::{self, NewMissed, NewResult, Origin};
use crate::store::{StoreError, Tx, assignments};
use hyperverge_protocol::wire::{RefusalCode, ResultBatch};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// How far ahead of our time an agent may say it is complete, ms.
const AHEAD_MS: i64 = 5_000;

/// What became of a batch, once the transaction is committed.
#[derive(Debug)]
pub(super) enum Settled {
    Stored(BatchOutcome),
    /// It was stored before.
    Again(BatchOutcome),
    Refused(IngestRefusal),
}

impl Settled {
    /// What its sender is told.
    pub(super) fn answer(self) -> Answer {
        match self {
            Self::Stored(outcome) | Self::Again(outcome) => Ok(outcome),
            Self::Refused(refusal) => Err(refusal),
        }
    }
}

/// Stores `sealed` under its number, and hands what it says to `steps`. A refusal
/// may be committed: a quarantine is.
pub(super) async fn batch(
    tx: &mut Tx,
    sealed: &Sealed,
    steps: &mut Steps,
    now: i64,
) -> Result<Settled, StoreError> {
    let (source, lane) = (&sealed.source, sealed.stored_lane());
    let (organisation_id, agent_id) = (source.organisation_id, source.agent_id.as_str());
    let Some(locked) = agents::lock_lane(tx, organisation_id, agent_id, lane).await? else {
        let refusal = IngestRefusal::new(RefusalCode::NotEnrolled, "this agent is not enrolled");
        return Ok(Settled::Refused(refusal.fatal()));
    };
    if let Some(refusal) = barred(locked.state) {
        return Ok(Settled::Refused(refusal));
    }
    let number = sealed.stored_number();
    if number < locked.next_number {
        return again(tx, sealed).await;
    }
    if number > locked.next_number {
        let expected = locked.next_number.unsigned_abs();
        let rule = format!("number must be {expected}");
        let mut refusal = IngestRefusal::new(RefusalCode::WrongNumber, rule);
        refusal.0.expected_number = expected;
        return Ok(Settled::Refused(refusal));
    }
    store(tx, sealed, steps, now).await.map(Settled::Stored)
}

fn barred(state: AgentState) -> Option<IngestRefusal> {
    let (code, message) = match state {
        AgentState::Enrolled => return None,
        AgentState::Quarantined => (RefusalCode::Quarantined, "this agent is quarantined"),
        AgentState::Revoked => (RefusalCode::Revoked, "this agent is revoked"),
    };
    Some(IngestRefusal::new(code, message).fatal())
}

/// A number that was stored before.
async fn again(tx: &mut Tx, sealed: &Sealed) -> Result<Settled, StoreError> {
    let (source, lane) = (&sealed.source, sealed.stored_lane());
    let (organisation_id, agent_id) = (source.organisation_id, source.agent_id.as_str());
    let number = sealed.stored_number();
    let known = agents::find_batch(tx, organisation_id, agent_id, lane, number).await?;
    match known {
        Some(batch) if batch.payload_hash != sealed.payload_hash => {
            let reason = format!("sent two different batches as number {number} of lane {lane}");
            let state = AgentState::Quarantined;
            agents::set_state(tx, organisation_id, agent_id, state, &reason).await?;
            tracing::warn!(
                target: "audit", organisation = %organisation_id, agent = agent_id, reason,
                "agent quarantined"
            );
            let message = "another batch with this number is stored; this agent is quarantined";
            let refusal = IngestRefusal::new(RefusalCode::Quarantined, message);
            Ok(Settled::Refused(refusal.fatal()))
        }
        Some(batch) => Ok(Settled::Again(outcome(sealed, &batch))),
        // So old that only its number is remembered: it was stored all the same.
        None => Ok(Settled::Again(BatchOutcome {
            lane: sealed.lane,
            number: sealed.number,
            stored: 0,
            duplicates: u32::try_from(sealed.batch.rows.len()).unwrap_or(u32::MAX),
            refused: 0,
        })),
    }
}

async fn store(
    tx: &mut Tx,
    sealed: &Sealed,
    steps: &mut Steps,
    now: i64,
) -> Result<BatchOutcome, StoreError> {
    let (source, batch) = (&sealed.source, &sealed.batch);
    let (organisation_id, agent_id) = (source.organisation_id, source.agent_id.as_str());
    let origin = Origin {
        organisation_id,
        region_id: source.region_id,
        agent_id: source.agent_id.clone(),
        lane: sealed.stored_lane(),
        batch_number: sealed.stored_number(),
        undated: batch.undated,
        received_at: now,
    };
    let judged = judge(tx, sealed, steps, now).await?;
    // Before the rows are there: what was newest until now.
    steps.read_newest(tx, organisation_id, source.region_id).await?;
    let stored = results::insert(tx, &origin, &judged.rows).await?;
    results::insert_missed(tx, &origin, &judged.missed).await?;
    // A refused row leaves a hole, so such a batch does not say how far it is known.
    let says = |_: &i64| !batch.undated && judged.refused == 0;
    let mut complete_through = None;
    if let Some(through) = batch.complete_through_ms.filter(says)
        && is_of_present_set(tx, sealed).await?
    {
        let latest = now.saturating_add(AHEAD_MS);
        let through = through.min(latest);
        complete_through = Some(through);
        agents::raise_complete_through(tx, organisation_id, agent_id, through, latest).await?;
    }
    let record = Batch {
        lane: origin.lane,
        number: origin.batch_number,
        payload_hash: sealed.payload_hash.to_vec(),
        stored: stored.cast_signed(),
        duplicates: (judged.rows.len() as u64).saturating_sub(stored).cast_signed(),
        refused: judged.refused,
        complete_through,
    };
    agents::insert_batch(tx, organisation_id, agent_id, &record, now).await?;
    let (lane, number) = (origin.lane, origin.batch_number);
    if !agents::advance_lane(tx, organisation_id, agent_id, lane, number).await? {
        return Err(StoreError::Conflict);
    }
    Ok(outcome(sealed, &record))
}

/// Whether the batch was made under a set that asks what is asked now: completeness
/// under an older one would be read as success for what nobody has looked at yet.
async fn is_of_present_set(tx: &mut Tx, sealed: &Sealed) -> Result<bool, StoreError> {
    let source = &sealed.source;
    let present =
        assignments::content_version(tx, source.organisation_id, &source.agent_id).await?;
    let made_under = i64::try_from(sealed.batch.set_version).unwrap_or(0);
    Ok(present.is_none_or(|present| made_under >= present))
}

struct JudgedBatch {
    rows: Vec<NewResult>,
    missed: Vec<NewMissed>,
    refused: i64,
}

async fn judge(
    tx: &mut Tx,
    sealed: &Sealed,
    steps: &mut Steps,
    now: i64,
) -> Result<JudgedBatch, StoreError> {
    let (source, batch) = (&sealed.source, &sealed.batch);
    let ids = monitor_ids(batch);
    let asked =
        assignments::held_by(tx, source.organisation_id, &source.agent_id, source.region_id, ids)
            .await?;
    let ordered = ordered(tx, sealed).await?;
    let boot = Uuid::from_slice(&batch.boot_id).unwrap_or_default();
    let judge = Judge::new(asked, ordered, batch.undated.then_some(boot), now);
    let mut judged = JudgedBatch { rows: Vec::new(), missed: Vec::new(), refused: 0 };
    let mut first_unfit = None;
    judged.rows.reserve(batch.rows.len());
    for row in &batch.rows {
        match judge.row(row) {
            Ok(fit) => {
                steps.add(source, fit.row.monitor_id, fit.row.revision, fit.step);
                judged.rows.push(fit.row);
            }
            Err(unfit) => {
                judged.refused += 1;
                first_unfit.get_or_insert(unfit);
            }
        }
    }
    for range in &batch.missed {
        match judge.missed(range) {
            Ok(fit) => {
                steps.add(source, fit.range.monitor_id, fit.range.revision, fit.step);
                judged.missed.push(fit.range);
            }
            Err(unfit) => {
                judged.refused += 1;
                first_unfit.get_or_insert(unfit);
            }
        }
    }
    if let Some(unfit) = first_unfit {
        tracing::warn!(
            agent = source.agent_id, lane = ?sealed.lane, number = sealed.number,
            refused = judged.refused, first = %unfit, "rows refused"
        );
    }
    Ok(judged)
}

/// The bursts that rows of this batch say they answer, as far as they were asked.
async fn ordered(tx: &mut Tx, sealed: &Sealed) -> Result<BTreeMap<Uuid, Ordered>, StoreError> {
    let source = &sealed.source;
    let named = sealed.batch.rows.iter().filter(|row| !row.burst_id.is_empty());
    let ids: BTreeSet<Uuid> =
        named.filter_map(|row| Uuid::from_slice(&row.burst_id).ok()).collect();
    if ids.is_empty() {
        return Ok(BTreeMap::new());
    }
    let (organisation_id, region_id) = (source.organisation_id, source.region_id);
    let ids = ids.into_iter().collect();
    bursts::ordered(tx, organisation_id, region_id, &source.agent_id, ids).await
}

fn monitor_ids(batch: &ResultBatch) -> Vec<Uuid> {
    let rows = batch.rows.iter().map(|row| &row.monitor_id);
    let missed = batch.missed.iter().map(|range| &range.monitor_id);
    let ids: BTreeSet<Uuid> =
        rows.chain(missed).filter_map(|id| Uuid::from_slice(id).ok()).collect();
    ids.into_iter().collect()
}

fn outcome(sealed: &Sealed, batch: &Batch) -> BatchOutcome {
    let count = |rows: i64| u32::try_from(rows).unwrap_or(u32::MAX);
    BatchOutcome {
        lane: sealed.lane,
        number: sealed.number,
        stored: count(batch.stored),
        duplicates: count(batch.duplicates),
        refused: count(batch.refused),
    }
}
