//! A silent agent is lost, its region one incident about us, its monitors unknown;
//! and none of it in the first minute after we began to listen.

use crate::back_ends::on_both;
use crate::fixture::Fixture;
use hyperverge_control_plane::clock;
use hyperverge_control_plane::params;
use hyperverge_control_plane::store::leases;
use hyperverge_control_plane::store::{Value, gateways};
use hyperverge_control_plane::tasks::liveness::{Cursor, everywhere, round};
use hyperverge_control_plane::tasks::planner;

impl Fixture {
    async fn run(&self, sql: &'static str, values: Vec<Value>) {
        let mut tx = self.shared.store.begin().await.unwrap();
        tx.execute(sql, values).await.unwrap();
        tx.commit().await.unwrap();
    }

    async fn text(&self, sql: &'static str) -> Option<String> {
        let mut tx = self.shared.store.read().await.unwrap();
        let row = tx.fetch_optional(sql, params![]).await.unwrap();
        row.and_then(|row| row.get::<Option<String>>("answer").unwrap())
    }

    /// A gateway was there from `first` ms ago to `newest` ms ago.
    pub(crate) async fn listened(&self, first: i64, newest: i64) {
        let run = clock::new_id();
        let mut tx = self.shared.store.begin().await.unwrap();
        let now = tx.now().await.unwrap();
        let (first, newest) = (now - first, now - newest);
        for at in (first..newest).step_by(10_000).chain([newest]) {
            gateways::hear(&mut tx, run, at).await.unwrap();
        }
        tx.commit().await.unwrap();
    }

    /// Moves what the agent last said into the past.
    async fn age_heartbeat(&self, ms: i64) {
        self.run("UPDATE agents SET last_heartbeat_at = last_heartbeat_at - $1", params![ms]).await;
    }
}

const VERDICT: &str = "SELECT verdict AS answer FROM monitor_states";
const REGION_INCIDENT: &str = "SELECT summary AS answer FROM incidents
    WHERE subject_kind = 'region' AND resolved_at IS NULL";
const LOST: &str = "SELECT id AS answer FROM agents WHERE lost_at IS NOT NULL";
const INTENT: &str = "SELECT kind AS answer FROM page_intents WHERE NOT quiet";

#[tokio::test]
async fn silence_is_ours_for_a_minute_and_unknown_after() {
    on_both(async |store| {
        let fixture = Fixture::new(store).await;
        let holder = clock::new_id();
        fixture.monitor("checkout").await;
        planner::round(&fixture.shared, holder).await.unwrap();
        let reported = "UPDATE assignments SET first_slot = first_slot - 10";
        fixture.run(reported, params![]).await;
        let mut tx = fixture.shared.store.read().await.unwrap();
        let now = tx.now().await.unwrap();
        drop(tx);
        fixture.run("UPDATE agents SET complete_through = $1", params![now]).await;
        fixture.age_heartbeat(65_000).await;

        let mut patient = Cursor::default();
        fixture.listened(0, 0).await;
        round(&fixture.shared, holder, &mut patient).await.unwrap();
        assert_eq!(fixture.text(LOST).await, None, "we began to listen just now");

        // The grace is over: another gateway listened before, so to say.
        fixture.listened(61_000, 0).await;
        round(&fixture.shared, holder, &mut patient).await.unwrap();
        assert_eq!(fixture.text(LOST).await.as_deref(), Some(fixture.agent.as_str()));
        let summary = fixture.text(REGION_INCIDENT).await.unwrap();
        assert!(summary.starts_with("region eu-west is silent"), "{summary}");
        assert_eq!(fixture.text(VERDICT).await.as_deref(), Some("up"), "its last report is fresh");

        let old = "UPDATE agents SET complete_through = complete_through - 600000";
        fixture.run(old, params![]).await;
        round(&fixture.shared, holder, &mut patient).await.unwrap();
        assert_eq!(fixture.text(VERDICT).await.as_deref(), Some("unknown"));
        assert_eq!(fixture.text(INTENT).await, None, "nobody is paged about the monitor");

        fixture.run("UPDATE agents SET last_heartbeat_at = lost_at + 1", params![]).await;
        fixture.run("UPDATE agents SET complete_through = $1", params![now]).await;
        round(&fixture.shared, holder, &mut patient).await.unwrap();
        assert_eq!(fixture.text(LOST).await, None);
        assert_eq!(fixture.text(REGION_INCIDENT).await, None);
        assert_eq!(fixture.text(VERDICT).await.as_deref(), Some("up"));
    })
    .await;
}

