//! The sessions of this gateway: one for each agent, the newest.
//!
//! A session is told things through its [`Line`]: that it has to end, that a
//! newer set is stored, or which orders of bursts are open. It says things
//! through the registry: heartbeats, accepted sets and sent orders, which [`super::rounds`] writes together once a second.

use crate::store::agents::AgentState;
use crate::store::bursts::OpenOrder;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;
use uuid::Uuid;

/// Why the gateway ends a session.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Ending {
    /// Here or on another replica.
    #[error("this key has a newer session")]
    Superseded,
    #[error("this agent is {}", .0.as_str())]
    Barred(AgentState),
}

/// What a session listens to.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) ending: watch::Receiver<Option<Ending>>,
    /// The version of the newest set that is stored.
    pub(super) newest_set: watch::Receiver<i64>,
    /// The agent's open orders of bursts, sent or not.
    pub(super) bursts: watch::Receiver<Vec<OpenOrder>>,
}

/// What a session has to report, the newest of each.
#[derive(Debug, Clone, Default)]
pub(super) struct Report {
    /// Wall-clock skew that the newest heartbeat showed.
    pub(super) heartbeat_skew_ms: Option<i64>,
    pub(super) accepted_set: Option<i64>,
    /// Bursts whose orders were sent.
    pub(super) sent_bursts: Vec<Uuid>,
}

impl Report {
    fn is_empty(&self) -> bool {
        self.heartbeat_skew_ms.is_none()
            && self.accepted_set.is_none()
            && self.sent_bursts.is_empty()
    }
}

/// A session that has something to report.
#[derive(Debug)]
pub(super) struct Reporter {
    pub(super) agent_id: String,
    pub(super) organisation_id: Uuid,
    pub(super) session_id: Uuid,
    pub(super) report: Report,
}

#[derive(Debug)]
struct Entry {
    organisation_id: Uuid,
    session_id: Uuid,
    ending: watch::Sender<Option<Ending>>,
    newest_set: watch::Sender<i64>,
    bursts: watch::Sender<Vec<OpenOrder>>,
    report: Report,
}

#[derive(Debug, Default)]
pub(super) struct Registry(Mutex<BTreeMap<String, Entry>>);

impl Registry {
    /// Makes this the agent's session here; an older one is told to end.
    pub(super) fn join(&self, agent_id: &str, organisation_id: Uuid, session_id: Uuid) -> Line {
        let (ending, ending_line) = watch::channel(None);
        let (newest_set, newest_set_line) = watch::channel(0);
        let report = Report::default();
        let (bursts, bursts_line) = watch::channel(Vec::new());
        let entry = Entry { organisation_id, session_id, ending, newest_set, bursts, report };
        if let Some(older) = self.entries().insert(agent_id.to_owned(), entry) {
            older.ending.send_replace(Some(Ending::Superseded));
        }
        Line { ending: ending_line, newest_set: newest_set_line, bursts: bursts_line }
    }

    /// The session is over.
    pub(super) fn leave(&self, agent_id: &str, session_id: Uuid) {
        let mut entries = self.entries();
        if entries.get(agent_id).is_some_and(|entry| entry.session_id == session_id) {
            entries.remove(agent_id);
        }
    }

    /// Notes something to report, unless a newer session has taken over.
    pub(super) fn note(&self, agent_id: &str, session_id: Uuid, note: impl FnOnce(&mut Report)) {
        let mut entries = self.entries();
        if let Some(entry) = entries.get_mut(agent_id).filter(|e| e.session_id == session_id) {
            note(&mut entry.report);
        }
    }

    /// Takes what there is to report.
    pub(super) fn take_reports(&self) -> Vec<Reporter> {
        let mut reporters = Vec::new();
        for (agent_id, entry) in self.entries().iter_mut() {
            let report = std::mem::take(&mut entry.report);
            if !report.is_empty() {
                reporters.push(Reporter {
                    agent_id: agent_id.clone(),
                    organisation_id: entry.organisation_id,
                    session_id: entry.session_id,
                    report,
                });
            }
        }
        reporters
    }

    /// Puts reports back that could not be written, unless newer ones came.
    pub(super) fn return_reports(&self, reporters: Vec<Reporter>) {
        for Reporter { agent_id, session_id, report, .. } in reporters {
            self.note(&agent_id, session_id, |newer| {
                newer.heartbeat_skew_ms = newer.heartbeat_skew_ms.or(report.heartbeat_skew_ms);
                newer.accepted_set = newer.accepted_set.or(report.accepted_set);
                newer.sent_bursts.extend(report.sent_bursts);
            });
        }
    }

    /// The agents with a session here.
    pub(super) fn agent_ids(&self) -> Vec<String> {
        self.entries().keys().cloned().collect()
    }

    /// How many sessions there are.
    pub(super) fn len(&self) -> usize {
        self.entries().len()
    }

    /// Tells the agent's session to end; with `session_id`, only that one.
    pub(super) fn end(&self, agent_id: &str, session_id: Option<Uuid>, why: Ending) {
        let entries = self.entries();
        let entry = entries.get(agent_id);
        if let Some(entry) = entry.filter(|e| session_id.is_none_or(|id| id == e.session_id)) {
            entry.ending.send_if_modified(|ending| {
                let first = ending.is_none();
                ending.get_or_insert(why);
                first
            });
        }
    }

    /// Tells the agent's session which set is the newest.
    pub(super) fn announce_set(&self, agent_id: &str, version: i64) {
        if let Some(entry) = self.entries().get(agent_id) {
            entry.newest_set.send_if_modified(|known| {
                let newer = version > *known;
                *known = version.max(*known);
                newer
            });
        }
    }

    /// Tells each session which orders are open, by agent; none for who is not named.
    pub(super) fn announce_bursts(&self, mut orders: BTreeMap<String, Vec<OpenOrder>>) {
        for (agent_id, entry) in self.entries().iter() {
            let open = orders.remove(agent_id).unwrap_or_default();
            entry.bursts.send_if_modified(|known| {
                let changed = *known != open;
                *known = open;
                changed
            });
        }
    }

    fn entries(&self) -> MutexGuard<'_, BTreeMap<String, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_session_of_a_key_stays() {
        let registry = Registry::default();
        let organisation = crate::clock::new_id();
        let [first, second] = [crate::clock::new_id(), crate::clock::new_id()];
        let older = registry.join("a", organisation, first);
        let newer = registry.join("a", organisation, second);
        assert_eq!(*older.ending.borrow(), Some(Ending::Superseded));
        assert_eq!(*newer.ending.borrow(), None);
        registry.leave("a", first);
        registry.note("a", first, |report| report.accepted_set = Some(1));
        assert_eq!(registry.len(), 1);
        assert!(registry.take_reports().is_empty(), "the older one cannot speak for the newer");
        registry.leave("a", second);
        assert_eq!(registry.len(), 0);
    }

    #[test]
    fn what_could_not_be_written_is_kept_unless_newer_came() {
        let registry = Registry::default();
        let session = crate::clock::new_id();
        let _line = registry.join("a", crate::clock::new_id(), session);
        registry.note("a", session, |report| report.heartbeat_skew_ms = Some(5));
        registry.note("a", session, |report| report.accepted_set = Some(7));
        let taken = registry.take_reports();
        registry.note("a", session, |report| report.accepted_set = Some(8));
        registry.return_reports(taken);
        let report = registry.take_reports().remove(0).report;
        assert_eq!((report.heartbeat_skew_ms, report.accepted_set), (Some(5), Some(8)));
    }
}
