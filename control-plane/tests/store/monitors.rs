//! Monitors and their revisions.

use crate::back_ends::on_both;
use hyperverge_control_plane::clock;
use hyperverge_control_plane::params;
use hyperverge_control_plane::store::{StoreError, Tx, monitors};
use hyperverge_protocol::monitor::MonitorSpec;
use uuid::Uuid;

fn spec(name: &str, regions: &[&str]) -> MonitorSpec {
    let json = serde_json::json!({
        "name": name, "target": "https://example.com/", "regions": regions,
        "labels": { "near": "eu-west" },
    });
    MonitorSpec::from_json(json.to_string().as_bytes()).unwrap()
}

async fn revisions(tx: &mut Tx, id: Uuid) -> Vec<(i64, bool)> {
    const SQL: &str =
        "SELECT revision, deleted FROM monitor_revisions WHERE monitor_id = $1 ORDER BY revision";
    let rows = tx.fetch_all(SQL, params![id]).await.unwrap();
    rows.iter().map(|row| (row.get("revision").unwrap(), row.get("deleted").unwrap())).collect()
}

#[tokio::test]
async fn a_monitor_keeps_every_specification_it_had_beyond_its_end() {
    on_both(async |store| {
        let (organisation, id) = (clock::new_id(), clock::new_id());
        let mut tx = store.begin().await.unwrap();
        monitors::insert(&mut tx, organisation, id, &spec("a", &["*"]), 5).await.unwrap();
        let made = monitors::lock(&mut tx, organisation, id).await.unwrap().unwrap();
        assert_eq!((made.revision, made.created_at, made.updated_at), (1, 5, 5));
        assert_eq!((made.verdict.as_str(), made.scope), ("unknown", None));
        let changed = spec("b", &["eu-west"]);
        monitors::replace(&mut tx, organisation, id, 2, &changed, 6).await.unwrap();
        let present = monitors::get(&mut tx, organisation, id).await.unwrap().unwrap();
        assert_eq!((present.revision, present.updated_at), (2, 6));
        assert_eq!(present.spec, changed);

        monitors::delete(&mut tx, organisation, &present, 7).await.unwrap();
        assert_eq!(monitors::get(&mut tx, organisation, id).await.unwrap(), None);
        assert!(monitors::existed(&mut tx, organisation, id).await.unwrap());
        assert!(!monitors::existed(&mut tx, clock::new_id(), id).await.unwrap());
        assert_eq!(revisions(&mut tx, id).await, [(1, false), (2, false), (3, true)]);
        // Its name is free again.
        monitors::insert(&mut tx, organisation, clock::new_id(), &spec("b", &["*"]), 8)
            .await
            .unwrap();
    })
    .await;
}

#[tokio::test]
async fn names_are_unique_in_an_organisation_and_pages_go_by_them() {
    on_both(async |store| {
        let (organisation, other) = (clock::new_id(), clock::new_id());
        let mut tx = store.begin().await.unwrap();
        for name in ["c-1", "a", "c", "b"] {
            let id = clock::new_id();
            monitors::insert(&mut tx, organisation, id, &spec(name, &["*"]), 5).await.unwrap();
        }
        monitors::insert(&mut tx, other, clock::new_id(), &spec("a", &["*"]), 5).await.unwrap();
        tx.commit().await.unwrap();
        let mut tx = store.begin().await.unwrap();
        let taken = spec("a", &["*"]);
        let again = monitors::insert(&mut tx, organisation, clock::new_id(), &taken, 5).await;
        assert!(matches!(again, Err(StoreError::Conflict)), "{again:?}");
        drop(tx);

        let mut tx = store.read().await.unwrap();
        let (mut after, mut seen) = (String::new(), Vec::new());
        loop {
            let page = monitors::page(&mut tx, organisation, &after, 2).await.unwrap();
            let Some(last) = page.last() else { break };
            after = last.spec.name.clone();
            seen.extend(page.into_iter().map(|monitor| monitor.spec.name));
        }
        assert_eq!(seen, ["a", "b", "c", "c-1"]);
        assert_eq!(monitors::count(&mut tx, organisation).await.unwrap(), 4);
        assert_eq!(monitors::count(&mut tx, other).await.unwrap(), 1);
    })
    .await;
}

#[tokio::test]
async fn only_monitors_whose_list_names_a_region_name_it() {
    on_both(async |store| {
        let organisation = clock::new_id();
        let mut tx = store.begin().await.unwrap();
        for (name, regions) in
            [("a", ["eu-west"].as_slice()), ("b", &["us-east", "eu-west"]), ("c", &["*"])]
        {
            let id = clock::new_id();
            monitors::insert(&mut tx, organisation, id, &spec(name, regions), 5).await.unwrap();
        }
        let naming = monitors::naming_region(&mut tx, organisation, "eu-west", 5).await.unwrap();
        assert_eq!(naming, ["a", "b"]);
        let naming = monitors::naming_region(&mut tx, organisation, "eu-west", 1).await.unwrap();
        assert_eq!(naming, ["a"]);
        let naming = monitors::naming_region(&mut tx, organisation, "eu", 5).await.unwrap();
        assert!(naming.is_empty());
    })
    .await;
}
