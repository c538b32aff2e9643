//! Steps 3 and 4 in one loop: starts what is due, gathers rows, has batches sealed.
//!
//! One task owns the schedule and the batch being filled, so that a row is in
//! the batch before its slot counts as done, and `complete_through` is asked
//! for after the last row that it speaks about.
//!
//! While the host's boot never met the control plane, slots are counted from
//! the boot and results are `undated`; the first clock sample starts the
//! schedule anew in control-plane time.
//!
//! Checks are started turn by turn (`turn.rs`): the schedule is looked at again
//! when the runtime has run every check that was started at the last look, and
//! is told how long that took, if more were due than it let start.

mod set;
#[cfg(test)]
mod tests;
pub(crate) mod turn;

use crate::assignments::HeldSet;
use crate::assignments::store::{self, Life};
use crate::metrics::Metrics;
use crate::runner::{Check, Finished, Prober, Runner};
use crate::spool::{SealReport, SealRequest, Spool};
use crate::status::Status;
use crate::{clock, durable, limits};
use hyperverge_agent_core::batch::Batcher;
use hyperverge_agent_core::clock::{ControlClock, SavedOffset};
use hyperverge_agent_core::limits::JUMP_MS;
use hyperverge_agent_core::missed::{Missed, MissedReason};
use hyperverge_agent_core::schedule::{Burst, BurstRefusal, Caps, Effect, Now, Resume, Schedule};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tracing::{error, info, warn};
use turn::Turn;

/// What others tell the engine.
#[derive(Debug)]
pub enum Input {
    /// A verified set, already stored, with its life so far.
    Set(Arc<HeldSet>, Life),
    /// An order of a burst whose signature was believed.
    Burst(Burst),
    /// An answered request: sent and received on the boot clock.
    Sample { sent_us: i64, received_us: i64, control_ms: i64 },
    /// The control plane revoked this agent: stop probing.
    Revoked,
    /// Start nothing more, finish, seal, and answer.
    Stop(oneshot::Sender<()>),
}

/// What an engine works with.
#[derive(Debug)]
pub struct Surroundings {
    pub state_dir: PathBuf,
    pub boot_id: [u8; 16],
    pub spool: Spool,
    pub resume: Resume,
    pub metrics: Arc<Metrics>,
    pub status: Arc<Status>,
    pub caps: Caps,
}

/// See the module's head.
pub struct Engine<P: Prober> {
    around: Surroundings,
    prober: Arc<P>,
    runner: Runner<P>,
    results: mpsc::Receiver<Finished>,
    turn: Turn,
    schedule: Schedule<Arc<Check<P::Prepared>>>,
    batcher: Batcher,
    clock: ControlClock,
    set: Option<(set::InForce, Life)>,
    checks: Arc<set::Checks<P>>,
    preparing: Option<set::Preparing<P>>,
    /// The newest set that came while another was being prepared.
    next_set: Option<(Arc<HeldSet>, Life)>,
    /// Orders for what the set on its way may hold.
    bursts_waiting: Vec<Burst>,
    sealing: Option<oneshot::Receiver<SealReport>>,
    stopping: Option<(oneshot::Sender<()>, i64)>,
    persisted_ms: i64,
}

/// What woke the loop.
enum Woken<P: Prober> {
    Rows,
    Input(Option<Input>),
    Prepared(Option<Box<set::Ready<P>>>),
    Sealed(Option<SealReport>),
    Time,
}

impl<P: Prober> std::fmt::Debug for Engine<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("around", &self.around).finish_non_exhaustive()
    }
}

impl<P: Prober> Engine<P> {
    /// An engine that resumes what an earlier process of this boot knew of time.
    pub fn new(around: Surroundings, prober: Arc<P>) -> Self {
        let (results_tx, results) = mpsc::channel(limits::RESULTS_QUEUE);
        let saved = load_offset(&around.state_dir);
        let boot_ms = clock::boot_ms();
        let control = ControlClock::resume(saved.as_ref(), &around.boot_id);
        control.offset_us().into_iter().for_each(|offset_us| prober.handle_offset(offset_us));
        // What is resumed is in control-plane time, and waits until that is known.
        let resume = if control.is_dated() { around.resume.clone() } else { Resume::default() };
        Self {
            runner: Runner::new(prober.clone(), results_tx, around.metrics.clone()),
            prober,
            results,
            turn: Turn::default(),
            schedule: Schedule::new(around.caps, resume),
            batcher: Batcher::new(boot_ms),
            clock: control,
            set: None,
            checks: Arc::default(),
            preparing: None,
            next_set: None,
            bursts_waiting: Vec::new(),
            sealing: None,
            stopping: None,
            persisted_ms: boot_ms,
            around,
        }
    }

