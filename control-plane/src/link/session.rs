//! One agent's session, from its Welcome to its end.
//!
//! One task reads frames; this one does everything else, so the order of what
//! the agent receives is the order of what was decided here. Batches are
//! submitted as they arrive and answered in that order; when enough of them are
//! under way nothing more is read, and QUIC's window holds the agent back.

use super::admission::Admitted;
use super::endpoint::Gateway;
use super::frames::{self, ReadError, WriteError, Writer};
use super::refusal;
use super::registry::{Ending, Line};
use super::{BatchSource, Submit};
use crate::clock;
use crate::limits::{BACKLOG_CREDIT, FAREWELL, SESSION_BATCHES, SESSION_SILENCE};
use crate::store::assignments;
use crate::store::{StoreError, assignments::StoredSet};
use ed25519_dalek::VerifyingKey;
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesOrdered;
use hyperverge_protocol::frame::FrameError;
use hyperverge_protocol::problem::FieldProblem;
use hyperverge_protocol::wire::{
    Envelope, Heartbeat, HeartbeatReply, Refusal, RefusalCode, SetManifest, SetPart, agent_frame,
    control_frame::Body,
};
use prost::Message;
use quinn::RecvStream;
use std::collections::BTreeSet;
use std::time::Instant;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// How a session ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum End {
    /// The agent said goodbye, or its connection ended.
    #[error("the agent left: {0}")]
    Left(String),
    #[error("this process is stopping")]
    Stopping,
    #[error("nothing was heard for too long")]
    Silent,
    #[error("{0}")]
    Ordered(Ending),
    #[error("refused: {}", .0.message)]
    Refused(Refusal),
}

impl From<WriteError> for End {
    fn from(error: WriteError) -> Self {
        Self::Left(error.to_string())
    }
}

impl From<StoreError> for End {
    fn from(error: StoreError) -> Self {
        Self::Refused(refusal::internal(&error))
    }
}

/// A session that was admitted and welcomed.
pub(super) struct Session<'g> {
    gateway: &'g Gateway,
    admitted: &'g Admitted,
    key: VerifyingKey,
    line: Line,
    send: Writer,
    answers: FuturesOrdered<BoxFuture<'static, Body>>,
    /// The newest set the agent holds or was sent.
    set_version: i64,
    /// Open orders of bursts that were sent in this session. Another sends them
    /// again, since nobody knows what arrived; the agent does each once.
    sent_bursts: BTreeSet<Uuid>,
    heard: Instant,
}

type Frame = Result<agent_frame::Body, ReadError>;

impl<'g> Session<'g> {
    pub(super) fn new(
        gateway: &'g Gateway,
        admitted: &'g Admitted,
        key: VerifyingKey,
        line: Line,
        send: Writer,
        set_version: i64,
    ) -> Self {
        let answers = FuturesOrdered::new();
        let heard = clock::monotonic();
        let sent_bursts = BTreeSet::new();
        Self { gateway, admitted, key, line, send, answers, set_version, sent_bursts, heard }
    }

    /// Runs until the agent leaves, misbehaves or is told to end; what is under
    /// way is answered first. Gives the stream back for the farewell.
    pub(super) async fn run(mut self, recv: RecvStream, stop: &CancellationToken) -> (End, Writer) {
        let (sender, mut frames) = mpsc::channel(1);
        let reader = tokio::spawn(read(recv, sender));
        let mut ending = self.line.ending.clone();
        let end = loop {
            // An order does not wait for an agent that does not read.
            let stepped = tokio::select! {
                biased;
                Ok(ordered) = ending.wait_for(Option::is_some) => match &*ordered {
                    Some(ending) => Err(End::Ordered(ending.clone())),
                    None => Ok(()),
                },
                stepped = self.step(&mut frames, stop) => stepped,
            };
            if let Err(end) = stepped {
                break end;
            }
        };
        reader.abort();
        if matches!(end, End::Stopping | End::Left(_)) {
            self.finish_answers().await;
        }
        (end, self.send)
    }

