//! The whole engine, asked for several times what its threads can do.
//!
//! What cannot be done is shed before it starts, evenly, and every slot is
//! accounted for. What was started is as true as ever: a healthy target is
//! healthy, and its times are its own.

use hyperverge_agent::assignments::store::Life;
use hyperverge_agent::assignments::{HeldAssignment, HeldSet};
use hyperverge_agent::clock;
use hyperverge_agent::engine::{Engine, Input, Surroundings};
use hyperverge_agent::metrics::Metrics;
use hyperverge_agent::probe::{CheckId, Prepared, ProbeContext, ProbeSettings};
use hyperverge_agent::runner::Prober;
use hyperverge_agent::spool::{self, Spool};
use hyperverge_agent::status::Status;
use hyperverge_agent_core::Lane;
use hyperverge_agent_core::schedule::Caps;
use hyperverge_agent_core::spool::SpoolLimits;
use hyperverge_protocol::monitor::MonitorSpec;
use hyperverge_protocol::outcome::{Observation, Outcome};
use hyperverge_protocol::wire::{Envelope, ResultBatch};
use prost::Message;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

const MONITORS: u128 = 600;
const INTERVAL_MS: i64 = 300;
/// Turns that every monitor has on average before it is enough.
const TURNS: usize = 4;
/// What each check computes beside asking, so that a thread can make a few
/// hundred a second at most, of 2,000 that are due.
const WORK: Duration = Duration::from_millis(2);
/// How long the target takes to answer.
const ANSWERS_AFTER: Duration = Duration::from_millis(20);

/// The real probe, with more to compute; keeps what it saw.
struct Laborious {
    context: ProbeContext,
    seen: Mutex<Vec<(String, Observation)>>,
}

impl Prober for Laborious {
    type Prepared = Prepared;

    fn prepare(&self, spec: &MonitorSpec) -> Prepared {
        Prepared::new(&self.context, spec)
    }

    async fn run(&self, prepared: &Prepared, check: CheckId<'_>) -> Observation {
        let began = clock::monotonic();
        while began.elapsed() < WORK {
            std::hint::spin_loop();
        }
        let seen = prepared.run(&self.context, &check).await;
        self.seen.lock().expect("the notes").push((check.monitor_name.to_owned(), seen.clone()));
        seen
    }
}

/// Answers each connection on a thread of its own, [`ANSWERS_AFTER`] it was asked.
fn target() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound");
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            std::thread::spawn(move || {
                let asked = stream.read(&mut [0; 4096]);
                delay(ANSWERS_AFTER);
                if asked.is_ok() {
                    // The agent stops at some moment, with checks under way.
                    drop(stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"));
                }
            });
        }
    });
    address
}

#[expect(clippy::disallowed_methods, reason = "delays are what this is about")]
fn delay(time: Duration) {
    std::thread::sleep(time);
}

