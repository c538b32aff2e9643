//! A stand-in control plane: enrols one agent, gives it one set, stores what
//! it reports in memory and acknowledges it.
//!
//! It verifies and decodes every batch, as a control plane does, and writes
//! nothing to a disk: what is measured here is the agent.

use crate::clock;
use crate::monitors::Workload;
use crate::tally::Tally;
use anyhow::{Context, bail};
use bytes::Bytes;
use ed25519_dalek::{SigningKey, VerifyingKey};
use hyperverge_peers::quic;
use hyperverge_protocol::envelope::{self, Purpose};
use hyperverge_protocol::frame;
use hyperverge_protocol::identity::Fingerprint;
use hyperverge_protocol::token::EnrollmentToken;
use hyperverge_protocol::wire::*;
use prost::Message;
use quinn::{Connection, Endpoint, RecvStream};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// Where the agent is.
pub(crate) const REGION: &str = "bench";
/// From a session's beginning to the first slot that is due.
const SETTLE: Duration = Duration::from_millis(1_500);
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
struct State {
    /// When the first slot is due, wall clock; once the set was accepted.
    accepted_ms: Option<i64>,
    offered_ms: i64,
    next: BTreeMap<i32, u64>,
    greeted: bool,
    ended: bool,
    tally: Tally,
    wrong: Option<String>,
}

/// A stand-in for one agent and one workload.
#[derive(Debug, Clone)]
pub(crate) struct Plane {
    address: SocketAddr,
    link_key: SigningKey,
    assignment_key: SigningKey,
    endpoint: Endpoint,
    workload: Arc<Workload>,
    state: Arc<Mutex<State>>,
    changed: Arc<Notify>,
}

impl Plane {
    /// Begins to listen on a port of its own.
    pub(crate) fn start(workload: Workload) -> anyhow::Result<Self> {
        let link_key = SigningKey::from_bytes(&[11; 32]);
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let endpoint = Endpoint::server(quic::server_config(&link_key), any)?;
        let plane = Self {
            address: endpoint.local_addr()?,
            link_key,
            assignment_key: SigningKey::from_bytes(&[12; 32]),
            endpoint,
            workload: Arc::new(workload),
            state: Arc::default(),
            changed: Arc::default(),
        };
        let serving = plane.clone();
        tokio::spawn(async move {
            while let Some(incoming) = serving.endpoint.accept().await {
                let plane = serving.clone();
                tokio::spawn(async move {
                    if let Ok(connection) = incoming.await
                        && let Err(error) = plane.session(connection).await
                    {
                        plane.state().wrong.get_or_insert(error.to_string());
                    }
                    {
                        let mut state = plane.state();
                        state.ended = state.greeted;
                    }
                    plane.changed.notify_waiters();
                });
            }
        });
        Ok(plane)
    }

    /// What the agent's operator would be given.
    pub(crate) fn token(&self) -> String {
        EnrollmentToken::new(
            vec![self.address.to_string()],
            vec![hex::encode(self.link_key.verifying_key())],
            hex::encode(self.assignment_key.verifying_key()),
            REGION.to_owned(),
            &[77; 32],
        )
        .to_text()
    }

    /// Waits until the agent has taken its set; the wall clock's time (ms)
    /// from which on slots are due.
    pub(crate) async fn accepted(&self) -> anyhow::Result<i64> {
        self.until("the set is accepted", |state| state.accepted_ms).await
    }

    /// Waits until the agent's session has ended. An agent that stops waits for
    /// its acknowledgements before.
    pub(crate) async fn ended(&self) -> anyhow::Result<()> {
        self.until("the session ends", |state| state.ended.then_some(())).await
    }

    /// Ends the stand-in; everything that was reported.
    pub(crate) fn close(self) -> Tally {
        self.endpoint.close(quinn::VarInt::from_u32(0), b"");
        std::mem::take(&mut self.state().tally)
    }

