//! Batches become rows, once, and what follows from them in the same transaction,
//! as `control-plane/src/ingest/` does it.

use super::bursts;
use super::database::{AssignmentRow, BatchRow, Database};
use super::note::{Note, Seen};
use super::states::Steps;
use crate::world::cast::{AgentIndex, Cast, MonitorIndex};
use hyperverge_agent_core::Lane;
use hyperverge_control_core::correlation::{BurstMark, Newest, Sight, Step};
use hyperverge_protocol::outcome::Outcome;
use hyperverge_protocol::wire::{
    self, BatchAcknowledged, MissedReason, MissedSlots, Refusal, RefusalCode, ResultBatch,
    ResultRow,
};
use std::sync::Arc;
use uuid::Uuid;

/// How far an agent's idea of our time may be off, ms.
const SKEW_MS: i64 = 5_000;
/// How far ahead of our time an agent may say it is complete, ms.
const AHEAD_MS: i64 = 5_000;

/// A batch that came.
#[derive(Debug, Clone)]
pub struct Waiting {
    pub agent: AgentIndex,
    /// Over which connection its answer goes.
    pub connection: u64,
    pub batch: Arc<ResultBatch>,
}

/// What its sender is told.
#[derive(Debug, Clone)]
pub enum Answer {
    Acknowledged(BatchAcknowledged),
    Refused(Refusal),
}

/// Stores a group of batches; the answers are in their order.
pub fn store(
    db: &mut Database,
    cast: &Cast,
    group: &[Waiting],
    steps: &mut Steps,
    notes: &mut Vec<Note>,
    now: i64,
) -> Vec<Answer> {
    group.iter().map(|waiting| one(db, cast, waiting, steps, notes, now)).collect()
}

/// A batch's lane and number are taken as they are: the world forges nothing.
fn lane_of(batch: &ResultBatch) -> Lane {
    Lane::from_wire(batch.lane).unwrap_or(Lane::Live)
}

fn one(
    db: &mut Database,
    cast: &Cast,
    waiting: &Waiting,
    steps: &mut Steps,
    notes: &mut Vec<Note>,
    now: i64,
) -> Answer {
    let (agent, batch) = (waiting.agent, &waiting.batch);
    let lane = lane_of(batch);
    let expected = db.lanes.lock(&(agent, lane)).copied().unwrap_or(1);
    let acknowledge = |row: BatchRow| {
        Answer::Acknowledged(BatchAcknowledged {
            lane: batch.lane,
            number: batch.number,
            stored: row.stored,
            duplicates: row.duplicates,
            refused: row.refused,
        })
    };
    if batch.number < expected {
        let known = db.batches.get(&(agent, lane, batch.number)).copied();
        let rows = u32::try_from(batch.rows.len()).unwrap_or(u32::MAX);
        return acknowledge(known.unwrap_or(BatchRow { stored: 0, duplicates: rows, refused: 0 }));
    }
    if batch.number > expected {
        return Answer::Refused(Refusal {
            code: RefusalCode::WrongNumber.into(),
            lane: batch.lane,
            number: batch.number,
            expected_number: expected,
            ..Refusal::default()
        });
    }
    let row = rows(db, cast, waiting, steps, notes, now);
    // A refused row leaves a hole, so such a batch does not say how far it is known.
    let through = batch.complete_through_ms.filter(|_| !batch.undated && row.refused == 0);
    if let Some(through) = through.filter(|_| is_of_present_set(db, agent, batch)) {
        raise_complete_through(db, agent, through, now + AHEAD_MS);
    }
    db.batches.put((agent, lane, batch.number), row);
    db.lanes.put((agent, lane), expected + 1);
    notes.push(Note::Batch { agent, lane, number: batch.number, refused: row.refused });
    acknowledge(row)
}

/// Completeness under an older set would be read as success for what nobody has looked at yet.
fn is_of_present_set(db: &Database, agent: AgentIndex, batch: &ResultBatch) -> bool {
    let present = db.sets.get(&agent).map(|set| set.content_version);
    present.is_none_or(|present| batch.set_version.cast_signed() >= present)
}

