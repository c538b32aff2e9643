//! The control plane: replicas that share a database, each with the tasks of the
//! real one, around the real decisions.
//!
//! A piece of [`Work`] runs in one transaction: [`Control::begin`] decides and
//! says when it commits, [`Control::commit`] makes it true or finds that another
//! replica was faster. The files beside this one are the shells, as thin as the
//! product's, and named after them.

pub mod database;
pub mod ingest;
pub mod note;
pub mod table;

mod bursts;
mod correlator;
mod fleet;
mod states;
mod vantage;
mod verdicts;
mod waiting;

use crate::random::{Random, Stream};
use crate::world::cast::{AgentIndex, Cast, MonitorIndex};
use database::{Database, HeartbeatRow, MonitorState, Transaction};
use hyperverge_agent_core::schedule::Burst;
use hyperverge_control_core::correlation::Verdict;
use hyperverge_control_core::liveness::Settings;
use ingest::{Answer, Waiting};
use note::Note;
use states::Steps;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// When virtual time 0 is in control-plane time, ms: 2026-01-01T00:00:00Z.
pub const EPOCH_MS: i64 = 1_767_225_600_000;
/// A longer pause between two rounds of liveness means that nobody listened, ms.
const PAUSE_MS: i64 = 15_000;
/// How often ingest tries a transaction that met another.
const ATTEMPTS: u32 = 4;
/// When a scheduler looks for orders to sign again, ms.
const SIGN_AGAIN_MS: i64 = 500;
/// Batches of one transaction.
const GROUP: usize = 64;
/// Agents are compared no oftener while nothing else is due, ms.
const COMPARE_EVERY_MS: i64 = 1_000;
/// How often a transaction whose answer was lost was committed all the same.
const COMMITTED_UNHEARD: f64 = 0.5;

/// What a replica does by itself, and how often.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Task {
    /// Heartbeats are written, newer sets are sent.
    Rounds,
    Liveness,
    Planner,
    Correlator,
}

impl Task {
    /// Every task.
    pub const ALL: [Self; 4] = [Self::Rounds, Self::Liveness, Self::Planner, Self::Correlator];

    /// ms.
    pub fn period(self) -> i64 {
        match self {
            Self::Rounds | Self::Liveness => 1_000,
            Self::Planner => 5_000,
            Self::Correlator => 500,
        }
    }

    fn lease(self) -> Option<(&'static str, i64)> {
        match self {
            Self::Rounds => None,
            Self::Liveness => Some(("liveness", 15_000)),
            Self::Planner => Some(("planner", 30_000)),
            Self::Correlator => Some(("correlator", 30_000)),
        }
    }
}

/// What one transaction does.
#[derive(Debug, Clone)]
pub enum Work {
    Ingest(Vec<Waiting>),
    /// (agent, connection) of heartbeats since the last round.
    Heartbeats(Vec<(AgentIndex, u64)>),
    Liveness {
        fence: i64,
    },
    Stale {
        fence: i64,
    },
    Planner {
        fence: i64,
    },
    Correlate {
        fence: i64,
    },
    /// Orders of bursts are signed.
    Sign,
    /// A lease is taken or renewed.
    Lease(Task),
}

/// A transaction on its way.
#[derive(Debug)]
pub struct Pending {
    pub replica: usize,
    pub epoch: u64,
    /// ms until it commits.
    pub takes: i64,
    /// Virtual time.
    began: i64,
    work: Work,
    attempt: u32,
    transaction: Transaction,
    answers: Vec<Answer>,
    notes: Vec<Note>,
    fence: Option<i64>,
    cursor: Option<MonitorIndex>,
}

/// What follows from a commit, or from its failure.
#[derive(Debug, Default)]
pub struct Outcome {
    pub notes: Vec<Note>,
    pub answers: Vec<(AgentIndex, u64, Answer)>,
    /// To be begun now.
    pub next: Vec<Work>,
    /// Another transaction was faster: to be begun again after so many ms.
    pub again: Option<(Work, u32, i64)>,
    /// It was committed, and whoever asked for it never heard so.
    pub unheard: bool,
}

