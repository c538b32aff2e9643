//! What makes a process move: time, answers of targets, messages.

use super::process::Process;
use super::spool::SealOrder;
use super::{Action, Agent, AgentSet, Boot, Check, Disk, Down, Up};
use crate::world::cast::{Cast, MonitorIndex};
use crate::world::truth::Answer;
use bytes_of::row_of;
use hyperverge_agent_core::Lane;
use hyperverge_agent_core::limits::JUMP_MS;
use hyperverge_agent_core::missed::Missed;
use hyperverge_agent_core::schedule::{Assigned, Effect, Ticket};
use hyperverge_agent_core::session::Effect as Asked;
use std::sync::Arc;

mod bytes_of;

/// The clock's offset is written this often.
const PERSIST_EVERY_MS: i64 = 30_000;
/// A session that lived this long starts the backoff anew.
const SESSION_STABLE_MS: i64 = 30_000;
/// How long an agent may work from a set.
const LIFETIME_MS: i64 = 24 * 3_600_000;

/// Where a process runs.
struct Place<'a> {
    disk: &'a mut Disk,
    boot: Boot,
    cast: &'a Cast,
    now: i64,
    actions: Vec<Action>,
}

impl Agent {
    /// Time passes. Says when to come again.
    pub fn wake(&mut self, cast: &Cast, now: i64) -> (Vec<Action>, Option<i64>) {
        self.with(cast, now, |process, place| process.look(place))
    }

    /// A check is over.
    pub fn answered(
        &mut self,
        cast: &Cast,
        ticket: Ticket,
        check: &Check,
        answer: &Answer,
        now: i64,
    ) -> (Vec<Action>, Option<i64>) {
        self.with(cast, now, |process, place| {
            let at = process.now(place.boot, place.now);
            let row = row_of(cast, check, answer);
            let length = prost::Message::encoded_len(&row);
            process.batcher.handle_row(row, length, check.undated, at.boot_ms);
            if process.schedule.is_news(ticket, answer.outcome) {
                process.batcher.handle_news(at.boot_ms);
            }
            process.schedule.handle_finished(ticket, answer.outcome, at);
            process.look(place);
        })
    }

    /// A connection was made.
    pub fn connected(
        &mut self,
        cast: &Cast,
        connection: u64,
        now: i64,
    ) -> (Vec<Action>, Option<i64>) {
        self.with(cast, now, |process, place| {
            process.connection = Some(connection);
            process.established_ms = None;
            process.session.handle_connected(place.boot.clock(place.now));
            process.look(place);
        })
    }

    /// Something came over the link.
    pub fn received(
        &mut self,
        cast: &Cast,
        message: &Down,
        now: i64,
    ) -> (Vec<Action>, Option<i64>) {
        self.with(cast, now, |process, place| {
            process.receive(message, place);
            process.look(place);
        })
    }

    /// The connection is gone.
    pub fn disconnected(&mut self, cast: &Cast, now: i64) -> (Vec<Action>, Option<i64>) {
        self.with(cast, now, |process, place| {
            process.lose_connection(place);
            process.look(place);
        })
    }

    fn with(
        &mut self,
        cast: &Cast,
        now: i64,
        act: impl FnOnce(&mut Process, &mut Place<'_>),
    ) -> (Vec<Action>, Option<i64>) {
        let Some(process) = &mut self.process else { return (Vec::new(), None) };
        let mut place =
            Place { disk: &mut self.disk, boot: self.boot, cast, now, actions: Vec::new() };
        if !process.started {
            process.started = true;
            if let Some(set) = place.disk.set.clone() {
                process.apply(&set, &mut place);
            }
        }
        act(process, &mut place);
        let wake = process.next_wake(place.boot, now);
        (place.actions, Some(wake))
    }
}

impl Process {
    /// One turn of the engine's loop and of the link's.
    fn look(&mut self, place: &mut Place<'_>) {
        let at = self.now(place.boot, place.now);
        self.schedule.handle_timeout(at);
        self.drain(place);
        while self.schedule.is_held() {
            self.schedule.handle_turn(1_000);
            self.schedule.handle_timeout(at);
            self.drain(place);
        }
        self.seal_if_due(place);
        if at.boot_ms - self.persisted_ms >= PERSIST_EVERY_MS {
            self.persist(place);
        }
        self.session.handle_timeout(at.boot_ms);
        self.converse(place);
    }