/// What is known and lies after `latest` was shown by a clock that was set back since.
fn raise_complete_through(db: &mut Database, agent: AgentIndex, through: i64, latest: i64) {
    let through = through.min(latest);
    if db.complete.get(&agent).is_none_or(|known| *known < through || *known > latest) {
        db.complete.put(agent, through);
    }
}

fn rows(
    db: &mut Database,
    cast: &Cast,
    waiting: &Waiting,
    steps: &mut Steps,
    notes: &mut Vec<Note>,
    now: i64,
) -> BatchRow {
    let (agent, batch) = (waiting.agent, &waiting.batch);
    let region = cast.agents[agent].region;
    let mut count = BatchRow { stored: 0, duplicates: 0, refused: 0 };
    let mut fit = Vec::with_capacity(batch.rows.len());
    for row in &batch.rows {
        match judge(db, cast, agent, row, batch.undated, now) {
            Some(seen) => {
                if !batch.undated {
                    steps.add(seen.monitor, region, seen.revision, agent, step_of(&seen));
                }
                fit.push(seen);
            }
            None => count.refused += 1,
        }
    }
    for missed in &batch.missed {
        match judge_missed(db, cast, agent, missed, batch.undated, now) {
            Some((monitor, revision, Some(step))) => {
                steps.add(monitor, region, revision, agent, step)
            }
            Some(_) => {}
            None => count.refused += 1,
        }
    }
    // Before the rows are there: what was newest until now.
    steps.read_newest(db, region);
    for mut seen in fit {
        let (burst, index) = seen.burst.unwrap_or_else(|| (undated_mark(batch), 0));
        let key = (seen.monitor, region, seen.revision, seen.slot, burst, index);
        if db.results.put_new(key, ()) {
            bursts::answer(db, &seen);
            count.stored += 1;
            seen.late = !note_newest(db, &seen, batch.undated);
            notes.push(Note::Stored(seen));
        } else {
            count.duplicates += 1;
        }
    }
    count
}

/// Undated slots are numbered from a boot, so two boots must not collide.
fn undated_mark(batch: &ResultBatch) -> u128 {
    if !batch.undated {
        return 0;
    }
    Uuid::from_slice(&batch.boot_id).map_or(0, |id| id.as_u128())
}

/// Whether it is newer than everything known of its place.
fn note_newest(db: &mut Database, seen: &Seen, undated: bool) -> bool {
    let place = (seen.monitor, seen.region);
    let known = db.newest.get(&place).filter(|(revision, _)| *revision == seen.revision);
    let known = known.map(|(_, newest)| *newest);
    let newer = known.is_none_or(|known| known.started_at < seen.started_at);
    if undated {
        return newer;
    }
    // A burst's check owns no slot: the slot's own may still come.
    let own = if seen.burst.is_some() { seen.slot - 1 } else { seen.slot };
    let slot = known.map_or(own, |known| match seen.burst {
        Some(_) => known.slot,
        None => known.slot.max(own),
    });
    let started_at = known.map_or(seen.started_at, |known| known.started_at.max(seen.started_at));
    db.newest.put(place, (seen.revision, Newest { slot, started_at }));
    newer
}

fn step_of(seen: &Seen) -> Step {
    Step::Sight(Sight {
        slot: seen.slot,
        burst: seen.burst.map(|(id, index)| BurstMark { id: Uuid::from_u128(id), index }),
        started_at: seen.started_at,
        outcome: seen.outcome,
        reason: (!seen.reason.is_empty()).then(|| seen.reason.clone()),
        message: None,
    })
}