/// One process.
#[derive(Debug)]
pub struct Replica {
    pub up: bool,
    /// Rises with each start.
    pub epoch: u64,
    pub paused_until: Option<i64>,
    queue: VecDeque<Waiting>,
    ingesting: bool,
    /// (first, newest) round of liveness without a pause between.
    listening: Option<(i64, i64)>,
    cursor: Option<MonitorIndex>,
    /// When agents were compared while nothing else was due.
    compared: Option<i64>,
    /// Agents with a session here, by connection.
    pub sessions: BTreeMap<AgentIndex, Session>,
    /// A round of this task is under way.
    busy: Vec<Task>,
    /// Of those, the ones that somebody woke meanwhile.
    woken: Vec<Task>,
}

/// A session as the gateway knows it.
#[derive(Debug, Clone, Default)]
pub struct Session {
    pub connection: u64,
    /// The newest set it was sent.
    pub set_version: i64,
    pub beat: bool,
    /// Orders of bursts it was sent.
    pub orders: BTreeSet<u64>,
    /// Virtual time.
    pub heard_at: i64,
}

/// See the module's head.
#[derive(Debug)]
pub struct Control {
    pub db: Database,
    pub replicas: Vec<Replica>,
    /// What the database's clock was set by, ms.
    pub stepped: i64,
    /// From when until when the database takes nothing.
    pub database_away: Option<(i64, i64)>,
    random: Random,
    /// Whether the product's rule decides; else only results are stored.
    decides: bool,
}

impl Control {
    /// A control plane that knows the cast and has heard nobody yet.
    pub fn new(cast: &Cast, decides: bool) -> Self {
        let mut db = Database::default();
        for monitor in 0..cast.monitors.len() {
            let (verdict, scope) = (Verdict::Unknown, None);
            let state = MonitorState {
                generation: 0,
                verdict,
                scope,
                since: EPOCH_MS,
                turns: Vec::new(),
                hold_until: None,
            };
            db.monitor_states.put(monitor, state);
        }
        let enrolled = db.roll_back();
        db.commit(enrolled);
        Self {
            db,
            replicas: (0..cast.replicas).map(|_| Replica::new()).collect(),
            stepped: 0,
            database_away: None,
            random: Random::new(cast.seed, Stream::Control),
            decides,
        }
    }

    /// The database's clock.
    pub fn clock(&self, now: i64) -> i64 {
        EPOCH_MS + now + self.stepped
    }

    /// Whether the database takes transactions.
    pub fn is_reachable(&self, now: i64) -> bool {
        self.database_away.is_none_or(|(_, until)| now >= until)
    }

    /// Whether the product's rule decides.
    pub fn decides(&self) -> bool {
        self.decides
    }

    /// One of the replicas that would take a new session.
    pub fn pick(&mut self, now: i64) -> Option<usize> {
        let able: Vec<usize> =
            (0..self.replicas.len()).filter(|index| self.replicas[*index].runs(now)).collect();
        self.random.one(&able).copied()
    }

    /// A round of `task` begins: what it does, if anything.
    pub fn round(&mut self, replica: usize, task: Task, now: i64) -> Vec<Work> {
        // Whoever can reach the database says that it listens, whoever holds the lease.
        if task == Task::Liveness && self.is_reachable(now) {
            let clock = self.clock(now);
            self.replicas[replica].listen(clock);
        }
        if task != Task::Rounds && self.replicas[replica].busy.contains(&task) {
            // Who is woken while it works goes on afterwards.
            if !self.replicas[replica].woken.contains(&task) {
                self.replicas[replica].woken.push(task);
            }
            return Vec::new();
        }
        if !self.decides && matches!(task, Task::Correlator) {
            return Vec::new();
        }
        if !self.is_reachable(now) {
            return Vec::new();
        }
        if task == Task::Correlator && !self.is_worth_it(replica, now) {
            return Vec::new();
        }
        match task {
            Task::Rounds => self.heartbeats(replica),
            _ => {
                self.replicas[replica].busy.push(task);
                vec![Work::Lease(task)]
            }
        }
    }

