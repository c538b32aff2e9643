//! What is stored of one monitor, decided upon again.
//!
//! A [`History`] is what the store tells of a monitor over a time: its
//! specifications, who was to look, and what arrived when. A [`Replay`] lets it
//! happen once more, moment by moment, through the same [`Track`], [`view`] and
//! [`evaluate`] that decided then. `explain` asks it how things stood at a time,
//! `backtest` how another policy would have decided.
//!
//! What was never stored cannot be replayed: whether we were listening, and
//! bursts that nobody asked for.
//!
//! [`Track`]: crate::correlation::Track
//! [`view`]: crate::correlation::view
//! [`evaluate`]: crate::correlation::evaluate

mod replay;

use crate::assignment::Slots;
use crate::correlation::Step;
use hyperverge_protocol::monitor::MonitorSpec;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use replay::{Asked, Replay};

/// What is stored of one monitor.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// In the order of their numbers.
    pub revisions: Vec<Revision>,
    /// Every region the organisation has or had.
    pub regions: Vec<Place>,
    /// Who was to look, in the order of `assigned_at`.
    pub tenures: Vec<Tenure>,
    /// What the regions saw, in the order of `received_at`.
    pub arrivals: Vec<Arrival>,
    /// How far agents were known to be, besides what their own rows of this monitor tell.
    pub marks: Vec<Mark>,
    /// When an agent's votes did not count.
    pub discredits: Vec<Discredit>,
}

/// A specification the monitor had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revision {
    pub number: i64,
    pub spec: MonitorSpec,
    /// In force from here to the next.
    pub created_at: i64,
    /// The revision that ended the monitor.
    pub deleted: bool,
}

/// A region.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    pub id: Uuid,
    pub name: String,
    /// `["*"]` means regions that have this.
    pub first_agent_at: Option<i64>,
    pub retired_at: Option<i64>,
}

impl Place {
    /// Whether `["*"]` meant it at `now`.
    fn is_known(&self, now: i64) -> bool {
        self.first_agent_at.is_some_and(|at| at <= now) && self.retired_at.is_none_or(|at| at > now)
    }
}

/// Who was to look from a region, and for how long.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tenure {
    pub region_id: Uuid,
    pub agent_id: String,
    pub revision: i64,
    pub first_slot: i64,
    pub slots: Slots,
    pub assigned_at: i64,
    pub ended_at: Option<i64>,
    pub predecessor_through: Option<i64>,
}

impl Tenure {
    fn holds(&self, now: i64) -> bool {
        self.assigned_at <= now && self.ended_at.is_none_or(|at| at > now)
    }
}

/// One thing a region said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arrival {
    /// When it was stored. What one transaction stored has the same time.
    pub received_at: i64,
    pub region_id: Uuid,
    pub revision: i64,
    pub step: Step,
    /// How far its agent was complete with the batch that brought it.
    pub through: Through,
}

/// How far an agent was complete with a batch, as far as that is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Through {
    /// The batch said so.
    Said(i64),
    /// The batch did not say.
    Unsaid,
    /// What the batch said is not stored any more: at least through its own slots.
    Forgotten,
}

/// An agent was complete through a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    pub agent_id: String,
    /// When it said so.
    pub received_at: i64,
    pub through: i64,
}

/// An agent's votes did not count for a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Discredit {
    pub agent_id: String,
    pub from: i64,
    pub until: Option<i64>,
}

impl Discredit {
    /// Whether it ended after `since` and by `now`.
    fn ended(&self, since: i64, now: i64) -> bool {
        self.until.is_some_and(|until| since < until && until <= now)
    }
}

impl History {
    /// The specification in force at `now`; `None` before the first and after the end.
    pub fn in_force(&self, now: i64) -> Option<&Revision> {
        let newest = self.revisions.iter().rfind(|revision| revision.created_at <= now);
        newest.filter(|revision| !revision.deleted)
    }

    /// The regions there were at `now`, for `["*"]`.
    fn known(&self, now: i64) -> impl Iterator<Item = &str> {
        let known = self.regions.iter().filter(move |place| place.is_known(now));
        known.map(|place| place.name.as_str())
    }

    /// Who was to look from `region_id` at `now`.
    fn tenure(&self, region_id: Uuid, now: i64) -> Option<&Tenure> {
        self.tenures.iter().rfind(|tenure| tenure.region_id == region_id && tenure.holds(now))
    }

    fn is_discredited(&self, agent_id: &str, now: i64) -> bool {
        self.discredits.iter().any(|discredit| {
            discredit.agent_id == agent_id
                && discredit.from <= now
                && discredit.until.is_none_or(|until| until > now)
        })
    }

    /// Every time at which something else than an arrival changes who votes, in order.
    fn turns(&self) -> Vec<i64> {
        let mut turns: Vec<i64> = self.revisions.iter().map(|r| r.created_at).collect();
        for tenure in &self.tenures {
            turns.extend([Some(tenure.assigned_at), tenure.ended_at].into_iter().flatten());
        }
        for place in &self.regions {
            turns.extend([place.first_agent_at, place.retired_at].into_iter().flatten());
        }
        for discredit in &self.discredits {
            turns.extend([Some(discredit.from), discredit.until].into_iter().flatten());
        }
        turns.sort_unstable();
        turns.dedup();
        turns
    }
}