    /// Works until told to stop.
    pub async fn run(mut self, mut inputs: mpsc::Receiver<Input>) {
        let mut rows = Vec::with_capacity(limits::RESULTS_AT_ONCE);
        loop {
            let now = self.now();
            self.look(now);
            self.drain_effects(now);
            if self.finish_stopping(now) {
                return;
            }
            self.seal_if_due(now);
            self.persist_if_due(now);
            let blocked = self.is_blocked(now);
            let wait = self.wait(now, blocked);
            let (sealing, results) = (&mut self.sealing, &mut self.results);
            let woken = tokio::select! {
                biased;
                report = answered(sealing) => Woken::Sealed(report),
                input = inputs.recv() => Woken::Input(input),
                _ = results.recv_many(&mut rows, limits::RESULTS_AT_ONCE) => Woken::Rows,
                () = self.turn.over(), if blocked => Woken::Time,
                ready = set::prepared(&mut self.preparing) => Woken::Prepared(ready),
                () = tokio::time::sleep(wait) => Woken::Time,
            };
            match woken {
                Woken::Rows => rows.drain(..).for_each(|finished| self.finished(finished)),
                Woken::Prepared(ready) => self.set_prepared(ready),
                Woken::Sealed(Some(report)) => self.sealed(report),
                Woken::Sealed(None) => {
                    error!("the spool's thread is gone");
                    return;
                }
                Woken::Input(Some(input)) => self.input(input),
                // Everybody who could tell us anything is gone.
                Woken::Input(None) => return,
                Woken::Time => {}
            }
        }
    }

    /// Opens what is due and starts what may start, once the turn before is over.
    fn look(&mut self, now: Now) {
        if self.turn.is_under_way() {
            return;
        }
        let took = self.turn.end();
        if let Some(took) = took.filter(|_| self.schedule.is_held()) {
            self.schedule.handle_turn(i64::try_from(took.as_micros()).unwrap_or(i64::MAX));
        }
        self.schedule.handle_timeout(now);
    }

    /// Whether nothing but the end of the turn keeps the schedule from being looked at.
    fn is_blocked(&self, now: Now) -> bool {
        let is_due = || self.schedule.next_wakeup().is_some_and(|at| at <= now.control_ms);
        self.schedule.is_held() || (self.turn.is_under_way() && is_due())
    }

    fn now(&self) -> Now {
        let boot_us = clock::boot_us();
        let control_us = self.clock.control_us(boot_us).unwrap_or(boot_us);
        Now { control_ms: control_us.div_euclid(1_000), boot_ms: boot_us / 1_000 }
    }

    /// Control-plane time, or boot time while undated.
    fn now_us(&self) -> i64 {
        let boot_us = clock::boot_us();
        self.clock.control_us(boot_us).unwrap_or(boot_us)
    }

    fn wait(&self, now: Now, blocked: bool) -> Duration {
        let due = self.schedule.next_wakeup().filter(|_| !blocked);
        let due = due.map_or(i64::MAX, |at| at.saturating_sub(now.control_ms));
        let seal = match self.sealing {
            Some(_) => i64::MAX,
            None => self.batcher.next_seal_ms().saturating_sub(now.boot_ms),
        };
        let wait = due.min(seal).clamp(0, limits::ENGINE_TICK_MS) * 1_000;
        // `now` was cut to milliseconds: what of this one has passed is not waited again.
        let passed = self.now_us() - now.control_ms.saturating_mul(1_000);
        Duration::from_micros(wait.saturating_sub(passed).max(0).unsigned_abs())
    }