    fn drain(&mut self, place: &mut Place<'_>) {
        let boot_ms = place.boot.clock(place.now);
        let dated = self.clock.is_dated();
        while let Some(effect) = self.schedule.poll_effect() {
            match effect {
                Effect::Start(due) => {
                    let started = self.clock.control_us(boot_ms * 1_000).unwrap_or(boot_ms * 1_000);
                    let check = Check {
                        monitor: due.check,
                        revision: due.revision,
                        slot: due.slot,
                        burst: due.burst,
                        due_ms: due.due_ms,
                        started_us: started,
                        undated: !dated,
                    };
                    place.actions.push(Action::Probe { ticket: due.ticket, due: check });
                }
                // Slots counted from a boot mean nothing to anybody else.
                Effect::Missed(missed) if dated => self.batcher.handle_missed(missed, boot_ms),
                Effect::Missed(_) => {}
            }
        }
    }

    fn seal_if_due(&mut self, place: &mut Place<'_>) {
        let at = self.now(place.boot, place.now);
        if at.boot_ms < self.batcher.next_seal_ms() {
            return;
        }
        let dated = self.clock.is_dated();
        let through = self.schedule.complete_through(at.control_ms).filter(|_| dated);
        let order = SealOrder {
            boot_id: place.boot.id,
            set_version: self.set_version,
            now_ms: dated.then_some(at.control_ms),
            established: self.session.is_established(),
        };
        let mut put_back: Vec<Missed> = Vec::new();
        let mut given_up = false;
        for mut draft in self.batcher.take(through, at.boot_ms) {
            // As the agent's spool does: what is given up is not said to be complete.
            if given_up {
                draft.complete_through_ms = None;
            }
            let (sealed, gaps) = place.disk.seal(draft, &order);
            put_back.extend(gaps);
            match sealed {
                Some((lane, number)) => self.session.handle_sealed(lane, number),
                None => given_up = true,
            }
        }
        put_back.into_iter().for_each(|missed| self.batcher.handle_missed(missed, at.boot_ms));
    }

    fn persist(&mut self, place: &mut Place<'_>) {
        let boot_ms = place.boot.clock(place.now);
        self.persisted_ms = boot_ms;
        place.disk.offset = self.clock.saved(place.boot.id, boot_ms * 1_000);
    }

    /// Does what the session decides.
    fn converse(&mut self, place: &mut Place<'_>) {
        let boot_ms = place.boot.clock(place.now);
        while let Some(asked) = self.session.poll_effect(boot_ms, true) {
            match asked {
                Asked::SendHello { boot_ms } => {
                    let set_version = self.set_version;
                    place.actions.push(Action::Send(Up::Hello { boot_ms, set_version }));
                }
                Asked::SendHeartbeat { boot_ms } => {
                    place.actions.push(Action::Send(Up::Heartbeat { boot_ms }));
                }
                Asked::SendBatch { lane, number } => {
                    match place.disk.batches.get(&(lane, number)) {
                        Some(batch) => place.actions.push(Action::Send(Up::Batch(batch.clone()))),
                        None => self.session.handle_lost(lane, number),
                    }
                }
                Asked::Sample { sent_boot_ms, control_ms } => {
                    self.sample(sent_boot_ms, control_ms, place)
                }
                Asked::Reconcile { live, backlog } => {
                    let fits = place.disk.reconcile(Lane::Live, live)
                        && place.disk.reconcile(Lane::Backlog, backlog);
                    if fits {
                        self.session.handle_reconciled(boot_ms);
                    }
                }
                Asked::Established { .. } => self.established_ms = Some(boot_ms),
                Asked::Acknowledged { lane, number, .. } => {
                    let batch = place.disk.acknowledged(lane, number);
                    place.actions.extend(batch.map(|batch| Action::Acknowledged { lane, batch }));
                }
                Asked::BatchRefused { .. } => {}
                Asked::Disconnect(_) => {
                    place.actions.push(Action::Close);
                    self.lose_connection(place);
                }
            }
        }
    }

