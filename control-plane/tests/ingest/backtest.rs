//! What was decided when rows came is decided again from what they left behind.

use crate::back_ends::on_both;
use crate::fleet::{Fleet, row};
use hyperverge_control_core::backtest::{Difference, Question, Report, count};
use hyperverge_control_plane::backtest::backtest;
use hyperverge_control_plane::store::incidents::Incident;
use hyperverge_control_plane::store::monitors;
use hyperverge_protocol::wire::Outcome;
use uuid::Uuid;

/// Batches of one story.
const BATCHES: u64 = 90;

/// Until the database's clock shows another millisecond: two transactions of one
/// are told apart by nothing that is stored.
pub(crate) async fn tick(fleet: &Fleet) {
    let began = fleet.shared.store.now().await.unwrap();
    while fleet.shared.store.now().await.unwrap() <= began {
        tokio::task::yield_now().await;
    }
}

/// Numbers that look random and are the same each time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.0 >> 33) % sides
    }
}

/// Three probes report for a while, each in its own time, with spells of trouble.
pub(crate) async fn story(fleet: &mut Fleet, monitor: Uuid, seed: u64) {
    let mut dice = Dice(seed);
    let mut next = [fleet.slot; 3];
    let mut trouble = [0u64; 3];
    let end = fleet.slot + 95;
    for _ in 0..BATCHES {
        let probe = dice.roll(3) as usize;
        if dice.roll(9) == 0 {
            trouble = [0; 3].map(|_: u64| dice.roll(6));
        }
        let rows = 1 + dice.roll(3) as i64;
        let mut batch = Vec::new();
        for _ in 0..rows.min(end - next[probe]) {
            let outcome = match trouble[probe] {
                0 => Outcome::Ok,
                1 => Outcome::Degraded,
                _ if dice.roll(5) == 0 => Outcome::Policy,
                _ => Outcome::Fail,
            };
            trouble[probe] = trouble[probe].saturating_sub(1);
            batch.push(row(monitor, next[probe], outcome));
            next[probe] += 1;
        }
        if !batch.is_empty() {
            fleet.report(probe, batch).await;
            tick(fleet).await;
        }
    }
}

async fn question(fleet: &Fleet, monitor: Uuid) -> Question {
    let mut tx = fleet.shared.store.read().await.unwrap();
    let present = monitors::get(&mut tx, fleet.organisation, monitor).await.unwrap().unwrap().spec;
    let until = tx.now().await.unwrap();
    let (proposed, from) = (present.clone(), until - 600_000);
    Question { proposed, present, from, until, group_wait_ms: 0 }
}

async fn ask(fleet: &Fleet, monitor: Uuid, question: Question) -> Report {
    let tx = fleet.shared.store.read().await.unwrap();
    backtest(tx, fleet.organisation, monitor, question).await.unwrap()
}

#[tokio::test]
async fn the_present_policy_finds_the_incidents_that_were_opened() {
    on_both(async |store| {
        let mut fleet = Fleet::new(store, 3).await;
        let mut monitors = Vec::new();
        for seed in 0..2 {
            let monitor = fleet.monitor(&format!("shop-{seed}")).await;
            story(&mut fleet, monitor, seed).await;
            monitors.push(monitor);
        }
        let mut found = 0;
        for monitor in monitors {
            let report = ask(&fleet, monitor, question(&fleet, monitor).await).await;
            let opened = incidents_of(&fleet, monitor).await;
            assert_eq!(report.present, report.proposed);
            // An outage is told by its worst, an incident only once it is over.
            let stood = |incident: &Incident| {
                let worst = incident.resolved_at.map(|_| incident.verdict);
                (incident.opened_at, incident.resolved_at, worst, incident.cause.clone())
            };
            let again: Vec<_> = report
                .present
                .iter()
                .map(|outage| {
                    let worst = outage.resolved_at.map(|_| outage.verdict);
                    (outage.opened_at, outage.resolved_at, worst, outage.cause.clone())
                })
                .collect();
            assert_eq!(again, opened.iter().map(stood).collect::<Vec<_>>());
            // What is stored of them is read as the same outages, but for the pages,
            // which nobody sent here.
            for (sent, present) in report.sent.iter().zip(&report.present) {
                assert_eq!(sent.first_failed_at, present.first_failed_at);
                assert_eq!((sent.scope, &sent.regions), (present.scope, &present.regions));
                assert!(sent.pages.is_empty());
            }
            let paged = report.present.iter().filter(|outage| outage.paged_at().is_some()).count();
            assert_eq!(count(&report.against_sent, Difference::New), paged);
            found += opened.len();
        }
        assert!(found >= 2, "the stories hold only {found} incidents");
    })
    .await;
}

#[tokio::test]
async fn another_policy_is_answered_from_the_same_rows() {
    on_both(async |store| {
        let mut fleet = Fleet::new(store, 3).await;
        let monitor = fleet.monitor("shop").await;
        let first = fleet.slot;
        for (slots, outcome) in [(4, Outcome::Ok), (3, Outcome::Fail), (4, Outcome::Ok)] {
            let from = fleet.slot;
            for probe in 0..3 {
                let rows = (from..from + slots).map(|slot| row(monitor, slot, outcome)).collect();
                fleet.report(probe, rows).await;
                tick(&fleet).await;
            }
            fleet.slot += slots;
        }
        let mut question = question(&fleet, monitor).await;
        question.proposed.policy.fail_after = 4;
        let report = ask(&fleet, monitor, question).await;
        assert_eq!(report.read.results, 33);
        assert!(report.proposed.is_empty(), "{report:?}");
        assert_eq!(report.present[0].first_failed_at, (first + 4) * 1_000 + 1);
        assert_eq!(count(&report.against_present, Difference::Missed), 1);
    })
    .await;
}

/// In the order they opened.
async fn incidents_of(fleet: &Fleet, monitor: Uuid) -> Vec<Incident> {
    let mut incidents = fleet.incidents().await;
    incidents.retain(|incident| incident.subject_id == monitor.to_string());
    incidents.reverse();
    incidents
}
