//! A datagram socket of a check, which tells when each datagram came.
//!
//! For kinds that speak UDP or through a ping socket. A reply that lay in the
//! socket while the agent was busy is no later for it; see [`super::arrival`].

use super::arrival::{Arrival, Arrivals, ask_for_stamps};
use std::io;
use std::net::UdpSocket as StdSocket;
use tokio::io::Interest;
use tokio::net::UdpSocket;

/// A socket whose reads say when the datagram came.
#[derive(Debug)]
pub struct DatagramSocket {
    socket: UdpSocket,
    arrivals: Arrivals,
}

impl DatagramSocket {
    /// Takes over a socket (UDP, or a ping socket made with `socket2`), before
    /// anything was sent through it. Must be called within the runtime.
    pub fn new(socket: StdSocket) -> io::Result<Self> {
        ask_for_stamps(&socket);
        socket.set_nonblocking(true)?;
        Ok(Self { socket: UdpSocket::from_std(socket)?, arrivals: Arrivals::new() })
    }

    /// The socket itself: to connect, to send, to set options. Do not receive on it.
    pub fn socket(&self) -> &UdpSocket {
        &self.socket
    }

    /// Waits for a datagram; what does not fit into `buffer` is cut off. Loses
    /// nothing when it is dropped while waiting.
    pub async fn receive(&mut self, buffer: &mut [u8]) -> io::Result<Arrival> {
        let (socket, arrivals) = (&self.socket, &self.arrivals);
        // What ICMP says about a datagram of ours comes as an error, and wakes nobody
        // who waits for datagrams alone.
        let wanted = Interest::READABLE | Interest::ERROR;
        socket.async_io(wanted, || arrivals.receive(socket, buffer)).await
    }
}
