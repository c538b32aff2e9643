//! An organisation with agents that can sign, a monitor each second, and ingest running.

use ed25519_dalek::SigningKey;
use hyperverge_control_plane::clock;
use hyperverge_control_plane::ingest::{BatchOutcome, IngestHandle, IngestRefusal, Source, ingest};
use hyperverge_control_plane::keys::Keys;
use hyperverge_control_plane::params;
use hyperverge_control_plane::settings::Settings;
use hyperverge_control_plane::shared::Shared;
use hyperverge_control_plane::store::agents::{self, NewAgent};
use hyperverge_control_plane::store::assignments::{self, Assignment};
use hyperverge_control_plane::store::incidents::{self, Filter, Incident};
use hyperverge_control_plane::store::states::{self, MonitorState};
use hyperverge_control_plane::store::{Store, monitors, organisations, regions};
use hyperverge_protocol::envelope::{Purpose, seal};
use hyperverge_protocol::identity::Fingerprint;
use hyperverge_protocol::monitor::MonitorSpec;
use hyperverge_protocol::wire::{Envelope, Lane, Outcome, RefusalCode, ResultBatch, ResultRow};
use prost::Message;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub(crate) struct Probe {
    pub(crate) key: SigningKey,
    pub(crate) source: Source,
    pub(crate) number: u64,
}

pub(crate) struct Fleet {
    pub(crate) shared: Arc<Shared>,
    pub(crate) organisation: Uuid,
    pub(crate) probes: Vec<Probe>,
    pub(crate) ingest: IngestHandle,
    /// The second that is over: its slot of every monitor is due and done.
    pub(crate) slot: i64,
    stop: CancellationToken,
}

impl Drop for Fleet {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Fleet {
    pub(crate) async fn new(store: Store, regions: usize) -> Self {
        let settings = Settings::default();
        let shared = Arc::new(Shared::new(store, Keys::generate(&mut clock::rng()), settings));
        let organisation = clock::new_id();
        let mut tx = shared.store.begin().await.unwrap();
        let now = tx.now().await.unwrap();
        organisations::insert(&mut tx, organisation, "acme", now).await.unwrap();
        tx.commit().await.unwrap();
        let stop = CancellationToken::new();
        let (ingest, running) = ingest(shared.clone(), stop.clone());
        tokio::spawn(running);
        let slot = now / 1_000 - 100;
        let mut fleet = Self { shared, organisation, probes: Vec::new(), ingest, slot, stop };
        for index in 0..regions {
            fleet.enrol(index as u8).await;
        }
        fleet
    }

    async fn enrol(&mut self, index: u8) {
        let region = clock::new_id();
        let mut tx = self.shared.store.begin().await.unwrap();
        let name = format!("region-{index}");
        regions::insert(&mut tx, self.organisation, region, &name, 1).await.unwrap();
        tx.commit().await.unwrap();
        self.enrol_in(region, index).await;
    }

    /// One more agent in the region of `probe`.
    pub(crate) async fn enrol_beside(&mut self, probe: usize, index: u8) {
        self.enrol_in(self.probes[probe].source.region_id, index).await;
    }

    async fn enrol_in(&mut self, region: Uuid, index: u8) {
        let key = SigningKey::from_bytes(&[index + 1; 32]);
        let public_key = key.verifying_key();
        let agent_id = Fingerprint::of(&public_key).to_string();
        let mut tx = self.shared.store.begin().await.unwrap();
        let new = NewAgent {
            organisation_id: self.organisation,
            id: &agent_id,
            public_key: public_key.as_bytes(),
            region_id: region,
            host_name: "probe",
            version: "0.1.0",
        };
        agents::enroll(&mut tx, &new, 1).await.unwrap();
        tx.commit().await.unwrap();
        let source =
            Source { organisation_id: self.organisation, agent_id, region_id: region, public_key };
        self.probes.push(Probe { key, source, number: 0 });
    }

    /// A monitor of every region, each second, from the fleet's slot on.
    pub(crate) async fn monitor(&self, name: &str) -> Uuid {
        self.monitor_of(name, "https://example.com/").await
    }

