//! A name server that says exactly what a test wants, over UDP and TCP.

use hickory_resolver::proto::op::Message;
use hickory_resolver::proto::rr::rdata::A;
use hickory_resolver::proto::rr::{RData, Record};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::JoinHandle;

/// Lives as long as the test holds it.
pub(crate) struct NameServer {
    pub(crate) address: SocketAddr,
    tasks: Vec<JoinHandle<()>>,
}

impl Drop for NameServer {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// What goes back for the bytes of a question.
pub(crate) trait Answers: Fn(&[u8]) -> Vec<Vec<u8>> + Send + Sync + 'static {}
impl<F: Fn(&[u8]) -> Vec<Vec<u8>> + Send + Sync + 'static> Answers for F {}

impl NameServer {
    /// Each datagram is answered with the datagrams that `udp` makes of it, each
    /// message over TCP with the bytes that `tcp` makes of it, as they are; then
    /// the connection is closed.
    pub(crate) async fn new(udp: impl Answers, tcp: impl Answers) -> Self {
        loop {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
            let address = listener.local_addr().expect("its address");
            // The same number may be taken for UDP.
            let Ok(socket) = UdpSocket::bind(address).await else { continue };
            let tasks = vec![
                tokio::spawn(serve_datagrams(socket, udp)),
                tokio::spawn(serve_streams(listener, Arc::new(tcp))),
            ];
            return Self { address, tasks };
        }
    }

    /// Over UDP alone.
    pub(crate) async fn udp(udp: impl Answers) -> Self {
        Self::new(udp, |_: &[u8]| Vec::new()).await
    }

    /// Over TCP alone.
    pub(crate) async fn tcp(tcp: impl Answers) -> Self {
        Self::new(|_: &[u8]| Vec::new(), tcp).await
    }
}

async fn serve_datagrams(socket: UdpSocket, answers: impl Answers) {
    let mut buffer = [0; 4_096];
    while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
        for answer in answers(&buffer[..length]) {
            drop(socket.send_to(&answer, from).await);
        }
    }
}

async fn serve_streams(listener: TcpListener, answers: Arc<impl Answers>) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(serve_stream(stream, Arc::clone(&answers)));
    }
}

async fn serve_stream(mut stream: TcpStream, answers: Arc<impl Answers>) {
    let Ok(length) = stream.read_u16().await else { return };
    let mut message = vec![0; length.into()];
    if stream.read_exact(&mut message).await.is_err() {
        return;
    }
    for answer in answers(&message) {
        drop(stream.write_all(&answer).await);
    }
}

/// The answer to the question `asked`: `192.0.2.1`, after `change`.
pub(crate) fn answer(asked: &[u8], change: impl FnOnce(&mut Message)) -> Vec<u8> {
    let mut message = Message::from_vec(asked).expect("a question").into_response();
    let owner = message.queries[0].name().clone();
    message.add_answer(Record::from_rdata(owner, 300, RData::A(A::new(192, 0, 2, 1))));
    change(&mut message);
    message.to_vec().expect("an answer")
}

/// A message as it goes over a stream.
pub(crate) fn framed(message: &[u8]) -> Vec<u8> {
    let length = u16::try_from(message.len()).expect("a message");
    [&length.to_be_bytes(), message].concat()
}
