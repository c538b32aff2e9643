//! Between steps 6 and 7: what waits to be told, judged together.
//!
//! An incident's change leaves an intent ([`Waiting`]); when it is due, [`plan`]
//! looks at everything of the organisation that waits or hurts, and decides what
//! becomes one notice, what needs none, and what is held:
//!
//! - `stage.rs`: what one incident asks for now, and what holds it back: a quorum
//!   that is no longer fresh, a parent that is down, a silence, a window.
//! - `cause.rs`: what incidents that start together have in common. Those that
//!   share a cause are one group with one notice; who comes late joins it quietly.
//! - `parents.rs`: `depends_on`.
//! - `concern.rs`: what of it all is stored as one decision's evidence.
//!
//! A notice tells how things stand, so an opening takes later events with it, and a
//! resolution that overtook its own opening tells both. Everybody told of a
//! beginning is told of its end: a group ends with its last member, through the
//! incident that told its beginning.
//!
//! The caller commits a plan in one transaction under the correlator's lease:
//! groups, members, settled intents and deliveries together or not at all.

mod cause;
mod concern;
mod groups;
mod network;
mod parents;
mod stage;

use crate::correlation::{Scope, Verdict};
use crate::incident::SubjectKind;
use crate::notification::NoticeKind;
use crate::notification::hold::Hold;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

pub use cause::{Cause, CauseKind, shared};
pub use concern::{Company, Concerns, Reach};
pub use network::network_of;
pub use parents::{Parent, ParentState};
pub use stage::QUORUM_ENDED;

/// How soon what is held is looked at again at the latest, ms: a silence can be
/// ended early, a parent comes back.
pub const RECHECK_MS: i64 = 5_000;

/// Everything the decision depends on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    /// Incidents with waiting intents, and all open ones with a quorum.
    pub candidates: Vec<Candidate>,
    /// Open groups.
    pub groups: Vec<Group>,
    /// How many enabled monitors have each of these in common, where that is known.
    #[serde(default, with = "pairs")]
    pub population: BTreeMap<Cause, u32>,
}

/// An incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    pub incident_id: Uuid,
    pub subject: SubjectKind,
    /// The subject's name.
    pub name: String,
    /// The monitor's verdict now, not the incident's; of other subjects `unknown`.
    pub verdict: Verdict,
    pub scope: Scope,
    pub started_at: i64,
    /// It is over.
    pub resolved: bool,
    /// People were told of its beginning, with a quorum: by itself or by its group.
    pub paged: bool,
    /// Routes were told of it below the quorum.
    pub told_quietly: bool,
    /// A notice of its beginning went out through its own event, quietly or with a
    /// quorum: there are deliveries of it.
    #[serde(default)]
    pub told_alone: bool,
    /// Its group, while that is open.
    pub group: Option<Uuid>,
    /// In the order of events.
    pub waiting: Vec<Waiting>,
    pub traits: Traits,
    pub parents: Vec<Parent>,
    /// The monitor's interval, ms: how far apart two regions may notice the same.
    pub interval_ms: i64,
    /// How long after a parent's return it takes to know whether this one is well too, ms.
    pub recheck_ms: i64,
    /// The silence or window that holds it now.
    pub hold: Option<Hold>,
}

/// An intent that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    pub event_number: i64,
    pub kind: NoticeKind,
    pub due_at: i64,
    /// Only for routes that name such incidents.
    pub quiet: bool,
}

/// What an incident may have in common with others.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traits {
    /// The target's host, lower case.
    pub host: Option<String>,
    /// Addresses it resolved to.
    pub addresses: BTreeSet<String>,
    /// Their networks: /24 and /48.
    pub networks: BTreeSet<String>,
    /// SHA-256 of the leaf, only where the failure is about the certificate.
    pub certificate: Option<String>,
    /// Regions that see it down, only where others see it well.
    pub regions: BTreeSet<String>,
}

/// An open group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    pub id: Uuid,
    pub cause: Cause,
    /// The incident through which it is told.
    pub lead: Uuid,
    /// When its newest member began.
    pub newest_started_at: i64,
    /// The longest interval of a member, ms.
    pub interval_ms: i64,
    /// Its notice went only to routes that name quiet incidents.
    pub quiet: bool,
    /// People know that it hurts everywhere.
    pub told_global: bool,
    /// Members that were told, by themselves or with the group, and are not over. Those
    /// that are only listed, because they depend on others, are not among them.
    pub unresolved: u32,
}

/// What to do, all of it in one transaction.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    pub forms: Vec<Form>,
    pub joins: Vec<Join>,
    pub sends: Vec<Send>,
    /// Intents that need no notice of their own.
    pub folds: Vec<Fold>,
    /// Intents that wait on.
    pub holds: Vec<Holding>,
    /// Incidents that leave their group, because they are told by themselves after all.
    pub leaves: Vec<Uuid>,
    /// Groups that are over.
    pub closes: Vec<Uuid>,
}

impl Plan {
    /// Whether `form` is told through a lead that was told by itself before: nobody knows of
    /// the others yet.
    pub fn widens(&self, form: &Form) -> bool {
        !form.members.is_empty() && self.sends.iter().all(|send| send.incident_id != form.lead)
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self == &Self::default()
    }
}

/// A new group. Its lead is in [`Plan::sends`], or was told before by itself: then everybody
/// concerned is told through it that the group is more ([`Plan::widens`]).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Form {
    pub cause: Cause,
    pub lead: Uuid,
    /// Without the lead.
    pub members: Vec<Uuid>,
    /// Members whose own notice is held because they depend on one of the others.
    pub held: Vec<Uuid>,
    pub quiet: bool,
    /// One sentence for people.
    pub summary: String,
}

/// An incident that joins a group which was told already. Channels of it that were
/// not told of the group are told now, through the group's lead.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Join {
    pub incident_id: Uuid,
    pub group: GroupRef,
    /// Its intents, which this settles.
    pub events: Vec<i64>,
    /// It is only listed there: its own notice is held, because it depends on a member.
    pub held: bool,
}

/// A group that is there, or one of [`Plan::forms`] by its lead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GroupRef {
    Known(Uuid),
    LedBy(Uuid),
}

/// A notice to send now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Send {
    pub incident_id: Uuid,
    pub event_number: i64,
    pub kind: NoticeKind,
    /// The opening was never told: this notice tells it too.
    pub opening_included: bool,
    pub quiet: bool,
    /// It tells a whole group.
    pub group: Option<GroupRef>,
    /// Other intents of the incident that it settles.
    pub folded: Vec<i64>,
}

/// Intents of an incident that need no notice, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fold {
    pub incident_id: Uuid,
    pub events: Vec<i64>,
    pub why: String,
}

/// Intents of an incident that wait until then, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holding {
    pub incident_id: Uuid,
    pub events: Vec<i64>,
    pub until: i64,
    pub why: String,
}

/// Decides at `now`. Planning again after the plan was carried out plans nothing
/// until something else is due.
pub fn plan(input: &Input, now: i64) -> Plan {
    groups::Planner::new(input, now).run()
}

/// A map whose keys are no strings, as a list of pairs.
mod pairs {
    use super::Cause;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use std::collections::BTreeMap;

    pub(super) fn serialize<S: Serializer>(
        map: &BTreeMap<Cause, u32>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        map.iter().collect::<Vec<_>>().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<Cause, u32>, D::Error> {
        Ok(Vec::<(Cause, u32)>::deserialize(deserializer)?.into_iter().collect())
    }
}
