//! The loop while something else is going on.

use super::*;
use crate::assignments::HeldAssignment;
use crate::probe::CheckId;
use crate::spool;
use hyperverge_agent_core::spool::SpoolLimits;
use hyperverge_protocol::monitor::MonitorSpec;
use hyperverge_protocol::outcome::{Observation, Outcome};
use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex};
use uuid::Uuid;

const NEW: u128 = 3_000;
/// Checks of the old monitor that must be made while the new ones are prepared.
const MEANWHILE: u32 = 3;
/// Nothing here takes so long unless it never comes.
const NEVER: Duration = Duration::from_secs(20);

/// Preparing the first new monitor takes until the old one was checked some more.
#[derive(Default)]
struct Patient {
    checks: Mutex<u32>,
    checked: Condvar,
    /// Checks of the old monitor when the first new one was prepared.
    waited_for: Mutex<Option<u32>>,
    prepared: Mutex<BTreeMap<String, u32>>,
}

impl Prober for Patient {
    type Prepared = ();

    fn prepare(&self, spec: &MonitorSpec) {
        *self.prepared.lock().expect("notes").entry(spec.name.clone()).or_default() += 1;
        if spec.name != "new-1" {
            return;
        }
        let checks = self.checks.lock().expect("a number");
        let wanted = *checks + MEANWHILE;
        let (checks, _) =
            self.checked.wait_timeout_while(checks, NEVER, |n| *n < wanted).expect("a number");
        *self.waited_for.lock().expect("notes") = Some(MEANWHILE + *checks - wanted);
    }

    async fn run(&self, (): &(), check: CheckId<'_>) -> Observation {
        if check.monitor_name == "old" {
            *self.checks.lock().expect("a number") += 1;
            self.checked.notify_all();
        }
        Observation::bare(Outcome::Ok, None, "")
    }
}

fn held(monitor: u128, name: &str, interval_ms: i64) -> HeldAssignment {
    HeldAssignment {
        monitor: Uuid::from_u128(monitor),
        revision: 1,
        anchor_ms: 0,
        interval_ms,
        first_slot: 0,
        spec_json: format!(r#"{{"name": "{name}", "target": "https://example.com/"}}"#).into(),
    }
}

fn set(version: u64, new: u128) -> Arc<HeldSet> {
    let new = (1..=new).map(|id| held(id, &format!("new-{id}"), 3_600_000));
    let assignments = std::iter::once(held(0, "old", 20)).chain(new).collect();
    Arc::new(HeldSet {
        version,
        issued_ms: 1,
        lifetime_ms: 3_600_000,
        region: "here".into(),
        assignments,
    })
}

async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let asking = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(NEVER, asking).await.unwrap_or_else(|_| panic!("never: {what}"));
}

#[tokio::test]
async fn a_set_of_thousands_is_prepared_beside_the_checks_that_are_due() {
    let state = tempfile::tempdir().expect("a directory");
    spool::create(state.path()).expect("made");
    let boot_id = clock::kernel_boot_id();
    let (metrics, status) = (Arc::new(Metrics::new()), Arc::new(Status::default()));
    let key = ed25519_dalek::SigningKey::from_bytes(&[7; 32]);
    let limits = SpoolLimits { bytes: 64 * 1024 * 1024, age_ms: 3_600_000 };
    let (spool, found) =
        Spool::open(state.path(), limits, key, boot_id, metrics.clone()).expect("a spool");
    let around = Surroundings {
        state_dir: state.path().to_owned(),
        boot_id,
        spool: spool.clone(),
        resume: found.resume,
        metrics,
        status: status.clone(),
        caps: Caps { in_flight: 100, per_target: 100 },
    };
    let prober = Arc::new(Patient::default());
    let (inputs, received) = mpsc::channel(8);
    let engine = tokio::spawn(Engine::new(around, prober.clone()).run(received));
    let send = async |version, new| {
        let life = Life::begin(version, boot_id, clock::boot_ms());
        inputs.send(Input::Set(set(version, new), life)).await.expect("the engine");
    };
    send(1, 0).await;
    until("a check", || *prober.checks.lock().expect("a number") > 0).await;
    send(2, NEW).await;
    // It comes while the one before is prepared, and leaves half of that out again.
    send(3, NEW / 2).await;
    until("the last set is in force", || status.set_version.load(Relaxed) == 3).await;
    let (done, stopped) = oneshot::channel();
    inputs.send(Input::Stop(done)).await.expect("the engine");
    stopped.await.expect("it stops in order");
    engine.await.expect("no panic");
    spool.shut_down().await;
    let waited_for = prober.waited_for.lock().expect("notes").expect("prepared");
    assert!(waited_for >= MEANWHILE, "{waited_for} checks were made meanwhile");
    let prepared = prober.prepared.lock().expect("notes");
    assert_eq!(prepared.len() as u128, NEW + 1);
    assert!(prepared.values().all(|times| *times == 1), "what stays is kept: {prepared:?}");
}
