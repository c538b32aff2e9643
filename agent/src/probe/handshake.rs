//! How long a peer took to accept a connection, as the kernel measured it.

use nix::sys::socket::{GetSockOpt, sockopt::GetStruct};
use std::os::fd::AsFd;
use std::time::Duration;

/// The beginning of the kernel's `struct tcp_info` (linux/tcp.h), which only
/// ever grows at its end.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
struct TcpInfo {
    state_and_options: [u8; 8],
    timers_and_counts: [u32; 15],
    /// Smoothed round trip, microseconds.
    rtt: u32,
    windows: [u32; 7],
    total_retrans: u32,
}

/// `TCP_INFO`, as far as it is used here.
#[derive(Debug, Clone, Copy)]
struct TcpInfoOption;

nix::getsockopt_impl!(
    TcpInfoOption,
    libc::IPPROTO_TCP,
    libc::TCP_INFO,
    TcpInfo,
    GetStruct<TcpInfo>
);

/// SYN to SYN-ACK of a connection on which nothing was sent yet. `None` where
/// the kernel does not tell, and when the SYN had to be sent again: then the
/// round trip of neither one is the time the connection took.
pub(super) fn round_trip(socket: &impl AsFd) -> Option<Duration> {
    let info = TcpInfoOption.get(socket).ok()?;
    let measured = info.rtt > 0 && info.total_retrans == 0;
    measured.then(|| Duration::from_micros(info.rtt.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream, UdpSocket};

    #[test]
    fn a_connection_on_this_host_takes_some_microseconds() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let stream = TcpStream::connect(listener.local_addr().expect("bound")).expect("connected");
        let took = round_trip(&stream).expect("measured");
        assert!(took > Duration::ZERO && took < Duration::from_secs(1), "{took:?}");
        let datagrams = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        assert_eq!(round_trip(&datagrams), None);
    }
}
