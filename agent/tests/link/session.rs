//! Sessions that go wrong, and numbers that do not agree.

use crate::agent::{Host, until};
use crate::plane::Plane;
use crate::world::good;
use hyperverge_protocol::wire::RefusalCode;

#[tokio::test(flavor = "multi_thread")]
async fn a_frame_over_the_limit_ends_the_session_and_nothing_else() {
    let plane = Plane::start();
    let host = Host::enrolled(&plane).await;
    plane.state().greeting = vec![vec![0xff; 64]];
    let running = host.run();
    plane.until("it comes back", |state| state.hellos.len() >= 2).await;
    plane.state().greeting = plane.set(&host.key(), 1, vec![good(1)]);
    plane.until("rows", |state| state.rows().len() >= 2).await;
    running.stop().await;
    assert_eq!(plane.state().wrong, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_session_is_noticed_and_everything_sent_again() {
    let plane = Plane::start();
    let host = Host::enrolled(&plane).await;
    {
        let mut state = plane.state();
        state.greeting = plane.set(&host.key(), 1, vec![good(1)]);
        state.heartbeat_ms = 500;
        state.comatose = true;
        state.deaf = true;
    }
    let running = host.run();
    plane.until("a batch", |state| !state.heard.is_empty()).await;
    plane.until("a second session", |state| state.hellos.len() >= 2).await;
    {
        let mut state = plane.state();
        state.comatose = false;
        state.deaf = false;
    }
    let heard: Vec<_> = plane.state().heard.keys().copied().collect();
    plane
        .until("what was heard is stored", |state| {
            heard.iter().all(|key| state.batches.contains_key(key))
        })
        .await;
    running.stop().await;
    let state = plane.state();
    assert_eq!(state.wrong, Vec::<String>::new(), "the same bytes");
    assert_eq!(state.hellos[0].process_id, state.hellos[1].process_id);
    assert_eq!(state.hellos[1].set_version, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wiped_spool_goes_on_where_the_control_plane_is() {
    let plane = Plane::start();
    let host = Host::enrolled(&plane).await;
    plane.state().greeting = plane.set(&host.key(), 1, vec![good(1)]);
    let running = host.run();
    plane.until("batches", |state| state.batches.len() >= 3).await;
    running.stop().await;
    let before = plane.state().batches.len();
    std::fs::remove_dir_all(host.config.state_dir.join("spool")).expect("removed");
    let running = host.run();
    plane.until("more batches", |state| state.batches.len() >= before + 2).await;
    running.stop().await;
    assert_eq!(plane.state().wrong, Vec::<String>::new(), "no number twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_lost_on_disk_does_not_stop_its_lane() {
    let plane = Plane::start();
    let host = Host::enrolled(&plane).await;
    {
        let mut state = plane.state();
        state.greeting = plane.set(&host.key(), 1, vec![good(1)]);
        state.deaf = true;
    }
    let running = host.run();
    plane.until("three batches", |state| state.heard.len() >= 3).await;
    running.stop().await;
    spoil_first_record(&host);
    {
        // What was heard of the spoilt batch never reached a commit.
        let mut state = plane.state();
        state.heard.clear();
        state.deaf = false;
    }
    let running = host.run();
    plane
        .until("the lane goes on", |state| {
            state.batches.contains_key(&(1, 1)) && state.batches.keys().any(|(_, n)| *n > 3)
        })
        .await;
    running.stop().await;
    let state = plane.state();
    assert_eq!(state.wrong, Vec::<String>::new());
    let first = &state.decoded()[0];
    assert!(first.number == 1 && first.rows.is_empty(), "filled with nothing");
}

/// Flips a bit in the middle of the first record of the first segment.
fn spoil_first_record(host: &Host) {
    let spool = host.config.state_dir.join("spool");
    let mut segments: Vec<_> = std::fs::read_dir(spool)
        .expect("a spool")
        .map(|entry| entry.expect("listed").path())
        .filter(|path| path.extension().is_some_and(|e| e == "seg"))
        .collect();
    segments.sort();
    let mut bytes = std::fs::read(&segments[0]).expect("readable");
    bytes[16 + 12 + 60] ^= 1;
    std::fs::write(&segments[0], bytes).expect("written");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_is_refused_says_so_and_waits() {
    let plane = Plane::start();
    let host = Host::enrolled(&plane).await;
    plane.state().hello_refusal = Some(RefusalCode::Quarantined);
    let mut process = host.spawn();
    let address = host.listens(1).await;
    until("not ready", async || {
        let answer = host.get(address, "/ready").await;
        (answer.starts_with("HTTP/1.1 503") && answer.contains("refuses this agent")).then_some(())
    })
    .await;
    assert!(host.get(address, "/live").await.starts_with("HTTP/1.1 200"));
    process.kill().await.expect("killed");
    assert_eq!(plane.state().hellos.len(), 1, "it does not knock again at once");
}
