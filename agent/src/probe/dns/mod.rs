//! `kind: dns`: one question, and what its answer must be.
//!
//! A prober has to see the very message a server sends and when it came, so
//! this is a client of its own and no resolver: it asks once, follows no
//! referral and keeps nothing. Only the encoding of messages is a library's.
//!
//! Each transport is a file that takes a [`query::Question`] to a
//! [`answer::Reply`]: `udp.rs`, `stream.rs` for TCP and TLS, `https.rs`, `quic.rs`. To add one: a
//! variant of `DnsTransport`, its file, and its arm in [`DnsProbe::ask`].

mod answer;
mod https;
mod message;
mod own;
mod query;
mod quic;
mod server;
mod stream;
mod udp;

use super::connect::{ConnectFailure, connect_judged, interleave, weigh};
use super::deadline::Deadline;
use super::dial::{add, dial, secure, since};
use super::failure::Failure;
use super::quic::QuicTarget;
use super::route::Route;
use super::tls::{self, TlsClient};
use super::wire::Wire;
use super::{CheckId, Ended, Probe, ProbeContext, limits};
use crate::clock;
use answer::Reply;
use hyperverge_agent_core::judge::{Answer, Judge};
use hyperverge_protocol::duration::Span;
use hyperverge_protocol::monitor::{DnsTransport, Family, MonitorSpec};
use hyperverge_protocol::outcome::{Observation, Outcome, Reason};
use query::Question;
use server::{Named, Server};
use std::net::SocketAddr;
use std::pin::pin;
use tokio_rustls::client::TlsStream;

pub use server::NameServers;

/// How a server answers that does not know EDNS, or does not want it (RFC 6891, section 7).
const EDNS_REFUSED: [&str; 2] = ["FORMERR", "NOTIMP"];

/// A monitor of this kind, ready to be checked.
#[derive(Debug)]
pub struct DnsProbe {
    question: Question,
    /// What is asked of a server that refuses EDNS, unless that is what is expected of it.
    plain: Option<Question>,
    /// For people.
    target: String,
    server: Server,
    transport: DnsTransport,
    /// `Some` exactly when the transport is encrypted.
    tls: Option<TlsClient>,
    route: Route,
    family: Family,
    judge: Judge,
    timeout: Span,
}

impl Probe for DnsProbe {
    fn prepare(context: &ProbeContext, spec: &MonitorSpec) -> Result<Self, Failure> {
        let unusable = |rule: String| Failure::unsupported(Reason::UnsupportedSpec, rule);
        let question =
            Question::new(&spec.target, &spec.dns).map_err(|error| unusable(error.to_string()))?;
        let server = Server::new(&spec.dns, &context.0.egress)?;
        if let Server::System = server {
            own::may_ask(&question, &context.0.egress)?;
        }
        let refusal_is_good =
            spec.expect.rcode.iter().any(|code| EDNS_REFUSED.contains(&code.as_str()));
        let plain = (!refusal_is_good).then(|| question.plain()).transpose();
        Ok(Self {
            plain: plain.map_err(|error| unusable(error.to_string()))?,
            question,
            server,
            target: spec.target.clone(),
            transport: spec.dns.transport,
            tls: tls_client(context, spec)?,
            route: Route::new(&spec.network),
            family: spec.network.family,
            judge: Judge::new(spec).map_err(|problem| unusable(problem.to_string()))?,
            timeout: spec.timeout(),
        })
    }

    async fn run(&self, context: &ProbeContext, _check: &CheckId<'_>) -> Ended {
        let started = clock::monotonic();
        let end = started + self.timeout.0;
        let timer = pin!(tokio::time::sleep_until(tokio::time::Instant::from_std(end)));
        let mut deadline = Deadline::new(end, self.timeout, timer);
        let mut seen = Observation::bare(Outcome::Ok, None, "");
        let asked = Box::pin(self.ask(&self.question, context, &mut deadline, &mut seen)).await;
        let asked = match (asked, &self.plain) {
            (Ok(refusal), Some(plain)) if EDNS_REFUSED.contains(&refusal.facts.rcode.as_str()) => {
                match Box::pin(self.ask(plain, context, &mut deadline, &mut seen)).await {
                    // Where the server has no answer to that either, its refusal stays. What is
                    // this host's own, or forbidden by it, accuses nobody.
                    Err(failure) if failure.outcome == Outcome::Fail => Ok(refusal),
                    again => again,
                }
            }
            (asked, _) => asked,
        };
        let took = since(started);
        let judged = asked
            .and_then(|reply| self.conclude(context, reply, &mut seen))
            .map_err(|failure| failure.unless_stalled(took, self.timeout));
        Ended { seen, judged }
    }
}

impl DnsProbe {
    fn conclude(
        &self,
        context: &ProbeContext,
        reply: Reply,
        seen: &mut Observation,
    ) -> Result<(), Failure> {
        let Reply { facts, unwritten, authority, sample, .. } = reply;
        seen.details_mut().dns = Some(facts);
        seen.sample = sample;
        let answer = Answer { authority: &authority, unwritten, ..Answer::default() };
        Ok(self.judge.judge(seen, &answer, context.0.time.unix_s())?)
    }

