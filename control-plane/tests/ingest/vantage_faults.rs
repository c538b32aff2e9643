//! What is rebuilt, and tried again, of a time in which agents had no vote.

use crate::back_ends::on_both;
use crate::backtest::tick;
use crate::fleet::{Fleet, row};
use hyperverge_control_core::backtest::Question;
use hyperverge_control_core::correlation::{Evaluation, RegionState};
use hyperverge_control_core::history::{Asked, Replay};
use hyperverge_control_core::incident::SubjectKind;
use hyperverge_control_plane::backtest::backtest;
use hyperverge_control_plane::clock;
use hyperverge_control_plane::params;
use hyperverge_control_plane::store::history::{self, Depth};
use hyperverge_control_plane::store::{monitors, states};
use hyperverge_control_plane::tasks::correlator::{Correlator, round};
use hyperverge_control_plane::verdicts;
use hyperverge_protocol::monitor::{MonitorSpec, Quorum};
use hyperverge_protocol::wire::Outcome;
use uuid::Uuid;

/// Monitors of each agent of the region at fault: one in four may stay bad and it is believed.
const MONITORS: usize = 4;

/// A region with two agents that break together, beside two regions with one agent each.
struct Broken {
    fleet: Fleet,
    /// Of the correlator's lease.
    holder: Uuid,
    /// The first of each agent's stays bad for longest.
    monitors: Vec<Uuid>,
    /// The vote of each monitor, as it was at a time.
    seen: Vec<(i64, Uuid, Evaluation)>,
}

impl Broken {
    async fn new(mut fleet: Fleet) -> Self {
        // They keep pace: of who is far behind nothing is made that it does not say.
        fleet.slot += 80;
        let mut monitors = Vec::new();
        for number in 0..2 * MONITORS {
            if number == MONITORS {
                // The second agent of the region holds the seat of the others.
                fleet.enrol_beside(0, 7).await;
                let last = fleet.probes.len() - 1;
                fleet.probes.swap(0, last);
            }
            let others = if number < MONITORS { 3 } else { 4 };
            let target = format!("https://www.site-{number}.example/");
            let all = fleet.probes.split_off(3);
            assert_eq!(all.len(), others - 3);
            monitors.push(fleet.monitor_of(&format!("m{number}"), &target).await);
            fleet.probes.extend(all);
        }
        let mut broken = Self { fleet, holder: clock::new_id(), monitors, seen: Vec::new() };
        broken.any().await;
        broken
    }

    /// One vote decides.
    async fn any(&mut self) {
        let mut tx = self.fleet.shared.store.begin().await.unwrap();
        for monitor in &self.monitors {
            let organisation = self.fleet.organisation;
            let known = monitors::get(&mut tx, organisation, *monitor).await.unwrap().unwrap();
            let mut spec: MonitorSpec = known.spec;
            spec.policy.quorum = Quorum::Any;
            let text = serde_json::to_string(&spec).unwrap();
            for sql in [
                "UPDATE monitors SET spec = $1 WHERE id = $2",
                "UPDATE monitor_revisions SET spec = $1 WHERE monitor_id = $2",
            ] {
                tx.execute(sql, params![&text, *monitor]).await.unwrap();
            }
        }
        tx.commit().await.unwrap();
    }

    /// Everybody reports `slots` slots; the agents at fault see `bad` of these.
    async fn report(&mut self, slots: i64, bad: &[Uuid]) {
        let from = self.fleet.slot;
        for probe in 0..self.fleet.probes.len() {
            let own: Vec<Uuid> = match probe {
                0 => self.monitors[MONITORS..].to_vec(),
                3 => self.monitors[..MONITORS].to_vec(),
                _ => self.monitors.clone(),
            };
            let at_fault = probe == 0 || probe == 3;
            let mut rows = Vec::new();
            for monitor in own {
                let fails = at_fault && bad.contains(&monitor);
                let outcome = if fails { Outcome::Fail } else { Outcome::Ok };
                rows.extend((from..from + slots).map(|slot| row(monitor, slot, outcome)));
            }
            let count = rows.len() as u32;
            assert_eq!(self.fleet.report(probe, rows).await, (count, 0, 0));
            self.look().await;
        }
        self.fleet.slot += slots;
    }

