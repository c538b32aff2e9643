//! Judging rows: an agent is believed about what it saw where it was asked to
//! look, and about nothing else. It is asked by its sets, slot by slot, and out
//! of turn by bursts.

use crate::store::assignments::Assignment;
use crate::store::bursts::Ordered;
use crate::store::results::{NewMissed, NewResult, missed_word};
use hyperverge_control_core::correlation::{BurstMark, Sight, Step};
use hyperverge_protocol::limits::{DETAILS_BYTES, MESSAGE_BYTES, SAMPLE_BYTES, SHORT_TEXT_BYTES};
use hyperverge_protocol::outcome::Outcome;
use hyperverge_protocol::wire::{self, MissedReason, MissedSlots, ResultRow};
use prost::Message;
use std::collections::BTreeMap;
use uuid::Uuid;

/// How far an agent's idea of our time may be off, ms.
const SKEW_MS: i64 = 5_000;
/// A check that took longer than this was not one, µs.
const LONGEST_CHECK_US: i64 = 24 * 3_600 * 1_000_000;

/// The rule a row broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{field} {rule}")]
pub(super) struct Unfit {
    pub(super) field: &'static str,
    pub(super) rule: &'static str,
}

/// What the agent was ever asked in this region, by monitor and revision.
pub(super) struct Judge {
    asked: BTreeMap<(Uuid, i64), Vec<Assignment>>,
    /// The bursts it was ordered.
    ordered: BTreeMap<Uuid, Ordered>,
    /// The host boot that rows are counted from, where they cannot be dated.
    undated: Option<Uuid>,
    now: i64,
}

/// A row that may be stored, and what it says to the correlation.
#[derive(Debug)]
pub(super) struct Judged {
    pub(super) row: NewResult,
    /// `None` for rows that cannot be dated.
    pub(super) step: Option<Step>,
}

/// A range that may be stored.
#[derive(Debug)]
pub(super) struct JudgedMissed {
    pub(super) range: NewMissed,
    /// `None` where the slots were observed and only their rows are gone.
    pub(super) step: Option<Step>,
}

fn unless(holds: bool, field: &'static str, rule: &'static str) -> Result<(), Unfit> {
    if holds { Ok(()) } else { Err(Unfit { field, rule }) }
}

impl Judge {
    pub(super) fn new(
        assignments: Vec<Assignment>,
        ordered: BTreeMap<Uuid, Ordered>,
        undated: Option<Uuid>,
        now: i64,
    ) -> Self {
        let mut asked: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for assignment in assignments {
            let key = (assignment.monitor_id, assignment.revision);
            asked.entry(key).or_default().push(assignment);
        }
        Self { asked, ordered, undated, now }
    }

    pub(super) fn row(&self, row: &ResultRow) -> Result<Judged, Unfit> {
        let monitor_id = monitor_id(&row.monitor_id)?;
        let burst = self.burst(monitor_id, row)?;
        let revision = match burst {
            Some(_) => self.known(monitor_id, row.revision)?.0,
            None => self.asked_for(monitor_id, row.revision, row.slot, row.slot)?,
        };
        self.check_times(monitor_id, revision, row)?;
        let (outcome, reason) = outcome(row)?;
        let row = NewResult {
            monitor_id,
            revision,
            slot: row.slot,
            // Undated slots are numbered from a boot, so two boots must not collide.
            burst_id: burst.map(|mark| mark.id).or(self.undated).unwrap_or(Uuid::nil()),
            burst_index: burst.map_or(0, |mark| i64::from(mark.index)),
            due_us: row.due_us,
            started_us: row.started_us,
            ended_us: row.ended_us,
            outcome: i64::from(row.outcome),
            reason,
            message: text(&row.message, MESSAGE_BYTES, "message")?,
            address: text(&row.address, SHORT_TEXT_BYTES, "address")?,
            status: (row.status > 0).then_some(i64::from(row.status)),
            certificate_expires_s: (row.certificate_expires_s != 0)
                .then_some(row.certificate_expires_s),
            sample: sample(row)?,
            redirects: i64::from(row.redirects),
            body_bytes: i64::try_from(row.body_bytes).unwrap_or(i64::MAX),
            details: details(row)?,
            ..phases(row)?
        };
        let step = self.undated.is_none().then(|| {
            Step::Sight(Sight {
                slot: row.slot,
                burst,
                started_at: row.started_us.div_euclid(1_000),
                outcome,
                reason: row.reason.clone(),
                message: row.message.clone(),
            })
        });
        Ok(Judged { row, step })
    }

