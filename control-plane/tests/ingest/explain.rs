//! Why it was decided so, asked through the API about what was ingested.

use crate::app::App;
use crate::back_ends::on_both;
use crate::backtest::{story, tick};
use crate::bursts;
use crate::fleet::{Fleet, row};
use hyperverge_control_core::explain::asked;
use hyperverge_control_core::history::{Asked, Replay};
use hyperverge_control_plane::api::Timestamp;
use hyperverge_control_plane::auth::Role;
use hyperverge_control_plane::params;
use hyperverge_control_plane::store::history::{self, Depth};
use hyperverge_control_plane::store::incidents;
use hyperverge_protocol::wire::Outcome;
use serde_json::Value;
use uuid::Uuid;

/// The API over what the fleet fills, and somebody who may read.
async fn reader(fleet: &Fleet) -> (App, String) {
    let app = App::over(fleet.shared.store.clone());
    let token = app.member(fleet.organisation, Role::Viewer).await;
    (app, token)
}

async fn get(app: &App, token: &str, path: &str) -> Value {
    app.get(&format!("/api/v1/{path}"), token).await.expect(200).json()
}

/// Each probe in turn sees `outcome` for the next `slots`.
async fn all_see(fleet: &mut Fleet, monitor: Uuid, slots: i64, outcome: Outcome) {
    let from = fleet.slot;
    for probe in 0..fleet.probes.len() {
        let rows = (from..from + slots).map(|slot| row(monitor, slot, outcome)).collect();
        fleet.report(probe, rows).await;
        tick(fleet).await;
    }
    fleet.slot += slots;
}

#[tokio::test]
async fn an_incident_shows_each_decision_and_that_it_would_be_made_again() {
    on_both(async |store| {
        let mut fleet = Fleet::new(store, 3).await;
        let monitor = fleet.monitor("shop").await;
        all_see(&mut fleet, monitor, 3, Outcome::Ok).await;
        all_see(&mut fleet, monitor, 2, Outcome::Fail).await;
        all_see(&mut fleet, monitor, 2, Outcome::Ok).await;
        let id = fleet.incidents().await[0].id;
        let (app, token) = reader(&fleet).await;
        let told = get(&app, &token, &format!("incidents/{id}/explain")).await;

        let decisions = told["decisions"].as_array().unwrap();
        let kinds: Vec<_> = decisions.iter().map(|one| one["kind"].as_str().unwrap()).collect();
        assert_eq!(kinds.first(), Some(&"opened"));
        assert_eq!(kinds.last(), Some(&"resolved"));
        for decision in decisions {
            assert_eq!(decision["replay"]["result"], "same", "{decision}");
            assert_eq!(decision["replay"]["with"], serde_json::json!([]));
        }
        let vote = &decisions[0]["vote"];
        assert_eq!(
            (&vote["seats"], &vote["needed"], &vote["down"]),
            (&3.into(), &2.into(), &1.into())
        );
        assert_eq!(vote["votes"][0]["why"], "it sees it down: connection refused");

        let checks = told["checks"].as_array().unwrap();
        assert_eq!(checks.iter().filter(|check| check["outcome"] == "fail").count(), 6);
        assert!(checks.iter().any(|check| check["outcome"] == "ok"), "what was before and after");
        assert_eq!(told["intents"][0]["kind"], "opened");
        assert_eq!(told["intents"][0]["settled_at"], Value::Null);
        let summary = told["summary"].as_str().unwrap();
        for words in ["shop is up again", "it began at", "3 of 3 regions down", "nobody was told"] {
            assert!(summary.contains(words), "{words}: {summary}");
        }
    })
    .await;
}