    /// Asks whoever is to be asked.
    async fn ask(
        &self,
        question: &Question,
        context: &ProbeContext,
        deadline: &mut Deadline<'_>,
        seen: &mut Observation,
    ) -> Result<Reply, Failure> {
        match (&self.server, self.transport) {
            (Server::System, _) => self.ask_own(question, context, deadline, seen).await,
            (Server::Named(named), DnsTransport::Udp) => {
                let addresses =
                    self.route.addresses(context, &named.destination, deadline, seen).await?;
                let servers: Vec<SocketAddr> =
                    interleave(&addresses).map(|address| (*address, named.port).into()).collect();
                self.ask_in_turn(question, &servers, deadline, seen).await
            }
            (Server::Named(named), DnsTransport::Tcp) => {
                let (to, port) = (&named.destination, named.port);
                let wire = dial(context, &self.route, to, port, deadline, seen).await?;
                stream::ask(question, wire, &named.shown, deadline, seen).await
            }
            (Server::Named(named), DnsTransport::Tls) => {
                let stream = self.secure(context, named, deadline, seen).await?;
                stream::ask(question, stream, &named.shown, deadline, seen).await
            }
            (Server::Named(named), DnsTransport::Https) => {
                let resource = named.resource.as_ref().ok_or_else(not_set_up)?;
                let stream = self.secure(context, named, deadline, seen).await?;
                let to = (resource, named.shown.as_str());
                https::ask(context, question, to, stream, deadline, seen).await
            }
            (Server::Named(named), DnsTransport::Quic) => {
                let tls = self.tls.as_ref().ok_or_else(not_set_up)?;
                let target = QuicTarget {
                    destination: &named.destination,
                    port: named.port,
                    name: &named.server_name,
                    shown: &named.shown,
                };
                let connecting =
                    super::quic::connect(context, &self.route, target, tls, deadline, seen);
                let connection = connecting.await?;
                quic::ask(question, &connection, &named.shown, deadline, seen).await
            }
        }
    }

    /// Connects to `named` and shakes hands with it.
    async fn secure(
        &self,
        context: &ProbeContext,
        named: &Named,
        deadline: &mut Deadline<'_>,
        seen: &mut Observation,
    ) -> Result<TlsStream<Wire>, Failure> {
        let tls = self.tls.as_ref().ok_or_else(not_set_up)?;
        let (to, port) = (&named.destination, named.port);
        let wire = dial(context, &self.route, to, port, deadline, seen).await?;
        let secured = secure(tls, &named.server_name, &named.shown, wire, deadline, seen).await?;
        Ok(secured.stream)
    }

    /// Asks `servers`, which are judged or trusted, one after another. Each has
    /// its share of the time that is left, and the first answer counts.
    async fn ask_in_turn(
        &self,
        question: &Question,
        servers: &[SocketAddr],
        deadline: &mut Deadline<'_>,
        seen: &mut Observation,
    ) -> Result<Reply, Failure> {
        let mut left = servers.len().min(limits::CONNECT_ADDRESSES);
        let mut worst: Option<ConnectFailure> = None;
        for server in servers.iter().copied().take(limits::CONNECT_ADDRESSES) {
            let asked = if left == 1 {
                self.ask_one(question, server, deadline, seen).await
            } else {
                let now = clock::monotonic();
                let share = deadline.remaining(now) / u32::try_from(left).unwrap_or(1);
                let end = now + share;
                let timer = pin!(tokio::time::sleep_until(tokio::time::Instant::from_std(end)));
                self.ask_one(question, server, &mut Deadline::new(end, self.timeout, timer), seen)
                    .await
            };
            match asked {
                Ok(reply) => return Ok(reply),
                Err(failure) => {
                    let failed = ConnectFailure { failure, address: Some(server) };
                    worst = Some(weigh(worst, failed));
                }
            }
            left -= 1;
        }
        match worst {
            Some(worst) => {
                seen.address = worst.address;
                Err(worst.failure)
            }
            None => Err(Failure::target(Reason::DnsNoAddress, "the name server has no address")),
        }
    }

    /// Asks one server, and once more over TCP where its datagram was cut.
    async fn ask_one(
        &self,
        question: &Question,
        server: SocketAddr,
        deadline: &mut Deadline<'_>,
        seen: &mut Observation,
    ) -> Result<Reply, Failure> {
        seen.address = Some(server);
        if self.transport == DnsTransport::Udp
            && let Some(reply) = udp::ask(question, server, deadline, seen).await?
        {
            return Ok(reply);
        }
        let began = clock::monotonic();
        let connected = connect_judged(server, deadline).await;
        let took = connected.as_ref().map_or_else(|_| since(began), |connected| connected.took);
        add(&mut seen.phases.connect, took);
        let shown = server.to_string();
        let asked = match connected {
            Ok(connected) => stream::ask(question, connected.wire, &shown, deadline, seen).await,
            Err(failure) => Err(failure),
        };
        match (asked, self.transport) {
            (Ok(mut reply), DnsTransport::Udp) => {
                reply.facts.truncated = true;
                Ok(reply)
            }
            (Err(failure), DnsTransport::Udp) => Err(after_truncation(failure)),
            (asked, _) => asked,
        }
    }
}

fn tls_client(context: &ProbeContext, spec: &MonitorSpec) -> Result<Option<TlsClient>, Failure> {
    let protocols = match spec.dns.transport {
        DnsTransport::Udp | DnsTransport::Tcp => return Ok(None),
        DnsTransport::Tls => tls::alpn::DNS_TLS,
        DnsTransport::Https => tls::alpn::HTTP_2,
        DnsTransport::Quic => tls::alpn::DNS_QUIC,
    };
    Ok(Some(context.0.tls.client(&spec.tls, spec.tls.verify, protocols)?))
}

/// Not met: what a transport needs is made with the probe.
fn not_set_up() -> Failure {
    Failure::unsupported(Reason::AgentFault, "the transport of this check is not set up")
}

fn after_truncation(failure: Failure) -> Failure {
    let message = format!("{} (over TCP, after a truncated answer over UDP)", failure.message);
    Failure { message, ..failure }
}
