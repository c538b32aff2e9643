//! From rows to verdicts and incidents, in the transaction that stores them.

use crate::back_ends::on_both;
use crate::fleet::{Fleet, row};
use hyperverge_control_core::correlation::{Scope, Verdict};
use hyperverge_control_core::incident::IncidentState;
use hyperverge_control_core::notification::NoticeKind;
use hyperverge_control_plane::ingest::ingest;
use hyperverge_control_plane::store::assignments::{self, StoredSet};
use hyperverge_control_plane::store::intents;
use hyperverge_control_plane::verdicts;
use hyperverge_protocol::wire::{MissedReason, MissedSlots, Outcome, ResultBatch};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const ROWS: &str = "SELECT COUNT(*) AS n FROM region_states";

/// Every probe reports `outcomes` for the next slots.
async fn all_see(fleet: &mut Fleet, monitor: Uuid, outcomes: &[Outcome]) {
    let slot = fleet.slot;
    for probe in 0..fleet.probes.len() {
        let rows =
            (slot..).zip(outcomes).map(|(slot, outcome)| row(monitor, slot, *outcome)).collect();
        fleet.report(probe, rows).await;
    }
    fleet.slot += outcomes.len() as i64;
}

#[tokio::test]
async fn steady_success_is_up_and_writes_no_state() {
    on_both(async |store| {
        let mut fleet = Fleet::new(store, 3).await;
        let monitor = fleet.monitor("shop").await;
        assert_eq!(fleet.state(monitor).await.verdict, Verdict::Unknown);
        all_see(&mut fleet, monitor, &[Outcome::Ok]).await;
        let state = fleet.state(monitor).await;
        assert_eq!((state.verdict, state.scope), (Verdict::Up, None));
        all_see(&mut fleet, monitor, &[Outcome::Ok; 5]).await;
        assert_eq!(fleet.state(monitor).await.generation, state.generation);
        assert_eq!(fleet.count(ROWS).await, 0);
        assert!(fleet.incidents().await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn one_region_is_quiet_all_regions_page_once_and_recovery_resolves() {
    on_both(async |store| {
        let mut fleet = Fleet::new(store, 3).await;
        let monitor = fleet.monitor("shop").await;
        all_see(&mut fleet, monitor, &[Outcome::Ok; 2]).await;
        let first = fleet.slot;
        let fail = |n: i64| row(monitor, first + n, Outcome::Fail);

        fleet.report(0, vec![fail(0)]).await;
        assert!(fleet.incidents().await.is_empty(), "one failure is no streak");
        fleet.report(0, vec![fail(1)]).await;
        let quiet = fleet.incidents().await.remove(0);
        assert_eq!((quiet.scope, quiet.verdict, quiet.paged), (Scope::Local, Verdict::Up, false));
        assert_eq!(quiet.started_at, first * 1_000 + 1, "the streak's first observation");

        fleet.report(1, vec![fail(0), fail(1)]).await;
        fleet.report(2, vec![fail(0), fail(1)]).await;
        fleet.slot += 2;
        let wide = fleet.incidents().await;
        assert_eq!(wide.len(), 1);
        assert_eq!((wide[0].id, wide[0].scope), (quiet.id, Scope::Global));
        assert_eq!(fleet.state(monitor).await.verdict, Verdict::Down);
        assert_eq!(wide[0].summary, "shop is down in 3 of 3 regions: connection refused");
        let mut tx = fleet.shared.store.read().await.unwrap();
        let waiting = intents::unsettled(&mut tx, fleet.organisation, quiet.id).await.unwrap();
        drop(tx);
        let asked: Vec<_> = waiting.iter().map(|i| (i.intent.kind, i.intent.quiet)).collect();
        let (quietly, loudly) = ((NoticeKind::Opened, true), (NoticeKind::Opened, false));
        assert_eq!(asked, [quietly, loudly], "first for routes that name it, then for people");

        all_see(&mut fleet, monitor, &[Outcome::Ok]).await;
        assert_eq!(
            fleet.incidents().await[0].state,
            IncidentState::Open,
            "one success is no streak"
        );
        all_see(&mut fleet, monitor, &[Outcome::Ok]).await;
        let over = fleet.incidents().await;
        assert_eq!((over.len(), over[0].state), (1, IncidentState::Resolved));
        assert_eq!(fleet.state(monitor).await.verdict, Verdict::Up);
        all_see(&mut fleet, monitor, &[Outcome::Ok]).await;
        assert_eq!(fleet.count(ROWS).await, 0, "steady again, so nothing is stored");
    })
    .await;
}

#[tokio::test]
async fn disorder_and_copies_do_not_move_a_state() {
    on_both(async |store| {
        let mut fleet = Fleet::new(store, 1).await;
        let monitor = fleet.monitor("shop").await;
        let first = fleet.slot;
        let at = |n: i64, outcome| row(monitor, first + n, outcome);
        fleet.report(0, vec![at(5, Outcome::Ok)]).await;
        fleet.report(0, vec![at(1, Outcome::Fail), at(2, Outcome::Fail)]).await;
        assert_eq!(fleet.count(ROWS).await, 0, "older than what is known");
        fleet.report(0, vec![at(7, Outcome::Fail), at(6, Outcome::Ok)]).await;
        fleet.report(0, vec![at(7, Outcome::Fail), at(6, Outcome::Fail)]).await;
        assert!(fleet.incidents().await.is_empty(), "a copy is no second failure");
        fleet.report(0, vec![at(8, Outcome::Fail)]).await;
        assert_eq!(fleet.incidents().await.len(), 1);
        fleet.report(0, vec![at(3, Outcome::Ok), at(4, Outcome::Ok)]).await;
        assert_eq!(fleet.state(monitor).await.verdict, Verdict::Down);
    })
    .await;
}

#[tokio::test]
async fn policy_and_missed_slots_are_about_us() {
    on_both(async |store| {
        let mut fleet = Fleet::new(store, 1).await;
        let monitor = fleet.monitor("shop").await;
        all_see(&mut fleet, monitor, &[Outcome::Ok, Outcome::Policy, Outcome::Policy]).await;
        assert_eq!(fleet.state(monitor).await.verdict, Verdict::Unknown);
        assert!(fleet.incidents().await.is_empty());
        all_see(&mut fleet, monitor, &[Outcome::Ok, Outcome::Ok]).await;
        assert_eq!(fleet.state(monitor).await.verdict, Verdict::Up);
        let missed = MissedSlots {
            monitor_id: row(monitor, 0, Outcome::Ok).monitor_id,
            revision: 1,
            first_slot: fleet.slot,
            last_slot: fleet.slot + 3,
            reason: MissedReason::Overload.into(),
        };
        let batch = fleet.batch(0, Vec::new());
        let batch = ResultBatch { missed: vec![missed], ..batch };
        fleet.send(0, &fleet.seal(0, &batch)).await.unwrap();
        assert_eq!(fleet.count("SELECT COUNT(*) AS n FROM missed_slots").await, 1);
        assert_eq!(fleet.count(ROWS).await, 1, "watched for when the last look goes stale");
        fleet.slot += 4;
        all_see(&mut fleet, monitor, &[Outcome::Ok]).await;
        assert_eq!(fleet.count(ROWS).await, 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_that_ingest_at_once_open_one_incident() {
    on_both(async |store| {
        let mut fleet = Fleet::new(store, 3).await;
        let mut monitors = Vec::new();
        for name in ["a", "b", "c", "d"] {
            monitors.push(fleet.monitor(name).await);
        }
        let slot = fleet.slot;
        let stop = CancellationToken::new();
        let mut sending = tokio::task::JoinSet::new();
        for probe in 0..3 {
            let (replica, running) = ingest(fleet.shared.clone(), stop.clone());
            tokio::spawn(running);
            let mut envelopes = Vec::new();
            for n in 0..4 {
                let rows = monitors.iter().map(|m| row(*m, slot + n, Outcome::Fail)).collect();
                let batch = fleet.batch(probe, rows);
                envelopes.push(fleet.seal(probe, &batch));
            }
            let source = fleet.probes[probe].source.clone();
            sending.spawn(async move {
                for envelope in envelopes {
                    assert_eq!(replica.submit(&source, &envelope).await.unwrap().stored, 4);
                }
            });
        }
        while let Some(sent) = sending.join_next().await {
            sent.unwrap();
        }
        stop.cancel();
        let open = fleet.incidents().await;
        assert_eq!(open.len(), 4);
        assert!(open.iter().all(|i| (i.verdict, i.scope) == (Verdict::Down, Scope::Global)));
        let openings = "SELECT COUNT(*) AS n FROM page_intents WHERE kind = 'opened'";
        assert_eq!(fleet.count(openings).await, 4, "one page each");
        assert_eq!(fleet.count("SELECT COUNT(*) AS n FROM results").await, 48);
    })
    .await;
}

#[tokio::test]
async fn completeness_under_an_older_set_is_no_success_of_what_is_asked_now() {
    on_both(async |store| {
        let mut fleet = Fleet::new(store, 1).await;
        let monitor = fleet.monitor("shop").await;
        let agent_id = fleet.probes[0].source.agent_id.clone();
        let set = StoredSet {
            version: 2_000,
            content_hash: vec![1],
            envelope: vec![1],
            parts: Vec::new(),
            issued_at: 1,
        };
        let mut tx = fleet.shared.store.begin().await.unwrap();
        assignments::put_set(&mut tx, fleet.organisation, &agent_id, &set).await.unwrap();
        // Signed anew with the same content: that asks nothing new.
        let renewed = StoredSet { version: 9_000, ..set };
        assignments::put_set(&mut tx, fleet.organisation, &agent_id, &renewed).await.unwrap();
        tx.commit().await.unwrap();
        for (set_version, verdict) in [(1_999, Verdict::Unknown), (2_000, Verdict::Up)] {
            let mut batch = fleet.batch(0, Vec::new());
            batch.set_version = set_version;
            batch.complete_through_ms = Some(fleet.slot * 1_000);
            fleet.send(0, &fleet.seal(0, &batch)).await.unwrap();
            let mut tx = fleet.shared.store.begin().await.unwrap();
            let now = tx.now().await.unwrap();
            verdicts::evaluate(&mut tx, fleet.organisation, vec![monitor], 0, now).await.unwrap();
            tx.commit().await.unwrap();
            assert_eq!(fleet.state(monitor).await.verdict, verdict, "under set {set_version}");
        }
    })
    .await;
}
