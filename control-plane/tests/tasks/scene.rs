//! An organisation with agents in several regions, whose sight a test decides.

use crate::fixture::Fixture;
use ed25519_dalek::SigningKey;
use hyperverge_control_core::correlation::{RegionState, StateRow};
use hyperverge_control_core::notification::route::{Match, Route};
use hyperverge_control_core::notification::{ChannelConfig, Notice, WebhookConfig};
use hyperverge_control_plane::clock;
use hyperverge_control_plane::params;
use hyperverge_control_plane::store::agents::{self, NewAgent};
use hyperverge_control_plane::store::assignments::{self, Assignment};
use hyperverge_control_plane::store::channels::{self, Channel};
use hyperverge_control_plane::store::incidents::{self, Filter, Incident};
use hyperverge_control_plane::store::routes::{self, StoredRoute};
use hyperverge_control_plane::store::{Store, Tx, monitors, regions, states};
use hyperverge_control_plane::tasks::correlator::{self, Correlator};
use hyperverge_control_plane::verdicts;
use hyperverge_protocol::identity::Fingerprint;
use hyperverge_protocol::monitor::MonitorSpec;
use serde_json::{Value, json};
use uuid::Uuid;

const INTERVAL_MS: i64 = 60_000;

pub(crate) struct Scene {
    pub(crate) fixture: Fixture,
    pub(crate) correlator: Correlator,
    /// Region and agent.
    seats: Vec<(Uuid, String)>,
}

impl Scene {
    /// With one default channel `hook` and agents in this many regions.
    pub(crate) async fn new(store: Store, regions: u8) -> Self {
        let fixture = Fixture::new(store).await;
        let mut scene =
            Self { fixture, correlator: Correlator::new(clock::new_id()), seats: Vec::new() };
        let mut tx = scene.begin().await;
        let now = tx.now().await.unwrap();
        let sql = "SELECT region_id FROM agents";
        let first = tx.fetch_optional(sql, params![]).await.unwrap().unwrap();
        scene.seats.push((first.get("region_id").unwrap(), scene.fixture.agent.clone()));
        for number in 1..regions {
            let region = clock::new_id();
            let name = format!("region-{number}");
            regions::insert(&mut tx, scene.organisation(), region, &name, now).await.unwrap();
            let id = enroll(&mut tx, scene.organisation(), region, number, now).await;
            scene.seats.push((region, id));
        }
        tx.commit().await.unwrap();
        scene.channel("hook", true).await;
        scene
    }

    /// The region of this index, and its agent.
    pub(crate) fn seat(&self, index: usize) -> (Uuid, &str) {
        let (region, agent) = &self.seats[index];
        (*region, agent)
    }

    /// Another agent in the region of this index.
    pub(crate) async fn enroll(&self, index: usize, seed: u8) -> String {
        let mut tx = self.begin().await;
        let now = tx.now().await.unwrap();
        let id = enroll(&mut tx, self.organisation(), self.seats[index].0, seed, now).await;
        tx.commit().await.unwrap();
        id
    }

    pub(crate) fn organisation(&self) -> Uuid {
        self.fixture.organisation
    }

    pub(crate) async fn begin(&self) -> Tx {
        self.fixture.shared.store.begin().await.unwrap()
    }