/// With the roles in processes of their own the scheduler goes on while no gateway is there.
#[tokio::test]
async fn nobody_is_late_while_no_gateway_is_there_to_hear() {
    on_both(async |store| {
        let fixture = Fixture::new(store).await;
        let (holder, mut cursor) = (clock::new_id(), Cursor::default());
        let mut lost = async |why: &str| {
            round(&fixture.shared, holder, &mut cursor).await.unwrap();
            let region = fixture.text(REGION_INCIDENT).await;
            assert_eq!(region.is_some(), fixture.text(LOST).await.is_some(), "{why}");
            region.is_some()
        };
        fixture.age_heartbeat(90_000).await;
        assert!(!lost("no gateway was ever there").await);
        fixture.listened(500_000, 89_000).await;
        assert!(!lost("the only one went before the agent").await);
        fixture.listened(3_000, 0).await;
        assert!(!lost("another came after a gap").await);
        fixture.listened(95_000, 2_000).await;
        assert!(lost("one was there all along").await);
    })
    .await;
}

#[tokio::test]
async fn a_round_that_outlasts_its_lease_goes_on() {
    on_both(async |store| {
        let fixture = Fixture::new(store).await;
        fixture.listened(61_000, 0).await;
        fixture.age_heartbeat(65_000).await;
        let mut tx = fixture.shared.store.begin().await.unwrap();
        let (holder, nil) = (clock::new_id(), uuid::Uuid::nil());
        let over = leases::acquire(&mut tx, nil, "liveness", holder, 0).await.unwrap().unwrap();
        tx.commit().await.unwrap();
        let everyone = vec![fixture.organisation];
        let mut cursor = Cursor::default();
        everywhere(&fixture.shared, over.clone(), everyone.clone(), &mut cursor).await.unwrap();
        assert_eq!(fixture.text(LOST).await.as_deref(), Some(fixture.agent.as_str()));

        // But not when somebody else took it meanwhile.
        fixture.age_heartbeat(-65_000).await;
        fixture.run("UPDATE leases SET held_until = 1", params![]).await;
        let mut tx = fixture.shared.store.begin().await.unwrap();
        let other = leases::acquire(&mut tx, nil, "liveness", clock::new_id(), 60_000).await;
        assert!(other.unwrap().is_some());
        tx.commit().await.unwrap();
        everywhere(&fixture.shared, over, everyone, &mut cursor).await.unwrap();
        assert!(fixture.text(LOST).await.is_some(), "it is the other's to find it");
    })
    .await;
}

#[tokio::test]
async fn a_silent_region_with_an_incident_already_is_not_counted_again() {
    on_both(async |store| {
        let fixture = Fixture::new(store).await;
        fixture.listened(61_000, 0).await;
        fixture.age_heartbeat(65_000).await;
        let (holder, mut cursor) = (clock::new_id(), Cursor::default());
        let opened = || {
            let created = &fixture.shared.metrics.incidents_created_total;
            created.with_label_values(&["regional"]).get()
        };
        round(&fixture.shared, holder, &mut cursor).await.unwrap();
        assert_eq!(opened(), 1);
        // The same region at fault as a whole, and silent then.
        fixture.run("UPDATE incidents SET cause = 'discredited'", params![]).await;
        let fence = "SELECT CAST(COUNT(*) AS TEXT) AS answer FROM incident_events";
        let before = fixture.text(fence).await;
        for _ in 0..3 {
            round(&fixture.shared, holder, &mut cursor).await.unwrap();
        }
        assert_eq!((opened(), fixture.text(fence).await), (1, before));
        // Once that is over, its silence is one.
        fixture.run("UPDATE incidents SET resolved_at = 1", params![]).await;
        round(&fixture.shared, holder, &mut cursor).await.unwrap();
        assert_eq!(opened(), 2);
    })
    .await;
}

#[tokio::test]
async fn a_region_whose_only_agent_is_quarantined_is_silent() {
    on_both(async |store| {
        let fixture = Fixture::new(store).await;
        let (holder, mut cursor) = (clock::new_id(), Cursor::default());
        fixture.listened(95_000, 0).await;
        fixture.age_heartbeat(65_000).await;
        fixture.run("UPDATE agents SET state = 'quarantined'", params![]).await;
        for _ in 0..2 {
            round(&fixture.shared, holder, &mut cursor).await.unwrap();
            let summary = fixture.text(REGION_INCIDENT).await.expect("it stays open");
            assert!(summary.starts_with("region eu-west is silent"), "{summary}");
            assert_eq!(fixture.text(LOST).await, None, "an agent that is barred is not lost too");
        }
        fixture.run("UPDATE agents SET state = 'revoked'", params![]).await;
        round(&fixture.shared, holder, &mut cursor).await.unwrap();
        assert_eq!(fixture.text(REGION_INCIDENT).await, None, "nobody is left to wait for");
    })
    .await;
}
