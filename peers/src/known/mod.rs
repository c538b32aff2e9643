//! A target that knows how long it took: it answers `GET /after/MICROSECONDS/…`
//! after that long, never answers `/hang`, and on its end writes what it did.
//!
//! Its truth is the time from having read the request to having written the
//! answer, by its own clock. It runs above everything else on its core, so
//! that little lies between the network and that truth.

use crate::process::{Program, TARGET_CORE, on};
use crate::{clock, monitors};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

/// On each of `monitors::address`.
pub(crate) const PORT: u16 = 8_082;
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n";

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Where to write, at the end, a line for each request: path, check, microseconds.
    log: PathBuf,
}

/// The target as a process of its own.
#[derive(Debug)]
pub(crate) struct Known {
    program: Program,
    log: PathBuf,
}

impl Known {
    pub(crate) async fn start(dir: &Path) -> anyhow::Result<Self> {
        let log = dir.join("known.log");
        let mut command = on(TARGET_CORE, "nice");
        command.args(["-n", "-15"]).arg(std::env::current_exe()?).arg("known").arg(&log);
        let known = Self { program: Program::start(&mut command)?, log };
        for _ in 0..100 {
            if TcpStream::connect(SocketAddr::from((monitors::address(0), PORT))).await.is_ok() {
                return Ok(known);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        anyhow::bail!("the target with known delays does not answer")
    }

    /// Ends it; how long it took, by the check's id (or the path without one).
    pub(crate) async fn stop(self) -> anyhow::Result<BTreeMap<String, f64>> {
        self.program.terminate().await?;
        let log = std::fs::read_to_string(self.log)?;
        let line = |line: &str| {
            let (key, micros) = line.rsplit_once(' ')?;
            Some((key.to_owned(), micros.parse::<f64>().ok()? / 1_000.0))
        };
        Ok(log.lines().filter_map(line).collect())
    }
}

type Log = Arc<Mutex<String>>;

/// Answers until it is ended from outside.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let log = Log::default();
    let kept = log.clone();
    runtime.block_on(async move {
        for index in 0..16 {
            let socket = TcpSocket::new_v4()?;
            socket.set_reuseaddr(true)?;
            socket.bind(SocketAddr::from((monitors::address(index), PORT)))?;
            let listener = socket.listen(4_096)?;
            let log = log.clone();
            tokio::spawn(async move {
                while let Ok((stream, _)) = listener.accept().await {
                    let log = log.clone();
                    tokio::spawn(async move {
                        // A prober that went away is no matter of the target's.
                        let _gone = answer(stream, &log).await;
                    });
                }
            });
        }
        let mut end = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        end.recv().await;
        anyhow::Ok(())
    })?;
    let log = kept.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(std::fs::write(&arguments.log, log.as_bytes())?)
}

async fn answer(mut stream: TcpStream, log: &Log) -> std::io::Result<()> {
    let (mut request, mut length) = ([0; 2_048], 0);
    loop {
        let read = stream.read(&mut request[length..]).await?;
        length += read;
        if read == 0 || request[..length].ends_with(b"\r\n\r\n") {
            break;
        }
    }
    let began = clock::monotonic();
    let text = String::from_utf8_lossy(&request[..length]);
    let path = text.split(' ').nth(1).unwrap_or_default();
    if path.starts_with("/hang") {
        // Until the prober gives up.
        let _ended = stream.read(&mut [0; 16]).await?;
        return Ok(());
    }
    let micros = path.split('/').nth(2).and_then(|text| text.parse().ok()).unwrap_or(0);
    tokio::time::sleep(Duration::from_micros(micros)).await;
    stream.set_nodelay(true)?;
    stream.write_all(ANSWER).await?;
    let took = clock::monotonic().saturating_duration_since(began).as_micros();
    let check = text.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("x-hyperverge-check").then_some(value)
    });
    let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
    let _ok = writeln!(log, "{} {took}", check.unwrap_or(path));
    Ok(())
}
