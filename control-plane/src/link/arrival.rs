//! What comes first on a connection: an enrolment, a Hello, or neither.

use super::admission::{self, Admitted};
use super::endpoint::Gateway;
use super::enrolment::{self, Outcome};
use super::frames::{self, ReadError, Writer};
use super::refusal;
use super::registry::Line;
use super::session::{self, End, Session};
use super::{input, tls};
use crate::clock;
use crate::limits::{FAREWELL, FIRST_FRAME, HEARTBEAT_INTERVAL};
use ed25519_dalek::VerifyingKey;
use hyperverge_protocol::identity::Fingerprint;
use hyperverge_protocol::problem::FieldProblem;
use hyperverge_protocol::wire::{
    EnrollRequest, Enrolled, Hello, Refusal, RefusalCode, Welcome, agent_frame, control_frame::Body,
};
use quinn::{Connection, RecvStream, VarInt};
use std::net::IpAddr;
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;

/// Takes a connection whose handshake is done, to its end. `pending` is given
/// back once the agent is admitted.
pub(super) async fn receive(
    gateway: &Gateway,
    connection: Connection,
    pending: OwnedSemaphorePermit,
    stop: &CancellationToken,
) {
    let Some(key) = tls::peer_key(&connection) else {
        connection.close(VarInt::from_u32(0), b"no raw public key was shown");
        return;
    };
    let agent = Fingerprint::of(&key);
    let accepted = tokio::select! {
        () = stop.cancelled() => return,
        accepted = tokio::time::timeout(FIRST_FRAME, connection.accept_bi()) => accepted,
    };
    let Ok(Ok((send, mut recv))) = accepted else {
        connection.close(VarInt::from_u32(0), b"no stream was opened in time");
        return;
    };
    let mut send = Writer::new(send);
    let end = match first_frame(gateway, &connection, &key, &mut send, &mut recv, stop).await {
        Err(end) => end,
        Ok(hello) => match admit(gateway, &key, &hello).await {
            Err(end) => end,
            Ok(admitted) => {
                drop(pending);
                let end;
                (end, send) = welcomed(gateway, key, &hello, &admitted, send, recv, stop).await;
                end
            }
        },
    };
    tracing::debug!(agent = agent.short(), %end, "connection ends");
    part(gateway, &connection, send, &end).await;
}

/// Enrols as often as asked (which is once), until a Hello comes.
async fn first_frame(
    gateway: &Gateway,
    connection: &Connection,
    key: &VerifyingKey,
    send: &mut Writer,
    recv: &mut RecvStream,
    stop: &CancellationToken,
) -> Result<Hello, End> {
    loop {
        let frame = tokio::select! {
            () = stop.cancelled() => return Err(End::Stopping),
            frame = tokio::time::timeout(FIRST_FRAME, frames::read(recv)) => frame,
        };
        let body = match frame {
            Ok(Ok(body)) => body,
            Ok(Err(error)) => return Err(not_begun(&error)),
            Err(_) => return Err(End::Silent),
        };
        match body {
            agent_frame::Body::Hello(hello) => return Ok(hello),
            agent_frame::Body::Enroll(request) => {
                let address = connection.remote_address().ip();
                let enrolled = enroll(gateway, key, &request, address).await?;
                send.write(Body::Enrolled(enrolled)).await?;
            }
            _ => {
                let problem = FieldProblem::new("frame", "must be enroll or hello at first");
                return Err(End::Refused(refusal::malformed(&problem)));
            }
        }
    }
}

fn not_begun(error: &ReadError) -> End {
    match refusal::unreadable(error) {
        Some(refusal) => End::Refused(refusal),
        None => End::Left(error.to_string()),
    }
}

async fn enroll(
    gateway: &Gateway,
    key: &VerifyingKey,
    request: &EnrollRequest,
    address: IpAddr,
) -> Result<Enrolled, End> {
    let shared = &gateway.shared;
    let count = |result: &str| shared.metrics.enrollments_total.with_label_values(&[result]).inc();
    if let Err(problem) = input::check_enroll(request) {
        count("malformed");
        return Err(End::Refused(refusal::malformed(&problem)));
    }
    if let Some(wait) = gateway.unknown_tokens.wait(address, clock::monotonic()) {
        count("throttled");
        let message = "too many unknown tokens came from this address; wait";
        return Err(End::Refused(refusal::busy(message, wait)));
    }
    match enrolment::enroll(&shared.store, key, request).await? {
        Outcome::Enrolled { region, new } => {
            count(if new { "enrolled" } else { "again" });
            let agent = Fingerprint::of(key);
            if new {
                tracing::info!(%agent, region, "agent enrolled");
                shared.wake.planner.notify_one();
            }
            Ok(Enrolled { agent_id: agent.as_bytes().to_vec().into(), region })
        }
        Outcome::Refused(refusal) => {
            count("refused");
            if refusal.code() == RefusalCode::TokenUnknown {
                gateway.unknown_tokens.count(address, clock::monotonic());
            }
            Err(End::Refused(refusal))
        }
    }
}