    async fn until<T>(&self, what: &str, holds: impl Fn(&State) -> Option<T>) -> anyhow::Result<T> {
        let waiting = async {
            loop {
                let notified = self.changed.notified();
                {
                    let state = self.state();
                    if let Some(found) = holds(&state) {
                        return Ok(found);
                    }
                    if let Some(wrong) = &state.wrong {
                        bail!("{wrong}, before {what}");
                    }
                }
                notified.await;
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.with_context(|| format!("never: {what}"))?
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn session(&self, connection: Connection) -> anyhow::Result<()> {
        let peer = quic::peer_key(&connection).context("a peer without a key")?;
        let (mut send, mut recv) = connection.accept_bi().await?;
        while let Some(frame) = read(&mut recv).await? {
            for bytes in self.answer(frame, &peer)? {
                // An agent that goes does not wait for the last answers.
                let _gone = send.write_all(&bytes).await;
            }
            self.changed.notify_waiters();
        }
        Ok(())
    }

    fn answer(&self, frame: AgentFrame, peer: &VerifyingKey) -> anyhow::Result<Vec<Bytes>> {
        match frame.body.context("a frame without a body")? {
            agent_frame::Body::Enroll(_) => {
                let agent_id = Bytes::copy_from_slice(Fingerprint::of(peer).as_bytes());
                let enrolled = Enrolled { agent_id, region: REGION.to_owned() };
                Ok(vec![encode(control_frame::Body::Enrolled(enrolled))?])
            }
            agent_frame::Body::Hello(hello) => self.greet(&hello, peer),
            agent_frame::Body::Heartbeat(heartbeat) => {
                let reply = HeartbeatReply {
                    boot_time_ms: heartbeat.boot_time_ms,
                    control_time_ms: clock::wall_ms(),
                    backlog_credit: 4,
                };
                Ok(vec![encode(control_frame::Body::Heartbeat(reply))?])
            }
            agent_frame::Body::ResultBatch(envelope) => self.store(&envelope, peer),
            agent_frame::Body::SetAccepted(_) => {
                let mut state = self.state();
                state.accepted_ms = Some(state.offered_ms);
                Ok(vec![])
            }
            agent_frame::Body::Goodbye(_) => Ok(vec![]),
        }
    }

    fn greet(&self, hello: &Hello, peer: &VerifyingKey) -> anyhow::Result<Vec<Bytes>> {
        let mut state = self.state();
        let lane = |lane: i32| LaneState {
            lane,
            next_number: state.next.get(&lane).copied().unwrap_or(1),
            waiting_batches: 0,
        };
        let welcome = Welcome {
            control_time_ms: clock::wall_ms(),
            boot_time_ms: hello.boot_time_ms,
            lanes: vec![lane(1), lane(2)],
            region: REGION.to_owned(),
            control_version: "stand-in".to_owned(),
            heartbeat_interval_ms: 10_000,
        };
        let mut frames = vec![encode(control_frame::Body::Welcome(welcome))?];
        let settle = i64::try_from(SETTLE.as_millis()).unwrap_or(0);
        // A large set takes the agent a moment to read and store.
        let reading = i64::try_from(self.workload.specs.len() / 10).unwrap_or(0);
        state.offered_ms = clock::wall_ms() + settle + reading;
        state.greeted = true;
        frames.extend(self.workload.frames(&self.assignment_key, peer, state.offered_ms)?);
        Ok(frames)
    }

    fn store(&self, envelope: &Envelope, peer: &VerifyingKey) -> anyhow::Result<Vec<Bytes>> {
        let payload = envelope::open(Purpose::ResultBatch, envelope, peer)?;
        let batch = ResultBatch::decode(payload.clone())?;
        let mut state = self.state();
        let next = state.next.entry(batch.lane).or_insert(1);
        let new = *next == batch.number;
        if new {
            *next += 1;
            state.tally.take(&batch);
        }
        let rows = u32::try_from(batch.rows.len())?;
        Ok(vec![encode(control_frame::Body::Acknowledged(BatchAcknowledged {
            lane: batch.lane,
            number: batch.number,
            stored: if new { rows } else { 0 },
            duplicates: if new { 0 } else { rows },
            refused: 0,
        }))?])
    }
}

fn encode(body: control_frame::Body) -> anyhow::Result<Bytes> {
    Ok(frame::encode(&ControlFrame { body: Some(body) })?)
}

/// The next frame; `None` when the agent ended the stream or went away.
async fn read(recv: &mut RecvStream) -> anyhow::Result<Option<AgentFrame>> {
    let mut prefix = [0; frame::PREFIX_BYTES];
    if recv.read_exact(&mut prefix).await.is_err() {
        return Ok(None);
    }
    let mut body = vec![0; frame::length(prefix)?];
    if recv.read_exact(&mut body).await.is_err() {
        return Ok(None);
    }
    Ok(Some(frame::decode(body.into())?))
}
