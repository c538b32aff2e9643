//! Step 4: which number and lane a batch gets, which files may go, and what a
//! full spool gives up.
//!
//! A sealed batch never changes and its number is never given to other bytes,
//! so nothing that is sealed can be thinned out later. The spool therefore
//! judges at the door: when new plain successes would eat into the last eighth
//! of the space, or the oldest waiting batch is older than the spool may hold,
//! they are folded into gap records (`SPOOL_FULL`) before sealing, and failures
//! go in whole; when even that does not fit, everything is folded and counted.
//! Failures are thus never given up before successes, and the limit is never passed.
//!
//! Segment files hold the batches of both lanes in the order of sealing. A
//! segment goes when all its batches are acknowledged and no row in it lies
//! beyond the durable `complete_through`: a restart still needs those rows to
//! know which slots were done.

use crate::Lane;
use crate::limits::{FILL_NUMBERS, JUMP_MS, LIVE_WAITING, SPOOL_PLAIN_EIGHTHS};
use crate::missed::{Missed, MissedReason};
use hyperverge_protocol::wire::{Outcome, ResultRow};
use std::collections::BTreeMap;
use uuid::Uuid;

/// How much a spool may hold.
#[derive(Debug, Clone, Copy)]
pub struct SpoolLimits {
    pub bytes: u64,
    pub age_ms: i64,
}

/// Where a sealed batch lies, and what has to be known without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sealed {
    pub lane: Lane,
    pub number: u64,
    pub segment: u64,
    /// Of the record in its segment.
    pub offset: u64,
    pub bytes: u64,
    pub rows: u32,
    /// When it was sealed: control-plane time, or 0 while undated.
    pub sealed_ms: i64,
    /// The newest due time of a row, `i64::MIN` without dated rows.
    pub max_due_ms: i64,
    pub complete_through_ms: Option<i64>,
}

/// What the next batch may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// Everything.
    Whole,
    /// Failures; plain successes as gap records.
    Failures,
    /// Nothing: the slots stay in memory as missed ranges.
    Nothing,
}

/// What a Welcome's expected number means for a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reconciled {
    /// It fits what is held.
    Agrees,
    /// Batches of an earlier spool are stored; numbering goes on behind them.
    SkippedAhead { from: u64, to: u64 },
    /// Batches `first..=last` are expected and no longer held: empty ones must be
    /// sealed under those numbers, or the lane would stand still for ever.
    Fill { first: u64, last: u64 },
    /// More numbers are missing than can be filled; a person must look.
    Stuck { expected: u64, held: u64 },
}

#[derive(Debug, Default)]
struct LaneIndex {
    next: u64,
    waiting: BTreeMap<u64, Sealed>,
}

#[derive(Debug, Default)]
struct Segment {
    bytes: u64,
    waiting: usize,
    max_due_ms: Option<i64>,
}

/// The index of everything in the spool.
#[derive(Debug)]
pub struct Spool {
    limits: SpoolLimits,
    live: LaneIndex,
    backlog: LaneIndex,
    segments: BTreeMap<u64, Segment>,
    bytes: u64,
    complete_through_ms: Option<i64>,
    /// How far the newest batch that says so is complete.
    sealed_through_ms: Option<i64>,
    /// Everything up to here was sealed before what waits in the backlog; `None`: that is
    /// not known, or nothing waits there.
    before_backlog_ms: Option<i64>,
}

impl Spool {
    /// An empty spool whose lanes go on at the numbers given (at least 1).
    pub fn new(limits: SpoolLimits, next_live: u64, next_backlog: u64) -> Self {
        let lane = |next: u64| LaneIndex { next: next.max(1), ..LaneIndex::default() };
        Self {
            limits,
            live: lane(next_live),
            backlog: lane(next_backlog),
            segments: BTreeMap::new(),
            bytes: 0,
            complete_through_ms: None,
            sealed_through_ms: None,
            before_backlog_ms: None,
        }
    }

    fn lane(&self, lane: Lane) -> &LaneIndex {
        match lane {
            Lane::Live => &self.live,
            Lane::Backlog => &self.backlog,
        }
    }

    fn lane_mut(&mut self, lane: Lane) -> &mut LaneIndex {
        match lane {
            Lane::Live => &mut self.live,
            Lane::Backlog => &mut self.backlog,
        }
    }

