//! The least a check can cost: a fresh socket, a request, and the answer read
//! to its end, on one thread. With TLS a full, verified handshake (ring). No
//! schedule, no judgement, no phases, nothing stored.

use crate::measure::{self, Window};
use crate::monitors;
use crate::nginx::{self, Nginx};
use crate::process::{PROBER_CORE, Program, on};
use anyhow::Context;
use rustls::client::Resumption;
use rustls::{CipherSuite, ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::MissedTickBehavior;
use tokio_rustls::TlsConnector;

/// What a check does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Mode {
    Http,
    Https,
    /// Connects and closes.
    Tcp,
}

impl Mode {
    /// As in an argument.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::Tcp => "tcp",
        }
    }
}

/// How the floor is run.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    mode: Mode,
    /// Certificates to trust, PEM.
    ca_file: PathBuf,
    /// Checks a second; without it, as many as go with 32 under way.
    #[arg(long)]
    rate: Option<f64>,
}

/// Checks under way at once where nothing sets the rate.
const CLOSED: u32 = 32;
/// How often one of the paced loops checks.
const EACH: Duration = Duration::from_millis(50);
const REQUEST: &[u8] =
    b"GET /floor HTTP/1.1\r\nHost: localhost\r\nUser-Agent: floor\r\nConnection: close\r\n\r\n";

/// Starts the floor as a process of its own, and watches it for a while.
pub(crate) async fn measure(
    nginx: &Nginx,
    mode: Mode,
    rate: Option<f64>,
    seconds: u64,
) -> anyhow::Result<Window> {
    let mut command = on(PROBER_CORE, std::env::current_exe()?);
    command.args(["floor", mode.word()]).arg(nginx.ca_file());
    if let Some(rate) = rate {
        command.arg("--rate").arg(rate.to_string());
    }
    let floor = Program::start(&mut command)?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let window = measure::window(floor.pid, nginx, Duration::from_secs(seconds)).await?;
    floor.terminate().await?;
    Ok(window)
}

/// Checks until it is ended from outside.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let tls = match arguments.mode {
        Mode::Https => Some(connector(&arguments.ca_file)?),
        Mode::Http | Mode::Tcp => None,
    };
    let mode = arguments.mode;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let (loops, every) = match arguments.rate {
            Some(rate) => {
                let loops = (rate * EACH.as_secs_f64()).ceil().max(1.0);
                (loops as u32, Some(Duration::from_secs_f64(loops / rate)))
            }
            None => (CLOSED, None),
        };
        let mut tasks = Vec::new();
        for index in 0..loops {
            let tls = tls.clone();
            let phase = every.map(|every| every * index / loops).unwrap_or_default();
            tasks.push(tokio::spawn(async move {
                tokio::time::sleep(phase).await;
                let mut pace = every.map(|every| {
                    let mut pace = tokio::time::interval(every);
                    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
                    pace
                });
                for turn in index.. {
                    if let Some(pace) = &mut pace {
                        pace.tick().await;
                    }
                    check(mode, tls.as_ref(), turn).await?;
                }
                anyhow::Ok(())
            }));
        }
        for task in tasks {
            task.await??;
        }
        Ok(())
    })
}

async fn check(mode: Mode, tls: Option<&TlsConnector>, turn: u32) -> anyhow::Result<()> {
    let port = if tls.is_some() { nginx::HTTPS } else { nginx::HTTP };
    let address = SocketAddr::from((monitors::address(turn), port));
    let mut stream = TcpStream::connect(address).await.context("the floor cannot connect")?;
    stream.set_nodelay(true)?;
    match (mode, tls) {
        (Mode::Tcp, _) => Ok(()),
        (_, None) => get(&mut stream).await,
        (_, Some(tls)) => {
            let name = ServerName::try_from("localhost")?;
            get(&mut tls.connect(name, stream).await?).await
        }
    }
}

async fn get<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S) -> anyhow::Result<()> {
    stream.write_all(REQUEST).await?;
    let (mut answer, mut length) = ([0; 4_096], 0);
    loop {
        match stream.read(&mut answer[length..]).await {
            Ok(0) | Err(_) => break,
            Ok(read) => length += read,
        }
    }
    anyhow::ensure!(answer[..length].starts_with(b"HTTP/1.1 200"), "not the target's answer");
    Ok(())
}

fn connector(ca_file: &Path) -> anyhow::Result<TlsConnector> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(ca_file)? {
        roots.add(certificate?)?;
    }
    // The suite that the agent offers first, and the cheaper one.
    let mut provider = rustls::crypto::ring::default_provider();
    let first = CipherSuite::TLS13_AES_128_GCM_SHA256;
    provider.cipher_suites.sort_by_key(|suite| suite.suite() != first);
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    Ok(TlsConnector::from(Arc::new(config)))
}