    pub(super) fn missed(&self, missed: &MissedSlots) -> Result<JudgedMissed, Unfit> {
        let monitor_id = monitor_id(&missed.monitor_id)?;
        let (first_slot, last_slot) = (missed.first_slot, missed.last_slot);
        unless(first_slot <= last_slot, "last_slot", "must not lie before first_slot")?;
        let revision = self.asked_for(monitor_id, missed.revision, first_slot, last_slot)?;
        let said = missed.reason() != MissedReason::Unspecified;
        unless(said, "reason", "must say why slots were missed")?;
        let dated = missed_word(missed.reason()).filter(|_| self.undated.is_none());
        let step = dated.map(|word| Step::Missed { last_slot, reason: word.to_owned() });
        let reason = i64::from(missed.reason);
        let range = NewMissed { monitor_id, revision, first_slot, last_slot, reason };
        Ok(JudgedMissed { range, step })
    }

    /// Which check of which burst this was. Nobody votes out of turn who was not
    /// asked to, or from before the question.
    fn burst(&self, monitor_id: Uuid, row: &ResultRow) -> Result<Option<BurstMark>, Unfit> {
        if row.burst_id.is_empty() {
            unless(row.burst_index == 0, "burst_index", "must be 0 without a burst_id")?;
            return Ok(None);
        }
        let id = Uuid::from_slice(&row.burst_id).ok();
        let ordered = id.and_then(|id| self.ordered.get(&id)).filter(|ordered| {
            let asked = (ordered.monitor_id, ordered.revision.unsigned_abs());
            self.undated.is_none() && asked == (monitor_id, row.revision)
        });
        let Some((ordered, id)) = ordered.zip(id) else {
            let rule = "must be of a burst that this agent was ordered for this monitor";
            return Err(Unfit { field: "burst_id", rule });
        };
        let indices = 1..=ordered.failures;
        unless(
            indices.contains(&row.burst_index),
            "burst_index",
            "must be 1 to the failures ordered",
        )?;
        let asked_us = ordered.asked_at.saturating_mul(1_000);
        unless(
            row.started_us >= asked_us,
            "started_us",
            "must not lie before the burst was asked",
        )?;
        Ok(Some(BurstMark { id, index: row.burst_index }))
    }

    /// The assignments of this agent for a monitor at a revision.
    fn known(&self, monitor_id: Uuid, revision: u64) -> Result<(i64, &[Assignment]), Unfit> {
        let revision = i64::try_from(revision).unwrap_or(-1);
        match self.asked.get(&(monitor_id, revision)) {
            Some(spans) => Ok((revision, spans)),
            None => {
                let rule = "must be of an assignment this agent was given";
                Err(Unfit { field: "monitor_id", rule })
            }
        }
    }

    /// Whether one assignment of this agent owns all of these slots, and none of
    /// them lies in the future.
    fn asked_for(
        &self,
        monitor_id: Uuid,
        revision: u64,
        first_slot: i64,
        last_slot: i64,
    ) -> Result<i64, Unfit> {
        let (revision, spans) = self.known(monitor_id, revision)?;
        if self.undated.is_some() {
            return Ok(revision);
        }
        let owns = |span: &&Assignment| {
            first_slot >= span.first_slot && span.last_slot.is_none_or(|last| last_slot <= last)
        };
        let Some(span) = spans.iter().find(owns) else {
            return Err(Unfit { field: "slot", rule: "must be one this agent owned" });
        };
        let due = due_ms(span, last_slot);
        unless(due <= self.now.saturating_add(SKEW_MS), "slot", "must not lie in the future")?;
        Ok(revision)
    }

