//! `kind: icmp`: echo requests to one address, how many were answered, and how fast.
//!
//! The address is the first, IPv6 before IPv4, that this host has a route to.
//! Requests leave `spacing` apart, whatever comes back; the check ends with the
//! last answer, or at its timeout where one is missing. An error message is an
//! answer too, though not a reply.
//!
//! In the phases `processing` is the mean round trip, so that what `latency`
//! judges is the lookup and one round trip, as for an ordinary client.
//!
//! From the bytes up: `packet.rs` and `fault.rs` read and write messages,
//! `socket.rs` opens sockets, `stamps.rs` reads the kernel's stamps, `shared.rs` is the socket that all checks share,
//! `round.rs` the requests of one check.

mod fault;
mod packet;
mod round;
mod shared;
mod socket;
mod stamps;

use super::deadline::{Deadline, Phase};
use super::dial::{add, since};
use super::failure::Failure;
use super::route::Route;
use super::{CheckId, Ended, Probe, ProbeContext};
use crate::clock;
use hyperverge_agent_core::judge::{Answer, Judge};
use hyperverge_protocol::duration::Span;
use hyperverge_protocol::egress::{AddressRule, Destination, parse_endpoint};
use hyperverge_protocol::monitor::{IcmpOptions, MonitorSpec};
use hyperverge_protocol::outcome::{Observation, Outcome, Reason};
use packet::Version;
use round::{Round, Summary};
pub(super) use shared::Sockets;
use socket::Flavour;
use std::borrow::Cow;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use tokio::time::Instant;

/// A monitor of this kind, ready to be checked.
#[derive(Debug)]
pub struct IcmpProbe {
    destination: Destination,
    route: Route,
    options: IcmpOptions,
    judge: Judge,
    timeout: Span,
}

impl Probe for IcmpProbe {
    fn prepare(context: &ProbeContext, spec: &MonitorSpec) -> Result<Self, Failure> {
        let refuse = |rule: String| Failure::unsupported(Reason::UnsupportedSpec, rule);
        let endpoint =
            parse_endpoint(&spec.target).map_err(|rule| refuse(format!("target {rule}")))?;
        let policy = |rule: AddressRule| Failure::policy(Reason::PolicyAddress, rule.to_string());
        Ok(Self {
            destination: context.0.egress.judge_url_host(&endpoint.url).map_err(policy)?,
            route: Route::new(&spec.network),
            options: spec.icmp.clone(),
            judge: Judge::new(spec).map_err(|problem| refuse(problem.to_string()))?,
            timeout: spec.timeout(),
        })
    }

    async fn run(&self, context: &ProbeContext, _check: &CheckId<'_>) -> Ended {
        let started = clock::monotonic();
        let end = started + self.timeout.0;
        let timer = pin!(tokio::time::sleep_until(Instant::from_std(end)));
        let mut deadline = Deadline::new(end, self.timeout, timer);
        let mut seen = Observation::bare(Outcome::Ok, None, "");
        let judged = match self.ping(context, &mut deadline, &mut seen).await {
            Ok(()) => self
                .judge
                .judge(&seen, &Answer::default(), context.0.time.unix_s())
                .map_err(Failure::from),
            Err(failure) => Err(failure),
        };
        let took = since(started);
        let judged = judged.map_err(|failure| failure.unless_stalled(took, self.timeout));
        Ended { seen, judged }
    }
}

impl IcmpProbe {
    /// Sends everything, waits for the answers, and writes down what came of it.
    async fn ping(
        &self,
        context: &ProbeContext,
        deadline: &mut Deadline<'_>,
        seen: &mut Observation,
    ) -> Result<(), Failure> {
        let addresses = self.addresses(context, deadline, seen).await?;
        let mut round = self.first(context, &addresses, deadline.end(), seen)?;
        let all_sent = self.others(&mut round, deadline).await?;
        if deadline.within(Phase::Processing, round.complete()).await.is_err() {
            round.look();
        }
        let summary = round.summary();
        add(&mut seen.phases.processing, summary.mean);
        let judged = if all_sent { self.loss(&round, &summary) } else { Err(self.unsent(seen)) };
        seen.details_mut().icmp = Some(summary.facts);
        judged
    }