    /// The lane for a batch sealed now. One that `says_how_far` its agent is complete
    /// may take the last place of the live lane, which is kept for it: whatever the
    /// others are, it must not stand behind the whole backlog.
    pub fn choose_lane(&self, session_established: bool, says_how_far: bool) -> Lane {
        let places = if says_how_far { LIVE_WAITING } else { LIVE_WAITING - 1 };
        if session_established && self.live.waiting.len() < places {
            Lane::Live
        } else {
            Lane::Backlog
        }
    }

    /// How far a batch of `lane` may say that its agent is complete, which is `through` by
    /// what it sealed. Live batches pass by the backlog: as long as something waits there,
    /// what they say ends before it, or a failure in it would be read as a success. Batches
    /// of the backlog come after all that they speak about.
    pub fn complete_through(&self, lane: Lane, through: i64) -> Option<i64> {
        match lane {
            Lane::Live if !self.backlog.waiting.is_empty() => {
                self.before_backlog_ms.map(|before| before.min(through))
            }
            Lane::Live | Lane::Backlog => Some(through),
        }
    }

    /// The number the next batch of `lane` gets.
    pub fn next_number(&self, lane: Lane) -> u64 {
        self.lane(lane).next
    }

    /// Notes what a segment file takes on disk beside its records.
    pub fn handle_segment(&mut self, segment: u64, bytes: u64) {
        self.segments.entry(segment).or_default().bytes += bytes;
        self.bytes += bytes;
    }

    /// Notes a batch that is written. It waits for its acknowledgement unless
    /// `acknowledged` says that an earlier process had that.
    pub fn handle_sealed(&mut self, sealed: Sealed, acknowledged: bool) {
        let waits = !acknowledged && sealed.lane == Lane::Backlog;
        if waits && self.backlog.waiting.is_empty() {
            self.before_backlog_ms = self.sealed_through_ms;
        }
        if sealed.complete_through_ms.is_some() {
            self.sealed_through_ms = sealed.complete_through_ms;
        }
        let segment = self.segments.entry(sealed.segment).or_default();
        segment.bytes += sealed.bytes;
        segment.max_due_ms = segment.max_due_ms.max(Some(sealed.max_due_ms));
        self.bytes += sealed.bytes;
        let lane = self.lane_mut(sealed.lane);
        lane.next = lane.next.max(sealed.number + 1);
        if !acknowledged && lane.waiting.insert(sealed.number, sealed).is_none() {
            self.segments.entry(sealed.segment).or_default().waiting += 1;
        }
    }

    /// Takes back a batch whose bytes did not become durable and are gone from
    /// the file. Only the newest of a lane can be taken back, newest first.
    pub fn handle_unwritten(&mut self, sealed: &Sealed) {
        let lane = self.lane_mut(sealed.lane);
        if lane.waiting.remove(&sealed.number).is_none() {
            return;
        }
        if lane.next == sealed.number + 1 {
            lane.next = sealed.number;
        }
        // What it held is told later, as missed.
        self.sealed_through_ms = None;
        self.bytes -= sealed.bytes;
        if let Some(segment) = self.segments.get_mut(&sealed.segment) {
            segment.waiting = segment.waiting.saturating_sub(1);
            segment.bytes -= sealed.bytes;
        }
    }

    /// Notes that the control plane has stored a batch; `None` when it did not wait.
    pub fn handle_acknowledged(&mut self, lane: Lane, number: u64) -> Option<Sealed> {
        let sealed = self.lane_mut(lane).waiting.remove(&number)?;
        if lane == Lane::Backlog && sealed.complete_through_ms.is_some() {
            self.before_backlog_ms = sealed.complete_through_ms;
        }
        if let Some(segment) = self.segments.get_mut(&sealed.segment) {
            segment.waiting = segment.waiting.saturating_sub(1);
        }
        Some(sealed)
    }

    /// A segment whose file may be deleted, if there is one. It counts as deleted from then on.
    pub fn poll_deletable(&mut self) -> Option<u64> {
        let current = *self.segments.last_key_value()?.0;
        let through = self.complete_through_ms.unwrap_or(i64::MIN);
        let (id, bytes) = self
            .segments
            .iter()
            .find(|(id, segment)| {
                **id != current && segment.waiting == 0 && segment.max_due_ms <= Some(through)
            })
            .map(|(id, segment)| (*id, segment.bytes))?;
        self.segments.remove(&id);
        self.bytes -= bytes;
        Some(id)
    }

