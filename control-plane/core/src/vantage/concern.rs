//! What of an input concerns one subject: the evidence of its incident.
//!
//! Where all of it fits it is stored as it is. Otherwise what the subject fails comes
//! first, then what it sees well, the newest first, then what others look at: the
//! comparison as a whole comes out the same, and only its counts are smaller.

use super::{Agent, Input, Look, Watch};
use crate::incident::SubjectKind;
use std::cmp::Reverse;
use std::collections::BTreeSet;

impl Input {
    /// Whether the agent, or an agent of the region, is enrolled.
    pub fn takes_part(&self, subject: SubjectKind, id: &str) -> bool {
        self.agents.iter().any(|agent| is_of(agent, subject, id))
    }

    /// The part of at most `limit` watches that concerns `id`, and how many it leaves out.
    pub fn about(&self, subject: SubjectKind, id: &str, limit: usize) -> (Self, usize) {
        let is_it = |agent: &&Agent| is_of(agent, subject, id);
        let own: BTreeSet<&str> =
            self.agents.iter().filter(is_it).map(|agent| agent.id.as_str()).collect();
        let regions: BTreeSet<&str> =
            self.agents.iter().filter(is_it).map(|agent| agent.region_id.as_str()).collect();
        let mut watches: Vec<&Watch> = self.watches.iter().collect();
        // What nobody is compared by says nothing.
        watches.retain(|watch| !watch.seats.is_empty());
        if watches.len() > limit {
            watches.sort_by_key(|watch| order(watch, &own));
        }
        let left_out = watches.len().saturating_sub(limit);
        watches.truncate(limit);
        let looks = watches.iter().flat_map(|watch| &watch.seats);
        let witnesses: BTreeSet<&str> = looks.map(|look| look.agent.as_str()).collect();
        let concerned = |agent: &&Agent| {
            regions.contains(agent.region_id.as_str()) || witnesses.contains(agent.id.as_str())
        };
        let part = Self {
            agents: self.agents.iter().filter(concerned).cloned().collect(),
            watches: watches.into_iter().cloned().collect(),
            open: self.open.clone(),
        };
        (part, left_out)
    }
}

pub(super) fn is_of(agent: &Agent, subject: SubjectKind, id: &str) -> bool {
    match subject {
        SubjectKind::Region => agent.region_id == id,
        SubjectKind::Agent | SubjectKind::Monitor => agent.id == id,
    }
}

/// What the subject fails, what it sees well, the rest; the newest first.
fn order(watch: &Watch, own: &BTreeSet<&str>) -> (u8, Reverse<Option<i64>>) {
    let looks = || watch.seats.iter().filter(|look: &&Look| own.contains(look.agent.as_str()));
    let rank = match looks().next() {
        Some(_) if looks().any(|look| look.failing_since.is_some()) => 0,
        Some(_) => 1,
        None => 2,
    };
    (rank, Reverse(looks().map(|look| look.at).max()))
}
