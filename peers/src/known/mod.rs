//! A target that knows how long it took: it answers `GET /after/…/…/` after so many
//! microseconds, and the rest of its answer after so many more; over TLS its
//! part of the handshake takes [`TLS`], and looking up one of its names
//! [`RESOLVE`]. It never answers `/hang`, and on its end writes what it did.
//!
//! Its truth goes from when the kernel took in what asked for something (the
//! stamp of the packet, see `stamped.rs`) to when the answer was handed to the
//! kernel. How late it woke itself is its own time, as it is of any target, and
//! not charged to whoever asks.

mod answer;
mod names;
mod stamped;

use crate::monitors;
use crate::nginx::Nginx;
use crate::process::{Program, TARGET_CORE, on};
use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket, TcpStream, UdpSocket};

/// On each of `monitors::address`.
pub(crate) const PORT: u16 = 8_082;
/// The same over TLS.
pub(crate) const TLS_PORT: u16 = 8_444;
/// Where it answers for names, on port 53.
pub(crate) const NAME_SERVER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 18);
/// What [`NAME_SERVER`] knows: `m7.known.test` is the address of monitor 7.
pub(crate) const DOMAIN: &str = "known.test";
/// From a client's greeting to the server's.
pub(crate) const TLS: Duration = Duration::from_millis(30);
/// From a question to the name server to its answer.
pub(crate) const RESOLVE: Duration = Duration::from_millis(25);

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Where to write what was done, at the end.
    log: PathBuf,
    /// The certificate to show, PEM.
    certificate: PathBuf,
    /// The key to it, PEM.
    key: PathBuf,
}

/// The target as a process of its own.
#[derive(Debug)]
pub(crate) struct Known {
    program: Program,
    log: PathBuf,
}

/// How long it took for one request, milliseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    pub(crate) tls: f64,
    pub(crate) processing: f64,
    pub(crate) transfer: f64,
}

/// One question to the name server.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Question {
    /// When it came, Unix microseconds.
    pub(crate) at_us: i64,
    pub(crate) took_ms: f64,
}

/// Everything it did.
#[derive(Debug, Default)]
pub(crate) struct Truth {
    /// By the check's id, or the path of a request without one.
    pub(crate) requests: BTreeMap<String, Times>,
    /// By the name that was asked for.
    pub(crate) questions: BTreeMap<String, Vec<Question>>,
}

impl Known {
    pub(crate) async fn start(dir: &Path, nginx: &Nginx) -> anyhow::Result<Self> {
        let log = dir.join("known.log");
        let (certificate, key) = nginx.identity();
        let mut command = on(TARGET_CORE, "nice");
        command.args(["-n", "-15"]).arg(std::env::current_exe()?).arg("known").arg(&log);
        let known = Self { program: Program::start(command.arg(certificate).arg(key))?, log };
        for _ in 0..100 {
            if TcpStream::connect(SocketAddr::from((monitors::address(0), PORT))).await.is_ok() {
                return Ok(known);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        anyhow::bail!("the target with known delays does not answer")
    }

    /// Ends it; what it did.
    pub(crate) async fn stop(self) -> anyhow::Result<Truth> {
        self.program.terminate().await?;
        let mut truth = Truth::default();
        for line in std::fs::read_to_string(self.log)?.lines() {
            truth.read(line);
        }
        Ok(truth)
    }
}

impl Truth {
    /// Takes in a line of [`Log`].
    fn read(&mut self, line: &str) -> Option<()> {
        let mut words = line.split(' ');
        let (what, key) = (words.next()?, words.next()?.to_owned());
        let mut ms = || Some(words.next()?.parse::<f64>().ok()? / 1_000.0);
        if what == "request" {
            let times = Times { tls: ms()?, processing: ms()?, transfer: ms()? };
            self.requests.insert(key, times);
        } else {
            let question = Question { at_us: (ms()? * 1_000.0) as i64, took_ms: ms()? };
            self.questions.entry(key).or_default().push(question);
        }
        Some(())
    }
}

/// Lines of: `request`, key, and the microseconds of TLS, processing and transfer; or
/// `question`, name, and the microseconds at which it came and that it took.
#[derive(Debug, Clone, Default)]
struct Log(Arc<Mutex<String>>);

impl Log {
    fn line(&self, what: &str, key: &str, figures: &[Duration]) {
        let mut log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        log.push_str(what);
        for word in std::iter::once(key.to_owned())
            .chain(figures.iter().map(|figure| figure.as_micros().to_string()))
        {
            log.push(' ');
            log.push_str(&word);
        }
        log.push('\n');
    }
}

/// Answers until it is ended from outside.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let log = Log::default();
    let tls = config(arguments)?;
    runtime.block_on(async {
        for index in 0..16 {
            let address = monitors::address(index);
            serve(listen((address, PORT).into())?, None, log.clone());
            serve(listen((address, TLS_PORT).into())?, Some(Arc::clone(&tls)), log.clone());
        }
        let names = UdpSocket::bind((NAME_SERVER, 53)).await?;
        stamped::ask(&names)?;
        tokio::spawn(names::answer(Arc::new(names), log.clone()));
        let mut end = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        end.recv().await;
        anyhow::Ok(())
    })?;
    let log = log.0.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(std::fs::write(&arguments.log, log.as_bytes())?)
}

fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    // What is accepted from it inherits both.
    socket.set_nodelay(true)?;
    stamped::ask(&socket)?;
    socket.bind(address)?;
    Ok(socket.listen(4_096)?)
}

fn serve(listener: TcpListener, tls: Option<Arc<ServerConfig>>, log: Log) {
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (tls, log) = (tls.clone(), log.clone());
            tokio::spawn(async move {
                // A prober that went away is no matter of the target's.
                let _gone = answer::answer(stream, tls, &log).await;
            });
        }
    });
}

/// TLS 1.3 without tickets: a handshake is two flights, and none follows.
fn config(arguments: &Arguments) -> anyhow::Result<Arc<ServerConfig>> {
    let chain = CertificateDer::pem_file_iter(&arguments.certificate)?.collect::<Result<_, _>>()?;
    let key = PrivateKeyDer::from_pem_file(&arguments.key)?;
    let mut config = ServerConfig::builder_with_protocol_versions(&[&rustls::version::TLS13])
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}
