//! The whole engine, asked for several times what its thread can do.
//!
//! What cannot be done is shed before it starts, evenly, and counted. What was
//! started is as true as ever: a healthy target is healthy, and its times are
//! its own.

use hyperverge_agent::assignments::store::Life;
use hyperverge_agent::assignments::{HeldAssignment, HeldSet};
use hyperverge_agent::clock;
use hyperverge_agent::engine::{Engine, Input, Surroundings};
use hyperverge_agent::metrics::Metrics;
use hyperverge_agent::probe::{CheckId, Prepared, ProbeContext, ProbeSettings};
use hyperverge_agent::runner::{CheckName, Prober};
use hyperverge_agent::spool::Spool;
use hyperverge_agent::status::Status;
use hyperverge_agent_core::schedule::Caps;
use hyperverge_agent_core::spool::SpoolLimits;
use hyperverge_protocol::monitor::MonitorSpec;
use hyperverge_protocol::outcome::{Observation, Outcome};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

const MONITORS: u128 = 200;
const INTERVAL_MS: i64 = 100;
/// What each check computes beside asking, so that the thread can make a few
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

    async fn run(&self, prepared: &Prepared, check: CheckName<'_>) -> Observation {
        let began = clock::monotonic();
        while began.elapsed() < WORK {
            std::hint::spin_loop();
        }
        let id = CheckId {
            monitor_name: check.monitor.to_owned(),
            region: check.region.to_owned(),
            slot: check.slot,
        };
        let seen = prepared.run(&self.context, &id).await;
        self.seen.lock().expect("the notes").push((check.monitor.to_owned(), seen.clone()));
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

fn set(address: SocketAddr) -> HeldSet {
    let assignments = (0..MONITORS).map(|index| {
        let spec = format!(r#"{{"name": "m{index}", "target": "http://{address}/"}}"#);
        HeldAssignment {
            monitor: Uuid::from_u128(index),
            revision: 1,
            anchor_ms: i64::try_from(index).expect("small") % INTERVAL_MS,
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

#[tokio::test]
async fn what_cannot_be_done_is_shed_evenly_and_the_rest_is_true() {
    let state = tempfile::tempdir().expect("a directory");
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
        caps: Caps { in_flight: 2_000, per_target: 500 },
    };
    let (inputs, received) = mpsc::channel(8);
    let engine = tokio::spawn(Engine::new(around, prober.clone()).run(received));
    let life = Life::begin(1, boot_id, clock::boot_ms());
    inputs.send(Input::Set(Arc::new(set(target())), life)).await.expect("the engine");
    // Until every monitor had its turn several times, whatever this machine can do.
    let wanted = 6 * usize::try_from(MONITORS).expect("small");
    while prober.seen.lock().expect("the notes").len() < wanted {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let in_flight = metrics.probes_in_flight.get();
    let shed = metrics.missed_slots_total.with_label_values(&["overload"]).get();
    let (done, stopped) = oneshot::channel();
    inputs.send(Input::Stop(done)).await.expect("the engine");
    stopped.await.expect("it stops in order");
    engine.await.expect("no panic");
    spool.shut_down().await;

    let seen = prober.seen.lock().expect("the notes");
    let mut turns: BTreeMap<&str, u32> = BTreeMap::new();
    for (monitor, observation) in seen.iter() {
        assert_eq!(observation.outcome, Outcome::Ok, "{observation:?}");
        *turns.entry(monitor).or_default() += 1;
    }
    assert!(shed > 0, "nothing was shed, so there was no overload");
    let (least, most) = (turns.values().min(), turns.values().max());
    assert_eq!(turns.len() as u128, MONITORS);
    assert!(most.zip(least).is_some_and(|(most, least)| most - least <= 2), "{turns:?}");
    // What waits, waits where it can still be shed.
    assert!(in_flight < 200, "{in_flight} checks were under way at once");
    let mut processing: Vec<_> =
        seen.iter().filter_map(|(_, observation)| observation.phases.processing).collect();
    processing.sort();
    let median = processing[processing.len() / 2];
    assert!(median >= ANSWERS_AFTER - Duration::from_millis(1), "{median:?}");
    assert!(median < ANSWERS_AFTER + Duration::from_millis(10), "{median:?}");
}
