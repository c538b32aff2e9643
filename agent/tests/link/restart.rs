//! The real binary, killed and stopped: no sealed batch is lost, no number gets
//! other bytes, and every slot is accounted for.

use crate::agent::{Host, until};
use crate::plane::{Plane, State, now_ms};
use crate::world::refused;
use hyperverge_protocol::wire::{Assignment, ResultBatch};
use std::collections::BTreeSet;

/// Every slot from the first owned to the last that is claimed complete has
/// exactly one row, or is listed as missed.
fn every_slot_is_accounted_for(state: &State, assignment: &Assignment) {
    assert_eq!(state.wrong, Vec::<String>::new());
    let monitor = u128::from_be_bytes(assignment.monitor_id[..].try_into().expect("16 bytes"));
    let through = state.decoded().iter().filter_map(|b: &ResultBatch| b.complete_through_ms).max();
    let last = (through.expect("said") - assignment.anchor_ms).div_euclid(1_000);
    let (rows, missed) = state.accounted(monitor);
    assert!(last > assignment.first_slot, "some time passed");
    for slot in assignment.first_slot..=last {
        match rows.get(&slot) {
            Some(times) => assert_eq!(*times, 1, "slot {slot} has one row"),
            None => assert!(missed.contains(&slot), "slot {slot} is neither there nor missed"),
        }
    }
    let both: Vec<_> = missed.iter().filter(|slot| rows.contains_key(slot)).collect();
    assert_eq!(both, Vec::<&i64>::new(), "a slot with a row is not missed");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_sealed_before_a_kill_arrives_after_it() {
    let plane = Plane::start();
    let host = Host::enrolled(&plane).await;
    let monitor = refused(1);
    {
        let mut state = plane.state();
        state.greeting = plane.set(&host.key(), 1, vec![monitor.clone()]);
        state.deaf = true;
    }
    let mut process = host.spawn();
    plane.until("three batches", |state| state.heard.len() >= 3).await;
    process.kill().await.expect("killed");
    let sealed: BTreeSet<_> = plane.state().heard.keys().copied().collect();
    plane.state().deaf = false;
    let mut process = host.spawn();
    plane
        .until("they are stored", |state| {
            sealed.iter().all(|key| state.batches.contains_key(key)) && state.rows().len() >= 5
        })
        .await;
    let acknowledged = until("the log says so", async || {
        host.log().lines().find(|line| line.contains("batch acknowledged")).map(str::to_owned)
    })
    .await;
    process.kill().await.expect("killed");
    let state = plane.state();
    every_slot_is_accounted_for(&state, &monitor);
    assert!(state.rows().values().all(|row| row.reason == "connect_refused"));
    let event: serde_json::Value = serde_json::from_str(&acknowledged).expect("JSON");
    assert!(event["lane"].is_string() && event["number"].is_u64() && event["stored"].is_u64());
    let slots: Vec<(uuid::Uuid, u64, i64)> =
        serde_json::from_str(event["slots"].as_str().expect("text")).expect("JSON in it");
    assert!(slots.iter().all(|(id, revision, _)| id.as_u128() == 1 && *revision == 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_restarts_alone_keeps_probing() {
    let plane = Plane::start();
    let host = Host::enrolled(&plane).await;
    let monitor = refused(1);
    plane.state().greeting = plane.set(&host.key(), 4, vec![monitor.clone()]);
    let mut process = host.spawn();
    plane.until("rows", |state| state.rows().len() >= 2).await;
    until("the clock is kept", async || {
        host.config.state_dir.join("clock.json").exists().then_some(())
    })
    .await;
    plane.vanish();
    process.kill().await.expect("killed");
    let mut process = host.spawn();
    let address = host.listens(2).await;
    until("backlog", async || {
        let metrics = host.get(address, "/metrics").await;
        let line =
            metrics.lines().find(|l| l.starts_with("agent_batches_sealed_total{lane=\"backlog\"}"));
        line.and_then(|l| l.rsplit(' ').next()?.parse::<u64>().ok()).filter(|count| *count >= 3)
    })
    .await;
    assert!(host.get(address, "/ready").await.starts_with("HTTP/1.1 200"), "spooling is work");
    plane.revive();
    plane
        .until("backlog and live rows", |state| {
            let with_rows = |lane| {
                state.decoded().iter().filter(|b| b.lane == lane && !b.rows.is_empty()).count()
            };
            with_rows(2) >= 2 && with_rows(1) >= 3
        })
        .await;
    process.kill().await.expect("killed");
    let state = plane.state();
    every_slot_is_accounted_for(&state, &monitor);
    assert!(state.decoded().iter().all(|batch| !batch.undated), "the same boot can date");
    assert_eq!(state.hellos.last().expect("came back").set_version, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_boot_that_never_met_the_control_plane_dates_nothing() {
    let plane = Plane::start();
    let host = Host::enrolled(&plane).await;
    let monitor = refused(1);
    plane.state().greeting = plane.set(&host.key(), 4, vec![monitor.clone()]);
    let mut process = host.spawn();
    plane.until("rows", |state| state.rows().len() >= 2).await;
    let clock = host.config.state_dir.join("clock.json");
    until("the clock is kept", async || clock.exists().then_some(())).await;
    plane.vanish();
    process.kill().await.expect("killed");
    // As after a reboot: what was measured belongs to another boot.
    let saved = std::fs::read_to_string(&clock).expect("there");
    let mut saved: serde_json::Value = serde_json::from_str(&saved).expect("JSON");
    saved["boot_id"] = vec![0u8; 16].into();
    std::fs::write(&clock, saved.to_string()).expect("written");
    let mut process = host.spawn();
    let address = host.listens(2).await;
    until("probes run", async || {
        let metrics = host.get(address, "/metrics").await;
        let line = metrics.lines().find(|l| l.contains("checks_executed_total{outcome=\"fail\"}"));
        line.and_then(|l| l.rsplit(' ').next()?.parse::<u64>().ok()).filter(|count| *count >= 3)
    })
    .await;
    plane.revive();
    plane
        .until("dated rows again", |state| {
            let batches = state.decoded();
            let undated: usize = batches.iter().filter(|b| b.undated).map(|b| b.rows.len()).sum();
            let through = batches.iter().filter_map(|b| b.complete_through_ms).max();
            undated >= 2
                && state.hellos.len() >= 2
                && through > Some(now_ms() - 3_000)
                && state.rows().len() >= 7
        })
        .await;
    terminate(&mut process).await;
    let state = plane.state();
    assert_eq!(state.wrong, Vec::<String>::new());
    let (undated, dated): (Vec<_>, Vec<_>) =
        state.decoded().into_iter().partition(|batch| batch.undated);
    assert!(undated.iter().all(|b| b.complete_through_ms.is_none() && b.missed.is_empty()));
    let far = monitor.first_slot;
    let slots = |batches: &[ResultBatch]| -> Vec<i64> {
        batches.iter().flat_map(|b| &b.rows).map(|row| row.due_us / 1_000).collect()
    };
    assert!(slots(&undated).iter().all(|due_ms| *due_ms < monitor.anchor_ms), "boot time");
    assert!(slots(&dated).iter().all(|due_ms| *due_ms >= monitor.anchor_ms + far * 1_000));
    let mut batches = state.batches.clone();
    batches.retain(|_, payload| !decode(payload).undated);
    let known = State { batches, ..State::default() };
    every_slot_is_accounted_for(&known, &monitor);
}

fn decode(payload: &bytes::Bytes) -> ResultBatch {
    prost::Message::decode(payload.clone()).expect("a batch")
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_again_and_again() {
    let plane = Plane::start();
    let host = Host::enrolled(&plane).await;
    let monitors = vec![refused(1), refused(2), refused(3)];
    plane.state().greeting = plane.set(&host.key(), 1, monitors.clone());
    for round in 1..=6 {
        let mut process = host.spawn();
        let before = plane.state().arrivals.len();
        // Not always in the same place: after one, two or three more batches.
        let after = before + 1 + round % 3;
        plane.until("batches", |state| state.arrivals.len() >= after).await;
        process.kill().await.expect("killed");
    }
    let mut process = host.spawn();
    let before = plane.state().arrivals.len();
    plane.until("the last round", |state| state.arrivals.len() >= before + 4).await;
    terminate(&mut process).await;
    let state = plane.state();
    monitors.iter().for_each(|monitor| every_slot_is_accounted_for(&state, monitor));
    assert_eq!(state.goodbyes, 1);
}

/// Asks it to stop, and sees that it does so well.
async fn terminate(process: &mut tokio::process::Child) {
    let id = rustix::process::Pid::from_raw(process.id().expect("runs") as i32).expect("a pid");
    rustix::process::kill_process(id, rustix::process::Signal::TERM).expect("sent");
    let status = tokio::time::timeout(std::time::Duration::from_secs(15), process.wait()).await;
    assert!(status.expect("in time").expect("waited for").success());
}
