//! Step 3: which slot starts when.
//!
//! Slot k of an assignment is due at anchor + k × interval in control-plane
//! time. Every slot this agent owns is either started exactly once or reported
//! missed exactly once:
//!
//! - A slot may start until the next one is due, or until it has waited [`HOLD_MS`];
//!   then it is missed. Nothing piles up: a monitor has at most one slot in flight and
//!   one waiting.
//! - A slot that cannot start at once (the monitor's last probe still runs, or
//!   there is no room for it, see `admission.rs`) waits in a line and keeps its
//!   place there even when a newer slot of the same monitor takes over: who was
//!   shed comes first next time, so under overload every monitor gets its turn.
//! - A slot found late (the host slept, the clock jumped, the process was away)
//!   waits in a queue of its own that is let go at a fixed pace: waking up is
//!   no storm. Those go first whose next slot is furthest off, so that a monitor of
//!   one check a day still gets its check.
//! - Replacing the set keeps the phase of every assignment that stays. One that goes,
//!   or whose revision changes, ends with the slot before its successor's first.
//! - What the control plane orders out of turn goes before slots, see `burst.rs`.
//!
//! Call [`Schedule::handle_timeout`] at [`Schedule::next_wakeup`], then drain
//! [`Schedule::poll_effect`]. Each such look is a turn: the next one is due only when
//! every check that was started got to run. If the schedule [is held](Schedule::is_held)
//! then, say before how long they had to wait for that ([`Schedule::handle_turn`]).
//! `now` may step either way. A slot is run twice only where control-plane
//! time itself was set back over it, by more than [`JUMP_MS`]; then nobody waits for the
//! time that was taken back to come again.

mod admission;
mod burst;
mod entry;
mod set;
mod slot;
#[cfg(test)]
mod tests;
mod waiting;

use crate::limits::{HOLD_MS, JUMP_MS, LATE_PER_SECOND, MONITOR_IN_FLIGHT, SLOW_MS};
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

/// A monitor at a revision: its slots are numbered together.
type Series = (Uuid, u64);

