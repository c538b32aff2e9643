//! One connection: what it is asked, and how long that takes.

use super::{Log, TLS, stamped};
use crate::clock;
use rustls::{ServerConfig, ServerConnection};
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncWriteExt, Interest};
use tokio::net::TcpStream;

/// All but the end of the body, which is the transfer.
const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\no";
const REST: &[u8] = b"k\n";

pub(super) async fn answer(
    stream: TcpStream,
    tls: Option<Arc<ServerConfig>>,
    log: &Log,
) -> io::Result<()> {
    let session = tls.map(ServerConnection::new).transpose().map_err(io::Error::other)?;
    let mut talk = Talk { stream, session };
    let tls = talk.greet().await?;
    let mut request = Vec::new();
    let asked = loop {
        let at = talk.hear(&mut request).await?;
        if request.ends_with(b"\r\n\r\n") {
            break at;
        }
    };
    let text = String::from_utf8_lossy(&request);
    let path = text.split(' ').nth(1).unwrap_or_default();
    if path.starts_with("/hang") {
        // Until the prober gives up.
        talk.hear(&mut Vec::new()).await?;
        return Ok(());
    }
    let mut delays = path.split('/').skip(2).map_while(|text| text.parse().ok());
    let mut delay = || Duration::from_micros(delays.next().unwrap_or(0));
    let (processing, transfer) = (delay(), delay());
    tokio::time::sleep(processing).await;
    let times = if transfer.is_zero() {
        let first = talk.say(&[HEAD, REST].concat()).await?;
        [tls, first.saturating_sub(asked), Duration::ZERO]
    } else {
        let first = talk.say(HEAD).await?;
        tokio::time::sleep(transfer).await;
        let last = talk.say(REST).await?;
        [tls, first.saturating_sub(asked), last.saturating_sub(first)]
    };
    let check = text.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("x-hyperverge-check").then_some(value)
    });
    log.line("request", check.unwrap_or(path), &times);
    Ok(())
}

/// A connection, with TLS above it or without.
struct Talk {
    stream: TcpStream,
    session: Option<ServerConnection>,
}

impl Talk {
    /// In TLS, answers the client's greeting; how long that took.
    async fn greet(&mut self) -> io::Result<Duration> {
        if self.session.is_none() {
            return Ok(Duration::ZERO);
        }
        let greeted = self.read(&mut Vec::new()).await?;
        tokio::time::sleep(TLS).await;
        Ok(self.write().await?.saturating_sub(greeted))
    }

    /// Appends the next of what is said to `heard`; when it came.
    async fn hear(&mut self, heard: &mut Vec<u8>) -> io::Result<Duration> {
        let before = heard.len();
        loop {
            let at = self.read(heard).await?;
            if heard.len() > before {
                return Ok(at);
            }
            self.write().await?;
        }
    }

    /// Says `bytes`; when they were handed over.
    async fn say(&mut self, bytes: &[u8]) -> io::Result<Duration> {
        match &mut self.session {
            Some(session) => session.writer().write_all(bytes)?,
            None => {
                let now = clock::wall();
                self.stream.write_all(bytes).await?;
                return Ok(now);
            }
        }
        self.write().await
    }

    /// Reads once; of TLS only what was said in it is appended.
    async fn read(&mut self, heard: &mut Vec<u8>) -> io::Result<Duration> {
        let (stream, mut room) = (&self.stream, [0; 4_096]);
        let read = || stamped::receive(stream, &mut room);
        let came = stream.async_io(Interest::READABLE, read).await?;
        let bytes = &room[..came.bytes];
        let Some(session) = &mut self.session else {
            heard.extend_from_slice(bytes);
            return Ok(came.at);
        };
        let mut rest = bytes;
        while !rest.is_empty() {
            session.read_tls(&mut rest)?;
            session.process_new_packets().map_err(io::Error::other)?;
        }
        match session.reader().read_to_end(heard) {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
            _ => Ok(came.at),
        }
    }

    /// Writes what TLS has to say; when it was handed over.
    async fn write(&mut self) -> io::Result<Duration> {
        let mut flight = Vec::new();
        while let Some(session) = self.session.as_mut().filter(|session| session.wants_write()) {
            session.write_tls(&mut flight)?;
        }
        let now = clock::wall();
        self.stream.write_all(&flight).await?;
        Ok(now)
    }
}
