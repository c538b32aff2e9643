//! Confirmation bursts over the link: what is ordered is done, once.

use crate::agent::Host;
use crate::plane::{Plane, burst, now_ms};
use crate::world::{good, monitor};
use bytes::Bytes;
use ed25519_dalek::SigningKey;
use hyperverge_protocol::wire::{Assignment, BurstOrder};

/// A monitor of an hour, so that what comes in a test is confirmation.
fn rare(id: u128, name: &str) -> Assignment {
    let spec =
        format!(r#"{{"name": "{name}", "target": "https://example.com/", "interval": "1h"}}"#);
    let anchor_ms = now_ms() - 1_000;
    let spec_json = Bytes::from(spec);
    Assignment { spec_json, anchor_ms, interval_ms: 3_600_000, first_slot: 1, ..good(id) }
}

fn order(id: u128, monitor: u128, failures: u32) -> BurstOrder {
    BurstOrder {
        burst_id: Bytes::copy_from_slice(&id.to_be_bytes()),
        monitor_id: Bytes::copy_from_slice(&monitor.to_be_bytes()),
        revision: 1,
        failures,
        asked_ms: now_ms(),
        expires_ms: now_ms() + 60_000,
        ..BurstOrder::default()
    }
}

fn outcomes(plane: &Plane, id: u128) -> Vec<(u32, String)> {
    let rows = plane.state().confirmed(id);
    rows.into_iter().map(|row| (row.burst_index, row.reason)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_ordered_is_looked_at_at_once_and_again() {
    let plane = Plane::start();
    let host = Host::enrolled(&plane).await;
    let (agent, signer) = (host.key(), &plane.assignment_key);
    plane.state().greeting = [
        plane.set(&agent, 1, vec![rare(1, "down"), rare(2, "good")]),
        vec![burst(signer, &agent, order(7, 1, 3)), burst(signer, &agent, order(8, 2, 3))],
    ]
    .concat();
    let running = host.run();
    plane
        .until("three failures and a success", |state| {
            state.confirmed(7).len() == 3 && !state.confirmed(8).is_empty()
        })
        .await;
    running.stop().await;
    let state = plane.state();
    assert!(state.hellos[0].capabilities.contains(&"burst:1".to_owned()));
    let failures = state.confirmed(7);
    for (index, row) in (1..).zip(&failures) {
        assert_eq!((row.burst_index, row.reason.as_str()), (index, "connect_refused"));
        assert_eq!(
            (row.slot, row.due_us),
            (0, row.started_us),
            "slot 0 is not ours, yet the newest"
        );
    }
    let gaps = failures.windows(2).map(|pair| pair[1].started_us - pair[0].ended_us);
    // Less a little, by which our idea of the time may move in between.
    assert!(gaps.min() >= Some(900_000));
    let successes: Vec<_> = state.confirmed(8).iter().map(|row| row.burst_index).collect();
    assert_eq!(successes, [1], "one success is enough");
    assert!(state.rows().is_empty() && state.decoded().iter().all(|b| b.missed.is_empty()));
    assert_eq!(state.wrong, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_ordered_here_and_now_does_not_run() {
    let plane = Plane::start();
    let host = Host::enrolled(&plane).await;
    let (agent, signer) = (host.key(), &plane.assignment_key);
    let (forger, other) = (SigningKey::from_bytes(&[66; 32]), SigningKey::from_bytes(&[67; 32]));
    let mut tampered = burst(signer, &agent, order(3, 1, 1));
    let last = tampered.len() - 1;
    tampered[last] ^= 1;
    let expired = BurstOrder { expires_ms: now_ms() - 1, ..order(4, 1, 1) };
    let endless = BurstOrder { expires_ms: now_ms() + 86_400_000, ..order(5, 1, 1) };
    let newer = BurstOrder { revision: 2, ..order(6, 1, 1) };
    let nameless = BurstOrder { burst_id: Bytes::from_static(b"short"), ..order(7, 1, 1) };
    plane.state().greeting = [
        plane.set(&agent, 1, vec![rare(1, "down")]),
        vec![
            burst(&forger, &agent, order(1, 1, 1)),
            burst(signer, &other, order(2, 1, 1)),
            tampered,
            burst(signer, &agent, expired),
            burst(signer, &agent, endless),
            burst(signer, &agent, newer),
            burst(signer, &agent, nameless),
            burst(signer, &agent, order(8, 9, 1)),
            burst(signer, &agent, order(9, 1, 1)),
        ],
    ]
    .concat();
    let running = host.run();
    plane.until("the last one", |state| !state.confirmed(9).is_empty()).await;
    running.stop().await;
    let rows = plane.state().decoded().into_iter().flat_map(|batch| batch.rows);
    assert_eq!(rows.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_comes_again_is_not_done_again() {
    let plane = Plane::start();
    let host = Host::enrolled(&plane).await;
    let (agent, signer) = (host.key(), &plane.assignment_key);
    let first = burst(signer, &agent, order(1, 1, 1));
    let set = plane.set(&agent, 1, vec![rare(1, "down")]);
    plane.state().greeting = [set.clone(), vec![first.clone(), first.clone()]].concat();
    let running = host.run();
    plane.until("its answer", |state| !state.confirmed(1).is_empty()).await;
    plane.state().greeting = vec![first, burst(signer, &agent, order(2, 1, 1))];
    plane.vanish();
    plane.revive();
    plane.until("the answer of another", |state| !state.confirmed(2).is_empty()).await;
    running.stop().await;
    for id in [1, 2] {
        assert_eq!(outcomes(&plane, id), [(1, "connect_refused".to_owned())]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn slots_stay_accounted_for_beside_a_burst() {
    let plane = Plane::start();
    let host = Host::enrolled(&plane).await;
    let (agent, signer) = (host.key(), &plane.assignment_key);
    let every_second = monitor(1, "down", "https://example.com/");
    plane.state().greeting =
        [plane.set(&agent, 1, vec![every_second]), vec![burst(signer, &agent, order(1, 1, 4))]]
            .concat();
    let running = host.run();
    plane
        .until("the burst and its slots", |state| {
            state.confirmed(1).len() == 4 && state.rows().len() >= 4
        })
        .await;
    running.stop().await;
    let state = plane.state();
    let rows: Vec<i64> = state.rows().keys().map(|(_, slot)| *slot).collect();
    let (_, missed) = state.accounted(1);
    let first = rows.iter().chain(&missed).min().copied().expect("rows");
    let through = rows.iter().max().copied().expect("rows");
    for slot in first..=through {
        let seen = usize::from(rows.contains(&slot)) + usize::from(missed.contains(&slot));
        assert_eq!(seen, 1, "slot {slot}");
    }
}
