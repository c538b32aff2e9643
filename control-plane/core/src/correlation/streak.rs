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

use super::{DISCREDITED, RegionState, Thresholds};
use hyperverge_protocol::outcome::Outcome;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Observations older than this are history at any rate, ms.
pub const HISTORY_AFTER_MS: i64 = 600_000;

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
    /// The newest check of a burst that was counted.
    pub burst: Option<BurstMark>,
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
        Self {
            state: RegionState::Unknown,
            since: None,
            failures: 0,
            successes: 0,
            streak_began: None,
            observed_at: None,
            reason: Some(DISCREDITED.to_owned()),
            message: None,
            ..self
        }
    }
}

/// Which check of which burst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BurstMark {
    pub id: Uuid,
    /// From 1 upward.
    pub index: u32,
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
    pub fn step(&mut self, step: &Step, now: i64) -> Taken {
        if self.is_behind(step) {
            return Taken::History;
        }
        match step {
            Step::Missed { last_slot, reason } => self.missed(*last_slot, reason),
            Step::Sight(sight) if now - sight.started_at > HISTORY_AFTER_MS => {
                return Taken::History;
            }
            Step::Sight(sight) => self.sight(sight),
        }
        Taken::Counted
    }

    /// Whether something newer was counted. Checks of slots are ordered by their
    /// slots, so that a second copy of one counts once whenever it was made; the
    /// checks of bursts lie between them by the time of their start.
    fn is_behind(&self, step: &Step) -> bool {
        let (slot, at) = match &self.row {
            Some(row) => (Some(row.newest_slot), row.newest_at),
            None => (self.newest.map(|n| n.slot), self.newest.map(|n| n.started_at)),
        };
        let Step::Sight(sight) = step else {
            return slot.is_some_and(|slot| step.slot() <= slot);
        };
        if at.is_some_and(|at| sight.started_at <= at) {
            return true;
        }
        let Some(mark) = sight.burst else { return slot.is_some_and(|slot| sight.slot <= slot) };
        let known = self.row.as_ref().and_then(|row| row.burst);
        known.is_some_and(|known| known.id == mark.id && mark.index <= known.index)
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
        let reason = sight.reason.as_deref();
        let no_vote = matches!(sight.outcome, Outcome::Policy | Outcome::Unsupported)
            || (sight.outcome == Outcome::Fail && reason.is_some_and(casts_no_vote));
        self.end_stale_streak(sight.started_at);
        let slot = self.newest_slot_with(sight);
        self.row = match (sight.outcome, self.row.take()) {
            (Outcome::Ok, None) => None,
            (Outcome::Ok, Some(row)) => self.succeeded(row, sight),
            (outcome, row) => {
                let row = row.unwrap_or_else(|| self.fresh(slot, Some(sight.started_at)));
                Some(match outcome {
                    _ if no_vote => self.failed(row, sight, RegionState::Unknown),
                    Outcome::Degraded => self.degraded(row, sight),
                    _ => self.failed(row, sight, RegionState::Down),
                })
            }
        };
        if let Some(row) = &mut self.row {
            row.newest_slot = slot;
            row.newest_at = Some(sight.started_at);
            row.burst = sight.burst.or(row.burst);
            if !no_vote {
                row.observed_at = Some(sight.started_at);
            }
        }
        self.newest = Some(Newest { slot, started_at: sight.started_at });
    }

    /// The newest slot there is after `sight`. A burst's check is none: the slot's
    /// own may still come.
    fn newest_slot_with(&self, sight: &Sight) -> i64 {
        let known = match (&self.row, self.newest) {
            (Some(row), _) => Some(row.newest_slot),
            (None, newest) => newest.map(|newest| newest.slot),
        };
        match sight.burst {
            None => sight.slot,
            Some(_) => known.unwrap_or(sight.slot - 1),
        }
    }

    /// A row for a place that had none: it was steadily up if somebody looked
    /// recently, and is not known otherwise.
    fn fresh(&self, slot: i64, started_at: Option<i64>) -> StateRow {
        let recent = |newest: &Newest| {
            started_at.is_none_or(|at| at - newest.started_at <= self.thresholds.stale_after_ms)
        };
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
            (row.failures, row.successes, row.streak_began) = (0, 0, None);
        }
    }

    fn failed(&self, mut row: StateRow, sight: &Sight, leads_to: RegionState) -> StateRow {
        let was_no_vote = row.reason.as_deref().is_some_and(casts_no_vote);
        if row.failures > 0 && was_no_vote != (leads_to == RegionState::Unknown) {
            row.failures = 0;
        }
        row.successes = 0;
        row.failures = row.failures.saturating_add(1);
        if row.failures == 1 {
            row.streak_began = Some(sight.started_at);
        }
        row.reason.clone_from(&sight.reason);
        row.message.clone_from(&sight.message);
        if row.failures >= self.thresholds.fail_after && row.state != leads_to {
            row.state = leads_to;
            row.since = row.streak_began;
        }
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
            RegionState::Up => return None,
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
