//! What happens to the control plane, and what it does.

use super::{Event, World};
use crate::agent::{Down, Up};
use crate::control::ingest::Answer;
use crate::control::note::Note;
use crate::control::{Session, Task, Work};
use crate::world::cast::AgentIndex;
use hyperverge_agent_core::Lane;
use hyperverge_protocol::wire::{HeartbeatReply, LaneState, Welcome};

const HEARTBEAT_MS: u32 = 10_000;
const BACKLOG_CREDIT: u32 = 4;

impl World {
    pub(super) fn start_tasks(&mut self, replica: usize) {
        let epoch = self.control.replicas[replica].epoch;
        // Replicas do not tick together.
        let offset = 7 * i64::try_from(replica).unwrap_or(0);
        for task in Task::ALL {
            self.queue.push(self.now + 20 + offset, Event::Task { replica, epoch, task });
        }
    }

    pub(super) fn control_event(&mut self, event: Event) {
        let (replica, epoch) = match &event {
            Event::Up { connection, .. } => match self.connection(*connection) {
                Some(connection) => (connection.replica, connection.epoch),
                None => return,
            },
            Event::Task { replica, epoch, .. } | Event::Again { replica, epoch, .. } => {
                (*replica, *epoch)
            }
            Event::Commit(pending) => (pending.replica, pending.epoch),
            _ => return,
        };
        let at = &self.control.replicas[replica];
        if !at.up || at.epoch != epoch {
            if let Event::Up { connection, .. } = event
                && at.up
            {
                // A restarted process does not know the connection, and says so.
                self.send_down(connection, Down::Closed);
            } else if let Event::Commit(pending) = event {
                let notes = self.control.orphaned(*pending, self.now);
                self.note(notes);
            }
            return;
        }
        if let Some(until) = at.paused_until.filter(|until| self.now < *until) {
            self.queue.push(until, event);
            return;
        }
        match event {
            Event::Up { connection, message } => self.heard(replica, connection, message),
            Event::Task { task, .. } => {
                self.queue.push(self.now + task.period(), Event::Task { replica, epoch, task });
                self.round(replica, task);
            }
            Event::Again { work, attempt, .. } => self.begin_work(replica, work, attempt),
            Event::Commit(pending) => {
                self.counts.transactions += 1;
                let outcome = self.control.commit(*pending, self.now);
                if let Some((work, attempt, after)) = outcome.again {
                    // To wait for a lease, or until orders can be signed, is not to meet another.
                    let waits = matches!(work, Work::Lease(_) | Work::Sign);
                    self.counts.conflicts += u64::from(!waits);
                    let again = Event::Again { replica, epoch, work, attempt };
                    self.queue.push(self.now + after, again);
                }
                for (_, connection, answer) in outcome.answers {
                    let message = match answer {
                        Answer::Acknowledged(acknowledged) => Down::Acknowledged(acknowledged),
                        Answer::Refused(refusal) => Down::Refused(refusal),
                    };
                    self.send_down(connection, message);
                }
                if !outcome.unheard {
                    self.follow(replica, &outcome.notes);
                }
                self.note(outcome.notes);
                outcome.next.into_iter().for_each(|work| self.begin_work(replica, work, 1));
            }
            _ => {}
        }
    }

    /// Wakes whoever a commit gives work.
    fn follow(&mut self, replica: usize, notes: &[Note]) {
        let intents = notes.iter().any(|note| matches!(note, Note::Intent { outcome: None, .. }));
        if notes.iter().any(|it| matches!(it, Note::BurstAsked { .. })) {
            self.begin_work(replica, Work::Sign, 1);
        }
        if notes.iter().any(|it| matches!(it, Note::OrdersSigned)) {
            self.send_orders(replica);
        }
        let agents = notes.iter().any(|it| matches!(it, Note::AgentLost(_) | Note::AgentFound(_)));
        let sets = notes.iter().any(|it| matches!(it, Note::SetChanged(_)));
        if agents {
            self.hint(replica, Task::Planner);
        }
        if sets {
            self.hint(replica, Task::Rounds);
        }
        if intents {
            self.hint(replica, Task::Correlator);
        }
    }

    fn hint(&mut self, replica: usize, task: Task) {
        let works = self.control.round(replica, task, self.now);
        works.into_iter().for_each(|work| self.begin_work(replica, work, 1));
        if task == Task::Rounds {
            self.send_sets(replica);
            self.send_orders(replica);
        }
    }

