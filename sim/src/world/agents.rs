//! What happens to agents, and what they do.

use super::link::{Links, Way};
use super::{Connection, Event, World};
use crate::agent::{Action, Down, Up};
use crate::reference::At;
use crate::world::cast::AgentIndex;
use hyperverge_protocol::backoff::Backoff;
use std::time::Duration;

/// As the product reconnects.
const BACKOFF: Backoff =
    Backoff { first: Duration::from_millis(200), cap: Duration::from_secs(15) };
/// How long an address may take to answer a handshake, ms.
const CONNECT_TIMEOUT_MS: i64 = 5_000;

impl World {
    pub(super) fn agent_event(&mut self, event: Event) {
        let (agent, epoch) = match &event {
            Event::Wake { agent, epoch }
            | Event::Answered { agent, epoch, .. }
            | Event::Connect { agent, epoch }
            | Event::Connected { agent, epoch, .. } => (*agent, Some(*epoch)),
            Event::Down { connection, .. } => match self.connection(*connection) {
                Some(connection) => (connection.agent, None),
                None => return,
            },
            _ => return,
        };
        let at = &self.agents[agent];
        if epoch.is_some_and(|epoch| epoch != at.epoch) || at.process.is_none() {
            return;
        }
        if let Some(until) = at.asleep_until.filter(|until| self.now < *until) {
            if let (Event::Wake { .. }, Some(process)) = (&event, &mut self.agents[agent].process) {
                process.wake_at = Some(until);
            }
            self.queue.push(until, event);
            return;
        }
        match event {
            Event::Wake { .. } => self.wake(agent),
            Event::Answered { ticket, check, answer, .. } => {
                let done =
                    self.agents[agent].answered(&self.cast, ticket, &check, &answer, self.now);
                self.moved(agent, done);
            }
            Event::Connect { .. } => self.connect(agent),
            Event::Connected { connection, .. } => self.connected(agent, connection),
            Event::Down { connection, message } => self.received(agent, connection, &message),
            _ => {}
        }
    }

    fn wake(&mut self, agent: AgentIndex) {
        let process = self.agents[agent].process.as_mut();
        let Some(process) = process.filter(|process| process.wake_at == Some(self.now)) else {
            return;
        };
        process.wake_at = None;
        let done = self.agents[agent].wake(&self.cast, self.now);
        self.moved(agent, done);
    }

    fn received(&mut self, agent: AgentIndex, connection: u64, message: &Down) {
        let current = self.agents[agent].process.as_ref().and_then(|process| process.connection);
        if current == Some(connection) {
            let done = self.agents[agent].received(&self.cast, message, self.now);
            self.moved(agent, done);
        }
    }

    fn connected(&mut self, agent: AgentIndex, connection: u64) {
        let done = self.agents[agent].connected(&self.cast, connection, self.now);
        self.moved(agent, done);
    }

    /// Does what an agent decided, and sees that it is woken again.
    fn moved(&mut self, agent: AgentIndex, (actions, wake): (Vec<Action>, Option<i64>)) {
        self.act(agent, actions);
        let epoch = self.agents[agent].epoch;
        let Some(process) = self.agents[agent].process.as_mut() else { return };
        let Some(wake) = wake else { return };
        if process.wake_at.is_none_or(|at| wake < at || at <= self.now) {
            process.wake_at = Some(wake);
            self.queue.push(wake, Event::Wake { agent, epoch });
        }
    }

    pub(super) fn act(&mut self, agent: AgentIndex, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Send(message) => self.send_up(agent, message),
                Action::Probe { ticket, due } => {
                    let answer = self.answer(due.monitor, agent);
                    self.counts.burst_checks += u64::from(due.burst.is_some());
                    let epoch = self.agents[agent].epoch;
                    let at = self.now + answer.took.max(1);
                    self.queue
                        .push(at, Event::Answered { agent, epoch, ticket, check: due, answer });
                }
                Action::Connect { after } => self.connect_after(agent, after),
                Action::Close => self.connected[agent] = false,
                Action::Acknowledged { lane, batch } => {
                    let at = At {
                        cast: &self.cast,
                        truth: &self.truth,
                        control: &self.control,
                        now: self.now,
                    };
                    self.reference.acknowledged(&at, agent, lane, &batch);
                }
            }
        }
    }

    fn send_up(&mut self, agent: AgentIndex, message: Up) {
        let process = self.agents[agent].process.as_ref();
        let Some(connection) = process.and_then(|process| process.connection) else { return };
        let at = self.links.arrival(&self.cast, &self.truth, agent, Way::Up, self.now);
        if let Some(at) = at {
            self.queue.push(at, Event::Up { connection, message });
        }
    }

    pub(super) fn send_down(&mut self, connection: u64, message: Down) {
        let Some(to) = self.connection(connection) else { return };
        let at = self.links.arrival(&self.cast, &self.truth, to.agent, Way::Down, self.now);
        if let Some(at) = at {
            self.queue.push(at, Event::Down { connection, message });
        }
    }

    /// Below 0: after as long as the backoff says.
    fn connect_after(&mut self, agent: AgentIndex, after: i64) {
        let epoch = self.agents[agent].epoch;
        let Some(process) = self.agents[agent].process.as_mut() else { return };
        let wait = if after >= 0 {
            after
        } else {
            let wait = BACKOFF.delay(process.attempt, self.probes.generator());
            i64::try_from(wait.as_millis()).unwrap_or(i64::MAX)
        };
        process.attempt = process.attempt.saturating_add(1);
        self.queue.push(self.now + wait.max(1), Event::Connect { agent, epoch });
    }

    fn connect(&mut self, agent: AgentIndex) {
        let epoch = self.agents[agent].epoch;
        self.counts.connects += 1;
        let cut = Links::cut_until(&self.truth, agent, self.now).is_some();
        let replica = if cut { None } else { self.control.pick(self.now) };
        let Some(replica) = replica else {
            self.connect_after(agent, -1);
            let Some(process) = self.agents[agent].process.as_mut() else { return };
            process.connection = None;
            // It notices only after the handshake's timeout.
            let late = self.now + CONNECT_TIMEOUT_MS;
            self.queue.push(late, Event::Wake { agent, epoch });
            return;
        };
        let connection = self.connections.len() as u64;
        let taken = Connection { agent, replica, epoch: self.control.replicas[replica].epoch };
        self.connections.push(taken);
        let up = self.links.arrival(&self.cast, &self.truth, agent, Way::Up, self.now);
        let down = self.links.arrival(&self.cast, &self.truth, agent, Way::Down, self.now);
        let trip = up.zip(down).map_or(CONNECT_TIMEOUT_MS, |(up, down)| up + down - 2 * self.now);
        self.queue.push(self.now + trip, Event::Connected { agent, epoch, connection });
    }
}
