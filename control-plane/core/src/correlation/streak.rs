//! One monitor in one region: streaks, and the state they move.
//!
//! Steadily up is the absence of a row, so that steady success costs nothing. A
//! row appears with the first thing that is not a plain success and goes with
//! the plain success after the region is up again; in between it carries the
//! streak across agents, processes and restarts.
//!
//! Three streaks share two counters, of which at most one is above 0:
//!
//! - `failures` counts failures, or observations that cast no vote; `reason`
//!   says which. The former make the region down, the latter unknown.
//! - `successes` counts towards leaving down (any success) or degraded (plain
//!   successes); in an up region it counts degraded successes in a row.
//!
//! In a row means by the time of their start. Checks of one monitor may run side by side
//! (a burst's beside one that hangs) and end in another order, so what comes after
//! something that started later joins the streak it belongs to, see [`Track::step`].

use super::{BurstMark, BurstMarks, DISCREDITED, RegionState, Thresholds};
use hyperverge_protocol::outcome::Outcome;
use serde::{Deserialize, Serialize};

/// Observations older than this are history at any rate, ms.
pub const HISTORY_AFTER_MS: i64 = 600_000;
/// What started so far ahead of now was dated by a clock that was set back since, ms: more
/// than an agent's idea of our time may be off.
const AHEAD_MS: i64 = 10_000;

/// A region that is not steadily up, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateRow {
    pub revision: i64,
    pub state: RegionState,
    /// Start of the first observation of the streak that moved it; `None`: before what is known.
    pub since: Option<i64>,
    pub failures: u32,
    pub successes: u32,
    pub streak_began: Option<i64>,
    pub newest_slot: i64,
    /// Start of the newest observation that was counted, vote or not.
    pub newest_at: Option<i64>,
    /// Start of the newest observation that broke a streak: a success where failures are
    /// counted. What started before it belongs to no streak any more.
    pub broken_at: Option<i64>,
    /// The checks of the newest burst that were counted.
    pub burst: Option<BurstMarks>,
    /// Start of the newest observation that cast a vote.
    pub observed_at: Option<i64>,
    pub reason: Option<String>,
    pub message: Option<String>,
}

impl StateRow {
    /// What is left of it when the agent that saw it was itself at fault and is
    /// believed again: nothing but its place in the order. The next look says how the
    /// target is.
    #[must_use]
    pub fn doubted(self) -> Self {
        Self { reason: Some(DISCREDITED.to_owned()), broken_at: self.newest_at, ..self.unknown() }
    }

    /// What is left when nobody knows how the target is.
    fn unknown(self) -> Self {
        Self {
            state: RegionState::Unknown,
            since: None,
            failures: 0,
            successes: 0,
            streak_began: None,
            observed_at: None,
            reason: None,
            message: None,
            ..self
        }
    }

    /// Begins to count something else in a row than before.
    fn break_streak(&mut self) {
        (self.failures, self.successes, self.streak_began) = (0, 0, None);
        self.broken_at = self.newest_at;
    }

    /// What kind of failure is counted in a row, if one is.
    fn counts(&self) -> Option<RegionState> {
        let no_vote = self.reason.as_deref().is_some_and(casts_no_vote);
        let leads_to = if no_vote { RegionState::Unknown } else { RegionState::Down };
        (self.failures > 0).then_some(leads_to)
    }
}

/// One observation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sight {
    /// Of a burst's check: the newest slot that was due when it started.
    pub slot: i64,
    /// `None` for a slot's own check.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub burst: Option<BurstMark>,
    pub started_at: i64,
    pub outcome: Outcome,
    pub reason: Option<String>,
    pub message: Option<String>,
}

/// What an agent reports of a place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Step {
    Sight(Sight),
    /// Slots that were due and not observed, with a word for why.
    Missed {
        last_slot: i64,
        reason: String,
    },
}

impl Step {
    /// The slot it is about, or the last of them.
    pub fn slot(&self) -> i64 {
        match self {
            Self::Sight(sight) => sight.slot,
            Self::Missed { last_slot, .. } => *last_slot,
        }
    }

