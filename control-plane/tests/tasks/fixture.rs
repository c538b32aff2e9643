//! An organisation with a region, an agent that was heard, and a monitor.

use ed25519_dalek::SigningKey;
use hyperverge_control_plane::clock;
use hyperverge_control_plane::keys::Keys;
use hyperverge_control_plane::params;
use hyperverge_control_plane::settings::Settings;
use hyperverge_control_plane::shared::Shared;
use hyperverge_control_plane::store::agents::{self, NewAgent};
use hyperverge_control_plane::store::{Store, monitors, organisations, regions};
use hyperverge_protocol::identity;
use hyperverge_protocol::monitor::MonitorSpec;
use std::sync::Arc;
use uuid::Uuid;

pub(crate) struct Fixture {
    pub(crate) shared: Arc<Shared>,
    pub(crate) organisation: Uuid,
    pub(crate) agent: String,
}

impl Fixture {
    pub(crate) async fn new(store: Store) -> Self {
        let shared =
            Arc::new(Shared::new(store, Keys::generate(&mut clock::rng()), Settings::default()));
        let (organisation, region) = (clock::new_id(), clock::new_id());
        let key = SigningKey::from_bytes(&[7; 32]).verifying_key();
        let agent = identity::Fingerprint::of(&key).to_string();
        let mut tx = shared.store.begin().await.unwrap();
        let now = tx.now().await.unwrap();
        organisations::insert(&mut tx, organisation, "acme", now).await.unwrap();
        regions::insert(&mut tx, organisation, region, "eu-west", now).await.unwrap();
        let new = NewAgent {
            organisation_id: organisation,
            id: &agent,
            public_key: key.as_bytes(),
            region_id: region,
            host_name: "probe-1",
            version: "0.1.0",
        };
        agents::enroll(&mut tx, &new, now).await.unwrap();
        let heard = "UPDATE agents SET last_heartbeat_at = $1, capabilities = '[\"probe:http\"]'";
        tx.execute(heard, params![now]).await.unwrap();
        tx.commit().await.unwrap();
        Self { shared, organisation, agent }
    }

    pub(crate) async fn monitor(&self, name: &str) -> Uuid {
        self.monitor_of(name, "https://example.com/").await
    }

    pub(crate) async fn monitor_of(&self, name: &str, target: &str) -> Uuid {
        let json = format!(r#"{{"name": "{name}", "target": "{target}"}}"#);
        let spec = MonitorSpec::from_json(json.as_bytes()).unwrap();
        let id = clock::new_id();
        let mut tx = self.shared.store.begin().await.unwrap();
        let now = tx.now().await.unwrap();
        monitors::insert(&mut tx, self.organisation, id, &spec, now).await.unwrap();
        tx.commit().await.unwrap();
        id
    }
}