    fn lose_connection(&mut self, place: &mut Place<'_>) {
        let boot_ms = place.boot.clock(place.now);
        self.connection = None;
        self.session.handle_disconnected();
        if self.established_ms.take().is_some_and(|since| boot_ms - since >= SESSION_STABLE_MS) {
            self.attempt = 0;
        }
        place.actions.push(Action::Connect { after: -1 });
    }

    fn receive(&mut self, message: &Down, place: &mut Place<'_>) {
        let boot_ms = place.boot.clock(place.now);
        match message {
            Down::Welcome(welcome) => self.session.handle_welcome(welcome),
            Down::Reply(reply) => self.session.handle_heartbeat_reply(reply),
            Down::Acknowledged(acknowledged) => self.session.handle_acknowledged(acknowledged),
            Down::Refused(refusal) => self.session.handle_refusal(refusal, boot_ms),
            Down::Set(set) => {
                if set.version > self.set_version {
                    place.disk.set = Some(set.clone());
                    self.set_version = set.version;
                    self.apply(set, place);
                }
            }
            // What is not taken is confirmed by the ordinary slots.
            Down::Order(burst) => {
                let _refused = self.schedule.handle_burst(*burst, self.now(place.boot, place.now));
            }
            Down::Closed => self.lose_connection(place),
        }
    }

    fn sample(&mut self, sent_boot_ms: i64, control_ms: i64, place: &mut Place<'_>) {
        let received = place.boot.clock(place.now);
        let before = self.clock.offset_us();
        self.clock.handle_sample(sent_boot_ms * 1_000, received * 1_000, control_ms);
        let Some(after) = self.clock.offset_us() else { return };
        match before {
            None => {
                self.schedule.reset(self.resume.clone());
                if let Some(set) = place.disk.set.clone() {
                    self.apply(&set, place);
                }
                self.persist(place);
            }
            Some(before) if before.abs_diff(after) > JUMP_MS.unsigned_abs() * 1_000 => {
                self.persist(place);
            }
            Some(_) => {}
        }
    }

    /// Puts a set in force.
    fn apply(&mut self, set: &Arc<AgentSet>, place: &mut Place<'_>) {
        let dated = self.clock.is_dated();
        let at = self.now(place.boot, place.now);
        let assigned: Vec<Assigned<MonitorIndex>> = set
            .places
            .iter()
            .map(|it| {
                let monitor = &place.cast.monitors[it.monitor];
                let phase = it.anchor_ms.rem_euclid(it.interval_ms);
                let (anchor_ms, first_slot) = if dated {
                    (it.anchor_ms, it.first_slot)
                } else {
                    (phase, (at.boot_ms - phase).div_euclid(it.interval_ms) + 1)
                };
                Assigned {
                    monitor: monitor.id,
                    revision: it.revision.unsigned_abs(),
                    anchor_ms,
                    interval_ms: it.interval_ms,
                    first_slot,
                    target: monitor.monitor.host.as_str().into(),
                    check: it.monitor,
                }
            })
            .collect();
        let issued = if dated { set.issued_at } else { i64::MIN };
        self.schedule.replace(assigned, issued, at.boot_ms + LIFETIME_MS, at);
        self.drain(place);
    }
}