    fn check_times(&self, monitor_id: Uuid, revision: i64, row: &ResultRow) -> Result<(), Unfit> {
        let lasted = row.ended_us.saturating_sub(row.started_us);
        unless(
            (0..=LONGEST_CHECK_US).contains(&lasted),
            "ended_us",
            "must follow started_us within a day",
        )?;
        if self.undated.is_some() {
            return Ok(());
        }
        let spans = self.asked.get(&(monitor_id, revision)).map_or(&[][..], Vec::as_slice);
        let tolerance = SKEW_MS * 1_000;
        if row.burst_id.is_empty() {
            let as_due = |span: &Assignment| {
                due_ms(span, row.slot).saturating_mul(1_000).abs_diff(row.due_us) <= 1_000_000
            };
            unless(spans.iter().any(as_due), "due_us", "must be when the slot is due")?;
        } else {
            let newest = |span: &Assignment| {
                let from = due_ms(span, row.slot).saturating_sub(SKEW_MS);
                let to = due_ms(span, row.slot.saturating_add(1)).saturating_add(SKEW_MS);
                (from..=to).contains(&row.started_us.div_euclid(1_000))
            };
            unless(spans.iter().any(newest), "slot", "must be the newest that was due")?;
            unless(row.due_us == row.started_us, "due_us", "must be started_us in a burst")?;
        }
        unless(
            row.started_us >= row.due_us.saturating_sub(tolerance),
            "started_us",
            "must not lie before due_us",
        )?;
        let latest = self.now.saturating_mul(1_000).saturating_add(tolerance);
        unless(row.ended_us <= latest, "ended_us", "must not lie in the future")
    }
}

fn due_ms(span: &Assignment, slot: i64) -> i64 {
    span.anchor_ms.saturating_add(slot.saturating_mul(span.interval_ms))
}

fn monitor_id(bytes: &[u8]) -> Result<Uuid, Unfit> {
    Uuid::from_slice(bytes).map_err(|_| Unfit { field: "monitor_id", rule: "must be 16 bytes" })
}

fn outcome(row: &ResultRow) -> Result<(Outcome, Option<String>), Unfit> {
    let outcome = match row.outcome() {
        wire::Outcome::Unspecified => {
            return Err(Unfit { field: "outcome", rule: "must be one this version knows" });
        }
        wire::Outcome::Ok => Outcome::Ok,
        wire::Outcome::Degraded => Outcome::Degraded,
        wire::Outcome::Fail => Outcome::Fail,
        wire::Outcome::Policy => Outcome::Policy,
        wire::Outcome::Unsupported => Outcome::Unsupported,
    };
    let word = row.reason.as_str();
    // Words of newer agents are welcome as long as they are words.
    let is_word = (1..=64).contains(&word.len())
        && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    let fits = if outcome == Outcome::Ok { word.is_empty() } else { is_word };
    unless(fits, "reason", "must be a word, and empty exactly when the outcome is ok")?;
    Ok((outcome, (!word.is_empty()).then(|| word.to_owned())))
}

/// NUL is text to SQLite and an error to PostgreSQL, so it is refused here.
fn text(text: &str, limit: usize, field: &'static str) -> Result<Option<String>, Unfit> {
    unless(text.len() <= limit, field, "must not be longer than its limit")?;
    unless(!text.contains('\0'), field, "must not contain NUL")?;
    Ok((!text.is_empty()).then(|| text.to_owned()))
}

fn sample(row: &ResultRow) -> Result<Option<Vec<u8>>, Unfit> {
    unless(row.sample.len() <= SAMPLE_BYTES, "sample", "must not be longer than its limit")?;
    Ok((!row.sample.is_empty()).then(|| row.sample.to_vec()))
}

/// Stored as it came: only who shows it needs to read it.
fn details(row: &ResultRow) -> Result<Option<Vec<u8>>, Unfit> {
    let Some(details) = &row.details else { return Ok(None) };
    let fits = details.encoded_len() <= DETAILS_BYTES;
    unless(fits, "details", "must not be longer than its limit")?;
    Ok(Some(details.encode_to_vec()))
}