    /// What a batch of at most `bytes` sealed at `now_ms` (control-plane time) may hold.
    pub fn admit(&self, bytes: u64, now_ms: i64) -> Admission {
        let after = self.bytes.saturating_add(bytes);
        if after > self.limits.bytes {
            return Admission::Nothing;
        }
        let plain = self.limits.bytes / 8 * SPOOL_PLAIN_EIGHTHS;
        let oldest = self.oldest_ms();
        let aged = oldest.is_some_and(|oldest| now_ms.saturating_sub(oldest) > self.limits.age_ms);
        if after > plain || aged { Admission::Failures } else { Admission::Whole }
    }

    fn oldest_ms(&self) -> Option<i64> {
        Lane::ALL
            .into_iter()
            .filter_map(|lane| self.lane(lane).waiting.values().find(|sealed| sealed.sealed_ms > 0))
            .map(|sealed| sealed.sealed_ms)
            .min()
    }

    /// Fits the lane to the number the control plane expects next.
    pub fn reconcile(&mut self, lane: Lane, expected: u64) -> Reconciled {
        let expected = expected.max(1);
        let index = self.lane_mut(lane);
        if expected > index.next {
            let from = std::mem::replace(&mut index.next, expected);
            return Reconciled::SkippedAhead { from, to: expected };
        }
        if expected == index.next || index.waiting.contains_key(&expected) {
            return Reconciled::Agrees;
        }
        let held = index.waiting.range(expected..).next().map_or(index.next, |(number, _)| *number);
        if held - expected > FILL_NUMBERS {
            return Reconciled::Stuck { expected, held };
        }
        Reconciled::Fill { first: expected, last: held - 1 }
    }

    /// A batch that waits.
    pub fn get(&self, lane: Lane, number: u64) -> Option<&Sealed> {
        self.lane(lane).waiting.get(&number)
    }

    /// Numbers that wait for an acknowledgement, ascending.
    pub fn waiting(&self, lane: Lane) -> impl Iterator<Item = u64> + '_ {
        self.lane(lane).waiting.keys().copied()
    }

    /// How many batches wait.
    pub fn waiting_count(&self, lane: Lane) -> usize {
        self.lane(lane).waiting.len()
    }

    /// Everything below this is acknowledged.
    pub fn acknowledged_below(&self, lane: Lane) -> u64 {
        let index = self.lane(lane);
        index.waiting.first_key_value().map_or(index.next, |(number, _)| *number)
    }

    /// Bytes of all segment files.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The greatest `complete_through` that is durable.
    pub fn complete_through_ms(&self) -> Option<i64> {
        self.complete_through_ms
    }

    /// Notes a `complete_through` that is durable now, of a batch sealed at `sealed_ms`
    /// (control-plane time). One that lay after that moment is forgotten for it: the clock
    /// was set back since.
    pub fn handle_complete_through(&mut self, complete_through_ms: Option<i64>, sealed_ms: i64) {
        let Some(through) = complete_through_ms else { return };
        let latest = sealed_ms.saturating_add(JUMP_MS);
        let known = self.complete_through_ms.filter(|known| *known <= latest);
        self.complete_through_ms = known.max(Some(through));
    }
}