    /// Whether a round of the correlator would do anything.
    fn is_worth_it(&mut self, replica: usize, now: i64) -> bool {
        let clock = self.clock(now);
        if correlator::has_work(&self.db, clock) {
            return true;
        }
        let compared = &mut self.replicas[replica].compared;
        if !vantage::is_suspicious(&self.db) {
            *compared = None;
            return false;
        }
        let due = compared.is_none_or(|last| !(last..last + COMPARE_EVERY_MS).contains(&clock));
        if due {
            *compared = Some(clock);
        }
        due
    }

    fn heartbeats(&mut self, replica: usize) -> Vec<Work> {
        let sessions = self.replicas[replica].sessions.iter_mut();
        let beats: Vec<_> = sessions
            .filter_map(|(agent, session)| {
                std::mem::take(&mut session.beat).then_some((*agent, session.connection))
            })
            .collect();
        if beats.is_empty() { Vec::new() } else { vec![Work::Heartbeats(beats)] }
    }

    /// A batch came; what to begin.
    pub fn submit(&mut self, replica: usize, waiting: Waiting) -> Option<Work> {
        self.replicas[replica].queue.push_back(waiting);
        self.next_group(replica)
    }

    fn next_group(&mut self, replica: usize) -> Option<Work> {
        let at = &mut self.replicas[replica];
        if at.ingesting || at.queue.is_empty() {
            return None;
        }
        at.ingesting = true;
        let many = at.queue.len().min(GROUP);
        let mut group: Vec<Waiting> = at.queue.drain(..many).collect();
        group.sort_by_key(|waiting| (waiting.agent, waiting.batch.lane));
        Some(Work::Ingest(group))
    }

    /// Decides, and says when it commits.
    pub fn begin(
        &mut self,
        cast: &Cast,
        replica: usize,
        work: Work,
        attempt: u32,
        now: i64,
    ) -> Pending {
        let clock = self.clock(now);
        let mut pending = Pending {
            replica,
            epoch: self.replicas[replica].epoch,
            takes: self.random.between(1, cast.transaction),
            began: now,
            work,
            attempt,
            transaction: self.db.roll_back(),
            answers: Vec::new(),
            notes: Vec::new(),
            fence: None,
            cursor: None,
        };
        self.decide(cast, &mut pending, clock);
        pending.transaction = self.db.roll_back();
        pending
    }

    fn decide(&mut self, cast: &Cast, pending: &mut Pending, clock: i64) {
        let (db, replica, decides) = (&mut self.db, pending.replica, self.decides);
        let holder = (replica, pending.epoch);
        let notes = &mut pending.notes;
        match &pending.work {
            Work::Ingest(group) => {
                let mut steps = Steps::default();
                pending.answers = ingest::store(db, cast, group, &mut steps, notes, clock);
                if decides {
                    steps.correlate(db, cast, notes, clock);
                }
            }
            Work::Heartbeats(beats) => beats.iter().for_each(|(agent, connection)| {
                heartbeat(db, *agent, *connection, clock);
            }),
            Work::Lease(task) => {
                if let Some((name, for_ms)) = task.lease() {
                    pending.fence = db.acquire(name, holder, for_ms, clock);
                }
            }
            Work::Liveness { fence } => {
                let since = self.replicas[replica].listening.map_or(clock, |(since, _)| since);
                if db.guard("liveness", holder, *fence, clock) {
                    fleet::liveness(db, cast, since, notes, clock);
                }
            }
            Work::Stale { fence } => {
                let cursor = self.replicas[replica].cursor;
                if db.guard("liveness", holder, *fence, clock) {
                    pending.cursor = fleet::stale(db, cast, cursor, notes, clock);
                }
            }
            Work::Planner { fence } => {
                if db.guard("planner", holder, *fence, clock) {
                    fleet::plan(db, cast, notes, clock);
                }
            }
            Work::Sign => bursts::sign(db, notes, clock),
            Work::Correlate { fence } => {
                if db.guard("correlator", holder, *fence, clock) {
                    correlator::round(db, cast, notes, clock);
                }
            }
        }
    }

