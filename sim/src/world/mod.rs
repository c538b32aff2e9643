//! One run: everybody, on one virtual clock, in one thread.
//!
//! [`World::run`] takes event after event. Nothing in here decides anything about
//! monitors: agents and control plane do, with the product's own code, and
//! [`truth`] says how the targets really are.

pub mod cast;
pub mod link;
pub mod truth;

mod agents;
mod controls;
mod retries;
mod trouble;

use crate::agent::{Agent, Check, Down, Up};
use crate::control::ingest::Waiting;
use crate::control::note::{Note, Seen};
use crate::control::{Control, Pending, Task, Work};
use crate::queue::Queue;
use crate::random::{Random, Stream};
use crate::reference::{At, Reference};
use crate::rule::{Fleet, Rule, RulePage};
use crate::scenario::Scenario;
use cast::{AgentIndex, Cast};
use hyperverge_agent_core::schedule::Ticket;
use link::Links;
use truth::{Answer, Truth};

pub use retries::Retries;

/// How a run is made.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    pub seed: u64,
    /// The product's rule decides; else only the rules that watch do.
    pub decides: bool,
}

/// What happens.
#[derive(Debug)]
pub(crate) enum Event {
    Wake { agent: AgentIndex, epoch: u64 },
    Answered { agent: AgentIndex, epoch: u64, ticket: Ticket, check: Check, answer: Answer },
    Connect { agent: AgentIndex, epoch: u64 },
    Connected { agent: AgentIndex, epoch: u64, connection: u64 },
    Up { connection: u64, message: Up },
    Down { connection: u64, message: Down },
    Task { replica: usize, epoch: u64, task: Task },
    Commit(Box<Pending>),
    Again { replica: usize, epoch: u64, work: Work, attempt: u32 },
    FaultBegins(usize),
    FaultEnds(usize),
    Tick,
}

/// A connection between an agent and a replica.
#[derive(Debug, Clone, Copy)]
struct Connection {
    agent: AgentIndex,
    replica: usize,
    /// The replica's process that took it.
    epoch: u64,
}

/// Something that happened, for the report.
#[derive(Debug, Clone)]
pub struct Line {
    /// ms since the start.
    pub at: i64,
    pub note: Note,
}

/// A page of a rule that watches.
#[derive(Debug, Clone)]
pub struct RuleLine {
    /// ms since the start.
    pub at: i64,
    /// Which rule, in the order of [`World::watch`].
    pub rule: usize,
    pub page: RulePage,
}

/// Counts of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counts {
    pub events: u64,
    /// Checks that were made, those of bursts counted too.
    pub checks: u64,
    pub burst_checks: u64,
    pub batches: u64,
    pub transactions: u64,
    /// Transactions that met another and were tried again.
    pub conflicts: u64,
    pub connects: u64,
}

/// See the module's head.
#[derive(Debug)]
pub struct World {
    pub now: i64,
    pub scenario: Scenario,
    pub cast: Cast,
    pub truth: Truth,
    pub control: Control,
    pub agents: Vec<Agent>,
    pub lines: Vec<Line>,
    pub rule_lines: Vec<RuleLine>,
    pub counts: Counts,
    pub reference: Reference,
    pub(crate) queue: Queue<Event>,
    links: Links,
    connections: Vec<Connection>,
    /// By agent: whether it has a session.
    connected: Vec<bool>,
    probes: Random,
    rules: Vec<Box<dyn Rule>>,
    retries: Option<Retries>,
}

impl World {
    /// A world at its beginning.
    pub fn new(scenario: &Scenario, options: Options) -> Self {
        let cast = Cast::of(scenario, options.seed);
        let truth = Truth::of(scenario, &cast);
        let mut world = Self {
            now: 0,
            control: Control::new(&cast, options.decides),
            agents: (0..cast.agents.len()).map(Agent::new).collect(),
            lines: Vec::new(),
            rule_lines: Vec::new(),
            counts: Counts::default(),
            reference: Reference::new(scenario, &cast),
            queue: Queue::default(),
            links: Links::new(scenario, &cast),
            connections: Vec::new(),
            connected: vec![false; cast.agents.len()],
            probes: Random::new(options.seed, Stream::Probes),
            rules: Vec::new(),
            retries: None,
            scenario: scenario.clone(),
            cast,
            truth,
        };
        world.begin();
        world
    }