fn phases(row: &ResultRow) -> Result<NewResult, Unfit> {
    let Some(phases) = &row.phases else { return Ok(NewResult::default()) };
    let phase = |us: Option<u64>| -> Result<Option<i64>, Unfit> {
        let day = LONGEST_CHECK_US.unsigned_abs();
        unless(us.is_none_or(|us| us <= day), "phases", "must be shorter than a day")?;
        Ok(us.map(u64::cast_signed))
    };
    Ok(NewResult {
        resolve_us: phase(phases.resolve_us)?,
        connect_us: phase(phases.connect_us)?,
        tls_us: phase(phases.tls_us)?,
        processing_us: phase(phases.processing_us)?,
        transfer_us: phase(phases.transfer_us)?,
        ..NewResult::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    const NOW: i64 = 1_000_000;

    fn judge(undated: bool) -> Judge {
        let span = |first_slot, last_slot| Assignment {
            monitor_id: Uuid::from_u128(1),
            region_id: Uuid::from_u128(2),
            agent_id: "a".into(),
            revision: 3,
            first_slot,
            anchor_ms: 500,
            interval_ms: 1_000,
            assigned_at: 0,
            ended_at: last_slot,
            last_slot,
            predecessor_through: None,
        };
        let ordered =
            Ordered { monitor_id: Uuid::from_u128(1), revision: 3, failures: 2, asked_at: 40_600 };
        let of_another = Ordered { monitor_id: Uuid::from_u128(9), ..ordered };
        let ordered = [(Uuid::from_u128(7), ordered), (Uuid::from_u128(8), of_another)].into();
        let undated = undated.then_some(Uuid::max());
        Judge::new(vec![span(10, Some(20)), span(30, None)], ordered, undated, NOW)
    }

    fn undated() -> Judge {
        judge(true)
    }

    /// The second check of burst 7.
    fn of_burst() -> ResultRow {
        ResultRow {
            burst_id: Bytes::copy_from_slice(Uuid::from_u128(7).as_bytes()),
            burst_index: 2,
            due_us: 40_800_000,
            started_us: 40_800_000,
            ended_us: 40_900_000,
            ..row(40)
        }
    }

    fn row(slot: i64) -> ResultRow {
        ResultRow {
            monitor_id: Bytes::copy_from_slice(Uuid::from_u128(1).as_bytes()),
            revision: 3,
            slot,
            due_us: slot * 1_000_000 + 500_000,
            started_us: slot * 1_000_000 + 501_000,
            ended_us: slot * 1_000_000 + 700_000,
            outcome: wire::Outcome::Ok.into(),
            ..ResultRow::default()
        }
    }

    fn field(judged: Result<Judged, Unfit>) -> Option<&'static str> {
        judged.err().map(|unfit| unfit.field)
    }

    #[test]
    fn only_slots_that_the_agent_owned_and_that_are_past_are_believed() {
        let judge = judge(false);
        for (slot, wrong) in [
            (9, Some("slot")),
            (10, None),
            (20, None),
            (21, Some("slot")),
            (29, Some("slot")),
            (30, None),
            (999, None),
            (1_004, None),
            (1_005, Some("slot")),
            (i64::MAX, Some("slot")),
        ] {
            let mut row = row(slot.min(2_000));
            row.slot = slot;
            // What matters here is the slot: the check itself ended at once.
            row.ended_us = row.started_us;
            assert_eq!(field(judge.row(&row)), wrong, "{slot}");
        }
    }

    #[test]
    fn each_broken_rule_is_named() {
        let judge = judge(false);
        type Break = (&'static str, fn(&mut ResultRow));
        let broken: [Break; 17] = [
            ("monitor_id", |row| row.monitor_id = Bytes::from_static(b"short")),
            ("monitor_id", |row| row.monitor_id = Bytes::from_static(&[9; 16])),
            ("monitor_id", |row| row.revision = 4),
            ("monitor_id", |row| row.revision = u64::MAX),
            ("due_us", |row| row.due_us += 1_000_001),
            ("started_us", |row| row.started_us = row.due_us - 5_000_001),
            ("ended_us", |row| row.ended_us = row.started_us - 1),
            ("ended_us", |row| row.ended_us = NOW * 1_000 + 5_000_001),
            ("burst_id", |row| row.burst_id = Bytes::from_static(&[1; 16])),
            ("outcome", |row| row.outcome = 0),
            ("outcome", |row| row.outcome = 77),
            ("reason", |row| row.reason = "status".into()),
            ("reason", |row| row.outcome = wire::Outcome::Fail.into()),
            ("message", |row| row.message = "x".repeat(MESSAGE_BYTES + 1)),
            ("address", |row| row.address = "a\0b".into()),
            ("sample", |row| row.sample = Bytes::from(vec![0; SAMPLE_BYTES + 1])),
            ("details", |row| {
                let http_version = "x".repeat(DETAILS_BYTES);
                row.details = Some(wire::Details { http_version, ..wire::Details::default() });
            }),
        ];
        for (wrong, break_it) in broken {
            let mut row = row(40);
            break_it(&mut row);
            assert_eq!(field(judge.row(&row)), Some(wrong), "{row:?}");
        }
    }

    #[test]
    fn a_burst_is_believed_where_it_was_ordered_and_since() {
        let judge = judge(false);
        let fit = judge.row(&of_burst()).unwrap();
        assert_eq!((fit.row.burst_id, fit.row.burst_index), (Uuid::from_u128(7), 2));
        let mark = BurstMark { id: Uuid::from_u128(7), index: 2 };
        assert!(matches!(fit.step, Some(Step::Sight(Sight { burst: Some(m), .. })) if m == mark));
        // It owns no slot: the newest that was due may be nobody's, or another's.
        let mut first = ResultRow { slot: 25, ..of_burst() };
        (first.due_us, first.started_us, first.ended_us) = (25_600_000, 25_600_000, 25_600_000);
        assert_eq!(field(judge.row(&first)), Some("started_us"), "before it was asked");
        type Break = (&'static str, fn(&mut ResultRow));
        let broken: [Break; 10] = [
            ("burst_id", |row| row.burst_id = Bytes::from_static(&[1; 16])),
            ("burst_id", |row| row.burst_id = Bytes::from_static(b"short")),
            ("burst_id", |row| {
                row.burst_id = Bytes::copy_from_slice(Uuid::from_u128(8).as_bytes());
            }),
            ("burst_id", |row| row.revision = 4),
            ("burst_index", |row| row.burst_index = 0),
            ("burst_index", |row| row.burst_index = 3),
            ("burst_index", |row| row.burst_id.clear()),
            ("slot", |row| row.slot = 34),
            ("slot", |row| row.slot = i64::MAX),
            ("due_us", |row| row.due_us -= 1),
        ];
        for (wrong, break_it) in broken {
            let mut row = of_burst();
            break_it(&mut row);
            assert_eq!(field(judge.row(&row)), Some(wrong), "{row:?}");
        }
        let nobody_knows_when = field(undated().row(&of_burst()));
        assert_eq!(nobody_knows_when, Some("burst_id"));
    }

    #[test]
    fn undated_rows_are_history_of_what_was_asked() {
        let judge = judge(true);
        let mut undated = row(0);
        (undated.due_us, undated.started_us, undated.ended_us) = (0, 5, 9);
        assert!(judge.row(&undated).unwrap().step.is_none());
        undated.revision = 9;
        assert_eq!(field(judge.row(&undated)), Some("monitor_id"));
    }

    #[test]
    fn what_was_observed_is_not_missed() {
        let judge = judge(false);
        let missed = |reason: MissedReason, first_slot, last_slot| MissedSlots {
            monitor_id: row(0).monitor_id,
            revision: 3,
            first_slot,
            last_slot,
            reason: reason.into(),
        };
        assert!(judge.missed(&missed(MissedReason::Overload, 30, 40)).unwrap().step.is_some());
        assert!(judge.missed(&missed(MissedReason::SpoolFull, 30, 40)).unwrap().step.is_none());
        for wrong in [
            missed(MissedReason::Overload, 40, 30),
            missed(MissedReason::Overload, 20, 30),
            missed(MissedReason::Unspecified, 30, 40),
            missed(MissedReason::Stopped, 30, 5_000),
        ] {
            assert!(judge.missed(&wrong).is_err(), "{wrong:?}");
        }
    }
}