    /// Sends orders of bursts that sessions of a replica were not sent yet.
    fn send_orders(&mut self, replica: usize) {
        if self.control.is_reachable(self.now) {
            let orders = self.control.new_orders(&self.cast, replica, self.now);
            let send = |(connection, order)| self.send_down(connection, Down::Order(order));
            orders.into_iter().for_each(send);
        }
    }

    fn round(&mut self, replica: usize, task: Task) {
        if task == Task::Rounds {
            let silent: Vec<AgentIndex> = self.control.replicas[replica]
                .sessions
                .iter()
                .filter(|(_, session)| self.now - session.heard_at > super::link::IDLE_MS)
                .map(|(agent, _)| *agent)
                .collect();
            for agent in silent {
                self.control.replicas[replica].sessions.remove(&agent);
                self.connected[agent] = self.has_session(agent);
            }
        }
        self.hint(replica, task);
    }

    fn has_session(&self, agent: AgentIndex) -> bool {
        self.control.replicas.iter().any(|replica| replica.sessions.contains_key(&agent))
    }

    fn begin_work(&mut self, replica: usize, work: Work, attempt: u32) {
        let pending = self.control.begin(&self.cast, replica, work, attempt, self.now);
        self.queue.push(self.now + pending.takes, Event::Commit(Box::new(pending)));
    }

    /// A message of an agent.
    fn heard(&mut self, replica: usize, connection: u64, message: Up) {
        let Some(from) = self.connection(connection) else { return };
        let agent = from.agent;
        if let Up::Hello { boot_ms, set_version } = message {
            return self.welcome(replica, connection, agent, boot_ms, set_version);
        }
        let session = self.control.replicas[replica].sessions.get_mut(&agent);
        let Some(session) = session.filter(|it| it.connection == connection) else { return };
        session.heard_at = self.now;
        match message {
            Up::Hello { .. } => {}
            Up::Heartbeat { boot_ms } => {
                session.beat = true;
                let reply = HeartbeatReply {
                    boot_time_ms: boot_ms,
                    control_time_ms: self.control.clock(self.now),
                    backlog_credit: BACKLOG_CREDIT,
                };
                self.send_down(connection, Down::Reply(reply));
            }
            Up::Batch(batch) => {
                let waiting = Self::waiting(connection, agent, batch);
                if let Some(work) = self.control.submit(replica, waiting) {
                    self.begin_work(replica, work, 1);
                }
            }
        }
    }

    fn welcome(
        &mut self,
        replica: usize,
        connection: u64,
        agent: AgentIndex,
        boot_ms: i64,
        set_version: i64,
    ) {
        if !self.control.is_reachable(self.now) {
            return self.send_down(connection, Down::Closed);
        }
        // One session for an agent: the newest.
        for other in &mut self.control.replicas {
            other.sessions.remove(&agent);
        }
        let session = Session {
            connection,
            set_version,
            beat: true,
            heard_at: self.now,
            ..Session::default()
        };
        self.control.replicas[replica].sessions.insert(agent, session);
        self.connected[agent] = true;
        let lanes = Lane::ALL.map(|lane| LaneState {
            lane: lane.to_wire().into(),
            next_number: self.control.db.lanes.get(&(agent, lane)).copied().unwrap_or(1),
            ..LaneState::default()
        });
        let welcome = Welcome {
            control_time_ms: self.control.clock(self.now),
            boot_time_ms: boot_ms,
            lanes: lanes.into(),
            region: self.cast.regions[self.cast.agents[agent].region].name.clone(),
            heartbeat_interval_ms: HEARTBEAT_MS,
            ..Welcome::default()
        };
        self.send_down(connection, Down::Welcome(welcome));
        self.send_sets(replica);
    }

    /// Sends what is newer than what the sessions of a replica have.
    fn send_sets(&mut self, replica: usize) {
        if !self.control.is_reachable(self.now) {
            return;
        }
        let mut newer = Vec::new();
        for (agent, session) in &mut self.control.replicas[replica].sessions {
            let Some(set) = self.control.db.sets.get(agent) else { continue };
            if set.version > session.set_version {
                session.set_version = set.version;
                newer.push((session.connection, set.clone()));
            }
        }
        newer.into_iter().for_each(|(connection, set)| self.send_down(connection, Down::Set(set)));
    }
}