    /// Lets a rule watch; its place is its number in [`RuleLine::rule`].
    pub fn watch(&mut self, rule: Box<dyn Rule>) {
        self.rules.push(rule);
    }

    /// The rules that watch.
    pub fn rules(&self) -> &[Box<dyn Rule>] {
        &self.rules
    }

    fn begin(&mut self) {
        for (index, extent) in self.truth.extents.iter().enumerate() {
            self.queue.push(extent.from, Event::FaultBegins(index));
            self.queue.push(extent.until, Event::FaultEnds(index));
        }
        for replica in 0..self.control.replicas.len() {
            self.start_tasks(replica);
        }
        for agent in 0..self.agents.len() {
            let actions = self.agents[agent].start(0);
            self.act(agent, actions);
        }
        self.queue.push(1_000, Event::Tick);
    }

    /// Runs to the end.
    pub fn run(&mut self) {
        while let Some((at, event)) = self.queue.pop() {
            if at > self.scenario.duration {
                break;
            }
            self.now = at;
            self.counts.events += 1;
            self.happen(event);
        }
        self.now = self.scenario.duration;
        let waiting: Vec<(AgentIndex, usize)> =
            self.agents.iter().map(|agent| (agent.index, agent.disk.batches.len())).collect();
        let (cast, truth, control) = (&self.cast, &self.truth, &self.control);
        let at = At { cast, truth, control, now: self.now };
        self.reference.finish(&at, &waiting);
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Wake { .. } | Event::Answered { .. } | Event::Down { .. } => {
                self.agent_event(event);
            }
            Event::Connect { .. } | Event::Connected { .. } => self.agent_event(event),
            Event::Up { .. } | Event::Task { .. } | Event::Commit(_) | Event::Again { .. } => {
                self.control_event(event);
            }
            Event::FaultBegins(index) => self.fault_begins(index),
            Event::FaultEnds(index) => self.fault_ends(index),
            Event::Tick => self.tick(),
        }
    }

    fn tick(&mut self) {
        let clock = self.control.clock(self.now);
        let fleet = Fleet { cast: &self.cast, connected: &self.connected };
        for (index, rule) in self.rules.iter_mut().enumerate() {
            let mut pages = Vec::new();
            rule.tick(&fleet, clock, &mut pages);
            let line = |page| RuleLine { at: self.now, rule: index, page };
            self.rule_lines.extend(pages.into_iter().map(line));
        }
        if self.control.decides() {
            let (cast, truth, control) = (&self.cast, &self.truth, &self.control);
            self.reference.tick(&At { cast, truth, control, now: self.now });
        }
        self.queue.push(self.now + 1_000, Event::Tick);
    }

    /// Writes down what a committed transaction did. What it stored became known all at
    /// once, so it is told in the order in which it was seen.
    fn note(&mut self, mut notes: Vec<Note>) {
        notes.sort_by_key(|note| match note {
            Note::Stored(seen) => (0, seen.started_at),
            _ => (1, 0),
        });
        for note in notes {
            let (cast, truth, control) = (&self.cast, &self.truth, &self.control);
            self.reference.note(&At { cast, truth, control, now: self.now }, &note);
            match note {
                Note::Stored(seen) => self.observed(&seen),
                Note::Batch { .. } => self.counts.batches += 1,
                note => self.lines.push(Line { at: self.now, note }),
            }
        }
    }

    fn observed(&mut self, seen: &Seen) {
        let clock = self.control.clock(self.now);
        let fleet = Fleet { cast: &self.cast, connected: &self.connected };
        for (index, rule) in self.rules.iter_mut().enumerate() {
            let mut pages = Vec::new();
            rule.observe(seen, &fleet, clock, &mut pages);
            let line = |page| RuleLine { at: self.now, rule: index, page };
            self.rule_lines.extend(pages.into_iter().map(line));
        }
    }

    fn connection(&self, number: u64) -> Option<Connection> {
        self.connections.get(usize::try_from(number).ok()?).copied()
    }

    fn waiting(
        connection: u64,
        agent: AgentIndex,
        batch: std::sync::Arc<hyperverge_protocol::wire::ResultBatch>,
    ) -> Waiting {
        Waiting { agent, connection, batch }
    }
}