    /// What the steps of a place are counted in the order of. A slot's own check starts
    /// some time after the slot was due, and a burst's in between is older than it.
    pub fn order(&self) -> (i64, i64) {
        match self {
            Self::Sight(sight) => (sight.slot, sight.started_at),
            Self::Missed { last_slot, .. } => (*last_slot, i64::MIN),
        }
    }

    /// A plain success: where there is no row, it changes nothing.
    pub fn is_plain(&self) -> bool {
        matches!(self, Self::Sight(sight) if sight.outcome == Outcome::Ok)
    }
}

/// The newest observation stored before, where there is no row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Newest {
    /// The newest slot whose own check is stored.
    pub slot: i64,
    /// When the newest check started, a burst's too.
    pub started_at: i64,
}

impl Sight {
    /// The state that enough of it in a row lead to; `None`: a success.
    fn leads_to(&self) -> Option<RegionState> {
        match self.outcome {
            Outcome::Ok | Outcome::Degraded => None,
            Outcome::Fail if !self.reason.as_deref().is_some_and(casts_no_vote) => {
                Some(RegionState::Down)
            }
            Outcome::Fail | Outcome::Policy | Outcome::Unsupported => Some(RegionState::Unknown),
        }
    }
}

/// What became of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    Counted,
    /// Out of order or too late: part of the timeline, not of the state.
    History,
}

/// Whether a reason says something about us rather than the target.
pub fn casts_no_vote(reason: &str) -> bool {
    reason.starts_with("policy") || reason.starts_with("unsupported") || reason == "agent_fault"
}

/// Counts the steps of one monitor, region and revision, in the order of [`Step::order`].
#[derive(Debug, Clone)]
pub struct Track {
    revision: i64,
    thresholds: Thresholds,
    row: Option<StateRow>,
    newest: Option<Newest>,
}

impl Track {
    /// Begins with what is stored. `newest` matters only where there is no row.
    pub fn new(
        revision: i64,
        thresholds: Thresholds,
        row: Option<StateRow>,
        newest: Option<Newest>,
    ) -> Self {
        // Another revision asked another question: its streak ends here.
        let row = row.filter(|row| row.revision == revision);
        Self { revision, thresholds, row, newest }
    }

    /// The row as it is so far.
    pub fn row(&self) -> Option<&StateRow> {
        self.row.as_ref()
    }

    /// The row to store; `None`: steadily up, or nothing known yet.
    pub fn into_row(self) -> Option<StateRow> {
        self.row
    }

    /// Counts one step at `now`.
    ///
    /// Each check counts once: that of a slot while no later slot was counted, so that a
    /// second copy of one is none whenever it was made; those of a burst by their index.
    /// What started before the newest that was counted may still join the failures in a
    /// row, as long as no success started after it. A success never moves what started
    /// after it.
    pub fn step(&mut self, step: &Step, now: i64) -> Taken {
        self.forget_the_future(now);
        match step {
            Step::Missed { last_slot, reason } => {
                if self.newest_slot().is_some_and(|slot| *last_slot <= slot) {
                    return Taken::History;
                }
                self.missed(*last_slot, reason);
            }
            Step::Sight(sight) => {
                if now - sight.started_at > HISTORY_AFTER_MS || self.is_known(sight) {
                    return Taken::History;
                }
                let newest_at = match &self.row {
                    Some(row) => row.newest_at,
                    None => self.newest.map(|newest| newest.started_at),
                };
                match newest_at.filter(|at| sight.started_at <= *at) {
                    Some(newest_at) => return self.overtaken(sight, newest_at),
                    None => self.sight(sight),
                }
            }
        }
        Taken::Counted
    }

    /// What was counted by a clock that was set back since has no place in an order, and
    /// nobody waits until it is that late again.
    fn forget_the_future(&mut self, now: i64) {
        let ahead = |at: i64| at.saturating_sub(now) > AHEAD_MS;
        self.newest = self.newest.filter(|newest| !ahead(newest.started_at));
        if let Some(row) = self.row.take_if(|row| row.newest_at.is_some_and(ahead)) {
            let row = StateRow { newest_at: None, broken_at: None, burst: None, ..row };
            self.row = Some(StateRow { newest_slot: i64::MIN, ..row.unknown() });
        }
    }

