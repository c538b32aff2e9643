//! Servers that take as long as they are told to, each phase for itself.

use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

/// How long each part takes, ms.
#[derive(Debug, Clone, Copy)]
pub(super) struct Delays {
    pub(super) resolve: u32,
    pub(super) tls: u32,
    pub(super) processing: u32,
    pub(super) transfer: u32,
}

impl Delays {
    /// A name that takes so long to look up.
    pub(super) fn name(self) -> String {
        format!("d{}.test", self.resolve)
    }
}

#[expect(clippy::disallowed_methods, reason = "known delays are what this is about")]
pub(super) fn delay(millis: u32) {
    std::thread::sleep(Duration::from_millis(millis.into()));
}

/// TLS for the names of all delays, and the root that vouches for it.
pub(super) fn tls(names: Vec<String>) -> (Arc<ServerConfig>, String) {
    let made = rcgen::generate_simple_self_signed(names).expect("a certificate");
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .expect("a key that fits");
    (Arc::new(config), made.cert.pem())
}

/// Answers HTTP at a port of its own, over TLS where it is given.
pub(super) fn web(delays: Delays, tls: Option<Arc<ServerConfig>>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("bound").port();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let tls = tls.clone();
            std::thread::spawn(move || {
                // A prober that went away is no matter of the target's.
                let _gone = answer(stream, delays, tls);
            });
        }
    });
    port
}

fn answer(stream: TcpStream, delays: Delays, tls: Option<Arc<ServerConfig>>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let Some(config) = tls else { return speak(stream, delays) };
    let mut connection = ServerConnection::new(config).expect("a configuration");
    delay(delays.tls);
    let mut stream = stream;
    while connection.is_handshaking() {
        connection.complete_io(&mut stream)?;
    }
    speak(StreamOwned::new(connection, stream), delays)
}

fn speak(mut stream: impl Read + Write, delays: Delays) -> io::Result<()> {
    let (mut request, mut buffer) = (Vec::new(), [0; 1024]);
    while !request.ends_with(b"\r\n\r\n") {
        match stream.read(&mut buffer)? {
            0 => return Ok(()),
            read => request.extend_from_slice(&buffer[..read]),
        }
    }
    delay(delays.processing);
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\nConnection: close\r\n\r\nhalf")?;
    stream.flush()?;
    delay(delays.transfer);
    stream.write_all(b"half")?;
    stream.flush()
}

/// A name server at 127.0.0.1:53: `d50.test` is at 127.0.0.1, 50 ms later.
pub(super) fn names() {
    let socket = UdpSocket::bind(("127.0.0.1", 53)).expect("the port of name servers");
    std::thread::spawn(move || {
        let mut query = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut query) {
            let (socket, query) = (socket.try_clone().expect("a handle"), query[..length].to_vec());
            std::thread::spawn(move || reply(&socket, &query, from));
        }
    });
}

/// RFC 1035, 4.1: the question comes back, with an address where one was asked for.
fn reply(socket: &UdpSocket, query: &[u8], from: SocketAddr) {
    let end = 12 + query[12..].iter().position(|byte| *byte == 0).expect("a name") + 5;
    let digits: String = query[13..].iter().map(|byte| char::from(*byte)).collect();
    let digits: String = digits.chars().skip(1).take_while(char::is_ascii_digit).collect();
    delay(digits.parse().unwrap_or(0));
    let address = query[end - 4..end] == [0, 1, 0, 1];
    let mut message = query[..2].to_vec();
    message.extend([0x85, 0x80, 0, 1, 0, u8::from(address), 0, 0, 0, 0]);
    message.extend(&query[12..end]);
    if address {
        message.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 127, 0, 0, 1]);
    }
    socket.send_to(&message, from).expect("sent");
}
