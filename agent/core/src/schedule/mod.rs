//! Step 3: which slot starts when.
//!
//! Slot k of an assignment is due at anchor + k × interval in control-plane
//! time. Every slot this agent owns is either started exactly once or reported
//! missed exactly once:
//!
//! - A slot may start until the next one is due; then it is missed. Nothing
//!   piles up: a monitor has at most one probe in flight and one slot waiting.
//! - A slot that cannot start at once (the monitor's last probe still runs, or
//!   there is no room for it, see `admission.rs`) waits in a line and keeps its
//!   place there even when a newer slot of the same monitor takes over: who was
//!   shed comes first next time, so under overload every monitor gets its turn.
//! - A slot found late (the host slept, the clock jumped, the process was away)
//!   waits in a queue of its own that is let go at a fixed pace: waking up is
//!   no storm, and a monitor of one check a day still gets its check.
//! - Replacing the set keeps the phase of every assignment that stays.
//! - What the control plane orders out of turn goes before slots, see `burst.rs`.
//!
//! Call [`Schedule::handle_timeout`] at [`Schedule::next_wakeup`], then drain
//! [`Schedule::poll_effect`]. Each such look is a turn: the next one is due only when
//! every check that was started got to run. If the schedule [is held](Schedule::is_held)
//! then, say before how long they had to wait for that ([`Schedule::handle_turn`]).
//! `now` may step either way; a slot is never run twice.

mod admission;
mod burst;
mod entry;
mod slot;
#[cfg(test)]
mod tests;

use crate::limits::{JUMP_MS, LATE_MS, LATE_PER_SECOND, SLOW_MS};
use crate::missed::{Missed, MissedReason};
pub use admission::Caps;
use admission::{Admission, Admits};
use burst::Bursts;
pub use burst::{Burst, BurstCheck, BurstRefusal};
pub use slot::{Assigned, Due, Effect, Now, Resume, Ticket};

use entry::{Entry, Queue, Waiting};
use hyperverge_protocol::outcome::Outcome;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque};
use std::sync::Arc;
use uuid::Uuid;

#[derive(Debug)]
struct Running {
    monitor: Uuid,
    revision: u64,
    slot: i64,
    due_ms: i64,
    /// It was started for this burst, and owns no slot.
    burst: Option<Uuid>,
    started_boot_ms: i64,
    /// It fills a place of the slow share.
    slow: bool,
    host: Arc<str>,
    /// Which of the targets that is, while the set still holds it.
    target: Option<usize>,
    /// Started before a [`Schedule::reset`]: its number means nothing any more.
    outdated: bool,
    /// Position of the monitor's entry, while the set still holds it.
    entry: Option<usize>,
}

/// See the module's head.
#[derive(Debug)]
pub struct Schedule<C> {
    entries: Vec<Entry<C>>,
    /// (due, entry) of the next slot of every entry.
    heap: BinaryHeap<Reverse<(i64, usize)>>,
    admission: Admission,
    late: VecDeque<usize>,
    /// When the late queue may let its next slot go.
    late_next_ms: i64,
    running: BTreeMap<Ticket, Running>,
    bursts: Bursts,
    /// A burst's check waits for nothing but the next turn.
    burst_held: bool,
    /// (due, ticket) of every slot that is due and neither finished nor missed.
    open: BTreeSet<(i64, Ticket)>,
    effects: VecDeque<Effect<C>>,
    resume: Resume,
    next_ticket: u64,
    last_look_ms: Option<i64>,
    /// Slots due up to here have been opened.
    frontier_ms: Option<i64>,
    complete_ms: Option<i64>,
    expires_boot_ms: i64,
    idle: bool,
    stopped: bool,
}

impl<C: Clone> Schedule<C> {
    /// An idle schedule.
    pub fn new(caps: Caps, resume: Resume) -> Self {
        Self {
            entries: Vec::new(),
            heap: BinaryHeap::new(),
            admission: Admission::new(caps),
            late: VecDeque::new(),
            late_next_ms: i64::MIN,
            running: BTreeMap::new(),
            bursts: Bursts::default(),
            burst_held: false,
            open: BTreeSet::new(),
            effects: VecDeque::new(),
            resume,
            next_ticket: 0,
            last_look_ms: None,
            frontier_ms: None,
            complete_ms: None,
            expires_boot_ms: i64::MIN,
            idle: true,
            stopped: false,
        }
    }