    fn drain_effects(&mut self, now: Now) {
        let offset_us = self.clock.offset_us();
        let at = clock::monotonic();
        while let Some(effect) = self.schedule.poll_effect() {
            match effect {
                Effect::Start(due) => self.runner.start(due, offset_us, self.turn.start(at)),
                Effect::Missed(missed) => self.missed(missed, now.boot_ms),
            }
        }
        let running = self.schedule.in_flight().len();
        self.around.metrics.probes_in_flight.set(running as i64);
        self.around.status.probes_in_flight.store(running as u32, Relaxed);
    }

    fn missed(&mut self, missed: Missed, boot_ms: i64) {
        let reason = missed.reason.as_str();
        self.around.metrics.missed_slots_total.with_label_values(&[reason]).inc_by(missed.slots());
        // Slots counted from a boot mean nothing to anybody else.
        if self.clock.is_dated() {
            self.batcher.handle_missed(missed, boot_ms);
        }
    }

    fn finished(&mut self, finished: Finished) {
        let now = self.now();
        let Finished { ticket, outcome, row, bytes, undated } = finished;
        if self.batcher.waiting_rows() >= limits::ROWS_WAITING {
            self.around.metrics.spool.results_folded_total.with_label_values(&["waiting"]).inc();
            self.schedule.handle_abandoned(ticket, MissedReason::Overload, now);
            return;
        }
        self.batcher.handle_row(row, bytes, undated, now.boot_ms);
        if self.schedule.is_news(ticket, outcome) {
            self.batcher.handle_news(now.boot_ms);
        }
        self.schedule.handle_finished(ticket, outcome, now);
    }

    fn seal_if_due(&mut self, now: Now) {
        let last = self.stop_is_final() && !self.batcher.is_empty();
        let due = now.boot_ms >= self.batcher.next_seal_ms() || last;
        if self.sealing.is_some() || !due {
            return;
        }
        let dated = self.clock.is_dated();
        let through = self.schedule.complete_through(now.control_ms).filter(|_| dated);
        let forgotten = self.batcher.take_forgotten();
        self.around.metrics.missed_slots_forgotten_total.inc_by(forgotten);
        let drafts = self.batcher.take(through, now.boot_ms);
        if drafts.is_empty() {
            return;
        }
        let set_version = self.set.as_ref().map_or(0, |(set, _)| set.version);
        let request = SealRequest { drafts, set_version, now_ms: dated.then_some(now.control_ms) };
        match self.around.spool.seal(request) {
            Ok(answer) => self.sealing = Some(answer),
            // The spool's thread is behind.
            Err(request) => self.batcher.handle_put_back(request.drafts, now.boot_ms),
        }
    }

    fn sealed(&mut self, report: SealReport) {
        self.sealing = None;
        let boot_ms = clock::boot_ms();
        self.around.status.spool_failing.store(!report.missed.is_empty(), Relaxed);
        for missed in report.missed {
            self.batcher.handle_missed(missed, boot_ms);
        }
    }

    fn input(&mut self, input: Input) {
        match input {
            Input::Set(set, life) => self.take_set(set, life),
            Input::Burst(burst) => self.take_burst(burst),
            Input::Sample { sent_us, received_us, control_ms } => {
                self.sample(sent_us, received_us, control_ms);
            }
            Input::Revoked => {
                warn!("this agent was revoked; its assignments are dropped");
                self.drop_sets();
            }
            Input::Stop(done) => {
                self.schedule.stop();
                let bound = i64::try_from(limits::STOP_PROBES.as_millis()).unwrap_or(i64::MAX);
                self.stopping = Some((done, clock::boot_ms().saturating_add(bound)));
            }
        }
    }

    /// Undated, nobody can say whether an order still holds.
    fn take_burst(&mut self, burst: Burst) {
        if !self.clock.is_dated() {
            return;
        }
        let now = self.now();
        let became = match self.schedule.handle_burst(burst, now) {
            Ok(()) => "taken",
            Err(BurstRefusal::NotHeld) if self.may_hold_soon() => {
                self.bursts_waiting.push(burst);
                return;
            }
            Err(refusal) => {
                let (Burst { id, monitor, revision, .. }, reason) = (burst, refusal.as_str());
                info!(burst = %id, %monitor, revision, reason, "an order of a burst is dropped");
                reason
            }
        };
        self.around.metrics.burst_orders_total.with_label_values(&[became]).inc();
        self.drain_effects(now);
    }

