//! A control plane for tests: raw public keys, one stream of frames, and a
//! record of everything it was told. It shares the wire's message types with
//! the agent, and nothing else: prefixes, signatures and SPKI are its own.

use bytes::Bytes;
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use hyperverge_peers::quic::{peer_key, server_config};
use hyperverge_protocol::wire::*;
use prost::Message;
use quinn::{Connection, Endpoint, RecvStream};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::sync::Notify;

/// What the plane was told, and how it is to behave.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) enroll_refusal: Option<RefusalCode>,
    pub(crate) hello_refusal: Option<RefusalCode>,
    pub(crate) enrolled: Vec<Vec<u8>>,
    pub(crate) hellos: Vec<Hello>,
    pub(crate) heartbeats: usize,
    pub(crate) goodbyes: usize,
    pub(crate) accepted: Vec<u64>,
    /// Payloads by lane and number, as first received.
    pub(crate) batches: BTreeMap<(i32, u64), Bytes>,
    /// Payloads by lane and number, as first heard, stored or not.
    pub(crate) heard: BTreeMap<(i32, u64), Bytes>,
    /// (lane, number) in order of arrival, repeats included.
    pub(crate) arrivals: Vec<(i32, u64)>,
    pub(crate) wrong: Vec<String>,
    /// Do not answer batches.
    pub(crate) deaf: bool,
    /// Do not answer heartbeats.
    pub(crate) comatose: bool,
    /// Frames to send after the Welcome of every session.
    pub(crate) greeting: Vec<Vec<u8>>,
    /// What the Welcome says is expected; otherwise what was stored.
    pub(crate) expected: BTreeMap<i32, u64>,
    pub(crate) heartbeat_ms: u32,
}

impl State {
    /// Every row that was stored, of `burst`, in the order of its checks.
    pub(crate) fn confirmed(&self, burst: u128) -> Vec<ResultRow> {
        let rows = self.decoded().into_iter().flat_map(|batch| batch.rows);
        let mut rows: Vec<_> = rows.filter(|row| row.burst_id[..] == burst.to_be_bytes()).collect();
        rows.sort_by_key(|row| row.burst_index);
        rows
    }

    /// Every slot's row that was stored, by (monitor, slot).
    pub(crate) fn rows(&self) -> BTreeMap<(u128, i64), ResultRow> {
        let mut rows = BTreeMap::new();
        for batch in self.decoded() {
            for row in batch.rows.into_iter().filter(|row| row.burst_id.is_empty()) {
                let monitor = u128::from_be_bytes(row.monitor_id[..].try_into().expect("16 bytes"));
                rows.insert((monitor, row.slot), row);
            }
        }
        rows
    }

    /// Slots of `monitor` by how often a stored batch has a row of them, and
    /// those that are listed as missed.
    pub(crate) fn accounted(&self, monitor: u128) -> (BTreeMap<i64, usize>, BTreeSet<i64>) {
        let (mut rows, mut missed) = (BTreeMap::new(), BTreeSet::new());
        for batch in self.decoded() {
            for row in batch.rows.iter().filter(|row| row.monitor_id[..] == monitor.to_be_bytes()) {
                *rows.entry(row.slot).or_default() += 1;
            }
            for gap in batch.missed.iter().filter(|m| m.monitor_id[..] == monitor.to_be_bytes()) {
                missed.extend(gap.first_slot..=gap.last_slot);
            }
        }
        (rows, missed)
    }

    pub(crate) fn decoded(&self) -> Vec<ResultBatch> {
        self.batches
            .values()
            .map(|payload| ResultBatch::decode(payload.clone()).expect("a batch"))
            .collect()
    }

    fn next(&self, lane: i32) -> u64 {
        let stored = self.batches.keys().filter(|(l, _)| *l == lane).map(|(_, n)| n + 1).max();
        let expected = self.expected.get(&lane).copied().unwrap_or(1);
        stored.unwrap_or(1).max(expected)
    }
}

/// A running control plane.
#[derive(Clone)]
pub(crate) struct Plane {
    pub(crate) address: SocketAddr,
    pub(crate) link_key: SigningKey,
    pub(crate) assignment_key: SigningKey,
    endpoint: Endpoint,
    connections: Arc<Mutex<Vec<Connection>>>,
    state: Arc<Mutex<State>>,
    changed: Arc<Notify>,
}

impl Plane {
    pub(crate) fn start() -> Self {
        let link_key = SigningKey::from_bytes(&[11; 32]);
        let address = "127.0.0.1:0".parse().expect("an address");
        let endpoint = Endpoint::server(server_config(&link_key), address).expect("binds");
        let plane = Self {
            address: endpoint.local_addr().expect("bound"),
            link_key,
            assignment_key: SigningKey::from_bytes(&[12; 32]),
            endpoint,
            connections: Arc::default(),
            state: Arc::default(),
            changed: Arc::new(Notify::new()),
        };
        let serving = plane.clone();
        tokio::spawn(async move {
            while let Some(incoming) = serving.endpoint.accept().await {
                let plane = serving.clone();
                tokio::spawn(async move {
                    if let Ok(connection) = incoming.await {
                        plane.session(connection).await;
                    }
                });
            }
        });
        plane
    }

