//! When bytes came, told by the kernel rather than by when we looked.
//!
//! An agent with much to do reads late. What lay in the socket meanwhile had
//! come in time, and the target must not be charged for the wait. So the kernel
//! stamps each packet as it comes in (`SO_TIMESTAMPING`, see the kernel's
//! Documentation/networking/timestamping.rst) and hands the stamp out with the
//! bytes.
//!
//! Stamps are in the wall clock's time, which may be set at any moment. Both
//! clocks are therefore read when a socket is taken over and again with each
//! stamp; one that does not fit is not believed, and the time of reading stands.
//! So does it where a kernel gives no stamps.
//!
//! Two packets that lay unread together may be merged by the kernel; then the
//! stamp is the later one's. That shifts time from a transfer to the phase
//! before it, by less than the wait was long.

use crate::clock;
use nix::sys::socket::sockopt::Timestamping;
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, SetSockOpt, SockaddrStorage, TimestampingFlag, Timestamps,
    cmsg_space, recvmsg,
};
use std::io::{self, IoSliceMut};
use std::net::{SocketAddr, SocketAddrV4, SocketAddrV6, UdpSocket};
use std::os::fd::{AsFd, AsRawFd};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// How far two readings of both clocks may disagree before the wall clock is
/// taken to have been set in between. Slewing moves both alike.
const STEP: Duration = Duration::from_millis(1);

/// Asks the kernel to stamp what comes in on `socket`; ask before it is
/// connected. Where the kernel refuses, there are no stamps.
pub fn ask_for_stamps(socket: &impl AsFd) {
    /// Stamping is switched on for the host by its first user and off after its
    /// last, which patches the kernel's code. One socket that stays keeps that
    /// from happening with every check.
    static KEEPER: OnceLock<Option<UdpSocket>> = OnceLock::new();
    KEEPER.get_or_init(|| {
        let keeper = UdpSocket::bind(("127.0.0.1", 0)).ok()?;
        Timestamping.set(&keeper, &wanted()).ok().map(|()| keeper)
    });
    let _without = Timestamping.set(socket, &wanted());
}

fn wanted() -> TimestampingFlag {
    TimestampingFlag::SOF_TIMESTAMPING_RX_SOFTWARE | TimestampingFlag::SOF_TIMESTAMPING_SOFTWARE
}

/// Both clocks at one moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reading {
    monotonic: Instant,
    wall: Duration,
}

impl Reading {
    fn now() -> Self {
        Self { monotonic: clock::monotonic(), wall: clock::wall() }
    }

    pub(super) fn new((monotonic, wall): (Instant, Duration)) -> Self {
        Self { monotonic, wall }
    }

    /// Whether the wall clock was set since `earlier`.
    pub(super) fn was_set_since(&self, earlier: &Self) -> bool {
        let elapsed = self.monotonic.saturating_duration_since(earlier.monotonic);
        let by_wall = self.wall.checked_sub(earlier.wall);
        by_wall.is_none_or(|by_wall| by_wall.abs_diff(elapsed) > STEP)
    }

    /// When it was `stamp` (since the Unix epoch) on the monotonic clock, before
    /// or after this reading.
    pub(super) fn carry_over(&self, stamp: Duration) -> Option<Instant> {
        match self.wall.checked_sub(stamp) {
            Some(before) => self.monotonic.checked_sub(before),
            None => self.monotonic.checked_add(stamp - self.wall),
        }
    }

    /// When what was stamped `stamp` came, if that lies between `earlier` and this
    /// reading and the wall clock was not set in between.
    fn place(&self, stamp: Duration, earlier: &Self) -> Option<Instant> {
        let at =
            self.carry_over(stamp).filter(|at| (earlier.monotonic..=self.monotonic).contains(at));
        if self.was_set_since(earlier) { None } else { at }
    }
}

/// What one read brought.
#[derive(Debug, Clone, Copy)]
pub struct Arrival {
    pub bytes: usize,
    /// The sender, on a socket that is not connected.
    pub from: Option<SocketAddr>,
    /// When the bytes came; at the latest when they were read.
    pub at: Instant,
    /// When they were read.
    pub read: Instant,
}

/// Room for one stamp beside the bytes, aligned like the header it begins with.
#[derive(Debug)]
#[repr(align(8))]
struct Control([u8; cmsg_space::<Timestamps>()]);

/// Reads from one socket, with the kernel's stamps.
#[derive(Debug)]
pub struct Arrivals {
    opened: Reading,
}

impl Arrivals {
    /// For a socket just opened, of which [`ask_for_stamps`] was asked. What was
    /// stamped before now is not believed.
    pub fn new() -> Self {
        Self { opened: Reading::now() }
    }

    /// One `recvmsg(2)`.
    pub fn receive(&self, socket: &impl AsRawFd, buffer: &mut [u8]) -> io::Result<Arrival> {
        let mut slices = [IoSliceMut::new(buffer)];
        let mut control = Control([0; _]);
        let message = recvmsg::<SockaddrStorage>(
            socket.as_raw_fd(),
            &mut slices,
            Some(&mut control.0[..]),
            MsgFlags::empty(),
        )?;
        let now = Reading::now();
        let stamp =
            message.cmsgs().ok().and_then(|messages| messages.into_iter().find_map(software));
        let at = stamp.and_then(|stamp| now.place(stamp, &self.opened)).unwrap_or(now.monotonic);
        let from = message.address.as_ref().and_then(socket_address);
        Ok(Arrival { bytes: message.bytes, from, at, read: now.monotonic })
    }
}

impl Default for Arrivals {
    fn default() -> Self {
        Self::new()
    }
}

fn software(message: ControlMessageOwned) -> Option<Duration> {
    let ControlMessageOwned::ScmTimestampsns(stamps) = message else { return None };
    let seconds = u64::try_from(stamps.system.tv_sec()).ok().filter(|seconds| *seconds > 0)?;
    Some(Duration::new(seconds, u32::try_from(stamps.system.tv_nsec()).ok()?))
}

fn socket_address(address: &SockaddrStorage) -> Option<SocketAddr> {
    if let Some(v4) = address.as_sockaddr_in() {
        return Some(SocketAddrV4::from(*v4).into());
    }
    address.as_sockaddr_in6().map(|v6| SocketAddrV6::from(*v6).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const EPOCH: Duration = Duration::from_secs(1_700_000_000);
    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_stamp_is_placed_on_the_monotonic_clock() {
        let opened = Reading { monotonic: clock::monotonic(), wall: EPOCH };
        let now = Reading { monotonic: opened.monotonic + MS * 30, wall: EPOCH + MS * 30 };
        let place = |stamp| now.place(stamp, &opened).map(|at| at - opened.monotonic);
        assert_eq!(place(EPOCH + MS * 10), Some(MS * 10));
        assert_eq!(place(EPOCH), Some(Duration::ZERO));
        assert_eq!(place(EPOCH + MS * 31), None, "in the future");
        assert_eq!(place(EPOCH - MS), None, "before the socket was opened");
        assert_eq!(place(Duration::ZERO), None);
    }

    #[test]
    fn a_wall_clock_that_was_set_is_not_believed() {
        let opened = Reading { monotonic: clock::monotonic(), wall: EPOCH };
        let later = opened.monotonic + MS * 30;
        for wall in [EPOCH + MS * 28, EPOCH + MS * 32, EPOCH - MS * 3_600, EPOCH * 2] {
            let now = Reading { monotonic: later, wall };
            for back in [1, 10, 29] {
                assert_eq!(now.place(wall - MS * back, &opened), None, "{wall:?} {back}");
            }
        }
    }
}
