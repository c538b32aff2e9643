//! Old rows go, in every table that may forget; young ones stay.

use crate::back_ends::on_both;
use crate::fixture::Fixture;
use hyperverge_control_core::notification::hold::{Matchers, Silence, Window};
use hyperverge_control_plane::clock;
use hyperverge_control_plane::params;
use hyperverge_control_plane::store::bursts::{self, NewBurst, NewKept};
use hyperverge_control_plane::store::maintenance_windows::{self, StoredWindow};
use hyperverge_control_plane::store::silences::{self, StoredSilence, Which};
use hyperverge_control_plane::store::{agents, gateways};
use hyperverge_control_plane::tasks::retention;

const DAY_MS: i64 = 86_400_000;

#[tokio::test]
async fn what_is_older_than_the_limit_goes_and_the_rest_stays() {
    on_both(async |store| {
        let fixture = Fixture::new(store).await;
        let mut tx = fixture.shared.store.begin().await.unwrap();
        let now = tx.now().await.unwrap();
        const SQL: &str = "INSERT INTO agent_batches (organisation_id, agent_id, lane, number,
                payload_hash, stored, duplicates, refused, received_at)
            VALUES ($1, $2, 1, $3, $4, 0, 0, 0, $5)";
        for (number, age) in [(1i64, 31), (2, 29)] {
            let hash = vec![0u8; 32];
            let values =
                params![fixture.organisation, &fixture.agent, number, hash, now - age * DAY_MS];
            tx.execute(SQL, values).await.unwrap();
        }
        tx.commit().await.unwrap();
        retention::round(&fixture.shared, clock::new_id()).await.unwrap();
        let mut tx = fixture.shared.store.read().await.unwrap();
        let left = tx.fetch_all("SELECT number FROM agent_batches", params![]).await.unwrap();
        let numbers: Vec<i64> = left.iter().map(|row| row.get("number").unwrap()).collect();
        assert_eq!(numbers, [2]);
    })
    .await;
}

#[tokio::test]
async fn what_held_is_remembered_as_long_as_results() {
    on_both(async |store| {
        let fixture = Fixture::new(store).await;
        let mut tx = fixture.shared.store.begin().await.unwrap();
        let now = tx.now().await.unwrap();
        let organisation = fixture.organisation;
        let matchers: Matchers = serde_json::from_str(r#"{"monitors": ["*"]}"#).unwrap();
        for days in [31, 29, -1] {
            let (starts_at, ends_at) = (now - 40 * DAY_MS, now - days * DAY_MS);
            let (revision, created_by, created_at) = (1, clock::new_id(), starts_at);
            let (id, text, matchers) = (clock::new_id(), format!("{days}"), matchers.clone());
            let silence = Silence {
                id,
                matchers: matchers.clone(),
                starts_at,
                ends_at,
                comment: text.clone(),
            };
            let silence = StoredSilence { silence, revision, created_by, created_at };
            silences::insert(&mut tx, organisation, &silence).await.unwrap();
            let window = Window { id, name: text, matchers, starts_at, ends_at };
            let window = StoredWindow { window, revision, created_by, created_at };
            maintenance_windows::insert(&mut tx, organisation, &window).await.unwrap();
        }
        tx.commit().await.unwrap();
        retention::round(&fixture.shared, clock::new_id()).await.unwrap();
        let mut tx = fixture.shared.store.read().await.unwrap();
        let all = Which::All;
        let left = silences::list(&mut tx, organisation, all, None, 9).await.unwrap();
        let texts: Vec<_> = left.into_iter().map(|stored| stored.silence.comment).collect();
        assert_eq!(texts, ["-1", "29"]);
        let left = maintenance_windows::list(&mut tx, organisation, all, None, 9).await.unwrap();
        let names: Vec<_> = left.into_iter().map(|stored| stored.window.name).collect();
        assert_eq!(names, ["-1", "29"]);
        let then = now - 35 * DAY_MS;
        let held = silences::active(&mut tx, organisation, then).await.unwrap();
        assert_eq!(held.len(), 2, "the past is still answered for");
    })
    .await;
}

#[tokio::test]
async fn bursts_go_with_the_results_that_answered_them() {
    on_both(async |store| {
        let fixture = Fixture::new(store).await;
        let mut tx = fixture.shared.store.begin().await.unwrap();
        let now = tx.now().await.unwrap();
        let regions = [(clock::new_id(), fixture.agent.clone())];
        for age in [31, 29] {
            let asked_at = now - age * DAY_MS;
            let new = NewBurst {
                id: clock::new_id(),
                monitor_id: clock::new_id(),
                revision: 1,
                region_id: regions[0].0,
                agent_id: fixture.agent.clone(),
                host: "example.com".into(),
                failures: 2,
                asked_at,
                expires_at: asked_at + 60_000,
            };
            bursts::ask(&mut tx, fixture.organisation, &new, &regions).await.unwrap();
        }
        tx.commit().await.unwrap();
        retention::round(&fixture.shared, clock::new_id()).await.unwrap();
        let mut tx = fixture.shared.store.read().await.unwrap();
        for sql in ["SELECT 1 AS n FROM bursts", "SELECT 1 AS n FROM burst_orders"] {
            assert_eq!(tx.fetch_all(sql, params![]).await.unwrap().len(), 1, "{sql}");
        }
    })
    .await;
}

#[tokio::test]
async fn what_explains_results_goes_with_them() {
    on_both(async |store| {
        let fixture = Fixture::new(store).await;
        let mut tx = fixture.shared.store.begin().await.unwrap();
        let now = tx.now().await.unwrap();
        let organisation = fixture.organisation;
        for age in [31, 29] {
            let at = now - age * DAY_MS;
            let agents = vec![format!("agent {age}")];
            let lost =
                "INSERT INTO discredits (organisation_id, agent_id, lost_at) VALUES ($1, $2, $3)";
            tx.execute(lost, params![organisation, &agents[0], at - 1]).await.unwrap();
            agents::regain_trust(&mut tx, organisation, agents, at).await.unwrap();
            let (monitor_id, region_id) = (clock::new_id(), clock::new_id());
            let kept = [NewKept { monitor_id, region_id, reason: "rested" }];
            bursts::keep_back(&mut tx, organisation, &kept, at).await.unwrap();
            gateways::hear(&mut tx, clock::new_id(), at).await.unwrap();
        }
        let lost =
            "INSERT INTO discredits (organisation_id, agent_id, lost_at) VALUES ($1, 'it', 1)";
        tx.execute(lost, params![organisation]).await.unwrap();
        gateways::hear(&mut tx, clock::new_id(), now).await.unwrap();
        tx.commit().await.unwrap();
        retention::round(&fixture.shared, clock::new_id()).await.unwrap();
        let mut tx = fixture.shared.store.read().await.unwrap();
        for (sql, left) in [
            ("SELECT 1 AS n FROM discredits", 2),
            ("SELECT 1 AS n FROM bursts_kept_back", 1),
            ("SELECT 1 AS n FROM gateways", 1),
        ] {
            assert_eq!(tx.fetch_all(sql, params![]).await.unwrap().len(), left, "{sql}");
        }
    })
    .await;
}