    async fn correlate(&mut self) {
        // One that remembers nothing, so that it compares whenever it is asked.
        let mut correlator = Correlator::new(self.holder);
        round(&self.fleet.shared, &mut correlator).await.unwrap();
        self.look().await;
    }

    /// Remembers how everything stands.
    async fn look(&mut self) {
        tick(&self.fleet).await;
        let mut tx = self.fleet.shared.store.read().await.unwrap();
        let now = tx.now().await.unwrap();
        let organisation = self.fleet.organisation;
        for monitor in states::watched(&mut tx, organisation, &self.monitors).await.unwrap() {
            self.seen.push((now, monitor.monitor_id, verdicts::count(&monitor, now)));
        }
        drop(tx);
        tick(&self.fleet).await;
    }

    /// Trust has been lost for long enough.
    async fn hold_is_over(&self) {
        let sql = "UPDATE agents SET discredited_at = 1 WHERE discredited_at IS NOT NULL";
        self.fleet.execute(sql).await;
    }
}

#[tokio::test]
async fn what_is_rebuilt_knows_whom_nobody_believed() {
    on_both(async |store| {
        let mut broken = Broken::new(Fleet::new(store, 3).await).await;
        broken.report(3, &[]).await;
        let all = broken.monitors.clone();
        broken.report(2, &all).await;
        broken.correlate().await;
        let about: Vec<_> = broken.fleet.incidents().await;
        let about: Vec<_> =
            about.iter().filter(|one| one.subject_kind != SubjectKind::Monitor).collect();
        assert_eq!(about.len(), 1, "both agents broke together");
        assert_eq!(about[0].subject_kind, SubjectKind::Region);
        broken.report(1, &all).await;
        let stubborn = [all[0], all[MONITORS]];
        broken.hold_is_over().await;
        broken.report(1, &stubborn).await;
        broken.correlate().await;
        broken.report(1, &stubborn).await;
        let doubted =
            |at: &Evaluation| at.regions.iter().any(|region| region.state == RegionState::Unknown);
        assert!(broken.seen.iter().any(|(_, _, at)| doubted(at)), "nobody lost a vote");
        let (_, _, last) = broken.seen.last().unwrap();
        assert_eq!(last.down, 0, "the votes are given back");

        let organisation_id = broken.fleet.organisation;
        let mut tx = broken.fleet.shared.store.read().await.unwrap();
        for (at, monitor, stood) in &broken.seen {
            let depth = Depth { results: 10_000, ranges: 1_000, messages: true };
            let (_, past, _) =
                history::moment(&mut tx, organisation_id, *monitor, *at, depth).await.unwrap();
            let mut replay = Replay::new(&past, Asked::AsThen);
            replay.go_through(*at);
            assert_eq!(replay.evaluation().as_ref(), Some(stood));
        }
        drop(tx);
        for monitor in stubborn {
            let tx = broken.fleet.shared.store.read().await.unwrap();
            let report = backtest(tx, organisation_id, monitor, broken.question(monitor).await);
            let report = report.await.unwrap();
            assert_eq!(report.present.len(), 1, "withdrawn with the votes: {:?}", report.present);
            assert!(report.present.iter().all(|outage| outage.pages.is_empty()), "{report:?}");
            assert_eq!(report.present[0].resolved_at, report.sent[0].resolved_at);
        }
    })
    .await;
}

impl Broken {
    /// What the policy makes of it, until everything has waited long enough.
    async fn question(&self, monitor: Uuid) -> Question {
        let mut tx = self.fleet.shared.store.read().await.unwrap();
        let organisation = self.fleet.organisation;
        let known = monitors::get(&mut tx, organisation, monitor).await.unwrap().unwrap();
        let now = tx.now().await.unwrap();
        let (proposed, present) = (known.spec.clone(), known.spec);
        let (from, until) = (now - 600_000, now + 60_000);
        Question { proposed, present, from, until, group_wait_ms: 10_000 }
    }
}