#[tokio::test]
async fn any_time_is_explained_from_the_decision_or_rebuilt() {
    on_both(async |store| {
        let mut fleet = Fleet::new(store, 3).await;
        let monitor = fleet.monitor("shop").await;
        all_see(&mut fleet, monitor, 3, Outcome::Ok).await;
        let (app, token) = reader(&fleet).await;
        let path = format!("monitors/{monitor}/explain");
        let well = get(&app, &token, &path).await;
        assert_eq!(well["source"], "rebuilt");
        assert_eq!(well["summary"], "No page: all 3 regions saw shop well.");
        assert_eq!(well["checks"].as_array().unwrap().len(), 9);

        let slot = fleet.slot;
        fleet.report(0, vec![row(monitor, slot, Outcome::Fail)]).await;
        let once = get(&app, &token, &path).await["summary"].as_str().unwrap().to_owned();
        let streak = "region-0 had failed once in a row, and 2 make it down";
        assert!(once.contains(streak), "{once}");
        tick(&fleet).await;

        fleet.report(0, vec![row(monitor, slot + 1, Outcome::Fail)]).await;
        let quiet = get(&app, &token, &path).await;
        assert_eq!(quiet["source"], "stored");
        assert_eq!(quiet["vote"]["down"], 1);
        let said = quiet["summary"].as_str().unwrap();
        assert!(said.contains("1 of 3 regions saw shop down, and 2 are needed"), "{said}");
        assert_eq!(quiet["seats"][0]["failures"], 2);

        tick(&fleet).await;
        let rows = (slot..slot + 2).map(|slot| row(monitor, slot, Outcome::Fail)).collect();
        fleet.report(1, rows).await;
        let down = get(&app, &token, &path).await;
        let said = down["summary"].as_str().unwrap();
        assert!(said.starts_with("No page yet: shop was down"), "{said}");
        // Before all of that nobody knew of any of it.
        let at = well["at"].as_str().unwrap();
        let before = get(&app, &token, &format!("{path}?at={at}")).await;
        assert_eq!(before["summary"], well["summary"]);
        assert_eq!(before["vote"], well["vote"]);
        app.get(&format!("/api/v1/{path}?at=2099-01-01T00:00:00Z"), &token)
            .await
            .expect(422)
            .names("at");
    })
    .await;
}

/// Wherever a decision is stored, rebuilding that moment finds the same vote.
#[tokio::test]
async fn what_is_rebuilt_is_what_was_decided() {
    on_both(async |store| {
        let mut fleet = Fleet::new(store, 3).await;
        let mut compared = 0;
        for seed in 10..12 {
            let monitor = fleet.monitor(&format!("shop-{seed}")).await;
            story(&mut fleet, monitor, seed).await;
            let opened = fleet.incidents().await;
            let mut tx = fleet.shared.store.read().await.unwrap();
            for incident in opened.iter().filter(|one| one.subject_id == monitor.to_string()) {
                let organisation_id = fleet.organisation;
                let events = incidents::timeline(&mut tx, organisation_id, incident.id, 0, 500)
                    .await
                    .unwrap();
                for event in events {
                    let input = asked(&event.evidence).unwrap();
                    let depth = Depth { results: 10_000, ranges: 1_000, messages: true };
                    let (_, past, _) =
                        history::moment(&mut tx, organisation_id, monitor, event.at, depth)
                            .await
                            .unwrap();
                    let mut replay = Replay::new(&past, Asked::AsThen);
                    replay.go_through(event.at);
                    assert_eq!(replay.evaluation().unwrap(), input.evaluation, "{}", event.summary);
                    compared += 1;
                }
            }
        }
        assert!(compared > 8, "only {compared} decisions");
    })
    .await;
}

