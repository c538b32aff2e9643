//! Sets are taken only when they are ours, signed and newer.

use crate::agent::Host;
use crate::plane::Plane;
use crate::world::{good, monitor};
use bytes::Bytes;
use ed25519_dalek::SigningKey;
use hyperverge_protocol::wire::{Assignment, Outcome};

#[tokio::test(flavor = "multi_thread")]
async fn results_of_an_assigned_monitor_arrive_signed_and_complete() {
    let plane = Plane::start();
    let host = Host::enrolled(&plane).await;
    plane.state().greeting = plane.set(&host.key(), 7, vec![good(1), good(2)]);
    let running = host.run();
    plane.until("six rows", |state| state.rows().len() >= 6).await;
    running.stop().await;
    let state = plane.state();
    assert_eq!(state.wrong, Vec::<String>::new());
    assert_eq!(state.accepted, [7]);
    assert_eq!(state.goodbyes, 1);
    let batches = state.decoded();
    let numbers: Vec<_> = state.batches.keys().filter(|(l, _)| *l == 1).map(|(_, n)| *n).collect();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());
    assert!(batches.iter().all(|batch| !batch.undated && batch.set_version <= 7));
    let through = batches.iter().filter_map(|batch| batch.complete_through_ms).max();
    let through = through.expect("said");
    for assignment in [good(1), good(2)] {
        let monitor = u128::from_be_bytes(assignment.monitor_id[..].try_into().expect("16"));
        let rows: Vec<_> = state.rows().into_iter().filter(|((m, _), _)| *m == monitor).collect();
        let slots: Vec<_> = rows.iter().map(|((_, slot), _)| *slot).collect();
        let whole: Vec<_> = (slots[0]..slots[0] + slots.len() as i64).collect();
        assert_eq!(slots, whole, "no slot twice, none left out");
        for (_, row) in &rows {
            assert_eq!(row.outcome, Outcome::Ok as i32);
            let late_us = row.started_us - row.due_us;
            assert!((-5_000..500_000).contains(&late_us), "started {late_us} us after it was due");
            assert!(row.ended_us >= row.started_us);
        }
        let last_due = rows.last().expect("rows").1.due_us / 1_000;
        assert!(last_due <= through || through + 1_000 > last_due);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_hangs_crashes_or_is_unreadable_stays_alone() {
    let plane = Plane::start();
    let host = Host::enrolled(&plane).await;
    let from_the_future = Assignment {
        spec_json: Bytes::from_static(br#"{"name": "x", "target": "https://a.b/", "quantum": 1}"#),
        ..good(4)
    };
    let set = vec![
        good(1),
        monitor(2, "hung", "https://example.com/"),
        monitor(3, "crash", "https://example.com/"),
        from_the_future,
    ];
    plane.state().greeting = plane.set(&host.key(), 1, set);
    let running = host.run();
    plane
        .until("rows of all four", |state| {
            let rows = state.rows();
            let count = |id| rows.keys().filter(|(m, _)| *m == id).count();
            count(1) >= 4 && count(2) >= 1 && count(3) >= 2 && count(4) >= 2
        })
        .await;
    running.stop().await;
    let state = plane.state();
    let reasons = |id: u128| -> Vec<(i32, String)> {
        let rows = state.rows().into_iter().filter(|((m, _), _)| *m == id);
        rows.map(|(_, row)| (row.outcome, row.reason)).collect()
    };
    let unsupported = Outcome::Unsupported as i32;
    assert!(reasons(1).iter().all(|(outcome, _)| *outcome == Outcome::Ok as i32));
    for id in [2, 3] {
        assert!(reasons(id).iter().all(|r| *r == (unsupported, "agent_fault".into())));
    }
    assert!(reasons(4).iter().all(|r| *r == (unsupported, "unsupported_spec".into())));
    let missed = state.decoded().iter().flat_map(|b| b.missed.clone()).count();
    assert!(missed >= 1, "the hung monitor's later slots are listed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forged_or_older_set_changes_nothing() {
    let plane = Plane::start();
    let host = Host::enrolled(&plane).await;
    let forger = SigningKey::from_bytes(&[66; 32]);
    let (agent, other) = (host.key(), SigningKey::from_bytes(&[67; 32]));
    let mut tampered = plane.set(&agent, 12, vec![good(5)]);
    let last = tampered[1].len() - 1;
    tampered[1][last] ^= 1;
    plane.state().greeting = [
        plane.set(&agent, 10, vec![good(1)]),
        plane.set(&agent, 9, vec![good(2)]),
        plane.set_signed_by(&forger, &agent, 11, vec![good(3)]),
        plane.set(&other, 11, vec![good(4)]),
        tampered,
    ]
    .concat();
    let running = host.run();
    plane.until("rows", |state| state.rows().len() >= 3).await;
    running.stop().await;
    let state = plane.state();
    assert_eq!(state.accepted, [10]);
    assert!(state.rows().keys().all(|(monitor, _)| *monitor == 1), "{:?}", state.rows().keys());
}
