//! One connection: does what the session machine decides.
//!
//! A reader task hands frames over with the moment they came, a writer task
//! empties a short queue; the loop between them never waits for the network,
//! so heartbeats and acknowledgements pass while a batch is on its way.

use super::connect::Link;
use super::frames::{self, LinkIoError};
use super::task::LinkTask;
use crate::assignments::store::{self, Life};
use crate::assignments::{Complete, SetError};
use crate::engine::Input;
use crate::probe::capabilities;
use crate::spool::Acknowledged;
use crate::{clock, limits};
use bytes::Bytes;
use hyperverge_agent_core::Lane;
use hyperverge_agent_core::session::{Disconnect, Effect};
use hyperverge_protocol::BURST_CAPABILITY;
use hyperverge_protocol::frame::FrameError;
use hyperverge_protocol::wire::{
    ControlFrame, Envelope, Goodbye, Heartbeat, Hello, LaneState, Refusal, RefusalCode,
    SetAccepted, agent_frame, control_frame,
};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

/// How a connection ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum Ended {
    #[error(transparent)]
    BySession(Disconnect),
    #[error(transparent)]
    Io(#[from] LinkIoError),
    #[error("the engine is gone")]
    EngineGone,
    #[error("stopped")]
    Stopped,
}

type Received = (Result<ControlFrame, LinkIoError>, i64);

/// The two ends of a connection's queues.
struct Wires {
    received: mpsc::Receiver<Received>,
    outgoing: mpsc::Sender<Bytes>,
}

enum Woken {
    Frame(Option<Received>),
    Sealed,
    Room,
    Stop,
    Time,
}

impl LinkTask {
    /// Runs a session over `link` until it ends.
    pub(super) async fn drive(&mut self, link: Link, stop: &CancellationToken) -> Ended {
        let (mut send, mut recv) = match link.connection.open_bi().await {
            Ok(streams) => streams,
            Err(error) => return LinkIoError::Lost(error.to_string()).into(),
        };
        let (frames_tx, received) = mpsc::channel(limits::FRAMES_RECEIVED);
        let (outgoing, mut to_write) = mpsc::channel::<Bytes>(limits::FRAMES_SENDING);
        let reader = tokio::spawn(async move {
            loop {
                let frame = frames::read(&mut recv).await;
                let last = frame.is_err();
                if frames_tx.send((frame, clock::boot_us())).await.is_err() || last {
                    return;
                }
            }
        });
        let writer = tokio::spawn(async move {
            while let Some(bytes) = to_write.recv().await {
                if frames::write(&mut send, &bytes).await.is_err() {
                    return;
                }
            }
            // Wait until the peer has everything, or closing would discard it.
            if send.finish().is_ok() {
                let _lost = send.stopped().await;
            }
        });
        self.session.handle_connected(clock::boot_ms());
        let mut wires = Wires { received, outgoing };
        let ended = self.converse(&mut wires, stop).await;
        self.session.handle_disconnected();
        self.spool.set_session(false);
        self.status.link_up.store(false, Relaxed);
        self.metrics.link_up.set(0);
        drop(wires);
        let _late = tokio::time::timeout(FLUSH, writer).await;
        reader.abort();
        link.connection.close(quinn::VarInt::from_u32(0), b"");
        let _late = tokio::time::timeout(FLUSH, link.endpoint.wait_idle()).await;
        ended
    }

    async fn converse(&mut self, wires: &mut Wires, stop: &CancellationToken) -> Ended {
        let mut stopping_ms: Option<i64> = None;
        loop {
            let blocked = match self.do_effects(wires).await {
                Ok(blocked) => blocked,
                Err(ended) => return ended,
            };
            if let Some(until_ms) = stopping_ms {
                let empty = Lane::ALL.into_iter().all(|lane| self.session.waiting(lane) == 0);
                if empty || clock::boot_ms() >= until_ms || !self.session.is_established() {
                    let goodbye = Goodbye { reason: "stopped".to_owned() };
                    let _full = post(wires, agent_frame::Body::Goodbye(goodbye));
                    return Ended::Stopped;
                }
            }
            match self.woken(wires, stop, stopping_ms, blocked).await {
                Woken::Frame(Some((Ok(frame), at_us))) => {
                    self.received_us = at_us;
                    if let Err(ended) = self.handle_frame(frame, wires).await {
                        return ended;
                    }
                }
                Woken::Frame(Some((Err(error), _))) => return error.into(),
                Woken::Frame(None) => return LinkIoError::Closed.into(),
                Woken::Sealed => self.note_sealed(),
                Woken::Stop => {
                    self.note_sealed();
                    let bound = i64::try_from(limits::STOP_LINK.as_millis()).unwrap_or(i64::MAX);
                    stopping_ms = Some(clock::boot_ms().saturating_add(bound));
                }
                Woken::Room | Woken::Time => {}
            }
            self.session.handle_timeout(clock::boot_ms());
        }
    }

