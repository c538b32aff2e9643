//! Why there was no page: the reason is that of the page, and of nothing else.

use crate::back_ends::on_both;
use crate::replay::{Asked, at};
use hyperverge_control_core::correlation::Scope;
use hyperverge_control_core::notification::route::{Match, Route};
use hyperverge_control_plane::clock;
use hyperverge_control_plane::params;
use hyperverge_control_plane::store::routes::{self, StoredRoute};
use serde_json::{Value, json};
use uuid::Uuid;

impl Asked {
    /// Sends what one region alone sees to a channel of its own.
    async fn quiet_route(&self) {
        self.scene.channel("team", false).await;
        let matches = Match { scope: vec![Scope::Local], ..Match::default() };
        let route = Route { name: "quiet".to_owned(), matches, channels: vec!["team".to_owned()] };
        let (id, revision) = (clock::new_id(), 1);
        let route = StoredRoute { id, route, revision, created_at: 0, updated_at: 0 };
        let mut tx = self.scene.begin().await;
        routes::insert(&mut tx, self.scene.organisation(), &route).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// What waits, waits for others of the same cause.
    async fn group_wait(&self) {
        let mut tx = self.scene.begin().await;
        let now = tx.now().await.unwrap();
        let sql = "UPDATE page_intents SET due_at = $1 WHERE settled_at IS NULL";
        tx.execute(sql, params![now + 3_600_000]).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// The explanation of now, and its sentence.
    async fn now(&self, monitor: Uuid) -> (Value, String) {
        let told = self.get(&format!("monitors/{monitor}/explain")).await;
        let said = told["summary"].as_str().unwrap().to_owned();
        (told, said)
    }
}

#[tokio::test]
async fn what_nobody_heard_quietly_is_not_why_the_page_waits() {
    on_both(async |store| {
        let mut asked = Asked::new(store, 3).await;
        let shop = asked.scene.monitor("shop", "shop.example", json!({})).await;
        asked.scene.see(&[shop], &[0]).await;
        asked.settle().await;
        asked.scene.see(&[shop], &[0, 1]).await;
        asked.group_wait().await;
        let (_, said) = asked.now(shop).await;
        let waits = "its notice waited: others of the same cause are waited for until";
        assert!(said.contains(waits), "{said}");
        let incident = asked.explain(asked.scene.incident("shop").await.id).await;
        let said = incident["summary"].as_str().unwrap();
        assert!(said.contains("nobody was told (its notice waits)"), "{said}");
    })
    .await;
}

#[tokio::test]
async fn who_was_told_quietly_was_not_paged() {
    on_both(async |store| {
        let mut asked = Asked::new(store, 3).await;
        asked.quiet_route().await;
        let shop = asked.scene.monitor("shop", "shop.example", json!({})).await;
        asked.scene.see(&[shop], &[0]).await;
        asked.settle().await;
        let (told, said) = asked.now(shop).await;
        assert!(said.starts_with("No page: 1 of 3 regions saw shop down, and 2 are"), "{said}");
        assert!(said.contains("the routes that name such incidents had been told"), "{said}");
        assert_eq!(told["deliveries"][0]["quiet"], true);

        let mut tx = asked.scene.begin().await;
        let now = tx.now().await.unwrap();
        drop(tx);
        let silence = json!({ "comment": "we know", "ends_at": at(now + 3_600_000),
            "matchers": { "monitors": ["shop"] } });
        asked.post("silences", silence).await;
        asked.scene.see(&[shop], &[0, 1]).await;
        let (_, due) = asked.now(shop).await;
        assert!(
            due.contains("No page yet: shop was down, and its notice waited: it was due"),
            "{due}"
        );
        asked.settle().await;
        let (told, held) = asked.now(shop).await;
        assert!(held.contains("its notice waited: held by the silence we know"), "{held}");
        assert_eq!(told["intents"][1]["quiet"], false);
        assert!(told["intents"][1]["held"].as_str().unwrap().contains("we know"));
        let incident = asked.explain(asked.scene.incident("shop").await.id).await;
        let said = incident["summary"].as_str().unwrap();
        assert!(said.contains("team is being told quietly; nobody was paged (held by"), "{said}");
    })
    .await;
}
