//! Confirmation: what asks for a burst, who is asked, and which answers count.

use crate::back_ends::on_both;
use crate::fleet::{Fleet, row};
use bytes::Bytes;
use hyperverge_control_core::correlation::burst::{PER_HOST, PER_ORIGIN};
use hyperverge_control_core::correlation::{Scope, Verdict};
use hyperverge_control_core::incident::{Ending, IncidentState};
use hyperverge_control_plane::ingest::ingest;
use hyperverge_control_plane::store::bursts::{self, Burst};
use hyperverge_control_plane::store::monitors;
use hyperverge_control_plane::{tasks, verdicts};
use hyperverge_protocol::wire::{Outcome, ResultRow};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const BURSTS: &str = "SELECT COUNT(*) AS n FROM bursts";
const ROWS: &str = "SELECT COUNT(*) AS n FROM region_states";

/// A fleet whose agents know bursts.
pub(crate) async fn fleet(store: hyperverge_control_plane::store::Store, regions: usize) -> Fleet {
    let fleet = Fleet::new(store, regions).await;
    fleet.execute(r#"UPDATE agents SET capabilities = '["burst:1","probe:http"]'"#).await;
    fleet
}

async fn asked(fleet: &Fleet, monitor: Uuid) -> Vec<Burst> {
    let mut tx = fleet.shared.store.read().await.unwrap();
    let range = (0, i64::MAX);
    bursts::confirmation(&mut tx, fleet.organisation, monitor, range, 50).await.unwrap().bursts
}

/// The answer with this index, started so many milliseconds after the question.
fn answer(burst: &Burst, monitor: Uuid, index: u32, after: i64, outcome: Outcome) -> ResultRow {
    let started_us = (burst.asked_at + after) * 1_000;
    ResultRow {
        burst_id: Bytes::copy_from_slice(burst.id.as_bytes()),
        burst_index: index,
        due_us: started_us,
        started_us,
        ended_us: started_us + 500,
        ..row(monitor, started_us.div_euclid(1_000_000), outcome)
    }
}

/// Everybody reports a success; then the first region fails once.
async fn first_failure(fleet: &mut Fleet, monitor: Uuid) -> Burst {
    for probe in 0..fleet.probes.len() {
        fleet.report(probe, vec![row(monitor, fleet.slot, Outcome::Ok)]).await;
    }
    fleet.report(0, vec![row(monitor, fleet.slot + 1, Outcome::Fail)]).await;
    asked(fleet, monitor).await.remove(0)
}

#[tokio::test]
async fn the_first_failure_asks_every_region_once() {
    on_both(async |store| {
        let mut fleet = fleet(store, 3).await;
        let monitor = fleet.monitor("shop").await;
        let burst = first_failure(&mut fleet, monitor).await;
        assert_eq!((burst.region.as_str(), burst.failures), ("region-0", 2));
        assert!(burst.settled_at.is_none() && burst.expires_at > burst.asked_at);
        let regions: Vec<_> = burst.orders.iter().map(|order| order.region.as_str()).collect();
        assert_eq!(regions, ["region-0", "region-1", "region-2"], "the first too");

        fleet.report(0, vec![row(monitor, fleet.slot + 2, Outcome::Fail)]).await;
        fleet.report(1, vec![row(monitor, fleet.slot + 2, Outcome::Fail)]).await;
        assert_eq!(fleet.count(BURSTS).await, 1, "one burst of a monitor at a time");
        let metrics = &fleet.shared.metrics;
        assert_eq!(metrics.bursts_asked_total.get(), 1);
        let kept = metrics.bursts_kept_back_total.with_label_values(&["asked_already"]).get();
        assert_eq!(kept, 2, "the streak went on, and the other region's began");
    })
    .await;
}

#[tokio::test]
async fn a_streak_that_was_refused_asks_with_its_next_failure() {
    on_both(async |store| {
        let mut fleet = fleet(store, 3).await;
        let monitor = fleet.monitor("shop").await;
        first_failure(&mut fleet, monitor).await;
        // It was a blip; the outage begins while its burst is still open.
        fleet.report(0, vec![row(monitor, fleet.slot + 2, Outcome::Ok)]).await;
        fleet.report(0, vec![row(monitor, fleet.slot + 3, Outcome::Fail)]).await;
        assert_eq!(fleet.count(BURSTS).await, 1);
        fleet.execute("UPDATE bursts SET asked_at = asked_at - 3600000, settled_at = 1").await;
        fleet.report(0, vec![row(monitor, fleet.slot + 4, Outcome::Fail)]).await;
        assert_eq!(fleet.count(BURSTS).await, 2);
    })
    .await;
}

#[tokio::test]
async fn answers_decide_before_the_next_slot_is_due() {
    on_both(async |store| {
        let mut fleet = fleet(store, 3).await;
        let monitor = fleet.monitor("shop").await;
        let burst = first_failure(&mut fleet, monitor).await;
        let fail = |index, after| answer(&burst, monitor, index, after, Outcome::Fail);
        assert_eq!(fleet.report(0, vec![fail(1, 5)]).await, (1, 0, 0));
        let quiet = fleet.incidents().await.remove(0);
        assert_eq!(
            (quiet.scope, quiet.paged),
            (Scope::Local, false),
            "two in a row, in one region"
        );
        fleet.report(1, vec![fail(1, 6)]).await;
        assert_eq!(fleet.state(monitor).await.verdict, Verdict::Up);
        fleet.report(1, vec![fail(2, 1_007)]).await;
        let wide = fleet.incidents().await;
        assert_eq!((wide.len(), wide[0].id), (1, quiet.id));
        assert_eq!(fleet.state(monitor).await.verdict, Verdict::Down, "two of three");
        // Both at once, and the last that is waited for.
        fleet.report(0, vec![fail(2, 1_005)]).await;
        assert!(asked(&fleet, monitor).await[0].settled_at.is_none());
        fleet.report(2, vec![fail(1, 7), fail(2, 1_008)]).await;
        assert_eq!(fleet.incidents().await[0].scope, Scope::Global);
        let over = asked(&fleet, monitor).await.remove(0);
        assert_eq!(over.outcome.as_deref(), Some("answered"));
        for order in &over.orders {
            assert_eq!((order.failures, order.successes), (2, 0));
            assert!(order.answered_at.is_some());
        }
        assert_eq!(fleet.count(BURSTS).await, 1, "no answer asks again");
    })
    .await;
}

#[tokio::test]
async fn a_blip_of_one_region_stays_one_and_steady_regions_write_nothing() {
    on_both(async |store| {
        let mut fleet = fleet(store, 3).await;
        let monitor = fleet.monitor("shop").await;
        let burst = first_failure(&mut fleet, monitor).await;
        let generation = fleet.state(monitor).await.generation;
        for probe in [1, 2] {
            fleet.report(probe, vec![answer(&burst, monitor, 1, 5, Outcome::Ok)]).await;
        }
        assert_eq!(fleet.count(ROWS).await, 1, "the first region's, which failed");
        fleet.report(0, vec![answer(&burst, monitor, 1, 5, Outcome::Ok)]).await;
        assert_eq!(fleet.count(ROWS).await, 1, "well again, and remembered for one more look");
        assert_eq!(fleet.state(monitor).await.generation, generation);
        assert!(fleet.incidents().await.is_empty());
        let over = asked(&fleet, monitor).await.remove(0);
        assert_eq!(over.outcome.as_deref(), Some("answered"));
        assert!(over.orders.iter().all(|order| (order.failures, order.successes) == (0, 1)));

        // A slot that was checked before the burst is history, whenever it comes.
        fleet.report(0, vec![row(monitor, fleet.slot + 3, Outcome::Fail)]).await;
        assert_eq!((fleet.count(ROWS).await, fleet.count(BURSTS).await), (1, 1));
        fleet.report(0, vec![answer(&burst, monitor, 2, 1_009, Outcome::Ok)]).await;
        assert_eq!((fleet.count(ROWS).await, fleet.count(BURSTS).await), (0, 1));
    })
    .await;
}

#[tokio::test]
async fn what_was_not_asked_of_this_agent_is_refused_and_copies_count_once() {
    on_both(async |store| {
        let mut fleet = fleet(store, 3).await;
        let (monitor, other) = (fleet.monitor("shop").await, fleet.monitor("other").await);
        let mut burst = first_failure(&mut fleet, monitor).await;
        let answered = answer(&burst, monitor, 1, 5, Outcome::Fail);
        let early = answer(&burst, monitor, 1, -1, Outcome::Fail);
        let third = answer(&burst, monitor, 3, 5, Outcome::Fail);
        let elsewhere = answer(&burst, other, 1, 5, Outcome::Fail);
        let real = std::mem::replace(&mut burst.id, Uuid::from_u128(9));
        let invented = answer(&burst, monitor, 1, 5, Outcome::Fail);
        let refused = vec![early, third, elsewhere, invented];
        assert_eq!(fleet.report(0, refused).await, (0, 0, 4));
        assert!(fleet.incidents().await.is_empty());

        assert_eq!(fleet.report(1, vec![answered.clone()]).await, (1, 0, 0));
        assert_eq!(fleet.report(1, vec![answered.clone()]).await, (0, 1, 0));
        // An agent that was restarted and does it again, under another slot.
        let again = answer(&Burst { id: real, ..burst }, monitor, 1, 1_500, Outcome::Fail);
        assert_eq!(fleet.report(1, vec![again]).await.0, 1, "history, and no second failure");
        assert!(fleet.incidents().await.is_empty());
        fleet.execute("DELETE FROM burst_orders").await;
        assert_eq!(fleet.report(2, vec![answered]).await, (0, 0, 1), "it was not ordered that");
    })
    .await;
}

#[tokio::test]
async fn a_broken_vantage_and_a_broken_host_ask_for_a_few() {
    on_both(async |store| {
        let mut fleet = fleet(store, 2).await;
        let mut monitors = Vec::new();
        for index in 0..120 {
            let target = format!("https://host-{index}.example.com/");
            monitors.push(fleet.monitor_of(&format!("m{index}"), &target).await);
        }
        let mut of_one_host = Vec::new();
        for index in 0..20 {
            of_one_host.push(fleet.monitor(&format!("h{index}")).await);
        }
        let slot = fleet.slot;
        let all =
            |ids: &[Uuid], slot, outcome| ids.iter().map(|id| row(*id, slot, outcome)).collect();
        for probe in 0..2 {
            fleet.report(probe, all(&monitors, slot, Outcome::Ok)).await;
            fleet.report(probe, all(&of_one_host, slot, Outcome::Ok)).await;
        }
        fleet.report(1, all(&of_one_host, slot + 1, Outcome::Fail)).await;
        assert_eq!(fleet.count(BURSTS).await, i64::from(PER_HOST));
        // Another agent, over several batches.
        fleet.report(0, all(&monitors[..60], slot + 1, Outcome::Fail)).await;
        fleet.report(0, all(&monitors[60..], slot + 1, Outcome::Fail)).await;
        assert_eq!(fleet.count(BURSTS).await, i64::from(PER_HOST + PER_ORIGIN));
        let kept = &fleet.shared.metrics.bursts_kept_back_total;
        assert_eq!(kept.with_label_values(&["host_cap"]).get(), 20 - u64::from(PER_HOST));
        assert_eq!(kept.with_label_values(&["origin_cap"]).get(), 120 - u64::from(PER_ORIGIN));
        assert_eq!(fleet.count("SELECT COUNT(*) AS n FROM incidents WHERE paged").await, 0);
    })
    .await;
}

#[tokio::test]
async fn nobody_is_asked_who_could_not_or_may_not() {
    on_both(async |store| {
        let mut fleet = Fleet::new(store, 2).await;
        let monitor = fleet.monitor("shop").await;
        fleet.report(0, vec![row(monitor, fleet.slot, Outcome::Fail)]).await;
        assert_eq!(fleet.count(BURSTS).await, 0, "older agents know no bursts");
        let kept = &fleet.shared.metrics.bursts_kept_back_total;
        assert_eq!(kept.with_label_values(&["nobody_to_ask"]).get(), 1);

        fleet.execute(r#"UPDATE agents SET capabilities = '["burst:1"]'"#).await;
        fleet
            .execute("UPDATE agents SET lost_at = 1 WHERE id = (SELECT MIN(id) FROM agents)")
            .await;
        let second = fleet.monitor("second").await;
        fleet.report(0, vec![row(second, fleet.slot, Outcome::Fail)]).await;
        assert_eq!(asked(&fleet, second).await[0].orders.len(), 1, "one of them is lost");
        let third = fleet.monitor("third").await;
        fleet.report(0, vec![row(third, fleet.slot, Outcome::Policy)]).await;
        assert!(asked(&fleet, third).await.is_empty(), "what says nothing is not confirmed");
    })
    .await;
}

#[tokio::test]
async fn a_burst_ends_with_its_time_or_its_monitor() {
    on_both(async |store| {
        let mut fleet = fleet(store, 2).await;
        let (shop, other) = (fleet.monitor("shop").await, fleet.monitor("other").await);
        first_failure(&mut fleet, shop).await;
        let mut tx = fleet.shared.store.begin().await.unwrap();
        let now = tx.now().await.unwrap();
        let spec = monitors::get(&mut tx, fleet.organisation, shop).await.unwrap().unwrap().spec;
        let ending = Ending::Disabled;
        verdicts::end(&mut tx, fleet.organisation, shop, &spec, ending, now).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(asked(&fleet, shop).await[0].outcome.as_deref(), Some("ended"));

        first_failure(&mut fleet, other).await;
        tasks::bursts::round(&fleet.shared).await.unwrap();
        assert!(asked(&fleet, other).await[0].settled_at.is_none());
        fleet.execute("UPDATE bursts SET expires_at = asked_at").await;
        tasks::bursts::round(&fleet.shared).await.unwrap();
        assert_eq!(asked(&fleet, other).await[0].outcome.as_deref(), Some("expired"));
        // It lies behind, and so does the streak: the next one may ask again.
        fleet.execute("UPDATE bursts SET asked_at = asked_at - 3600000").await;
        let slot = fleet.slot;
        fleet.report(0, vec![row(other, slot + 2, Outcome::Ok)]).await;
        fleet.report(0, vec![row(other, slot + 3, Outcome::Fail)]).await;
        assert_eq!(asked(&fleet, other).await.len(), 2);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn regions_that_answer_at_once_settle_it() {
    on_both(async |store| {
        let mut fleet = fleet(store, 3).await;
        let stop = CancellationToken::new();
        for round in 0..6 {
            let target = format!("https://host-{round}.example.com/");
            let monitor = fleet.monitor_of(&format!("m{round}"), &target).await;
            let burst = first_failure(&mut fleet, monitor).await;
            let mut sending = tokio::task::JoinSet::new();
            for probe in 0..3 {
                let (replica, running) = ingest(fleet.shared.clone(), stop.clone());
                tokio::spawn(running);
                let outcome = if probe == 0 { Outcome::Ok } else { Outcome::Fail };
                let rows = (1..=2)
                    .map(|index| answer(&burst, monitor, index, i64::from(index) * 10, outcome));
                let batch = fleet.batch(probe, rows.collect());
                let (envelope, source) =
                    (fleet.seal(probe, &batch), fleet.probes[probe].source.clone());
                sending.spawn(async move { replica.submit(&source, &envelope).await.unwrap() });
            }
            sending.join_all().await;
            let over = asked(&fleet, monitor).await.remove(0);
            assert_eq!(over.outcome.as_deref(), Some("answered"), "round {round}");
        }
        stop.cancel();
        let incidents = fleet.incidents().await;
        assert_eq!(incidents.len(), 6);
        assert!(incidents.iter().all(|incident| incident.state == IncidentState::Open));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_that_ask_at_once_keep_within_the_caps_together() {
    on_both(async |store| {
        let mut fleet = fleet(store, 4).await;
        let stop = CancellationToken::new();
        for round in 0..5 {
            let target = format!("https://host-{round}.example.com/");
            let mut monitors = Vec::new();
            for index in 0..8 {
                monitors.push(fleet.monitor_of(&format!("m{round}-{index}"), &target).await);
            }
            let mut sending = tokio::task::JoinSet::new();
            for probe in 0..4 {
                let (replica, running) = ingest(fleet.shared.clone(), stop.clone());
                tokio::spawn(running);
                // Of monitors of its own: nothing but the caps is shared.
                let own = &monitors[2 * probe..2 * probe + 2];
                let slot = fleet.slot + round;
                let rows = own.iter().map(|id| row(*id, slot, Outcome::Fail)).collect();
                let batch = fleet.batch(probe, rows);
                let (envelope, source) =
                    (fleet.seal(probe, &batch), fleet.probes[probe].source.clone());
                sending.spawn(async move { replica.submit(&source, &envelope).await.unwrap() });
            }
            sending.join_all().await;
            let all = (round + 1) * i64::from(PER_HOST);
            assert_eq!(fleet.count(BURSTS).await, all, "round {round}");
        }
        stop.cancel();
    })
    .await;
}