    pub(crate) async fn channel(&self, name: &str, is_default: bool) {
        let url = format!("https://example.com/{name}");
        let channel = Channel {
            organisation_id: self.organisation(),
            id: clock::new_id(),
            name: name.to_owned(),
            config: ChannelConfig::Webhook(WebhookConfig { url }),
            sealed_secret: None,
            is_default,
            disabled: None,
            failing_since: None,
            revision: 1,
            created_at: 0,
        };
        let mut tx = self.begin().await;
        channels::insert(&mut tx, &channel).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// Sends what `matches` asks for to a channel, both of this name.
    pub(crate) async fn route(&self, name: &str, matches: Match) {
        self.channel(name, false).await;
        let channels = vec![name.to_owned()];
        let route = StoredRoute {
            id: clock::new_id(),
            route: Route { name: name.to_owned(), matches, channels },
            revision: 1,
            created_at: 0,
            updated_at: 0,
        };
        let mut tx = self.begin().await;
        routes::insert(&mut tx, self.organisation(), &route).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// A monitor that every region watches, with `more` laid over its specification.
    pub(crate) async fn monitor(&self, name: &str, host: &str, more: Value) -> Uuid {
        let mut tx = self.begin().await;
        let id = self.add(&mut tx, name, host, more).await;
        tx.commit().await.unwrap();
        id
    }

    pub(crate) async fn add(&self, tx: &mut Tx, name: &str, host: &str, more: Value) -> Uuid {
        let mut spec = json!({ "name": name, "target": format!("https://{host}/") });
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let spec = MonitorSpec::from_json(spec.to_string().as_bytes()).unwrap();
        let id = clock::new_id();
        let now = tx.now().await.unwrap();
        monitors::insert(tx, self.organisation(), id, &spec, now).await.unwrap();
        for (region_id, agent_id) in &self.seats {
            let assignment = Assignment {
                monitor_id: id,
                region_id: *region_id,
                agent_id: agent_id.clone(),
                revision: 1,
                first_slot: now / INTERVAL_MS - 10,
                anchor_ms: 0,
                interval_ms: INTERVAL_MS,
                assigned_at: now,
                ended_at: None,
                last_slot: None,
                predecessor_through: None,
            };
            assignments::assign(tx, self.organisation(), &assignment).await.unwrap();
        }
        id
    }

    /// These regions, by index, fail these monitors now, and the others see them well;
    /// what follows is evaluated, with no group wait.
    pub(crate) async fn see(&self, monitors: &[Uuid], failing: &[usize]) {
        let mut tx = self.begin().await;
        self.saw(&mut tx, monitors, failing).await;
        tx.commit().await.unwrap();
    }

    pub(crate) async fn saw(&self, tx: &mut Tx, monitors: &[Uuid], failing: &[usize]) {
        self.saw_fail(tx, monitors, failing, "connect_refused").await;
    }

    /// As [`Self::saw`], for this reason.
    pub(crate) async fn saw_fail(
        &self,
        tx: &mut Tx,
        monitors: &[Uuid],
        failing: &[usize],
        reason: &str,
    ) {
        let now = tx.now().await.unwrap();
        let organisation = self.organisation();
        tx.execute("UPDATE agents SET complete_through = $1", params![now]).await.unwrap();
        for monitor in monitors {
            for (index, (region, _)) in self.seats.iter().enumerate() {
                states::delete_row(tx, organisation, *monitor, *region).await.unwrap();
                if failing.contains(&index) {
                    let row = failed(now, reason);
                    states::put_row(tx, organisation, *monitor, *region, &row).await.unwrap();
                }
            }
        }
        verdicts::evaluate(tx, organisation, monitors.to_vec(), 0, now).await.unwrap();
    }

    pub(crate) async fn round(&mut self) {
        correlator::round(&self.fixture.shared, &mut self.correlator).await.unwrap();
    }

    /// Lets time pass for what waits.
    pub(crate) async fn everything_is_due(&self) {
        let mut tx = self.begin().await;
        tx.execute("UPDATE page_intents SET due_at = 1", params![]).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// The outbox in the order it was filled: channel and notice.
    pub(crate) async fn outbox(&self) -> Vec<(String, Notice)> {
        let mut tx = self.fixture.shared.store.read().await.unwrap();
        let sql = "SELECT c.name, d.notice FROM deliveries d JOIN channels c ON c.id = d.channel_id
            ORDER BY d.id";
        let rows = tx.fetch_all(sql, params![]).await.unwrap();
        rows.iter().map(|row| (row.get("name").unwrap(), row.json("notice").unwrap())).collect()
    }

    pub(crate) async fn incidents(&self) -> Vec<Incident> {
        let mut tx = self.fixture.shared.store.read().await.unwrap();
        let filter = Filter::default();
        incidents::page(&mut tx, self.organisation(), &filter, None, 5_000).await.unwrap()
    }

    /// The incident of the monitor of this name.
    pub(crate) async fn incident(&self, name: &str) -> Incident {
        let all = self.incidents().await;
        all.into_iter().find(|incident| incident.subject_name == name).unwrap()
    }

    /// Kind, summary and evidence of the incident's events.
    pub(crate) async fn timeline(&self, incident: Uuid) -> Vec<(String, String, Value)> {
        let mut tx = self.fixture.shared.store.read().await.unwrap();
        let events = incidents::timeline(&mut tx, self.organisation(), incident, 0, 100).await;
        let events = events.unwrap().into_iter();
        events.map(|event| (event.kind, event.summary, event.evidence)).collect()
    }
}

async fn enroll(tx: &mut Tx, organisation_id: Uuid, region_id: Uuid, seed: u8, now: i64) -> String {
    let key = SigningKey::from_bytes(&[seed; 32]).verifying_key();
    let id = Fingerprint::of(&key).to_string();
    let new = NewAgent {
        organisation_id,
        id: &id,
        public_key: key.as_bytes(),
        region_id,
        host_name: &format!("probe-{seed}"),
        version: "0.1.0",
    };
    agents::enroll(tx, &new, now).await.unwrap();
    id
}

pub(crate) fn failed(now: i64, reason: &str) -> StateRow {
    StateRow {
        revision: 1,
        state: RegionState::Down,
        since: Some(now - 1_000),
        failures: 2,
        successes: 0,
        // Since then everybody else's slot was due.
        streak_began: Some(now - INTERVAL_MS - 1_000),
        newest_slot: now / INTERVAL_MS,
        newest_at: Some(now - 10),
        broken_at: None,
        burst: None,
        observed_at: Some(now - 10),
        reason: Some(reason.to_owned()),
        message: None,
    }
}