#[tokio::test]
async fn confirmation_is_told_of_an_incident_and_of_any_time() {
    on_both(async |store| {
        let mut fleet = bursts::fleet(store, 3).await;
        let monitor = fleet.monitor("shop").await;
        all_see(&mut fleet, monitor, 2, Outcome::Ok).await;
        let slot = fleet.slot;
        fleet.report(0, vec![row(monitor, slot, Outcome::Fail)]).await;
        tick(&fleet).await;
        // Asked before the other region began to fail: it confirms nothing of that.
        fleet.execute("UPDATE bursts SET asked_at = asked_at - 50000").await;
        fleet.report(1, vec![row(monitor, slot + 60, Outcome::Fail)]).await;
        let (app, token) = reader(&fleet).await;
        let tells = |told: &Value| {
            let burst = &told["bursts"][0];
            assert_eq!((&burst["region"], &burst["failures"]), (&"region-0".into(), &2.into()));
            assert_eq!(burst["orders"].as_array().unwrap().len(), 3);
            let kept = told["not_asked"].as_array().unwrap();
            assert_eq!(kept.len(), 1, "{kept:?}");
            assert_eq!(
                (&kept[0]["region"], &kept[0]["reason"]),
                (&"region-1".into(), &"active".into())
            );
            assert_eq!(kept[0]["why"], "its last burst was still under way");
        };
        tells(&get(&app, &token, &format!("monitors/{monitor}/explain")).await);
        fleet.report(0, vec![row(monitor, slot + 1, Outcome::Fail)]).await;
        let id = fleet.incidents().await[0].id;
        tells(&get(&app, &token, &format!("incidents/{id}/explain")).await);
        fleet.execute("UPDATE bursts SET asked_at = asked_at - 700000").await;
        fleet.execute("UPDATE bursts_kept_back SET kept_at = kept_at - 700000").await;
        let later = get(&app, &token, &format!("monitors/{monitor}/explain")).await;
        assert_eq!(
            (&later["bursts"], &later["not_asked"]),
            (&serde_json::json!([]), &serde_json::json!([]))
        );
    })
    .await;
}

#[tokio::test]
async fn a_time_whose_results_are_gone_is_not_made_up() {
    on_both(async |store| {
        let mut fleet = Fleet::new(store, 3).await;
        let monitor = fleet.monitor("shop").await;
        all_see(&mut fleet, monitor, 3, Outcome::Ok).await;
        let (app, token) = reader(&fleet).await;
        let now = fleet.shared.store.now().await.unwrap();
        let ago = serde_json::to_value(Timestamp(now - 40 * 86_400_000)).unwrap();
        let path = format!("monitors/{monitor}/explain?at={}", ago.as_str().unwrap());
        let told = get(&app, &token, &path).await;
        let said = "No page: no incident of shop was open then; how it stood is not known any more, \
            since its results are gone.";
        assert_eq!(told["summary"], said);
        assert_eq!((&told["source"], &told["vote"]), (&"forgotten".into(), &Value::Null));
        assert_eq!(told["seats"], serde_json::json!([]));
        assert_eq!(told["rebuilt_from"], serde_json::json!([]));
    })
    .await;
}

#[tokio::test]
async fn a_long_timeline_shows_its_beginning_and_its_end() {
    on_both(async |store| {
        let mut fleet = Fleet::new(store, 1).await;
        let monitor = fleet.monitor("shop").await;
        all_see(&mut fleet, monitor, 2, Outcome::Ok).await;
        all_see(&mut fleet, monitor, 2, Outcome::Fail).await;
        let id = fleet.incidents().await[0].id;
        let mut tx = fleet.shared.store.begin().await.unwrap();
        const LINE: &str = "INSERT INTO incident_events (organisation_id, incident_id, number, at,
                kind, verdict, scope, summary, evidence)
            SELECT organisation_id, id, $2, opened_at + $2, 'comment', 'down', 'global', 'x', '{}'
            FROM incidents WHERE id = $1";
        for number in 2i64..=250 {
            tx.execute(LINE, params![id, number]).await.unwrap();
        }
        tx.commit().await.unwrap();
        all_see(&mut fleet, monitor, 1, Outcome::Ok).await;
        let (app, token) = reader(&fleet).await;
        let told = get(&app, &token, &format!("incidents/{id}/explain")).await;
        let decisions = told["decisions"].as_array().unwrap();
        let numbers: Vec<_> = decisions.iter().map(|one| one["number"].as_i64().unwrap()).collect();
        assert_eq!((numbers[0], numbers[1], numbers.last()), (1, 52, Some(&250)));
        let said = told["left_out"][0].as_str().unwrap();
        assert!(said.starts_with("decisions 2 to 51: GET /api/v1/incidents/"), "{said}");
    })
    .await;
}
