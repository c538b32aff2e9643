//! A socket that can ping, and datagrams with the kernel's word on when they came.
//!
//! Ping sockets (`SOCK_DGRAM`) need no capability where the group of the process
//! is within `net.ipv4.ping_group_range`, which also rules those of IPv6; raw
//! sockets need CAP_NET_RAW. They differ in what they deliver:
//!
//! | | ping socket | raw socket |
//! |---|---|---|
//! | identifier of requests | the kernel's | ours |
//! | replies | its own | everybody's, hence the filter |
//! | IPv4 header before them | no | yes |
//! | error messages | in the error queue | among the replies |
//! | an error also fails the next call | yes | no |

use super::packet::{HEADER_BYTES, REQUEST_BYTES, Version};
use crate::probe::limits::PING_BUFFER_BYTES;
use nix::cmsg_space;
use nix::errno::Errno;
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt,
};
use nix::sys::time::TimeSpec;
use rustix::net::sockopt::{Ipv4PathMtuDiscovery, Ipv6PathMtuDiscovery};
use socket2::{Domain, Protocol, SockFilter, Socket, Type};
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsRawFd, RawFd};
use std::time::Duration;

/// What distinguishes one shared socket from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Flavour {
    pub(super) version: Version,
    /// Time to live or hop limit; `None` is the host's.
    pub(super) ttl: Option<u8>,
    pub(super) dont_fragment: bool,
}

/// Opens a socket of `flavour`: a ping socket where the host lets it, else a raw
/// one, which then is `true`. `id` is the identifier of a raw one's requests.
pub(super) fn open(flavour: Flavour, id: u16) -> io::Result<(Socket, bool)> {
    let (domain, protocol) = match flavour.version {
        Version::V4 => (Domain::IPV4, Protocol::ICMPV4),
        Version::V6 => (Domain::IPV6, Protocol::ICMPV6),
    };
    let (socket, raw) = match Socket::new(domain, Type::DGRAM, Some(protocol)) {
        Ok(socket) => (socket, false),
        // The first error is the telling one: CAP_NET_RAW is what packages do not give.
        Err(refused) => match Socket::new(domain, Type::RAW, Some(protocol)) {
            Ok(socket) => (socket, true),
            Err(_) => return Err(refused),
        },
    };
    socket.set_nonblocking(true)?;
    set_up(&socket, flavour)?;
    if raw {
        socket.attach_filter(&filter(flavour.version, id))?;
    } else {
        match flavour.version {
            Version::V4 => setsockopt(&socket, sockopt::Ipv4RecvErr, &true)?,
            Version::V6 => setsockopt(&socket, sockopt::Ipv6RecvErr, &true)?,
        }
    }
    Ok((socket, raw))
}

fn set_up(socket: &Socket, flavour: Flavour) -> io::Result<()> {
    setsockopt(socket, sockopt::ReceiveTimestampns, &true)?;
    setsockopt(socket, sockopt::RxqOvfl, &1)?;
    // Past the host's limit only with a capability; without, as much as it gives.
    if setsockopt(socket, sockopt::RcvBufForce, &PING_BUFFER_BYTES).is_err() {
        socket.set_recv_buffer_size(PING_BUFFER_BYTES)?;
    }
    match flavour.version {
        Version::V4 => {
            if let Some(ttl) = flavour.ttl {
                socket.set_ttl_v4(ttl.into())?;
            }
            // PROBE: forbidden to routers, and not held to a path MTU that the kernel remembers.
            let discovery = if flavour.dont_fragment {
                Ipv4PathMtuDiscovery::PROBE
            } else {
                Ipv4PathMtuDiscovery::DONT
            };
            rustix::net::sockopt::set_ip_mtu_discover(socket, discovery)?;
        }
        Version::V6 => {
            if let Some(ttl) = flavour.ttl {
                socket.set_unicast_hops_v6(ttl.into())?;
            }
            // Routers never fragment IPv6; the question is whether this host may.
            if flavour.dont_fragment {
                let probe = Ipv6PathMtuDiscovery::PROBE;
                rustix::net::sockopt::set_ipv6_mtu_discover(socket, probe)?;
                setsockopt(socket, sockopt::Ipv6DontFrag, &true)?;
            }
        }
    }
    Ok(())
}