    /// Takes a new set, valid until `expires_boot_ms`. An assignment that stays
    /// (same revision, anchor and interval) keeps its place.
    pub fn replace(&mut self, set: Vec<Assigned<C>>, expires_boot_ms: i64, now: Now) {
        if self.stopped {
            return;
        }
        let was_idle = std::mem::replace(&mut self.idle, false);
        self.expires_boot_ms = expires_boot_ms;
        let mut old: BTreeMap<Uuid, Entry<C>> =
            self.entries.drain(..).map(|entry| (entry.assigned.monitor, entry)).collect();
        self.heap.clear();
        self.late.clear();
        let mut positions = BTreeMap::new();
        let mut targets: BTreeMap<Arc<str>, usize> = BTreeMap::new();
        for assigned in set {
            if positions.contains_key(&assigned.monitor) {
                continue;
            }
            let count = targets.len();
            let target = *targets.entry(assigned.target.clone()).or_insert(count);
            let mut entry = match old.remove(&assigned.monitor) {
                Some(entry) if entry.assigned.is_same_series(&assigned) => {
                    entry.renewed(assigned, target, was_idle)
                }
                Some(entry) => {
                    self.miss_waiting(&entry, MissedReason::Stopped);
                    Entry::fresh(assigned, target, &self.resume).never_before(&entry)
                }
                None => Entry::fresh(assigned, target, &self.resume),
            };
            entry.busy = false;
            let position = self.entries.len();
            positions.insert(entry.assigned.monitor, position);
            self.heap.push(Reverse((entry.next_due_ms(), position)));
            self.entries.push(entry);
        }
        for entry in old.into_values() {
            self.miss_waiting(&entry, MissedReason::Stopped);
        }
        self.admission.clear(targets.len());
        for running in self.running.values_mut() {
            running.entry = positions.get(&running.monitor).copied();
            if let Some(position) = running.entry {
                self.entries[position].busy = true;
            }
            running.target = targets.get(&running.host).copied();
            if let Some(target) = running.target {
                self.admission.adopt(target);
            }
        }
        let entries = &self.entries;
        self.bursts.renew(|monitor, revision| {
            let position = *positions.get(&monitor)?;
            (entries[position].assigned.revision == revision).then_some(position)
        });
        // Everybody keeps their place in the line.
        let mut line: Vec<usize> = (0..self.entries.len()).collect();
        line.sort_by_key(|position| self.entries[*position].place.unwrap_or(u64::MAX));
        line.into_iter().for_each(|position| self.enqueue(position));
        // Completeness for the old set promises nothing about the new one's slots.
        self.complete_ms = None;
        self.handle_timeout(now);
    }

    /// Opens every slot that is due, and starts what may start.
    pub fn handle_timeout(&mut self, now: Now) {
        let jumped = self.last_look_ms.is_some_and(|last| now.control_ms - last > JUMP_MS);
        self.last_look_ms = Some(now.control_ms);
        if now.boot_ms >= self.expires_boot_ms && !self.idle {
            self.go_idle();
        }
        if self.idle || self.stopped {
            return;
        }
        let reason = if jumped { MissedReason::Suspend } else { MissedReason::Overload };
        while let Some(&Reverse((due_ms, position))) = self.heap.peek() {
            if due_ms > now.control_ms {
                break;
            }
            self.heap.pop();
            self.open_slots(position, now.control_ms, reason);
        }
        self.frontier_ms = self.frontier_ms.max(Some(now.control_ms));
        self.admission.next_turn();
        self.release(now);
    }

