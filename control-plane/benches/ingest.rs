//! What it costs to take a batch of 1000 plain successes into SQLite, beside what
//! it cannot cost less than.
//!
//! `bare` inserts the same rows into the same table with sqlx, one prepared INSERT
//! a row and one transaction a batch: no signature, no judgement, no numbers, no
//! state. `one_agent` is ingest as a session uses it: signed envelope in, answer
//! after the commit, one batch at a time. `eight_agents` has eight batches under
//! way, which share commits. All three write a file of their own with the same
//! settings (WAL, synchronous=FULL), and each iteration ends on the disk.
//!
//! `correlation_sqlite` is one agent's batches with what follows from them in the same
//! transaction, the mean of any number of results:
//!
//! | | |
//! |---|---|
//! | `no_change` | all is well and stays so |
//! | `one_percent` | of every hundred results one brings a region down or up again, and opens or resolves an incident |
//! | `all_begin_to_fail` | a shared upstream fails: every one of 2,800 monitors is down, with an incident of its own |
//! | `all_go_on_failing` | the same a slot later: nothing changes |
//!
//! Signing and encoding are the agent's work and are not measured.

#![expect(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ed25519_dalek::SigningKey;
use hyperverge_control_plane::clock;
use hyperverge_control_plane::ingest::{IngestHandle, Source, ingest};
use hyperverge_control_plane::keys::Keys;
use hyperverge_control_plane::params;
use hyperverge_control_plane::settings::Settings;
use hyperverge_control_plane::shared::Shared;
use hyperverge_control_plane::store::agents::{self, NewAgent};
use hyperverge_control_plane::store::assignments::{self, Assignment};
use hyperverge_control_plane::store::{Store, monitors, organisations, regions};
use hyperverge_protocol::envelope::{Purpose, seal};
use hyperverge_protocol::identity::Fingerprint;
use hyperverge_protocol::monitor::MonitorSpec;
use hyperverge_protocol::wire::{Envelope, Lane, Outcome, Phases, ResultBatch, ResultRow};
use prost::Message;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{Connection, SqliteConnection};
use std::ops::Range;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Rows of one batch: one slot of each monitor.
const ROWS: usize = 1_000;
const AGENTS: usize = 8;
/// Slots that lie in the past, each a second: more than any run can use.
const PAST_SLOTS: i64 = 200_000;
/// Monitors behind one upstream; more than one batch holds.
const UPSTREAM: usize = 2_800;
/// Of [`ROWS`], those that begin to fail with each batch; as many are well again.
const CHANGING: usize = ROWS / 200;

struct Agent {
    key: SigningKey,
    source: Source,
    next_number: u64,
}

/// Ingest on a file of its own, with agents in as many regions.
struct Bench {
    _dir: TempDir,
    ingest: IngestHandle,
    agents: Vec<Agent>,
    monitors: Vec<Uuid>,
    first_slot: i64,
    /// Between two slots.
    interval_ms: i64,
}

fn url(dir: &Path) -> String {
    format!("sqlite://{}", dir.join("bench.db").display())
}

impl Bench {
    /// Agents that look each second, for a long time now.
    async fn new(agents: usize) -> Self {
        Self::of(agents, ROWS, 1_000, PAST_SLOTS * 1_000).await
    }

    /// Agents that look so often that a run is over before its slots are history.
    async fn lively(monitors: usize) -> Self {
        Self::of(1, monitors, 1, 60_000).await
    }