    /// Stops answering, as if the process were gone; `revive` brings it back.
    pub(crate) fn vanish(&self) {
        self.endpoint.set_server_config(None);
        for connection in self.connections.lock().expect("not poisoned").drain(..) {
            connection.close(quinn::VarInt::from_u32(1), b"gone");
        }
    }

    /// The same plane again, with what it had stored.
    pub(crate) fn revive(&self) {
        self.endpoint.set_server_config(Some(server_config(&self.link_key)));
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("not poisoned")
    }

    /// Waits until `holds`; says `what` if it never does.
    pub(crate) async fn until(&self, what: &str, holds: impl Fn(&State) -> bool) {
        let waiting = async {
            loop {
                let notified = self.changed.notified();
                if holds(&self.state()) {
                    return;
                }
                notified.await;
            }
        };
        if tokio::time::timeout(Duration::from_secs(20), waiting).await.is_err() {
            let state = self.state();
            panic!(
                "never: {what}; hellos {}, accepted {:?}, arrivals {:?}, wrong {:?}",
                state.hellos.len(),
                state.accepted,
                state.arrivals,
                state.wrong
            );
        }
    }

    /// A token of this plane, with pins that may be false.
    pub(crate) fn token(&self, pin: &SigningKey) -> String {
        hyperverge_protocol::token::EnrollmentToken::new(
            vec![self.address.to_string()],
            vec![hex::encode(pin.verifying_key())],
            hex::encode(self.assignment_key.verifying_key()),
            "eu-test".into(),
            &[77; 32],
        )
        .to_text()
    }

    async fn session(&self, connection: Connection) {
        self.connections.lock().expect("not poisoned").push(connection.clone());
        let Some(peer) = peer_key(&connection) else { return };
        let Ok((mut send, mut recv)) = connection.accept_bi().await else { return };
        while let Some(frame) = read(&mut recv).await {
            let answers = self.answer(frame, &peer);
            self.changed.notify_waiters();
            for bytes in answers {
                if send.write_all(&bytes).await.is_err() {
                    return;
                }
            }
        }
    }

    fn answer(&self, frame: AgentFrame, peer: &VerifyingKey) -> Vec<Vec<u8>> {
        let id = Sha256::digest(peer.as_bytes()).to_vec();
        let mut state = self.state();
        match frame.body.expect("a body") {
            agent_frame::Body::Enroll(request) => {
                if let Some(code) = state.enroll_refusal {
                    return vec![refusal(code, 0, 0, true)];
                }
                assert_eq!(&request.token_secret[..], &[77; 32]);
                state.enrolled.push(id.clone());
                let enrolled = Enrolled { agent_id: id.into(), region: "eu-test".into() };
                vec![encode(control_frame::Body::Enrolled(enrolled))]
            }
            agent_frame::Body::Hello(hello) => {
                state.hellos.push(hello.clone());
                if let Some(code) = state.hello_refusal {
                    return vec![refusal(code, 0, 0, true)];
                }
                let welcome = self.welcome(&state, &hello);
                [vec![encode(control_frame::Body::Welcome(welcome))], state.greeting.clone()]
                    .concat()
            }
            agent_frame::Body::Heartbeat(heartbeat) => {
                state.heartbeats += 1;
                if state.comatose {
                    return vec![];
                }
                vec![encode(control_frame::Body::Heartbeat(HeartbeatReply {
                    boot_time_ms: heartbeat.boot_time_ms,
                    control_time_ms: now_ms(),
                    backlog_credit: 4,
                }))]
            }
            agent_frame::Body::ResultBatch(envelope) => take(&mut state, &envelope, peer),
            agent_frame::Body::SetAccepted(accepted) => {
                state.accepted.push(accepted.version);
                vec![]
            }
            agent_frame::Body::Goodbye(_) => {
                state.goodbyes += 1;
                vec![]
            }
        }
    }

    fn welcome(&self, state: &State, hello: &Hello) -> Welcome {
        let lane =
            |lane: i32| LaneState { lane, next_number: state.next(lane), waiting_batches: 0 };
        Welcome {
            control_time_ms: now_ms(),
            boot_time_ms: hello.boot_time_ms,
            lanes: vec![lane(1), lane(2)],
            region: "eu-test".into(),
            control_version: "test".into(),
            heartbeat_interval_ms: if state.heartbeat_ms == 0 { 1_000 } else { state.heartbeat_ms },
        }
    }