/// Lets through replies with our identifier, and error messages. Without it a
/// raw socket takes every ICMP message of the host, and another pinger on it
/// would cost us as much as itself.
fn filter(version: Version, id: u16) -> Vec<SockFilter> {
    // Classic BPF, see linux/bpf_common.h; the packet begins at the IPv4 or the ICMPv6 header.
    const LOAD_HEADER_LENGTH: u16 = 0xb1;
    const EQUAL: u16 = 0x15;
    const RETURN: u16 = 0x06;
    let (load_byte, load_half, errors): (u16, u16, &[u8]) = match version {
        Version::V4 => (0x50, 0x48, &[3, 11, 12]),
        Version::V6 => (0x30, 0x28, &[1, 2, 3, 4]),
    };
    let op = |code, k: u32| SockFilter::new(code, 0, 0, k);
    let mut program = Vec::new();
    if version == Version::V4 {
        program.push(op(LOAD_HEADER_LENGTH, 0));
    }
    program.push(op(load_byte, 0));
    let count = u8::try_from(errors.len()).unwrap_or(u8::MAX);
    for (place, kind) in (0..count).zip(errors) {
        // Over the other kinds and the three steps about replies, to the end that takes it.
        program.push(SockFilter::new(EQUAL, count - place + 2, 0, (*kind).into()));
    }
    program.push(SockFilter::new(EQUAL, 0, 3, version.echo().1.into()));
    program.push(op(load_half, 4));
    program.push(SockFilter::new(EQUAL, 0, 1, id.into()));
    program.push(op(RETURN, u32::MAX));
    program.push(op(RETURN, 0));
    program
}

/// Room for one datagram and what the kernel says beside it.
#[derive(Debug)]
pub(super) struct Inbox {
    bytes: Vec<u8>,
    beside: Vec<u8>,
}

/// One datagram.
#[derive(Debug)]
pub(super) struct Datagram<'a> {
    pub(super) bytes: &'a [u8],
    /// The sender, or for what comes from the error queue the destination.
    pub(super) address: Option<IpAddr>,
    /// When the kernel took it in, since the Unix epoch of the wall clock.
    pub(super) stamp: Option<Duration>,
    /// How many datagrams the socket has had no room for so far.
    pub(super) dropped: Option<u32>,
    /// From the error queue: type, code, and who said it.
    pub(super) error: Option<(u8, u8, Option<IpAddr>)>,
}

impl Inbox {
    pub(super) fn new() -> Self {
        // An IPv4 header with options, and then some.
        let bytes = vec![0; REQUEST_BYTES + HEADER_BYTES + 60 + 512];
        let beside = cmsg_space!(TimeSpec, u32, [libc::sock_extended_err; 2], libc::sockaddr_in6);
        Self { bytes, beside }
    }

    /// Takes the next datagram, if there is one, or the next error with `errors`.
    pub(super) fn receive(&mut self, socket: &Socket, errors: bool) -> Result<Datagram<'_>, Errno> {
        let fd: RawFd = socket.as_raw_fd();
        let mut flags = MsgFlags::MSG_DONTWAIT;
        flags.set(MsgFlags::MSG_ERRQUEUE, errors);
        let mut room = [IoSliceMut::new(&mut self.bytes)];
        let got = recvmsg::<SockaddrStorage>(fd, &mut room, Some(&mut self.beside), flags)?;
        let (mut stamp, mut dropped, mut error) = (None, None, None);
        for message in got.cmsgs().into_iter().flatten() {
            match message {
                ControlMessageOwned::ScmTimestampns(at) => stamp = Some(Duration::from(at)),
                ControlMessageOwned::RxqOvfl(count) => dropped = Some(count),
                ControlMessageOwned::Ipv4RecvErr(said, by) => {
                    let by = by.map(|by| Ipv4Addr::from(u32::from_be(by.sin_addr.s_addr)).into());
                    error = on_the_way(&said).then_some((said.ee_type, said.ee_code, by));
                }
                ControlMessageOwned::Ipv6RecvErr(said, by) => {
                    let by = by.map(|by| Ipv6Addr::from(by.sin6_addr.s6_addr).into());
                    error = on_the_way(&said).then_some((said.ee_type, said.ee_code, by));
                }
                _ => {}
            }
        }
        let address = got.address.as_ref().and_then(ip);
        let length = got.bytes;
        Ok(Datagram { bytes: &self.bytes[..length], address, stamp, dropped, error })
    }
}

/// Whether an error came as an ICMP message, rather than from this host.
fn on_the_way(said: &libc::sock_extended_err) -> bool {
    matches!(said.ee_origin, libc::SO_EE_ORIGIN_ICMP | libc::SO_EE_ORIGIN_ICMP6)
}

fn ip(address: &SockaddrStorage) -> Option<IpAddr> {
    let v4 = address.as_sockaddr_in().map(|v4| v4.ip().into());
    v4.or_else(|| address.as_sockaddr_in6().map(|v6| v6.ip().into()))
}
