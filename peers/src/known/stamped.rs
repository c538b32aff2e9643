//! Reads that say when the kernel took the bytes in, by the wall clock.

use nix::cmsg_space;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg};
use nix::sys::socket::{setsockopt, sockopt};
use nix::sys::time::TimeSpec;
use std::io::{self, IoSliceMut};
use std::net::{SocketAddr, SocketAddrV4};
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

/// What one read brought.
#[derive(Debug, Clone, Copy)]
pub(super) struct Heard {
    pub(super) bytes: usize,
    /// Since the Unix epoch.
    pub(super) at: Duration,
    /// The sender, on a socket that is not connected.
    pub(super) from: Option<SocketAddr>,
}

/// Asks for stamps, before anything comes.
pub(super) fn ask(socket: &impl AsFd) -> nix::Result<()> {
    setsockopt(socket, sockopt::ReceiveTimestampns, &true)
}

/// One `recvmsg(2)`. Bytes without a stamp would have no truth, and are an error.
pub(super) fn receive(socket: &impl AsRawFd, buffer: &mut [u8]) -> io::Result<Heard> {
    let mut beside = cmsg_space!(TimeSpec);
    let mut room = [IoSliceMut::new(buffer)];
    let got = recvmsg::<SockaddrStorage>(
        socket.as_raw_fd(),
        &mut room,
        Some(&mut beside),
        MsgFlags::empty(),
    )?;
    if got.bytes == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let stamp = got.cmsgs()?.find_map(|message| match message {
        ControlMessageOwned::ScmTimestampns(at) => Some(Duration::from(at)),
        _ => None,
    });
    let at = stamp.ok_or_else(|| io::Error::other("bytes without a stamp"))?;
    let from = got.address.as_ref().and_then(|from| from.as_sockaddr_in());
    let from = from.map(|v4| SocketAddrV4::new(v4.ip(), v4.port()).into());
    Ok(Heard { bytes: got.bytes, at, from })
}
