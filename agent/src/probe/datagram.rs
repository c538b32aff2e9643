//! A datagram socket of a check, which tells when each datagram came.
//!
//! For kinds that speak UDP or through a ping socket. A reply that lay in the
//! socket while the agent was busy is no later for it; see [`super::arrival`].

use super::arrival::{Arrival, Arrivals, ask_for_stamps};
use std::io;
use std::net::UdpSocket as StdSocket;
use std::task::{Context, Poll, ready};
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
        std::future::poll_fn(|cx| self.poll_receive(cx, buffer)).await
    }

    /// See [`Self::receive`].
    pub fn poll_receive(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<Arrival>> {
        loop {
            ready!(self.socket.poll_recv_ready(cx))?;
            let (socket, arrivals) = (&self.socket, &mut self.arrivals);
            match socket.try_io(Interest::READABLE, || arrivals.receive(socket, buffer)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                received => return Poll::Ready(received),
            }
        }
    }
}
