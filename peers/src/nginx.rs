//! The target: Debian's nginx as one process (so that it ends with us), that counts and logs what reaches it.
//!
//! TLS 1.3 with an ECDSA certificate, neither tickets nor a cache of sessions:
//! every handshake is a full one.

use crate::process::{Program, TARGET_CORE, on};
use anyhow::Context;
use rcgen::{
    BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, PKCS_ECDSA_P256_SHA256, SanType,
};
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Plain HTTP, on each of `monitors::address`.
pub(crate) const HTTP: u16 = 8_081;
/// The same over TLS.
pub(crate) const HTTPS: u16 = 8_443;
const STATUS: &str = "127.0.0.1:8089";

/// A running nginx.
#[derive(Debug)]
pub(crate) struct Nginx {
    program: Program,
    dir: PathBuf,
}

/// What nginx has counted since it started.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Count {
    pub(crate) accepted: u64,
    pub(crate) requests: u64,
}

/// One line of the access log.
#[derive(Debug)]
pub(crate) struct Arrival {
    /// When the request was answered, wall clock.
    pub(crate) at_ms: f64,
    pub(crate) uri: String,
}

impl Arrival {
    /// Which monitor asked.
    pub(crate) fn monitor(&self) -> Option<u32> {
        self.uri.strip_prefix("/m")?.parse().ok()
    }
}

impl Nginx {
    /// Starts it with its files in `dir`, and waits until it answers.
    pub(crate) async fn start(dir: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(dir)?;
        certificates(dir)?;
        std::fs::write(dir.join("nginx.conf"), configuration(dir))?;
        let mut command = on(TARGET_CORE, "nginx");
        command.arg("-c").arg(dir.join("nginx.conf")).arg("-p").arg(dir);
        let program = Program::start(command.stderr(Stdio::inherit()))?;
        let nginx = Self { program, dir: dir.to_owned() };
        for _ in 0..100 {
            if nginx.count().await.is_ok() {
                return nginx.alone().await;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        anyhow::bail!("nginx does not answer on {STATUS}")
    }

    /// Makes sure that nobody else asks: every request counts as a check.
    async fn alone(self) -> anyhow::Result<Self> {
        let before = self.count().await?.requests;
        tokio::time::sleep(Duration::from_secs(1)).await;
        let strangers = self.count().await?.requests - before - 1;
        anyhow::ensure!(strangers == 0, "{strangers} requests of somebody else reached nginx");
        Ok(self)
    }

    /// The authority that signed its certificate, PEM.
    pub(crate) fn ca_file(&self) -> PathBuf {
        self.dir.join("ca.pem")
    }

    /// Its certificate and the key to it, PEM.
    pub(crate) fn identity(&self) -> (PathBuf, PathBuf) {
        (self.dir.join("cert.pem"), self.dir.join("key.pem"))
    }

    pub(crate) async fn count(&self) -> anyhow::Result<Count> {
        let mut stream = TcpStream::connect(STATUS).await?;
        stream.write_all(b"GET / HTTP/1.0\r\n\r\n").await?;
        let mut text = String::new();
        stream.read_to_string(&mut text).await?;
        let line = text.lines().skip_while(|line| !line.starts_with("server accepts")).nth(1);
        let mut numbers = line.unwrap_or_default().split_whitespace().map(str::parse::<u64>);
        let mut next = || numbers.next().and_then(Result::ok).context("a strange status page");
        let (accepted, _handled) = (next()?, next()?);
        Ok(Count { accepted, requests: next()? })
    }

    /// The access log between two moments of the wall clock.
    pub(crate) async fn arrivals(&self, from_ms: i64, to_ms: i64) -> anyhow::Result<Vec<Arrival>> {
        // nginx keeps lines for up to a second.
        tokio::time::sleep(Duration::from_millis(1_300)).await;
        let log = std::fs::read_to_string(self.dir.join("access.log"))?;
        let line = |line: &str| {
            let (seconds, uri) = line.split_once(' ')?;
            let at_ms = seconds.parse::<f64>().ok()? * 1_000.0;
            Some(Arrival { at_ms, uri: uri.to_owned() })
        };
        let within = |a: &Arrival| a.at_ms >= from_ms as f64 && a.at_ms < to_ms as f64;
        Ok(log.lines().filter_map(line).filter(within).collect())
    }

    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        self.program.terminate().await
    }
}

/// An authority and a certificate for every address of the target.
fn certificates(dir: &Path) -> anyhow::Result<()> {
    let ca_key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let mut ca = CertificateParams::default();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca_certificate = ca.self_signed(&ca_key)?;
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let mut leaf = CertificateParams::new(vec!["localhost".to_owned()])?;
    let addresses = (1..=17).map(|last| IpAddr::from(Ipv4Addr::new(127, 0, 0, last)));
    leaf.subject_alt_names.extend(addresses.map(SanType::IpAddress));
    let certificate = leaf.signed_by(&key, &Issuer::from_params(&ca, &ca_key))?;
    std::fs::write(dir.join("ca.pem"), ca_certificate.pem())?;
    std::fs::write(dir.join("cert.pem"), certificate.pem())?;
    std::fs::write(dir.join("key.pem"), key.serialize_pem())?;
    Ok(())
}

fn configuration(dir: &Path) -> String {
    let dir = dir.display();
    let listen = |port: u16, more: &str| -> String {
        (0..16)
            .map(|index| {
                let address = crate::monitors::address(index);
                format!("listen {address}:{port}{more} backlog=4096; ")
            })
            .collect()
    };
    let (http, https) = (listen(HTTP, ""), listen(HTTPS, " ssl"));
    let answer = "location / { return 200 \"ok\\n\"; } location /fail { return 503 \"bad\\n\"; }";
    format!(
        "user root; daemon off; master_process off; pid {dir}/nginx.pid; error_log {dir}/error.log error;
worker_rlimit_nofile 60000;
events {{ worker_connections 30000; }}
http {{
    log_format arrivals '$msec $uri';
    access_log {dir}/access.log arrivals buffer=64k flush=1s;
    keepalive_requests 1000000000; default_type text/plain;
    ssl_certificate {dir}/cert.pem; ssl_certificate_key {dir}/key.pem;
    ssl_protocols TLSv1.3; ssl_session_cache off; ssl_session_tickets off;
    server {{ {http} {answer} }}
    server {{ {https} {answer} }}
    server {{ listen {STATUS}; access_log off; location / {{ stub_status; }} }}
}}
"
    )
}