    /// Makes it true, unless another transaction was faster or the database is away.
    pub fn commit(&mut self, pending: Pending, now: i64) -> Outcome {
        let replica = pending.replica;
        let mut outcome = self.end(pending, now);
        let (waits, woken): (Vec<Task>, Vec<Task>) =
            std::mem::take(&mut self.replicas[replica].woken)
                .into_iter()
                .partition(|task| self.replicas[replica].busy.contains(task));
        self.replicas[replica].woken = waits;
        for task in woken {
            outcome.next.extend(self.round(replica, task, now));
        }
        outcome
    }

    fn end(&mut self, pending: Pending, now: i64) -> Outcome {
        let Pending { replica, work, attempt, .. } = pending;
        let reachable = self.is_reachable(now);
        let asked = self.database_away.is_some_and(|(from, _)| pending.began < from);
        let unheard = !reachable && asked && self.random.chance(COMMITTED_UNHEARD);
        let committed = (reachable || unheard) && self.db.commit(pending.transaction);
        if !committed || unheard {
            let failed = self.failed(replica, work, attempt, reachable);
            let notes = if committed { pending.notes } else { Vec::new() };
            return Outcome { notes, unheard: committed, ..failed };
        }
        let mut outcome = Outcome { notes: pending.notes, ..Outcome::default() };
        let clock = self.clock(now);
        match work {
            Work::Ingest(group) => {
                let told = group.iter().zip(pending.answers);
                outcome.answers =
                    told.map(|(it, answer)| (it.agent, it.connection, answer)).collect();
                self.replicas[replica].ingesting = false;
                outcome.next.extend(self.next_group(replica));
            }
            Work::Lease(task) => {
                let fence = pending.fence;
                outcome.next = self.leased(replica, task, fence);
            }
            Work::Stale { .. } => {
                self.replicas[replica].cursor = pending.cursor;
                self.idle(replica, Task::Liveness);
            }
            Work::Planner { .. } => self.idle(replica, Task::Planner),
            Work::Liveness { fence } => {
                let since = self.replicas[replica].listening.map_or(clock, |(since, _)| since);
                if self.decides && Settings::default().may_judge(since, clock) {
                    outcome.next.push(Work::Stale { fence });
                } else {
                    self.idle(replica, Task::Liveness);
                }
            }
            Work::Correlate { .. } => self.idle(replica, Task::Correlator),
            Work::Heartbeats(_) | Work::Sign => {}
        }
        outcome
    }

    /// The process that asked for it is gone: whether it was committed all the same, and
    /// what it did then.
    pub fn orphaned(&mut self, pending: Pending, now: i64) -> Vec<Note> {
        let committed = self.is_reachable(now)
            && self.random.chance(COMMITTED_UNHEARD)
            && self.db.commit(pending.transaction);
        if committed { pending.notes } else { Vec::new() }
    }

    fn idle(&mut self, replica: usize, task: Task) {
        self.replicas[replica].busy.retain(|busy| *busy != task);
    }

    /// What a round goes on with once it knows whether it holds the lease.
    fn leased(&mut self, replica: usize, task: Task, fence: Option<i64>) -> Vec<Work> {
        let Some(fence) = fence else {
            self.idle(replica, task);
            return Vec::new();
        };
        match task {
            Task::Rounds => Vec::new(),
            Task::Liveness => vec![Work::Liveness { fence }],
            Task::Planner => vec![Work::Planner { fence }],
            Task::Correlator => vec![Work::Correlate { fence }],
        }
    }

