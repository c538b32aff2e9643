//! Judged addresses to one established connection.
//!
//! Addresses are tried one after another, IPv6 first, each with its share of
//! the time that is left. That is happy eyeballs without the race: a race would
//! make the connect phase depend on which attempt won, and a check should say
//! what an ordinary client of the first working address sees.

use super::arrival::ask_for_stamps;
use super::deadline::{Deadline, Phase};
use super::failure::Failure;
use super::wire::Wire;
use super::{handshake, limits};
use crate::clock;
use hyperverge_protocol::egress::EgressPolicy;
use hyperverge_protocol::outcome::{Outcome, Reason};
use rustix::io::Errno;
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};
use tokio::net::{TcpSocket, TcpStream};

/// The first port that the kernel gives to a socket of itself.
const UNPRIVILEGED_PORTS: u16 = 1_024;

/// An established connection.
#[derive(Debug)]
pub struct Connected {
    pub wire: Wire,
    pub address: SocketAddr,
    /// What the addresses tried before took, and SYN to SYN-ACK of this one.
    pub took: Duration,
}

/// A failed connect, with the address that was tried last.
#[derive(Debug)]
pub struct ConnectFailure {
    pub failure: Failure,
    pub address: Option<SocketAddr>,
}

/// Judges every address, then connects to the first that answers.
pub async fn connect(
    egress: &EgressPolicy,
    addresses: &[IpAddr],
    port: u16,
    deadline: &mut Deadline<'_>,
) -> Result<Connected, ConnectFailure> {
    if let Err(rule) = egress.judge_all(addresses) {
        let failure = Failure::policy(Reason::PolicyAddress, rule.to_string());
        return Err(ConnectFailure { failure, address: None });
    }
    let began = clock::monotonic();
    let mut left = addresses.len().min(limits::CONNECT_ADDRESSES);
    let mut worst: Option<ConnectFailure> = None;
    for address in interleave(addresses).take(limits::CONNECT_ADDRESSES) {
        let address = SocketAddr::new(*address, port);
        match attempt(address, left, deadline).await {
            Ok(dialled) => return dialled.judge_peer(egress, began),
            Err(failure) => {
                worst = Some(weigh(worst, ConnectFailure { failure, address: Some(address) }))
            }
        }
        left -= 1;
    }
    Err(worst.unwrap_or_else(|| ConnectFailure {
        failure: Failure::target(Reason::DnsNoAddress, "the name has no address"),
        address: None,
    }))
}

/// Connects to one address that may be connected to.
pub(super) async fn connect_judged(
    address: SocketAddr,
    deadline: &mut Deadline<'_>,
) -> Result<Connected, Failure> {
    let Dialled { stream, address, took, .. } = attempt(address, 1, deadline).await?;
    Ok(Connected { wire: Wire::new(stream), address, took })
}

/// One of each family in turn, IPv6 first, so that a name with many unreachable
/// IPv6 addresses still has an IPv4 one among those tried.
pub(super) fn interleave(addresses: &[IpAddr]) -> impl Iterator<Item = &IpAddr> {
    let mut v6 = addresses.iter().filter(|address| address.is_ipv6());
    let mut v4 = addresses.iter().filter(|address| address.is_ipv4());
    let mut turn = false;
    std::iter::from_fn(move || {
        turn = !turn;
        if turn { v6.next().or_else(|| v4.next()) } else { v4.next().or_else(|| v6.next()) }
    })
}

/// A connection whose peer was not judged yet.
struct Dialled {
    stream: TcpStream,
    /// Whom it was to reach.
    address: SocketAddr,
    began: Instant,
    /// SYN to SYN-ACK.
    took: Duration,
}

async fn attempt(
    address: SocketAddr,
    attempts_left: usize,
    deadline: &mut Deadline<'_>,
) -> Result<Dialled, Failure> {
    let ours = |error: io::Error| judge_error(address, &error);
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    };
    let socket = socket.map_err(ours)?;
    ask_for_stamps(&socket);
    let began = clock::monotonic();
    let dial = socket.connect(address);
    let dialled = if attempts_left > 1 {
        let share = deadline.remaining(began) / u32::try_from(attempts_left).unwrap_or(1);
        let shared = tokio::time::timeout(share, dial);
        match deadline.within(Phase::Connect, shared).await? {
            Ok(dialled) => dialled,
            Err(_) => return Err(deadline.struck(Phase::Connect)),
        }
    } else {
        deadline.within(Phase::Connect, dial).await?
    };
    let noticed = clock::monotonic().saturating_duration_since(began);
    let stream = dialled.map_err(ours)?;
    if reached_itself(&stream, address) {
        return Err(ours(Errno::CONNREFUSED.into()));
    }
    let took = handshake::round_trip(&stream).map_or(noticed, |took| took.min(noticed));
    Ok(Dialled { stream, address, began, took })
}

/// Whether `stream` is connected to itself. For an address of this host the kernel
/// may choose the very port that is dialled as the one to dial from, and a socket
/// that meets its own SYN is connected (simultaneous open, RFC 9293, section 3.5).
/// It never chooses a port that somebody listens on, so this is a closed one.
///
/// Only a port of the range it chooses from can be met, and that range lies above
/// the privileged ports: so checks of the usual ports do not pay for the question,
/// while no address of this host has to be known.
fn reached_itself(stream: &TcpStream, dialled: SocketAddr) -> bool {
    dialled.port() >= UNPRIVILEGED_PORTS
        && stream.local_addr().is_ok_and(|local| {
            let same = |peer: SocketAddr| (peer.ip(), peer.port()) == (local.ip(), local.port());
            local.port() == dialled.port() && stream.peer_addr().is_ok_and(same)
        })
}