#[derive(Debug)]
struct Running {
    monitor: Uuid,
    revision: u64,
    slot: i64,
    due_ms: i64,
    /// It was started for this burst, and owns no slot.
    burst: Option<BurstCheck>,
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
    /// Late ones by when their next slot is due, the last first.
    late: BTreeSet<(Reverse<i64>, usize)>,
    /// When the late queue may let its next slot go.
    late_next_ms: i64,
    /// From one to the next of those that cannot do without it.
    late_pace_ms: i64,
    /// (until when it may wait, entry, ticket) of the slots that were opened, in order.
    /// Those that wait no more are still in it, except in front.
    holds: VecDeque<(i64, usize, Ticket)>,
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
            late: BTreeSet::new(),
            late_next_ms: i64::MIN,
            late_pace_ms: 1_000 / LATE_PER_SECOND,
            holds: VecDeque::new(),
            running: BTreeMap::new(),
            bursts: Bursts::default(),
            burst_held: false,
            open: BTreeSet::new(),
            effects: VecDeque::new(),
            resume,
            next_ticket: 0,
            last_look_ms: None,
            frontier_ms: None,
            expires_boot_ms: i64::MIN,
            idle: true,
            stopped: false,
        }
    }

    /// Opens every slot that is due, and starts what may start.
    pub fn handle_timeout(&mut self, now: Now) {
        let jumped = self.last_look_ms.is_some_and(|last| now.control_ms - last > JUMP_MS);
        self.last_look_ms = Some(now.control_ms);
        if now.boot_ms >= self.expires_boot_ms && !self.idle {
            self.go_idle();
        }
        if self.frontier_ms.is_some_and(|frontier| frontier - now.control_ms > JUMP_MS) {
            self.step_back(now.control_ms);
        }
        if self.idle || self.stopped {
            return;
        }
        if jumped {
            // Nobody could start what waited while nobody was there.
            self.hold_again((now.control_ms.saturating_add(HOLD_MS), i64::MAX));
        }
        let reason = if jumped { MissedReason::Suspend } else { MissedReason::Overload };
        self.open_due(now.control_ms, reason);
        self.frontier_ms = self.frontier_ms.max(Some(now.control_ms));
        self.admission.next_turn();
        self.release(now);
        self.give_up(now.control_ms);
    }

    /// Takes an order of the control plane, whose signature was believed.
    pub fn handle_burst(&mut self, burst: Burst, now: Now) -> Result<(), BurstRefusal> {
        let holds = |entry: &Entry<C>| {
            let held = entry.last_slot.is_none();
            held && entry.assigned.series() == (burst.monitor, burst.revision)
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
        self.finish(ticket, Some(is_success(outcome)), now);
    }

    /// `succeeded`: as far as anybody will hear of it.
    fn finish(&mut self, ticket: Ticket, succeeded: Option<bool>, now: Now) {
        let Some(running) = self.running.remove(&ticket) else { return };
        match running.burst {
            Some(check) => self.bursts.ended(check, succeeded.unwrap_or(false), now.control_ms),
            None => {
                self.open.remove(&(running.due_ms, ticket));
            }
        }
        self.admission.ended(running.target, running.slow);
        if let Some(position) = running.entry {
            let slow = now.boot_ms.saturating_sub(running.started_boot_ms) >= SLOW_MS;
            self.entries[position].has_ended(running.started_boot_ms, slow, succeeded);
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
        self.finish(ticket, None, now);
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
        let hold = self.holds.front().map(|(until_ms, _, _)| *until_ms);
        let paced = !self.late.is_empty() && self.admission.has_room();
        let late = paced.then_some(self.late_next_ms);
        // One that could have started at the last look waits for the end of a probe.
        let burst = self.bursts.next_after(self.last_look_ms);
        [due, hold, late, burst].into_iter().flatten().min()
    }

    /// The greatest control-plane time up to `now_ms` such that every slot due at or before
    /// it is finished or was reported missed. `None` before the first set.
    pub fn complete_through(&self, now_ms: i64) -> Option<i64> {
        let frontier = self.frontier_ms?.min(now_ms);
        let held_back = self.open.first().map(|(due_ms, _)| due_ms.saturating_sub(1));
        Some(held_back.map_or(frontier, |held| held.min(frontier)))
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
        self.entries.iter().filter(|entry| entry.last_slot.is_none()).count()
    }

    fn go_idle(&mut self) {
        self.idle = true;
        self.bursts.end_all();
        self.burst_held = false;
        self.admission.dismiss();
        self.late.clear();
        self.holds.clear();
        for position in 0..self.entries.len() {
            self.entries[position].leave_queues();
            self.close(position, MissedReason::Stopped);
        }
    }

    fn release(&mut self, now: Now) {
        self.release_bursts(now);
        self.admit_late(now.control_ms);
        while let Some(position) = self.admission.next(&self.entries) {
            match self.entries[position].leave(Queue::Ready) {
                Some(waiting) => self.start(position, waiting, now),
                None => self.admission.unpark(self.entries[position].target),
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
            if !active.is_due(now.control_ms) || entry.in_flight >= MONITOR_IN_FLIGHT {
                continue;
            }
            // Beside a check that runs only once that seems to hang.
            let ran_ms = now.boot_ms.saturating_sub(entry.started_boot_ms);
            if entry.in_flight > 0 && self.bursts.is_too_soon(place, ran_ms, now.control_ms) {
                continue;
            }
            match self.admission.admits(entry.target) {
                Admits::Now => {
                    let slot = entry.assigned.slot_at(now.control_ms);
                    let check = self.bursts.started(place, now.control_ms);
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
        entry.has_started(now.boot_ms);
        let (monitor, revision) = (entry.assigned.monitor, entry.assigned.revision);
        let check = entry.assigned.check.clone();
        let (target, slow) = (entry.target, entry.slow);
        self.admission.started(target, slow);
        let running = Running {
            monitor,
            revision,
            slot,
            due_ms,
            burst,
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