    fn newest_slot(&self) -> Option<i64> {
        match &self.row {
            Some(row) => Some(row.newest_slot),
            None => self.newest.map(|newest| newest.slot),
        }
    }

    fn is_known(&self, sight: &Sight) -> bool {
        match sight.burst {
            None => self.newest_slot().is_some_and(|slot| sight.slot <= slot),
            Some(mark) => {
                let marks = self.row.as_ref().and_then(|row| row.burst);
                marks.is_some_and(|marks| marks.holds(mark))
            }
        }
    }

    /// Takes what started before something that was counted already.
    fn overtaken(&mut self, sight: &Sight, newest_at: i64) -> Taken {
        let slot = self.newest_slot_with(sight);
        let Some(row) = &mut self.row else { return Taken::History };
        let apart = newest_at - sight.started_at > self.thresholds.stale_after_ms;
        if apart || row.broken_at.is_some_and(|at| sight.started_at <= at) {
            return Taken::History;
        }
        let began = row.streak_began;
        match sight.leads_to() {
            Some(leads_to) if row.counts() == Some(leads_to) => {
                row.failures = row.failures.saturating_add(1);
                row.streak_began = began.map(|at| at.min(sight.started_at));
                if row.state == leads_to && row.since == began {
                    row.since = row.streak_began;
                }
                move_down(row, leads_to, self.thresholds.fail_after);
            }
            // It breaks the streak in two. How many failures are after it nobody wrote
            // down; the newest is.
            _ => {
                row.broken_at = Some(sight.started_at);
                if row.failures > 0 && began.is_some_and(|at| at < sight.started_at) {
                    (row.failures, row.streak_began) = (1, Some(newest_at));
                }
            }
        }
        row.newest_slot = row.newest_slot.max(slot);
        row.burst = BurstMarks::overtaken(row.burst, sight.burst);
        Taken::Counted
    }

    fn missed(&mut self, last_slot: i64, reason: &str) {
        if let Some(row) = &mut self.row {
            row.newest_slot = last_slot;
            return;
        }
        let mut row = self.fresh(last_slot, None);
        row.reason = Some(reason.to_owned());
        self.row = Some(row);
    }

    fn sight(&mut self, sight: &Sight) {
        let leads_to = sight.leads_to();
        self.end_stale_streak(sight.started_at);
        let slot = self.newest_slot_with(sight);
        self.row = match (leads_to, self.row.take()) {
            (None, None) if sight.outcome == Outcome::Ok => None,
            (None, Some(row)) if sight.outcome == Outcome::Ok => self.succeeded(row, sight),
            (leads_to, row) => {
                let row = row.unwrap_or_else(|| self.fresh(slot, Some(sight.started_at)));
                Some(match leads_to {
                    Some(leads_to) => self.failed(row, sight, leads_to),
                    None => self.degraded(row, sight),
                })
            }
        };
        if let Some(row) = &mut self.row {
            row.newest_slot = slot;
            row.newest_at = Some(sight.started_at);
            row.burst = BurstMarks::newest(row.burst, sight.burst);
            if leads_to != Some(RegionState::Unknown) {
                row.observed_at = Some(sight.started_at);
            }
            if leads_to.is_none() {
                row.broken_at = Some(sight.started_at);
            }
        }
        self.newest = Some(Newest { slot, started_at: sight.started_at });
    }

    /// The newest slot there is after `sight`. A burst's check is none: the slot's
    /// own may still come.
    fn newest_slot_with(&self, sight: &Sight) -> i64 {
        match sight.burst {
            None => sight.slot,
            Some(_) => self.newest_slot().unwrap_or(sight.slot - 1),
        }
    }