async fn admit(gateway: &Gateway, key: &VerifyingKey, hello: &Hello) -> Result<Admitted, End> {
    if let Err(problem) = input::check_hello(hello) {
        return Err(End::Refused(refusal::malformed(&problem)));
    }
    if gateway.registry.len() >= gateway.shared.settings.limits.sessions as usize {
        let wait = Duration::from_secs(30);
        return Err(End::Refused(refusal::busy(
            "this gateway holds all the sessions it may",
            wait,
        )));
    }
    admission::admit(&gateway.shared.store, key, hello).await?.map_err(End::Refused)
}

async fn welcomed(
    gateway: &Gateway,
    key: VerifyingKey,
    hello: &Hello,
    admitted: &Admitted,
    mut send: Writer,
    recv: RecvStream,
    stop: &CancellationToken,
) -> (End, Writer) {
    let agent = &admitted.agent;
    let session_id = admitted.session_id;
    let (presence, line) = Presence::begin(gateway, admitted);
    tracing::info!(
        agent = agent.id,
        region = agent.region,
        version = hello.version,
        "agent connected"
    );
    let set_version = i64::try_from(hello.set_version).unwrap_or(i64::MAX);
    if set_version > 0 {
        gateway.registry.note(&agent.id, session_id, |r| r.accepted_set = Some(set_version));
    }
    let welcome = Welcome {
        control_time_ms: gateway.clock.now_ms(),
        boot_time_ms: hello.boot_time_ms,
        lanes: admitted.lanes.clone(),
        region: agent.region.clone(),
        control_version: env!("CARGO_PKG_VERSION").into(),
        heartbeat_interval_ms: u32::try_from(HEARTBEAT_INTERVAL.as_millis()).unwrap_or(u32::MAX),
    };
    let outcome = match send.write(Body::Welcome(welcome)).await {
        Err(error) => (End::from(error), send),
        Ok(()) => {
            // The rounds announce sets; a new session should not wait for the next one.
            gateway.shared.wake.gateway.notify_one();
            let session = Session::new(gateway, admitted, key, line, send, set_version);
            session.run(recv, stop).await
        }
    };
    drop(presence);
    tracing::info!(agent = agent.id, end = %outcome.0, "agent disconnected");
    outcome
}

/// Counts the session for as long as it lasts, however it ends.
struct Presence<'g> {
    gateway: &'g Gateway,
    admitted: &'g Admitted,
}

impl<'g> Presence<'g> {
    fn begin(gateway: &'g Gateway, admitted: &'g Admitted) -> (Self, Line) {
        let agent = &admitted.agent;
        let line = gateway.registry.join(&agent.id, agent.organisation_id, admitted.session_id);
        gateway.shared.metrics.link_agents_connected.inc();
        (Self { gateway, admitted }, line)
    }
}

impl Drop for Presence<'_> {
    fn drop(&mut self) {
        self.gateway.registry.leave(&self.admitted.agent.id, self.admitted.session_id);
        self.gateway.shared.metrics.link_agents_connected.dec();
    }
}

/// Says why, waits until that has arrived, and closes.
async fn part(gateway: &Gateway, connection: &Connection, mut send: Writer, end: &End) {
    let (refusal, code, reason) = session::farewell(end);
    if let Some(refusal) = refusal {
        tell(gateway, &mut send, refusal).await;
    }
    send.finish().await;
    connection.close(VarInt::from_u32(code), reason.as_bytes());
}

async fn tell(gateway: &Gateway, send: &mut Writer, refusal: Refusal) {
    gateway.count_refusal(&refusal);
    let written = tokio::time::timeout(FAREWELL, send.write(Body::Refusal(refusal)));
    if !matches!(written.await, Ok(Ok(()))) {
        tracing::debug!("a refusal could not be delivered");
    }
}
