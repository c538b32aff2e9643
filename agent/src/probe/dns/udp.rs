//! One question in one datagram.
//!
//! The socket is connected: the kernel drops what others send, and tells when
//! the server's host says that nobody listens. Its port is the kernel's random
//! choice and the id is ours, so nobody off the path can guess an answer.
//! Nothing is sent twice: a check says what one question met.

use super::answer::Reply;
use super::message::Mismatch;
use super::query::Question;
use crate::clock;
use crate::probe::arrival::Arrival;
use crate::probe::connect::judge_error;
use crate::probe::datagram::DatagramSocket;
use crate::probe::deadline::{Deadline, Phase};
use crate::probe::dial::add;
use crate::probe::failure::Failure;
use crate::probe::limits;
use hyperverge_protocol::outcome::{Observation, Reason};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

/// Asks `server`; `None` where its answer was cut to fit into a datagram.
pub(super) async fn ask(
    question: &Question,
    server: SocketAddr,
    deadline: &mut Deadline<'_>,
    seen: &mut Observation,
) -> Result<Option<Reply>, Failure> {
    let mut socket = open(server).await?;
    let sent = question.with_random_id();
    let began = clock::monotonic();
    socket.socket().send(&sent).await.map_err(|error| judge(server, &error))?;
    let mut strays = Strays::default();
    let receiving = receive(&mut socket, server, &sent, question, &mut strays);
    let received = deadline.within(Phase::Processing, receiving).await;
    let ended = match &received {
        Ok(Ok((_, arrival))) => arrival.at.max(began),
        _ => clock::monotonic(),
    };
    add(&mut seen.phases.processing, ended.saturating_duration_since(began));
    let (reply, arrival) = received.unwrap_or_else(|_| Err(strays.silence(server)))?;
    seen.body_bytes = arrival.bytes as u64;
    Ok(reply)
}

async fn open(server: SocketAddr) -> Result<DatagramSocket, Failure> {
    let any: IpAddr = match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let opened = UdpSocket::bind((any, 0)).and_then(DatagramSocket::new);
    let socket = opened.map_err(|error| {
        Failure::of_this_host(&error).unwrap_or_else(|| {
            let message = format!("the agent's host cannot open a socket: {error}");
            Failure::unsupported(Reason::AgentFault, message)
        })
    })?;
    socket.socket().connect(server).await.map_err(|error| judge(server, &error))?;
    Ok(socket)
}

/// What came that was no answer to our question.
#[derive(Debug, Default)]
struct Strays {
    count: u32,
    last: Option<Mismatch>,
}

impl Strays {
    /// No answer came in time, whatever else did.
    fn silence(self, server: SocketAddr) -> Failure {
        match self.last {
            None => Failure::target(Reason::DnsTimeout, format!("{server} did not answer")),
            Some(last) => {
                let failure = last.failure(&server.to_string());
                let count = self.count;
                let message =
                    format!("{}; {count} such datagrams and no answer came", failure.message);
                Failure::target(failure.reason, message)
            }
        }
    }
}

/// Waits for the answer, and for nothing else.
async fn receive(
    socket: &mut DatagramSocket,
    server: SocketAddr,
    sent: &[u8],
    question: &Question,
    strays: &mut Strays,
) -> Result<(Option<Reply>, Arrival), Failure> {
    let mut buffer = vec![0; limits::DNS_UDP_BYTES + 1];
    loop {
        let received = socket.receive(&mut buffer).await;
        let arrival = received.map_err(|error| judge(server, &error))?;
        if arrival.bytes > limits::DNS_UDP_BYTES {
            let message = format!("{server} sent a datagram larger than was asked for");
            return Err(Failure::target(Reason::DnsMalformed, message));
        }
        match Reply::read_datagram(&buffer[..arrival.bytes], sent, question) {
            Ok(reply) => return Ok((reply, arrival)),
            Err(stray @ Mismatch::Stray(_)) if strays.count < limits::DNS_STRAYS => {
                strays.count += 1;
                strays.last = Some(stray);
            }
            Err(mismatch) => return Err(mismatch.failure(&server.to_string())),
        }
    }
}

fn judge(server: SocketAddr, error: &io::Error) -> Failure {
    if error.kind() == io::ErrorKind::ConnectionRefused {
        let message = format!("{server} says that nothing listens there");
        return Failure::target(Reason::ConnectRefused, message);
    }
    judge_error(server, error)
}
