//! A gateway over a fresh database, with one organisation and regions on demand.

use crate::fake_agent::FakeAgent;
use ed25519_dalek::VerifyingKey;
use hyperverge_control_plane::keys::Keys;
use hyperverge_control_plane::link::{self, Gateway, Submit};
use hyperverge_control_plane::settings::Settings;
use hyperverge_control_plane::shared::Shared;
use hyperverge_control_plane::store::tokens::{self, NewToken};
use hyperverge_control_plane::store::{Store, organisations, regions};
use hyperverge_control_plane::{clock, params};
use hyperverge_protocol::token::secret_hash;
use hyperverge_protocol::wire::{BatchAcknowledged, ResultBatch, agent_frame, control_frame::Body};
use prost::Message;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// How long anything in these tests may take to come true.
const PATIENCE: Duration = Duration::from_secs(15);

/// A running gateway.
pub(crate) struct Site {
    pub(crate) shared: Arc<Shared>,
    pub(crate) address: SocketAddr,
    pub(crate) organisation: Uuid,
    pub(crate) stop: CancellationToken,
    pub(crate) running: JoinHandle<()>,
    _dir: Option<TempDir>,
}

impl Site {
    /// On SQLite, acknowledging every batch.
    pub(crate) async fn start() -> Self {
        Self::with_submit(acknowledge_all()).await
    }

    /// On SQLite.
    pub(crate) async fn with_submit(submit: Submit) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", dir.path().join("cp.db").display());
        let store = Store::open(&url).await.unwrap();
        let mut site = Self::over(store, submit).await;
        site._dir = Some(dir);
        site
    }

    /// Over an open, empty store.
    pub(crate) async fn over(store: Store, submit: Submit) -> Self {
        let organisation = clock::new_id();
        let mut tx = store.begin().await.unwrap();
        let now = tx.now().await.unwrap();
        organisations::insert(&mut tx, organisation, "acme", now).await.unwrap();
        tx.commit().await.unwrap();
        let keys = Keys::generate(&mut clock::rng());
        Self::replica(store, keys, organisation, submit).await
    }

    /// A second gateway over the same database.
    pub(crate) async fn beside(&self) -> Self {
        let shared = &self.shared;
        let (store, keys) = (shared.store.clone(), shared.keys.clone());
        Self::replica(store, keys, self.organisation, acknowledge_all()).await
    }

    async fn replica(store: Store, keys: Keys, organisation: Uuid, submit: Submit) -> Self {
        let (endpoint, address) = link::bind("127.0.0.1:0", keys.link()).unwrap();
        let shared = Arc::new(Shared::new(store, keys, Settings::default()));
        let gateway = Gateway::new(shared.clone(), endpoint, submit).await.unwrap();
        let stop = CancellationToken::new();
        let running = tokio::spawn(gateway.run(stop.clone()));
        Self { shared, address, organisation, stop, running, _dir: None }
    }

    /// The key agents must pin.
    pub(crate) fn pin(&self) -> VerifyingKey {
        self.shared.keys.link().verifying_key()
    }

    /// Makes an enrolment token; its secret.
    pub(crate) async fn token(&self, region: &str, lifetime_ms: i64) -> Vec<u8> {
        let id = clock::new_id();
        let secret = [id.as_bytes().as_slice(), id.as_bytes().as_slice()].concat();
        let mut tx = self.shared.store.begin().await.unwrap();
        let now = tx.now().await.unwrap();
        let region_id = clock::new_id();
        let ensured = regions::ensure(&mut tx, self.organisation, region_id, region, now);
        ensured.await.unwrap();
        let known = regions::by_name(&mut tx, self.organisation, region).await.unwrap().unwrap();
        let token = NewToken {
            id,
            secret_hash: secret_hash(&secret).to_vec(),
            region_id: known.id,
            created_by: id,
            created_at: now,
            expires_at: now + lifetime_ms,
        };
        tokens::insert(&mut tx, self.organisation, token).await.unwrap();
        tx.commit().await.unwrap();
        secret
    }

    /// An agent that is enrolled in `region`.
    pub(crate) async fn enrolled_agent(&self, region: &str) -> FakeAgent {
        let agent = FakeAgent::new(self.address, self.pin());
        let secret = self.token(region, 3_600_000).await;
        let mut link = agent.connect().await;
        link.send(agent_frame::Body::Enroll(agent.enroll_request(secret))).await;
        assert!(matches!(link.receive().await, Some(Body::Enrolled(_))));
        agent
    }

    /// One column of the only row of a query.
    pub(crate) async fn number(&self, sql: &'static str) -> Option<i64> {
        let mut tx = self.shared.store.read().await.unwrap();
        let row = tx.fetch_optional(sql, params![]).await.unwrap().unwrap();
        row.get("n").unwrap()
    }

    /// Runs a statement.
    pub(crate) async fn execute(&self, sql: &'static str) {
        let mut tx = self.shared.store.begin().await.unwrap();
        tx.execute(sql, params![]).await.unwrap();
        tx.commit().await.unwrap();
    }
}

/// Waits until `condition` holds.
pub(crate) async fn eventually<F: Future<Output = bool>>(what: &str, condition: impl Fn() -> F) {
    let wait = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, wait).await.is_ok(), "never came true: {what}");
}

/// Waits for `future`, but not for ever.
pub(crate) async fn soon<F: Future>(what: &str, future: F) -> F::Output {
    let waited = tokio::time::timeout(PATIENCE, future).await;
    waited.unwrap_or_else(|_| panic!("took too long: {what}"))
}

/// Answers every batch as stored.
pub(crate) fn acknowledge_all() -> Submit {
    Arc::new(|_source, envelope| {
        Box::pin(async move {
            let batch = ResultBatch::decode(envelope.payload).unwrap();
            Body::Acknowledged(BatchAcknowledged {
                lane: batch.lane,
                number: batch.number,
                stored: batch.rows.len() as u32,
                ..BatchAcknowledged::default()
            })
        })
    })
}