    async fn step(
        &mut self,
        frames: &mut mpsc::Receiver<Frame>,
        stop: &CancellationToken,
    ) -> Result<(), End> {
        let silent_at = tokio::time::Instant::from_std(self.heard + SESSION_SILENCE);
        tokio::select! {
            biased;
            () = stop.cancelled() => Err(End::Stopping),
            Some(answer) = self.answers.next(), if !self.answers.is_empty() => {
                self.answer(answer).await
            }
            Ok(()) = self.line.newest_set.changed() => self.send_newest_set().await,
            // After the set that holds the monitor.
            Ok(()) = self.line.bursts.changed() => self.send_bursts().await,
            frame = frames.recv(), if self.answers.len() < SESSION_BATCHES => match frame {
                Some(Ok(body)) => self.handle(body).await,
                Some(Err(error)) => Err(unreadable(&error)),
                None => Err(End::Left("stream finished".into())),
            },
            () = tokio::time::sleep_until(silent_at) => Err(End::Silent),
        }
    }

    async fn handle(&mut self, body: agent_frame::Body) -> Result<(), End> {
        self.heard = clock::monotonic();
        match body {
            agent_frame::Body::Heartbeat(heartbeat) => self.heartbeat(&heartbeat).await,
            agent_frame::Body::ResultBatch(envelope) => {
                self.submit(envelope);
                Ok(())
            }
            agent_frame::Body::SetAccepted(accepted) => {
                self.accepted(i64::try_from(accepted.version).ok())
            }
            agent_frame::Body::Goodbye(goodbye) => {
                Err(End::Left(goodbye.reason.chars().take(200).collect()))
            }
            agent_frame::Body::Hello(_) | agent_frame::Body::Enroll(_) => {
                let problem = FieldProblem::new("frame", "must not begin a session twice");
                Err(End::Refused(refusal::malformed(&problem)))
            }
        }
    }

    async fn heartbeat(&mut self, heartbeat: &Heartbeat) -> Result<(), End> {
        let now = self.gateway.clock.now_ms();
        let skew = heartbeat.wall_time_ms.saturating_sub(now);
        self.note(|report| report.heartbeat_skew_ms = Some(skew));
        let reply = HeartbeatReply {
            boot_time_ms: heartbeat.boot_time_ms,
            control_time_ms: now,
            backlog_credit: BACKLOG_CREDIT,
        };
        Ok(self.send.write(Body::Heartbeat(reply)).await?)
    }

    fn submit(&mut self, envelope: Envelope) {
        let agent = &self.admitted.agent;
        let source = BatchSource {
            organisation_id: agent.organisation_id,
            agent_id: agent.id.clone(),
            region_id: agent.region_id,
            public_key: self.key,
        };
        let submit: &Submit = &self.gateway.submit;
        self.answers.push_back(submit(source, envelope));
    }

    async fn answer(&mut self, body: Body) -> Result<(), End> {
        if let Body::Refusal(refusal) = body {
            self.gateway.count_refusal(&refusal);
            if refusal.fatal {
                return Err(End::Refused(refusal));
            }
            return Ok(self.send.write(Body::Refusal(refusal)).await?);
        }
        Ok(self.send.write(body).await?)
    }

    fn accepted(&mut self, version: Option<i64>) -> Result<(), End> {
        let sent = version.filter(|version| *version <= self.set_version);
        let Some(version) = sent else {
            let problem = FieldProblem::new("set_accepted.version", "must be a set that was sent");
            return Err(End::Refused(refusal::malformed(&problem)));
        };
        self.note(|report| report.accepted_set = Some(version));
        Ok(())
    }

