//! It all ends once faults stop.

use super::At;
use crate::world::cast::AgentIndex;
use hyperverge_control_core::correlation::Verdict;

/// Batches that wait at any time, without anything being wrong.
const ON_THEIR_WAY: usize = 6;

/// What is not at rest though it should be.
pub(super) fn is_settled(at: &At<'_>, waiting: &[(AgentIndex, usize)]) -> Vec<String> {
    let mut broken = Vec::new();
    let db = &at.control.db;
    for (subject, id) in db.open.iter() {
        let name = crate::report::subject_name(at.cast, *subject);
        broken.push(format!("#{id} of {name} is still open"));
    }
    for ((incident, event), intent) in db.intents.iter().filter(|(_, it)| it.outcome.is_none()) {
        broken.push(format!("#{incident} still waits to tell event {event} ({})", intent.kind));
    }
    for (monitor, state) in db.monitor_states.iter().filter(|(_, it)| it.verdict != Verdict::Up) {
        let name = at.cast.monitors[*monitor].name();
        broken.push(format!("{name} is {} though nothing hurts", state.verdict));
    }
    for (agent, _) in db.lost.iter() {
        broken.push(format!("{} is still taken as lost", at.cast.agents[*agent].name));
    }
    for (agent, _) in db.discredited.iter() {
        broken.push(format!("{} has not got its vote back", at.cast.agents[*agent].name));
    }
    for (agent, batches) in waiting.iter().filter(|(_, batches)| *batches > ON_THEIR_WAY) {
        let name = &at.cast.agents[*agent].name;
        broken.push(format!("{name} still holds {batches} batches that are not acknowledged"));
    }
    broken
}
