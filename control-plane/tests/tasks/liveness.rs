//! A silent agent is lost, its region one incident about us, its monitors unknown;
//! and none of it in the first minute after we began to listen.

use crate::back_ends::on_both;
use crate::fixture::Fixture;
use hyperverge_control_plane::clock;
use hyperverge_control_plane::params;
use hyperverge_control_plane::store::Value;
use hyperverge_control_plane::tasks::liveness::{Listening, round};
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

        let mut fresh = Listening::default();
        round(&fixture.shared, holder, &mut fresh).await.unwrap();
        assert_eq!(fixture.text(LOST).await, None, "we began to listen just now");

        // The grace is over: another process listened before, so to say.
        let mut patient = Listening::through(now - 61_000, now);
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