    async fn send_newest_set(&mut self) -> Result<(), End> {
        if *self.line.newest_set.borrow_and_update() <= self.set_version {
            return Ok(());
        }
        let agent = &self.admitted.agent;
        let mut tx = self.gateway.shared.store.read().await?;
        let set =
            assignments::newest_set(&mut tx, agent.organisation_id, &agent.id, self.set_version)
                .await?;
        drop(tx);
        let Some(set) = set else { return Ok(()) };
        for body in set_frames(&set)? {
            self.send.write(body).await?;
        }
        self.set_version = set.version;
        self.gateway.shared.metrics.link_sets_sent_total.inc();
        tracing::debug!(version = set.version, parts = set.parts.len(), "set sent");
        Ok(())
    }

    async fn send_bursts(&mut self) -> Result<(), End> {
        let open = self.line.bursts.borrow_and_update().clone();
        self.sent_bursts.retain(|id| open.iter().any(|order| order.burst_id == *id));
        for order in open {
            if self.sent_bursts.contains(&order.burst_id) {
                continue;
            }
            let malformed = |_| WriteError::Frame(FrameError::Malformed);
            let envelope = Envelope::decode(order.envelope.as_slice()).map_err(malformed)?;
            self.send.write(Body::Burst(envelope)).await?;
            self.sent_bursts.insert(order.burst_id);
            self.note(|report| report.sent_bursts.push(order.burst_id));
            self.gateway.shared.metrics.burst_orders_sent_total.inc();
        }
        Ok(())
    }

    fn note(&self, note: impl FnOnce(&mut super::registry::Report)) {
        let admitted = self.admitted;
        self.gateway.registry.note(&admitted.agent.id, admitted.session_id, note);
    }

    /// Commits that are under way are waited for, and the agent told of them if
    /// it still listens: what it is not told it sends again.
    async fn finish_answers(&mut self) {
        let answers = async {
            while let Some(body) = self.answers.next().await {
                if self.send.write(body).await.is_err() {
                    break;
                }
            }
        };
        if tokio::time::timeout(FAREWELL, answers).await.is_err() {
            tracing::debug!("a session ended before all its batches were answered");
        }
    }
}

fn set_frames(set: &StoredSet) -> Result<Vec<Body>, WriteError> {
    let malformed = |_| WriteError::Frame(FrameError::Malformed);
    let envelope = Envelope::decode(set.envelope.as_slice()).map_err(malformed)?;
    let mut bodies = vec![Body::SetManifest(SetManifest { envelope: Some(envelope) })];
    for (index, payload) in (0u32..).zip(&set.parts) {
        let payload = payload.clone().into();
        let version = u64::try_from(set.version).unwrap_or_default();
        bodies.push(Body::SetPart(SetPart { version, index, payload }));
    }
    Ok(bodies)
}

fn unreadable(error: &ReadError) -> End {
    match refusal::unreadable(error) {
        Some(refusal) => End::Refused(refusal),
        None => End::Left(error.to_string()),
    }
}

/// Reads until there is nothing more to read, or nobody listens. The channel
/// holds one frame, so an agent cannot make us keep more than two.
async fn read(mut recv: RecvStream, frames: mpsc::Sender<Frame>) {
    loop {
        let frame = frames::read(&mut recv).await;
        let last = frame.is_err();
        if frames.send(frame).await.is_err() || last {
            return;
        }
    }
}

/// What the agent is told at the end, and the code and reason its connection is closed with.
pub(super) fn farewell(end: &End) -> (Option<Refusal>, u32, String) {
    let refusal = match end {
        End::Left(_) => return (None, 0, "goodbye".into()),
        End::Stopping => return (None, 0, "the control plane is stopping".into()),
        End::Silent => return (None, 0, end.to_string()),
        End::Ordered(ending @ Ending::Superseded) => {
            refusal::fatal(RefusalCode::Unspecified, ending.to_string())
        }
        End::Ordered(Ending::Barred(state)) => refusal::barred(*state, None),
        End::Refused(refusal) => refusal.clone(),
    };
    let (code, reason) = (refusal.code as u32, refusal.message.clone());
    (Some(refusal), code, reason)
}