    /// The same, of this target.
    pub(crate) async fn monitor_of(&self, name: &str, target: &str) -> Uuid {
        let json = format!(
            r#"{{"name": "{name}", "target": "{target}", "interval": "1s",
                "timeout": "1s", "policy": {{"stale_after": "1h"}}}}"#
        );
        let spec = MonitorSpec::from_json(json.as_bytes()).unwrap();
        let id = clock::new_id();
        let mut tx = self.shared.store.begin().await.unwrap();
        monitors::insert(&mut tx, self.organisation, id, &spec, 1).await.unwrap();
        for probe in &self.probes {
            let assignment = Assignment {
                monitor_id: id,
                region_id: probe.source.region_id,
                agent_id: probe.source.agent_id.clone(),
                revision: 1,
                first_slot: self.slot,
                anchor_ms: 0,
                interval_ms: 1_000,
                assigned_at: 1,
                ended_at: None,
                last_slot: None,
                predecessor_through: None,
            };
            assignments::assign(&mut tx, self.organisation, &assignment).await.unwrap();
        }
        tx.commit().await.unwrap();
        id
    }

    /// The next batch of the probe's live lane, not sent yet.
    pub(crate) fn batch(&mut self, probe: usize, rows: Vec<ResultRow>) -> ResultBatch {
        let through = rows.iter().map(|row| row.slot).max().map(|slot| slot * 1_000);
        let probe = &mut self.probes[probe];
        probe.number += 1;
        ResultBatch {
            agent_id: agent_bytes(&probe.key),
            boot_id: vec![1; 16].into(),
            lane: Lane::Live.into(),
            number: probe.number,
            complete_through_ms: through,
            rows,
            ..ResultBatch::default()
        }
    }

    pub(crate) fn seal(&self, probe: usize, batch: &ResultBatch) -> Envelope {
        seal(Purpose::ResultBatch, batch.encode_to_vec().into(), &self.probes[probe].key)
    }

    pub(crate) async fn send(
        &self,
        probe: usize,
        envelope: &Envelope,
    ) -> Result<BatchOutcome, IngestRefusal> {
        self.ingest.submit(&self.probes[probe].source, envelope).await
    }

    /// Seals and sends rows; how many were stored, known and refused.
    pub(crate) async fn report(&mut self, probe: usize, rows: Vec<ResultRow>) -> (u32, u32, u32) {
        let batch = self.batch(probe, rows);
        let outcome = self.send(probe, &self.seal(probe, &batch)).await.unwrap();
        (outcome.stored, outcome.duplicates, outcome.refused)
    }

    pub(crate) async fn count(&self, sql: &'static str) -> i64 {
        let mut tx = self.shared.store.read().await.unwrap();
        tx.fetch_optional(sql, params![]).await.unwrap().unwrap().get("n").unwrap()
    }

    /// Runs a statement.
    pub(crate) async fn execute(&self, sql: &'static str) {
        let mut tx = self.shared.store.begin().await.unwrap();
        tx.execute(sql, params![]).await.unwrap();
        tx.commit().await.unwrap();
    }

    pub(crate) async fn state(&self, monitor: Uuid) -> MonitorState {
        let mut tx = self.shared.store.begin().await.unwrap();
        states::lock(&mut tx, self.organisation, vec![monitor]).await.unwrap().remove(0)
    }

    pub(crate) async fn incidents(&self) -> Vec<Incident> {
        let mut tx = self.shared.store.read().await.unwrap();
        incidents::page(&mut tx, self.organisation, &Filter::default(), None, 50).await.unwrap()
    }
}

pub(crate) fn agent_bytes(key: &SigningKey) -> bytes::Bytes {
    bytes::Bytes::copy_from_slice(Fingerprint::of(&key.verifying_key()).as_bytes())
}

pub(crate) fn code(refused: &Result<BatchOutcome, IngestRefusal>) -> RefusalCode {
    refused.as_ref().expect_err("a refusal").0.code()
}

pub(crate) fn row(monitor: Uuid, slot: i64, outcome: Outcome) -> ResultRow {
    let reason = match outcome {
        Outcome::Ok => "",
        Outcome::Degraded => "latency",
        Outcome::Policy => "policy_address",
        _ => "connect_refused",
    };
    ResultRow {
        monitor_id: bytes::Bytes::copy_from_slice(monitor.as_bytes()),
        revision: 1,
        slot,
        due_us: slot * 1_000_000,
        started_us: slot * 1_000_000 + 1_000,
        ended_us: slot * 1_000_000 + 9_000,
        outcome: outcome.into(),
        reason: reason.to_owned(),
        ..ResultRow::default()
    }
}