    /// A row for a place that had none: it was steadily up if somebody looked
    /// recently, and is not known otherwise.
    fn fresh(&self, slot: i64, started_at: Option<i64>) -> StateRow {
        let recent = |newest: &Newest| {
            started_at.is_none_or(|at| at - newest.started_at <= self.thresholds.stale_after_ms)
        };
        let broken_at = self.newest.map(|newest| newest.started_at);
        let newest = self.newest.filter(recent);
        StateRow {
            revision: self.revision,
            state: if newest.is_some() { RegionState::Up } else { RegionState::Unknown },
            since: None,
            failures: 0,
            successes: 0,
            streak_began: None,
            newest_slot: slot,
            newest_at: newest.map(|newest| newest.started_at),
            broken_at,
            burst: None,
            observed_at: newest.map(|newest| newest.started_at),
            reason: None,
            message: None,
        }
    }

    /// After a gap nothing is in a row with what was before it.
    fn end_stale_streak(&mut self, started_at: i64) {
        let stale_after = self.thresholds.stale_after_ms;
        let Some(row) = &mut self.row else { return };
        let Some(observed_at) = row.observed_at else { return };
        if started_at - observed_at > stale_after {
            if row.state != RegionState::Unknown {
                row.state = RegionState::Unknown;
                row.since = Some(observed_at.saturating_add(stale_after));
            }
            row.break_streak();
        }
    }

    fn failed(&self, mut row: StateRow, sight: &Sight, leads_to: RegionState) -> StateRow {
        if row.counts().is_some_and(|counted| counted != leads_to) {
            row.break_streak();
        }
        row.successes = 0;
        row.failures = row.failures.saturating_add(1);
        if row.failures == 1 {
            row.streak_began = Some(sight.started_at);
        }
        row.reason.clone_from(&sight.reason);
        row.message.clone_from(&sight.message);
        move_down(&mut row, leads_to, self.thresholds.fail_after);
        row
    }

    fn degraded(&self, mut row: StateRow, sight: &Sight) -> StateRow {
        row.reason.clone_from(&sight.reason);
        row.message.clone_from(&sight.message);
        let needed = match row.state {
            RegionState::Down => self.thresholds.recover_after,
            RegionState::Up => self.thresholds.fail_after,
            // The first thing seen after nothing was known.
            RegionState::Unknown => 1,
            RegionState::Degraded => {
                (row.failures, row.successes, row.streak_began) = (0, 0, None);
                return row;
            }
        };
        count_success(&mut row, sight.started_at);
        move_after(row, needed, RegionState::Degraded)
    }

    fn succeeded(&self, mut row: StateRow, sight: &Sight) -> Option<StateRow> {
        let needed = match row.state {
            // Failures that were too few to count for a state are remembered for one more
            // observation too: until then it was not well all along.
            RegionState::Up => {
                let failed = row.failures > 0;
                (row.failures, row.successes, row.streak_began) = (0, 0, None);
                (row.reason, row.message) = (None, None);
                return failed.then_some(row);
            }
            RegionState::Unknown => 1,
            RegionState::Down | RegionState::Degraded => self.thresholds.recover_after,
        };
        count_success(&mut row, sight.started_at);
        let mut row = move_after(row, needed, RegionState::Up);
        if row.state == RegionState::Up {
            (row.reason, row.message) = (None, None);
        }
        Some(row)
    }
}

/// Moves the row when enough failures are in.
fn move_down(row: &mut StateRow, state: RegionState, needed: u32) {
    if row.failures >= needed && row.state != state {
        row.state = state;
        row.since = row.streak_began;
    }
}

fn count_success(row: &mut StateRow, started_at: i64) {
    row.failures = 0;
    row.successes = row.successes.saturating_add(1);
    if row.successes == 1 {
        row.streak_began = Some(started_at);
    }
}

/// Moves the row when enough successes are in. The row of a region that came up
/// stays for one more observation, because the verdict still asks since when.
fn move_after(mut row: StateRow, needed: u32, state: RegionState) -> StateRow {
    if row.successes >= needed {
        row.state = state;
        row.since = row.streak_began;
        (row.successes, row.streak_began) = (0, None);
    }
    row
}