    /// Takes an order of the control plane, whose signature was believed.
    pub fn handle_burst(&mut self, burst: Burst, now: Now) -> Result<(), BurstRefusal> {
        let holds = |entry: &Entry<C>| {
            (entry.assigned.monitor, entry.assigned.revision) == (burst.monitor, burst.revision)
        };
        let works = !self.idle && !self.stopped;
        let entry = self.entries.iter().position(holds).filter(|_| works);
        self.bursts.take(burst, entry, now.control_ms)?;
        self.release(now);
        Ok(())
    }

    /// While [`Self::is_held`]: how long the checks that were started had to wait
    /// until all of them got to run. Call [`Self::handle_timeout`] after it.
    pub fn handle_turn(&mut self, took_us: i64) {
        self.admission.note_turn(took_us);
    }

    /// Whether checks wait for nothing but the next turn.
    pub fn is_held(&self) -> bool {
        self.burst_held || self.admission.is_held()
    }

    /// Whether somebody waits for this outcome: it answers a burst, or is not what
    /// the monitor's last check was. Ask before [`Self::handle_finished`].
    pub fn is_news(&self, ticket: Ticket, outcome: Outcome) -> bool {
        self.running.get(&ticket).is_some_and(|running| {
            let entry = running.entry.and_then(|position| self.entries.get(position));
            running.burst.is_some() || entry.is_some_and(|e| e.failing == is_success(outcome))
        })
    }

    /// The row of a started check is in the batch being filled.
    pub fn handle_finished(&mut self, ticket: Ticket, outcome: Outcome, now: Now) {
        self.finish(ticket, is_success(outcome), now);
    }

    fn finish(&mut self, ticket: Ticket, succeeded: bool, now: Now) {
        let Some(running) = self.running.remove(&ticket) else { return };
        match running.burst {
            Some(burst) => self.bursts.ended(burst, succeeded, now.control_ms),
            None => {
                self.open.remove(&(running.due_ms, ticket));
            }
        }
        self.admission.ended(running.target, running.slow, &self.entries);
        if let Some(position) = running.entry {
            let entry = &mut self.entries[position];
            entry.busy = false;
            entry.slow = now.boot_ms.saturating_sub(running.started_boot_ms) >= SLOW_MS;
            entry.failing = !succeeded;
            self.enqueue(position);
        }
        if !self.stopped {
            self.release(now);
        }
    }

    /// A started check will never have a row: its slot is missed, if it has one.
    pub fn handle_abandoned(&mut self, ticket: Ticket, reason: MissedReason, now: Now) {
        let owns_slot = |running: &&Running| !running.outdated && running.burst.is_none();
        if let Some(running) = self.running.get(&ticket).filter(owns_slot) {
            let missed = Missed::one(running.monitor, running.revision, running.slot, reason);
            self.effects.push_back(Effect::Missed(missed));
        }
        self.finish(ticket, false, now);
    }

    /// Starts nothing more. What runs may still finish.
    pub fn stop(&mut self) {
        if !self.stopped {
            self.go_idle();
            self.stopped = true;
        }
    }

    /// Forgets every assignment without a word about its slots: for the moment
    /// when the clock that dated them is replaced by another. What runs may
    /// still finish.
    pub fn reset(&mut self, resume: Resume) {
        let running = std::mem::take(&mut self.running);
        let mut bursts = std::mem::take(&mut self.bursts);
        bursts.end_all();
        let ticket = self.next_ticket;
        let stopped = self.stopped;
        *self = Self::new(self.admission.caps(), resume);
        self.next_ticket = ticket;
        self.stopped = stopped;
        self.running = running;
        self.bursts = bursts;
        for running in self.running.values_mut() {
            running.entry = None;
            running.target = None;
            running.outdated = true;
            self.admission.resume(running.slow);
        }
    }

    /// The next thing to do.
    pub fn poll_effect(&mut self) -> Option<Effect<C>> {
        self.effects.pop_front()
    }

    /// When to call [`Self::handle_timeout`] next, control-plane time.
    pub fn next_wakeup(&self) -> Option<i64> {
        if self.idle || self.stopped {
            return None;
        }
        let due = self.heap.peek().map(|Reverse((due_ms, _))| *due_ms);
        let paced = !self.late.is_empty() && self.admission.has_room();
        let late = paced.then_some(self.late_next_ms);
        // One that could have started at the last look waits for the end of a probe.
        let burst = self.bursts.next_after(self.last_look_ms);
        [due, late, burst].into_iter().flatten().min()
    }