/// Slot 0 of every monitor is due within an interval of `from_ms`.
fn set(address: SocketAddr, from_ms: i64) -> HeldSet {
    let assignments = (0..MONITORS).map(|index| {
        let spec = format!(r#"{{"name": "m{index}", "target": "http://{address}/"}}"#);
        HeldAssignment {
            monitor: Uuid::from_u128(index),
            revision: 1,
            anchor_ms: from_ms + anchor(index),
            interval_ms: INTERVAL_MS,
            first_slot: 0,
            spec_json: spec.into(),
        }
    });
    HeldSet {
        version: 1,
        issued_ms: 0,
        lifetime_ms: 3_600_000,
        region: "here".to_owned(),
        assignments: assignments.collect(),
    }
}

fn anchor(monitor: u128) -> i64 {
    i64::try_from(monitor).expect("small") % INTERVAL_MS
}

/// What one engine did that was asked for more than it can.
struct Overloaded {
    seen: Vec<(String, Observation)>,
    most_in_flight: i64,
    batches: Vec<ResultBatch>,
    from_ms: i64,
}

impl Overloaded {
    /// Until every monitor had its turn several times, whatever this machine can do.
    async fn run() -> Self {
        let state = tempfile::tempdir().expect("a directory");
        spool::create(state.path()).expect("made");
        let boot_id = clock::kernel_boot_id();
        let metrics = Arc::new(Metrics::new());
        let key = ed25519_dalek::SigningKey::from_bytes(&[7; 32]);
        let limits = SpoolLimits { bytes: 64 * 1024 * 1024, age_ms: 3_600_000 };
        let (spool, found) =
            Spool::open(state.path(), limits, key, boot_id, metrics.clone()).expect("a spool");
        let mut settings = ProbeSettings::default();
        settings.egress.allow = vec!["127.0.0.0/8".parse().expect("a network")];
        let prober = Arc::new(Laborious {
            context: ProbeContext::new(settings).expect("a context"),
            seen: Mutex::default(),
        });
        let around = Surroundings {
            state_dir: state.path().to_owned(),
            boot_id,
            spool: spool.clone(),
            resume: found.resume,
            metrics: metrics.clone(),
            status: Arc::new(Status::default()),
            caps: Caps { in_flight: 2_000, per_target: 2_000 },
        };
        let (inputs, received) = mpsc::channel(8);
        let engine = tokio::spawn(Engine::new(around, prober.clone()).run(received));
        let (from_ms, boot_us) = (1_000_000_000_000, clock::boot_us());
        let sample = Input::Sample { sent_us: boot_us, received_us: boot_us, control_ms: from_ms };
        inputs.send(sample).await.expect("the engine");
        let life = Life::begin(1, boot_id, clock::boot_ms());
        inputs.send(Input::Set(Arc::new(set(target(), from_ms)), life)).await.expect("the engine");
        let wanted = TURNS * usize::try_from(MONITORS).expect("small");
        let mut most_in_flight = 0;
        while prober.seen.lock().expect("the notes").len() < wanted {
            tokio::time::sleep(Duration::from_millis(20)).await;
            most_in_flight = most_in_flight.max(metrics.probes_in_flight.get());
        }
        let (done, stopped) = oneshot::channel();
        inputs.send(Input::Stop(done)).await.expect("the engine");
        stopped.await.expect("it stops in order");
        engine.await.expect("no panic");
        let mut batches = Vec::new();
        while let Some(bytes) = spool.read(Lane::Backlog, batches.len() as u64 + 1).await {
            let envelope = Envelope::decode(bytes).expect("an envelope");
            batches.push(ResultBatch::decode(envelope.payload).expect("a batch"));
        }
        spool.shut_down().await;
        let seen = std::mem::take(&mut *prober.seen.lock().expect("the notes"));
        Self { seen, most_in_flight, batches, from_ms }
    }

    fn is_shed_evenly(&self) {
        let mut turns: BTreeMap<&str, u32> = BTreeMap::new();
        for (monitor, _) in &self.seen {
            *turns.entry(monitor).or_default() += 1;
        }
        let mut monitors: BTreeMap<u32, u32> = BTreeMap::new();
        turns.values().for_each(|turns| *monitors.entry(*turns).or_default() += 1);
        let (least, most) = (turns.values().min(), turns.values().max());
        let apart = most.zip(least).map(|(most, least)| most - least);
        assert_eq!(turns.len() as u128, MONITORS);
        assert!(apart <= Some(2), "monitors by how often they had their turn: {monitors:?}");
        // What waits, waits where it can still be shed.
        let most = self.most_in_flight;
        assert!(most < MONITORS as i64 / 2, "{most} checks were under way at once");
    }

    /// Checks made and slots missed are the slots that were due, each of them once.
    fn is_accounted_for(&self) {
        let mut accounted: BTreeMap<(u128, i64), u32> = BTreeMap::new();
        let (mut made, mut missed) = (0, 0);
        let id = |bytes: &[u8]| u128::from_be_bytes(bytes.try_into().expect("16 bytes"));
        for batch in &self.batches {
            for row in &batch.rows {
                made += 1;
                *accounted.entry((id(&row.monitor_id), row.slot)).or_default() += 1;
            }
            for gap in &batch.missed {
                for slot in gap.first_slot..=gap.last_slot {
                    missed += 1;
                    *accounted.entry((id(&gap.monitor_id), slot)).or_default() += 1;
                }
            }
        }
        assert!(missed > 0, "nothing was shed, so there was no overload");
        assert_eq!(made, self.seen.len(), "every check that was made has its row");
        let through = self.batches.iter().filter_map(|batch| batch.complete_through_ms).max();
        let through = through.expect("said") - self.from_ms;
        let due = (0..MONITORS).flat_map(|monitor| {
            let last = (through - anchor(monitor)).div_euclid(INTERVAL_MS);
            (0..=last).map(move |slot| ((monitor, slot), 1))
        });
        let due: BTreeMap<_, _> = due.collect();
        let wrong = |(slot, times): &(_, _)| due.get(slot) != Some(times);
        let wrong: Vec<_> = accounted.iter().map(|(s, t)| (*s, *t)).filter(wrong).collect();
        assert!(wrong.is_empty(), "made or missed more than once, or not due: {wrong:?}");
        assert_eq!(made + missed, due.len(), "made and missed, and due");
    }

    fn is_true(&self) {
        for (_, observation) in &self.seen {
            assert_eq!(observation.outcome, Outcome::Ok, "{observation:?}");
        }
        let processing = self.seen.iter().filter_map(|(_, seen)| seen.phases.processing);
        let mut processing: Vec<_> = processing.collect();
        processing.sort();
        let median = processing[processing.len() / 2];
        assert!(median >= ANSWERS_AFTER - Duration::from_millis(1), "{median:?}");
        assert!(median < ANSWERS_AFTER + Duration::from_millis(10), "{median:?}");
    }
}

#[tokio::test]
async fn one_thread_sheds_evenly_what_it_cannot_do_and_the_rest_is_true() {
    let overloaded = Overloaded::run().await;
    overloaded.is_shed_evenly();
    overloaded.is_accounted_for();
    overloaded.is_true();
}

/// As it is shipped, on a host with more than one CPU.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_threads_shed_evenly_what_they_cannot_do_and_the_rest_is_true() {
    let overloaded = Overloaded::run().await;
    overloaded.is_shed_evenly();
    overloaded.is_accounted_for();
    overloaded.is_true();
}
