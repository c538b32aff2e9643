//! What the correlator and the liveness task store of their decisions decides the
//! same again, asked through `explain`.

use crate::app::App;
use crate::back_ends::on_both;
use crate::scene::Scene;
use hyperverge_control_core::notification::NoticeKind;
use hyperverge_control_plane::api::Timestamp;
use hyperverge_control_plane::auth::Role;
use hyperverge_control_plane::clock;
use hyperverge_control_plane::params;
use hyperverge_control_plane::store::Store;
use hyperverge_control_plane::store::history::{self, Span};
use hyperverge_control_plane::tasks::liveness::{Cursor, round};
use serde_json::{Value, json};
use uuid::Uuid;

/// A scene, and somebody who asks why.
pub(crate) struct Asked {
    pub(crate) scene: Scene,
    app: App,
    token: String,
}

impl Asked {
    pub(crate) async fn new(store: Store, regions: u8) -> Self {
        let scene = Scene::new(store, regions).await;
        let app = App::over(scene.fixture.shared.store.clone());
        let token = app.member(scene.organisation(), Role::Editor).await;
        Self { scene, app, token }
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        self.app.get(&format!("/api/v1/{path}"), &self.token).await.expect(200).json()
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Value {
        self.app.post(&format!("/api/v1/{path}"), &self.token, body).await.expect(201).json()
    }

    pub(crate) async fn explain(&self, incident: Uuid) -> Value {
        self.get(&format!("incidents/{incident}/explain")).await
    }

    /// What is waited for comes, and is judged.
    pub(crate) async fn settle(&mut self) {
        self.scene.everything_is_due().await;
        self.scene.round().await;
    }

    /// What was explained of one group while it was there is in both explanations.
    async fn tells_of_the_group(&self, [one, two, three]: [Uuid; 3]) {
        let id = async |name: &str| self.scene.incident(name).await.id;
        let (lead, late) = (id("one").await, id("three").await);
        let told = self.explain(late).await;
        let group = &told["group"];
        assert_eq!(group["cause"], json!({ "kind": "host", "value": "edge.example" }));
        assert_eq!(group["lead"], json!({ "id": lead, "name": "one" }));
        assert_eq!((&group["role"], &group["paged"]), (&json!("member"), &json!(true)));
        assert_eq!((&group["member_count"], &group["unresolved_count"]), (&json!(3), &json!(0)));
        let names = group["members"].as_array().unwrap().iter();
        let names: Vec<_> = names.map(|member| &member["subject"]["name"]).collect();
        assert_eq!(names, ["one", "two", "three"]);
        assert_eq!(group["members"][0]["id"], json!(lead));
        let said = group["told"].as_str().unwrap();
        assert!(said.starts_with("told with one; it has no notice of its own"), "{said}");

        // Told through the lead: its beginning, and its end.
        let deliveries = told["deliveries"].as_array().unwrap();
        assert!(deliveries.iter().all(|one| one["through"] == json!(lead)), "{deliveries:?}");
        let of = |kind: &str| {
            let of_it = deliveries.iter().filter(|one| one["kind"] == kind);
            let mut to: Vec<_> = of_it.map(|one| one["channel"].as_str().unwrap()).collect();
            to.sort_unstable();
            to
        };
        assert_eq!(of("opened"), ["hook", "late", "shop"]);
        assert_eq!(of("resolved"), ["hook", "late", "shop"]);
        let summary = told["summary"].as_str().unwrap();
        assert!(summary.contains("is being told with one"), "{summary}");
        let of_lead = self.explain(lead).await;
        assert_eq!(of_lead["group"]["role"], "lead");
        assert!(
            of_lead["deliveries"].as_array().unwrap().iter().all(|one| one["through"].is_null())
        );

        // At the time, and in what a backtest takes as really sent.
        let opened = self.scene.incident("two").await.opened_at;
        for monitor in [two, three] {
            let now = self.scene.fixture.shared.store.now().await.unwrap();
            let span = Span {
                organisation_id: self.scene.organisation(),
                monitor_id: monitor,
                from: opened,
                until: now,
            };
            let mut tx = self.scene.fixture.shared.store.read().await.unwrap();
            let outages = history::outages(&mut tx, span, 9).await.unwrap();
            let pages = &outages[0].pages;
            let kinds: Vec<NoticeKind> = pages.iter().map(|page| page.kind).collect();
            assert_eq!(kinds, [NoticeKind::Opened, NoticeKind::Resolved]);
            assert!(outages[0].paged_at().is_some_and(|at| at >= outages[0].opened_at));
            assert_eq!(pages[0].regions, ["eu-west"]);
        }
        let over = self.scene.incident("two").await.resolved_at.unwrap();
        let asked = async |monitor: Uuid, at: i64| {
            let at = self::at(at);
            self.get(&format!("monitors/{monitor}/explain?at={}", at.as_str().unwrap())).await
        };
        let then = asked(two, over - 1).await;
        assert_eq!(then["group"]["lead"]["name"], "one");
        let said = then["summary"].as_str().unwrap();
        assert!(said.contains("with one, which leads its group"), "{said}");
        assert_eq!(then["deliveries"][0]["through"], json!(lead));
        let first = self.scene.incident("one").await.opened_at;
        let before = asked(one, first).await;
        assert_eq!(before["group"], Value::Null, "there was no group yet");
        let path = format!("/api/v1/incidents/{late}/post-mortem");
        let text = self.app.get(&path, &self.token).await.expect(200).text;
        assert!(text.contains("late, with its group"), "{text}");

        // Then it belonged to it, wherever it belongs now.
        let mut tx = self.scene.begin().await;
        let sql = "UPDATE incidents SET group_id = NULL WHERE subject_id = $1";
        tx.execute(sql, params![two.to_string()]).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(asked(two, over - 1).await["group"]["lead"]["name"], "one");
    }

    /// Every decision about everything is made again; how many of each kind there are,
    /// with the words that tell sorts of one kind apart.
    async fn all_the_same(&self) -> Vec<String> {
        let mut said = Vec::new();
        for incident in self.scene.incidents().await {
            let told = self.explain(incident.id).await;
            for decision in told["decisions"].as_array().unwrap() {
                assert_eq!(decision["replay"]["result"], "same", "{decision:#}");
                assert_eq!(decision["replay"]["with"], json!([]), "{decision:#}");
                let (kind, summary) = (&decision["kind"], &decision["summary"]);
                said.push(format!(
                    "{} {}: {}",
                    incident.subject_name,
                    kind.as_str().unwrap(),
                    summary.as_str().unwrap()
                ));
            }
        }
        said
    }
}

#[track_caller]
fn says(said: &[String], words: &str) {
    assert!(said.iter().any(|line| line.contains(words)), "{words:?} is not said: {said:#?}");
}

pub(crate) fn at(ms: i64) -> Value {
    serde_json::to_value(Timestamp(ms)).unwrap()
}

fn any() -> Value {
    json!({ "policy": { "quorum": "any" } })
}

#[tokio::test]
async fn told_alone_withdrawn_and_nobody_to_tell() {
    on_both(async |store| {
        let mut asked = Asked::new(store, 3).await;
        let scene = &mut asked.scene;
        // All of one site: what one region alone fails is not its agent's fault.
        let alone = scene.monitor("alone", "alone.site.example", any()).await;
        let brief = scene.monitor("brief", "brief.site.example", json!({})).await;
        let narrow = scene.monitor("narrow", "narrow.site.example", json!({})).await;
        let quiet = scene.monitor("quiet", "quiet.site.example", json!({})).await;
        let old = scene.monitor("old", "old.site.example", json!({})).await;
        scene.see(&[alone, quiet], &[0]).await;
        scene.see(&[brief, narrow], &[0, 1]).await;
        scene.see(&[brief], &[]).await;
        scene.see(&[narrow], &[0]).await;
        asked.settle().await;
        asked.scene.see(&[alone], &[0, 1, 2]).await;
        asked.settle().await;
        asked.scene.see(&[alone, narrow, quiet], &[]).await;
        asked.settle().await;
        asked.scene.see(&[old], &[0, 1]).await;
        let mut tx = asked.scene.begin().await;
        let ago = "UPDATE agents SET complete_through = complete_through - 3600000";
        tx.execute(ago, params![]).await.unwrap();
        tx.commit().await.unwrap();
        asked.settle().await;
        let said = asked.all_the_same().await;
        says(&said, "alone paged: Told hook (opened)");
        says(&said, "alone paged: Told hook (widened)");
        says(&said, "alone paged: Told hook (resolved)");
        says(&said, "brief paged: Told hook (resolved)");
        says(&said, "narrow held: Nobody was told: the quorum ended");
        says(&said, "quiet held: Nobody was told (opened): no route names it");
        says(&said, "old held: Nobody is told yet: the votes it rests on are not fresh");
    })
    .await;
}

#[tokio::test]
async fn groups_late_members_and_their_end() {
    on_both(async |store| {
        let mut asked = Asked::new(store, 1).await;
        let scene = &mut asked.scene;
        scene.channel("shop", false).await;
        let one = scene.monitor("one", "edge.example", json!({})).await;
        let two = scene.monitor("two", "edge.example", json!({ "notify": ["shop"] })).await;
        scene.see(&[one, two], &[0]).await;
        scene.round().await;
        scene.channel("late", false).await;
        let three = scene.monitor("three", "edge.example", json!({ "notify": ["late"] })).await;
        scene.see(&[three], &[0]).await;
        scene.round().await;
        // The lead is over before the others.
        scene.see(&[one], &[]).await;
        scene.round().await;
        scene.see(&[two, three], &[]).await;
        asked.settle().await;
        asked.tells_of_the_group([one, two, three]).await;
        // One that was told by itself leads those that begin with it.
        let scene = &mut asked.scene;
        let first = scene.monitor("first", "host.example", json!({})).await;
        scene.see(&[first], &[0]).await;
        scene.round().await;
        let second = scene.monitor("second", "host.example", json!({ "notify": ["shop"] })).await;
        scene.see(&[second], &[0]).await;
        asked.settle().await;
        let said = asked.all_the_same().await;
        says(&said, "one paged: Told hook, shop (opened)");
        says(&said, "two grouped: Told with a group: 2 monitors on the host edge.example");
        says(&said, "three grouped: Told with a group: ");
        says(&said, "one paged: Told late too");
        says(&said, "one held: Nobody is told yet: others of its group still hurt");
        says(&said, "one paged: Told hook, late, shop (resolved)");
        says(&said, "first paged: Told hook, shop (widened): 2 monitors on the host host.example");
    })
    .await;
}

#[tokio::test]
async fn members_of_a_group_too_large_to_store_with_each() {
    on_both(async |store| {
        let mut asked = Asked::new(store, 3).await;
        let mut tx = asked.scene.begin().await;
        let (mut hurt, mut well) = (Vec::new(), Vec::new());
        for number in 0..180 {
            let (name, host) = (format!("m{number}"), format!("m{number}.site.example"));
            let all = if number < 130 { &mut hurt } else { &mut well };
            all.push(asked.scene.add(&mut tx, &name, &host, any()).await);
        }
        asked.scene.saw(&mut tx, &hurt, &[0]).await;
        asked.scene.saw(&mut tx, &well, &[]).await;
        tx.commit().await.unwrap();
        asked.settle().await;
        let told = asked.scene.outbox().await;
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!(told[0].1.group.as_ref().unwrap().title, "130 monitors seen from eu-west");
        let said = asked.all_the_same().await;
        assert_eq!(said.iter().filter(|line| line.contains(" grouped: Told with")).count(), 129);
    })
    .await;
}

#[tokio::test]
async fn silences_and_maintenance_windows() {
    on_both(async |store| {
        let mut asked = Asked::new(store, 1).await;
        let noisy = asked.scene.monitor("noisy", "noisy.example", json!({})).await;
        let moved = asked.scene.monitor("moved", "moved.example", json!({})).await;
        let mut tx = asked.scene.begin().await;
        let now = tx.now().await.unwrap();
        let ends_at = at(now + 3_600_000);
        drop(tx);
        let silence = json!({ "comment": "we know", "ends_at": ends_at,
            "matchers": { "monitors": ["noisy"] } });
        let silence = asked.post("silences", silence).await;
        let window = json!({ "name": "move", "starts_at": at(now - 1_000),
            "ends_at": ends_at, "matchers": { "monitors": ["moved"] } });
        let window = asked.post("maintenance-windows", window).await;
        asked.scene.see(&[noisy, moved], &[0]).await;
        asked.settle().await;
        asked.scene.see(&[moved], &[]).await;
        asked.settle().await;
        for (kind, held) in [("silences", silence), ("maintenance-windows", window)] {
            let path = format!("/api/v1/{kind}/{}", held["id"].as_str().unwrap());
            asked.app.call(http::Method::DELETE, &path, &asked.token, Value::Null).await;
        }
        asked.settle().await;
        let said = asked.all_the_same().await;
        says(&said, "noisy held: Nobody is told yet: held by the silence we know");
        says(&said, "moved held: Nobody is told yet: held by the maintenance");
        says(&said, "moved held: Nobody was told: it was over while it was held");
        says(&said, "noisy paged: Told hook (opened)");
    })
    .await;
}

#[tokio::test]
async fn children_of_a_parent_that_is_down() {
    on_both(async |store| {
        let mut asked = Asked::new(store, 1).await;
        let child = json!({ "depends_on": ["gateway"], "interval": "1s", "timeout": "1s",
            "policy": { "recover_after": 1 } });
        let scene = &mut asked.scene;
        let gateway = scene.monitor("gateway", "gateway.example", json!({})).await;
        let early = scene.monitor("early", "early.example", child.clone()).await;
        scene.see(&[gateway, early], &[0]).await;
        scene.round().await;
        let late = scene.monitor("late", "late.example", child).await;
        scene.see(&[late], &[0]).await;
        asked.settle().await;
        asked.scene.see(&[gateway], &[]).await;
        asked.settle().await;
        let mut tx = asked.scene.begin().await;
        let sql = "UPDATE incidents SET resolved_at = started_at WHERE subject_id = $1";
        tx.execute(sql, params![gateway.to_string()]).await.unwrap();
        tx.commit().await.unwrap();
        asked.scene.see(&[early, late], &[0]).await;
        asked.settle().await;
        let said = asked.all_the_same().await;
        says(&said, "early held: Nobody is told yet: it depends on gateway, which is down");
        says(&said, "early grouped: Listed, and held, with a group: gateway is down");
        says(&said, "late grouped: Listed, and held, with a group: gateway is down");
        says(&said, "late held: Nobody is told yet: gateway, which it depends on, has just come");
        says(&said, "gateway paged: Told hook (resolved)");
        assert!(
            said.iter().any(|line| line.contains("early paged") || line.contains("late paged"))
        );
    })
    .await;
}

#[tokio::test]
async fn a_flapping_monitor() {
    on_both(async |store| {
        let mut asked = Asked::new(store, 1).await;
        let flap =
            json!({ "policy": { "flap": { "changes": 2, "within": "1h", "settle": "1h" } } });
        let flaps = asked.scene.monitor("flaps", "flaps.example", flap).await;
        for _ in 0..2 {
            asked.scene.see(&[flaps], &[0]).await;
            asked.settle().await;
            asked.scene.see(&[flaps], &[]).await;
            asked.settle().await;
        }
        let said = asked.all_the_same().await;
        says(&said, "flaps held: flaps is flapping");
        says(&said, "flaps paged: Told hook (opened)");
    })
    .await;
}

#[tokio::test]
async fn an_agent_at_fault_and_its_return() {
    on_both(async |store| {
        let mut asked = Asked::new(store, 3).await;
        let mut tx = asked.scene.begin().await;
        let mut all = Vec::new();
        // More than the evidence of one fault holds.
        for number in 0..210 {
            let host = format!("www.site-{number}.example");
            all.push(asked.scene.add(&mut tx, &format!("m{number}"), &host, json!({})).await);
        }
        asked.scene.saw(&mut tx, &all, &[1]).await;
        tx.commit().await.unwrap();
        asked.settle().await;
        asked.settle().await;
        asked.scene.see(&all, &[]).await;
        let mut tx = asked.scene.begin().await;
        let long_ago = "UPDATE agents SET discredited_at = 1 WHERE discredited_at IS NOT NULL";
        tx.execute(long_ago, params![]).await.unwrap();
        tx.commit().await.unwrap();
        asked.settle().await;
        asked.settle().await;
        let about = asked.scene.incident("probe-1").await;
        let told = asked.explain(about.id).await;
        let decisions = told["decisions"].as_array().unwrap();
        let kinds: Vec<_> = decisions.iter().map(|one| one["kind"].as_str().unwrap()).collect();
        assert_eq!(kinds, ["opened", "held", "resolved"]);
        for decision in decisions {
            assert_eq!(decision["replay"]["result"], "same", "{decision}");
        }
        let said = decisions[0]["summary"].as_str().unwrap();
        assert!(said.contains("210 monitors"), "{said}");
    })
    .await;
}

#[tokio::test]
async fn a_few_agents_at_fault_and_what_rested_on_them() {
    on_both(async |store| {
        let mut asked = Asked::new(store, 3).await;
        let mut all = Vec::new();
        for number in 0..5 {
            let host = format!("www.site-{number}.example");
            all.push(asked.scene.monitor(&format!("m{number}"), &host, any()).await);
        }
        asked.scene.see(&all, &[1]).await;
        asked.settle().await;
        asked.settle().await;
        let said = asked.all_the_same().await;
        says(&said, "probe-1 opened: probe-1 fails 5 monitors that other regions see well");
        says(&said, "probe-1 held: Nobody was told (opened): no route names it");
        says(&said, "m0 resolved: m0 was seen failing only by an agent that is itself at fault");
    })
    .await;
}

#[tokio::test]
async fn a_region_that_falls_silent_and_is_heard_again() {
    on_both(async |store| {
        let mut asked = Asked::new(store, 1).await;
        let shared = asked.scene.fixture.shared.clone();
        let holder = clock::new_id();
        let heard = async |ago: i64| {
            let mut tx = shared.store.begin().await.unwrap();
            let now = tx.now().await.unwrap();
            let sql = "UPDATE agents SET last_heartbeat_at = $1";
            tx.execute(sql, params![now - ago]).await.unwrap();
            tx.commit().await.unwrap();
        };
        asked.scene.fixture.listened(61_000, 0).await;
        heard(65_000).await;
        let mut patient = Cursor::default();
        round(&shared, holder, &mut patient).await.unwrap();
        heard(0).await;
        round(&shared, holder, &mut patient).await.unwrap();
        asked.settle().await;
        let said = asked.all_the_same().await;
        says(&said, "eu-west opened: region eu-west is silent: nothing from its only agent");
        says(&said, "eu-west resolved: region eu-west is heard again");
    })
    .await;
}

#[tokio::test]
async fn who_is_only_listed_was_told_nothing() {
    on_both(async |store| {
        let mut asked = Asked::new(store, 1).await;
        let child = json!({ "depends_on": ["gateway"] });
        let gateway = asked.scene.monitor("gateway", "gateway.example", json!({})).await;
        let child = asked.scene.monitor("child", "child.example", child).await;
        asked.scene.see(&[gateway, child], &[0]).await;
        asked.settle().await;
        let told = asked.explain(asked.scene.incident("child").await.id).await;
        assert_eq!((&told["group"]["role"], &told["deliveries"]), (&json!("listed"), &json!([])));
        let said = told["group"]["told"].as_str().unwrap();
        assert!(said.starts_with("listed with gateway; its own notice is held"), "{said}");
        let summary = told["summary"].as_str().unwrap();
        assert!(summary.contains("nobody was told (it depends on gateway"), "{summary}");
        let now = asked.get(&format!("monitors/{child}/explain")).await;
        let summary = now["summary"].as_str().unwrap();
        assert!(summary.contains("it depends on gateway, which is down"), "{summary}");
    })
    .await;
}