    async fn of(agents: usize, monitors: usize, interval_ms: i64, past_ms: i64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&url(dir.path())).await.unwrap();
        let keys = Keys::generate(&mut clock::rng());
        let shared = Arc::new(Shared::new(store, keys, Settings::default()));
        let organisation = clock::new_id();
        let mut tx = shared.store.begin().await.unwrap();
        let first_slot = (tx.now().await.unwrap() - past_ms) / interval_ms;
        organisations::insert(&mut tx, organisation, "acme", 1).await.unwrap();
        let mut enrolled = Vec::new();
        for index in 0..agents {
            enrolled.push(enrol(&mut tx, organisation, index).await);
        }
        let mut ids = Vec::new();
        for index in 0..monitors {
            let json = format!(
                r#"{{"name": "m-{index}", "target": "https://example.com/", "policy":
                    {{"fail_after": 1, "recover_after": 1, "stale_after": "1h",
                        "flap": {{"changes": 0}}}}}}"#
            );
            let spec = MonitorSpec::from_json(json.as_bytes()).unwrap();
            let id = clock::new_id();
            monitors::insert(&mut tx, organisation, id, &spec, 1).await.unwrap();
            for agent in &enrolled {
                assign(&mut tx, agent, id, first_slot, interval_ms).await;
            }
            ids.push(id);
        }
        tx.execute("UPDATE monitor_states SET verdict = 'up'", params![]).await.unwrap();
        let bursts = "UPDATE agents SET capabilities = '[\"burst:1\"]'";
        tx.execute(bursts, params![]).await.unwrap();
        tx.commit().await.unwrap();
        let (ingest, running) = ingest(shared, CancellationToken::new());
        tokio::spawn(running);
        let monitors = ids;
        Self { _dir: dir, ingest, agents: enrolled, monitors, first_slot, interval_ms }
    }

    /// The agent's next batch, signed.
    fn envelope(&mut self, agent: usize) -> Envelope {
        let all = 0..self.monitors.len();
        self.seen(agent, all, self.agents[agent].next_number.cast_signed(), |_| false)
    }

    /// The agent's next batch, signed: what it saw of `monitors` in a slot.
    fn seen(
        &mut self,
        agent: usize,
        monitors: Range<usize>,
        slot: i64,
        fails: impl Fn(usize) -> bool,
    ) -> Envelope {
        let (slot, interval_ms) = (self.first_slot + slot, self.interval_ms);
        let agent = &mut self.agents[agent];
        let number = agent.next_number;
        agent.next_number += 1;
        let fingerprint = Fingerprint::of(&agent.source.public_key);
        let rows = monitors.map(|index| {
            let well = row(self.monitors[index], slot, interval_ms);
            if fails(index) { failed(well) } else { well }
        });
        let batch = ResultBatch {
            agent_id: bytes::Bytes::copy_from_slice(fingerprint.as_bytes()),
            boot_id: vec![1; 16].into(),
            lane: Lane::Live.into(),
            number,
            complete_through_ms: Some(slot * interval_ms),
            rows: rows.collect(),
            ..ResultBatch::default()
        };
        seal(Purpose::ResultBatch, batch.encode_to_vec().into(), &agent.key)
    }

    /// Hands in the first agent's batches together, and says how long it took.
    async fn submit(&self, envelopes: &[Envelope]) -> Duration {
        let source = &self.agents[0].source;
        let began = clock::monotonic();
        let sent = envelopes.iter().map(async |envelope| {
            assert_eq!(self.ingest.submit(source, envelope).await.unwrap().refused, 0);
        });
        futures_util::future::join_all(sent).await;
        began.elapsed()
    }

    /// `batches` of one slot of every monitor each, of which some begin to fail and as
    /// many are well again.
    async fn change(&mut self, batches: u64, changing: usize) -> Duration {
        let mut spent = Duration::ZERO;
        for _ in 0..batches {
            let slot = self.agents[0].next_number.cast_signed();
            let all = self.monitors.len();
            let from = slot.unsigned_abs() as usize * changing % all;
            let failing = from..from + changing;
            let envelope = self.seen(0, 0..all, slot, |index| failing.contains(&index));
            spent += self.submit(&[envelope]).await;
        }
        spent
    }

    /// `times` all that is behind an upstream fails, twice each time, and is well again;
    /// how long the first and the second slot took.
    async fn upstream(&mut self, times: u64) -> [Duration; 2] {
        let mut spent = [Duration::ZERO; 2];
        for _ in 0..times {
            for (step, fails) in [(Some(0), true), (Some(1), true), (None, false)] {
                let slot = self.agents[0].next_number.cast_signed();
                let half = UPSTREAM / 2;
                let parts = [0..half, half..UPSTREAM];
                let envelopes = parts.map(|part| self.seen(0, part, slot, |_| fails));
                let took = self.submit(&envelopes).await;
                if let Some(step) = step {
                    spent[step] += took;
                }
            }
        }
        spent
    }

    /// Takes `rounds` batches of every agent, a round at a time, and says how long it took.
    async fn take(&mut self, rounds: u64) -> Duration {
        let mut spent = Duration::ZERO;
        for _ in 0..rounds {
            let envelopes: Vec<_> =
                (0..self.agents.len()).map(|agent| self.envelope(agent)).collect();
            let began = clock::monotonic();
            let sent = self.agents.iter().zip(&envelopes).map(async |(agent, envelope)| {
                let outcome = self.ingest.submit(&agent.source, envelope).await.unwrap();
                assert_eq!((outcome.stored, outcome.refused), (ROWS as u32, 0));
            });
            futures_util::future::join_all(sent).await;
            spent += began.elapsed();
        }
        spent
    }
}