    async fn woken(
        &mut self,
        wires: &mut Wires,
        stop: &CancellationToken,
        stopping_ms: Option<i64>,
        blocked: bool,
    ) -> Woken {
        let now = clock::boot_ms();
        let wake = self.session.next_wakeup(now).into_iter().chain(stopping_ms).min();
        let wait = wake.map_or(TICK_MS, |at| at.saturating_sub(now)).clamp(0, TICK_MS);
        let wait = Duration::from_millis(wait.unsigned_abs());
        tokio::select! {
            frame = wires.received.recv() => Woken::Frame(frame),
            changed = self.numbers.changed() => {
                if changed.is_err() { Woken::Time } else { Woken::Sealed }
            }
            _ = wires.outgoing.reserve_many(limits::FRAMES_RESERVED + 1), if blocked => Woken::Room,
            () = stop.cancelled(), if stopping_ms.is_none() => Woken::Stop,
            () = tokio::time::sleep(wait) => Woken::Time,
        }
    }

    /// Batches sealed since the last look.
    fn note_sealed(&mut self) {
        let numbers = *self.numbers.borrow_and_update();
        for lane in Lane::ALL {
            for number in self.seen.of(lane)..numbers.of(lane) {
                self.session.handle_sealed(lane, number);
            }
        }
        self.seen.live = self.seen.live.max(numbers.live);
        self.seen.backlog = self.seen.backlog.max(numbers.backlog);
    }

    /// Does everything that can be done now; `true` when a batch waits for room.
    async fn do_effects(&mut self, wires: &Wires) -> Result<bool, Ended> {
        loop {
            let room = wires.outgoing.capacity() > limits::FRAMES_RESERVED;
            let Some(effect) = self.session.poll_effect(clock::boot_ms(), room) else {
                return Ok(!room);
            };
            self.do_effect(effect, wires).await?;
        }
    }

    async fn do_effect(&mut self, effect: Effect, wires: &Wires) -> Result<(), Ended> {
        match effect {
            Effect::SendHello { boot_ms } => post(wires, self.hello(boot_ms)),
            Effect::SendHeartbeat { boot_ms } => post(wires, self.heartbeat(boot_ms)),
            Effect::SendBatch { lane, number } => self.send_batch(lane, number, wires).await,
            Effect::Sample { sent_boot_ms, control_ms } => {
                let sent_us = sent_boot_ms.saturating_mul(1_000);
                let received_us = self.received_us;
                self.tell(Input::Sample { sent_us, received_us, control_ms }).await
            }
            Effect::Reconcile { live, backlog } => {
                self.reconcile(live, backlog).await;
                Ok(())
            }
            Effect::Established { region } => {
                info!(region, "session established");
                self.established_ms = Some(clock::boot_ms());
                self.spool.set_session(true);
                self.status.link_up.store(true, Relaxed);
                self.status.rejected.store(false, Relaxed);
                self.metrics.link_up.set(1);
                Ok(())
            }
            Effect::Acknowledged { lane, number, stored, duplicates, refused } => {
                let stored = Acknowledged { lane, number, stored, duplicates, refused };
                self.spool.acknowledged(stored).await;
                Ok(())
            }
            Effect::BatchRefused { lane, number, code, message } => {
                error!(
                    lane = lane.as_str(),
                    number,
                    code = code.as_str_name(),
                    message,
                    "batch refused"
                );
                Ok(())
            }
            Effect::Disconnect(why) => Err(Ended::BySession(why)),
        }
    }

    async fn tell(&self, input: Input) -> Result<(), Ended> {
        self.engine.send(input).await.map_err(|_| Ended::EngineGone)
    }

    async fn reconcile(&mut self, live: Option<u64>, backlog: Option<u64>) {
        self.note_sealed();
        let outcome = self.spool.reconcile(live, backlog).await;
        for (lane, number) in outcome.begin {
            match lane {
                Lane::Live => self.seen.live = self.seen.live.max(number),
                Lane::Backlog => self.seen.backlog = self.seen.backlog.max(number),
            }
        }
        for (lane, number) in outcome.filled {
            self.session.handle_sealed(lane, number);
        }
        self.note_sealed();
        self.session.handle_reconciled(clock::boot_ms());
    }

    async fn send_batch(&mut self, lane: Lane, number: u64, wires: &Wires) -> Result<(), Ended> {
        let Some(envelope) = self.spool.read(lane, number).await else {
            self.session.handle_lost(lane, number);
            return Ok(());
        };
        debug!(lane = lane.as_str(), number, "batch sent");
        queue(wires, frames::encode_batch(envelope))
    }

