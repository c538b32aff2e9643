//! An acknowledged result is never lost, and is counted once.

use super::At;
use crate::control::database::ResultKey;
use crate::control::note::Seen;
use crate::world::cast::AgentIndex;
use hyperverge_agent_core::Lane;
use hyperverge_protocol::wire::ResultBatch;
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// See the module's head.
#[derive(Debug, Default)]
pub(super) struct Results {
    /// Every row that was stored while it could be dated.
    stored: BTreeSet<ResultKey>,
    /// Rows that were refused in each batch that was committed.
    committed: BTreeMap<(AgentIndex, Lane, u64), u32>,
    /// Agents that were lost: what they see after others took their place is refused.
    lost: BTreeSet<AgentIndex>,
}

impl Results {
    pub(super) fn stored(&mut self, at: &At<'_>, seen: &Seen) -> Option<String> {
        if !seen.dated {
            return None;
        }
        let (burst, index) = seen.burst.unwrap_or_default();
        let key = (seen.monitor, seen.region, seen.revision, seen.slot, burst, index);
        let again = !self.stored.insert(key);
        let name = at.cast.monitors[seen.monitor].name();
        again.then(|| format!("slot {} of {name} is counted twice", seen.slot))
    }

    /// Others take an agent's place.
    pub(super) fn lost(&mut self, agent: AgentIndex) {
        self.lost.insert(agent);
    }

    /// A batch is stored. Agents report what they were asked, so while no clock is set
    /// and nobody took their place, nothing of it is refused.
    pub(super) fn committed(
        &mut self,
        at: &At<'_>,
        (agent, lane, number): (AgentIndex, Lane, u64),
        refused: u32,
        clock_is_set: bool,
    ) -> Option<String> {
        self.committed.insert((agent, lane, number), refused);
        let name = &at.cast.agents[agent].name;
        (refused > 0 && !clock_is_set && !self.lost.contains(&agent))
            .then(|| format!("{refused} rows of batch {number} of {name} are refused"))
    }

    /// What is missing of a batch of which its agent now forgets everything.
    pub(super) fn acknowledged(
        &self,
        at: &At<'_>,
        agent: AgentIndex,
        lane: Lane,
        batch: &ResultBatch,
    ) -> Option<String> {
        let (name, number) = (&at.cast.agents[agent].name, batch.number);
        let Some(refused) = self.committed.get(&(agent, lane, number)) else {
            return Some(format!("batch {number} of {name} is acknowledged and not stored"));
        };
        if batch.undated {
            return None;
        }
        let region = at.cast.agents[agent].region;
        let is_missing = |row: &&hyperverge_protocol::wire::ResultRow| {
            let id = Uuid::from_slice(&row.monitor_id).unwrap_or_default();
            let Some(monitor) = at.cast.monitor_by_id.get(&id) else { return false };
            let burst = Uuid::from_slice(&row.burst_id).map_or(0, |id| id.as_u128());
            let revision = row.revision.cast_signed();
            !self.stored.contains(&(*monitor, region, revision, row.slot, burst, row.burst_index))
        };
        let missing = batch.rows.iter().filter(is_missing).count();
        (missing > *refused as usize).then(|| {
            format!("batch {number} of {name} is acknowledged and {missing} rows are lost")
        })
    }
}