async fn enrol(
    tx: &mut hyperverge_control_plane::store::Tx,
    organisation_id: Uuid,
    index: usize,
) -> Agent {
    let key = SigningKey::from_bytes(&[index as u8 + 1; 32]);
    let public_key = key.verifying_key();
    let (region_id, agent_id) = (clock::new_id(), Fingerprint::of(&public_key).to_string());
    regions::insert(tx, organisation_id, region_id, &format!("region-{index}"), 1).await.unwrap();
    let new = NewAgent {
        organisation_id,
        id: &agent_id,
        public_key: public_key.as_bytes(),
        region_id,
        host_name: "bench",
        version: "0.1.0",
    };
    agents::enroll(tx, &new, 1).await.unwrap();
    Agent {
        key,
        source: Source { organisation_id, agent_id, region_id, public_key },
        next_number: 1,
    }
}

async fn assign(
    tx: &mut hyperverge_control_plane::store::Tx,
    agent: &Agent,
    monitor_id: Uuid,
    first_slot: i64,
    interval_ms: i64,
) {
    let assignment = Assignment {
        monitor_id,
        region_id: agent.source.region_id,
        agent_id: agent.source.agent_id.clone(),
        revision: 1,
        first_slot,
        anchor_ms: 0,
        interval_ms,
        assigned_at: 1,
        ended_at: None,
        last_slot: None,
        predecessor_through: None,
    };
    assignments::assign(tx, agent.source.organisation_id, &assignment).await.unwrap();
}

fn failed(well: ResultRow) -> ResultRow {
    ResultRow { outcome: Outcome::Fail.into(), reason: "connect_refused".to_owned(), ..well }
}

fn row(monitor_id: Uuid, slot: i64, interval_ms: i64) -> ResultRow {
    let due_us = slot * interval_ms * 1_000;
    ResultRow {
        monitor_id: bytes::Bytes::copy_from_slice(monitor_id.as_bytes()),
        revision: 1,
        slot,
        due_us,
        started_us: due_us + 1_000,
        ended_us: due_us + 90_000,
        outcome: Outcome::Ok.into(),
        phases: Some(Phases {
            resolve_us: Some(900),
            connect_us: Some(20_000),
            tls_us: Some(41_000),
            processing_us: Some(26_000),
            transfer_us: Some(100),
        }),
        address: "192.0.2.7:443".to_owned(),
        status: 200,
        certificate_expires_s: 1_900_000_000,
        body_bytes: 1_234,
        ..ResultRow::default()
    }
}

/// The floor: the rows and nothing else.
struct Bare {
    _dir: TempDir,
    connection: SqliteConnection,
    ids: [Uuid; 2],
    monitors: Vec<Uuid>,
    slot: i64,
}