    fn hello(&self, boot_ms: i64) -> agent_frame::Body {
        let lanes = Lane::ALL.map(|lane| LaneState {
            lane: lane.to_wire().into(),
            next_number: self.session.first_waiting(lane).unwrap_or(self.seen.of(lane)),
            waiting_batches: self.session.waiting(lane) as u64,
        });
        agent_frame::Body::Hello(Hello {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            capabilities: offered(),
            boot_id: Bytes::copy_from_slice(&self.boot_id),
            process_id: Bytes::copy_from_slice(&self.process_id),
            set_version: self.assembler.held(),
            lanes: lanes.to_vec(),
            boot_time_ms: boot_ms,
            wall_time_ms: clock::wall_ms(),
            host_name: self.host_name.clone(),
        })
    }

    fn heartbeat(&self, boot_ms: i64) -> agent_frame::Body {
        agent_frame::Body::Heartbeat(Heartbeat {
            boot_time_ms: boot_ms,
            wall_time_ms: clock::wall_ms(),
            probes_in_flight: self.status.probes_in_flight.load(Relaxed),
            spool_bytes: self.metrics.spool.bytes.get().unsigned_abs(),
        })
    }

    async fn handle_frame(&mut self, frame: ControlFrame, wires: &Wires) -> Result<(), Ended> {
        let boot_ms = clock::boot_ms();
        match frame.body {
            Some(control_frame::Body::Welcome(welcome)) => self.session.handle_welcome(&welcome),
            Some(control_frame::Body::Heartbeat(reply)) => {
                self.session.handle_heartbeat_reply(&reply);
            }
            Some(control_frame::Body::Acknowledged(ack)) => self.session.handle_acknowledged(&ack),
            Some(control_frame::Body::Refusal(refusal)) => {
                log_refusal(&refusal);
                self.session.handle_refusal(&refusal, boot_ms);
            }
            Some(control_frame::Body::SetManifest(manifest)) => {
                let taken = self.assembler.handle_manifest(manifest);
                self.handle_set(taken, wires).await?;
            }
            Some(control_frame::Body::SetPart(part)) => {
                let taken = self.assembler.handle_part(part);
                self.handle_set(taken, wires).await?;
            }
            Some(control_frame::Body::Burst(envelope)) => self.handle_burst(&envelope).await?,
            // A newer control plane may say things this version does not know.
            Some(control_frame::Body::Enrolled(_)) | None => {}
        }
        Ok(())
    }

    async fn handle_burst(&self, envelope: &Envelope) -> Result<(), Ended> {
        match self.assembler.open_burst(envelope) {
            Ok(burst) => self.tell(Input::Burst(burst)).await,
            Err(error) => {
                self.metrics.burst_orders_total.with_label_values(&["forged"]).inc();
                warn!(%error, "order of a burst refused");
                Ok(())
            }
        }
    }

    async fn handle_set(
        &mut self,
        taken: Result<Option<Complete>, SetError>,
        wires: &Wires,
    ) -> Result<(), Ended> {
        let complete = match taken {
            Ok(Some(complete)) => complete,
            Ok(None) => return Ok(()),
            Err(error) => {
                self.metrics.assignment_sets_refused_total.inc();
                warn!(%error, "assignment set refused");
                return Ok(());
            }
        };
        let version = complete.set.version;
        let life = Life::begin(version, self.boot_id, clock::boot_ms());
        let (state_dir, saved_life) = (self.state_dir.clone(), life.clone());
        let saved = tokio::task::spawn_blocking(move || {
            store::save(&state_dir, &complete, &saved_life).map(|()| complete.set)
        });
        match saved.await {
            Ok(Ok(set)) => {
                self.assembler.handle_held(version);
                self.tell(Input::Set(Arc::new(set), life)).await?;
                post(wires, agent_frame::Body::SetAccepted(SetAccepted { version }))
            }
            Ok(Err(error)) => {
                error!(%error, "the assignment set cannot be stored and is not taken");
                Ok(())
            }
            Err(_) => Ok(()),
        }
    }
}

/// What this agent can do: sorted, as the wire wants it.
fn offered() -> Vec<String> {
    let mut words = capabilities();
    words.push(BURST_CAPABILITY.to_owned());
    words.sort_unstable();
    words
}

/// A busy control plane says so for every batch, and people look there, not here.
fn log_refusal(refusal: &Refusal) {
    let (code, message) = (refusal.code().as_str_name(), &refusal.message);
    match refusal.code() {
        RefusalCode::Busy | RefusalCode::WrongNumber => debug!(code, message, "refused"),
        _ => warn!(code, message, "refused"),
    }
}

/// The loop looks around at least this often.
const TICK_MS: i64 = 1_000;
/// How long the last frames may take to leave.
const FLUSH: Duration = Duration::from_secs(1);

fn post(wires: &Wires, body: agent_frame::Body) -> Result<(), Ended> {
    queue(wires, frames::encode(body))
}

/// Queues a message. A full queue means that the connection has not moved for
/// several heartbeats.
fn queue(wires: &Wires, frame: Result<Bytes, FrameError>) -> Result<(), Ended> {
    let frame = frame.map_err(LinkIoError::from)?;
    wires.outgoing.try_send(frame).map_err(|_| {
        LinkIoError::Lost("the connection does not take what is sent".to_owned()).into()
    })
}
