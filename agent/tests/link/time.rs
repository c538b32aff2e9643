//! Whoever judges by time of day is told control-plane time, not the host's own.

use crate::agent::{Host, until};
use crate::plane::{Plane, now_ms};
use hyperverge_agent::clock;
use hyperverge_agent::probe::CheckId;
use hyperverge_agent::runner::Prober;
use hyperverge_protocol::monitor::MonitorSpec;
use hyperverge_protocol::outcome::{Observation, Outcome};
use std::sync::{Arc, Mutex};

/// What it was told, as control-plane time of the moment, milliseconds.
#[derive(Default)]
struct Told(Mutex<Option<i64>>);

impl Prober for Told {
    type Prepared = ();

    fn prepare(&self, _: &MonitorSpec) {}

    fn handle_offset(&self, offset_us: i64) {
        *self.0.lock().expect("the note") = Some((clock::boot_us() + offset_us) / 1_000);
    }

    async fn run(&self, (): &(), _: CheckId<'_>) -> Observation {
        Observation::bare(Outcome::Ok, None, "")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_prober_learns_the_time_in_a_session_and_at_a_restart() {
    let plane = Plane::start();
    let host = Host::enrolled(&plane).await;
    let is_right = |told: i64| assert!((told - now_ms()).abs() < 10_000, "{told}");
    let told = Arc::new(Told::default());
    let running = host.run_with(Arc::clone(&told));
    is_right(until("a sample", async || *told.0.lock().expect("the note")).await);
    running.stop().await;
    // The same boot knows it before it meets anybody.
    plane.vanish();
    let told = Arc::new(Told::default());
    let running = host.run_with(Arc::clone(&told));
    is_right(until("the kept offset", async || *told.0.lock().expect("the note")).await);
    running.stop().await;
}