    /// The greatest control-plane time such that every slot due at or before it
    /// is finished or was reported missed; never falls within a set. `None` before the first set.
    pub fn complete_through(&mut self) -> Option<i64> {
        let frontier = self.frontier_ms?;
        let held_back = self.open.first().map(|(due_ms, _)| due_ms.saturating_sub(1));
        let complete = held_back.map_or(frontier, |held| held.min(frontier));
        self.complete_ms = self.complete_ms.max(Some(complete));
        self.complete_ms
    }

    /// Tickets of the probes that run.
    pub fn in_flight(&self) -> impl ExactSizeIterator<Item = Ticket> + '_ {
        self.running.keys().copied()
    }

    /// Whether the set has expired or never came.
    pub fn is_idle(&self) -> bool {
        self.idle
    }

    /// Assignments held.
    pub fn assignments(&self) -> usize {
        self.entries.len()
    }

    fn go_idle(&mut self) {
        self.idle = true;
        self.bursts.end_all();
        self.burst_held = false;
        self.admission.dismiss();
        self.late.clear();
        for position in 0..self.entries.len() {
            self.entries[position].leave_queue();
            if let Some(waiting) = self.entries[position].waiting.take() {
                self.close(position, waiting, MissedReason::Stopped);
            }
        }
    }

    fn miss_waiting(&mut self, entry: &Entry<C>, reason: MissedReason) {
        if let Some(waiting) = entry.waiting {
            let missed = entry.missed(waiting.slot, waiting.slot, reason);
            self.effects.push_back(Effect::Missed(missed));
            self.open.remove(&(waiting.due_ms, waiting.ticket));
        }
    }

    fn close(&mut self, position: usize, waiting: Waiting, reason: MissedReason) {
        self.open.remove(&(waiting.due_ms, waiting.ticket));
        let missed = self.entries[position].missed(waiting.slot, waiting.slot, reason);
        self.effects.push_back(Effect::Missed(missed));
    }

    /// Everything of one entry up to `now`: older slots are missed, the newest waits.
    fn open_slots(&mut self, position: usize, now_ms: i64, reason: MissedReason) {
        if let Some(waiting) = self.entries[position].waiting.take() {
            self.close(position, waiting, reason);
        }
        let entry = &mut self.entries[position];
        let reason =
            if std::mem::take(&mut entry.was_away) { MissedReason::Stopped } else { reason };
        let latest = entry.assigned.slot_at(now_ms);
        let first = std::mem::replace(&mut entry.next_slot, latest.saturating_add(1));
        self.miss_range(position, first, latest - 1, reason);
        let entry = &mut self.entries[position];
        self.heap.push(Reverse((entry.next_due_ms(), position)));
        let key = (entry.assigned.monitor, entry.assigned.revision, latest);
        if self.resume.sealed.remove(&key) {
            return;
        }
        let due_ms = entry.assigned.due_ms(latest);
        let ticket = self.ticket();
        let late = now_ms.saturating_sub(due_ms) > LATE_MS;
        let entry = &mut self.entries[position];
        entry.waiting = Some(Waiting { slot: latest, due_ms, ticket, late });
        self.open.insert((due_ms, ticket));
        self.enqueue(position);
    }

    /// Reports `first..=last`, leaving out what an earlier process had sealed.
    fn miss_range(&mut self, position: usize, mut first: i64, last: i64, reason: MissedReason) {
        if first > last {
            return;
        }
        let assigned = &self.entries[position].assigned;
        let key = |slot| (assigned.monitor, assigned.revision, slot);
        let sealed: Vec<_> = self.resume.sealed.range(key(first)..=key(last)).copied().collect();
        for done in sealed {
            if first < done.2 {
                let missed = self.entries[position].missed(first, done.2 - 1, reason);
                self.effects.push_back(Effect::Missed(missed));
            }
            first = done.2 + 1;
            self.resume.sealed.remove(&done);
        }
        if first <= last {
            let missed = self.entries[position].missed(first, last, reason);
            self.effects.push_back(Effect::Missed(missed));
        }
    }

    /// Puts an entry with a waiting slot into the queue it belongs to.
    fn enqueue(&mut self, position: usize) {
        let entry = &mut self.entries[position];
        let Some(waiting) = entry.waiting else { return };
        if entry.busy {
            return;
        }
        let wanted = if waiting.late { Queue::Late } else { Queue::Ready };
        if entry.join_queue(wanted) {
            match wanted {
                Queue::Ready => entry.place = Some(self.admission.join(position, entry.slow)),
                Queue::Late => self.late.push_back(position),
            }
        }
    }

    fn release(&mut self, now: Now) {
        self.release_bursts(now);
        self.admit_late(now.control_ms);
        while let Some(position) = self.admission.next(&self.entries) {
            match self.entries[position].leave(Queue::Ready) {
                Some(waiting) => self.start(position, waiting, now),
                None => self.admission.unpark(self.entries[position].target, &self.entries),
            }
        }
    }

    /// Lets late slots join the line of the others, at their pace.
    fn admit_late(&mut self, now_ms: i64) {
        // A stopped or stepped clock must neither hoard permits nor wait for ages.
        let pace = 1_000 / LATE_PER_SECOND;
        self.late_next_ms = self.late_next_ms.clamp(now_ms - pace, now_ms + pace);
        while self.admission.has_room() && self.late_next_ms <= now_ms {
            let Some(position) = self.late.pop_front() else { break };
            let entry = &mut self.entries[position];
            if let Some(waiting) = entry.leave(Queue::Late) {
                entry.waiting = Some(Waiting { late: false, ..waiting });
                self.enqueue(position);
                self.late_next_ms += pace;
            }
        }
    }

    fn start(&mut self, position: usize, waiting: Waiting, now: Now) {
        self.entries[position].waiting = None;
        let Waiting { slot, due_ms, ticket, .. } = waiting;
        self.launch(position, ticket, (slot, due_ms), None, now);
    }

    /// Starts what bursts may: before any slot, within the caps.
    fn release_bursts(&mut self, now: Now) {
        self.burst_held = false;
        self.bursts.end_expired(now.control_ms);
        for place in 0..self.bursts.active().len() {
            let active = self.bursts.active()[place];
            let entry = &self.entries[active.entry];
            if !active.is_due(now.control_ms) || entry.busy {
                continue;
            }
            match self.admission.admits(entry.target) {
                Admits::Now => {
                    let slot = entry.assigned.slot_at(now.control_ms);
                    let check = self.bursts.started(place);
                    let ticket = self.ticket();
                    self.launch(active.entry, ticket, (slot, now.control_ms), Some(check), now);
                }
                Admits::NextTurn => self.burst_held = true,
                Admits::Later => {}
            }
        }
    }

    fn ticket(&mut self) -> Ticket {
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        ticket
    }

    fn launch(
        &mut self,
        position: usize,
        ticket: Ticket,
        (slot, due_ms): (i64, i64),
        burst: Option<BurstCheck>,
        now: Now,
    ) {
        let entry = &mut self.entries[position];
        entry.busy = true;
        let (monitor, revision) = (entry.assigned.monitor, entry.assigned.revision);
        let check = entry.assigned.check.clone();
        let (target, slow) = (entry.target, entry.slow);
        self.admission.started(target, slow);
        let running = Running {
            monitor,
            revision,
            slot,
            due_ms,
            burst: burst.map(|check| check.id),
            started_boot_ms: now.boot_ms,
            slow,
            host: entry.assigned.target.clone(),
            target: Some(target),
            outdated: false,
            entry: Some(position),
        };
        self.running.insert(ticket, running);
        let due = Due { ticket, monitor, revision, slot, due_ms, burst, check };
        self.effects.push_back(Effect::Start(due));
    }
}

fn is_success(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Ok | Outcome::Degraded)
}