impl Dialled {
    /// The connection must have ended at the address that was judged; only one that
    /// names no host (`0.0.0.0`, `::`) leads elsewhere. `began` is when the first
    /// of all addresses was dialled.
    fn judge_peer(
        self,
        egress: &EgressPolicy,
        began: Instant,
    ) -> Result<Connected, ConnectFailure> {
        let address = self.address;
        let wrong = |failure| ConnectFailure { failure, address: Some(address) };
        let peer = if address.ip().to_canonical().is_unspecified() {
            self.stream.peer_addr().map_err(|error| wrong(judge_error(address, &error)))?
        } else {
            address
        };
        if peer == address || egress.judge(peer.ip()).is_ok() {
            let took = self.began.saturating_duration_since(began) + self.took;
            return Ok(Connected { wire: Wire::new(self.stream), address: peer, took });
        }
        let message = format!("dialled {address}, but reached {peer}, which was not judged");
        Err(wrong(Failure::policy(Reason::PolicyAddress, message)))
    }
}

pub(super) fn judge_error(address: SocketAddr, error: &io::Error) -> Failure {
    let errno = Errno::from_io_error(error);
    // "Administratively prohibited" by a router, over IPv6, and this host's own
    // prohibition come as the same error; but what this host prohibits it does
    // not route either.
    let prohibited = errno == Some(Errno::ACCESS) && has_route(address);
    if !prohibited && let Some(failure) = Failure::of_this_host(error) {
        return failure;
    }
    let (reason, what) = match errno {
        _ if prohibited => (Reason::ConnectUnreachable, "may not be reached, says a router"),
        Some(Errno::CONNREFUSED) => (Reason::ConnectRefused, "refused the connection"),
        Some(Errno::CONNRESET) => (Reason::ConnectReset, "reset the connection"),
        Some(Errno::NETUNREACH | Errno::HOSTUNREACH) if !has_route(address) => {
            let message = format!("the agent's host has no route to {address}");
            return Failure::unsupported(Reason::UnsupportedFamily, message);
        }
        Some(Errno::NETUNREACH | Errno::HOSTUNREACH) => {
            (Reason::ConnectUnreachable, "could not be reached")
        }
        Some(Errno::TIMEDOUT) => (Reason::TimeoutConnect, "did not answer"),
        _ => (Reason::ConnectError, "could not be connected to"),
    };
    Failure::target(reason, format!("{address} {what}"))
}

/// Whether this host itself knows a way to `address`. Connecting a datagram
/// socket sends nothing; it only asks the routing table, and so tells our own
/// missing route from one that a router on the way reported.
pub(super) fn has_route(address: SocketAddr) -> bool {
    let local: SocketAddr =
        if address.is_ipv6() { ([0u16; 8], 0).into() } else { ([0u8; 4], 0).into() };
    UdpSocket::bind(local).and_then(|socket| socket.connect(address)).is_ok()
}

/// Of two failed attempts, the one that decides. Trouble of our own outweighs
/// the target's, since the address it hit was not tried at all; a family that
/// this host simply lacks weighs nothing while there is another one.
pub(super) fn weigh(before: Option<ConnectFailure>, now: ConnectFailure) -> ConnectFailure {
    let weight = |failed: &ConnectFailure| match (failed.failure.outcome, failed.failure.reason) {
        (_, Reason::UnsupportedFamily) => 0,
        (Outcome::Fail, Reason::ConnectUnreachable) => 1,
        (Outcome::Fail, _) => 2,
        _ => 3,
    };
    match before {
        Some(before) if weight(&before) > weight(&now) => before,
        _ => now,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_socket_that_met_itself_reached_nobody() {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind(([127, 0, 0, 1], 0).into()).expect("a free port");
        let own = socket.local_addr().expect("bound");
        let stream = socket.connect(own).await.expect("a simultaneous open");
        assert!(reached_itself(&stream, own));
        // Dialled by what stands for every address of this host.
        assert!(reached_itself(&stream, ([0, 0, 0, 0], own.port()).into()));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let open = listener.local_addr().expect("bound");
        // The same port on both sides, and yet another socket.
        let elsewhere = TcpSocket::new_v4().expect("a socket");
        elsewhere.bind(([127, 0, 0, 2], open.port()).into()).expect("a port free there");
        let stream = elsewhere.connect(open).await.expect("connected");
        assert!(!reached_itself(&stream, open));
        let stream = TcpStream::connect(open).await.expect("connected");
        assert!(!reached_itself(&stream, open));
    }

    #[test]
    fn a_routers_prohibition_is_told_from_this_hosts_own() {
        let routed: SocketAddr = ([127, 0, 0, 1], 80).into();
        // No socket is connected to all hosts unless it asks to be.
        let refused: SocketAddr = ([255, 255, 255, 255], 80).into();
        for (address, errno, outcome, reason) in [
            (routed, Errno::ACCESS, Outcome::Fail, Reason::ConnectUnreachable),
            (refused, Errno::ACCESS, Outcome::Unsupported, Reason::UnsupportedPermission),
            // A router cannot cause this one.
            (routed, Errno::PERM, Outcome::Unsupported, Reason::UnsupportedPermission),
        ] {
            let failure = judge_error(address, &errno.into());
            assert_eq!((failure.outcome, failure.reason), (outcome, reason), "{failure:?}");
        }
    }
}