    fn failed(&mut self, replica: usize, work: Work, attempt: u32, reachable: bool) -> Outcome {
        let mut outcome = Outcome::default();
        match &work {
            Work::Ingest(_) if reachable && attempt < ATTEMPTS => {
                outcome.again = Some((work, attempt + 1, 20));
            }
            // Who waits for another's lock on the lease reads it anew then, and whose commit
            // another was faster than is woken at once.
            Work::Lease(_) | Work::Correlate { .. } if reachable && attempt < ATTEMPTS => {
                outcome.again = Some((work, attempt + 1, 20));
            }
            Work::Ingest(group) => {
                let told = group.iter().map(|it| (it.agent, it.connection, busy(it)));
                outcome.answers = told.collect();
                self.replicas[replica].ingesting = false;
                outcome.next.extend(self.next_group(replica));
            }
            // The next round is the retry.
            Work::Heartbeats(beats) => {
                for (agent, connection) in beats {
                    let session = self.replicas[replica].sessions.get_mut(agent);
                    if let Some(session) = session.filter(|it| it.connection == *connection) {
                        session.beat = true;
                    }
                }
            }
            Work::Lease(task) => self.idle(replica, *task),
            Work::Liveness { .. } | Work::Stale { .. } => self.idle(replica, Task::Liveness),
            Work::Planner { .. } => self.idle(replica, Task::Planner),
            Work::Correlate { .. } => self.idle(replica, Task::Correlator),
            // Schedulers look for unsigned orders again and again.
            Work::Sign => outcome.again = Some((work, attempt, SIGN_AGAIN_MS)),
        }
        outcome
    }

    /// Orders for the sessions of a replica that they were not sent yet.
    pub fn new_orders(&mut self, cast: &Cast, replica: usize, now: i64) -> Vec<(u64, Burst)> {
        let clock = self.clock(now);
        let mut new = Vec::new();
        for (agent, session) in &mut self.replicas[replica].sessions {
            for (id, order) in bursts::open_orders(&self.db, cast, *agent, clock) {
                if session.orders.insert(id) {
                    new.push((session.connection, order));
                }
            }
        }
        new
    }
}

fn busy(waiting: &Waiting) -> Answer {
    Answer::Refused(hyperverge_protocol::wire::Refusal {
        code: hyperverge_protocol::wire::RefusalCode::Busy.into(),
        lane: waiting.batch.lane,
        number: waiting.batch.number,
        retry_after_ms: 1_000,
        ..Default::default()
    })
}

/// Only the newest session speaks for its agent.
fn heartbeat(db: &mut Database, agent: AgentIndex, connection: u64, now: i64) {
    let known = db.heartbeats.get(&agent).map_or(0, |beat| beat.connection);
    if known <= connection {
        db.heartbeats.put(agent, HeartbeatRow { at: now, connection });
    }
}

impl Replica {
    fn new() -> Self {
        Self {
            up: true,
            epoch: 0,
            paused_until: None,
            queue: VecDeque::new(),
            ingesting: false,
            listening: None,
            cursor: None,
            compared: None,
            sessions: BTreeMap::new(),
            busy: Vec::new(),
            woken: Vec::new(),
        }
    }

    /// Whether it does anything at `now`.
    pub fn runs(&self, now: i64) -> bool {
        self.up && self.paused_until.is_none_or(|until| now >= until)
    }

    /// The process ends; its sessions are gone.
    pub fn crash(&mut self) {
        *self = Self { up: false, epoch: self.epoch + 1, ..Self::new() };
    }

    fn listen(&mut self, now: i64) {
        let since = match self.listening {
            Some((since, last)) if now - last <= PAUSE_MS && now >= last => since,
            _ => now,
        };
        self.listening = Some((since, now));
    }
}
