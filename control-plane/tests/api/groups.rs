//! Groups as people see them: with their cause, their members, and from each member.

use crate::app::App;
use crate::back_ends::on_both;
use crate::incidents::opened;
use http::Method;
use hyperverge_control_core::paging::{Cause, CauseKind};
use hyperverge_control_plane::clock;
use hyperverge_control_plane::store::groups::{self, StoredGroup};
use serde_json::{Value, json};
use uuid::Uuid;

/// A group of the incidents, the first of which leads it.
pub(crate) async fn grouped(app: &App, organisation: Uuid, incidents: &[Uuid]) -> Uuid {
    let mut tx = app.shared.store.begin().await.unwrap();
    let now = tx.now().await.unwrap();
    let group = StoredGroup {
        id: clock::new_id(),
        cause: Cause { kind: CauseKind::Host, value: "edge.example.com".into() },
        summary: "2 monitors on the host edge.example.com are down".into(),
        lead_incident_id: incidents[0],
        opened_at: now,
        resolved_at: None,
        paged: true,
        quiet: false,
        told_global: true,
        newest_started_at: now,
        interval_ms: 60_000,
    };
    groups::insert(&mut tx, organisation, &group).await.unwrap();
    groups::tell(&mut tx, organisation, group.id, false, incidents.to_vec()).await.unwrap();
    tx.commit().await.unwrap();
    group.id
}

#[tokio::test]
async fn a_group_shows_its_cause_and_its_members() {
    on_both(async |store| {
        let app = App::over(store);
        let (organisation, token) = app.organisation().await;
        let mut incidents = Vec::new();
        for name in ["shop", "search", "alone"] {
            let (id, monitor) = opened(&app, organisation, name).await;
            incidents.push((id.parse::<Uuid>().unwrap(), monitor));
        }
        let members = [incidents[0].0, incidents[1].0];
        let group = grouped(&app, organisation, &members).await;
        let path = format!("/api/v1/groups/{group}");
        let shown = app.get(&path, &token).await.expect(200).json();
        assert_eq!(shown["cause"], json!({ "kind": "host", "value": "edge.example.com" }));
        assert_eq!((&shown["state"], &shown["lead"]), (&json!("open"), &json!(members[0])));
        assert_eq!((&shown["member_count"], &shown["unresolved_count"]), (&json!(2), &json!(2)));
        let names: Vec<_> = shown["members"]
            .as_array()
            .unwrap()
            .iter()
            .map(|member| member["subject"]["name"].as_str().unwrap())
            .collect();
        assert_eq!(names, ["shop", "search"]);

        let path = format!("/api/v1/incidents/{}", members[1]);
        let reference = app.get(&path, &token).await.expect(200).json()["group"].clone();
        for field in ["id", "cause", "summary", "state"] {
            assert_eq!(reference[field], shown[field], "{field}");
        }
        let listed = app.get(&format!("/api/v1/incidents?group={group}"), &token).await.json();
        let listed: Vec<_> =
            listed["items"].as_array().unwrap().iter().map(|item| item["id"].clone()).collect();
        assert_eq!(listed, [json!(members[1]), json!(members[0])]);
        let path = format!("/api/v1/incidents/{}", incidents[2].0);
        assert_eq!(app.get(&path, &token).await.json()["group"], Value::Null);

        let path = format!("/api/v1/incidents/{}/post-mortem", members[0]);
        let text = app.get(&path, &token).await.expect(200).text;
        let cause = "Shared with others: 2 monitors on the host edge.example.com are down";
        assert!(text.contains(cause) && text.contains("| search | open | global |"), "{text}");

        let monitor = format!("/monitors/{}", incidents[1].1);
        app.call(Method::DELETE, &monitor, &token, Value::Null).await.expect(204);
        let path = format!("/api/v1/groups/{group}");
        let shown = app.get(&path, &token).await.expect(200).json();
        assert_eq!((&shown["member_count"], &shown["unresolved_count"]), (&json!(2), &json!(1)));
        assert_eq!(shown["members"][1]["state"], "resolved");
    })
    .await;
}

#[tokio::test]
async fn groups_come_in_pages_and_by_state() {
    on_both(async |store| {
        let app = App::over(store);
        let (organisation, token) = app.organisation().await;
        let mut made = Vec::new();
        for name in ["a", "b", "c"] {
            let (id, _) = opened(&app, organisation, name).await;
            made.push(grouped(&app, organisation, &[id.parse().unwrap()]).await);
        }
        let mut tx = app.shared.store.begin().await.unwrap();
        let now = tx.now().await.unwrap();
        groups::close(&mut tx, organisation, vec![made[0]], now).await.unwrap();
        tx.commit().await.unwrap();
        let listed = async |query: &str| {
            let page = app.get(&format!("/api/v1/groups?{query}"), &token).await.expect(200).json();
            let items = page["items"].as_array().unwrap().clone();
            let ids: Vec<Uuid> =
                items.iter().map(|item| item["id"].as_str().unwrap().parse().unwrap()).collect();
            (ids, page["next_cursor"].as_str().map(str::to_owned))
        };
        assert_eq!(listed("").await.0, [made[2], made[1], made[0]]);
        assert_eq!(listed("state=open").await.0, [made[2], made[1]]);
        assert_eq!(listed("state=resolved").await.0, [made[0]]);
        let (page, cursor) = listed("limit=2").await;
        assert_eq!(page, [made[2], made[1]]);
        assert_eq!(listed(&format!("cursor={}", cursor.unwrap())).await, (vec![made[0]], None));
        app.get("/api/v1/groups?state=closed", &token).await.expect(422).names("state");
        let (_, stranger) = app.organisation().await;
        let theirs = app.get("/api/v1/groups", &stranger).await.expect(200).json();
        assert_eq!(theirs["items"], json!([]));
    })
    .await;
}