const INSERT: &str = "INSERT INTO results (organisation_id, monitor_id, region_id, revision, slot,
        burst_id, burst_index, agent_id, lane, batch_number, due_us, started_us, ended_us, outcome,
        reason, message, resolve_us, connect_us, tls_us, processing_us, transfer_us, address,
        status, certificate_expires_s, sample, redirects, body_bytes, undated, received_at)
    VALUES (?, ?, ?, 1, ?, ?, 0, ?, 1, ?, ?, ?, ?, 1, NULL, NULL, 900, 20000, 41000, 26000, 100, ?,
        200, 1900000000, NULL, 0, 1234, FALSE, ?)";

impl Bare {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&url(dir.path())).await.unwrap();
        store.close().await;
        let options = SqliteConnectOptions::from_str(&url(dir.path()))
            .unwrap()
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full);
        let connection = SqliteConnection::connect_with(&options).await.unwrap();
        let monitors = (0..ROWS).map(|_| clock::new_id()).collect();
        Self { _dir: dir, connection, ids: [clock::new_id(), clock::new_id()], monitors, slot: 1 }
    }

    async fn take(&mut self, batches: u64) -> Duration {
        let agent_id = "a".repeat(64);
        let began = clock::monotonic();
        for _ in 0..batches {
            let slot = self.slot;
            self.slot += 1;
            let mut tx = self.connection.begin_with("BEGIN IMMEDIATE").await.unwrap();
            for monitor in &self.monitors {
                sqlx::query(INSERT)
                    .bind(self.ids[0])
                    .bind(monitor)
                    .bind(self.ids[1])
                    .bind(slot)
                    .bind(Uuid::nil())
                    .bind(&agent_id)
                    .bind(slot)
                    .bind(slot * 1_000_000)
                    .bind(slot * 1_000_000 + 1_000)
                    .bind(slot * 1_000_000 + 90_000)
                    .bind("192.0.2.7:443")
                    .bind(slot * 1_000)
                    .execute(&mut *tx)
                    .await
                    .unwrap();
            }
            tx.commit().await.unwrap();
        }
        began.elapsed()
    }
}

fn benchmark(criterion: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let mut group = criterion.benchmark_group("ingest_sqlite");
    group.sample_size(20).throughput(Throughput::Elements(ROWS as u64));
    let mut bare = runtime.block_on(Bare::new());
    group.bench_function(BenchmarkId::new("bare", ROWS), |bencher| {
        bencher.iter_custom(|batches| runtime.block_on(bare.take(batches)));
    });
    let mut one = runtime.block_on(Bench::new(1));
    group.bench_function(BenchmarkId::new("one_agent", ROWS), |bencher| {
        bencher.iter_custom(|batches| runtime.block_on(one.take(batches)));
    });
    group.throughput(Throughput::Elements((ROWS * AGENTS) as u64));
    let mut eight = runtime.block_on(Bench::new(AGENTS));
    group.bench_function(BenchmarkId::new("eight_agents", ROWS), |bencher| {
        bencher.iter_custom(|rounds| runtime.block_on(eight.take(rounds)));
    });
    group.finish();
    correlation(criterion, &runtime);
}

fn correlation(criterion: &mut Criterion, runtime: &Runtime) {
    let mut group = criterion.benchmark_group("correlation_sqlite");
    group.sample_size(10).throughput(Throughput::Elements(ROWS as u64));
    for (name, changing) in [("no_change", 0), ("one_percent", CHANGING)] {
        let mut bench = runtime.block_on(Bench::lively(ROWS));
        group.bench_function(BenchmarkId::new(name, ROWS), |bencher| {
            bencher.iter_custom(|batches| runtime.block_on(bench.change(batches, changing)));
        });
    }
    group.throughput(Throughput::Elements(UPSTREAM as u64));
    for (step, name) in [(0, "all_begin_to_fail"), (1, "all_go_on_failing")] {
        let mut bench = runtime.block_on(Bench::lively(UPSTREAM));
        group.bench_function(BenchmarkId::new(name, UPSTREAM), |bencher| {
            bencher.iter_custom(|times| runtime.block_on(bench.upstream(times))[step]);
        });
    }
    group.finish();
}

criterion_group!(benches, benchmark);
criterion_main!(benches);