/// An agent is believed about what it saw where it was asked to look.
fn judge(
    db: &Database,
    cast: &Cast,
    agent: AgentIndex,
    row: &ResultRow,
    undated: bool,
    now: i64,
) -> Option<Seen> {
    let monitor = monitor_of(cast, &row.monitor_id)?;
    let revision = row.revision.cast_signed();
    let spans = spans(db, agent, monitor, revision)?;
    let burst = (!row.burst_id.is_empty())
        .then(|| Uuid::from_slice(&row.burst_id).map(|id| (id.as_u128(), row.burst_index)));
    let burst = burst.transpose().ok()?;
    let tolerance = SKEW_MS * 1_000;
    let ended = row.ended_us <= now * 1_000 + tolerance;
    match burst {
        _ if undated => {}
        None => {
            let span = spans.iter().find(|span| owns(span, row.slot, row.slot))?;
            let due = span.slots.due(row.slot);
            let fits = ended
                && due <= now + SKEW_MS
                && (due * 1_000).abs_diff(row.due_us) <= 1_000_000
                && row.started_us >= row.due_us - tolerance;
            fits.then_some(())?;
        }
        Some(_) => {
            let started = row.started_us.div_euclid(1_000);
            let newest = |span: &&AssignmentRow| {
                let from = span.slots.due(row.slot) - SKEW_MS;
                let to = span.slots.due(row.slot + 1) + SKEW_MS;
                (from..=to).contains(&started)
            };
            (ended && spans.iter().any(newest)).then_some(())?;
        }
    }
    let outcome = match row.outcome() {
        wire::Outcome::Ok => Outcome::Ok,
        wire::Outcome::Degraded => Outcome::Degraded,
        wire::Outcome::Fail => Outcome::Fail,
        wire::Outcome::Policy => Outcome::Policy,
        wire::Outcome::Unsupported => Outcome::Unsupported,
        wire::Outcome::Unspecified => return None,
    };
    let seen = Seen {
        monitor,
        region: cast.agents[agent].region,
        agent,
        revision,
        slot: row.slot,
        burst,
        started_at: row.started_us.div_euclid(1_000),
        ended_at: row.ended_us.div_euclid(1_000),
        outcome,
        reason: row.reason.clone(),
        dated: !undated,
        late: false,
    };
    bursts::is_asked(db, &seen).then_some(seen)
}

type MissedStep = (MonitorIndex, i64, Option<Step>);

fn judge_missed(
    db: &Database,
    cast: &Cast,
    agent: AgentIndex,
    missed: &MissedSlots,
    undated: bool,
    now: i64,
) -> Option<MissedStep> {
    let monitor = monitor_of(cast, &missed.monitor_id)?;
    let revision = missed.revision.cast_signed();
    let spans = spans(db, agent, monitor, revision)?;
    let span = spans.iter().find(|span| owns(span, missed.first_slot, missed.last_slot));
    let due = span.map(|span| span.slots.due(missed.last_slot));
    (undated || due.is_some_and(|due| due <= now + SKEW_MS)).then_some(())?;
    let (word, observed) = match missed.reason() {
        MissedReason::Unspecified => return None,
        MissedReason::Overload => ("missed_overload", false),
        MissedReason::Suspend => ("missed_suspend", false),
        MissedReason::Stopped => ("missed_stopped", false),
        MissedReason::SpoolFull => ("missed_spool_full", true),
    };
    let step = (!observed && !undated)
        .then(|| Step::Missed { last_slot: missed.last_slot, reason: word.to_owned() });
    Some((monitor, revision, step))
}

fn monitor_of(cast: &Cast, bytes: &[u8]) -> Option<MonitorIndex> {
    cast.monitor_by_id.get(&Uuid::from_slice(bytes).ok()?).copied()
}

fn spans(
    db: &Database,
    agent: AgentIndex,
    monitor: MonitorIndex,
    revision: i64,
) -> Option<Vec<&AssignmentRow>> {
    let spans = db.asked.get(&(agent, monitor))?;
    let of: Vec<_> = spans.iter().filter(|span| span.revision == revision).collect();
    (!of.is_empty()).then_some(of)
}

fn owns(span: &AssignmentRow, first: i64, last: i64) -> bool {
    first >= span.first_slot && span.last_slot.is_none_or(|end| last <= end)
}