/// Folds rows into gap records, as `admission` asks; returns the rows that stay.
/// A plain success is `ok`; everything else says something nobody may lose first.
/// The check of a burst owns no slot, so it leaves no gap; somebody waits for its
/// answer, so it stays while failures do.
pub fn fold(rows: Vec<ResultRow>, admission: Admission, gaps: &mut Vec<Missed>) -> Vec<ResultRow> {
    let mut kept = Vec::new();
    for row in rows {
        let plain = row.outcome == Outcome::Ok as i32;
        if !row.burst_id.is_empty() {
            if admission != Admission::Nothing {
                kept.push(row);
            }
            continue;
        }
        let reason = match admission {
            Admission::Whole => None,
            Admission::Failures => plain.then_some(MissedReason::SpoolFull),
            Admission::Nothing if plain => Some(MissedReason::SpoolFull),
            Admission::Nothing => Some(MissedReason::Overload),
        };
        let monitor = Uuid::from_slice(&row.monitor_id).unwrap_or_default();
        match reason {
            Some(reason) => gaps.push(Missed::one(monitor, row.revision, row.slot, reason)),
            None => kept.push(row),
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    const LIMITS: SpoolLimits = SpoolLimits { bytes: 10_000, age_ms: 1_000 };

    /// A new segment every eight batches.
    fn segment(spool: &Spool) -> u64 {
        (spool.next_number(Lane::Live) + spool.next_number(Lane::Backlog)) / 8
    }

    fn seal(spool: &mut Spool, lane: Lane, bytes: u64, sealed_ms: i64) -> u64 {
        let number = spool.next_number(lane);
        let sealed = Sealed {
            lane,
            number,
            segment: segment(spool),
            offset: 0,
            bytes,
            rows: 1,
            sealed_ms,
            max_due_ms: sealed_ms,
            complete_through_ms: Some(sealed_ms),
        };
        spool.handle_sealed(sealed, false);
        spool.handle_complete_through(sealed.complete_through_ms, sealed_ms);
        number
    }

    #[test]
    fn completeness_only_rises_unless_the_clock_was_set_back() {
        let mut spool = Spool::new(SpoolLimits { bytes: 1_000, age_ms: 1_000 }, 1, 1);
        for (through, sealed_ms, known) in [
            (Some(5_000), 5_000, 5_000),
            (Some(4_000), 5_100, 5_000),
            (Some(90_000), 90_000, 90_000),
            (None, 6_000, 90_000),
            (Some(5_900), 6_000, 5_900),
        ] {
            spool.handle_complete_through(through, sealed_ms);
            assert_eq!(spool.complete_through_ms(), Some(known));
        }
    }

    #[test]
    fn live_batches_say_nothing_about_what_waits_in_the_backlog() {
        let mut spool = Spool::new(LIMITS, 1, 1);
        let said = |spool: &Spool| spool.complete_through(Lane::Live, 900);
        seal(&mut spool, Lane::Live, 1, 100);
        assert_eq!(said(&spool), Some(900));
        // The link is down for two batches.
        seal(&mut spool, Lane::Backlog, 1, 200);
        seal(&mut spool, Lane::Backlog, 1, 300);
        assert_eq!(said(&spool), Some(100), "all before them was sealed to be sent before");
        assert_eq!(spool.complete_through(Lane::Backlog, 900), Some(900));
        seal(&mut spool, Lane::Live, 1, 400);
        spool.handle_acknowledged(Lane::Backlog, 1).expect("waits");
        assert_eq!(said(&spool), Some(200));
        spool.handle_acknowledged(Lane::Backlog, 2).expect("waits");
        assert_eq!(said(&spool), Some(900));
        // What was before is not known: the process began with it, or it did not become durable.
        let mut begun = Spool::new(LIMITS, 1, 1);
        seal(&mut begun, Lane::Backlog, 1, 200);
        assert_eq!(said(&begun), None);
    }

    #[test]
    fn a_slow_live_lane_overflows_into_the_backlog() {
        let mut spool = Spool::new(LIMITS, 1, 1);
        assert_eq!(spool.choose_lane(false, true), Lane::Backlog);
        for place in 1..=LIVE_WAITING {
            let others = if place < LIVE_WAITING { Lane::Live } else { Lane::Backlog };
            assert_eq!(spool.choose_lane(true, false), others, "{place}");
            assert_eq!(spool.choose_lane(true, true), Lane::Live, "{place}");
            seal(&mut spool, Lane::Live, 1, 5);
        }
        assert_eq!(spool.choose_lane(true, true), Lane::Backlog);
        spool.handle_acknowledged(Lane::Live, 1).expect("waits");
        assert_eq!(spool.choose_lane(true, true), Lane::Live);
        assert_eq!(spool.choose_lane(true, false), Lane::Backlog);
    }

    #[test]
    fn successes_make_room_before_failures_do() {
        let mut spool = Spool::new(LIMITS, 1, 1);
        assert_eq!(spool.admit(100, 5), Admission::Whole);
        seal(&mut spool, Lane::Backlog, 8_700, 5);
        assert_eq!(spool.admit(100, 5), Admission::Failures);
        assert_eq!(spool.admit(1_301, 5), Admission::Nothing);
        let mut old = Spool::new(LIMITS, 1, 1);
        seal(&mut old, Lane::Backlog, 1, 5);
        assert_eq!(old.admit(1, 2_000), Admission::Failures);
    }

    #[test]
    fn folding_keeps_what_is_not_plain() {
        let row = |slot, outcome: Outcome| ResultRow {
            slot,
            outcome: outcome.into(),
            ..ResultRow::default()
        };
        let rows = vec![row(1, Outcome::Ok), row(2, Outcome::Fail), row(3, Outcome::Degraded)];
        let mut gaps = vec![];
        let kept = fold(rows.clone(), Admission::Failures, &mut gaps);
        assert_eq!(kept.iter().map(|r| r.slot).collect::<Vec<_>>(), [2, 3]);
        assert_eq!((gaps[0].first, gaps[0].reason), (1, MissedReason::SpoolFull));
        let mut gaps = vec![];
        assert!(fold(rows, Admission::Nothing, &mut gaps).is_empty());
        assert_eq!(gaps.len(), 3);
        assert_eq!(gaps[1].reason, MissedReason::Overload, "a lost failure is no success");
    }

    #[test]
    fn the_check_of_a_burst_leaves_no_gap() {
        let row = ResultRow {
            outcome: Outcome::Ok.into(),
            burst_id: vec![7; 16].into(),
            ..ResultRow::default()
        };
        let mut gaps = vec![];
        for (admission, kept) in
            [(Admission::Whole, 1), (Admission::Failures, 1), (Admission::Nothing, 0)]
        {
            assert_eq!(fold(vec![row.clone()], admission, &mut gaps).len(), kept, "{admission:?}");
        }
        assert!(gaps.is_empty());
    }

    #[test]
    fn a_welcome_heals_the_numbering() {
        let mut spool = Spool::new(LIMITS, 1, 1);
        assert_eq!(spool.reconcile(Lane::Live, 57), Reconciled::SkippedAhead { from: 1, to: 57 });
        assert_eq!(seal(&mut spool, Lane::Live, 1, 5), 57);
        seal(&mut spool, Lane::Live, 1, 5);
        assert_eq!(spool.reconcile(Lane::Live, 57), Reconciled::Agrees);
        assert_eq!(spool.reconcile(Lane::Live, 59), Reconciled::Agrees);
        assert_eq!(spool.reconcile(Lane::Live, 55), Reconciled::Fill { first: 55, last: 56 });
        spool.handle_acknowledged(Lane::Live, 57).expect("waits");
        assert_eq!(spool.reconcile(Lane::Live, 57), Reconciled::Fill { first: 57, last: 57 });
    }

    proptest! {
        /// Numbers rise by one in each lane, a segment with a waiting batch or with
        /// rows past `complete_through` stays, and the bytes add up.
        #[test]
        fn numbers_have_no_gaps_and_nothing_unacknowledged_goes(
            steps in prop::collection::vec((0u8..3, any::<bool>(), 1u64..2_000_000), 1..200),
        ) {
            let limits = SpoolLimits { bytes: u64::MAX, age_ms: i64::MAX };
            let mut spool = Spool::new(limits, 1, 1);
            let mut held: BTreeMap<u64, BTreeSet<(Lane, u64)>> = BTreeMap::new();
            let mut next = BTreeMap::from([(Lane::Live, 1), (Lane::Backlog, 1)]);
            let mut sizes: BTreeMap<u64, u64> = BTreeMap::new();
            for (index, (kind, live, bytes)) in steps.into_iter().enumerate() {
                let lane = if live { Lane::Live } else { Lane::Backlog };
                if kind == 0 {
                    let oldest = spool.waiting(lane).next();
                    if let Some(number) = oldest {
                        let sealed = spool.handle_acknowledged(lane, number).expect("waits");
                        prop_assert!(
                            held.get_mut(&sealed.segment).expect("kept").remove(&(lane, number))
                        );
                    }
                } else {
                    let segment = segment(&spool);
                    let number = seal(&mut spool, lane, bytes, index as i64);
                    let expected = next.get_mut(&lane).expect("both lanes");
                    prop_assert_eq!(number, *expected);
                    *expected += 1;
                    held.entry(segment).or_default().insert((lane, number));
                    *sizes.entry(segment).or_default() += bytes;
                }
                while let Some(deleted) = spool.poll_deletable() {
                    prop_assert!(held.remove(&deleted).expect("known").is_empty());
                    sizes.remove(&deleted);
                }
                prop_assert_eq!(spool.bytes(), sizes.values().sum::<u64>());
            }
        }
    }
}