    /// The frames of a set for the agent with `key`.
    pub(crate) fn set(
        &self,
        agent: &SigningKey,
        version: u64,
        assignments: Vec<Assignment>,
    ) -> Vec<Vec<u8>> {
        self.set_signed_by(&self.assignment_key, agent, version, assignments)
    }

    pub(crate) fn set_signed_by(
        &self,
        signer: &SigningKey,
        agent: &SigningKey,
        version: u64,
        assignments: Vec<Assignment>,
    ) -> Vec<Vec<u8>> {
        let payload: Bytes = AssignmentPart { assignments }.encode_to_vec().into();
        let set = AssignmentSet {
            agent_id: Sha256::digest(agent.verifying_key().as_bytes()).to_vec().into(),
            version,
            issued_ms: now_ms(),
            lifetime_ms: 86_400_000,
            region: "eu-test".into(),
            part_hashes: vec![Sha256::digest(&payload).to_vec().into()],
        };
        let envelope = sealed(signer, "assignment-set", set.encode_to_vec());
        vec![
            encode(control_frame::Body::SetManifest(SetManifest { envelope: Some(envelope) })),
            encode(control_frame::Body::SetPart(SetPart { version, index: 0, payload })),
        ]
    }
}

/// The frame of a burst's order for the agent with `key`.
pub(crate) fn burst(signer: &SigningKey, agent: &SigningKey, order: BurstOrder) -> Vec<u8> {
    let agent_id = Sha256::digest(agent.verifying_key().as_bytes()).to_vec().into();
    let order = BurstOrder { agent_id, ..order };
    encode(control_frame::Body::Burst(sealed(signer, "burst-order", order.encode_to_vec())))
}

fn sealed(signer: &SigningKey, kind: &str, payload: Vec<u8>) -> Envelope {
    let message = [b"hyperverge/1/", kind.as_bytes(), b"\0", &payload].concat();
    Envelope {
        payload: payload.into(),
        key_id: Sha256::digest(signer.verifying_key().as_bytes()).to_vec().into(),
        signature: signer.sign(&message).to_bytes().to_vec().into(),
    }
}

/// Control-plane time: far from the agent's own clocks, so that a mix-up shows.
pub(crate) fn now_ms() -> i64 {
    let since = std::time::SystemTime::UNIX_EPOCH.elapsed().expect("after 1970");
    since.as_millis() as i64 + 500_000_000
}

fn take(state: &mut State, envelope: &Envelope, peer: &VerifyingKey) -> Vec<Vec<u8>> {
    let message = [b"hyperverge/1/result-batch\0", &envelope.payload[..]].concat();
    let signature = Signature::from_slice(&envelope.signature).expect("64 bytes");
    if peer.verify_strict(&message, &signature).is_err() {
        state.wrong.push("signature".into());
    }
    let batch = ResultBatch::decode(envelope.payload.clone()).expect("a batch");
    let key = (batch.lane, batch.number);
    state.arrivals.push(key);
    let before = state.heard.entry(key).or_insert_with(|| envelope.payload.clone());
    if *before != envelope.payload {
        state.wrong.push(format!("{key:?} with other bytes"));
    }
    let expected = state.next(batch.lane);
    if batch.number > expected {
        return vec![refusal_expecting(batch.lane, batch.number, expected)];
    }
    if state.deaf {
        return vec![];
    }
    let new = !state.batches.contains_key(&key);
    let rows = batch.rows.len() as u32;
    state.batches.entry(key).or_insert_with(|| envelope.payload.clone());
    vec![encode(control_frame::Body::Acknowledged(BatchAcknowledged {
        lane: batch.lane,
        number: batch.number,
        stored: if new { rows } else { 0 },
        duplicates: if new { 0 } else { rows },
        refused: 0,
    }))]
}

fn refusal(code: RefusalCode, lane: i32, number: u64, fatal: bool) -> Vec<u8> {
    let message = "no".to_owned();
    let code = code.into();
    encode(control_frame::Body::Refusal(Refusal {
        code,
        message,
        lane,
        number,
        fatal,
        ..Refusal::default()
    }))
}

fn refusal_expecting(lane: i32, number: u64, expected_number: u64) -> Vec<u8> {
    let code = RefusalCode::WrongNumber.into();
    encode(control_frame::Body::Refusal(Refusal {
        code,
        lane,
        number,
        expected_number,
        ..Refusal::default()
    }))
}

pub(crate) fn encode(body: control_frame::Body) -> Vec<u8> {
    let message = ControlFrame { body: Some(body) }.encode_to_vec();
    [&(message.len() as u32).to_be_bytes()[..], &message[..]].concat()
}

async fn read(recv: &mut RecvStream) -> Option<AgentFrame> {
    let mut prefix = [0; 4];
    recv.read_exact(&mut prefix).await.ok()?;
    let mut body = vec![0; u32::from_be_bytes(prefix) as usize];
    recv.read_exact(&mut body).await.ok()?;
    Some(AgentFrame::decode(&body[..]).expect("a frame"))
}