    fn may_hold_soon(&self) -> bool {
        self.preparing.is_some() && self.bursts_waiting.len() < limits::BURSTS_WAITING
    }

    fn sample(&mut self, sent_us: i64, received_us: i64, control_ms: i64) {
        let before = self.clock.offset_us();
        self.clock.handle_sample(sent_us, received_us, control_ms);
        let Some(after) = self.clock.offset_us() else { return };
        self.prober.handle_offset(after);
        match before {
            None => {
                info!("control-plane time is known; the schedule starts in it");
                self.schedule.reset(self.around.resume.clone());
                self.apply_set();
                self.persist();
            }
            Some(before) if before.abs_diff(after) > JUMP_MS.unsigned_abs() * 1_000 => {
                warn!(step_ms = (after - before) / 1_000, "control-plane time has stepped");
                self.persist();
            }
            Some(_) => {}
        }
    }

    fn stop_is_final(&self) -> bool {
        self.stopping.is_some() && self.schedule.in_flight().len() == 0
    }

    /// Gives up what overstays the bound; `true` when everything is sealed.
    fn finish_stopping(&mut self, now: Now) -> bool {
        let Some(bound_ms) = self.stopping.as_ref().map(|(_, bound_ms)| *bound_ms) else {
            return false;
        };
        if now.boot_ms >= bound_ms {
            let running: Vec<_> = self.schedule.in_flight().collect();
            for ticket in running {
                self.schedule.handle_abandoned(ticket, MissedReason::Stopped, now);
            }
            self.drain_effects(now);
        }
        if !self.stop_is_final() {
            return false;
        }
        // What the disk will not take by then stays unsealed, and is missed at the next start.
        let given_up = now.boot_ms >= bound_ms.saturating_add(STOP_SEAL_MS);
        if given_up || (self.sealing.is_none() && self.batcher.is_empty()) {
            self.persist();
            if let Some((done, _)) = self.stopping.take() {
                let _gone = done.send(());
            }
            return true;
        }
        false
    }

    fn persist_if_due(&mut self, now: Now) {
        if now.boot_ms - self.persisted_ms >= limits::PERSIST_EVERY_MS {
            self.persist();
        }
    }

    /// Writes the clock's offset and the set's consumed life, beside the loop.
    fn persist(&mut self) {
        let boot_us = clock::boot_us();
        self.persisted_ms = boot_us / 1_000;
        let saved = self.clock.saved(self.around.boot_id, boot_us);
        let life = self.set.as_ref().map(|(_, life)| life.at(self.around.boot_id, boot_us / 1_000));
        let state_dir = self.around.state_dir.clone();
        tokio::task::spawn_blocking(move || {
            if let Some(json) = saved.and_then(|saved| serde_json::to_vec(&saved).ok())
                && let Err(error) = durable::replace(&state_dir.join(OFFSET_FILE), &json)
            {
                warn!(%error, "the clock's offset cannot be stored");
            }
            if let Some(life) = life
                && let Err(error) = store::save_life(&state_dir, &life)
            {
                warn!(%error, "the set's life cannot be stored");
            }
        });
    }
}

/// The answer of the spool's thread; never ready while nothing was asked.
async fn answered(sealing: &mut Option<oneshot::Receiver<SealReport>>) -> Option<SealReport> {
    match sealing {
        Some(answer) => answer.await.ok(),
        None => std::future::pending().await,
    }
}

/// After the probes' bound, sealing may take this much longer.
const STOP_SEAL_MS: i64 = 2_000;
const OFFSET_FILE: &str = "clock.json";

pub(crate) fn load_offset(state_dir: &std::path::Path) -> Option<SavedOffset> {
    let json = durable::read(&state_dir.join(OFFSET_FILE), limits::SMALL_FILE_BYTES).ok()??;
    serde_json::from_slice(&json).ok()
}