    /// The addresses that may be tried, each of them judged, in the order of trying.
    async fn addresses(
        &self,
        context: &ProbeContext,
        deadline: &mut Deadline<'_>,
        seen: &mut Observation,
    ) -> Result<Cow<'_, [IpAddr]>, Failure> {
        let found = self.route.addresses(context, &self.destination, deadline, seen).await?;
        // As a literal, which most targets are, is anyway.
        if let [IpAddr::V4(_)] = *found {
            return Ok(found);
        }
        let mut addresses: Vec<IpAddr> = found.iter().map(IpAddr::to_canonical).collect();
        addresses.sort_by_key(IpAddr::is_ipv4);
        Ok(addresses.into())
    }

    /// Sends the first request to the first address that this host can send to.
    fn first(
        &self,
        context: &ProbeContext,
        addresses: &[IpAddr],
        end: std::time::Instant,
        seen: &mut Observation,
    ) -> Result<Round, Failure> {
        let mut refused = None;
        for to in addresses {
            seen.address = Some(SocketAddr::new(*to, 0));
            match self.begin(context, *to, end) {
                Ok(round) => return Ok(round),
                Err(failure) if failure.reason == Reason::UnsupportedFamily => {
                    refused.get_or_insert(failure);
                }
                Err(failure) => return Err(failure),
            }
        }
        let none = || Failure::target(Reason::DnsNoAddress, "the target has no address");
        Err(refused.unwrap_or_else(none))
    }

    fn begin(
        &self,
        context: &ProbeContext,
        to: IpAddr,
        end: std::time::Instant,
    ) -> Result<Round, Failure> {
        let flavour = Flavour {
            version: Version::of(to),
            ttl: self.options.ttl,
            dont_fragment: self.options.dont_fragment,
        };
        let socket = context.0.pings.get(flavour).map_err(|error| no_socket(&error))?;
        let mut round = Round::new(socket, to, self.options.packets, self.options.size, end);
        round.send().map_err(|error| not_sent(to, &error))?;
        Ok(round)
    }

    /// Sends the rest, `spacing` apart; `false` if time ran out before that was done.
    async fn others(
        &self,
        round: &mut Round,
        deadline: &mut Deadline<'_>,
    ) -> Result<bool, Failure> {
        let first = clock::monotonic();
        for number in 1..u32::from(self.options.packets) {
            let due = Instant::from_std(first + self.options.spacing.0 * number);
            if deadline.within(Phase::Processing, tokio::time::sleep_until(due)).await.is_err() {
                return Ok(false);
            }
            round.send().map_err(|error| not_sent(round.to, &error))?;
        }
        Ok(true)
    }

    /// Whether anything came back, and whether what is missing can be the target's doing.
    fn loss(&self, round: &Round, summary: &Summary) -> Result<(), Failure> {
        let facts = &summary.facts;
        if facts.received < facts.sent && round.overflowed() {
            let message = "the agent's host had no room for all replies";
            return Err(Failure::unsupported(Reason::AgentFault, message));
        }
        if facts.received < facts.sent && round.is_broken() {
            let message = "the agent's host stopped handing over replies";
            return Err(Failure::unsupported(Reason::AgentFault, message));
        }
        if facts.received > 0 {
            return Ok(());
        }
        let to = round.to;
        if let Some((fault, by)) = summary.fault {
            let by = by.map_or_else(|| "a router".to_owned(), |by| by.to_string());
            let message = format!("{to} was not reached: {by} says that {fault}");
            return Err(Failure::target(Reason::IcmpUnreachable, message));
        }
        let message = match facts.sent {
            1 => format!("{to} did not answer an echo request within {}", self.timeout),
            sent => format!("{to} answered none of {sent} echo requests within {}", self.timeout),
        };
        Err(Failure::target(Reason::IcmpNoReply, message))
    }

    /// The time ran out before all requests were sent. By the rules of the
    /// specification there is enough of it, unless the lookup took it.
    fn unsent(&self, seen: &Observation) -> Failure {
        let needed = self.options.spacing.0 * u32::from(self.options.packets);
        let looking_up = seen.phases.resolve.unwrap_or_default();
        if looking_up + needed > self.timeout.0 {
            let message = format!(
                "resolving the name took {} ms, which left too little of {} for all echo requests",
                looking_up.as_millis(),
                self.timeout
            );
            return Failure::target(Reason::TimeoutResolve, message).before_target();
        }
        let message = "the agent's host was too busy to send all echo requests in time";
        Failure::unsupported(Reason::AgentFault, message)
    }
}

/// By what right this process may ping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    /// Its group is within `net.ipv4.ping_group_range`.
    PingSockets,
    /// It has CAP_NET_RAW.
    RawSockets,
}

/// Whether this host lets the agent ping, over IPv4 or IPv6; the failure is the
/// one that every check of this kind would end with.
pub fn right_to_ping() -> Result<Right, Failure> {
    let open = |version| {
        let flavour = Flavour { version, ttl: None, dont_fragment: false };
        socket::open(flavour, 0)
            .map(|(_, raw)| if raw { Right::RawSockets } else { Right::PingSockets })
    };
    open(Version::V4)
        .or_else(|error| open(Version::V6).map_err(|_| error))
        .map_err(|error| no_socket(&error))
}

fn no_socket(error: &io::Error) -> Failure {
    if error.kind() == ErrorKind::PermissionDenied {
        let message = "the agent may not ping: its group is not within net.ipv4.ping_group_range, and it has no CAP_NET_RAW";
        return Failure::unsupported(Reason::UnsupportedPermission, message);
    }
    Failure::of_this_host(error).unwrap_or_else(|| {
        let message = format!("the agent's host opens no socket for pings: {error}");
        Failure::unsupported(Reason::AgentFault, message)
    })
}

/// A request that this host did not send says nothing about the target.
fn not_sent(to: IpAddr, error: &io::Error) -> Failure {
    let unsupported =
        |reason, what: &str| Failure::unsupported(reason, format!("the agent's host {what} {to}"));
    match error.kind() {
        ErrorKind::NetworkUnreachable | ErrorKind::HostUnreachable => {
            unsupported(Reason::UnsupportedFamily, "has no route to")
        }
        // Without an address of the family there is no source to send from.
        ErrorKind::AddrNotAvailable => {
            unsupported(Reason::UnsupportedFamily, "has no address to reach")
        }
        ErrorKind::WouldBlock => unsupported(Reason::AgentFault, "is too busy to send to"),
        _ if error.raw_os_error() == Some(libc::EMSGSIZE) => {
            unsupported(Reason::UnsupportedSpec, "cannot send packets of this size to")
        }
        _ => Failure::of_this_host(error)
            .unwrap_or_else(|| unsupported(Reason::AgentFault, "could not send to")),
    }
}
