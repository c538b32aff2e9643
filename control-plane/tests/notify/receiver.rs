//! An HTTP server on a free port that answers as its script says, then 204.
//!
//! Written on the bare socket, since half of what it must do no HTTP server does.

use serde_json::{Value, json};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::{CancellationToken, DropGuard};

/// What it does with one request.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    /// A status with headers, each ended by CRLF.
    Status(u16, String),
    /// Reads the request and says nothing.
    Hang,
    /// Reads the request and hangs up.
    HangUp,
    /// A status and a body without end.
    Endless(u16),
}

impl Answer {
    pub(crate) fn status(status: u16) -> Self {
        Self::Status(status, String::new())
    }
}

/// A request as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) line: String,
    /// Names in lower case.
    pub(crate) headers: Value,
    pub(crate) body: String,
}

impl Received {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers[name].as_str().unwrap_or_default()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

#[derive(Debug, Default)]
struct State {
    script: Mutex<VecDeque<Answer>>,
    received: Mutex<Vec<Received>>,
}

pub(crate) struct Receiver {
    pub(crate) port: u16,
    state: Arc<State>,
    _stop: DropGuard,
}

impl Receiver {
    pub(crate) async fn start(script: impl IntoIterator<Item = Answer>) -> Self {
        Self::listen(script, None).await
    }

    pub(crate) async fn listen(
        script: impl IntoIterator<Item = Answer>,
        tls: Option<TlsAcceptor>,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(State {
            script: Mutex::new(script.into_iter().collect()),
            received: Mutex::default(),
        });
        let stop = CancellationToken::new();
        tokio::spawn(stop.clone().run_until_cancelled_owned(accept(listener, tls, state.clone())));
        Self { port, state, _stop: stop.drop_guard() }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/hook?team=a", self.port)
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.state.received.lock().unwrap().clone()
    }

    /// The types of what arrived, in order: `incident.opened`.
    pub(crate) fn types(&self) -> Vec<String> {
        self.received().iter().map(|r| r.json()["type"].as_str().unwrap().to_owned()).collect()
    }
}

async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, state: Arc<State>) {
    loop {
        let (tcp, _) = listener.accept().await.unwrap();
        let (state, tls) = (state.clone(), tls.clone());
        tokio::spawn(async move {
            match tls {
                None => serve(tcp, &state).await,
                // A client that does not trust us ends the handshake.
                Some(tls) => match tls.accept(tcp).await {
                    Ok(stream) => serve(stream, &state).await,
                    Err(_) => return,
                },
            };
        });
    }
}

async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, state: &State) -> Option<()> {
    let received = read(&mut stream).await?;
    state.received.lock().unwrap().push(received);
    let answer = state.script.lock().unwrap().pop_front().unwrap_or(Answer::status(204));
    match answer {
        Answer::Status(status, headers) => {
            let text = format!("HTTP/1.1 {status} x\r\n{headers}content-length: 0\r\n\r\n");
            stream.write_all(text.as_bytes()).await.ok()?;
            stream.shutdown().await.ok()
        }
        Answer::Hang => std::future::pending().await,
        Answer::HangUp => Some(()),
        Answer::Endless(status) => {
            let head = format!("HTTP/1.1 {status} x\r\n\r\n");
            stream.write_all(head.as_bytes()).await.ok()?;
            loop {
                stream.write_all(&[b'x'; 4096]).await.ok()?;
            }
        }
    }
}

async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Option<Received> {
    let mut bytes = Vec::new();
    let head_end = loop {
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(bytes[..head_end].to_vec()).unwrap();
    let mut lines = head.split("\r\n");
    let line = lines.next()?.to_owned();
    let mut headers = json!({});
    for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
        headers[name.to_ascii_lowercase()] = value.into();
    }
    let length: usize = headers["content-length"].as_str().unwrap_or("0").parse().unwrap();
    let mut body = bytes.split_off(head_end + 4);
    while body.len() < length {
        if stream.read_buf(&mut body).await.ok()? == 0 {
            return None;
        }
    }
    Some(Received { line, headers, body: String::from_utf8(body).unwrap() })
}

/// A peer that takes connections and never says a word.
pub(crate) async fn silent_peer() -> (u16, TcpListenerHandle) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let stop = CancellationToken::new();
    let held: Arc<Mutex<Vec<TcpStream>>> = Arc::default();
    let accepted = held.clone();
    tokio::spawn(stop.clone().run_until_cancelled_owned(async move {
        loop {
            let (tcp, _) = listener.accept().await.unwrap();
            accepted.lock().unwrap().push(tcp);
        }
    }));
    (port, TcpListenerHandle { held, _stop: stop.drop_guard() })
}

/// Holds what [`silent_peer`] accepted.
pub(crate) struct TcpListenerHandle {
    held: Arc<Mutex<Vec<TcpStream>>>,
    _stop: DropGuard,
}

impl TcpListenerHandle {
    pub(crate) fn connections(&self) -> usize {
        self.held.lock().unwrap().len()
    }
}
